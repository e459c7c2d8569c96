/* SPDX-License-Identifier: MPL-2.0
 * start.c - templates of lanes: started, stopped, kept warm, evicted, started again after a pause.
 *
 * An idle lane's template stays until more than idle_lanes of them are there, the longest idle goes first.
 */
#include "rules/rules.h"

#include <stdlib.h>

void wrk_lane_start(struct worker *w, struct lane *l)
{
    struct worker_effect *e = wrk_effect_add(w, WORKER_LANE_START);

    wrk_lane_move(l, LANE_START);
    l->bad_starts = 0;
    l->scarce = 0;
    l->tell_failed = false;
    e->lane = l->id;
    e->spec = wire_bin_of(l->spec->data, l->spec->size);
    e->owner = wire_bin_of(l->owner, WIRE_KEY);
    e->digest = wire_bin_of(l->digest, WIRE_DIGEST);
    wrk_effect_keep(w, slice_of(l->spec, 0, l->spec->size));
}

static void forget_procs(struct worker *w, struct lane *l)
{
    for (struct list_node *n; (n = list_first(&l->procs));) {
        struct proc *p = LIST_ENTRY(n, struct proc, in_lane);

        for (struct attempt *a; (a = wrk_proc_last(p));) {
            wrk_attempt_unpush(a, a->next);
            if (a->state == ATTEMPT_DOOMED)
                wrk_attempt_free(w, a);
            else
                wrk_attempt_queue_front(w, a);
        }
        wrk_proc_forget(w, p);
    }
}

/* The template and its processes go; attempts stay in the queue, which is the caller's business. */
void wrk_lane_stop(struct worker *w, struct lane *l, enum lane_event event)
{
    if (l->state == LANE_STARTING || l->state == LANE_READY)
        wrk_effect_add(w, WORKER_LANE_STOP)->lane = l->id;
    wrk_lane_move(l, event);
    forget_procs(w, l);
}

void wrk_lane_free(struct worker *w, struct lane *l)
{
    wrk_lane_stop(w, l, LANE_END);
    for (LIST_EACH_SAFE(&w->attempts, n, after)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, all);

        if (l->n_attempts && a->job->lane == l)
            wrk_attempt_free(w, a);
    }
    wrk_lane_unbind(w, l);
    wrk_said_leave(w, l);
    map_take(&w->by_lane, l->id);
    list_remove(&w->lanes, &l->all);
    if (list_in(&l->dirty))
        list_remove(&w->dirty, &l->dirty);
    buf_unref(&l->spec);
    free(l->jobs);
    free(l);
}

/* Warm templates beyond idle_lanes, and lanes that nobody can find any more. */
void wrk_lane_evict(struct worker *w)
{
    w->evict = false;
    for (;;) {
        struct lane *oldest = NULL;
        uint32_t warm = 0;

        for (LIST_EACH_SAFE(&w->lanes, n, after)) {
            struct lane *l = LIST_ENTRY(n, struct lane, all);

            if (!wrk_lane_idle(l))
                continue;
            if (!l->bound && l->state != LANE_READY) {
                wrk_lane_free(w, l);
                continue;
            }
            if (l->state != LANE_READY && l->state != LANE_STARTING)
                continue;
            warm++;
            if (!wrk_lane_is_over(w, l) && (!oldest || l->idle_since < oldest->idle_since))
                oldest = l;
        }
        if (warm <= w->config.idle_lanes || !oldest)    /* the end of a process calls here again */
            return;
        if (oldest->bound)
            wrk_lane_stop(w, oldest, LANE_STOP);
        else
            wrk_lane_free(w, oldest);
    }
}

/* Templates whose pause is over are started again, if somebody still wants them. */
void wrk_lane_tick(struct worker *w)
{
    w->backoff_at = CLOCK_NEVER;
    for (LIST_EACH(&w->lanes, n)) {
        struct lane *l = LIST_ENTRY(n, struct lane, all);

        if (l->state != LANE_BACKOFF)
            continue;
        if (l->again_at > w->now)
            w->backoff_at = l->again_at < w->backoff_at ? l->again_at : w->backoff_at;
        else if (wrk_lane_idle(l))
            wrk_lane_move(l, LANE_REST);
        else
            wrk_lane_start(w, l);
    }
}
