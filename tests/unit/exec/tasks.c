/* SPDX-License-Identifier: MPL-2.0
 * tasks.c - the tasks of the tests: well-behaved ones and all the ways to misbehave.
 */
#include "tasks.h"

#include "exec/ring.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static int preloaded, initialized;

int task_square(bfork_task *t)
{
    int x;
    if (bfork_args(t, &x))
        return -1;
    return bfork_return(t, x * x);
}

int task_echo(bfork_task *t)
{
    size_t size;
    const void *p = bfork_task_args_raw(t, &size);
    return bfork_task_return_raw(t, p, size);
}

int task_nothing(bfork_task *t)
{
    (void)t;
    return 0;
}

int task_raise(bfork_task *t) { return bfork_raise(t, 12, "cannot read %s", "the file"); }

int task_return7(bfork_task *t)
{
    (void)t;
    return 7;
}

static int *volatile nothing_there;

/* Not checked by sanitizers: the fault itself is the test. */
static __attribute__((noinline, no_sanitize("address", "undefined"))) void step_on_null(volatile int *p) { *p = 1; }

int task_crash(bfork_task *t)
{
    (void)t;
    step_on_null(nothing_there);
    return 0;
}

int task_abort(bfork_task *t)
{
    (void)t;
    abort();
}

static volatile int for_ever = 1;

static __attribute__((noinline, no_sanitize("address", "undefined"))) int dig(volatile char *above)
{
    volatile char here[4096];
    here[0] = above ? above[0] : 1;
    return (for_ever ? dig(here) : 0) + here[0];
}

int task_overflow(bfork_task *t)
{
    (void)t;
    return dig(NULL);
}

int task_exit(bfork_task *t)
{
    int code;
    if (bfork_args(t, &code))
        return -1;
    exit(code);
}

int task_loop(bfork_task *t)
{
    (void)t;
    for (volatile unsigned long i = 0;; i++)
        continue;
}

int task_flood(bfork_task *t)
{
    static char bytes[1 << 16];
    int megabytes;

    if (bfork_args(t, &megabytes))
        return -1;
    memset(bytes, 'x', sizeof(bytes));
    for (long left = (long)megabytes << 20; left > 0;) {
        ssize_t n = write(1, bytes, sizeof(bytes));
        if (n <= 0)
            return 1;
        left -= n;
    }
    return 0;
}

int task_print(bfork_task *t)
{
    (void)t;
    printf("to stdout\n");
    fprintf(stderr, "to stderr\n");
    return 0;
}

/* By its index: a line, two lines of which one has no end, nothing, a long line, a line past stdio. */
int task_says(bfork_task *t)
{
    static char block[SAYS_LONG];
    unsigned n = (unsigned)bfork_task_self(t)->index;

    switch (n % 5) {
    case 0:
        printf("%u says\n", n);
        return 0;
    case 1:
        printf("%u says\n%u says no more", n, n);
        return 0;
    case 2:
        return 0;
    case 3:
        memset(block, 'x', sizeof(block));
        printf("%u ", n);
        fwrite(block, 1, sizeof(block), stdout);
        printf("\n");
        return 0;
    default:
        return dprintf(2, "%u says\n", n) > 0 ? 0 : -1;
    }
}

static int start_grandchild(void)
{
    int fds[2], pid = 0;

    if (pipe(fds) < 0)
        return -1;
    if (fork() == 0) {
        setsid();
        signal(SIGTERM, SIG_IGN);
        pid = fork();
        if (pid == 0) {
            setsid();
            prctl(PR_SET_NAME, "grandchild");
            for (;;)
                pause();
        }
        if (write(fds[1], &pid, sizeof(pid)) < 0)
            _exit(1);
        _exit(0);
    }
    if (read(fds[0], &pid, sizeof(pid)) != (ssize_t)sizeof(pid))
        pid = -1;
    close(fds[0]);
    close(fds[1]);
    return pid;
}

int task_grandchild(bfork_task *t) { return bfork_return(t, start_grandchild()); }

int task_grandchild_crash(bfork_task *t)
{
    fprintf(stderr, "%d\n", start_grandchild());
    return task_crash(t);
}

int task_leaves_and_waits(bfork_task *t)
{
    int command = fork();

    if (command == 0) {
        execlp("sleep", "sleep", "1000", (char *)NULL);
        _exit(127);
    }
    printf("%d %d\n", start_grandchild(), command);
    fflush(stdout);
    return task_loop(t);
}

static int parent_of(int pid)
{
    char path[64], text[512] = "", *at;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (f && !fgets(text, sizeof(text), f))
        text[0] = '\0';
    if (f)
        fclose(f);
    at = strrchr(text, ')');
    return at ? atoi(at + 4) : -1;
}

/* 1: its template, 2: the keeper, 3: keeper and template, 4: worker, keeper and template, from above, 5: the same from below. */
int task_kills_its_ancestors(bfork_task *t)
{
    int how, up[3] = { getppid() };

    if (bfork_args(t, &how))
        return -1;
    up[1] = parent_of(up[0]);
    up[2] = parent_of(up[1]);
    if (fork() == 0) {
        setsid();
        if (fork() > 0)
            _exit(0);
        setsid();
        prctl(PR_SET_NAME, "grandchild");
        if (how == 4)
            kill(up[2], SIGKILL);
        if (how != 1)
            kill(up[1], SIGKILL);
        if (how != 2)
            kill(up[0], SIGKILL);
        if (how == 5) {
            kill(up[1], SIGKILL);
            kill(up[2], SIGKILL);
        }
        for (;;)
            pause();
    }
    return task_loop(t);
}

int task_fork_returns(bfork_task *t)
{
    if (fork() == 0)
        return 0;                       /* the child comes back too */
    usleep(1000);
    return bfork_return(t, 5);
}

int task_close_all(bfork_task *t)
{
    for (int i = 0; i < 1024; i++)
        close(i);
    return bfork_return(t, 6);
}

int task_too_big(bfork_task *t)
{
    size_t size = 2u << 20;
    char *p = bfork_task_alloc(t, size);

    if (!p)
        return 1;
    memset(p, 0, size);
    return bfork_return(t, bfork_bytes_of(p, size));
}

int task_bytes(bfork_task *t)
{
    int size;

    if (bfork_args(t, &size))
        return -1;
    char *p = bfork_task_alloc(t, (size_t)size);
    if (!p)
        return 1;
    memset(p, 'b', (size_t)size);
    return bfork_return(t, bfork_bytes_of(p, (size_t)size));
}

int task_pid(bfork_task *t) { return bfork_return(t, (int)getpid()); }

int task_sleep_ms(bfork_task *t)
{
    int ms;
    if (bfork_args(t, &ms))
        return -1;
    usleep((useconds_t)ms * 1000);
    return 0;
}

/* Finds the ring by its name in the memory map and overwrites all its control words. */
int task_scribble(bfork_task *t)
{
    char line[512];
    unsigned long from, to;
    FILE *f = fopen("/proc/self/maps", "r");

    (void)t;
    while (f && fgets(line, sizeof(line), f))
        if (strstr(line, "bfork-ring") && sscanf(line, "%lx-%lx", &from, &to) == 2) {
            memset((char *)from + 64, 0x5a, 256);
            break;
        }
    _exit(9);
}

static void overwrite(unsigned char *at, int size, int pattern)
{
    unsigned long long old = 0, word;

    memcpy(&old, at, (size_t)size);
    switch (pattern) {
    case 0: word = 0; break;
    case 1: word = ~0ull; break;
    case 2: word = 0x5a5a5a5a5a5a5a5aull; break;
    case 3: word = old + 1; break;
    case 4: word = old - 1; break;
    case 5: word = old + (1ull << 31); break;
    case 6: word = old + (1ull << 32); break;
    default: word = old - (1ull << 32); break;
    }
    memcpy(at, &word, (size_t)size);
}

int task_scribble_at(bfork_task *t)
{
    int number, offset, size, pattern;
    char line[512];
    unsigned long from, to;

    if (bfork_args(t, &number, &offset, &size, &pattern))
        return -1;
    FILE *f = number == 3 ? fopen("/proc/self/maps", "r") : NULL;
    while (f && fgets(line, sizeof(line), f))
        if (strstr(line, "bfork-ring") && sscanf(line, "%lx-%lx", &from, &to) == 2) {
            overwrite((unsigned char *)from + offset, size, pattern % 100);
            break;
        }
    if (f)
        fclose(f);
    if (f && pattern >= 100)
        return task_loop(t);
    return bfork_return(t, number);
}

/* Does not end, and writes again and again what hides that it runs. */
int task_forge(bfork_task *t)
{
    char line[512];
    unsigned long from = 0, to;
    int how;

    if (bfork_args(t, &how))
        return -1;
    FILE *f = fopen("/proc/self/maps", "r");
    while (f && fgets(line, sizeof(line), f))
        if (strstr(line, "bfork-ring") && sscanf(line, "%lx-%lx", &from, &to) == 2)
            break;
    if (f)
        fclose(f);
    if (!from)
        return -1;
    struct ring_control *c = (struct ring_control *)from;       /* its beginning */
    const uint64_t mine = atomic_load(&c->current);

    for (uint64_t k = 0;; k++) {
        if (how == FORGE_LAST) {        /* no task has so high a number */
            atomic_store(&c->current, 1ull << 40 | (mine & ~1ull));
            kill(getpid(), SIGKILL);
        }
        if (how == FORGE_NOT_RUNNING || how == FORGE_NO_ROOM || how == FORGE_IDLE)
            atomic_store(&c->current, mine & ~1ull);
        if (how == FORGE_NO_ROOM)
            atomic_store(&c->sleeping, RING_NO_ROOM);
        if (how == FORGE_IDLE)
            atomic_store(&c->sleeping, RING_IDLE);
        if (how == FORGE_BEFORE)
            atomic_store(&c->current, mine - 2);
        if (how == FORGE_BEHIND)
            atomic_store(&c->current, (atomic_load(&c->word) & UINT32_MAX) << 1 | 1);
        if (how == FORGE_MANY)
            atomic_store(&c->current, (k + 100) << 1 | 1);
        if (how == FORGE_ONCE && k == 0)
            atomic_store(&c->current, mine & ~1ull);
        usleep(1000);
    }
}

int task_self(bfork_task *t)
{
    const bfork_task_info *i = bfork_task_self(t);
    size_t n;
    const char *context = bfork_task_context(t, &n);

    return bfork_return(t, (unsigned long long)i->index, i->attempt, i->function, bfork_bytes_of(context, n));
}

int task_kill9(bfork_task *t)
{
    (void)t;
    kill(getpid(), SIGKILL);
    return 0;
}

int preload_well(bfork_task *t) { return bfork_args(t, &preloaded); }
int preload_raises(bfork_task *t) { return bfork_raise(t, 3, "no table %s", "here"); }
int preload_crashes(bfork_task *t) { return task_abort(t); }
int preload_hangs(bfork_task *t) { return task_loop(t); }
int initializer_well(bfork_task *t) { return bfork_args(t, &initialized); }
int initializer_raises(bfork_task *t) { return bfork_raise(t, 4, "no connection"); }
int initializer_exits(bfork_task *t)
{
    (void)t;
    exit(5);
}
int task_initialized(bfork_task *t) { return bfork_return(t, preloaded, initialized); }

int map_copy(const void *in, void *out, bfork_task *t)
{
    (void)t;
    memcpy(out, in, 100);
    return 0;
}

int map_square(const void *in, void *out, bfork_task *t)
{
    unsigned x = *(const unsigned *)in;
    (void)t;
    *(unsigned *)out = x * x;
    return 0;
}

int map_sleep_ms(const void *in, void *out, bfork_task *t)
{
    (void)t;
    usleep((useconds_t)*(const int *)in * 1000);
    *(int *)out = 0;
    return 0;
}

int map_odd_fails(const void *in, void *out, bfork_task *t)
{
    int x = *(const int *)in;
    if (x % 2)
        return bfork_raise(t, x, "%d is odd", x);
    *(int *)out = x;
    return 0;
}

int map_crash_at_50(const void *in, void *out, bfork_task *t)
{
    int x = *(const int *)in;
    if (x == 50)
        return task_crash(t);
    *(int *)out = x + 1;
    return 0;
}
