/* SPDX-License-Identifier: MPL-2.0
 * tick.c - what is due at a time: held tasks, leases, sessions that are gone for too long, parked jobs.
 *
 * All that is due at one moment may go over several turns: then the next tick is due at once.
 */
#include "rules.h"

#define DUE_ROOM 4u                 /* a range that is due is queued as it is, or becomes an outcome */

/* Held ranges of j whose time has come are queued; at most once and perhaps begun: nobody has reported them, so they are unknown.
 * False: not all that are due. */
static bool release_held(struct broker *b, struct job *j, uint32_t *budget)
{
    struct interval *v;

    while ((v = interval_first(&j->held)) && v->first <= b->now) {
        struct range *r = HELD_RANGE(v);
        if (!*budget || brk_reserve(b, DUE_ROOM, DUE_ROOM) < 0)
            return false;
        --*budget;
        b->steps++;
        brk_cancel_wake(b, j);
        brk_range_out(b, j, r);
        if (r->run.flags & WIRE_MAYBE_STARTED && job_once(j)) {
            brk_outcome_text(b, j, r->run.first, r->run.count, r->run.tries + 1u, BFORK_UNKNOWN, OUTCOME_UNREPORTED);
            brk_range_free(b, j, r);
        } else {
            brk_range_queue(b, j, r, false);
        }
    }
    return true;
}

void brk_job_release_held(struct broker *b, uint64_t *next)
{
    uint32_t budget = TURN_STEPS;

    for (LIST_EACH_SAFE(&b->holders, n, after)) {
        struct job *j = LIST_ENTRY(n, struct job, holder);
        struct interval *v;
        if (!release_held(b, j, &budget)) {
            *next = b->now;
            if (list_in(&j->holder)) {          /* the others are first in the next turn */
                list_remove(&b->holders, n);
                list_push_back(&b->holders, n);
            }
            return;
        }
        if ((v = interval_first(&j->held)) && v->first < *next)
            *next = v->first;
    }
}

static void tick_workers(struct broker *b, uint64_t *next)
{
    for (LIST_EACH_SAFE(&b->workers, n, after)) {
        struct worker *w = LIST_ENTRY(n, struct worker, node);
        struct peer *p = w->peer;
        b->steps++;
        if (w->lease_end > b->now) {
            *next = w->lease_end < *next ? w->lease_end : *next;
            continue;
        }
        brk_worker_end(b, w, p ? "it was silent for longer than its lease"
                               : "it was disconnected and did not come back within its lease");
        if (p)
            brk_peer_cut(b, p, "silent for longer than its lease");
    }
}

/* Its timer has run out. */
static void tick_client(struct broker *b, struct client *c)
{
    uint64_t end = c->detached_at + b->c.detach_ms * CLOCK_MS;

    if (c->peer) {
        c->mute_pools = c->pool_list.count;
        c->mute_jobs = c->job_list.count;
        brk_client_away(b, c);
        brk_client_dirty(b, c);
    } else if (end <= b->now) {
        brk_client_end(b, c);
    } else {
        brk_client_dormant(b, c);
        brk_client_timer(b, c, end);
    }
}

/* What is due; all that is due at one moment may go over several turns. */
void brk_session_tick(struct broker *b, uint64_t *next)
{
    uint64_t until = b->steps + TURN_STEPS;
    struct interval *v;

    tick_workers(b, next);
    while ((v = interval_first(&b->timers)) && v->first <= b->now && b->steps < until) {
        struct client *c = INTERVAL_ENTRY(v, struct client, timer);
        b->steps++;
        interval_take(&b->timers, v);
        tick_client(b, c);
    }
    if (v && v->first < *next)
        *next = v->first;
    while ((v = interval_first(&b->parked)) && v->first <= b->now && b->steps < until) {
        b->steps++;
        interval_take(&b->parked, v);
        brk_job_end(b, INTERVAL_ENTRY(v, struct job, parked));
    }
    if (v && v->first < *next)
        *next = v->first;
}
