/* SPDX-License-Identifier: MPL-2.0
 * template.c - what the shell says of templates: ready, failed, no room for its program; which lanes are quiet, and
 * that one of them must go.
 *
 * A lane that nothing runs or waits in is quiet, with slots or without: it yields when its program's memory is needed by another
 * one. If it has slots it goes as a lane does for whose program there is no room: the broker hears "not now" (POOL_FAILED with
 * EAGAIN), takes the slots back, and grants others, here or elsewhere, when there is work. No death of its template is counted.
 */
#include "in/in.h"
#include "worker.h"

#include "bfork.h"

void worker_lane_ready(struct worker *w, uint64_t now, worker_lane lane)
{
    struct lane *l = map_get(&w->by_lane, lane);

    w->now = now;
    if (l && wrk_lane_move(l, LANE_CAME_UP))
        w->staff = true;
}

void worker_lane_failed(struct worker *w, uint64_t now, worker_lane lane, int32_t code, const char *stage, const char *text)
{
    struct lane *l = map_get(&w->by_lane, lane);

    w->now = now;
    if (!l || (l->state != LANE_STARTING && l->state != LANE_READY))
        return;
    if (l->state == LANE_READY || code == BFORK_EAGAIN || code == BFORK_ENOMEM)
        wrk_lane_back_off(w, l, stage, text);
    else
        wrk_lane_fail(w, l, code, stage, text);
}

void worker_lane_not_now(struct worker *w, uint64_t now, worker_lane lane, const char *stage, const char *text)
{
    struct lane *l = map_get(&w->by_lane, lane);

    w->now = now;
    if (!l || l->state != LANE_STARTING)
        return;
    wrk_effect_log_of(w, l->owner, LOG_INFO_, "a pool cannot run here now (%s): %s", stage, text);
    wrk_lane_leave(w, l, BFORK_EAGAIN, stage, text);
}

uint64_t worker_lane_quiet(const struct worker *w, worker_lane lane)
{
    const struct lane *l = map_get(&w->by_lane, lane);

    if (!l || l->busy || !list_empty(&l->queue) || wrk_lane_is_over(w, l) || (l->state == LANE_STARTING && l->slots))
        return CLOCK_NEVER;
    return l->idle_since;
}

void worker_lane_yield(struct worker *w, uint64_t now, worker_lane lane, const char *text)
{
    struct lane *l = map_get(&w->by_lane, lane);

    w->now = now;
    if (!l || worker_lane_quiet(w, lane) == CLOCK_NEVER || (l->state != LANE_READY && l->state != LANE_STARTING))
        return;
    w->again = true;                    /* what is to be stopped is performed soon */
    if (l->slots)
        wrk_lane_leave(w, l, BFORK_EAGAIN, "fetch", text);
    else if (l->bound || l->n_attempts)
        wrk_lane_stop(w, l, LANE_STOP);
    else
        wrk_lane_free(w, l);
}
