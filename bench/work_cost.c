/* SPDX-License-Identifier: MPL-2.0
 * work_cost - what a task costs besides itself: time on the cores, starting processes, memory, and whether that stays so. */
#include "contest.h"
#include "work.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MANY = 1000000, FEW = 1000 };

static void spin(double seconds)
{
    double until = contest_now() + seconds;
    while (contest_now() < until)
        ;
}

static int busy(bfork_task *task)
{
    unsigned long us, number;
    if (bfork_args(task, &us, &number))
        return -1;
    spin((double)us * 1e-6);
    return 0;
}

double work_efficiency(void *work)
{
    struct work *w = work;
    size_t n = 400000 / w->size;
    if (n > 200000)
        n = 200000;
    double alone = contest_now();       /* what a task takes where nothing else is done */
    for (size_t i = 0; i < n / 10; i++)
        spin((double)w->size * 1e-6);
    alone = (contest_now() - alone) / (double)(n / 10);

    double t = contest_now();
    bfork_stream *s = bfork_stream_new();
    for (size_t i = 0; i < n; i++)
        bfork_stream_add(s, bfork_submit(w->pool, busy, w->size, i), NULL);
    for (size_t i = 0; i < n; i++) {
        bfork_future *f = work_next(s);
        if (bfork_future_error(f))
            contest_fail("busy task: %s", bfork_future_error(f)->message);
        bfork_future_free(&f);
    }
    t = contest_now() - t;
    bfork_stream_free(&s);
    return (double)n * alone / WORK_PROCESSES / t;
}

/* Done when the other of two tasks runs, so that each is in a process of its own: path.0 and path.1 say that they do. */
static int meet(bfork_task *task)
{
    const char *path;
    int i;
    char mine[64], other[64];
    if (bfork_args(task, &path, &i))
        return -1;
    snprintf(mine, sizeof(mine), "%s.%d", path, i);
    snprintf(other, sizeof(other), "%s.%d", path, 1 - i);
    int fd = open(mine, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0 || close(fd) < 0)
        return -1;
    while (access(other, F_OK) != 0)
        sched_yield();
    return bfork_return(task, i);
}

double work_start(void *work)
{
    static unsigned number;
    bfork_future *f[WORK_PROCESSES];
    char path[48], file[64];
    (void)work;
    snprintf(path, sizeof(path), "/tmp/bfork-bench-%d-%u", (int)getpid(), number++);
    double t = contest_now();
    bfork_pool *pool = bfork_pool_new(NULL, WORK_PROCESSES, NULL);
    for (int i = 0; i < WORK_PROCESSES; i++)
        f[i] = bfork_submit(pool, meet, path, i);
    for (int i = 0; i < WORK_PROCESSES; i++) {
        int is;
        if (bfork_result(f[i], &is) != 0 || is != i)
            contest_fail("a task of a new pool: %s", bfork_last_error()->message);
    }
    t = contest_now() - t;
    for (int i = 0; i < WORK_PROCESSES; i++) {
        bfork_future_free(&f[i]);
        snprintf(file, sizeof(file), "%s.%d", path, i);
        unlink(file);
    }
    bfork_pool_free(&pool);
    return t * 1e3;
}

double work_process(void *work)
{
    enum { ROUNDS = 200 };
    static double us[ROUNDS];
    (void)work;
    bfork_pool *pool = bfork_pool_new(NULL, 1, &(bfork_pool_options){ .max_tasks = 1 });
    for (size_t i = 0; i < ROUNDS; i++) {
        double t = contest_now();
        bfork_future *f = work_submit(pool, i);
        work_check(f, i);
        us[i] = (contest_now() - t) * 1e6;
        bfork_future_free(&f);
    }
    bfork_pool_free(&pool);
    return contest_median(us, ROUNDS);
}

static double memory(const struct work *w)
{
    double sum = 0;
    for (const pid_t *p = w->pids; *p; p++)
        sum += contest_resident(*p);
    return sum;
}

/* Drives the connection by waiting for f, which cannot finish, until the measured memory has not changed for a second. */
static double settled(const struct work *w, bfork_future *f)
{
    double last = 0, is = memory(w), since = contest_now(), began = since;
    while (contest_now() - since < 1) {
        if (bfork_future_wait(f, 50) != BFORK_ETIMEDOUT)
            contest_fail("a task that nobody can run has ended: %s",
                         bfork_future_error(f) ? bfork_future_error(f)->message : "without an error");
        if (contest_now() - began > 45)
            contest_fail("queueing did not come to rest in 45 s");
        if ((is = memory(w)) != last)
            since = contest_now();
        last = is;
    }
    return is;
}

double work_queued(void *work)
{
    struct work *w = work;
    bfork_future **futures = calloc(w->n + 1, sizeof(*futures));
    if (!futures)
        contest_fail("out of memory");
    futures[w->n] = work_submit(w->pool, w->n);         /* the connection, the session, the job: not a task's cost */
    double before = settled(w, futures[w->n]);
    for (size_t i = 0; i < w->n; i++)
        futures[i] = work_submit(w->pool, i);
    double after = settled(w, futures[w->n - 1]);
    return (after - before) / (double)w->n;             /* the program ends with its futures */
}

static int same_element(const char (*in)[WORK_TASK], char (*out)[WORK_TASK], bfork_task *task)
{
    (void)task;
    memcpy(*out, *in, WORK_TASK);
    return 0;
}

double work_queued_map(void *work)
{
    struct work *w = work;
    char (*in)[WORK_TASK] = contest_payloads(w->n, WORK_TASK), (*out)[WORK_TASK] = calloc(w->n, WORK_TASK);
    if (!out)
        contest_fail("out of memory");
    bfork_future *one = work_submit(w->pool, 0);
    double before = settled(w, one);
    bfork_future *f = bfork_pool_map_async(w->pool, (bfork_map_fn *)same_element, in, WORK_TASK, out, WORK_TASK, w->n, NULL);
    return (settled(w, f) - before) / (double)w->n;
}

/* n tasks, so many of them queued at any time. */
static void submits(bfork_pool *pool, size_t n, size_t queued)
{
    bfork_stream *s = bfork_stream_new();
    for (size_t sent = 0, received = 0; received < n; received++) {
        for (; sent < n && sent - received < queued; sent++)
            bfork_stream_add(s, work_submit(pool, sent), (void *)(uintptr_t)sent);
        bfork_future *f = work_next(s);
        work_check(f, (size_t)(uintptr_t)bfork_future_data(f));
        bfork_future_free(&f);
    }
    bfork_stream_free(&s);
}

/* What a task costs while so many are queued: seconds to submit one, and seconds to get one result, both without waiting for a
 * wake-up, since nothing starts before a file is there that a task in each process waits for. A window of a thousand that is kept
 * full would count the client's own waiting for results as a cost of small depths, and hide a factor. */
static int wait_for_file(bfork_task *task)
{
    const char *path;
    if (bfork_args(task, &path))
        return -1;
    while (access(path, F_OK) != 0)
        usleep(1000);
    return 0;
}

static double at_depth(bfork_pool *pool, size_t depth)
{
    char path[] = "/tmp/bfork-bench-gate-XXXXXX";
    bfork_future *gates[WORK_PROCESSES];
    int fd = mkstemp(path);
    if (fd < 0 || close(fd) < 0 || unlink(path) < 0)
        contest_fail("a file that tasks wait for: %s", strerror(errno));
    for (int i = 0; i < WORK_PROCESSES; i++)
        gates[i] = bfork_submit(pool, wait_for_file, path);
    bfork_stream *s = bfork_stream_new();
    double t = contest_now();
    for (size_t i = 0; i < depth; i++)
        bfork_stream_add(s, work_submit(pool, i), (void *)(uintptr_t)i);
    t = contest_now() - t;
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    if (fd < 0 || close(fd) < 0)
        contest_fail("%s: %s", path, strerror(errno));
    double drain = 0;
    for (size_t i = 0; i < depth; i++) {
        bfork_future *f = work_next(s);
        if (i == 0)
            drain = contest_now();      /* the wake-ups are over */
        work_check(f, (size_t)(uintptr_t)bfork_future_data(f));
        bfork_future_free(&f);
    }
    drain = contest_now() - drain;
    for (int i = 0; i < WORK_PROCESSES; i++) {
        if (bfork_future_wait(gates[i], 20000) != 0)
            contest_fail("a task that waits for a file: %s", bfork_last_error()->message);
        bfork_future_free(&gates[i]);
    }
    bfork_stream_free(&s);
    unlink(path);
    return t / (double)depth + drain / (double)(depth - 1);
}

double work_depth(void *work)
{
    enum { TIMES = 51 };
    struct work *w = work;
    double few[TIMES];
    for (int i = 0; i < TIMES; i++)
        few[i] = at_depth(w->pool, FEW);
    return at_depth(w->pool, MANY) / contest_median(few, TIMES);
}

/* Ten thousand tasks: half of them a map, half of them submits. */
static void ten_thousand(bfork_pool *pool)
{
    enum { HALF = 5000 };
    static char in[HALF][WORK_TASK], out[HALF][WORK_TASK];
    for (size_t i = 0; i < HALF; i++)
        contest_fill(in[i], WORK_TASK, i);
    memset(out, 0xff, sizeof(out));
    if (bfork_pool_map(pool, (bfork_map_fn *)same_element, in, WORK_TASK, out, WORK_TASK, HALF, NULL) != 0)
        contest_fail("map: %s", bfork_last_error()->message);
    if (memcmp(in, out, sizeof(in)) != 0)
        contest_fail("map: a result is wrong");
    submits(pool, HALF, FEW);
}

/* Puts the memory of each process into `is`, and into a note. */
static void look(const struct work *w, const char *when, double is[WORK_PIDS])
{
    char text[256] = "";
    for (int i = 0; w->pids[i]; i++) {
        size_t n = strlen(text);
        is[i] = contest_resident(w->pids[i]);
        snprintf(text + n, sizeof(text) - n, "%s%s %.1f MB", i ? ", " : "", w->pid_names[i], is[i] / 1e6);
    }
    contest_note("after %s tasks: %s", when, text);
}

double work_forever(void *work)
{
    enum { ALL = 1000, TENTH = 100 };   /* of ten thousand */
    struct work *w = work;
    double before[WORK_PIDS], after[WORK_PIDS], worst = 0;
    ten_thousand(w->pool);
    look(w, "10,000", before);
    for (int i = 1; i < ALL; i++) {
        if (i == TENTH)
            look(w, "1,000,000", after);
        ten_thousand(w->pool);
    }
    look(w, "10,000,000", after);
    for (int i = 0; w->pids[i]; i++)
        worst = after[i] / before[i] > worst ? after[i] / before[i] : worst;
    return worst;
}
