/* SPDX-License-Identifier: MPL-2.0
 * compose.c - from what has changed to messages: for each dirty peer one message of a type, in the order the other side needs them.
 *
 * Only what fits is composed; the rest waits for the next flush. Never decides what is sent, only when.
 */
#include "state.h"

#include <stdio.h>

#define SPECS_MAX (4u << 20)            /* bytes of specifications on the way to a worker */
#define SPECS_STAMP 0x59ec000000000001ull

struct wire_item *brk_out_items(struct broker *b, size_t n)
{
    struct wire_item *items = NULL;

    if (brk_effect_reserve(b, n + 4) == 0 && (items = brk_effect_bytes(b, n * sizeof(*items))))
        memset(items, 0, n * sizeof(*items));
    else
        b->again = true;
    return items;
}

struct wire_msg *brk_out_message(struct broker *b, struct peer *p, enum wire_type type, struct wire_item *items, size_t n)
{
    struct wire_msg *m = brk_effect_send(b, p, type);

    assert(m);      /* reserved with the items */
    m->u.records.stride = 0;
    m->items = items;
    m->n_items = (uint32_t)n;
    return m;
}

void brk_out_hold(struct broker *b, const struct wire_item *it)
{
    brk_effect_hold(b, it->lens.buf);
    brk_effect_hold(b, it->body.buf);
}

size_t brk_out_most(size_t n) { return n < WIRE_ITEMS_MAX ? n : WIRE_ITEMS_MAX; }

/* ---- workers ----------------------------------------------------------------------------------------------------------------- */

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
        i += brk_attempt_recalls(a, items + i, n - i);
        if (!attempt_recalls_due(a))
            list_remove(&w->recalls, k);
    }
    if (i)
        brk_out_message(b, w->peer, WIRE_RECALL, items, i);
}

void brk_known_free(struct broker *b, struct known *k)
{
    struct account *a = k->account;

    brk_shelf_drop_known(b, k);
    brk_account_release(a, MAP_COST);
    brk_mem_free_for(b, a, k, sizeof(*k));
    brk_account_unref(a);
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

/* Specifications are in no window of the envelope: so many bytes of them may be on the way, as PING and PONG tell. */
bool brk_specs_fit(struct worker *w, const struct buf *spec)
{
    if (!w->specs || w->specs + spec->size <= SPECS_MAX)
        return true;
    w->specs_full = true;
    return false;
}

void brk_specs_mark(struct broker *b, struct worker *w)
{
    struct wire_msg *m;

    if (w->specs <= SPECS_MAX / 2 || w->specs_marked)
        return;
    if (!(m = brk_effect_send(b, w->peer, WIRE_PING))) {
        b->again = true;
        brk_worker_dirty(b, w);
        return;
    }
    m->u.ping.stamp = SPECS_STAMP;
    w->specs_marked = w->specs;
}

void brk_compose_pong(struct broker *b, struct worker *w, uint64_t stamp)
{
    if (stamp != SPECS_STAMP)
        return;
    w->specs -= w->specs_marked;
    w->specs_marked = 0;
    brk_worker_dirty(b, w);
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
    it->first = a->s.first;
    it->count = a->s.count;
    it->end = a->s.first + a->s.count;
    it->flags = a->s.flags;
    it->size = a->s.size;
    it->tries = a->s.tries;
    it->crashes = (uint16_t)(a->s.crashes + a->s.fails);
    it->lens = a->s.lens;
    it->body = a->s.body;
    brk_attempt_ticket(b, a->job->id, a->job->owner->key, w, it->first, it->end, a->id, it->ticket);
    brk_out_hold(b, it);
    a->sent = true;
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
        if (a->end < a->s.first + a->s.count) {
            struct span head;
            brk_span_cut(&a->s, (uint32_t)(a->end - a->s.first), &head);
            brk_span_done(&a->s);
            a->s = head;
        }
        if (bytes && bytes + span_bytes(&a->s) > WIRE_BODY_MAX)
            break;
        bytes += span_bytes(&a->s);
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

/* ---- clients ----------------------------------------------------------------------------------------------------------------- */

bool brk_compose_pool_state(struct broker *b, struct pool *p, uint32_t request)
{
    struct wire_msg *m = brk_effect_send(b, p->client->peer, WIRE_POOL_STATE);
    bool full = p->owner->full && !p->offered && !p->failed;
    bool why = p->code < 0 && (p->code != BFORK_EAGAIN || !p->offered);
    const char *from = full ? p->owner->why : why ? p->text : "";
    char *text, lacks[160];
    size_t size;

    if (!m)
        return false;
    if (!*from && p->lacks) {
        snprintf(lacks, sizeof(lacks), "jobs of it wait for a worker with features 0x%llx, which none has: start bfork-worker of a "
                 "later release", (unsigned long long)p->lacks);
        from = lacks;
    }
    size = strlen(from);
    m->request = request;
    m->u.pool_state = (struct wire_pool_state){ .pool = p->handle, .slots = p->offered, .code = p->failed ? p->code : 0 };
    if (size && (text = brk_effect_bytes(b, size + 1))) {
        memcpy(text, from, size + 1);
        m->u.pool_state.text = (struct wire_str){ text, (uint32_t)size };
    }
    return true;
}

static void pool_states(struct broker *b, struct client *c)
{
    struct list_node *n;

    while ((n = list_first(&c->states))) {
        if (!brk_compose_pool_state(b, LIST_ENTRY(n, struct pool, state), 0)) {
            b->again = true;
            return;
        }
        list_remove(&c->states, n);
    }
}

static void assigned(struct broker *b, struct client *c)
{
    size_t n = brk_out_most(c->assigning.count), i;
    struct wire_item *items = n ? brk_out_items(b, n) : NULL;

    if (!items)
        return;
    for (i = 0; i < n; i++) {
        struct attempt *a = LIST_ENTRY(list_pop(&c->assigning), struct attempt, out);
        list_push_back(&c->told, &a->out);
        a->told = true;
        items[i].id = a->id;
        items[i].job = a->job->handle;
        items[i].first = a->next;
        items[i].count = (uint32_t)(a->end - a->next);
        items[i].tries = a->s.tries;
        items[i].crashes = a->s.crashes;
    }
    brk_out_message(b, c->peer, WIRE_ASSIGNED, items, n);
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
    it->attempt = o->attempt ? o->attempt->id : 0;
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

/* Of all its jobs, as many as fit; those that say nothing any more leave. What is behind the message, or the turn, is not looked
 * at. */
static void gather_all(struct broker *b, struct client *c, struct gather *g)
{
    uint32_t budget = b->c.turn_steps;

    g->n = 0;
    g->bytes = g->cost = 0;
    for (LIST_EACH_SAFE(&c->sending, k, after)) {
        struct job *j = LIST_ENTRY(k, struct job, sending);
        if (!budget--) {
            b->again = true;
            brk_client_dirty(b, c);
            return;
        }
        b->steps++;
        if (job_is_ending(j) || job_mute(j))
            list_remove(&c->sending, k);
        else if (!gather(c, j, g))
            return;
    }
}

static void outcomes(struct broker *b, struct client *c)
{
    struct gather g;
    struct wire_item *items;
    struct wire_msg *m;

    gather_all(b, c, &g);
    if (!g.n)
        return;
    if (!(items = brk_out_items(b, g.n))) {
        brk_client_dirty(b, c);
        return;
    }
    for (size_t i = 0; i < g.n; i++) {
        struct outcome *o = g.found[i];
        struct job *j = g.jobs[i];
        outcome_item(j, o, &items[i]);
        brk_out_hold(b, &items[i]);
        j->sent_seq = o->seq > j->sent_seq ? o->seq : j->sent_seq;
        brk_outcome_costs(b, j, 0, (int64_t)outcome_cost(o));
        j->unsent = o->node.next == &j->outcomes.head ? NULL : LIST_ENTRY(o->node.next, struct outcome, node);
        if (!j->unsent)
            list_remove(&c->sending, &j->sending);
    }
    m = brk_out_message(b, c->peer, WIRE_OUTCOMES, items, g.n);
    if (!(c->features & WIRE_FEATURE_GROWTH))
        m->u.records.stride = WIRE_OUTCOMES_V1;
    c->peer->sent += g.bytes;
    if (!list_empty(&c->sending)) {
        struct list_node *n = list_pop(&c->sending);
        list_push_back(&c->sending, n);
        if (c->sent_unacked < c->window) {
            b->again = true;
            brk_client_dirty(b, c);
        }
    }
}

/* Pieces of output from one host, as many as one message, the window and the turn take; false: none now, no memory or no room. */
static bool said_message(struct broker *b, struct client *c, uint32_t *budget)
{
    uint64_t out = c->peer->sent - c->peer->acked, room = out < c->peer->window ? c->peer->window - out : 0;
    struct piece *p = c->unsaid, *end = p;
    struct wire_item *items;
    uint64_t bytes = 0;
    size_t n = 0;
    char *host;

    if (p->size > room && out) {
        c->said_held = true;        /* until it has acknowledged: see brk_said_room */
        return false;
    }
    room = room < WIRE_BODY_MAX ? room : WIRE_BODY_MAX;
    for (; end && n < WIRE_ITEMS_MAX && n < *budget && (!n || bytes + end->size <= room) && !strcmp(end->host, p->host); n++) {
        bytes += end->size;
        end = end->node.next == &c->said.head ? NULL : LIST_ENTRY(end->node.next, struct piece, node);
    }
    if (!(items = brk_out_items(b, n)) || !(host = brk_effect_bytes(b, sizeof(p->host)))) {
        b->again = true;
        return false;
    }
    memcpy(host, p->host, sizeof(p->host));
    for (size_t i = 0; i < n; i++, p = LIST_ENTRY(p->node.next, struct piece, node)) {
        brk_said_item(p, &items[i]);
        brk_out_hold(b, &items[i]);
        c->said_sent = p->seq > c->said_sent ? p->seq : c->said_sent;
    }
    c->unsaid = end;
    *budget -= (uint32_t)n;
    b->steps += n;
    brk_out_message(b, c->peer, WIRE_OUTPUT, items, n)->u.output = (struct wire_output){ .host = WIRE_STR(host) };
    c->peer->sent += bytes;
    return true;
}

void brk_compose_client(struct broker *b, struct client *c)
{
    uint32_t budget = b->c.turn_steps;

    pool_states(b, c);
    assigned(b, c);
    while (c->unsaid && budget && said_message(b, c, &budget))
        continue;                       /* what its window and a turn take */
    if (!c->unsaid && !c->said_again) {
        outcomes(b, c);                 /* none may overtake output */
    } else if (c->unsaid && !c->said_held) {
        b->again = true;
        brk_client_dirty(b, c);
    }
    if (!list_empty(&c->states) || !list_empty(&c->assigning)) {
        b->again = true;
        brk_client_dirty(b, c);
    }
}

/* A worker whose question is answered has heard before what it has lost: it goes on with what it holds. */
static void compose_acks(struct broker *b)
{
    struct list_node *n;

    for (size_t turns = b->dirty_peers.count; turns && (n = list_pop(&b->dirty_peers)); turns--) {
        struct peer *p = LIST_ENTRY(n, struct peer, dirty);
        struct wire_msg *m;
        if (p->worker && !list_empty(&p->worker->closing)) {
            list_push_back(&b->dirty_peers, &p->dirty);
            b->again = true;
            continue;
        }
        if (p->worker && worker_is_behind(p->worker))
            continue;                       /* it is dirty again when it has joined */
        if (!p->pong && p->consumed - p->told < b->c.window_bytes / 4)
            continue;
        if (!(m = brk_effect_send(b, p, WIRE_PONG))) {
            brk_peer_no_memory(b, p);
            return;
        }
        m->u.ping.stamp = p->pong ? p->stamp : 0;
        m->request = p->pong ? p->pong_request : 0;
        p->pong = false;
    }
}

void brk_compose_run(struct broker *b)
{
    struct list_node *n;
    size_t turns = b->dirty_workers.count;

    while (turns-- && (n = list_pop(&b->dirty_workers)))
        brk_compose_worker(b, LIST_ENTRY(n, struct worker, dirty));
    turns = b->dirty_clients.count;
    while (turns-- && (n = list_pop(&b->dirty_clients)))
        brk_compose_client(b, LIST_ENTRY(n, struct client, dirty));
    compose_acks(b);
}
