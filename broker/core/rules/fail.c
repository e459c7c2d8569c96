/* SPDX-License-Identifier: MPL-2.0
 * fail.c - pools that workers refuse: for a while, for good, or perhaps. A pool fails when no worker is left that may run it;
 * while one is on its way back it is in doubt, and its queue waits.
 */
#include "rules.h"

#include "wire/times.h"

#include <stdio.h>

/* A pool has failed when there are ready workers and none is left that has not failed it. While one that may be able to run it is
 * on its way back, or may be (the hold lasts), it is in doubt: nothing is refused, its queue waits. */
void brk_pool_check_failed(struct broker *b, struct pool *p)
{
    uint32_t failed = 0, failed_away = 0, ready = 0, n_away = 0;
    bool was = p->state == POOL_FAILED, all, doubt;

    for (LIST_EACH(&p->lanes, n)) {
        struct lane *l = LIST_ENTRY(n, struct lane, in_pool);
        b->steps++;
        failed += l->failed && l->worker->state == WORKER_READY;
        failed_away += l->failed && worker_is_away(l->worker);
    }
    for (LIST_EACH(&b->workers, n)) {
        if (!failed)
            break;
        b->steps++;
        ready += LIST_ENTRY(n, struct worker, node)->state == WORKER_READY;
        n_away += worker_is_away(LIST_ENTRY(n, struct worker, node));
    }
    all = failed && failed == ready;
    doubt = n_away > failed_away || b->now < b->hold_end;
    brk_pool_move(b, p, !all ? POOL_ON_RUNS : doubt ? POOL_ON_DOUBT : POOL_ON_REFUSED);
    if (p->state == POOL_DOUBT && b->now < b->hold_end && b->hold_end < b->doubt_at) {
        b->doubt_at = b->hold_end;
        if (b->doubt_at < b->tick_at)
            b->tick_at = b->doubt_at;
    }
    if ((p->state == POOL_FAILED) == was)
        return;
    if (was)
        p->code = 0;
    brk_pool_tell(b, p);
    brk_pool_changed(b, p);
    if (!was)
        brk_pool_work(b, p);    /* what waits is refused in the next flush */
}

void brk_pool_check_doubts(struct broker *b)
{
    for (LIST_EACH_SAFE(&b->doubtful, n, after)) {
        b->steps++;
        brk_pool_check_failed(b, LIST_ENTRY(n, struct pool, doubtful));
    }
}

void brk_pool_tick(struct broker *b, uint64_t *next)
{
    if (b->doubt_at <= b->now) {
        b->doubt_at = CLOCK_NEVER;
        brk_pool_check_doubts(b);
    }
    if (b->doubt_at < *next)
        *next = b->doubt_at;
}

static void say_why(struct pool *p, const struct worker *w, const struct wire_pool_failed *f)
{
    snprintf(p->text, sizeof(p->text), "%.*s (worker %s)", (int)(f->text.n < 200 ? f->text.n : 200), f->text.n ? f->text.p : "",
             w->name);
}

/* Its program has no room at that worker: that is no fault of the pool, whose work goes elsewhere or there again after a pause. */
static void not_now(struct broker *b, struct lane *l, const struct wire_pool_failed *f)
{
    struct pool *p = l->pool;
    const uint64_t first = TIME_NOT_NOW_FIRST_MS * CLOCK_MS, most = TIME_NOT_NOW_MOST_MS * CLOCK_MS;
    bool again = l->not_before && b->now < l->not_before + most;

    l->pause = !again ? first : 2 * l->pause < most ? 2 * l->pause : most;
    l->not_before = b->now + l->pause;
    if (p->code < 0 && p->code != BFORK_EAGAIN)
        return;                         /* what the client is told is the refusal of another worker */
    p->code = BFORK_EAGAIN;
    say_why(p, l->worker, f);
    brk_effect_log_of(b, l->worker->instance, WIRE_ID, LOG_INFO_, "pool %s of %s waits for worker %s: %s", p->name, p->client->name,
                      l->worker->name, p->text);
}

static void fail_lane(struct broker *b, struct lane *l, const struct wire_pool_failed *f)
{
    struct pool *p = l->pool;

    l->failed = true;
    p->code = f->code < 0 ? f->code : BFORK_REFUSED;
    say_why(p, l->worker, f);
    brk_effect_log_of(b, l->worker->instance, WIRE_ID, LOG_WARNING_, "pool %s of %s failed on worker %s: %s", p->name,
                      p->client->name,
                      l->worker->name, p->text);
}

/* Its slots go to others, and what it was given is asked back. */
static void end_lane(struct broker *b, struct lane *l)
{
    brk_lane_slots(b, l, 0);
    brk_lane_recall(b, l, WIRE_WHY_DRAIN);
    brk_pool_changed(b, l->pool);
    brk_pool_tell(b, l->pool);
    brk_pool_check_failed(b, l->pool);
}

void brk_pool_crowded(struct broker *b, struct lane *l)
{
    struct wire_pool_failed why = {
        .text = WIRE_STR("it has as many specifications of this key's pools as it keeps, and all are in use there: close pools, or "
                         "wait for those that have work"),
    };

    not_now(b, l, &why);
    end_lane(b, l);
    b->again = true;
}

void brk_pool_failed(struct broker *b, struct worker *w, const struct wire_pool_failed *f)
{
    struct lane *l = map_get(&w->lane_map, f->pool);

    if (!l)
        return;
    if (f->code == BFORK_EAGAIN)
        not_now(b, l, f);
    else
        fail_lane(b, l, f);
    end_lane(b, l);
}
