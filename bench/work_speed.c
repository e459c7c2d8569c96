/* SPDX-License-Identifier: MPL-2.0
 * work_speed - how many a second, and how long one takes. */
#include "contest.h"
#include "work.h"
#include <stdio.h>
#include <string.h>

struct element { char bytes[WORK_TASK]; };

static int same_element(const struct element *in, struct element *out, bfork_task *task)
{
    (void)task;
    *out = *in;
    return 0;
}

static int same_number(const uint64_t *in, uint64_t *out, bfork_task *task)
{
    (void)task;
    *out = *in;
    return 0;
}

static void *room(size_t n, size_t size)
{
    void *p = malloc(n * size);
    if (!p)
        contest_fail("out of memory");
    memset(p, 0, n * size);
    return p;
}

double work_map(void *work)
{
    static void *in, *out;
    struct work *w = work;
    if (!in) {
        in = contest_payloads(w->n, w->size);
        out = room(w->n, w->size);
    }
    memset(out, 0xff, w->n * w->size);
    double t = contest_now();
    int rc = w->size == WORK_TASK ? bfork_map(w->pool, same_element, (struct element *)in, (struct element *)out, w->n)
                                  : bfork_map(w->pool, same_number, (uint64_t *)in, (uint64_t *)out, w->n);
    t = contest_now() - t;
    if (rc != 0)
        contest_fail("map: %s", bfork_last_error()->message);
    if (memcmp(in, out, w->n * w->size) != 0)
        contest_fail("map: a result is wrong");
    return (double)w->n / t;
}

double work_single(void *work)
{
    struct work *w = work;
    double t = contest_now();
    bfork_stream *s = bfork_stream_new();
    for (size_t i = 0; i < w->n; i++)
        bfork_stream_add(s, work_submit(w->pool, i), (void *)(uintptr_t)i);
    for (size_t i = 0; i < w->n; i++) {
        bfork_future *f = work_next(s);
        work_check(f, (size_t)(uintptr_t)bfork_future_data(f));
        bfork_future_free(&f);
    }
    t = contest_now() - t;
    bfork_stream_free(&s);
    return (double)w->n / t;
}

/* In the task process. */
static int settle(bfork_task *task)
{
    const char *placement;
    if (bfork_args(task, &placement))
        return -1;
    contest_place(contest_placement_of(placement), 1);
    return 0;
}

/* One client and one task process, like the pipe's two ends, and placed as they are. */
static bfork_pool *pair(const char *placement)
{
    bfork_pool *pool = bfork_pool_new(NULL, 1, NULL);
    bfork_future *f = bfork_submit(pool, settle, placement);
    if (bfork_result(f) != 0)
        contest_fail("the task process cannot be placed: %s", bfork_last_error()->message);
    bfork_future_free(&f);
    contest_place(contest_placement_of(placement), 0);
    return pool;
}

double work_rtt(void *work)
{
    enum { ROUNDS = 2000 };
    static double us[ROUNDS];
    struct work *w = work;
    if (!w->pool)
        w->pool = pair(w->placement);
    for (size_t i = 0; i < ROUNDS; i++) {
        double t = contest_now();
        bfork_future *f = work_submit(w->pool, i);
        work_check(f, i);
        us[i] = (contest_now() - t) * 1e6;
        bfork_future_free(&f);
    }
    return contest_median(us, ROUNDS);
}

double work_echo(void *work)
{
    enum { ROUNDS = 64, FLIGHT = 4 };
    static char *in, *out;
    struct work *w = work;
    bfork_stream *s = bfork_stream_new();
    if (!in) {
        in = contest_payloads(ROUNDS, WORK_BIG);
        out = room(ROUNDS, WORK_BIG);
    }
    memset(out, 0xff, (size_t)ROUNDS * WORK_BIG);
    double t = contest_now();
    for (size_t sent = 0, received = 0; received < ROUNDS; received++) {
        for (; sent < ROUNDS && sent - received < FLIGHT; sent++)
            bfork_stream_add(s, bfork_submit(w->pool, work_same, bfork_bytes_of(in + sent * WORK_BIG, WORK_BIG)),
                             (void *)(uintptr_t)sent);
        bfork_future *f = work_next(s);
        bfork_bytes bytes;
        size_t number = (size_t)(uintptr_t)bfork_future_data(f);
        if (bfork_result(f, &bytes) != 0)
            contest_fail("echo: %s", bfork_last_error()->message);
        if (bytes.size != WORK_BIG)
            contest_fail("echo: a result has another size");
        memcpy(out + number * WORK_BIG, bytes.data, WORK_BIG);
        bfork_future_free(&f);
    }
    t = contest_now() - t;
    bfork_stream_free(&s);
    if (memcmp(in, out, (size_t)ROUNDS * WORK_BIG) != 0)
        contest_fail("echo: a result is wrong");
    return (double)ROUNDS * WORK_BIG / 1e6 / t;
}

double work_commands(void *work)
{
    struct work *w = work;
    double t = contest_now();
    bfork_stream *s = bfork_stream_new();
    for (size_t i = 0; i < w->n; i++) {
        char number[24];
        snprintf(number, sizeof(number), "%zu", i);
        const char *argv[] = { "true", number, NULL };
        bfork_function f = { .argv = argv };
        bfork_stream_add(s, bfork_pool_submit_raw(w->pool, &f, NULL, NULL, 0), NULL);
    }
    for (size_t i = 0; i < w->n; i++) {
        bfork_future *f = work_next(s);
        bfork_bytes out, err;
        int status;
        if (bfork_result(f, &status, &out, &err) != 0 || status != 0)
            contest_fail("command: %s", bfork_last_error()->message);
        bfork_future_free(&f);
    }
    t = contest_now() - t;
    bfork_stream_free(&s);
    return (double)w->n / t;
}
