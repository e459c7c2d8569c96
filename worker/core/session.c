/* SPDX-License-Identifier: MPL-2.0
 * session.c - the conversation with the broker: HELLO, WELCOME, heartbeats, and who handles which message.
 *
 * A first connection, one after a cut and one to a restarted broker are the same path: HELLO, WELCOME, HOLDING for every attempt,
 * then all records again. What runs goes on meanwhile. If the broker no longer knows this instance its handles are void: lanes
 * are found again by (digest of the specification, owner), jobs by id, attempts by id. After half a lease in silence a new
 * connection is made.
 */
#include "doors.h"
#include "in/in.h"
#include "out/out.h"
#include "worker.h"

#include "base/least.h"
#include "wire/times.h"

#include <stdio.h>
#include <string.h>

#define HELLO_LIMIT (10 * CLOCK_SEC)

static const char *owned_text(struct worker *w, const char *prefix, struct wire_str s)
{
    size_t n = strlen(prefix) + s.n + 1;
    char *p = wrk_effect_alloc(w, n);

    if (!p)
        return prefix;
    snprintf(p, n, "%s%.*s", prefix, (int)s.n, s.n ? s.p : "");
    return p;
}

void wrk_send_state(struct worker *w)
{
    wrk_link_send(w, WIRE_WORKER_STATE)->u.worker_state = (struct wire_worker_state){ w->config.slots, wrk_lanes_busy(w),
                                                                                      w->draining };
}

void worker_connected(struct worker *w, uint64_t now)
{
    w->now = now;
    wrk_link_move(w, LINK_CONNECTED);
    w->conn_no++;
    w->in_bytes = w->in_told = w->out_bytes = w->out_acked = 0;
    w->last_recv = w->hello_at = w->last_ping = now;
    struct wire_hello *h = &wrk_link_send(w, WIRE_HELLO)->u.hello;
    const struct worker_config *c = &w->config;

    h->protocol_min = WIRE_PROTOCOL_MIN;
    h->protocol_max = WIRE_PROTOCOL;
    h->role = WIRE_WORKER;
    h->software = WIRE_STR(c->software ? c->software : "");
    h->name = WIRE_STR(c->name ? c->name : "");
    h->instance = wire_bin_of(c->instance, WIRE_ID);
    if (c->has_replaces)
        h->replaces = wire_bin_of(c->replaces, WIRE_ID);
    h->conn_no = w->conn_no;
    h->epoch = w->epoch;
    h->slots = c->slots;
    h->window_bytes = c->window_bytes;
    h->arch = WIRE_STR(c->arch ? c->arch : "");
    h->host = WIRE_STR(c->host ? c->host : "");
    h->pid = c->pid;
    h->resources = WIRE_STR(c->resources ? c->resources : "");
    h->features = WIRE_FEATURES;
    h->key_exposed = c->key_exposed;
}

void worker_disconnected(struct worker *w, uint64_t now, const char *why)
{
    w->now = now;
    if (w->link == LINK_UP)
        wrk_effect_log(w, LOG_WARNING_, "the connection to the broker is gone: %s; %zu chunks are kept and go on",
                       why ? why : "no reason", w->attempts.count);
    wrk_link_move(w, LINK_CUT);
}

uint64_t worker_lease_end(const struct worker *w)
{
    return list_empty(&w->attempts) ? 0 : w->lease == LEASE_OUT ? 1 : w->lease_from + w->lease_ns;
}

uint64_t worker_right_until(const struct worker *w)
{
    return w->lease == LEASE_OUT ? 0 : w->lease == LEASE_HELD ? w->lease_from + w->lease_ns : CLOCK_NEVER;
}

static void ping(struct worker *w)
{
    wrk_link_send(w, WIRE_PING)->u.ping.stamp = w->now;
    w->last_ping = w->now;
}

void worker_denied(struct worker *w, uint64_t now)
{
    w->now = now;
    wrk_lease_out(w, "the broker does not allow the key of this worker");
}

void worker_stalled(struct worker *w, uint64_t from, uint64_t to)
{
    if (to > from)
        w->last_recv += to - from;
}

bool worker_online(const struct worker *w)
{
    return w->link == LINK_UP;
}

uint64_t worker_ack(const struct worker *w)
{
    return w->in_bytes;
}

static void on_welcome(struct worker *w, const struct wire_welcome *h)
{
    if (w->link != LINK_HELLO) {
        wrk_link_drop(w, "the broker sent WELCOME twice");
        return;
    }
    if (h->protocol < WIRE_PROTOCOL_MIN || h->protocol > WIRE_PROTOCOL) {
        struct worker_effect *e = wrk_effect_add(w, WORKER_REFUSED);

        e->text = "the broker speaks another version of the protocol: install the same version of Broadfork on both hosts";
        wrk_link_move(w, LINK_CUT);
        return;
    }
    bool forgotten = w->epoch && (h->epoch != w->epoch || !h->resumed);

    if (forgotten && h->epoch == w->epoch)
        wrk_lease_out(w, "the broker has given this worker up");
    if (!wrk_link_move(w, LINK_WELCOME))
        return;                 /* there was no memory for what came back: the connection is given up */
    wrk_lease_move(w, LEASE_WELCOME);
    w->epoch = h->epoch;
    w->heartbeat_ns = (h->heartbeat_ms ? h->heartbeat_ms : TIME_HEARTBEAT_MS) * CLOCK_MS;
    w->lease_ns = (h->lease_ms ? h->lease_ms : TIME_LEASE_MS) * CLOCK_MS;
    w->window = h->window_bytes && h->window_bytes < w->config.window_bytes ? h->window_bytes : w->config.window_bytes;
    if (forgotten)
        wrk_lane_unbind_all(w);
    wrk_lane_stale_all(w);
    /* What has been returned as a whole is not held: that the broker does not find it below says the same. */
    for (LIST_EACH_SAFE(&w->attempts, n, after)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, all);

        if (a->end == a->run.first)
            wrk_attempt_free(w, a);
    }
    wrk_send_holding(w);
    if (w->draining)
        wrk_send_state(w);
    for (LIST_EACH(&w->lanes, n)) {
        struct lane *l = LIST_ENTRY(n, struct lane, all);

        if (l->tell_failed)
            wrk_lane_tell(w, l);
    }
    wrk_lane_unbind_idle(w);
    wrk_said_resend(w);
    wrk_results_resend(w);
    if (w->lease == LEASE_OUT) {
        w->confirm = w->now;
        ping(w);
    } else {
        w->lease_from = w->hello_at;
    }
}

static void on_pong(struct worker *w, const struct wire_ping *p)
{
    if (p->stamp > w->now || p->stamp <= w->lease_from)
        return;
    if (w->lease == LEASE_OUT && p->stamp < w->confirm)
        return;
    w->lease_from = p->stamp;
    wrk_lease_in(w);
}

static void on_chunks(struct worker *w, const struct wire_msg *m)
{
    for (uint32_t i = 0; i < m->n_items && w->link == LINK_UP; i++) {
        w->in_bytes += wire_item_bytes(&m->items[i]);
        wrk_attempt_take(w, &m->items[i]);
    }
}

static void on_error(struct worker *w, const struct wire_msg *m)
{
    int32_t code = m->u.error.code;
    /* A refusal of the version or of the role stays a refusal; anything else may be over after a while. */
    bool for_good = m->type == WIRE_ERROR && m->u.error.protocol_max &&
                    (m->u.error.protocol_max < WIRE_PROTOCOL_MIN || m->u.error.protocol_min > WIRE_PROTOCOL);
    struct worker_effect *e;

    if (m->type == WIRE_ERROR)
        wrk_effect_log(w, LOG_ERROR_, "the broker ended the session (%d): %.*s", code, (int)m->u.error.text.n,
                       m->u.error.text.n ? m->u.error.text.p : "");
    if (m->type == WIRE_ERROR)
        wrk_lease_out(w, "the session has ended");
    e = wrk_effect_add(w, for_good ? WORKER_REFUSED : WORKER_RECONNECT);
    e->text = owned_text(w, m->type == WIRE_BYE ? "the broker leaves: " :
                         m->type == WIRE_RESET ? "the broker asks for a new session: " : "the broker ended the session: ",
                         m->u.error.text);
    wrk_link_move(w, LINK_CUT);
}

static void dispatch(struct worker *w, const struct wire_msg *m)
{
    switch (m->type) {
    case WIRE_GRANT:
        wrk_lane_grant(w, &m->u.grant);
        return;
    case WIRE_JOB_SPEC:
        wrk_job_open(w, &m->u.job_spec);
        return;
    case WIRE_JOB_FORGET:
        wrk_job_forget(w, m->u.job_ref.job);
        return;
    case WIRE_CHUNKS:
        on_chunks(w, m);
        return;
    case WIRE_RECALL:
        wrk_attempts_recall(w, m);
        return;
    case WIRE_ATTEMPTS_CLOSE:
        for (uint32_t i = 0; i < m->n_items; i++)
            wrk_attempt_close(w, &m->items[i]);
        return;
    case WIRE_OUTPUT_TAKEN:
        for (uint32_t i = 0; i < m->n_items; i++)
            wrk_said_taken(w, &m->items[i]);
        return;
    case WIRE_PING:
        wrk_link_send(w, WIRE_PONG)->u.ping = m->u.ping;
        return;
    case WIRE_PONG:
        on_pong(w, &m->u.ping);
        return;
    case WIRE_BLOB_GET:
    case WIRE_BLOB_PIECE:
    case WIRE_BLOB_NONE:
        return;
    default: {
        char why[80];

        snprintf(why, sizeof(why), "the broker sent %s, which no worker understands", wire_type_name(m->type));
        wrk_link_drop(w, why);
    }
    }
}

void worker_recv(struct worker *w, uint64_t now, const struct wire_msg *m)
{
    w->now = now;
    if (w->link == LINK_DOWN)
        return;
    w->last_recv = now;
    if (m->ack > w->out_acked && m->ack <= w->out_bytes)
        w->out_acked = m->ack;
    if (m->type == WIRE_WELCOME)
        on_welcome(w, &m->u.welcome);
    else if (m->type == WIRE_ERROR || m->type == WIRE_RESET || m->type == WIRE_BYE)
        on_error(w, m);
    else if (w->link == LINK_UP)
        dispatch(w, m);
}

/* Who holds work asks more often: the broker hears it in good time before a lease ends. */
static uint64_t next_ping(const struct worker *w)
{
    bool holds = !list_empty(&w->attempts);
    uint64_t quiet = w->last_sent + (holds ? w->heartbeat_ns / 4 : w->heartbeat_ns), asked = w->last_ping + w->heartbeat_ns / 2;

    return holds && asked < quiet ? asked : quiet;
}

void wrk_link_tick(struct worker *w)
{
    if (w->link == LINK_HELLO && w->now >= w->last_recv + HELLO_LIMIT)
        wrk_link_drop(w, "the broker did not answer HELLO for 10 s");
    if (w->lease == LEASE_HELD && w->now >= w->lease_from + w->lease_ns)
        wrk_lease_out(w, "the lease has ended without an answer of the broker");
    if (w->link != LINK_UP)
        return;
    if (w->now >= w->last_recv + w->lease_ns / 2) {
        char why[80];

        snprintf(why, sizeof(why), "the broker was silent for %u ms", (unsigned)(w->lease_ns / 2 / CLOCK_MS));
        wrk_link_drop(w, why);
    } else if (w->now >= next_ping(w)) {
        ping(w);
    }
}

uint64_t wrk_link_deadline(const struct worker *w)
{
    uint64_t lease = w->lease == LEASE_HELD ? w->lease_from + w->lease_ns : CLOCK_NEVER;

    if (w->link == LINK_HELLO)
        return least(lease, w->last_recv + HELLO_LIMIT);
    if (w->link == LINK_DOWN)
        return lease;
    return least(lease, least(w->last_recv + w->lease_ns / 2, next_ping(w)));
}
