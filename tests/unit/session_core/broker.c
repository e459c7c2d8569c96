/* SPDX-License-Identifier: MPL-2.0
 * broker.c - the scripted broker: traces, says, counts. It decides nothing.
 */
#include "broker.h"

#include <stdio.h>

static void on_outcomes(void *ctx, void *user, const struct wire_item *i)
{
    struct told *t = user;
    struct wire_outcome o = { .kind = 0 };
    struct err e;
    (void)ctx;
    if (i->kind != WIRE_OK)
        assert_int_equal(wire_outcome_decode(i->body.data, i->body.size, &o, &e), 0);
    for (uint32_t k = 0; k < i->count; k++) {
        t->times[i->first + k]++;
        t->kinds[i->first + k] = o.kind;
        t->n++;
    }
}

static void on_pool_state(void *ctx, void *user, uint32_t slots, int32_t code, struct wire_str text)
{
    (void)user, (void)code, (void)text;
    ((struct script *)ctx)->slots = slots;
}

static bool on_output(void *ctx, void *user, const struct session_print *k)
{
    struct script *b = ctx;
    (void)user;
    b->printed += k->bytes.size;
    b->print = *k;
    b->prints++;
    return b->slow;
}

static void on_answer(void *ctx, uint32_t request, int32_t code, struct wire_str text)
{
    struct script *b = ctx;
    (void)text;
    b->answered = request;
    b->answer_code = code;
}

static void on_failed(void *ctx, int32_t code, struct wire_str text)
{
    struct script *b = ctx;
    b->failed = code;
    snprintf(b->failed_text, sizeof(b->failed_text), "%.*s", (int)text.n, text.p);
}

static void on_cancelled(void *ctx, void *user, uint64_t cancelled)
{
    struct script *b = ctx;
    (void)user;
    b->cancelled = (int64_t)cancelled;
}

static const struct session_ops ops = { on_outcomes, on_pool_state, on_output, on_answer, on_failed, on_cancelled };

static void check(struct script *b)
{
    const char *broken = session_check(b->s);
    if (broken)
        fail_msg("%s", broken);
}

static void note(struct script *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(struct script *b, const char *format, ...)
{
    size_t at = strlen(b->trace);
    va_list ap;
    va_start(ap, format);
    vsnprintf(b->trace + at, sizeof(b->trace) - at, format, ap);
    va_end(ap);
}

static void note_item(struct script *b, const struct wire_item *i, uint8_t type)
{
    if (type == WIRE_TASKS) {
        assert_true(wire_item_bytes(i) == (i->flags & WIRE_FIXED ? (uint64_t)i->size * i->count : 4 * i->count + i->body.size));
        b->sent_tasks += i->count;
        b->sent_bytes += wire_item_bytes(i);
        note(b, " %llu+%u%s%s", (unsigned long long)i->first, i->count, i->flags & WIRE_REPLAY ? " replay" : "",
             i->flags & WIRE_MAYBE_STARTED ? " maybe-started" : "");
        if (i->tries || i->crashes)
            note(b, " tries %u,%u", i->tries, i->crashes);
    } else if (type == WIRE_OUTCOMES_ACK) {
        note(b, " %llu", (unsigned long long)i->id);
    } else {
        note(b, " %llu+%u", (unsigned long long)i->first, i->count);
    }
}

static void note_message(struct script *b, const struct wire_msg *m)
{
    size_t size = wire_size(m);
    assert_true(size > 0);              /* it can be encoded: no limit is broken */
    note(b, "%s", wire_type_name(m->type));
    for (uint32_t i = 0; i < m->n_items; i++)
        note_item(b, &m->items[i], m->type);
    if (m->type == WIRE_POOL_OPEN)
        b->pool = m->u.pool_open.pool;
    if (m->type == WIRE_TASKS_LOOK)
        b->looked = m->request;
    if (m->type == WIRE_JOB_OPEN) {
        b->job = m->u.job_open.job;
        if (m->u.job_open.acked)
            note(b, " acked %llu", (unsigned long long)m->u.job_open.acked);
    }
    note(b, "\n");
}

static bool perform(struct script *b)
{
    size_t n;
    const struct session_effect *e = session_effects(b->s, &n);
    for (size_t i = 0; i < n; i++) {
        if (e[i].type == SESSION_SEND) {
            note_message(b, &e[i].msg);
        } else {
            note(b, "reconnect: %s\n", e[i].text);
            b->reconnects++;
        }
    }
    session_effects_done(b->s);
    check(b);
    return n > 0;
}

void flush(struct script *b)
{
    do
        session_flush(b->s, b->now);
    while (perform(b));
}

struct script *script_new(void)
{
    const struct session_config config = { .name = "test", .host = "here", .software = "test 1", .role = WIRE_CLIENT, .seed = 7 };
    struct script *b = calloc(1, sizeof(*b));
    b->now = CLOCK_SEC;
    b->welcome = (struct wire_welcome){ .protocol = 1, .heartbeat_ms = 1000, .lease_ms = 5000, .window_bytes = 8u << 20 };
    assert_int_equal(session_new(&config, &ops, b, &b->s), 0);
    return b;
}

void script_free(struct script *b)
{
    session_free(&b->s);
    assert_null(b->s);
    free(b);
}

void say(struct script *b, const struct wire_msg *m)
{
    session_recv(b->s, b->now, m);
    check(b);
    perform(b);
}

void connect_to(struct script *b, uint64_t epoch, bool resumed)
{
    struct wire_msg m = { .type = WIRE_WELCOME };
    session_connected(b->s, b->now);
    perform(b);
    b->sent_tasks = b->sent_bytes = b->consumed = 0;
    b->welcome.epoch = epoch;
    b->welcome.resumed = resumed;
    m.u.welcome = b->welcome;
    say(b, &m);
    flush(b);
}

void cut(struct script *b)
{
    session_disconnected(b->s, b->now);
    check(b);
}

void ack(struct script *b)
{
    b->consumed = b->sent_bytes;
    say(b, &(struct wire_msg){ .type = WIRE_PONG, .ack = b->consumed, .u.ping.stamp = UINT64_MAX });
    flush(b);
}

static void outcome(struct script *b, uint64_t first, uint32_t count, int kind, uint64_t attempt)
{
    const struct wire_outcome o = { .kind = kind, .message = WIRE_STR("so it ended") };
    struct buf *doc = kind ? wire_outcome_encode(&o) : NULL;
    struct wire_item i = { .id = ++b->seq, .job = b->job, .first = first, .count = count,
                           .kind = kind ? WIRE_OUTCOME : WIRE_OK, .flags = kind ? 0 : WIRE_FIXED, .attempt = attempt };
    if (doc) {
        i.body = slice_of(doc, 0, doc->size);
        i.size = (uint32_t)doc->size;
    }
    say(b, &(struct wire_msg){ .type = WIRE_OUTCOMES, .items = &i, .n_items = 1 });
    buf_unref(&doc);
    flush(b);
}

void done(struct script *b, uint64_t first, uint32_t count)
{
    outcome(b, first, count, 0, 0);
}

void done_by(struct script *b, uint64_t attempt, uint64_t first, uint32_t count)
{
    outcome(b, first, count, 0, attempt);
}

void ended(struct script *b, uint64_t first, uint32_t count, int kind)
{
    outcome(b, first, count, kind, 0);
}

void job_state(struct script *b, uint64_t next)
{
    say(b, &(struct wire_msg){ .type = WIRE_JOB_STATE, .u.job_state = { .job = b->job, .next = next } });
    flush(b);
}

const char *sent(struct script *b)
{
    static char copy[sizeof(b->trace)];
    memcpy(copy, b->trace, sizeof(copy));
    b->trace[0] = 0;
    return copy;
}

static struct buf *spec(void)
{
    struct buf *d = buf_new(4);
    memcpy(d->data, "spec", 4);
    d->size = 4;
    return d;
}

struct session_pool *a_pool(struct script *b)
{
    static const uint8_t digest[WIRE_DIGEST];
    struct session_pool *p;
    assert_int_equal(session_pool_open(b->s, 2, spec(), digest, "p", b, &p), 0);
    return p;
}

struct session_job *a_job(struct script *b, struct session_pool *p, bool once, struct told *t)
{
    struct session_job *j;
    memset(t, 0, sizeof(*t));
    b->seq = 0;
    assert_int_equal(session_job_open(p, spec(), once, t, &j), 0);
    return j;
}

void add(struct script *b, struct session_job *j, int n, size_t size)
{
    static uint8_t bytes[WIRE_TASK_MAX];
    for (uint64_t index; n; n--)
        assert_int_equal(session_task_add(j, bytes, size, &index), 0);
    check(b);
}

struct session_job *a_map(struct script *b, struct session_pool *p, struct told *t, uint8_t *array, uint32_t size, uint64_t n)
{
    struct session_job *j = a_job(b, p, false, t);
    struct buf *wrapped = buf_wrap(array, size * n, buf_free_struct, NULL);
    assert_int_equal(session_map_add(j, slice_of(wrapped, 0, size * n), size, n), 0);
    buf_unref(&wrapped);
    session_job_close(j);
    check(b);
    return j;
}
