/* SPDX-License-Identifier: MPL-2.0
 * world.c - see world.h.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Not a MAC; the core only compares. */
static void toy_mac(void *ctx, const void *in, size_t n, uint8_t out[WIRE_TICKET])
{
    uint64_t h = 1469598103934665603ull;

    (void)ctx;
    for (size_t i = 0; i < n; i++)
        h = (h ^ ((const uint8_t *)in)[i]) * 1099511628211ull;
    for (size_t i = 0; i < WIRE_TICKET; i++, h = h * 6364136223846793005ull + 1442695040888963407ull)
        out[i] = (uint8_t)(h >> 56);
}

static void say(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct world *w, const char *format, ...)
{
    va_list ap;

    if (w->quiet)
        return;
    va_start(ap, format);
    w->n += (size_t)vsnprintf(w->trace + w->n, sizeof(w->trace) - w->n, format, ap);
    va_end(ap);
    if (w->n >= sizeof(w->trace))
        fail_msg("the trace is too long");
}

struct world *world_new(const struct broker_config *config)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    if (config)
        w->config = *config;
    if (!w->config.epoch)
        w->config.epoch = EPOCH;
    w->config.seed = 1;
    w->config.mac = toy_mac;
    w->next_peer = 1;
    assert_int_equal(broker_new(&w->config, &w->b), 0);
    broker_tick(w->b, 0);
    return w;
}

void world_free(struct world *w)
{
    broker_free(&w->b);
    free(w);
}

void world_restart(struct world *w, uint64_t epoch)
{
    broker_free(&w->b);
    for (size_t i = 0; i < PEERS; i++)
        w->peers[i].id = 0;
    w->config.epoch = epoch;
    w->config.seed = w->config.seed < 1000 ? 1000 : w->config.seed + 100000;     /* attempts of two epochs differ */
    assert_int_equal(broker_new(&w->config, &w->b), 0);
    broker_tick(w->b, w->now);
}

struct world_peer *world_peer(struct world *w, const char *name)
{
    for (size_t i = 0; i < PEERS; i++) {
        struct world_peer *p = &w->peers[i];
        if (!p->name[0]) {
            snprintf(p->name, sizeof(p->name), "%s", name);
            p->role = name[0] == 'c' ? WIRE_CLIENT : name[0] == 'w' ? WIRE_WORKER : WIRE_ADMINISTRATOR;
            memset(p->key, name[0], WIRE_KEY);
            /* "c1" and "c1b" are sessions of one owner */
            p->key[1] = (uint8_t)name[1];
            snprintf((char *)p->instance, sizeof(p->instance), "%s", name);
        }
        if (!strcmp(p->name, name))
            return p;
    }
    fail_msg("too many peers");
    return NULL;
}

static struct world_peer *peer_by_id(struct world *w, broker_peer id)
{
    for (size_t i = 0; i < PEERS; i++)
        if (w->peers[i].id == id && id)
            return &w->peers[i];
    return NULL;
}

static void say_items(struct world *w, const struct wire_msg *m)
{
    for (uint32_t i = 0; i < m->n_items; i++) {
        const struct wire_item *it = &m->items[i];
        struct wire_outcome o;
        switch (m->type) {
        case WIRE_CHUNKS:
        case WIRE_RECALL:
        case WIRE_ASSIGNED:
            say(w, " #%llu j%u %llu+%u", (unsigned long long)it->id, it->job, (unsigned long long)it->first, it->count);
            if (it->tries || it->crashes)
                say(w, " tries %u,%u", it->tries, it->crashes);
            if (m->type == WIRE_RECALL)
                say(w, " why %u", it->why);
            break;
        case WIRE_TRIES:
            say(w, " j%u %llu+%u tries %u,%u", it->job, (unsigned long long)it->first, it->count, it->tries, it->crashes);
            break;
        case WIRE_OUTCOMES:
            say(w, " s%llu j%u %llu+%u", (unsigned long long)it->id, it->job, (unsigned long long)it->first, it->count);
            if (it->kind == WIRE_OUTCOME && wire_outcome_decode(it->body.data, it->body.size, &o, NULL) == 0)
                say(w, " %s", bfork_status_name_of(o.kind));
            break;
        case WIRE_ATTEMPTS_CLOSE:
            say(w, " #%llu why %u", (unsigned long long)it->id, it->why);
            break;
        default:
            break;
        }
    }
}

const char *bfork_status_name_of(int kind)
{
    static const char *const names[] = { "ok",        "failed", "crashed", "exited",  "overtime", "overmemory",
                                         "cancelled", "lost",   "refused", "unknown", "mismatch" };
    return kind <= 0 && kind >= -10 ? names[-kind] : "?";
}

static void remember(struct world *w, const struct wire_msg *m)
{
    for (uint32_t i = 0; i < m->n_items; i++) {
        const struct wire_item *it = &m->items[i];
        if (w->n_seen == sizeof(w->seen) / sizeof(w->seen[0])) {
            memmove(w->seen, w->seen + w->n_seen / 2, w->n_seen / 2 * sizeof(w->seen[0]));
            w->n_seen /= 2;
        }
        struct attempt_seen *s = &w->seen[w->n_seen++];
        *s = (struct attempt_seen){
            .id = it->id, .first = it->first, .end = it->end, .job = it->job, .count = it->count, .size = it->size
        };
        memcpy(s->ticket, it->ticket, WIRE_TICKET);
        assert_int_equal(it->end, it->first + it->count);
        if (it->flags & WIRE_FIXED)
            assert_int_equal(it->body.size, (size_t)it->count * it->size);
    }
}

static void say_message(struct world *w, const struct world_peer *p, const struct wire_msg *m)
{
    bool shown = w->strict || (m->type == WIRE_JOB_STATE && m->u.job_state.code) ||
                 (m->type == WIRE_POOL_STATE && m->u.pool_state.ended) ||
                 (m->type != WIRE_GRANT && m->type != WIRE_JOB_SPEC && m->type != WIRE_POOL_STATE && m->type != WIRE_WELCOME &&
                  m->type != WIRE_JOB_STATE && m->type != WIRE_JOB_FORGET);

    if (!shown)
        return;
    say(w, "[%4llu] > %s %s", (unsigned long long)(w->now / CLOCK_MS), p->name, wire_type_name(m->type));
    if (m->request)
        say(w, " request %u", m->request);
    switch (m->type) {
    case WIRE_GRANT: say(w, " p%u slots %u%s", m->u.grant.pool, m->u.grant.slots, m->u.grant.spec.n ? " spec" : ""); break;
    case WIRE_JOB_SPEC: say(w, " j%u p%u", m->u.job_spec.job, m->u.job_spec.pool); break;
    case WIRE_JOB_FORGET: say(w, " j%u", m->u.job_ref.job); break;
    case WIRE_WELCOME: say(w, "%s", m->u.welcome.resumed ? " resumed" : ""); break;
    case WIRE_JOB_STATE:
        say(w, " j%u next %llu", m->u.job_state.job, (unsigned long long)m->u.job_state.next);
        if (m->u.job_state.code)
            say(w, " refused %d %.*s", m->u.job_state.code, (int)m->u.job_state.field.n, m->u.job_state.field.p);
        break;
    case WIRE_POOL_STATE:
        say(w, " p%u slots %u", m->u.pool_state.pool, m->u.pool_state.slots);
        if (m->u.pool_state.ended)
            say(w, " refused %d %.*s", m->u.pool_state.code, (int)m->u.pool_state.field.n, m->u.pool_state.field.p);
        else if (m->u.pool_state.code)
            say(w, " %s", bfork_status_name_of(m->u.pool_state.code));
        break;
    case WIRE_ERROR: say(w, " %d", m->u.error.code); break;
    case WIRE_PONG: say(w, " %llu", (unsigned long long)m->u.ping.stamp); break;
    case WIRE_STATUS: say(w, " %.*s", (int)m->u.status.json.n, m->u.status.json.p); break;
    default: say_items(w, m); break;
    }
    say(w, "\n");
}

/* Every message must be one that can travel. */
static void check_message(const struct wire_msg *m)
{
    size_t n = wire_size(m);
    uint8_t *frame;

    if (!n)
        fail_msg("%s cannot be encoded", wire_type_name(m->type));
    assert_true(n <= WIRE_FRAME_MAX);
    if (n > 65536)
        return;
    assert_non_null(frame = malloc(n));
    wire_encode(m, frame);
    free(frame);
}

static const char *key_text(const uint8_t *key)
{
    static char text[16];

    if (!key)
        return "";
    snprintf(text, sizeof(text), " key %02x%02x:", key[0], key[1]);
    return text;
}

static void perform(struct world *w, const struct broker_effect *e)
{
    struct world_peer *p = peer_by_id(w, e->peer);

    if (e->type == BROKER_LOG) {
        if (w->strict)
            say(w, "[%4llu] %s:%s %s\n", (unsigned long long)(w->now / CLOCK_MS), e->whose && e->most ? "limited log" : "log",
                key_text(e->key), e->text);
        return;
    }
    if (!p)
        return;
    if (e->type == BROKER_CUT) {
        assert_true(!strstr(e->text, "out of memory") == (e->code != BFORK_ENOMEM));  /* the shell reads the code */
        say(w, "[%4llu] > %s CUT\n", (unsigned long long)(w->now / CLOCK_MS), p->name);
        p->cut = true;
        return;
    }
    check_message(&e->msg);
    for (uint32_t i = 0; i < e->msg.n_items; i++)
        p->bytes_in += wire_item_bytes(&e->msg.items[i]);
    if (e->msg.type == WIRE_WELCOME)
        p->epoch = e->msg.u.welcome.epoch;
    if (e->msg.type == WIRE_CHUNKS)
        remember(w, &e->msg);
    say_message(w, p, &e->msg);
    if (w->hook)
        w->hook(w, p, &e->msg);
}

static void around(struct world *w, bool inside)
{
    if (w->around)
        w->around(inside);
}

static void check(struct world *w)
{
    const char *wrong = broker_check(w->b);

    if (wrong)
        fail_msg("%s\ntrace:\n%s", wrong, w->trace);
}

void world_step(struct world *w)
{
    const struct broker_effect *e;
    size_t n;

    check(w);
    for (int turns = 0;; turns++) {
        around(w, true);
        broker_flush(w->b, w->now);
        around(w, false);
        e = broker_effects(w->b, &n);
        for (size_t i = 0; i < n; i++)
            perform(w, &e[i]);
        broker_effects_done(w->b);
        if (broker_deadline(w->b) > w->now)
            break;
        if (turns > 1000)
            fail_msg("the broker is never done");
        around(w, true);
        broker_tick(w->b, w->now);
        around(w, false);
    }
    check(w);
    for (size_t i = 0; i < PEERS; i++)
        if (w->peers[i].cut && w->peers[i].id) {
            broker_lost(w->b, w->now, w->peers[i].id);
            w->peers[i].id = 0;
            w->peers[i].cut = false;
            check(w);
        }
}

void world_send(struct world *w, const char *name, struct wire_msg *m)
{
    struct world_peer *p = world_peer(w, name);

    if (!p->id)
        p->id = w->next_peer++;
    m->ack = p->bytes_in;
    around(w, true);
    broker_recv(w->b, w->now, p->id, p->role, p->key, m);
    around(w, false);
    if (!w->in_a_row)
        world_step(w);
}

void world_after(struct world *w, uint64_t ms)
{
    uint64_t end = w->now + ms * CLOCK_MS;

    while (broker_deadline(w->b) <= end) {
        uint64_t at = broker_deadline(w->b);
        w->now = at > w->now ? at : w->now;
        broker_tick(w->b, w->now);
        world_step(w);
    }
    w->now = end;
}

void world_lost(struct world *w, const char *name)
{
    struct world_peer *p = world_peer(w, name);

    broker_lost(w->b, w->now, p->id);
    p->id = 0;
    world_step(w);
}

/* ---- clients ----------------------------------------------------------------------------------------------------------------- */

uint64_t world_steps(struct world *w, const char *name, struct wire_msg *m)
{
    struct world_peer *p = world_peer(w, name);
    uint64_t before = broker_steps(w->b);

    broker_recv(w->b, w->now, p->id, p->role, p->key, m);
    broker_flush(w->b, w->now);
    broker_effects_done(w->b);
    return broker_steps(w->b) - before;
}

static void connect_again(struct world *w, struct world_peer *p)
{
    p->id = w->next_peer++;
    p->conn_no++;
    p->bytes_in = 0;
    p->cut = false;
}

void client_hello(struct world *w, const char *name)
{
    struct world_peer *p = world_peer(w, name);
    struct wire_msg m = { .type = WIRE_HELLO };

    connect_again(w, p);
    m.u.hello = (struct wire_hello){ .protocol_min = 1,
                                     .protocol_max = 1,
                                     .role = p->role,
                                     .software = WIRE_STR("test"),
                                     .name = WIRE_STR(p->name),
                                     .instance = wire_bin_of(p->instance, WIRE_ID),
                                     .conn_no = p->conn_no,
                                     .epoch = p->epoch,
                                     .window_bytes = 1 << 20,
                                     .host = WIRE_STR("here"),
                                     .pid = 7,
                                     .features = w->features };
    world_send(w, name, &m);
}

void client_pool(struct world *w, const char *name, uint32_t pool, int32_t processes)
{
    struct wire_pool_spec spec = { .program_name = WIRE_STR("prog"), .arch = WIRE_STR("x") };
    struct buf *bytes = wire_pool_spec_encode(&spec);
    uint8_t digest[WIRE_DIGEST] = { (uint8_t)pool };
    struct wire_msg m = { .type = WIRE_POOL_OPEN };

    m.u.pool_open = (struct wire_pool_open){ .pool = pool, .processes = processes, .digest = wire_bin_of(digest, WIRE_DIGEST),
        .spec = wire_bin_of(bytes->data, bytes->size), .name = WIRE_STR("pool") };
    world_send(w, name, &m);
    buf_unref(&bytes);
}

void client_job(struct world *w, const char *name, uint32_t job, uint32_t pool, const struct wire_job_spec *spec)
{
    struct wire_fn fn = { .kind = WIRE_FN_SYMBOL, .object = WIRE_STR("x"), .symbol = WIRE_STR("f") };
    struct buf *f = wire_fn_encode(&fn), *bytes;
    struct wire_job_spec s = spec ? *spec : (struct wire_job_spec){ 0 };
    uint8_t id[WIRE_ID] = { (uint8_t)job, (uint8_t)name[1] };
    struct wire_msg m = { .type = WIRE_JOB_OPEN };

    s.fn = wire_bin_of(f->data, f->size);
    bytes = wire_job_spec_encode(&s);
    assert_non_null(bytes);
    m.u.job_open = (struct wire_job_open){ .job = job,
                                           .pool = pool,
                                           .id = wire_bin_of(id, WIRE_ID),
                                           .acked = world_peer(w, name)->acked,
                                           .spec = wire_bin_of(bytes->data, bytes->size) };
    world_send(w, name, &m);
    buf_unref(&bytes);
    buf_unref(&f);
}

void client_returns(struct world *w, const char *name, uint32_t job, uint64_t first, uint32_t count, uint16_t tries)
{
    uint8_t *body = calloc(count, 100);
    struct wire_item it = { .job = job,
                            .first = first,
                            .count = count,
                            .size = 100,
                            .flags = WIRE_FIXED | WIRE_REPLAY,
                            .tries = tries,
                            .body = slice_borrow(body, (size_t)count * 100) };
    struct wire_msg m = { .type = WIRE_TASKS, .items = &it, .n_items = 1 };

    world_send(w, name, &m);
    free(body);
}

static void tasks(struct world *w, const char *name, uint32_t job, uint64_t first, uint32_t count, uint32_t size, uint32_t flags)
{
    uint8_t *body = calloc((size_t)count * size + 1, 1);
    struct wire_item it = { .job = job, .first = first, .count = count, .size = size, .flags = WIRE_FIXED | flags,
        .body = slice_borrow(body, (size_t)count * size) };
    struct wire_msg m = { .type = WIRE_TASKS, .items = &it, .n_items = 1 };

    world_send(w, name, &m);
    free(body);
}

void client_tasks(struct world *w, const char *name, uint32_t job, uint64_t first, uint32_t count, uint32_t size)
{
    tasks(w, name, job, first, count, size, 0);
}

void client_replay(struct world *w, const char *name, uint32_t job, uint64_t first, uint32_t count, uint32_t flags)
{
    tasks(w, name, job, first, count, 100, WIRE_REPLAY | flags);
}

static void one_item(struct world *w, const char *name, enum wire_type type, const struct wire_item *it)
{
    struct wire_item copy = *it;
    struct wire_msg m = { .type = (uint8_t)type, .items = &copy, .n_items = 1 };

    world_send(w, name, &m);
}

void client_cancel(struct world *w, const char *name, uint32_t job, uint64_t first, uint32_t count)
{
    one_item(w, name, WIRE_CANCEL, &(struct wire_item){ .job = job, .first = first, .count = count, .why = WIRE_WHY_CANCEL });
}

void client_ack(struct world *w, const char *name, uint32_t job, uint64_t seq)
{
    world_peer(w, name)->acked = seq;
    one_item(w, name, WIRE_OUTCOMES_ACK, &(struct wire_item){ .id = seq, .job = job });
}

void client_start(struct world *w, const char *name, int32_t processes, const struct wire_job_spec *spec)
{
    client_hello(w, name);
    client_pool(w, name, 1, processes);
    client_job(w, name, 1, 1, spec);
}

/* ---- workers ----------------------------------------------------------------------------------------------------------------- */

void worker_hello_only(struct world *w, const char *name, uint32_t slots, const char *replaces)
{
    struct world_peer *p = world_peer(w, name);
    struct wire_msg m = { .type = WIRE_HELLO };

    connect_again(w, p);
    m.u.hello = (struct wire_hello){ .protocol_min = 1,
                                     .protocol_max = 1,
                                     .role = p->role,
                                     .software = WIRE_STR("test"),
                                     .name = WIRE_STR(p->name),
                                     .instance = wire_bin_of(p->instance, WIRE_ID),
                                     .conn_no = p->conn_no,
                                     .epoch = p->epoch,
                                     .slots = slots,
                                     .window_bytes = 8 << 20,
                                     .arch = WIRE_STR("x"),
                                     .host = WIRE_STR(w->host ? w->host : "there"),
                                     .pid = 8,
                                     .features = w->features };
    if (replaces) {
        struct world_peer *before = world_peer(w, replaces);
        memcpy(p->key, before->key, WIRE_KEY);
        m.u.hello.replaces = wire_bin_of(before->instance, WIRE_ID);
    }
    world_send(w, name, &m);
}

static const struct attempt_seen *seen(const struct world *w, uint64_t id)
{
    for (size_t i = w->n_seen; i--;)
        if (w->seen[i].id == id)
            return &w->seen[i];
    return NULL;
}

void worker_holding(struct world *w, const char *name, const uint64_t *attempts, size_t n)
{
    struct wire_item items[16] = { 0 };
    struct wire_msg m = { .type = WIRE_HOLDING, .items = items, .n_items = (uint32_t)n };

    for (size_t i = 0; i < n; i++) {
        const struct attempt_seen *s = seen(w, attempts[i]);
        struct wire_item *it = &items[i];
        it->id = attempts[i];
        if (!s)
            continue;
        it->first = s->first;
        it->count = s->count;
        it->end = s->end;
        it->tries = s->tries;
        it->crashes = s->crashes;
        memcpy(it->ticket, s->ticket, WIRE_TICKET);
        it->job_id[0] = 1;      /* job 1 of c1 */
        it->job_id[1] = '1';
        memcpy(it->owner, world_peer(w, "c1")->key, WIRE_KEY);
    }
    m.u.holding.last = true;
    world_send(w, name, &m);
}

void worker_hello(struct world *w, const char *name, uint32_t slots)
{
    worker_hello_only(w, name, slots, NULL);
    worker_holding(w, name, NULL, 0);
}

void worker_done(struct world *w, const char *name, uint64_t attempt, uint64_t first, uint32_t count, uint64_t mean_us)
{
    uint8_t *body = calloc((size_t)count, 4);

    one_item(w, name, WIRE_RESULTS,
             &(struct wire_item){ .id = attempt,
                                  .first = first,
                                  .count = count,
                                  .kind = WIRE_OK,
                                  .flags = WIRE_FIXED,
                                  .size = 4,
                                  .sum_ns = mean_us * 1000 * count,
                                  .pid = 5,
                                  .body = slice_borrow(body, (size_t)count * 4) });
    free(body);
}

void worker_failed(struct world *w, const char *name, uint64_t attempt, uint64_t index, int kind)
{
    struct wire_outcome o = { .kind = kind, .index = index, .message = WIRE_STR("it did not work") };
    struct buf *doc = wire_outcome_encode(&o);

    one_item(w, name, WIRE_RESULTS,
             &(struct wire_item){ .id = attempt,
                                  .first = index,
                                  .count = 1,
                                  .kind = WIRE_OUTCOME,
                                  .flags = WIRE_FIXED,
                                  .size = (uint32_t)doc->size,
                                  .body = slice_of(doc, 0, doc->size) });
    buf_unref(&doc);
}

void worker_returns(struct world *w, const char *name, uint64_t attempt, uint64_t first, uint32_t count)
{
    one_item(w, name, WIRE_RESULTS,
             &(struct wire_item){ .id = attempt, .first = first, .count = count, .kind = WIRE_RETURNED, .flags = WIRE_FIXED });
}

void worker_state(struct world *w, const char *name, uint32_t slots, bool draining)
{
    struct wire_msg m = { .type = WIRE_WORKER_STATE };

    m.u.worker_state = (struct wire_worker_state){ slots, 0, draining };
    world_send(w, name, &m);
}

void simple(struct world *w, const char *name, enum wire_type type, uint32_t handle)
{
    struct wire_msg m = { .type = (uint8_t)type };

    if (type == WIRE_POOL_CLOSE)
        m.u.pool_ref.pool = handle;
    else if (type == WIRE_JOB_CLOSE)
        m.u.job_ref.job = handle;
    else if (type == WIRE_PING)
        m.u.ping.stamp = handle;
    world_send(w, name, &m);
}

/* ---- the trace --------------------------------------------------------------------------------------------------------------- */

void world_forget(struct world *w)
{
    w->n = 0;
    w->trace[0] = 0;
}

void world_expect(struct world *w, const char *file, int line, const char *text)
{
    if (strcmp(w->trace, text)) {
        print_error("%s:%d: expected\n%sbut it was\n%s", file, line, text, w->trace);
        _fail(file, line);
    }
    world_forget(w);
}
