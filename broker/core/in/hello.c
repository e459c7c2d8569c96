/* SPDX-License-Identifier: MPL-2.0
 * hello.c - HELLO: a connection becomes a session's, which is new or resumed. A session is named by (key, instance) and has at
 * most one connection; conn_no only rises.
 */
#include "in.h"

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
    b->grants_dirty |= client_is_dormant(c);
    brk_client_move(c, CLIENT_ON_HELLO);
    if (c->state == CLIENT_WAKING && !c->away_jobs && !c->away_pools)
        brk_client_move(c, CLIENT_ON_AWAKE);    /* what its processes had has gone back */
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
    brk_worker_move(w, WORKER_ON_HELLO);
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
