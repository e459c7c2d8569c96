/* SPDX-License-Identifier: MPL-2.0
 * sum.c - the sums of tasks, bytes and outcomes that jobs, pools, sessions, owners and the broker have, and what hangs on them: a
 * window that is full stops a session, an account whose outcomes are not taken stops its owner.
 *
 * The only writer of n_queued, n_held, n_live, n_tasks, n_bytes, of what outcomes cost, and of `paused` and `full`. Whoever
 * changes what is summed says so here.
 */
#include "model.h"

#include <stdio.h>

/* A pool stops claiming: its slots go to others soon, if they want them. */
static void pool_lingers(struct broker *b)
{
    if (b->contended && b->regrant_at > b->now + LINGER_NS)
        b->regrant_at = b->now + LINGER_NS;
    if (b->regrant_at < b->tick_at)
        b->tick_at = b->regrant_at;
}

void brk_pool_tasks(struct broker *b, struct job *j, int64_t n)
{
    struct pool *p = j->pool;
    struct need *k = j->need;
    bool had = p->n_tasks, had_due = brk_need_due(p, k);

    p->n_tasks += (uint64_t)n;
    k->n_tasks += (uint64_t)n;
    if (!job_mute(j))
        brk_need_opened(p, k, n);
    if ((!had && p->n_tasks) || (!had_due && brk_need_due(p, k)))
        brk_pool_changed(b, p);
    else if (had_due && !brk_need_due(p, k))
        pool_lingers(b);
    if (b->regrant_at < b->tick_at)
        b->tick_at = b->regrant_at;
}

void brk_pool_opened(struct broker *b, struct job *j)
{
    struct pool *p = j->pool;
    bool had_due = brk_need_due(p, j->need);

    j->attached = p->client->attached;
    brk_need_opened(p, j->need, (int64_t)(j->n_queued + j->n_live));
    if (!had_due && brk_need_due(p, j->need))
        brk_pool_changed(b, p);
}

void brk_pool_paused(struct broker *b, struct pool *p)
{
    if (pool_is_paused(p)) {
        pool_lingers(b);
        return;
    }
    b->grants_dirty = b->grants_dirty || p->n_tasks;
    brk_pool_wake(b, p);
}

/* The sums of whoever has the job: what is ending has left those above it already, and counts as leaving. */
void brk_job_pending_above(struct broker *b, struct job *j, int64_t all, int64_t bytes)
{
    struct pool *p = j->pool;
    struct client *c = j->client;
    struct owner *o = j->owner;

    if (j->state != JOB_ENDING && p) {
        p->all_tasks += (uint64_t)all;
        p->all_bytes += (uint64_t)bytes;
    }
    if (j->state != JOB_ENDING && !(p && p->ending) && c) {
        c->n_tasks += (uint64_t)all;
        c->n_bytes += (uint64_t)bytes;
    }
    if (job_is_ending(j)) {
        o->leaving_tasks += (uint64_t)all;
        o->leaving_bytes += (uint64_t)bytes;
    } else {
        o->n_tasks += (uint64_t)all;
        o->n_bytes += (uint64_t)bytes;
    }
    if (all < 0 || bytes < 0)
        brk_chores_room(b, o);
}

void brk_job_pending(struct broker *b, struct job *j, int64_t queued, int64_t held, int64_t live, int64_t bytes)
{
    j->n_queued += (uint64_t)queued;
    j->n_held += (uint64_t)held;
    j->n_live += (uint64_t)live;
    j->n_bytes += (uint64_t)bytes;
    b->n.queued += (uint64_t)(queued + held);
    b->n.running += (uint64_t)live;
    j->owner->queued += (uint64_t)(queued + held);
    j->owner->running += (uint64_t)live;
    brk_job_pending_above(b, j, queued + held + live, bytes);
    if (j->pool)
        brk_pool_tasks(b, j, queued + live);
    if (queued > 0)
        brk_job_ready(b, j);
}

/* Pools of the owner stop, or go on. Those without tasks and slots, which may be very many, have nothing to stop or go on with. */
static void owner_wake(struct broker *b, struct owner *o)
{
    o->to_wake = o->active.count;
    if (o->to_wake)
        brk_chore_add(b, o, &o->wake, CHORE_OWNER_WAKE);
    b->grants_dirty |= !list_empty(&o->later);      /* those are looked at by turn */
}

/* Of all sessions of the key the one that keeps most waiting is named: usually it is gone, or stopped. */
static void owner_says(struct broker *b, struct owner *o)
{
    const struct client *most = NULL;
    char who[112] = "a session that is gone";       /* as much as o->why has room for */

    for (LIST_EACH(&b->clients, n)) {
        const struct client *c = LIST_ENTRY(n, struct client, node);
        b->steps++;
        if (c->owner == o && c->unacked && (!most || c->unacked > most->unacked))
            most = c;
    }
    if (most)
        snprintf(who, sizeof(who), "process %u on %.64s%s", most->pid, most->host[0] ? most->host : "an unnamed host",
                 most->peer ? "" : ", which is disconnected,");
    snprintf(o->why, sizeof(o->why), "sessions of this key leave outcomes at the broker, %s most of them, and nothing of the key "
             "is run until they are taken: end it or let it go on", who);
    brk_effect_log_key(b, o->key, LOG_WARNING_, "%s; outcomes may fill %llu bytes, a quarter of owner-memory", o->why,
                       (unsigned long long)brk_account_outcomes_max(b));
}

/* Outcomes that the clients of a key have not acknowledged fill their part of its account, or have left a part of that. */
static void owner_full(struct broker *b, struct owner *o)
{
    /* Full until half of it is free again: else its pools would stop and go on with each outcome. */
    uint64_t most = brk_account_outcomes_max(b);
    bool full = o->full ? o->account->outcomes > most / 2 : o->account->outcomes >= most;

    if (full == o->full)
        return;
    o->full = full;
    if (full)
        owner_says(b, o);
    brk_grant_workers_changed(b);       /* all its pools are told, also those that claim nothing */
    if (!full)
        brk_cancels_unstop(b, o);
    owner_wake(b, o);
}

void brk_outcome_costs(struct broker *b, struct job *j, int64_t cost, int64_t sent)
{
    struct account *a = j->owner->account;

    j->cost += (uint64_t)cost;
    j->sent_cost += (uint64_t)sent;
    a->outcomes += (uint64_t)cost;
    a->away += (uint64_t)sent;
    if (j->client) {
        j->client->unacked += (uint64_t)cost;
        j->client->sent_unacked += (uint64_t)sent;
    }
    if (cost)
        owner_full(b, j->owner);
    if (cost < 0)
        brk_chores_room(b, j->owner);
}

void brk_client_pause(struct broker *b, struct client *c)
{
    bool pause = c->unacked >= c->window || (!c->peer && !b->draining);     /* who drains lets nobody come back */

    if (pause == c->paused || c->state == CLIENT_ENDING)
        return;
    c->paused = pause;
    owner_wake(b, c->owner);
}

void brk_outcome_freed(struct broker *b, struct client *c)
{
    brk_client_pause(b, c);
    if (!list_empty(&c->sending))
        brk_client_dirty(b, c);
}
