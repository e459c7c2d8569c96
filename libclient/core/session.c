/* SPDX-License-Identifier: MPL-2.0
 * session.c - the connection's life: HELLO, WELCOME, heartbeat, what comes in, reconnecting.
 */
#include "rules/rules.h"
#include "wire/times.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_BYTES (32u << 20)

int session_new(const struct session_config *config, const struct session_ops *ops, void *ctx, struct session **ret)
{
    struct session *s = calloc(1, sizeof(*s));
    if (!s)
        return BFORK_ENOMEM;
    s->config = *config;
    s->name = strdup(config->name ? config->name : "");
    s->host = strdup(config->host ? config->host : "");
    s->software = strdup(config->software ? config->software : "");
    if (!s->config.window_bytes)
        s->config.window_bytes = WINDOW_BYTES;
    s->ops = ops;
    s->ctx = ctx;
    s->random = config->seed;
    list_init(&s->pools);
    list_init(&s->closed);
    list_init(&s->jobs);
    list_init(&s->dirty);
    list_init(&s->cancels);
    list_init(&s->questions);
    list_init(&s->promises);
    map_init(&s->handles);
    if (!s->name || !s->host || !s->software) {
        session_free(&s);
        return BFORK_ENOMEM;
    }
    *ret = s;
    return 0;
}

static void forget_closed(struct session *s)
{
    for (struct list_node *n; (n = list_pop(&s->closed));)
        ses_pool_free(LIST_ENTRY(n, struct session_pool, node));
}

void session_free(struct session **sp)
{
    struct session *s = *sp;
    if (!s)
        return;
    session_effects_done(s);
    while (!list_empty(&s->jobs))
        ses_job_free(LIST_ENTRY(list_first(&s->jobs), struct session_job, node));
    while (!list_empty(&s->pools))
        ses_pool_free(LIST_ENTRY(list_first(&s->pools), struct session_pool, node));
    forget_closed(s);
    ses_question_promises(s);
    for (struct list_node *n; (n = list_pop(&s->questions));)
        free(LIST_ENTRY(n, struct question, node));
    map_free(&s->handles);
    free(s->oks);
    free(s->name);
    free(s->host);
    free(s->software);
    free(s);
    *sp = NULL;
}

void session_connected(struct session *s, uint64_t now)
{
    if (!ses_connection_move(s, SESSION_CONNECTED))
        return;
    s->out_bytes = s->out_acked = s->in_bytes = s->in_acked = 0;
    s->last_received = s->quiet_since = s->last_tick = now;
    s->pinged = 0;
    struct session_effect *e = ses_effect_send(s, WIRE_HELLO);
    if (!e)
        return;
    e->msg.u.hello = (struct wire_hello){
        .protocol_min = WIRE_PROTOCOL_MIN, .protocol_max = WIRE_PROTOCOL, .role = s->config.role, .software = WIRE_STR(s->software),
        .name = WIRE_STR(s->name), .instance = wire_bin_of(s->config.instance, WIRE_ID), .conn_no = ++s->conn_no, .epoch = s->epoch,
        .window_bytes = s->config.window_bytes, .host = WIRE_STR(s->host), .pid = s->config.pid,
        .features = WIRE_FEATURES };
}

void session_disconnected(struct session *s, uint64_t now)
{
    (void)now;
    if (!ses_connection_move(s, SESSION_CUT))
        return;
    for (LIST_EACH_SAFE(&s->pools, n, after)) {
        struct session_pool *p = LIST_ENTRY(n, struct session_pool, node);
        p->opened = false;
        if (p->closing)
            ses_pool_gone(p);
    }
    for (LIST_EACH(&s->closed, n))
        LIST_ENTRY(n, struct session_pool, node)->closing = true;
    for (LIST_EACH(&s->jobs, n)) {
        struct session_job *j = LIST_ENTRY(n, struct session_job, node);
        ses_job_move(j, JOB_CUT);
        j->seq_acked = 0;                   /* say it again */
        ses_deferred_drop(j);          /* comes again */
        ses_cancel_untold(j);
        ses_job_dirty(j);
    }
    for (LIST_EACH(&s->questions, n))
        ses_question_cut(LIST_ENTRY(n, struct question, node));
    s->n_oks = s->oks_sent = 0;
    s->look_request = 0;
    s->look_due = false;
    s->said_told = 0;
    s->n_strays = 0;
}

static void fail_session(struct session *s, int32_t code, struct wire_str text)
{
    ses_connection_move(s, SESSION_REFUSED);
    s->ops->failed(s->ctx, code ? code : BFORK_EPROTOCOL, text);
}

static void take_welcome(struct session *s, const struct wire_welcome *w)
{
    if (!ses_connection_move(s, SESSION_WELCOMED))
        return;
    s->limits = *w;
    s->limits.software = (struct wire_str){ 0 };
    s->limits.owner = (struct wire_bin){ 0 };
    if (w->epoch != s->epoch || !w->resumed) {
        forget_closed(s);
        s->quota_used_bytes = s->quota_used_tasks = 0;
        ses_said_reset(s);
        ses_question_promises(s);
        s->epoch = w->epoch;
        if (!w->resumed)                    /* forgotten though it lives: as good as a new epoch, but nothing can be adopted */
            for (LIST_EACH(&s->jobs, n)) {
                struct session_job *j = LIST_ENTRY(n, struct session_job, node);
                if (j->epoch == s->epoch)
                    j->epoch = UINT64_MAX;
            }
    }
    for (LIST_EACH(&s->jobs, n))
        ses_job_dirty(LIST_ENTRY(n, struct session_job, node));
}

static void settle_request(struct session *s, uint32_t request, int32_t code, struct wire_str text)
{
    for (LIST_EACH_SAFE(&s->questions, n, after)) {
        struct question *q = LIST_ENTRY(n, struct question, node);
        if (!q->sent || q->wire != request)
            continue;
        request = q->request;
        list_remove(&s->questions, &q->node);
        free(q);
        s->ops->answer(s->ctx, request, code, text);
        return;
    }
}

void session_forget(struct session *s, const void *user)
{
    for (LIST_EACH_SAFE(&s->questions, n, after)) {
        struct question *q = LIST_ENTRY(n, struct question, node);
        if (q->type != WIRE_CANCEL || q->user != user)
            continue;
        list_remove(&s->questions, &q->node);
        free(q);
    }
}

void session_recv(struct session *s, uint64_t now, const struct wire_msg *m)
{
    struct session_effect *e;
    s->last_received = s->quiet_since = now;
    s->pinged = 0;
    if (s->state == SESSION_FAILED || s->state == SESSION_DOWN)
        return;
    if (m->ack > s->out_acked && m->ack <= s->out_bytes)
        s->out_acked = m->ack;
    ses_pool_heard(s, m);
    switch (m->type) {
    case WIRE_WELCOME:
        take_welcome(s, &m->u.welcome);
        break;
    case WIRE_RESET:
        ses_effect_reconnect(s, "the broker asked to start over");
        break;
    case WIRE_ERROR:
        if (m->request)                     /* one request was refused, the session goes on */
            settle_request(s, m->request, m->u.error.code, m->u.error.text);
        else
            fail_session(s, m->u.error.code, m->u.error.text);
        break;
    case WIRE_BYE:
        ses_effect_reconnect(s, "the broker is leaving");
        break;
    case WIRE_PING:
        if ((e = ses_effect_send(s, WIRE_PONG)))
            e->msg.u.ping = m->u.ping;
        break;
    case WIRE_PONG:
        if (m->u.ping.stamp <= UINT32_MAX)
            settle_request(s, (uint32_t)m->u.ping.stamp, 0, (struct wire_str){ 0 });
        break;
    case WIRE_TASKS_SEEN:
        ses_look_seen(s, m);
        break;
    case WIRE_CANCELLED:
        ses_cancel_answered(s, m->request, m->u.cancelled.cancelled);
        break;
    case WIRE_STATUS:
        settle_request(s, m->request, 0, m->u.status.json);
        break;
    case WIRE_POOL_STATE:
        for (LIST_EACH(&s->pools, n)) {
            struct session_pool *p = LIST_ENTRY(n, struct session_pool, node);
            if (p->handle != m->u.pool_state.pool)
                continue;
            if (m->u.pool_state.ended)
                ses_refuse_pool(s, p, m->u.pool_state.text);
            if (p->user)
                s->ops->pool_state(s->ctx, p->user, m->u.pool_state.slots, m->u.pool_state.code, m->u.pool_state.text);
        }
        break;
    case WIRE_JOB_STATE:
        if (m->u.job_state.code < 0)
            ses_refuse_job(s, m->u.job_state.job, m->u.job_state.text);
        else
            ses_rewind_state(s, &m->u.job_state);
        break;
    case WIRE_OUTCOMES:
        ses_outcome_items(s, m);
        break;
    case WIRE_ASSIGNED:
        ses_outcome_assigned(s, m);
        break;
    case WIRE_TRIES:
        ses_counts_told(s, m);
        break;
    case WIRE_OUTPUT:
        ses_said_items(s, m);
        break;
    default:                                /* from a newer broker: nothing we asked for */
        break;
    }
}

bool session_is_up(const struct session *s)
{
    return s->state == SESSION_UP;
}

void session_bye(struct session *s)
{
    s->bye = s->state == SESSION_UP;
}

/* Waiting for the broker? Only then is its silence of interest. */
static bool waits(const struct session *s)
{
    return s->state == SESSION_GREETING || (s->state == SESSION_UP && (s->unsettled > 0 || !list_empty(&s->questions)));
}

static uint64_t lease_ns(const struct session *s)
{
    return (s->limits.lease_ms ? s->limits.lease_ms : TIME_LEASE_MS) * CLOCK_MS;
}

void session_tick(struct session *s, uint64_t now)
{
    if (!waits(s) ||
        now > s->last_tick + lease_ns(s) / 2) /* nothing was asked, or we were not driven: the broker is not to blame */
        s->quiet_since = now;
    s->last_tick = now;
    if (!waits(s))
        return;
    ses_look_tick(s, now);
    if (now >= s->quiet_since + lease_ns(s)) {
        snprintf(s->text, sizeof(s->text), "the broker was silent for %llu ms", (unsigned long long)(lease_ns(s) / CLOCK_MS));
        ses_effect_reconnect(s, s->text);
    } else if (s->state == SESSION_UP && !s->pinged && now >= s->quiet_since + lease_ns(s) / 2) {
        struct session_effect *e = ses_effect_send(s, WIRE_PING);
        if (e)
            e->msg.u.ping.stamp = s->pinged = now;
    }
}

uint64_t session_deadline(const struct session *s)
{
    uint64_t at = CLOCK_NEVER;
    if (waits(s))
        at = s->quiet_since + (s->pinged || s->state == SESSION_GREETING ? lease_ns(s) : lease_ns(s) / 2);
    if (s->state == SESSION_UP && s->acks_due && s->acks_since + 200 * CLOCK_MS < at)
        at = s->acks_since + 200 * CLOCK_MS;
    if (s->state == SESSION_UP && s->unsettled && s->look_next < at)
        at = s->look_next;
    if (s->starved && s->last_tick + 10 * CLOCK_MS < at)
        at = s->last_tick + 10 * CLOCK_MS;
    return at;
}

static int ask_broker(struct session *s, uint8_t type, const char *a, const char *b, uint32_t *ret_request)
{
    struct question *q = calloc(1, sizeof(*q));
    if (!q)
        return BFORK_ENOMEM;
    q->type = type;
    q->request = q->wire = *ret_request = ++s->next_request;
    snprintf(q->a, sizeof(q->a), "%s", a);
    snprintf(q->b, sizeof(q->b), "%s", b ? b : "");
    list_push_back(&s->questions, &q->node);
    return 0;
}

int session_ask(struct session *s, const char *what, uint32_t *ret_request)
{
    return ask_broker(s, WIRE_STATUS_GET, what, NULL, ret_request);
}

int session_admin(struct session *s, const char *verb, const char *argument, uint32_t *ret_request)
{
    return ask_broker(s, WIRE_ADMIN, verb, argument, ret_request);
}

int session_ping(struct session *s, uint64_t now, uint32_t *ret_request)
{
    (void)now;
    return ask_broker(s, WIRE_PING, "", NULL, ret_request);
}

void session_counters(const struct session *s, struct session_counters *ret)
{
    *ret = (struct session_counters){ .tasks = s->tasks, .settled = s->settled_total, .bytes_held = s->bytes_held,
                                      .sent_again = s->sent_again, .duplicates = s->duplicates, .reconnects = s->conn_no };
}

uint64_t session_unsettled(const struct session *s)
{
    return s->unsettled;
}

uint64_t session_unsent(const struct session *s)
{
    uint64_t n = 0;
    for (LIST_EACH(&s->jobs, node)) {
        const struct session_job *j = LIST_ENTRY(node, const struct session_job, node);
        n += j->epoch == s->epoch && j->state >= JOB_OPEN ? j->next - j->sent : j->unsettled;
    }
    return n;
}
