/* SPDX-License-Identifier: MPL-2.0
 * compose.c - from what has changed to messages: for each dirty peer one message of a type, in the order the other side needs them.
 *
 * Only what fits is composed; the rest waits for the next flush. Never decides what is sent, only when.
 */
#include "state.h"

static struct wire_item *items_of(struct broker *b, size_t n)
{
    struct wire_item *items = NULL;

    if (effect_reserve(b, n + 4) == 0 && (items = effect_bytes(b, n * sizeof(*items))))
        memset(items, 0, n * sizeof(*items));
    else
        b->again = true;
    return items;
}

static struct wire_msg *message(struct broker *b, struct peer *p, enum wire_type type, struct wire_item *items, size_t n)
{
    struct wire_msg *m = effect_send(b, p, type);

    assert(m);      /* reserved with the items */
    m->items = items;
    m->n_items = (uint32_t)n;
    return m;
}

static void hold_slices(struct broker *b, const struct wire_item *it)
{
    effect_hold(b, it->lens.buf);
    effect_hold(b, it->body.buf);
}

static size_t at_most(size_t n) { return n < WIRE_ITEMS_MAX ? n : WIRE_ITEMS_MAX; }

/* ---- workers ----------------------------------------------------------------------------------------------------------------- */

static void closes(struct broker *b, struct worker *w)
{
    size_t n = at_most(w->closing.count), i;
    struct wire_item *items = n ? items_of(b, n) : NULL;

    if (!items)
        return;
    for (i = 0; i < n; i++) {
        struct attempt *a = LIST_ENTRY(list_first(&w->closing), struct attempt, in_worker);
        items[i].id = a->id;
        items[i].why = a->why;
        attempt_told(b, a);
    }
    message(b, w->peer, WIRE_ATTEMPTS_CLOSE, items, n);
}

static void recalls(struct broker *b, struct worker *w)
{
    size_t n = at_most(w->recalls.count), i;
    struct wire_item *items = n ? items_of(b, n) : NULL;

    if (!items)
        return;
    for (i = 0; i < n; i++) {
        struct attempt *a = LIST_ENTRY(list_pop(&w->recalls), struct attempt, out);
        uint64_t first = a->recall_first > a->next ? a->recall_first : a->next, end = a->end;
        uint64_t until;
        if (a->why == WIRE_WHY_CANCEL && job_is_cancelled(a->job, first, &until) && until < end)
            end = until;
        items[i].id = a->id;
        items[i].job = a->job->number;
        items[i].first = first;
        items[i].count = (uint32_t)(end - first);
        items[i].why = a->why;
    }
    message(b, w->peer, WIRE_RECALL, items, n);
}

static void forgets(struct broker *b, struct worker *w)
{
    struct list_node *n;

    while ((n = list_first(&w->forget))) {
        struct known *k = LIST_ENTRY(n, struct known, in_worker);
        struct wire_msg *m = k->conn_no == w->conn_no ? effect_send(b, w->peer, WIRE_JOB_FORGET) : NULL;
        if (m)
            m->u.job_ref.job = k->number;
        else if (k->conn_no == w->conn_no)
            return;
        list_remove(&w->forget, n);
        mem_free(b, k, sizeof(*k));
    }
}

static void grants(struct broker *b, struct worker *w)
{
    struct list_node *n;

    while ((n = list_first(&w->grants))) {
        struct lane *l = LIST_ENTRY(n, struct lane, grant);
        bool first = l->spec_conn != w->conn_no;
        struct wire_msg *m;
        if (first && (!l->slots || !l->pool)) {
            list_remove(&w->grants, n);
            if (!l->pool)
                lane_free(b, l);
            continue;
        }
        if (effect_reserve(b, 2) < 0 || !(m = effect_send(b, w->peer, WIRE_GRANT))) {
            b->again = true;
            return;
        }
        m->u.grant = (struct wire_grant){ .pool = l->number, .slots = l->slots };
        if (l->pool) {
            uint8_t *fixed = effect_bytes(b, WIRE_DIGEST + WIRE_KEY);
            if (fixed) {
                memcpy(fixed, l->pool->digest, WIRE_DIGEST);
                memcpy(fixed + WIRE_DIGEST, l->pool->owner->key, WIRE_KEY);
                m->u.grant.digest = wire_bin_of(fixed, WIRE_DIGEST);
                m->u.grant.owner = wire_bin_of(fixed + WIRE_DIGEST, WIRE_KEY);
            }
            effect_hold(b, l->pool->spec);
            m->u.grant.spec = wire_bin_of(l->pool->spec->data, l->pool->spec->size);
        }
        if (!first && l->pool && l->slots)
            m->u.grant.spec = wire_bin_of(NULL, 0);
        l->spec_conn = w->conn_no;
        list_remove(&w->grants, n);
        if (!l->pool)
            lane_free(b, l);
    }
}

/* The job's specification goes ahead of its first chunk on this connection. */
static int know(struct broker *b, struct worker *w, struct job *j)
{
    struct known *k = map_get(&w->known_map, j->number);
    struct wire_msg *m;

    if (k && k->conn_no == w->conn_no)
        return 0;
    if (!k) {
        if (map_reserve(&w->known_map, 1) < 0 || !(k = mem_new(b, sizeof(*k))))
            return BFORK_ENOMEM;
        k->worker = w;
        k->job = j;
        k->number = j->number;
        map_put(&w->known_map, j->number, k);
        list_push_back(&w->known, &k->in_worker);
        list_push_back(&j->known, &k->in_job);
    }
    if (effect_reserve(b, 2) < 0 || !(m = effect_send(b, w->peer, WIRE_JOB_SPEC)))
        return BFORK_ENOMEM;
    k->conn_no = w->conn_no;
    effect_hold(b, j->spec_bytes);
    uint8_t *id = effect_bytes(b, WIRE_ID);
    if (!id)
        return BFORK_ENOMEM;
    memcpy(id, j->id, WIRE_ID);
    m->u.job_spec = (struct wire_job_to_worker){ .job = j->number, .pool = j->pool->number, .id = wire_bin_of(id, WIRE_ID),
        .spec = wire_bin_of(j->spec_bytes->data, j->spec_bytes->size) };
    return 0;
}

static void chunk(struct broker *b, struct worker *w, struct attempt *a, struct wire_item *it)
{
    it->id = a->id;
    it->job = a->job->number;
    it->first = a->s.first;
    it->count = a->s.count;
    it->end = a->s.first + a->s.count;
    it->flags = a->s.flags;
    it->size = a->s.size;
    it->tries = a->s.tries;
    it->crashes = (uint16_t)(a->s.crashes + a->s.fails);
    it->lens = a->s.lens;
    it->body = a->s.body;
    attempt_ticket(b, a->job->id, a->job->owner->key, w, it->first, it->end, a->id, it->ticket);
    hold_slices(b, it);
    a->sent = true;
    a->sent_at = b->now;
    a->round = w->round;
}

static void chunks(struct broker *b, struct worker *w)
{
    size_t n = at_most(w->to_send.count), i = 0;
    uint64_t bytes = 0;
    struct wire_item *items;

    for (LIST_EACH(&w->to_send, k))
        if (i++ < n && know(b, w, LIST_ENTRY(k, struct attempt, out)->job) < 0) {
            b->again = true;
            return;
        }
    if (!n || !(items = items_of(b, n)))
        return;
    for (i = 0; i < n; i++) {
        struct attempt *a = LIST_ENTRY(list_first(&w->to_send), struct attempt, out);
        /* a chunk may have been shrunk by a recall before it was sent */
        if (a->end < a->s.first + a->s.count) {
            struct span head;
            span_cut(&a->s, (uint32_t)(a->end - a->s.first), &head);
            span_done(&a->s);
            a->s = head;
        }
        if (bytes && bytes + span_bytes(&a->s) > WIRE_BODY_MAX)
            break;
        bytes += span_bytes(&a->s);
        list_remove(&w->to_send, &a->out);
        chunk(b, w, a, &items[i]);
    }
    message(b, w->peer, WIRE_CHUNKS, items, i);
    w->peer->sent += bytes;
}

static void compose_worker(struct broker *b, struct worker *w)
{
    closes(b, w);
    recalls(b, w);
    forgets(b, w);
    grants(b, w);
    chunks(b, w);
    w->message_bytes = 0;
    if (!list_empty(&w->closing) || !list_empty(&w->to_send) || !list_empty(&w->recalls) || !list_empty(&w->grants)) {
        b->again = true;
        worker_dirty(b, w);
    }
    if (w->window_full && w->peer->sent - w->peer->acked <= w->peer->window) {
        w->window_full = false;
        for (LIST_EACH(&w->lanes, n))
            lane_open(b, LIST_ENTRY(n, struct lane, in_worker));
    }
}

/* ---- clients ----------------------------------------------------------------------------------------------------------------- */

static void pool_states(struct broker *b, struct client *c)
{
    struct list_node *n;

    while ((n = list_first(&c->states))) {
        struct pool *p = LIST_ENTRY(n, struct pool, state);
        struct wire_msg *m = effect_send(b, c->peer, WIRE_POOL_STATE);
        size_t size = p->code < 0 ? strlen(p->text) : 0;
        char *text;
        if (!m) {
            b->again = true;
            return;
        }
        m->u.pool_state = (struct wire_pool_state){ .pool = p->handle, .slots = p->offered, .code = p->failed ? p->code : 0 };
        if (size && (text = effect_bytes(b, size + 1))) {
            memcpy(text, p->text, size + 1);
            m->u.pool_state.text = (struct wire_str){ text, (uint32_t)size };
        }
        list_remove(&c->states, n);
    }
}

static void assigned(struct broker *b, struct client *c)
{
    size_t n = at_most(c->assigning.count), i;
    struct wire_item *items = n ? items_of(b, n) : NULL;

    if (!items)
        return;
    for (i = 0; i < n; i++) {
        struct attempt *a = LIST_ENTRY(list_pop(&c->assigning), struct attempt, out);
        items[i].id = a->id;
        items[i].job = a->job->handle;
        items[i].first = a->next;
        items[i].count = (uint32_t)(a->end - a->next);
        items[i].tries = a->s.tries;
        items[i].crashes = a->s.crashes;
    }
    message(b, c->peer, WIRE_ASSIGNED, items, n);
}

static void outcome_item(const struct job *j, const struct outcome *o, struct wire_item *it)
{
    it->id = o->seq;
    it->job = j->handle;
    it->first = o->first;
    it->count = o->count;
    it->flags = o->flags;
    it->size = o->size;
    it->kind = o->kind;
    it->pid = o->pid;
    it->sum_ns = o->sum_ns;
    it->lens = o->lens;
    it->body = o->body;
}

struct gather { struct outcome *found[WIRE_ITEMS_MAX]; struct job *jobs[WIRE_ITEMS_MAX]; size_t n; uint64_t bytes, cost; };

/* Unsent outcomes of one job, as many as fit. false: full. */
static bool gather(struct client *c, struct job *j, struct gather *g)
{
    for (struct list_node *n = &j->unsent->node; n != &j->outcomes.head; n = n->next) {
        struct outcome *o = LIST_ENTRY(n, struct outcome, node);
        uint64_t bytes = o->lens.size + o->body.size;
        if (g->n == WIRE_ITEMS_MAX || (g->n && g->bytes + bytes > WIRE_BODY_MAX) ||
            (c->sent_unacked + g->cost && c->sent_unacked + g->cost + outcome_cost(o) > c->window))
            return false;
        g->found[g->n] = o;
        g->jobs[g->n++] = j;
        g->bytes += bytes;
        g->cost += outcome_cost(o);
    }
    return true;
}

static void outcomes(struct broker *b, struct client *c)
{
    struct gather g;
    struct wire_item *items;

    g.n = 0;
    g.bytes = g.cost = 0;
    for (LIST_EACH(&c->sending, n))
        if (!gather(c, LIST_ENTRY(n, struct job, sending), &g))
            break;
    if (!g.n || !(items = items_of(b, g.n)))
        return;
    for (size_t i = 0; i < g.n; i++) {
        struct outcome *o = g.found[i];
        struct job *j = g.jobs[i];
        outcome_item(j, o, &items[i]);
        hold_slices(b, &items[i]);
        j->sent_seq = o->seq > j->sent_seq ? o->seq : j->sent_seq;
        j->unsent = o->node.next == &j->outcomes.head ? NULL : LIST_ENTRY(o->node.next, struct outcome, node);
        if (!j->unsent)
            list_remove(&c->sending, &j->sending);
    }
    message(b, c->peer, WIRE_OUTCOMES, items, g.n);
    c->peer->sent += g.bytes;
    c->sent_unacked += g.cost;
    if (!list_empty(&c->sending)) {
        struct list_node *n = list_pop(&c->sending);
        list_push_back(&c->sending, n);
        if (c->sent_unacked < c->window) {
            b->again = true;
            client_dirty(b, c);
        }
    }
}

static void compose_client(struct broker *b, struct client *c)
{
    pool_states(b, c);
    assigned(b, c);
    outcomes(b, c);
    if (!list_empty(&c->states) || !list_empty(&c->assigning)) {
        b->again = true;
        client_dirty(b, c);
    }
}

static void compose_acks(struct broker *b)
{
    struct list_node *n;

    while ((n = list_pop(&b->dirty_peers))) {
        struct peer *p = LIST_ENTRY(n, struct peer, dirty);
        struct wire_msg *m;
        if (!p->pong && p->consumed - p->told < b->c.window_bytes / 4)
            continue;
        if (!(m = effect_send(b, p, WIRE_PONG))) {
            peer_cut(b, p, "out of memory");
            return;
        }
        m->u.ping.stamp = p->pong ? p->stamp : 0;
        p->pong = false;
    }
}

void compose_run(struct broker *b)
{
    struct list_node *n;
    size_t turns = b->dirty_workers.count;

    while (turns-- && (n = list_pop(&b->dirty_workers)))
        compose_worker(b, LIST_ENTRY(n, struct worker, dirty));
    turns = b->dirty_clients.count;
    while (turns-- && (n = list_pop(&b->dirty_clients)))
        compose_client(b, LIST_ENTRY(n, struct client, dirty));
    compose_acks(b);
}
