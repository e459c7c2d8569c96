/* SPDX-License-Identifier: MPL-2.0
 * from_worker.c - the door for messages of workers: taken in at once, or, while what the worker holds is looked at, kept behind
 * that.
 *
 * A result may be of an attempt that is adopted only by HOLDING, so what comes behind it waits (worker.behind) and is taken in
 * afterwards, in order.
 */
#include "core.h"

/* Takes in one that need not wait. */
static void take_said(struct broker *b, struct worker *w, const struct wire_msg *m)
{
    switch (m->type) {
    case WIRE_RESULTS: brk_attempt_results(b, w, m); break;
    case WIRE_RECALLED: brk_asks_told(b, w, m); break;
    case WIRE_OUTPUT: brk_said_take(b, w, m); break;
    case WIRE_WORKER_STATE: brk_worker_stands(b, w, &m->u.worker_state); break;
    default: break;
    }
}

/* False: the budget is used up. The worker may be gone after any of them. */
static bool behind_some(struct broker *b, struct worker *w, uint32_t *budget)
{
    broker_peer id = w->peer->id;
    struct list_node *n;

    while ((n = list_first(&w->behind))) {
        struct behind *m = LIST_ENTRY(n, struct behind, node);
        struct account *a;
        struct peer *p;
        if (!*budget)
            return false;
        budget_take(budget, m->m.n_items + 1);
        list_remove(&w->behind, n);
        a = brk_account_ref(w->account);
        take_said(b, w, &m->m);
        brk_loan_forget(b);
        brk_behind_free(b, a, m);
        brk_account_unref(a);
        if (!(p = map_get(&b->peers, id)) || p->worker != w || p->state == PEER_CUT)
            return true;
    }
    brk_peer_dirty(b, w->peer);
    return true;
}

bool brk_worker_join(struct broker *b, struct worker *w, uint32_t *budget)
{
    struct list_node *n;

    while ((n = list_first(&w->told))) {
        struct holding *h = LIST_ENTRY(n, struct holding, node);
        if (!brk_holding_look(b, w, h, budget))
            return true;
        if (h->at < h->n)
            return false;
        list_remove(&w->told, n);
        brk_mem_free_for(b, w->account, h, sizeof(*h) + h->n * sizeof(h->items[0]));
        w->unseen = w->attempts.count;
    }
    if (!w->all_told)
        return true;
    for (; w->unseen && (n = list_first(&w->attempts)); w->unseen--) {
        if (!*budget)
            return false;
        budget_take(budget, attempt_places(LIST_ENTRY(n, struct attempt, in_worker)));
        brk_recover_seen(b, w, LIST_ENTRY(n, struct attempt, in_worker));
    }
    if (w->state == WORKER_JOINING)
        brk_worker_ready(b, w);
    return behind_some(b, w, budget);
}

/* The records are kept, and looked at as far as a turn allows. */
static void take_holding(struct broker *b, struct worker *w, const struct wire_msg *m)
{
    size_t size = sizeof(struct holding) + m->n_items * sizeof(m->items[0]);
    struct holding *h = NULL;

    if (w->state != WORKER_JOINING || w->all_told) {
        brk_session_fail(b, w->peer, BFORK_EPROTOCOL, "HOLDING is only sent once, after HELLO");
        return;
    }
    if (m->n_items && brk_account_takes_foreign(b, w, size) < 0) {
        brk_session_fail(b, w->peer, BFORK_EQUOTA, "it tells of more attempts in a moment than the broker keeps for its key");
        return;
    }
    if (m->n_items && !(h = brk_mem_new_for(b, w->account, size))) {
        brk_session_break(b, w->peer);
        return;
    }
    if (h) {
        h->n = m->n_items;
        memcpy(h->items, m->items, m->n_items * sizeof(m->items[0]));
        list_push_back(&w->told, &h->node);
    }
    w->all_told = m->u.holding.last;
    w->unseen = w->attempts.count;
    if (!list_in(&w->join.node) && !brk_worker_join(b, w, brk_chore_budget(b, &b->own)))
        brk_chore_add(b, &b->own, &w->join, CHORE_WORKER_JOIN);
}

void brk_worker_recv(struct broker *b, struct peer *p, const struct wire_msg *m)
{
    struct worker *w = p->worker;

    switch (m->type) {
    case WIRE_HOLDING: take_holding(b, w, m); break;
    case WIRE_RESULTS:
    case WIRE_RECALLED:
    case WIRE_OUTPUT:
    case WIRE_WORKER_STATE:
        if (worker_is_behind(w))
            brk_worker_wait_behind(b, w, m);
        else
            take_said(b, w, m);
        break;
    case WIRE_POOL_FAILED: brk_pool_failed(b, w, &m->u.pool_failed); break;
    case WIRE_PONG: brk_specs_pong(b, w, m->u.ping.stamp); break;
    default: break;
    }
}
