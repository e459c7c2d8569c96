/* SPDX-License-Identifier: MPL-2.0
 * chores.c - chores (model/chore.c) are carried out, a little in each turn.
 *
 * Owners with chores share a turn's steps evenly, and an owner's chores take turns, so nobody waits for another's. A chore never
 * fails and needs no memory of its own; when memory is short it stops and goes on in the next turn.
 */
#include "core.h"

#define STEPS_LEAST 64u

/* True: it is done, and what it was part of may be gone. */
static bool run_chore(struct broker *b, struct chore *c, uint32_t *budget)
{
    bool done = true;

    switch (c->kind) {
    case CHORE_CLIENT_END: done = brk_client_end_some(b, LIST_ENTRY(c, struct client, end), budget); break;
    case CHORE_OWNER_WAKE: done = brk_owner_wake_some(b, LIST_ENTRY(c, struct owner, wake), budget); break;
    case CHORE_LANE_RECALL: done = brk_lane_recall_some(b, LIST_ENTRY(c, struct lane, recall), budget); break;
    case CHORE_CLIENT_AWAY: done = brk_client_away_some(b, LIST_ENTRY(c, struct client, away), budget); break;
    case CHORE_SAID_ACK: done = brk_said_ack_some(b, LIST_ENTRY(c, struct client, said_ack), budget); break;
    case CHORE_POOL_END: done = brk_pool_end_some(b, LIST_ENTRY(c, struct pool, end), budget); break;
    case CHORE_JOB_END: done = brk_job_reap(b, LIST_ENTRY(c, struct job, end), budget); break;
    case CHORE_JOB_BIND: done = brk_job_bind_some(b, LIST_ENTRY(c, struct job, bind), budget); break;
    case CHORE_WORKER_JOIN: done = brk_worker_join(b, LIST_ENTRY(c, struct worker, join), budget); break;
    case CHORE_WORKER_END: done = brk_worker_end_some(b, LIST_ENTRY(c, struct worker, end), budget); break;
    case CHORE_CANCEL: {
        struct job *j = LIST_ENTRY(c, struct job, cancel);
        done = job_is_ending(j) || brk_cancel_some(b, j, budget);
        break;
    }
    case CHORE_REPLAY: done = brk_tasks_take_some(b, LIST_ENTRY(c, struct job, replay), budget); break;
    case CHORE_ROOM: done = brk_replay_room(b, LIST_ENTRY(c, struct job, room)); break;
    case CHORE_ACK: {
        struct job *j = LIST_ENTRY(c, struct job, ack);
        if ((done = job_is_ending(j) || brk_outcome_ack_some(b, j, budget)))
            brk_job_maybe_end(b, j);
        break;
    }
    }
    return done;
}

static void run_owner(struct broker *b, struct owner *o, uint32_t budget)
{
    struct list_node *n;

    o->refs++;
    while (budget && (n = list_pop(&o->chores))) {
        struct chore *c = LIST_ENTRY(n, struct chore, node);
        /* At least an eighth of what is left each: of very many chores none would come far enough to be done. */
        uint32_t part = budget / (o->chores.count < 8 ? (uint32_t)o->chores.count + 1 : 8), left = part ? part : budget;
        budget -= left;
        if (!run_chore(b, c, &left) && !list_in(n))
            list_push_back(&o->chores, n);
        budget += left;
        if (left)               /* it waits for memory, or is done */
            budget -= budget ? 1 : 0;
    }
    if (list_in(&o->busy))
        list_remove(&b->busy, &o->busy);
    if (!list_empty(&o->chores))
        list_push_back(&b->busy, &o->busy);
    brk_owner_unref(b, o);
}

void brk_chores_run(struct broker *b, bool all)
{
    size_t owners = b->busy.count;
    uint32_t share = owners ? b->c.turn_steps / (uint32_t)owners : 0;
    struct list_node *n;

    if (share < STEPS_LEAST)
        share = b->c.turn_steps < STEPS_LEAST ? b->c.turn_steps : STEPS_LEAST;
    if (all)
        share = UINT32_MAX;
    for (; (all || owners--) && (n = list_pop(&b->busy));)
        run_owner(b, LIST_ENTRY(n, struct owner, busy), share);
    if (b->busy.count)
        b->again = true;
}
