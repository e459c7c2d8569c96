/* SPDX-License-Identifier: MPL-2.0
 * bfork-bench - the contender that is us: bfork-bench WORK [SIZE [N [NAME=PID...]]], or bfork-bench rtt [PLACEMENT], here or,
 * with BFORK_PROFILE, through a broker. See work.h for the workloads and contest.h for how bench/run talks to it. */
#include "contest.h"
#include "work.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum pool_kind { READY, OWN, WITHOUT_SLOTS };      /* a pool with its slots | made by the work itself | nobody works for it */

static const struct { const char *name; double (*run)(void *work); enum pool_kind pool; } works[] = {
    { "map", work_map, READY },
    { "single", work_single, READY },
    { "rtt", work_rtt, OWN },
    { "echo", work_echo, READY },
    { "commands", work_commands, READY },
    { "efficiency", work_efficiency, READY },
    { "depth", work_depth, READY },
    { "forever", work_forever, READY },
    { "start", work_start, OWN },
    { "process", work_process, OWN },
    { "queued", work_queued, WITHOUT_SLOTS },
    { "queued-map", work_queued_map, WITHOUT_SLOTS },
};

int work_same(bfork_task *task)
{
    bfork_bytes bytes;
    if (bfork_args(task, &bytes))
        return -1;
    return bfork_return(task, bytes);
}

bfork_future *work_submit(bfork_pool *pool, size_t number)
{
    char bytes[WORK_TASK];
    contest_fill(bytes, sizeof(bytes), number);
    return bfork_submit(pool, work_same, bfork_bytes_of(bytes, sizeof(bytes)));
}

void work_check(bfork_future *f, size_t number)
{
    bfork_bytes bytes;
    if (bfork_result(f, &bytes) != 0)
        contest_fail("task %zu: %s", number, bfork_last_error()->message);
    if (bytes.size != WORK_TASK || !contest_filled(bytes.data, WORK_TASK, number))
        contest_fail("task %zu has another result", number);
}

bfork_future *work_next(bfork_stream *s)
{
    bfork_future *f = NULL;
    if (bfork_stream_next(s, BFORK_FOREVER, &f) != 0)
        contest_fail("the stream ended: %s", bfork_last_error()->message);
    return f;
}

/* Tasks for all processes, so that they have been started. */
static void warm(bfork_pool *pool)
{
    bfork_future *f[WORK_PROCESSES * 100];
    enum { N = sizeof(f) / sizeof(f[0]) };
    for (size_t i = 0; i < N; i++)
        f[i] = work_submit(pool, i);
    for (size_t i = 0; i < N; i++) {
        if (bfork_future_wait(f[i], 20000) != 0)
            contest_fail("the first tasks do not finish: %s", bfork_last_error()->message);
        work_check(f[i], i);
        bfork_future_free(&f[i]);
    }
}

static void finish(void *data)
{
    struct work *w = data;
    if (w->pool)
        bfork_pool_terminate(w->pool);
    bfork_pool_free(&w->pool);
}

int main(int argc, char **argv)
{
    struct work w = { 0 };
    bfork_init(&argc, &argv);
    if (argc < 2)
        contest_fail("usage: bfork-bench WORK [SIZE [N [NAME=PID...]]]");
    w.placement = argc > 2 ? argv[2] : "free";
    w.size = argc > 2 ? strtoul(argv[2], NULL, 10) : WORK_TASK;
    w.n = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    for (int i = 4; i < argc && i - 4 < WORK_PIDS - 1; i++) {
        char *pid = strchr(argv[i], '=');
        if (!pid)
            contest_fail("%s is no NAME=PID", argv[i]);
        *pid++ = '\0';
        w.pid_names[i - 4] = argv[i];
        w.pids[i - 4] = strcmp(pid, "self") == 0 ? getpid() : (pid_t)strtol(pid, NULL, 10);
    }

    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++)
        if (strcmp(works[i].name, argv[1]) == 0) {
            if (works[i].pool != OWN)
                w.pool = bfork_pool_new(NULL, WORK_PROCESSES, NULL);
            if (works[i].pool == READY)
                warm(w.pool);
            return contest_loop(works[i].run, finish, &w);
        }
    contest_fail("no work \"%s\"", argv[1]);
}
