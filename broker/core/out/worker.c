/* SPDX-License-Identifier: MPL-2.0
 * worker.c - from what has changed to messages for a worker, in the order in which it needs them: what was taken, closes, recalls,
 * forgets, grants, chunks. Only what fits; the rest waits for the next flush.
 */
#include "out.h"

static void closes(struct broker *b, struct worker *w)
{
    size_t n = brk_out_most(w->closing.count), i;
    struct wire_item *items = n ? brk_out_items(b, n) : NULL;

    if (!items)
        return;
    for (i = 0; i < n; i++) {
        struct attempt *a = LIST_ENTRY(list_first(&w->closing), struct attempt, in_worker);
        items[i].id = a->id;
        items[i].why = a->why;
        brk_attempt_told(b, a);
    }
    brk_out_message(b, w->peer, WIRE_ATTEMPTS_CLOSE, items, n);
}

static size_t recall_item(const struct attempt *a, uint64_t first, uint64_t end, uint8_t why, struct wire_item *it)
{
    first = first > a->next ? first : a->next;
    end = end < a->end ? end : a->end;
    if (first >= end)
        return 0;                       /* it has ended meanwhile */
    *it = (struct wire_item){ .id = a->id, .job = a->job->number, .first = first, .count = (uint32_t)(end - first), .why = why };
    return 1;
}

/* Records of RECALL, as many as fit. */
static size_t recall_records(struct attempt *a, struct wire_item *items, size_t room)
{
    size_t n = 0;

    for (struct list_node *k; n < room && (k = list_pop(&a->untold));) {
        const struct cancelled *c = LIST_ENTRY(k, struct cancelled, untold);
        n += recall_item(a, c->at.first, c->at.end, WIRE_WHY_CANCEL, &items[n]);
    }
    if (a->ask_due && n < room) {
        n += recall_item(a, a->ask_first, a->end, WIRE_WHY_QUEUED, &items[n]);
        a->ask_due = false;
        a->ask_open++;
    }
    if (a->asked && n < room) {
        n += recall_item(a, a->recall_first, a->end, a->why, &items[n]);
        a->asked = false;
    }
    return n;
}

/* A record for each part of an attempt that is cancelled, and one for what is asked back besides: what the one ends the other
 * must not. */
static void recalls(struct broker *b, struct worker *w)
{
    struct list_node *k;
    size_t n = 0, i = 0;
    struct wire_item *items;

    for (LIST_EACH(&w->recalls, m)) {
        n += attempt_recalls_due(LIST_ENTRY(m, struct attempt, out));
        if (n >= WIRE_ITEMS_MAX)
            break;
    }
    n = brk_out_most(n);
    if (!n || !(items = brk_out_items(b, n)))
        return;
    while (i < n && (k = list_first(&w->recalls))) {
        struct attempt *a = LIST_ENTRY(k, struct attempt, out);
        i += recall_records(a, items + i, n - i);
        if (!attempt_recalls_due(a))
            list_remove(&w->recalls, k);
    }
    if (i)
        brk_out_message(b, w->peer, WIRE_RECALL, items, i);
}

static void forgets(struct broker *b, struct worker *w)
{
    struct list_node *n;

    while ((n = list_first(&w->forget))) {
        struct known *k = LIST_ENTRY(n, struct known, in_worker);
        struct wire_msg *m = k->conn_no == w->conn_no ? brk_effect_send(b, w->peer, WIRE_JOB_FORGET) : NULL;
        if (m)
            m->u.job_ref.job = k->number;
        else if (k->conn_no == w->conn_no)
            return;
        list_remove(&w->forget, n);
        brk_known_free(b, k);
    }
}

static void grants(struct broker *b, struct worker *w)
{
    static const uint8_t empty_map[] = { 0x80 };        /* it knows the specification; none at all would mean: forget it */
    struct list_node *n;

    while ((n = list_first(&w->grants))) {
        struct lane *l = LIST_ENTRY(n, struct lane, grant);
        bool first = l->spec_conn != w->conn_no;
        struct wire_msg *m;
        int rc = 0;
        if (first && (!l->slots || !l->pool)) {
            list_remove(&w->grants, n);
            if (!l->pool)
                brk_lane_free(b, l);
            continue;
        }
        struct buf *spec = l->pool && first ? l->pool->spec : NULL;
        if (spec && !brk_specs_fit(w, spec))
            return;
        if (spec && (rc = brk_shelf_pool(b, l)) == BFORK_EQUOTA) {
            list_remove(&w->grants, n);
            brk_pool_crowded(b, l);
            continue;
        }
        if (rc < 0 || brk_effect_reserve(b, 2) < 0 || !(m = brk_effect_send(b, w->peer, WIRE_GRANT))) {
            b->again = true;
            return;
        }
        m->u.grant = (struct wire_grant){ .pool = l->number, .slots = l->slots };
        if (l->pool) {
            uint8_t *fixed = brk_effect_bytes(b, WIRE_DIGEST + WIRE_KEY);
            if (fixed) {
                memcpy(fixed, l->pool->digest, WIRE_DIGEST);
                memcpy(fixed + WIRE_DIGEST, l->pool->owner->key, WIRE_KEY);
                m->u.grant.digest = wire_bin_of(fixed, WIRE_DIGEST);
                m->u.grant.owner = wire_bin_of(fixed + WIRE_DIGEST, WIRE_KEY);
            }
        }
        if (spec) {
            brk_effect_hold(b, spec);
            m->u.grant.spec = wire_bin_of(spec->data, spec->size);
            w->peer->windows++;
            w->specs += spec->size;
        } else if (l->pool && !l->slots) {
            m->u.grant.spec = wire_bin_of(empty_map, sizeof(empty_map));
        }
        l->spec_conn = w->conn_no;
        list_remove(&w->grants, n);
        if (!l->pool)
            brk_lane_free(b, l);
    }
}

static void compose_taken(struct broker *b, struct worker *w)
{
    size_t n = brk_out_most(w->taken.count);
    struct wire_item *items = n ? brk_out_items(b, n) : NULL;

    if (items)
        brk_out_message(b, w->peer, WIRE_OUTPUT_TAKEN, items, brk_said_taken_items(b, w, items, n));
}

/* The job's specification goes ahead of its first chunk on this connection. */
static int know(struct broker *b, struct worker *w, struct attempt *a)
{
    struct job *j = a->job;
    struct known *k = map_get(&w->known_map, j->number);
    struct wire_msg *m;
    int rc;

    if (k && k->shelf && k->conn_no == w->conn_no && k->forgotten == a->lane->forgotten) {
        brk_shelf_use(k, a);
        return 0;
    }
    if (!brk_specs_fit(w, j->spec_bytes))
        return BFORK_EAGAIN;
    if (!k) {
        if (map_reserve(&w->known_map, 1) < 0 || !(k = brk_mem_new_for(b, j->owner->account, sizeof(*k))))
            return BFORK_ENOMEM;
        k->account = brk_account_ref(j->owner->account);
        brk_account_charge(k->account, MAP_COST);
        k->worker = w;
        k->job = j;
        k->number = j->number;
        map_put(&w->known_map, j->number, k);
        list_push_back(&w->known, &k->in_worker);
        list_push_back(&j->known, &k->in_job);
    }
    if ((rc = brk_shelf_job(b, k)) < 0)
        return rc;
    if (brk_effect_reserve(b, 2) < 0 || !(m = brk_effect_send(b, w->peer, WIRE_JOB_SPEC)))
        return BFORK_ENOMEM;
    k->conn_no = w->conn_no;
    k->forgotten = a->lane->forgotten;
    brk_shelf_use(k, a);
    w->specs += j->spec_bytes->size;
    brk_effect_hold(b, j->spec_bytes);
    uint8_t *id = brk_effect_bytes(b, WIRE_ID);
    if (!id)
        return BFORK_ENOMEM;
    memcpy(id, j->id, WIRE_ID);
    m->u.job_spec = (struct wire_job_to_worker){ .job = j->number, .pool = j->pool->number, .id = wire_bin_of(id, WIRE_ID),
        .spec = wire_bin_of(j->spec_bytes->data, j->spec_bytes->size), .features = j->client ? j->client->features : 0 };
    return 0;
}

static void chunk(struct broker *b, struct worker *w, struct attempt *a, struct wire_item *it)
{
    it->id = a->id;
    it->job = a->job->number;
    it->first = a->run.first;
    it->count = a->run.count;
    it->end = run_end(&a->run);
    it->flags = a->run.flags;
    it->size = a->run.size;
    it->tries = a->run.tries;
    it->crashes = (uint16_t)(a->run.crashes + a->run.fails);
    it->lens = a->run.lens;
    it->body = a->run.body;
    brk_attempt_ticket(b, a->job->id, a->job->owner->key, w, it->first, it->end, a->id, it->ticket);
    brk_out_hold(b, it);
    brk_attempt_move(a, ATTEMPT_ON_SEND);
    w->n_sent += a->end - a->next;
    a->sent_at = b->now;
    a->round = w->round;
}

static void chunks(struct broker *b, struct worker *w)
{
    size_t most = brk_out_most(w->to_send.count), n = 0, i;
    uint64_t bytes = 0;
    struct wire_item *items;

    if (!list_empty(&w->grants))
        return;                         /* what they are for may be ahead of them */
    for (LIST_EACH_SAFE(&w->to_send, k, after)) {
        struct attempt *a = LIST_ENTRY(k, struct attempt, out);
        assert(a->lane);
        int rc = n == most ? BFORK_EAGAIN : know(b, w, a);
        if (rc == BFORK_EQUOTA) {
            brk_shelf_crowded(a);       /* others need not wait for it */
            most = brk_out_most(w->to_send.count);
        } else if (rc < 0) {
            break;
        } else {
            n++;
        }
    }
    if (n < most && !w->specs_full)
        b->again = true;
    if (!n || !(items = brk_out_items(b, n)))
        return;
    for (i = 0; i < n; i++) {
        struct attempt *a = LIST_ENTRY(list_first(&w->to_send), struct attempt, out);
        /* a chunk may have been shrunk by a recall before it was sent */
        if (a->end < run_end(&a->run)) {
            struct run head;
            run_cut(&a->run, (uint32_t)(a->end - a->run.first), &head);
            run_done(&a->run);
            a->run = head;
        }
        if (bytes && bytes + run_bytes(&a->run) > WIRE_BODY_MAX)
            break;
        bytes += run_bytes(&a->run);
        list_remove(&w->to_send, &a->out);
        chunk(b, w, a, &items[i]);
    }
    brk_out_message(b, w->peer, WIRE_CHUNKS, items, i);
    w->peer->sent += bytes;
}

void brk_compose_worker(struct broker *b, struct worker *w)
{
    w->specs_full = false;
    compose_taken(b, w);
    closes(b, w);
    recalls(b, w);
    forgets(b, w);
    grants(b, w);
    chunks(b, w);
    brk_specs_mark(b, w);
    w->message_bytes = 0;
    if (!list_empty(&w->closing) || !list_empty(&w->recalls) || !list_empty(&w->taken) ||
        (!w->specs_full && (!list_empty(&w->to_send) || !list_empty(&w->grants)))) {
        b->again = true;
        brk_worker_dirty(b, w);
    }
    if (w->window_full && !w->specs_full && w->peer->sent - w->peer->acked <= w->peer->window) {
        w->window_full = false;
        b->again = true;
        for (LIST_EACH(&w->lanes, n))
            brk_lane_open(b, LIST_ENTRY(n, struct lane, in_worker));
    }
}
