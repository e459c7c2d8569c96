/* SPDX-License-Identifier: MPL-2.0
 * session.c - connections and the sessions behind them: HELLO, fencing, loss, leases, ends.
 *
 * A session is named by (key, instance) and has at most one connection; conn_no only rises. Never charges a peer for a connection
 * that was cut: that is decided when the lease or detach_ms has passed.
 */
#include "state.h"
#include "wire/times.h"

#include <stdarg.h>
#include <stdio.h>

void brk_copy_text(char *to, size_t size, struct wire_str s)
{
    size_t n = s.n < size - 1 ? s.n : size - 1;

    if (n)
        memcpy(to, s.p, n);
    to[n] = 0;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)to[i] < 32 || to[i] == 127)
            to[i] = '?';
}

struct owner *brk_owner_find(const struct broker *b, const uint8_t *key)
{
    for (KEYED_EACH(&b->owner_map, brk_keyed_hash(b, key, NULL), k))
        if (!memcmp(LIST_ENTRY(k, struct owner, by_key)->key, key, WIRE_KEY))
            return LIST_ENTRY(k, struct owner, by_key);
    return NULL;
}

struct owner *brk_owner_get(struct broker *b, const uint8_t *key)
{
    uint64_t least = UINT64_MAX;
    struct owner *o = brk_owner_find(b, key);

    if (o) {
        o->refs++;
        return o;
    }
    for (LIST_EACH(&b->owners, n))      /* as many as keys that may connect */
        least = LIST_ENTRY(n, struct owner, node)->used_ns < least ? LIST_ENTRY(n, struct owner, node)->used_ns : least;
    if (!(o = brk_mem_new(b, sizeof(*o))) || !(o->account = brk_account_new(b->account))) {
        brk_mem_free(b, o, sizeof(*o));
        return NULL;
    }
    if (brk_keyed_put(&b->owner_map, &o->by_key, brk_keyed_hash(b, key, NULL)) < 0) {
        brk_account_unref(o->account);
        brk_mem_free(b, o, sizeof(*o));
        return NULL;
    }
    brk_account_charge(o->account, sizeof(*o));
    memcpy(o->key, key, WIRE_KEY);
    o->refs = 1;
    o->used_ns = list_empty(&b->owners) ? 0 : least;
    list_init(&o->chores);
    list_init(&o->waiting);
    o->round = 1;
    list_init(&o->pools);
    list_init(&o->stopped);
    list_init(&o->active);
    list_init(&o->later);
    list_init(&o->jobs);
    list_push_back(&b->owners, &o->node);
    return o;
}

void brk_owner_unref(struct broker *b, struct owner *o)
{
    if (!o || --o->refs)
        return;
    list_remove(&b->owners, &o->node);
    brk_keyed_take(&b->owner_map, &o->by_key);
    brk_chore_forget(b, o, &o->wake);
    brk_account_release(o->account, sizeof(*o));
    brk_account_unref(o->account);
    brk_mem_free(b, o, sizeof(*o));
}

void brk_client_dirty(struct broker *b, struct client *c)
{
    if (c->peer && !list_in(&c->dirty))
        list_push_back(&b->dirty_clients, &c->dirty);
}

void brk_worker_dirty(struct broker *b, struct worker *w)
{
    if (w->peer && !list_in(&w->dirty))
        list_push_back(&b->dirty_workers, &w->dirty);
}

void brk_peer_free(struct broker *b, struct peer *p)
{
    map_take(&b->peers, p->id);
    if (list_in(&p->cut))
        list_remove(&b->cuts, &p->cut);
    if (list_in(&p->dirty))
        list_remove(&b->dirty_peers, &p->dirty);
    if (p->account)
        brk_account_release(p->account, sizeof(*p) + MAP_COST);
    brk_account_unref(p->account);
    map_free(&p->said);
    brk_mem_free(b, p, sizeof(*p));
}

/* ---- clients ----------------------------------------------------------------------------------------------------------------- */

/* When a tick looks at it next; 0: not. */
void brk_client_timer(struct broker *b, struct client *c, uint64_t at)
{
    if (interval_in(&c->timer))
        interval_take(&b->timers, &c->timer);
    if (!at)
        return;
    c->timer = (struct interval){ .first = at };
    interval_put_time(&b->timers, &c->timer);
    if (at < b->tick_at)
        b->tick_at = at;
}

void brk_client_attached(struct client *c)
{
    c->owner->n_detached -= c->detached;
    c->detached = false;
}

void brk_client_end(struct broker *b, struct client *c)
{
    struct owner *o = c->owner;

    if (c->ending)
        return;
    brk_client_attached(c);
    brk_client_timer(b, c, 0);
    if (c->peer)
        c->peer->client = NULL;
    c->peer = NULL;
    if (list_in(&c->dirty))
        list_remove(&b->dirty_clients, &c->dirty);
    o->n_tasks -= c->n_tasks;
    o->n_bytes -= c->n_bytes;
    o->leaving_tasks += c->n_tasks;
    o->leaving_bytes += c->n_bytes;
    c->ending = c->paused = true;
    brk_keyed_take(&b->client_map, &c->by_name);
    brk_chore_forget(b, o, &c->away);
    brk_chore_forget(b, o, &c->said_ack);
    b->grants_dirty = true;
    brk_chore_add(b, o, &c->end, CHORE_CLIENT_END);
}

void brk_client_free(struct broker *b, struct client *c)
{
    struct owner *o = c->owner;

    assert(list_empty(&c->said));
    brk_chore_forget(b, o, &c->end);
    list_remove(&b->clients, &c->node);
    map_free(&c->jobs);
    map_free(&c->pools);
    o->n_sessions--;
    brk_mem_free_for(b, o->account, c, sizeof(*c));
    brk_chores_room(b, o);
    brk_owner_unref(b, o);
}

static uint64_t soonest(const struct broker *b)
{
    return (b->c.detach_ms < TIME_CLOSED_MS ? b->c.detach_ms : TIME_CLOSED_MS) * CLOCK_MS;
}

void brk_session_away(struct broker *b, struct client *c)
{
    if (!brk_client_away(b, c, brk_chore_budget(b, c->owner)))
        brk_chore_add(b, c->owner, &c->away, CHORE_CLIENT_AWAY);
}

void brk_client_detach(struct broker *b, struct client *c)
{
    c->peer->client = NULL;
    c->peer = NULL;
    c->detached_at = b->now;
    c->detached = true;
    c->owner->n_detached++;
    brk_client_timer(b, c, b->now + soonest(b));
    if (list_in(&c->dirty))
        list_remove(&b->dirty_clients, &c->dirty);
    c->attached++;
    c->mute_pools = c->mute_jobs = 0;           /* what it opens again in its next connection goes on */
    list_append(&c->unsure, &c->assigning);
    list_append(&c->unsure, &c->told);
    brk_client_pause(b, c);
    brk_session_away(b, c);
}

/* What its pool had there has gone back: nothing that is on its way is for a lane that is gone. What a worker has brought since is
 * for one that stays. */
static bool leave_workers(struct broker *b, struct pool *p, uint32_t *budget)
{
    for (LIST_EACH_SAFE(&p->lanes, n, after)) {
        struct lane *l = LIST_ENTRY(n, struct lane, in_pool);
        struct list_node *k;
        b->steps++;
        for (; list_empty(&l->live) && *budget && (k = list_pop(&l->kept)); --*budget) {
            LIST_ENTRY(k, struct attempt, in_lane)->kept = NULL;
            b->steps++;
        }
        if (!*budget)
            return false;
        if (!list_empty(&l->live))
            continue;
        --*budget;
        brk_lane_forget(b, l);
    }
    return true;
}

/* All that its processes had goes back. */
static bool asleep(struct broker *b, struct client *c, uint32_t *budget)
{
    struct list_node *n, *k;

    for (; c->away_jobs && (n = list_first(&c->job_list)); c->away_jobs--) {
        struct job *j = LIST_ENTRY(n, struct job, in_client);
        while ((k = list_first(&j->live))) {
            struct attempt *a = LIST_ENTRY(k, struct attempt, in_job);
            if (!*budget)
                return false;
            budget_take(budget, attempt_places(a));
            b->steps++;
            brk_attempt_requeue(b, a, job_once(j), "its processes were ended: the client was gone", a->sent ? WIRE_WHY_FENCED : 0);
        }
        if (!*budget)
            return false;
        --*budget;
        brk_job_forget(b, j);   /* with the pool, see leave_workers */
        list_remove(&c->job_list, n);
        list_push_back(&c->job_list, n);
    }
    c->away_jobs = 0;
    for (; c->away_pools && (n = list_first(&c->pool_list)); c->away_pools--, --*budget) {
        if (!leave_workers(b, LIST_ENTRY(n, struct pool, in_client), budget) || !*budget)
            return false;
        b->steps++;
        list_remove(&c->pool_list, n);
        list_push_back(&c->pool_list, n);
    }
    c->away_pools = 0;
    if (c->peer) {
        c->dormant = false;
        b->grants_dirty = true;
    }
    return true;
}

/* Pools and jobs that the client has finished with while that, or a last acknowledgement, was lost with a connection. */
static bool drop_mute(struct broker *b, struct client *c, uint32_t *budget)
{
    struct list_node *n;

    for (; c->mute_pools && (n = list_first(&c->pool_list)); c->mute_pools--, --*budget) {
        struct pool *p = LIST_ENTRY(n, struct pool, in_client);
        if (!*budget)
            return false;
        b->steps++;
        list_remove(&c->pool_list, n);
        list_push_back(&c->pool_list, n);
        if (!p->ending && p->attached != c->attached)
            brk_pool_close(b, p);
    }
    c->mute_pools = 0;
    for (; c->mute_jobs && (n = list_first(&c->job_list)); c->mute_jobs--, --*budget) {
        struct job *j = LIST_ENTRY(n, struct job, in_client);
        if (!*budget)
            return false;
        b->steps++;
        list_remove(&c->job_list, n);
        list_push_back(&c->job_list, n);
        if (job_mute(j))
            brk_job_end(b, j);
    }
    c->mute_jobs = 0;
    return true;
}

/* What it was told of and has not confirmed goes back at once; when it is dormant, all that its processes had. When it has been
 * back for long enough, what it has not opened again ends. One after the other: each goes around the same lists. */
bool brk_client_away(struct broker *b, struct client *c, uint32_t *budget)
{
    struct list_node *n;

    for (; (n = list_first(&c->unsure)); --*budget) {
        if (!*budget)
            return false;
        b->steps++;
        brk_attempt_requeue(b, LIST_ENTRY(n, struct attempt, out), false, NULL, 0);
    }
    return (!c->dormant || asleep(b, c, budget)) && drop_mute(b, c, budget);
}

/* Its connection was closed and it has not come back: its processes end, what they ran goes back to its jobs. Session and outcomes
 * wait for it as before. */
void brk_client_dormant(struct broker *b, struct client *c)
{
    c->dormant = true;
    c->away_jobs = c->job_list.count;
    c->away_pools = c->pool_list.count;
    brk_effect_log_session(b, c->owner->key, LOG_INFO_, "client %s has not come back: its processes end, its work waits for it",
                           c->name);
    b->grants_dirty = true;
    brk_session_away(b, c);
}

/* Whoever connects again and again without resuming does not pile up sessions. */
void brk_detached_limit(struct broker *b, struct owner *o)
{
    struct client *oldest = NULL;

    if (o->n_detached <= b->c.detached_max)
        return;
    for (LIST_EACH(&b->clients, n)) {
        struct client *c = LIST_ENTRY(n, struct client, node);
        if (c->owner == o && c->detached && (!oldest || c->detached_at < oldest->detached_at))
            oldest = c;
    }
    assert(oldest);
    brk_effect_log_session(b, o->key, LOG_WARNING_, "the jobs of %s end: more than %u sessions of its key are disconnected",
                           oldest->name, b->c.detached_max);
    brk_client_end(b, oldest);
}

struct client *brk_client_find(struct broker *b, const uint8_t *key, struct wire_bin instance)
{
    for (KEYED_EACH(&b->client_map, brk_keyed_hash(b, key, instance.p), k)) {
        struct client *c = LIST_ENTRY(k, struct client, by_name);
        if (!memcmp(c->instance, instance.p, WIRE_ID) && !memcmp(c->owner->key, key, WIRE_KEY))
            return c;
    }
    return NULL;
}

struct client *brk_client_new(struct broker *b, struct peer *p, const struct wire_hello *h, struct refusal *r)
{
    struct owner *o = brk_owner_get(b, p->key);
    struct client *c = NULL;

    if (!o)
        brk_refuse(r, BFORK_ENOMEM, NULL, "the broker is out of memory");
    else if (brk_account_takes_session(b, o, r) == 0 && !(c = brk_mem_new_for(b, o->account, sizeof(*c))))
        brk_refuse(r, BFORK_ENOMEM, NULL, "the broker is out of memory");
    if (!c) {
        brk_owner_unref(b, o);
        return NULL;
    }
    if (brk_keyed_put(&b->client_map, &c->by_name, brk_keyed_hash(b, p->key, h->instance.p)) < 0) {
        brk_refuse(r, BFORK_ENOMEM, NULL, "the broker is out of memory");
        brk_mem_free_for(b, o->account, c, sizeof(*c));
        brk_owner_unref(b, o);
        return NULL;
    }
    c->owner = o;
    o->n_sessions++;
    map_init_keyed(&c->pools, &b->hash);
    map_init_keyed(&c->jobs, &b->hash);
    memcpy(c->instance, h->instance.p, WIRE_ID);
    c->since = b->now;
    brk_copy_text(c->name, sizeof(c->name), h->name);
    brk_copy_text(c->host, sizeof(c->host), h->host);
    c->pid = h->pid;
    list_init(&c->pool_list);
    list_init(&c->job_list);
    list_init(&c->sending);
    list_init(&c->assigning);
    list_init(&c->told);
    list_init(&c->unsure);
    list_init(&c->states);
    list_init(&c->said);
    list_push_back(&b->clients, &c->node);
    return c;
}

/* ---- workers ----------------------------------------------------------------------------------------------------------------- */

void brk_worker_free(struct broker *b, struct worker *w)
{
    struct account *a = w->account;

    if (a)
        brk_account_release(a, sizeof(*w));
    assert(list_empty(&w->shelves));
    map_free(&w->known_map);
    map_free(&w->lane_map);
    map_free(&w->shelf_map);
    brk_mem_free(b, w, sizeof(*w));
    brk_account_unref(a);
}

static void worker_silent(struct broker *b, struct worker *w)
{
    w->peer->worker = NULL;
    w->state = WORKER_SILENT;
    brk_worker_leaves(b, w);
    w->peer = NULL;
    if (w->lease_end < b->tick_at)
        b->tick_at = w->lease_end;
}

struct worker *brk_worker_find(struct broker *b, const uint8_t *key, struct wire_bin instance)
{
    for (KEYED_EACH(&b->worker_map, brk_keyed_hash(b, key, instance.p), k)) {
        struct worker *w = LIST_ENTRY(k, struct worker, by_name);
        if (!memcmp(w->instance, instance.p, WIRE_ID) && !memcmp(w->key, key, WIRE_KEY))
            return w;
    }
    return NULL;
}

/* Of the workers with this key. */
static struct account *worker_account(struct broker *b, const uint8_t *key)
{
    for (LIST_EACH(&b->workers, n)) {
        struct worker *w = LIST_ENTRY(n, struct worker, node);
        if (!memcmp(w->key, key, WIRE_KEY))
            return brk_account_ref(w->account);
    }
    return brk_account_new(b->account);
}

struct worker *brk_worker_new(struct broker *b, struct peer *p, const struct wire_hello *h)
{
    struct worker *w = brk_mem_new(b, sizeof(*w));

    if (!w || !(w->account = worker_account(b, p->key))) {
        brk_mem_free(b, w, sizeof(*w));
        return NULL;
    }
    if (brk_keyed_put(&b->worker_map, &w->by_name, brk_keyed_hash(b, p->key, h->instance.p)) < 0) {
        brk_account_unref(w->account);
        brk_mem_free(b, w, sizeof(*w));
        return NULL;
    }
    brk_account_charge(w->account, sizeof(*w));
    memcpy(w->key, p->key, WIRE_KEY);
    memcpy(w->instance, h->instance.p, WIRE_ID);
    w->since = b->now;
    map_init_keyed(&w->known_map, &b->hash);
    map_init_keyed(&w->lane_map, &b->hash);
    map_init_keyed(&w->shelf_map, &b->hash);
    list_init(&w->shelves);
    list_init(&w->lanes);
    list_init(&w->attempts);
    list_init(&w->finished);
    list_init(&w->told);
    list_init(&w->behind);
    list_init(&w->to_send);
    list_init(&w->recalls);
    list_init(&w->closing);
    list_init(&w->known);
    list_init(&w->forget);
    list_init(&w->grants);
    list_init(&w->taken);
    list_push_back(&b->workers, &w->node);
    return w;
}

/* ---- HELLO ------------------------------------------------------------------------------------------------------------------- */

static void send_welcome(struct broker *b, struct peer *p, const struct wire_hello *h, bool resumed)
{
    struct wire_msg *m = brk_effect_send(b, p, WIRE_WELCOME);

    if (!m) {
        brk_peer_no_memory(b, p);
        return;
    }
    m->request = p->hello_request;
    m->u.welcome = (struct wire_welcome){ .protocol = h->protocol_max < WIRE_PROTOCOL ? h->protocol_max : WIRE_PROTOCOL,
                                          .software = WIRE_STR("broadfork " BF_VERSION),
                                          .epoch = b->c.epoch,
                                          .heartbeat_ms = b->c.heartbeat_ms,
                                          .lease_ms = b->c.lease_ms,
                                          .hold_ms = b->c.hold_ms,
                                          .window_bytes = b->c.window_bytes,
                                          .resumed = resumed,
                                          .features = WIRE_FEATURES,
                                          .frame_max = WIRE_FRAME_MAX,
                                          .body_max = WIRE_BODY_MAX,
                                          .task_max = WIRE_TASK_MAX,
                                          .spec_max = WIRE_SPEC_MAX,
                                          .records_max = WIRE_ITEMS_MAX,
                                          .item_tasks_max = WIRE_BATCH_TASKS,
                                          .piece_max = WIRE_PIECE_MAX,
                                          .window_max = b->c.peer_window_bytes };
    if (p->role == WIRE_CLIENT) {
        m->u.welcome.memory = b->c.owner_memory;
        m->u.welcome.sessions_max = b->c.sessions_max;
        m->u.welcome.pools_max = b->c.pools_max;
        m->u.welcome.jobs_max = b->c.jobs_max;
        m->u.welcome.quota_bytes = b->c.quota_bytes;
        m->u.welcome.quota_tasks = b->c.quota_tasks;
        m->u.welcome.owner_quota_bytes = b->c.owner_quota_bytes;
        m->u.welcome.owner_quota_tasks = b->c.owner_quota_tasks;
        m->u.welcome.detach_ms = b->c.detach_ms;
        m->u.welcome.detached_max = b->c.detached_max;
        m->u.welcome.owner = wire_bin_of(p->client->owner->key, WIRE_KEY);
    } else if (p->role == WIRE_WORKER) {
        m->u.welcome.memory = b->c.worker_memory;
    }
}

void brk_session_cut(struct broker *b, struct peer *p)
{
    if (p->client)
        brk_client_detach(b, p->client);
    if (p->worker)
        worker_silent(b, p->worker);
}

/* The new connection takes the session over, unless it is older than the present one. */
static bool fence(struct broker *b, struct peer *p, uint64_t *conn_no, struct peer *old, const struct wire_hello *h)
{
    if (h->conn_no <= *conn_no) {
        brk_session_fail(b, p, BFORK_ESTATE, "connection %llu of this session is older than the present one (%llu)",
                         (unsigned long long)h->conn_no, (unsigned long long)*conn_no);
        return false;
    }
    *conn_no = h->conn_no;
    if (old) {
        b->n.fenced++;
        brk_session_cut(b, old);
        brk_peer_cut(b, old, "a newer connection of the same session");
    }
    return true;
}

void brk_peer_ready(struct peer *p, struct account *a)
{
    p->state = PEER_READY;
    p->account = brk_account_ref(a);
    brk_account_charge(a, sizeof(*p) + MAP_COST);
}

static void hello_client(struct broker *b, struct peer *p, const struct wire_hello *h)
{
    struct client *c = brk_client_find(b, p->key, h->instance);
    bool resumed = c != NULL;
    struct refusal r;

    if (!c && !(c = brk_client_new(b, p, h, &r))) {
        if (r.code == BFORK_ENOMEM)
            brk_peer_no_memory(b, p);
        else
            brk_session_fail(b, p, r.code, "%s", r.text);
        return;
    }
    if (!fence(b, p, &c->conn_no, c->peer, h)) {
        if (!resumed)
            brk_client_end(b, c);
        return;
    }
    brk_client_attached(c);
    b->grants_dirty |= c->dormant;
    c->dormant = c->dormant && (c->away_jobs || c->away_pools);     /* until what its processes had has gone back */
    c->peer = p;
    c->window = p->window;
    c->features = h->features;
    p->client = c;
    brk_client_timer(b, c, resumed ? b->now + b->c.detach_ms * CLOCK_MS : 0);
    brk_peer_ready(p, c->owner->account);
    brk_client_pause(b, c);
    send_welcome(b, p, h, resumed);
    brk_said_resend(b, c);
}

/* The one before it ends when the new one is there already: pools that only this worker can run wait for it. */
static void worker_replaces(struct broker *b, struct peer *p, const struct wire_hello *h)
{
    struct worker *before;
    struct peer *old;

    if (h->replaces.n != WIRE_ID || !memcmp(h->replaces.p, h->instance.p, WIRE_ID))
        return;
    if (!(before = brk_worker_find(b, p->key, h->replaces)))
        return;
    old = before->peer;
    brk_worker_end(b, before, "it was started again");
    if (old)
        brk_peer_cut(b, old, "replaced by a new start of the worker");
}

static void hello_worker(struct broker *b, struct peer *p, const struct wire_hello *h)
{
    struct worker *w = brk_worker_find(b, p->key, h->instance);
    bool resumed = w != NULL;

    if (!w && !(w = brk_worker_new(b, p, h))) {
        brk_peer_no_memory(b, p);
        return;
    }
    if (!fence(b, p, &w->conn_no, w->peer, h)) {
        if (!resumed)
            brk_worker_end(b, w, "its first connection was refused");
        return;
    }
    w->peer = p;
    w->state = WORKER_JOINING;
    worker_replaces(b, p, h);
    w->same_epoch = h->epoch == b->c.epoch && (w->joined || !resumed);  /* cut behind WELCOME: nothing of this epoch is with it */
    w->slots = h->slots;
    w->features = h->features;
    w->key_exposed = h->key_exposed;
    w->round++;
    w->lease_end = b->now + b->c.lease_ms * CLOCK_MS;
    if (w->lease_end < b->tick_at)
        b->tick_at = w->lease_end;
    brk_copy_text(w->name, sizeof(w->name), h->name.n ? h->name : h->host);
    brk_copy_text(w->host, sizeof(w->host), h->host);
    brk_copy_text(w->software, sizeof(w->software), h->software);
    brk_copy_text(w->resources, sizeof(w->resources), h->resources);
    p->worker = w;
    brk_peer_ready(p, w->account);
    send_welcome(b, p, h, resumed);
    brk_worker_dirty(b, w);
}

void brk_session_hello(struct broker *b, struct peer *p, const struct wire_msg *m)
{
    const struct wire_hello *h = &m->u.hello;

    p->hello_request = m->request;
    if (m->channel) {
        brk_session_fail(b, p, BFORK_ENOTSUP, "HELLO: channel is %u; this release knows no other than 0", m->channel);
        return;
    }
    if (h->protocol_min > WIRE_PROTOCOL || h->protocol_max < WIRE_PROTOCOL_MIN || h->protocol_min > h->protocol_max) {
        brk_session_fail(b, p, BFORK_EPROTOCOL,
                         "this broker speaks protocol %u to %u, the peer %u to %u; install the same release on both sides",
                         WIRE_PROTOCOL_MIN, WIRE_PROTOCOL, h->protocol_min, h->protocol_max);
        return;
    }
    if (h->role != (uint32_t)p->role) {
        brk_session_fail(b, p, BFORK_EDENIED, "this endpoint and key are not for that role (%u)", h->role);
        return;
    }
    p->window = h->window_bytes ? h->window_bytes : b->c.window_bytes;
    if (p->window > b->c.peer_window_bytes)
        p->window = b->c.peer_window_bytes;
    if (p->role == WIRE_ADMINISTRATOR) {
        brk_peer_ready(p, b->account);
        send_welcome(b, p, h, false);
    } else if (h->instance.n != WIRE_ID || (p->role == WIRE_WORKER && !h->slots)) {
        brk_session_fail(b, p, BFORK_EPROTOCOL, "HELLO without an instance of 16 bytes, or without slots");
    } else if (p->role == WIRE_CLIENT) {
        hello_client(b, p, h);
    } else {
        hello_worker(b, p, h);
    }
}

/* ---- ends -------------------------------------------------------------------------------------------------------------------- */

void brk_session_lost(struct broker *b, struct peer *p)
{
    struct owner *o = p->client ? p->client->owner : NULL;

    brk_session_cut(b, p);
    if (o)
        brk_detached_limit(b, o);
}

void brk_session_drop(struct broker *b, struct peer *p, const char *why)
{
    if (!p || p->state == PEER_CUT)
        return;
    brk_session_lost(b, p);
    brk_peer_cut(b, p, why);
}

void brk_session_break(struct broker *b, struct peer *p)
{
    if (!p || p->state == PEER_CUT)
        return;
    brk_session_lost(b, p);
    brk_peer_no_memory(b, p);
}

void brk_session_bye(struct broker *b, struct peer *p)
{
    if (p->client)
        brk_client_end(b, p->client);
    if (p->worker)
        brk_worker_end(b, p->worker, "it has left");
    brk_peer_cut(b, p, "it has left");
}

void brk_session_fail(struct broker *b, struct peer *p, int code, const char *format, ...)
{
    struct wire_msg *m;
    va_list ap;

    if (!p || p->state == PEER_CUT)
        return;
    if (code == BFORK_EPROTOCOL || code == BFORK_EDENIED || code == BFORK_ENOTSUP)
        b->n.bad_messages++;
    if ((m = brk_effect_send(b, p, WIRE_ERROR))) {
        va_start(ap, format);
        m->u.error = (struct wire_error_head){ .code = code, .text = brk_effect_text(b, format, ap),
                                               .protocol_min = WIRE_PROTOCOL_MIN,
            .protocol_max = WIRE_PROTOCOL };
        va_end(ap);
        brk_effect_log_session(b, p->key, LOG_WARNING_, "a session ends: %s", m->u.error.text.p);
    }
    brk_peer_cut(b, p, "its session has failed");
    if (p->client)
        brk_client_end(b, p->client);
    if (p->worker)
        brk_worker_end(b, p->worker, "its session has failed");
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
        brk_session_away(b, c);
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
