/* SPDX-License-Identifier: MPL-2.0
 * grant.c - what the broker grants of slots: lanes get them, lose them, are bound to a pool's handle and forgotten with it.
 */
#include "rules/rules.h"

#include <string.h>

/* Processes beyond the grant finish what they have begun and are fed no more. */
static void park_processes(struct worker *w, struct lane *l)
{
    uint32_t over = l->busy > l->slots ? l->busy - l->slots : 0;

    for (LIST_EACH(&l->procs, n)) {
        struct proc *p = LIST_ENTRY(n, struct proc, in_lane);
        bool was = p->parked;

        if ((p->state != PROC_READY && p->state != PROC_KILLED) || list_empty(&p->attempts))
            continue;
        p->parked = over > 0;
        over -= over > 0;
        if (p->parked && !was)
            wrk_proc_retract(w, p, p->pending);
        if (p->state == PROC_READY)
            wrk_proc_place(p);
    }
}

/* Its specification asks for what this release does not know: that is told by name, and nothing of the pool runs here. The lane is
 * there for what the broker has sent before it hears so. */
static void lane_refuse(struct worker *w, struct lane *l)
{
    char why[sizeof(l->fail_text)];

    memcpy(why, l->fail_text, sizeof(why));
    wrk_lane_fail(w, l, l->unfit, "pool_spec", why);
}

static void set_slots(struct worker *w, struct lane *l, uint32_t slots)
{
    bool was_idle = wrk_lane_idle(l), stands = l->state != LANE_COLD && l->state != LANE_FAILED;

    l->slots = slots;
    if (slots && !stands && l->unfit)
        lane_refuse(w, l);
    else if (slots && !stands)
        wrk_lane_start(w, l);
    park_processes(w, l);
    w->staff = true;
    wrk_lane_dirty(w, l);
    if (wrk_lane_idle(l) && !was_idle)
        wrk_lane_became_idle(w, l);
}

void wrk_lane_unbind_all(struct worker *w)
{
    for (LIST_EACH_SAFE(&w->lanes, n, after)) {
        struct lane *l = LIST_ENTRY(n, struct lane, all);

        wrk_lane_unbind(w, l);
        if (l->n_attempts == 0 && l->slots) {
            l->slots = 0;
            l->idle_since = w->now;
            w->staff = true;
        }
    }
    w->evict = true;
}

void wrk_lane_stale_all(struct worker *w)
{
    for (LIST_EACH(&w->lanes, n)) {
        struct lane *l = LIST_ENTRY(n, struct lane, all);

        l->stale = true;
        wrk_lane_unbind_jobs(w, l);
        wrk_lane_dirty(w, l);
    }
}

/* The broker may have given up its pool meanwhile, and would not say so. */
void wrk_lane_unbind_idle(struct worker *w)
{
    for (LIST_EACH(&w->lanes, n)) {
        struct lane *l = LIST_ENTRY(n, struct lane, all);

        if (l->bound && wrk_lane_idle(l))
            wrk_lane_unbind(w, l);
    }
    w->evict = true;
}

void wrk_lane_expire(struct worker *w, struct lane *l)
{
    if (!l->stale || !l->slots || l->busy || !list_empty(&l->queue))
        return;
    set_slots(w, l, 0);
    w->again = true;
}

static bool has_strangers(const struct lane *l)
{
    for (uint32_t k = 0; k < l->n_jobs; k++)
        if (l->jobs[k] && !l->jobs[k]->bound)
            return true;
    return false;
}

/* A job that was not described on this connection may be of another pool: this lane was found by digest and owner, which pools may
 * have in common. The broker looks for what runs and waits of it where that pool has slots, and would not ask for it when there are
 * none here. So what has not begun goes back, and what runs goes on until the broker closes it. */
static void strangers_leave(struct worker *w, struct lane *l)
{
    if (!has_strangers(l))
        return;
    for (LIST_EACH_SAFE(&w->attempts, n, after)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, all);

        if (a->job->lane == l && !a->job->bound)
            wrk_attempt_hand_back(w, a);
    }
}

/* The pool is no more: nothing of it is wanted. Its processes end in an orderly way, its template stays warm for the next one. */
static void lane_forget(struct worker *w, struct lane *l)
{
    for (LIST_EACH_SAFE(&w->attempts, n, after)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, all);

        if (a->job->lane == l && a->job->bound)
            wrk_attempt_kill(w, a);
    }
    strangers_leave(w, l);
    for (LIST_EACH(&l->procs, n)) {
        struct proc *p = LIST_ENTRY(n, struct proc, in_lane);

        if (list_empty(&p->attempts))
            wrk_proc_stop(w, p);
    }
    wrk_lane_unbind(w, l);
    l->slots = 0;
    if (wrk_lane_idle(l))
        wrk_lane_became_idle(w, l);
}

void wrk_lane_grant(struct worker *w, const struct wire_grant *g)
{
    struct lane *l = map_get(&w->by_pool, g->pool);

    if (g->slots == 0 && g->spec.n == 0) {
        if (l)
            lane_forget(w, l);
        return;
    }
    if (l && g->digest.n == WIRE_DIGEST && memcmp(l->digest, g->digest.p, WIRE_DIGEST) != 0) {
        lane_forget(w, l);      /* the handle was given to another pool */
        l = NULL;
    }
    if (!l) {
        if (!g->slots)          /* forgotten: nothing is kept, and the specification is not there */
            return;
        if (!(l = wrk_lane_find_unbound(w, g)) && !(l = wrk_lane_new(w, g)))
            return;
        if (map_put(&w->by_pool, g->pool, l) < 0) {
            wrk_link_drop(w, "out of memory");
            return;
        }
        wrk_said_leave(w, l);
        l->bound = true;
        l->pool = g->pool;
    }
    l->stale = false;
    set_slots(w, l, g->slots);
    if (!g->slots)
        strangers_leave(w, l);
}
