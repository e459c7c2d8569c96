/* SPDX-License-Identifier: MPL-2.0
 * feed.c - which process gets which attempt, and when. Touches only lanes that changed.
 *
 * An attempt is worked on by one process, so its results come in the order of its indexes. Idle processes come first; a busy one
 * gets more only if the mean duration is known and its ring holds less than FEED_NS of work, so that two long or unknown
 * tasks are never behind each other while somebody is idle. If that happens all the same, what has not begun moves to the idle one.
 */
#include "rules/rules.h"

#include <stdlib.h>
#include <string.h>

#define LOOK_MOST 16                    /* processes compared before one is fed */
#define REBALANCE_NS (CLOCK_MS / 5)     /* a process may be idle so long before work is taken from another one's ring */

static bool knows_job(const struct proc *p, const struct job *j)
{
    return j->number < p->n_known && p->known[j->number] == j->serial;
}

static bool introduce(struct worker *w, struct proc *p, struct job *j)
{
    if (knows_job(p, j))
        return true;
    if (j->number >= p->n_known) {
        uint32_t n = j->number + 8;
        uint64_t *k = realloc(p->known, n * sizeof(*k));

        if (!k)
            return false;
        memset(k + p->n_known, 0, (n - p->n_known) * sizeof(*k));
        p->known = k;
        p->n_known = n;
    }
    if (w->ops.push_job(w->ctx, p->id, j->number, wire_bin_of(j->spec->data, j->spec->size)) < 0)
        return false;
    p->known[j->number] = j->serial;
    return true;
}

/* The limit is an effect, performed after this turn: no task of the job is pushed before. */
static bool limit_set(struct worker *w, struct proc *p, const struct job *j)
{
    if (j->run_limit_ms != p->limit_ms) {
        struct worker_effect *e;

        if (p->pending)         /* tasks under the old limit first */
            return false;
        e = wrk_effect_add(w, WORKER_PROC_LIMIT);
        e->lane = p->lane->id;
        e->proc = p->id;
        e->run_limit_ms = p->limit_ms = j->run_limit_ms;
        p->limit_turn = w->turn;
    }
    if (p->limit_turn != w->turn)
        return true;
    w->feed_again = true;
    return false;
}

/* Pushes what is left of the process's last attempt, as far as it fits. */
static void push(struct worker *w, struct proc *p, struct attempt *a)
{
    uint64_t left = a->end - a->pushed;
    uint32_t may = p->lane->max_tasks ? p->lane->max_tasks - p->given : UINT32_MAX;
    struct wire_item i = { .id = a->id, .job = a->job->handle };
    struct run rest;
    uint32_t n, done;

    if (w->lease == LEASE_OUT || (p->pending && a->pushed < a->apart) || !limit_set(w, p, a->job))
        return;
    if (!introduce(w, p, a->job)) {
        p->full = p->pending > 0;       /* an empty ring that takes no job is tried again next turn */
        w->feed_again |= !p->pending;
        return;
    }
    n = left < may ? (uint32_t)left : may;
    if (a->pushed < a->apart || (a->lost && a->lost_at == a->pushed))
        n = 1;
    rest = run_from(&a->run, &a->at, n);
    run_to_item(&rest, &i);
    if (a->lost && a->lost_at == a->pushed)     /* alone: its number of tries is its own */
        i.tries = (uint16_t)(i.tries + a->lost);
    done = w->ops.push(w->ctx, p->id, a->job->number, &i);
    if (done > i.count)
        done = i.count;
    if (!p->pending && done)
        p->since = w->now;
    p->full = done < i.count;
    run_seek(&a->run, &a->at, a->at.k + done);
    wrk_said_anew(w, a, a->pushed, done);
    a->pushed += done;
    p->pending += done;
    p->given += done;
    if (p->lane->max_tasks && p->given >= p->lane->max_tasks)
        wrk_proc_stop(w, p);
}

static void feed_partial(struct worker *w, struct lane *l)
{
    for (size_t n = l->partial.count; n && !list_empty(&l->partial); n--) {
        struct proc *p = LIST_ENTRY(l->partial.head.next, struct proc, fed);

        push(w, p, wrk_proc_last(p));
        wrk_proc_place(p);
    }
}

/* The one with the least to do, of the first few: rings that are filled evenly are looked at less often. */
static struct proc *hungriest(struct lane *l)
{
    struct proc *best = NULL;
    int looked = 0;

    for (LIST_EACH(&l->hungry, n)) {
        struct proc *p = LIST_ENTRY(n, struct proc, fed);

        if (!best || p->pending < best->pending)
            best = p;
        if (++looked == LOOK_MOST)
            break;
    }
    return best;
}

static struct proc *choose(struct lane *l)
{
    struct list_node *n = l->busy < l->slots ? list_first(&l->idle) : NULL;

    if (n)
        return LIST_ENTRY(n, struct proc, fed);
    return l->busy <= l->slots ? hungriest(l) : NULL;
}

static void feed_queue(struct worker *w, struct lane *l)
{
    struct proc *p;

    while (!list_empty(&l->queue) && (p = choose(l))) {
        struct attempt *a = LIST_ENTRY(l->queue.head.next, struct attempt, node);

        wrk_attempt_push(a, p);
        push(w, p, a);
        wrk_proc_place(p);
    }
}

/* Takes the last attempt that has not begun from the process that has most of them. */
static bool take_from_busiest(struct worker *w, struct lane *l)
{
    struct proc *from = NULL;

    for (LIST_EACH(&l->procs, n)) {
        struct proc *p = LIST_ENTRY(n, struct proc, in_lane);

        if (p->attempts.count >= 2 && !wrk_proc_is_killed(p) && (!from || p->attempts.count > from->attempts.count))
            from = p;
    }
    if (!from)
        return false;
    wrk_proc_retract(w, from, (uint32_t)(wrk_proc_last(from)->pushed - wrk_proc_last(from)->next));
    return !list_empty(&l->queue);
}

static void rebalance(struct worker *w, struct lane *l)
{
    bool uneven = l->multi && list_empty(&l->queue) && !list_empty(&l->idle) && l->busy < l->slots;

    if (!uneven)
        return;
    if (w->rebalance_at == CLOCK_NEVER) {
        w->rebalance_at = w->now + REBALANCE_NS;
        return;
    }
    if (w->now < w->rebalance_at)
        return;
    w->rebalance_at = CLOCK_NEVER;
    while (l->multi && !list_empty(&l->idle) && l->busy < l->slots && take_from_busiest(w, l))
        feed_queue(w, l);
}

void wrk_lane_feed(struct worker *w, struct lane *l)
{
    if (w->lease == LEASE_OUT)          /* fed again when the broker has answered */
        return;
    if (w->rebalance_at <= w->now && !l->multi)
        w->rebalance_at = CLOCK_NEVER;
    if (!wrk_said_full(w, l)) {
        feed_partial(w, l);
        feed_queue(w, l);
        rebalance(w, l);
    }
    wrk_lane_expire(w, l);
}
