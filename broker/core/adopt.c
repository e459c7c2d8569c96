/* SPDX-License-Identifier: MPL-2.0
 * adopt.c - what workers say they hold: after a short cut it is compared with what we know; after our restart it is adopted by its
 * ticket, and the client's replay is cut against it.
 *
 * A range is adopted only as far as nothing else of this epoch answers for it: whoever comes late is fenced. Results come in
 * order, so what the client has got of an attempt, and does not replay, is its beginning: then the attempt starts behind it. An
 * adopted attempt has no arguments until the client has replayed them (pieces, which come in the order of the indexes).
 *
 * Looking at what a worker holds may take several turns. What it says behind that waits (worker.behind) and is taken in afterwards,
 * in order: a result may be of an attempt that is adopted only then.
 */
#include "state.h"

#define STEPS_A_PLACE 24u           /* of a search, a removal and an insertion, about */

/* Does somebody answer for a part of [first, end)? Only waiting ranges may lie there: so many, and no more than a turn can move.
 * (Ranges that were handed out as one wait as one when they are replayed, or nearly.) */
static bool is_taken(struct broker *b, const struct job *j, uint64_t first, uint64_t end, size_t *ret_waiting)
{
    *ret_waiting = 0;
    for (INTERVAL_EACH(&j->index, first, end, v)) {
        b->steps++;
        if (v->kind == PLACE_LIVE || v->kind == PLACE_OUTCOME || ++*ret_waiting > TURN_STEPS)
            return true;
    }
    return false;
}

/* Where the tasks before index `end` begin that all wait in a row; not below first. */
static uint64_t wait_from(struct broker *b, const struct job *j, uint64_t first, uint64_t end)
{
    struct interval *v = interval_at(&j->index, end - 1);

    for (unsigned n = 0; v && v->first < end && v->end >= end && end > first; v = interval_prev(v)) {
        if (n++ > TURN_STEPS || (v->kind != PLACE_QUEUED && v->kind != PLACE_HELD))
            break;
        end = v->first;
        b->steps++;
    }
    return end > first ? end : first;
}

/* Moves what of [next, end) waits to the attempt. */
static void carve(struct broker *b, struct attempt *a)
{
    struct job *j = a->job;

    for (INTERVAL_EACH(&j->index, a->next, a->end, v)) {
        struct range *r = INTERVAL_ENTRY(v, struct range, at);
        b->steps++;
        if (r->s.first < a->next)
            brk_range_split(b, j, r, (uint32_t)(a->next - r->s.first));
        if (r->s.first + r->s.count > a->end)
            r = brk_range_split(b, j, r, (uint32_t)(a->end - r->s.first));
        brk_range_out(b, j, r);
        brk_job_pending(b, j, 0, 0, 0, (int64_t)span_bytes(&r->s));
        brk_attempt_bytes(a, (int64_t)span_bytes(&r->s));
        brk_attempt_piece(b, a, r);
    }
}

/* Does the ticket say that this worker may answer for the range? */
static bool genuine(struct broker *b, const struct worker *w, const struct wire_item *it)
{
    uint8_t ticket[WIRE_TICKET], differ = 0;

    if (!b->c.mac || !it->count || it->first + it->count < it->first || it->first + it->count > it->end)
        return false;
    brk_attempt_ticket(b, it->job_id, it->owner, w, it->first, it->end, it->id, ticket);
    for (size_t i = 0; i < WIRE_TICKET; i++)
        differ |= ticket[i] ^ it->ticket[i];
    return !differ;
}

/* Its job came to its end here before the worker was back. */
static bool has_ended(struct broker *b, const struct wire_item *it)
{
    struct owner *o = brk_owner_find(b, it->owner);

    return brk_ended_has(b, it->owner, it->job_id) && !(o && brk_job_find(b, o, it->job_id));
}

static struct job *parked(struct broker *b, const struct wire_item *it)
{
    struct owner *o = brk_owner_get(b, it->owner);
    struct job *j = o ? brk_job_find(b, o, it->job_id) : NULL;

    if (o && !j && (j = brk_job_new(b, o, it->job_id)))
        brk_job_park(b, j, b->now + b->c.detach_ms * CLOCK_MS);
    brk_owner_unref(b, o);
    return j;
}

static int adopt(struct broker *b, struct worker *w, const struct wire_item *it)
{
    uint64_t first = it->first, end = first + it->count, from = first;
    struct attempt *a;
    size_t waiting;
    struct job *j;

    if (!genuine(b, w, it)) {
        b->n.foreign += it->count;
        return brk_attempt_foreign(b, w, it->id);
    }
    if (has_ended(b, it))
        return brk_attempt_foreign(b, w, it->id);
    if (!(j = parked(b, it)))
        return BFORK_ENOMEM;
    if (brk_account_takes_parked(b, j->owner) < 0 || (j->client && j->client->dormant))
        return brk_attempt_foreign(b, w, it->id);   /* dormant: its processes are to end */
    if (first < j->next)
        from = wait_from(b, j, first, end < j->next ? end : j->next);
    if (from == end || is_taken(b, j, from, end, &waiting)) {
        return brk_attempt_foreign(b, w, it->id);
    }
    if (brk_reserve(b, 12 + waiting, 12 + waiting) < 0 || !(a = brk_attempt_new(b, j, w, NULL)))
        return BFORK_ENOMEM;
    b->n.adopted++;
    w->peer->windows++;
    a->id = it->id;
    a->adopted = a->sent = true;
    a->round = w->round;
    a->next = from;
    a->end = end;
    a->sent_at = b->now;
    a->s = (struct span){ .first = first, .count = (uint32_t)(it->end - first), .tries = it->tries, .crashes = it->crashes };
    map_put(&b->attempts, a->id, a);
    carve(b, a);
    brk_counts_take(b, a);
    brk_attempt_place(a, from, end);
    w->n_sent += end - from;
    brk_job_pending(b, j, 0, 0, (int64_t)(end - from), 0);
    if (j->client)
        j->client->adopted = true;
    if (j->pool)
        brk_attempt_bind(b, a);
    brk_cancel_wake(b, j);
    return 0;
}

int brk_recover_held(struct broker *b, struct worker *w, const struct wire_item *it)
{
    struct attempt *a = map_get(&b->attempts, it->id);
    uint64_t end = it->first + it->count;

    b->steps++;
    if (a && a->worker == w && a->sent) {
        w->peer->windows += a->round != w->round;   /* once, however often it is told */
        a->round = w->round;
        if (a->state == ATTEMPT_FINISHED || !it->count || end < a->next || end >= a->end)
            return 0;
        if (brk_reserve(b, 8, 8) < 0)
            return BFORK_ENOMEM;
        brk_attempt_shrink(b, a, end);
        return 0;
    }
    if (!a && !w->same_epoch)
        return adopt(b, w, it);
    return brk_attempt_foreign(b, w, it->id);
}

/* HOLDING is complete: what was not reported has never arrived. */
void brk_recover_seen(struct broker *b, struct worker *w, struct attempt *a)
{
    b->steps++;
    if (a->round != w->round) {
        brk_attempt_requeue(b, a, false, NULL, 0);
        return;
    }
    list_remove(&w->attempts, &a->in_worker);
    list_push_back(&w->attempts, &a->in_worker);
    brk_attempt_recall_again(b, a);
}

void brk_worker_ready(struct broker *b, struct worker *w)
{
    w->state = WORKER_READY;
    w->joined = true;
    brk_effect_log_session(b, w->key, LOG_INFO_, "worker %s is ready with %u slots", w->name, w->slots);
    brk_pool_check_doubts(b);
    brk_grant_workers_changed(b);
}

/* Takes from the budget what it cost; false: the session has failed, and the worker may be gone. */
bool brk_holding_look(struct broker *b, struct worker *w, struct holding *h, uint32_t *budget)
{
    for (; h->at < h->n && *budget; h->at++) {
        uint64_t before = b->steps, cost;
        int rc = brk_recover_held(b, w, &h->items[h->at]);
        if (rc < 0) {
            if (rc == BFORK_ENOMEM)
                brk_session_break(b, w->peer);
            else
                brk_session_fail(b, w->peer, rc, TOO_MANY_FOREIGN);
            return false;
        }
        cost = (b->steps - before) / STEPS_A_PLACE + 1;
        budget_take(budget, cost);
    }
    return true;
}

void brk_behind_free(struct broker *b, struct account *a, struct behind *m)
{
    for (uint32_t i = 0; i < m->m.n_items; i++) {
        slice_unref(&m->items[i].lens);
        slice_unref(&m->items[i].body);
    }
    brk_mem_free_for(b, a, m, sizeof(*m) + m->m.n_items * sizeof(m->items[0]));
}

/* 0, BFORK_EQUOTA or BFORK_ENOMEM. */
int brk_behind_new(struct broker *b, struct worker *w, const struct wire_msg *m, struct behind **ret)
{
    size_t size = sizeof(struct behind) + m->n_items * sizeof(m->items[0]), bytes = 0;
    struct behind *k;
    int rc = 0;

    for (uint32_t i = 0; i < m->n_items; i++)
        bytes += wire_item_bytes(&m->items[i]);
    if (brk_account_takes_foreign(b, w, size + bytes) < 0)
        return BFORK_EQUOTA;
    if (!(k = brk_mem_new_for(b, w->account, size)))
        return BFORK_ENOMEM;
    /* of the head only what is of numbers: a host's name, or a body, lies in a frame that is gone by then */
    k->m = (struct wire_msg){ .type = m->type, .items = k->items, .n_items = m->n_items };
    if (m->type == WIRE_WORKER_STATE)
        k->m.u.worker_state = m->u.worker_state;
    for (uint32_t i = 0; i < m->n_items; i++) {
        k->items[i] = m->items[i];
        k->items[i].lens = k->items[i].body = slice_none();
    }
    for (uint32_t i = 0; i < m->n_items && rc == 0; i++)
        if ((rc = brk_bytes_keep(b, w->account, m->items[i].lens, &k->items[i].lens)) == 0)
            rc = brk_bytes_keep(b, w->account, m->items[i].body, &k->items[i].body);
    if (rc < 0)
        brk_behind_free(b, w->account, k);
    else
        *ret = k;
    return rc;
}

/* What has no room comes again: the worker keeps it until it is acknowledged, and reports it in its next connection. */
void brk_worker_wait_behind(struct broker *b, struct worker *w, const struct wire_msg *m)
{
    struct behind *k;
    int rc = brk_behind_new(b, w, m, &k);

    if (rc == BFORK_EQUOTA)
        brk_session_drop(b, w->peer, "it sends more, before all that it holds is looked at, than is kept for its key");
    else if (rc < 0)
        brk_session_break(b, w->peer);
    else
        list_push_back(&w->behind, &k->node);
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
        brk_worker_said(b, w, &m->m);
        brk_loan_forget(b);
        brk_behind_free(b, a, m);
        brk_account_unref(a);
        if (!(p = map_get(&b->peers, id)) || p->worker != w || p->state == PEER_CUT)
            return true;
    }
    brk_peer_dirty(b, w->peer);
    return true;
}

void brk_worker_behind_forget(struct broker *b, struct worker *w)
{
    struct list_node *n;

    while ((n = list_pop(&w->behind)))
        brk_behind_free(b, w->account, LIST_ENTRY(n, struct behind, node));
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
void brk_adopt_holding(struct broker *b, struct worker *w, const struct wire_msg *m)
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
