/* SPDX-License-Identifier: MPL-2.0
 * lines_test.c - pieces of output end where lines end: what is cut inside a line becomes two lines as soon as another task's output
 * comes between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "owner.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TASKS 800u
#define MANY 20000u                     /* some 150 kB: more than a pipe holds and than is kept */
#define FEW 700u                        /* some 6 kB: what stdio writes first, and a rest */

static char self[4096];

static struct seen {
    uint32_t lines[TASKS];              /* of each task, so far */
    uint32_t broken, foreign;
} seen;

/* As most programs print: through stdio, whose writes end anywhere. */
static int prints_lines(bfork_task *t)
{
    unsigned n = (unsigned)bfork_task_self(t)->index;
    int lines;

    if (bfork_args(t, &lines))
        return -1;
    for (unsigned i = 0; i < (unsigned)lines; i++)
        if (printf("%u %u\n", n, i) < 0)
            return -1;
    return 0;
}

static void note_lines(struct owner *o, const struct exec_print *k)
{
    const char *at = k->bytes, *end = at + k->size;
    uint32_t task = o->done + k->ahead;
    unsigned n, i;

    if (!k->in_task || task >= TASKS) {
        seen.foreign++;
        return;
    }
    for (const char *next; at < end; at = next + 1) {
        if (!(next = memchr(at, '\n', (size_t)(end - at)))) {
            seen.broken++;
            return;
        }
        if (sscanf(at, "%u %u\n", &n, &i) != 2 || n != task || i != seen.lines[task])
            seen.foreign++;
        seen.lines[task]++;
    }
}

/* slow_us: what the owner does besides between two steps, so that pipes are full when it comes back. */
static void print_all(uint32_t tasks, uint32_t lines, unsigned slow_us, uint32_t claim)
{
    uint8_t args[16];
    uint32_t n = pack_int(args, (int)lines);
    struct owner o;
    struct wire_item item;
    struct exec_proc *p;

    memset(&seen, 0, sizeof(seen));
    owner_open(&o, &(struct pool){ .program = self });
    p = owner_proc(&o);
    o.on_print = note_lines;
    owner_job(p, 1, (void (*)(void))prints_lines, 0, 0);
    owner_push(p, 1, args, n, tasks, claim);
    while (o.done < tasks) {
        owner_turn(&o);
        while (o.done < tasks && exec_pull(p, &item)) {
            assert_int_equal(item.kind, WIRE_OK);
            for (uint32_t i = o.done; i < o.done + item.count; i++)
                assert_int_equal(seen.lines[i], lines);         /* all of it, before the result */
            o.done += item.count;
        }
        if (slow_us)
            usleep(slow_us);
    }
    assert_int_equal(seen.foreign, 0);
    assert_int_equal(seen.broken, 0);
    owner_close(&o);
}

static void r21_pieces_are_whole_lines(void **state)
{
    (void)state;
    print_all(20, MANY, 0, 1);
    print_all(20, MANY, 0, 64);
}

static void r21_pieces_of_full_pipes_are_whole_lines(void **state)
{
    (void)state;
    print_all(20, MANY, 2000, 1);
    print_all(20, MANY, 2000, 64);
}

/* A task that ends while its owner looks at what it has printed so far. */
static void r21_pieces_of_short_tasks_are_whole_lines(void **state)
{
    (void)state;
    print_all(TASKS, FEW, 0, 1);
    print_all(TASKS, FEW, 0, 64);
    print_all(TASKS, FEW, 300, 64);
}

#define BLOCK 3                         /* tasks */

#define GO "lines_test.go"              /* a FIFO */

/* As a library's own thread that logs: when no task runs any more, which is when the thread of the tasks sleeps. */
static void *print_late(void *unused)
{
    char path[64], line[512], *state;
    int fd = open(GO, O_RDONLY | O_CLOEXEC), stat;      /* waits for the other side */

    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)getpid());
    do {
        if ((stat = open(path, O_RDONLY | O_CLOEXEC)) < 0 || read(stat, line, sizeof(line) - 1) <= 0)
            abort();
        close(stat);
    } while (!(state = strrchr(line, ')')) || state[2] != 'S');
    if (write(1, "late\n", 5) != 5)
        abort();
    close(fd);
    return unused;
}

static int prints_and_leaves_a_thread(bfork_task *t)
{
    unsigned n = (unsigned)bfork_task_self(t)->index;
    pthread_t thread;

    if (bfork_args(t, &(int){ 0 }))
        return -1;
    return printf("%u\n", n) < 0 || (n == BLOCK - 1 && pthread_create(&thread, NULL, print_late, NULL));
}

static struct { int late; uint32_t last; bool went_back; } late;

static void note_late(struct owner *o, const struct exec_print *k)
{
    uint32_t task = o->done + k->ahead;

    if (!k->in_task)
        return;
    late.went_back |= task < late.last;
    late.last = task;
    late.late += k->size >= 5 && memcmp((const char *)k->bytes + k->size - 5, "late\n", 5) == 0;
}

/* Three tasks have printed, and their results are not pulled yet, when a thread prints a line more. */
static void r21_a_stream_goes_back_to_no_task(void **state)
{
    uint8_t args[16];
    uint32_t n = pack_int(args, 0);
    struct owner o;
    struct wire_item item;
    struct exec_proc *p;
    struct pollfd hup;

    (void)state;
    memset(&late, 0, sizeof(late));
    unlink(GO);
    assert_int_equal(mkfifo(GO, 0600), 0);
    owner_open(&o, &(struct pool){ .program = self });
    p = owner_proc(&o);
    o.on_print = note_late;
    owner_job(p, 1, (void (*)(void))prints_and_leaves_a_thread, 0, 0);
    owner_push(p, 1, args, n, BLOCK, BLOCK);
    hup = (struct pollfd){ .fd = open(GO, O_WRONLY | O_CLOEXEC) };      /* waits for the thread */
    assert_true(hup.fd >= 0);
    while (!(poll(&hup, 1, 0) > 0 && hup.revents & POLLERR))            /* it has printed, and closed its side */
        exec_step(o.x, clock_now());
    exec_step(o.x, clock_now());
    while (o.done < BLOCK) {
        while (exec_pull(p, &item)) {
            assert_int_equal(item.kind, WIRE_OK);
            o.done += item.count;
        }
        if (o.done < BLOCK)
            owner_turn(&o);
    }
    assert_int_equal(late.late, 1);
    assert_false(late.went_back);
    close(hup.fd);
    unlink(GO);
    owner_close(&o);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r21_a_stream_goes_back_to_no_task),
        cmocka_unit_test(r21_pieces_are_whole_lines),
        cmocka_unit_test(r21_pieces_of_full_pipes_are_whole_lines),
        cmocka_unit_test(r21_pieces_of_short_tasks_are_whole_lines),
    };

    bfork_init(&argc, &argv);
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n < 0)
        return 2;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
