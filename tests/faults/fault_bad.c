/* SPDX-License-Identifier: MPL-2.0
 * fault_bad.c - wrong use and bad tasks, by a program as a user writes it, where BFORK_PROFILE says: each gives the documented kind
 * and a message that names what is wrong. After each, five good tasks run in the same pool. Exit status: how many cases failed.
 */
#include <bfork.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int failures;
static uint64_t printed;        /* bytes of tasks' output that came */

static int good(const int *in, int *out, bfork_task *task)
{
    (void)task;
    *out = *in * *in;
    return 0;
}

static int crashes(bfork_task *task)
{
    (void)task;
    raise(SIGSEGV);
    return 0;
}

static int exits(bfork_task *task)
{
    int code;

    if (bfork_args(task, &code))
        return BFORK_MISMATCH;
    exit(code);
}

static int loops(bfork_task *task)
{
    (void)task;
    for (volatile int i = 0;; i++)
        ;
    return 0;
}

static int prints_a_gigabyte(bfork_task *task)
{
    static char block[1 << 20];

    memset(block, 'x', sizeof(block));
    for (int i = 0; i < 1024; i++)
        for (size_t n = 0; n < sizeof(block);) {
            ssize_t w = write(1, block + n, sizeof(block) - n);
            if (w <= 0)
                return bfork_raise(task, 1, "write");
            n += (size_t)w;
        }
    return bfork_return(task, 1024);
}

static int wants_text(bfork_task *task)
{
    const char *text;
    int n;

    if (bfork_args(task, &text, &n))
        return BFORK_MISMATCH;
    return bfork_return(task, n);
}

static int returns_too_much(bfork_task *task)
{
    size_t size = 2 << 20;
    char *bytes = bfork_task_alloc(task, size);

    if (!bytes)
        return bfork_raise(task, 1, "no memory");
    memset(bytes, 0, size);
    return bfork_return(task, bfork_bytes_of(bytes, size));
}

static int closes_all(bfork_task *task)
{
    for (int fd = 0; fd < 256; fd++)
        close(fd);
    return bfork_return(task, 1);
}

static void is(const char *what, int kind, int wanted, const char *message, const char *word)
{
    bool well = kind == wanted && (!word || strstr(message, word));

    failures += !well;
    printf("%s %-34s %s: %s\n", well ? "ok    " : "FAILED", what, bfork_status_name(kind), message);
    if (!well)
        printf("       wanted: %s, with \"%s\"\n", bfork_status_name(wanted), word ? word : "");
    fflush(stdout);
}

static void well(bfork_pool *pool, const char *after)
{
    int in[5] = { 1, 2, 3, 4, 5 }, out[5] = { 0 };

    if (bfork_map(pool, good, in, out, 5) != 0 || out[4] != 25)
        is(after, bfork_last_error()->kind, 0, bfork_last_error()->message, "afterwards five good tasks do not run");
}

static void outcome(bfork_pool *pool, const char *what, bfork_future *f, int wanted, const char *word)
{
    char text[4096];
    int rc = bfork_future_result(f, NULL, 0);

    text[0] = '\0';
    if (rc)
        bfork_error_text(bfork_future_error(f) ? bfork_future_error(f) : bfork_last_error(), text, sizeof(text));
    is(what, rc, wanted, text, word);
    bfork_future_free(&f);
    well(pool, what);
}

static void tasks(bfork_pool *pool)
{
    outcome(pool, "a task that crashes", bfork_submit(pool, crashes), BFORK_CRASHED, "SIGSEGV");
    outcome(pool, "a task that crashes: its name", bfork_submit(pool, crashes), BFORK_CRASHED, "crashes");
    outcome(pool, "a task that calls exit(3)", bfork_submit(pool, exits, 3), BFORK_EXITED, "3");
    outcome(pool, "a task that calls exit(0)", bfork_submit(pool, exits, 0), BFORK_EXITED, "exit");
    outcome(pool, "a task that loops", bfork_submit_with(pool, BFORK_OPTIONS(.run_limit_ms = 300), loops), BFORK_OVERTIME,
            "killed at its limit");
    outcome(pool, "other arguments than are asked for", bfork_submit(pool, wants_text, 1, 2, 3), BFORK_MISMATCH, "wants_text");
    outcome(pool, "a result over the limit", bfork_submit(pool, returns_too_much), BFORK_FAILED, "the limit is");
}

/* In a pool of its own: what the task has closed stays closed for the tasks that run in the same process after it. */
static void no_descriptors(bfork_session *s)
{
    bfork_pool *p = bfork_pool_new(s, 1, NULL);

    outcome(p, "a task that closes its descriptors", bfork_submit(p, closes_all), BFORK_OK, NULL);
    outcome(p, "a crash after that", bfork_submit(p, crashes), BFORK_CRASHED, "SIGSEGV");
    bfork_pool_free(&p);
}

static void no_such_function(bfork_pool *pool)
{
    static const char *const none[] = { "/no/such/command", NULL };
    bfork_function symbol = { .object = "libm.so.6", .symbol = "no_such_function" };
    bfork_function object = { .object = "/no/such/tasks.so", .symbol = "square" };
    bfork_function command = { .argv = none };
    bfork_function two = { .argv = none, .object = "x", .symbol = "y" };
    bfork_future *f;
    int status = 0;
    bfork_bytes out, err;

    outcome(pool, "a function the object does not have", bfork_pool_submit_raw(pool, &symbol, NULL, NULL, 0), BFORK_REFUSED,
            "no_such_function");
    outcome(pool, "an object that is not there", bfork_pool_submit_raw(pool, &object, NULL, NULL, 0), BFORK_REFUSED,
            "/no/such/tasks.so");
    outcome(pool, "a function of the C library", bfork_pool_submit(pool, (bfork_task_fn *)(void (*)(void))getpid, NULL, NULL, 0),
            BFORK_EINVAL, "system library");
    outcome(pool, "two functions at a time", bfork_pool_submit_raw(pool, &two, NULL, NULL, 0), BFORK_EINVAL, "exactly one");
    f = bfork_pool_submit_raw(pool, &command, NULL, NULL, 0);
    int rc = bfork_result(f, &status, &out, &err);
    is("a command that is not there", rc ? rc : status, 127, rc ? bfork_last_error()->message : "exit status 127", NULL);
    bfork_future_free(&f);
}

static void a_gigabyte(bfork_pool *pool)
{
    printed = 0;
    outcome(pool, "a gigabyte on stdout", bfork_submit(pool, prints_a_gigabyte), BFORK_OK, NULL);
    is("a gigabyte on stdout comes whole", printed == 1u << 30 ? 0 : 1, 0, "every byte", NULL);
    printf("       %llu bytes of it came\n", (unsigned long long)printed);
}

static void numbers(bfork_session *s, bfork_pool *pool)
{
    static const struct { int n, kind; } counts[] = { { 0, BFORK_EINVAL }, { -1, 0 }, { -2, 0 }, { 3, 0 } };
    int in[1] = { 0 }, out[1];
    char what[64];

    is("zero tasks", bfork_map(pool, good, in, out, 0), 0, "nothing to do, and done", NULL);
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
        bfork_pool *p = bfork_pool_new(s, counts[i].n, NULL);
        const bfork_error *e = bfork_pool_error(p);
        snprintf(what, sizeof(what), "%d processes", counts[i].n);
        is(what, e ? e->kind : 0, counts[i].kind, e ? e->message : "", e ? "0" : NULL);
        if (e)
            is("  and work for them", bfork_map(p, good, in, out, 1), counts[i].kind, bfork_last_error()->message, NULL);
        else
            well(p, what);
        bfork_pool_free(&p);
    }
}

static void closed(bfork_session *s)
{
    bfork_pool *p = bfork_pool_new(s, 2, NULL);
    int in[1] = { 0 }, out[1];
    bfork_future *f;

    well(p, "a pool that is going to be closed");
    is("join of an open pool", bfork_pool_join(p, 1000), BFORK_ESTATE, bfork_last_error()->message, "bfork_pool_close");
    bfork_pool_close(p);
    is("map in a closed pool", bfork_map(p, good, in, out, 1), BFORK_ECLOSED, bfork_last_error()->message, "closed");
    f = bfork_submit(p, exits, 0);
    is("submit to a closed pool", bfork_future_result(f, NULL, 0), BFORK_ECLOSED, bfork_last_error()->message, "closed");
    bfork_future_free(&f);
    bfork_pool_free(&p);
}

static void forked(bfork_pool *pool)
{
    int in[1] = { 3 }, out[1] = { 0 }, status;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        int before = failures;
        is("a pool from before fork(), in the child", bfork_map(pool, good, in, out, 1), BFORK_EFORKED,
           bfork_last_error()->message, "fork");
        bfork_pool *p = bfork_pool_new(NULL, 2, NULL);
        is("a pool of the child's own", bfork_map(p, good, in, out, 1), 0, "", NULL);
        bfork_pool_free(&p);
        bfork_pool_free(&pool);
        fflush(stdout);
        _exit(failures - before);
    }
    waitpid(child, &status, 0);
    is("the child", WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0, "ended well", NULL);
    well(pool, "fork");
}

static void count_output(void *data, const bfork_error *from, int fd, const void *bytes, size_t size)
{
    (void)data;
    (void)from;
    (void)fd;
    (void)bytes;
    printed += size;
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);

    const bfork_session_options o = { .output = count_output };
    bfork_session *s = bfork_session_new(NULL, &o);
    bfork_pool *pool = bfork_pool_new(s, 2, NULL);

    tasks(pool);
    no_descriptors(s);
    no_such_function(pool);
    a_gigabyte(pool);
    numbers(s, pool);
    closed(s);
    forked(pool);
    bfork_pool_free(&pool);
    bfork_session_free(&s);
    return failures > 100 ? 100 : failures;
}
