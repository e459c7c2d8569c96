/* SPDX-License-Identifier: MPL-2.0
 * session.c - connections and the sessions behind them: HELLO, fencing, loss, leases, ends.
 *
 * A session is named by (key, instance) and has at most one connection; conn_no only rises. Never charges a peer for a connection
 * that was cut: that is decided when the lease or detach_ms has passed.
 */
#include "state.h"

#include <stdarg.h>
#include <stdio.h>

void copy_text(char *to, size_t size, struct wire_str s)
{
    size_t n = s.n < size - 1 ? s.n : size - 1;

    if (n)
        memcpy(to, s.p, n);
    to[n] = 0;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)to[i] < 32 || to[i] == 127)
            to[i] = '?';
}

struct owner *owner_get(struct broker *b, const uint8_t *key)
{
    uint64_t least = UINT64_MAX;
    struct owner *o;

    for (LIST_EACH(&b->owners, n)) {
        o = LIST_ENTRY(n, struct owner, node);
        if (!memcmp(o->key, key, WIRE_KEY)) {
            o->refs++;
            return o;
        }
        least = o->used_ns < least ? o->used_ns : least;
    }
    if (!(o = mem_new(b, sizeof(*o))))
        return NULL;
    memcpy(o->key, key, WIRE_KEY);
    o->refs = 1;
    o->used_ns = list_empty(&b->owners) ? 0 : least;
    list_init(&o->pools);
    list_push_back(&b->owners, &o->node);
    return o;
}

void owner_unref(struct broker *b, struct owner *o)
{
    if (!o || --o->refs)
        return;
    list_remove(&b->owners, &o->node);
    mem_free(b, o, sizeof(*o));
}

void client_dirty(struct broker *b, struct client *c)
{
    if (c->peer && !list_in(&c->dirty))
        list_push_back(&b->dirty_clients, &c->dirty);
}

void worker_dirty(struct broker *b, struct worker *w)
{
    if (w->peer && !list_in(&w->dirty))
        list_push_back(&b->dirty_workers, &w->dirty);
}

void peer_free(struct broker *b, struct peer *p)
{
    map_take(&b->peers, p->id);
    if (list_in(&p->cut))
        list_remove(&b->cuts, &p->cut);
    if (list_in(&p->dirty))
        list_remove(&b->dirty_peers, &p->dirty);
    mem_free(b, p, sizeof(*p));
}

/* ---- clients ----------------------------------------------------------------------------------------------------------------- */

static void client_attached(struct client *c)
{
    c->owner->n_detached -= c->detached;
    c->detached = false;
}

void client_end(struct broker *b, struct client *c)
{
    struct list_node *n;

    while ((n = list_first(&c->job_list)))
        job_free(b, LIST_ENTRY(n, struct job, in_client));
    while ((n = list_first(&c->pool_list)))
        pool_free(b, LIST_ENTRY(n, struct pool, in_client));
    client_attached(c);
    if (c->peer)
        c->peer->client = NULL;
    if (list_in(&c->dirty))
        list_remove(&b->dirty_clients, &c->dirty);
    list_remove(&b->clients, &c->node);
    map_free(&c->jobs);
    map_free(&c->pools);
    owner_unref(b, c->owner);
    mem_free(b, c, sizeof(*c));
}

static void client_detach(struct broker *b, struct client *c)
{
    c->peer->client = NULL;
    c->peer = NULL;
    c->detached_at = b->now;
    c->detached = true;
    c->owner->n_detached++;
    if (b->now + b->c.detach_ms * CLOCK_MS < b->tick_at)
        b->tick_at = b->now + b->c.detach_ms * CLOCK_MS;
    if (list_in(&c->dirty))
        list_remove(&b->dirty_clients, &c->dirty);
    for (LIST_EACH(&c->job_list, n)) {
        struct job *j = LIST_ENTRY(n, struct job, in_client);
        j->mute = true;
        if (list_in(&j->sending))
            list_remove(&c->sending, &j->sending);
        for (LIST_EACH_SAFE(&j->live, k, after)) {
            struct attempt *a = LIST_ENTRY(k, struct attempt, in_job);
            if (a->state == ATTEMPT_ASSIGNING)
                attempt_requeue(b, a, false, NULL, 0);
        }
    }
}

/* Whoever connects again and again without resuming does not pile up sessions. */
static void detached_limit(struct broker *b, struct owner *o)
{
    struct client *oldest = NULL;

    if (o->n_detached <= b->c.detached_max)
        return;
    for (LIST_EACH(&b->clients, n)) {
        struct client *c = LIST_ENTRY(n, struct client, node);
        if (c->owner == o && c->detached && (!oldest || c->detached_at < oldest->detached_at))
            oldest = c;
    }
    effect_log(b, LOG_WARNING_, "the jobs of %s end: more than %u sessions of its key are disconnected", oldest->name,
               b->c.detached_max);
    client_end(b, oldest);
}

static struct client *client_find(struct broker *b, const uint8_t *key, struct wire_bin instance)
{
    for (LIST_EACH(&b->clients, n)) {
        struct client *c = LIST_ENTRY(n, struct client, node);
        if (!memcmp(c->instance, instance.p, WIRE_ID) && !memcmp(c->owner->key, key, WIRE_KEY))
            return c;
    }
    return NULL;
}

static struct client *client_new(struct broker *b, struct peer *p, const struct wire_hello *h)
{
    struct client *c = mem_new(b, sizeof(*c));

    if (!c || !(c->owner = owner_get(b, p->key))) {
        mem_free(b, c, sizeof(*c));
        return NULL;
    }
    memcpy(c->instance, h->instance.p, WIRE_ID);
    c->since = b->now;
    copy_text(c->name, sizeof(c->name), h->name);
    copy_text(c->host, sizeof(c->host), h->host);
    c->pid = h->pid;
    list_init(&c->pool_list);
    list_init(&c->job_list);
    list_init(&c->sending);
    list_init(&c->assigning);
    list_init(&c->states);
    list_push_back(&b->clients, &c->node);
    return c;
}

/* ---- workers ----------------------------------------------------------------------------------------------------------------- */

/* What only means something on the present connection. */
static void worker_unsent(struct broker *b, struct worker *w)
{
    struct list_node *n;

    for (LIST_EACH_SAFE(&w->attempts, k, after)) {
        struct attempt *a = LIST_ENTRY(k, struct attempt, in_worker);
        if (a->state != ATTEMPT_FINISHED && !a->sent)
            attempt_requeue(b, a, false, NULL, 0);
        else if (list_in(&a->out))
            list_remove(&w->recalls, &a->out);
    }
    while ((n = list_first(&w->closing)))
        attempt_told(b, LIST_ENTRY(n, struct attempt, in_worker));
    while ((n = list_pop(&w->forget)))
        mem_free(b, LIST_ENTRY(n, struct known, in_worker), sizeof(struct known));
    for (LIST_EACH_SAFE(&w->lanes, k, after)) {
        struct lane *l = LIST_ENTRY(k, struct lane, in_worker);
        if (!l->pool)
            lane_free(b, l);
        else
            lane_slots(b, l, 0);
    }
    w->message_bytes = 0;
    if (list_in(&w->dirty))
        list_remove(&b->dirty_workers, &w->dirty);
    b->grants_dirty = true;
}

void worker_end(struct broker *b, struct worker *w, const char *why)
{
    struct list_node *n;
    char text[256];

    snprintf(text, sizeof(text), "worker %s was lost (%s) while it had this task", w->name, why);
    effect_log(b, LOG_WARNING_, "worker %s is gone: %s", w->name, why);
    worker_unsent(b, w);
    while ((n = list_first(&w->attempts))) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, in_worker);
        if (a->state != ATTEMPT_FINISHED)
            attempt_requeue(b, a, true, text, 0);
        else
            n = NULL;
        if (!n || (list_first(&w->attempts) && LIST_ENTRY(list_first(&w->attempts), struct attempt, in_worker) == a)) {
            list_remove(&w->attempts, &a->in_worker);
            a->worker = NULL;
        }
    }
    while ((n = list_first(&w->closing)))
        attempt_told(b, LIST_ENTRY(n, struct attempt, in_worker));
    while ((n = list_pop(&w->known))) {
        struct known *k = LIST_ENTRY(n, struct known, in_worker);
        list_remove(&k->job->known, &k->in_job);
        mem_free(b, k, sizeof(*k));
    }
    while ((n = list_first(&w->lanes)))
        lane_free(b, LIST_ENTRY(n, struct lane, in_worker));
    if (w->peer)
        w->peer->worker = NULL;
    if (list_in(&w->dirty))
        list_remove(&b->dirty_workers, &w->dirty);
    list_remove(&b->workers, &w->node);
    map_free(&w->known_map);
    mem_free(b, w, sizeof(*w));
    for (LIST_EACH(&b->pools, k))
        pool_check_failed(b, LIST_ENTRY(k, struct pool, node));
    b->grants_dirty = true;
}

static void worker_silent(struct broker *b, struct worker *w)
{
    w->peer->worker = NULL;
    worker_unsent(b, w);
    w->peer = NULL;
    w->state = WORKER_SILENT;
    if (w->lease_end < b->tick_at)
        b->tick_at = w->lease_end;
}

static struct worker *worker_find(struct broker *b, const uint8_t *key, struct wire_bin instance)
{
    for (LIST_EACH(&b->workers, n)) {
        struct worker *w = LIST_ENTRY(n, struct worker, node);
        if (!memcmp(w->instance, instance.p, WIRE_ID) && !memcmp(w->key, key, WIRE_KEY))
            return w;
    }
    return NULL;
}

static struct worker *worker_new(struct broker *b, struct peer *p, const struct wire_hello *h)
{
    struct worker *w = mem_new(b, sizeof(*w));

    if (!w)
        return NULL;
    memcpy(w->key, p->key, WIRE_KEY);
    memcpy(w->instance, h->instance.p, WIRE_ID);
    w->since = b->now;
    list_init(&w->lanes);
    list_init(&w->attempts);
    list_init(&w->to_send);
    list_init(&w->recalls);
    list_init(&w->closing);
    list_init(&w->known);
    list_init(&w->forget);
    list_init(&w->grants);
    list_push_back(&b->workers, &w->node);
    return w;
}

/* HOLDING is complete: what was not reported has never arrived. */
void worker_ready(struct broker *b, struct worker *w)
{
    for (LIST_EACH_SAFE(&w->attempts, n, after)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, in_worker);
        if (a->state == ATTEMPT_FINISHED)
            continue;
        if (a->round != w->round) {
            attempt_requeue(b, a, false, NULL, 0);
            continue;
        }
        if (a->recalled && a->lane)
            a->lane->n_recalled--;
        a->recalled = false;
        for (LIST_EACH(&a->job->cancels, k)) {
            const struct interval *v = LIST_ENTRY(k, struct interval, node);
            if (a->next < v->end && a->end > v->first)
                attempt_recall(b, a, v->first, WIRE_WHY_CANCEL);
        }
    }
    w->state = WORKER_READY;
    effect_log(b, LOG_INFO_, "worker %s is ready with %u slots", w->name, w->slots);
    for (LIST_EACH(&b->pools, n))
        if (LIST_ENTRY(n, struct pool, node)->failed)
            pool_check_failed(b, LIST_ENTRY(n, struct pool, node));
    b->grants_dirty = true;
}

/* ---- HELLO ------------------------------------------------------------------------------------------------------------------- */

static void welcome(struct broker *b, struct peer *p, const struct wire_hello *h, bool resumed)
{
    struct wire_msg *m = effect_send(b, p, WIRE_WELCOME);

    if (!m) {
        peer_cut(b, p, "out of memory");
        return;
    }
    m->u.welcome = (struct wire_welcome){ .protocol = h->protocol_max < WIRE_PROTOCOL ? h->protocol_max : WIRE_PROTOCOL,
                                          .software = WIRE_STR("broadfork " BF_VERSION),
                                          .epoch = b->c.epoch,
                                          .heartbeat_ms = b->c.heartbeat_ms,
                                          .lease_ms = b->c.lease_ms,
                                          .hold_ms = b->c.hold_ms,
                                          .window_bytes = b->c.window_bytes,
                                          .resumed = resumed };
    if (p->role == WIRE_CLIENT) {
        m->u.welcome.quota_bytes = b->c.quota_bytes;
        m->u.welcome.quota_tasks = b->c.quota_tasks;
        m->u.welcome.owner = wire_bin_of(p->client->owner->key, WIRE_KEY);
    }
}

static void session_cut(struct broker *b, struct peer *p)
{
    if (p->client)
        client_detach(b, p->client);
    if (p->worker)
        worker_silent(b, p->worker);
}

/* The new connection takes the session over, unless it is older than the present one. */
static bool fence(struct broker *b, struct peer *p, uint64_t *conn_no, struct peer *old, const struct wire_hello *h)
{
    if (h->conn_no <= *conn_no) {
        session_fail(b, p, BFORK_ESTATE, "connection %llu of this session is older than the present one (%llu)",
                     (unsigned long long)h->conn_no, (unsigned long long)*conn_no);
        return false;
    }
    *conn_no = h->conn_no;
    if (old) {
        b->n.fenced++;
        session_cut(b, old);
        peer_cut(b, old, "a newer connection of the same session");
    }
    return true;
}

static void hello_client(struct broker *b, struct peer *p, const struct wire_hello *h)
{
    struct client *c = client_find(b, p->key, h->instance);
    bool resumed = c != NULL;

    if (!c && !(c = client_new(b, p, h))) {
        session_fail(b, p, BFORK_ENOMEM, "the broker is out of memory");
        return;
    }
    if (!fence(b, p, &c->conn_no, c->peer, h)) {
        if (!resumed)
            client_end(b, c);
        return;
    }
    client_attached(c);
    c->peer = p;
    c->window = p->window;
    p->client = c;
    c->mute_until = resumed ? b->now + b->c.detach_ms * CLOCK_MS : 0;
    if (resumed && c->mute_until < b->tick_at)
        b->tick_at = c->mute_until;
    p->state = PEER_READY;
    welcome(b, p, h, resumed);
}

static void hello_worker(struct broker *b, struct peer *p, const struct wire_hello *h)
{
    struct worker *w = worker_find(b, p->key, h->instance), *before;
    bool resumed = w != NULL;

    if (h->replaces.n == WIRE_ID && memcmp(h->replaces.p, h->instance.p, WIRE_ID) &&
        (before = worker_find(b, p->key, h->replaces))) {
        struct peer *old = before->peer;
        worker_end(b, before, "it was started again");
        if (old)
            peer_cut(b, old, "replaced by a new start of the worker");
    }
    if (!w && !(w = worker_new(b, p, h))) {
        session_fail(b, p, BFORK_ENOMEM, "the broker is out of memory");
        return;
    }
    if (!fence(b, p, &w->conn_no, w->peer, h)) {
        if (!resumed)
            worker_end(b, w, "its first connection was refused");
        return;
    }
    w->peer = p;
    w->state = WORKER_JOINING;
    w->same_epoch = h->epoch == b->c.epoch;
    w->slots = h->slots;
    w->round++;
    w->lease_end = b->now + b->c.lease_ms * CLOCK_MS;
    if (w->lease_end < b->tick_at)
        b->tick_at = w->lease_end;
    copy_text(w->name, sizeof(w->name), h->name.n ? h->name : h->host);
    copy_text(w->host, sizeof(w->host), h->host);
    copy_text(w->software, sizeof(w->software), h->software);
    copy_text(w->resources, sizeof(w->resources), h->resources);
    p->worker = w;
    p->state = PEER_READY;
    welcome(b, p, h, resumed);
    worker_dirty(b, w);
}

void session_hello(struct broker *b, struct peer *p, const struct wire_msg *m)
{
    const struct wire_hello *h = &m->u.hello;

    if (h->protocol_min > WIRE_PROTOCOL || h->protocol_max < WIRE_PROTOCOL_MIN || h->protocol_min > h->protocol_max) {
        session_fail(b, p, BFORK_EPROTOCOL,
                     "this broker speaks protocol %u to %u, the peer %u to %u; install the same release on both sides",
                     WIRE_PROTOCOL_MIN, WIRE_PROTOCOL, h->protocol_min, h->protocol_max);
        return;
    }
    if (h->role != (uint32_t)p->role) {
        session_fail(b, p, BFORK_EDENIED, "this endpoint and key are not for that role (%u)", h->role);
        return;
    }
    p->window = h->window_bytes ? h->window_bytes : b->c.window_bytes;
    if (p->role == WIRE_ADMINISTRATOR) {
        p->state = PEER_READY;
        welcome(b, p, h, false);
    } else if (h->instance.n != WIRE_ID || (p->role == WIRE_WORKER && !h->slots)) {
        session_fail(b, p, BFORK_EPROTOCOL, "HELLO without an instance of 16 bytes, or without slots");
    } else if (p->role == WIRE_CLIENT) {
        hello_client(b, p, h);
    } else {
        hello_worker(b, p, h);
    }
}

/* ---- ends -------------------------------------------------------------------------------------------------------------------- */

void session_lost(struct broker *b, struct peer *p)
{
    struct owner *o = p->client ? p->client->owner : NULL;

    session_cut(b, p);
    if (o)
        detached_limit(b, o);
}

void session_bye(struct broker *b, struct peer *p)
{
    if (p->client)
        client_end(b, p->client);
    if (p->worker)
        worker_end(b, p->worker, "it has left");
    peer_cut(b, p, "it has left");
}

void session_fail(struct broker *b, struct peer *p, int code, const char *format, ...)
{
    struct wire_msg *m;
    va_list ap;

    if (!p || p->state == PEER_CUT)
        return;
    if (code == BFORK_EPROTOCOL || code == BFORK_EDENIED)
        b->n.bad_messages++;
    if ((m = effect_send(b, p, WIRE_ERROR))) {
        va_start(ap, format);
        m->u.error = (struct wire_error_head){ .code = code, .text = effect_text(b, format, ap), .protocol_min = WIRE_PROTOCOL_MIN,
            .protocol_max = WIRE_PROTOCOL };
        va_end(ap);
        effect_log(b, LOG_WARNING_, "a session ends: %s", m->u.error.text.p);
    }
    peer_cut(b, p, "its session has failed");
    if (p->client)
        client_end(b, p->client);
    if (p->worker)
        worker_end(b, p->worker, "its session has failed");
}

/* Jobs that the client has finished with while their last acknowledgement was lost. */
static void drop_mute(struct broker *b, struct client *c)
{
    for (LIST_EACH_SAFE(&c->job_list, n, after))
        if (LIST_ENTRY(n, struct job, in_client)->mute)
            job_free(b, LIST_ENTRY(n, struct job, in_client));
    c->mute_until = 0;
    client_dirty(b, c);
}

void session_tick(struct broker *b, uint64_t *next)
{
    for (LIST_EACH_SAFE(&b->workers, n, after)) {
        struct worker *w = LIST_ENTRY(n, struct worker, node);
        struct peer *p = w->peer;
        if (w->lease_end > b->now) {
            *next = w->lease_end < *next ? w->lease_end : *next;
            continue;
        }
        worker_end(b, w,
                   p ? "it was silent for longer than its lease" : "it was disconnected and did not come back within its lease");
        if (p)
            peer_cut(b, p, "silent for longer than its lease");
    }
    for (LIST_EACH_SAFE(&b->clients, n, after)) {
        struct client *c = LIST_ENTRY(n, struct client, node);
        uint64_t end = c->detached_at + b->c.detach_ms * CLOCK_MS;
        if (c->peer && c->mute_until && c->mute_until <= b->now)
            drop_mute(b, c);
        if (c->peer && c->mute_until && c->mute_until < *next)
            *next = c->mute_until;
        if (c->peer)
            continue;
        if (end <= b->now)
            client_end(b, c);
        else if (end < *next)
            *next = end;
    }
    for (LIST_EACH_SAFE(&b->all_jobs, n, after)) {
        struct job *j = LIST_ENTRY(n, struct job, in_all);
        if (j->client)
            continue;
        if (j->parked_until <= b->now)
            job_free(b, j);
        else if (j->parked_until < *next)
            *next = j->parked_until;
    }
}
