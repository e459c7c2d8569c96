/* SPDX-License-Identifier: MPL-2.0
 * world.c - see world.h.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(struct world *x, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct world *x, const char *format, ...)
{
    va_list args;

    if (x->quiet)
        return;
    va_start(args, format);
    x->used += (size_t)vsnprintf(x->trace + x->used, sizeof(x->trace) - x->used, format, args);
    va_end(args);
    assert_true(x->used < sizeof(x->trace));
}

static uint32_t fake_push(void *ctx, worker_proc proc, uint32_t job, const struct wire_item *i)
{
    struct world *x = ctx;
    struct fake_proc *p = &x->procs[proc % PROCS];
    uint32_t n = 0;

    assert_true(p->exists && p->ready && !p->stopping && !p->killed);
    for (; n < i->count && p->n < p->room; n++)
        p->ring[p->n++] = (struct fake_task){ job, i->first + n, wire_len_at(i, n) };
    p->given += n;
    if (!p->begun && p->n)
        p->begun = 1;
    if (n)
        say(x, "p%u push %u..%u\n", proc, (unsigned)i->first, (unsigned)(i->first + n - 1));
    return n;
}

static int fake_push_job(void *ctx, worker_proc proc, uint32_t job, const struct wire_bin spec)
{
    struct world *x = ctx;

    assert_true(x->procs[proc % PROCS].ready && spec.n);
    say(x, "p%u job %u\n", proc, job);
    return 0;
}

static uint32_t fake_retract(void *ctx, worker_proc proc, uint32_t max)
{
    struct world *x = ctx;
    struct fake_proc *p = &x->procs[proc % PROCS];
    uint32_t n = p->n - p->begun < max ? p->n - p->begun : max;

    if (!p->exists)
        return 0;
    p->n -= n;
    if (n)
        say(x, "p%u gives back %u\n", proc, n);
    return n;
}

void world_init(struct world *x, uint32_t slots)
{
    static const struct worker_ops ops = { fake_push, fake_push_job, fake_retract };
    struct worker_config c = {
        .slots = slots, .name = "w", .host = "h", .software = "test", .arch = "x", .resources = "", .idle_lanes = 2
    };

    memset(x, 0, sizeof(*x));
    x->now = CLOCK_SEC;
    assert_int_equal(worker_new(&c, &ops, x, &x->w), 0);
}

void world_done(struct world *x)
{
    worker_free(&x->w);
    assert_null(x->w);
}

static const char *kinds[] = { "ok", "outcome", "returned" };

static void say_message(struct world *x, const struct wire_msg *m)
{
    say(x, "> %s", wire_type_name(m->type));
    if (m->type == WIRE_HOLDING && m->u.holding.last)
        say(x, " last");
    if (m->type == WIRE_POOL_FAILED)
        say(x, "%s pool %u %.*s: %.*s", m->u.pool_failed.code == BFORK_EAGAIN ? " for now" : "", m->u.pool_failed.pool,
            (int)m->u.pool_failed.stage.n, m->u.pool_failed.stage.p,
            (int)m->u.pool_failed.text.n, m->u.pool_failed.text.p);
    if (m->type == WIRE_HELLO)
        say(x, " conn %u", (unsigned)m->u.hello.conn_no);
    for (uint32_t k = 0; k < m->n_items; k++) {
        const struct wire_item *i = &m->items[k];

        if (m->type == WIRE_RECALLED) {
            say(x, " [%u from %u]", (unsigned)i->id, (unsigned)i->first);
            continue;
        }
        say(x, " [%u %u..%u", (unsigned)i->id, (unsigned)i->first, (unsigned)(i->first + i->count - 1));
        if (m->type == WIRE_RESULTS)
            say(x, " %s", kinds[i->kind]);
        if (m->type == WIRE_RESULTS && i->kind == WIRE_OUTCOME) {
            struct wire_outcome o;

            assert_int_equal(wire_outcome_decode(i->body.data, i->body.size, &o, NULL), 0);
            assert_int_equal(o.index, i->first);
            say(x, " %d try %u", o.kind, o.attempt);
        }
        say(x, "]");
    }
    say(x, "\n");
}

static void effect(struct world *x, const struct worker_effect *e)
{
    struct fake_proc *p = &x->procs[e->proc % PROCS];

    switch (e->type) {
    case WORKER_SEND:
        assert_true(wire_size(&e->msg) > 0);
        say_message(x, &e->msg);
        if (x->on_send)
            x->on_send(x, &e->msg);
        return;
    case WORKER_RECONNECT: say(x, "reconnect: %s\n", e->text); x->reconnects++; return;
    case WORKER_LANE_START:
        assert_true(e->spec.n && e->digest.n == WIRE_DIGEST);
        say(x, "lane %u start\n", e->lane);
        return;
    case WORKER_LANE_STOP:
        say(x, "lane %u stop\n", e->lane);
        for (size_t k = 0; k < PROCS; k++)
            if (x->procs[k].exists && x->procs[k].lane == e->lane)
                x->procs[k].exists = false;
        return;
    case WORKER_PROC_START:
        assert_false(p->exists);
        *p = (struct fake_proc){ .exists = true, .lane = e->lane, .room = RING };
        x->last_proc = e->proc;
        say(x, "p%u start\n", e->proc);
        return;
    case WORKER_PROC_KILL: p->killed = true; say(x, "p%u kill: %s\n", e->proc, e->text); return;
    case WORKER_PROC_LIMIT: p->limit = e->run_limit_ms; say(x, "p%u limit %u\n", e->proc, (unsigned)e->run_limit_ms); return;
    case WORKER_PROC_STOP: p->stopping = true; say(x, "p%u stop\n", e->proc); return;
    case WORKER_LOG: x->logs++, x->limited += e->whose != 0; return;
    case WORKER_STOPPED: say(x, "stopped\n"); x->stopped++; return;
    case WORKER_REFUSED: say(x, "refused: %s\n", e->text); return;
    }
}

static void check(struct world *x)
{
    const char *broken = worker_check(x->w);

    if (broken)
        fail_msg("%s\ntrace so far:\n%s", broken, x->trace);
}

void turn(struct world *x)
{
    for (int again = 0; again < 4; again++) {
        worker_lane lanes[64];
        worker_proc procs[256];
        size_t n, n_lanes = 0, n_procs = 0;

        check(x);
        worker_flush(x->w, x->now);
        check(x);
        const struct worker_effect *e = worker_effects(x->w, &n);

        for (size_t k = 0; k < n; k++) {
            effect(x, &e[k]);
            if (e[k].type == WORKER_LANE_START && n_lanes < 64)
                lanes[n_lanes++] = e[k].lane;
            if (e[k].type == WORKER_PROC_START && n_procs < 256)
                procs[n_procs++] = e[k].proc;
        }
        worker_effects_done(x->w);
        if (!x->auto_ready) {
            n_lanes = n_procs = 0;
        }
        for (size_t k = 0; k < n_lanes; k++)
            worker_lane_ready(x->w, x->now, lanes[k]);
        for (size_t k = 0; k < n_procs; k++) {
            x->procs[procs[k] % PROCS].ready = true;
            worker_proc_ready(x->w, x->now, procs[k]);
        }
        if (!n_lanes && !n_procs && worker_deadline(x->w) > x->now)
            break;
        if (worker_deadline(x->w) > 0 && worker_deadline(x->w) <= x->now)
            worker_tick(x->w, x->now);
    }
    check(x);
}

void message(struct world *x, struct wire_msg *m)
{
    worker_recv(x->w, x->now, m);
    check(x);
}

void welcome(struct world *x, uint64_t epoch, bool resumed)
{
    struct wire_msg m = { .type = WIRE_WELCOME };

    m.u.welcome.protocol = WIRE_PROTOCOL;
    m.u.welcome.epoch = epoch;
    m.u.welcome.heartbeat_ms = 1000;
    m.u.welcome.lease_ms = 5000;
    m.u.welcome.resumed = resumed;
    message(x, &m);
    turn(x);
}

void online(struct world *x, uint64_t epoch)
{
    worker_connected(x->w, x->now);
    turn(x);
    welcome(x, epoch, false);
    clear(x);
}

void grant(struct world *x, uint32_t pool, uint32_t slots, const char *program, uint32_t max_tasks)
{
    struct wire_pool_spec s = { .program_name = WIRE_STR(program), .arch = WIRE_STR("x"), .max_tasks = max_tasks };
    struct buf *doc = wire_pool_spec_encode(&s);
    uint8_t digest[WIRE_DIGEST] = { 0 }, owner[WIRE_KEY] = { x->owner ? x->owner : 7 };
    struct wire_msg m = { .type = WIRE_GRANT };

    assert_non_null(doc);
    memcpy(digest, program, strlen(program));
    digest[31] = (uint8_t)max_tasks;
    m.u.grant = (struct wire_grant){ pool, slots, wire_bin_of(digest, sizeof(digest)), wire_bin_of(doc->data, doc->size),
                                     wire_bin_of(owner, sizeof(owner)) };
    message(x, &m);
    buf_unref(&doc);
    turn(x);
}

void forget_pool(struct world *x, uint32_t pool)
{
    struct wire_msg m = { .type = WIRE_GRANT };

    m.u.grant.pool = pool;
    message(x, &m);
    turn(x);
}

void open_job(struct world *x, uint32_t job, uint32_t pool, uint8_t id, uint64_t run_limit_ms, int32_t retries)
{
    struct wire_fn fn = { .kind = WIRE_FN_SYMBOL, .symbol = WIRE_STR("f"), .object = WIRE_STR("o") };
    struct buf *f = wire_fn_encode(&fn);
    struct wire_job_spec s = { .fn = wire_bin_of(f->data, f->size), .run_limit_ms = run_limit_ms, .retries = retries };
    struct buf *doc = wire_job_spec_encode(&s);
    uint8_t bytes[WIRE_ID] = { id };
    struct wire_msg m = { .type = WIRE_JOB_SPEC };

    assert_non_null(doc);
    m.u.job_spec = (struct wire_job_to_worker){
        .job = job, .pool = pool, .id = wire_bin_of(bytes, sizeof(bytes)), .spec = wire_bin_of(doc->data, doc->size)
    };
    message(x, &m);
    buf_unref(&f);
    buf_unref(&doc);
}

void forget_job(struct world *x, uint32_t job)
{
    struct wire_msg m = { .type = WIRE_JOB_FORGET };

    m.u.job_ref.job = job;
    message(x, &m);
    turn(x);
}

void chunk(struct world *x, uint64_t attempt, uint32_t job, uint64_t first, uint32_t count)
{
    static uint8_t bytes[8 * 1024], lens[4 * 1024];
    struct wire_item i = { .id = attempt, .job = job, .first = first, .count = count };
    struct wire_msg m = { .type = WIRE_CHUNKS, .items = &i, .n_items = 1 };
    size_t sum = 0;

    assert_true(count <= 1024);
    if (attempt % 2) {
        i.flags = WIRE_FIXED;
        i.size = 8;
        sum = 8 * (size_t)count;
    } else {
        for (uint32_t k = 0; k < count; k++) {
            lens[4 * k] = (uint8_t)(k % 7);
            sum += k % 7;
        }
        i.size = (uint32_t)sum;
        i.lens = slice_borrow(lens, 4 * (size_t)count);
    }
    i.body = slice_borrow(bytes, sum);
    message(x, &m);
}

static void item_message(struct world *x, uint8_t type, uint64_t attempt, uint64_t first, uint32_t count, enum wire_why why)
{
    struct wire_item i = { .id = attempt, .first = first, .count = count, .why = (uint8_t)why };
    struct wire_msg m = { .type = type, .items = &i, .n_items = 1 };

    message(x, &m);
}

void recall(struct world *x, uint64_t attempt, uint64_t first, uint32_t count, enum wire_why why)
{
    item_message(x, WIRE_RECALL, attempt, first, count, why);
}

void close_attempt(struct world *x, uint64_t attempt, enum wire_why why)
{
    item_message(x, WIRE_ATTEMPTS_CLOSE, attempt, 0, 0, why);
}

void lane_ready(struct world *x, worker_lane lane)
{
    worker_lane_ready(x->w, x->now, lane);
    turn(x);
}

void ready(struct world *x, worker_proc proc)
{
    assert_true(x->procs[proc % PROCS].exists);
    x->procs[proc % PROCS].ready = true;
    worker_proc_ready(x->w, x->now, proc);
    turn(x);
}

void ran(struct world *x, worker_proc proc, uint32_t n, uint64_t ns)
{
    struct fake_proc *p = &x->procs[proc % PROCS];
    uint8_t bytes[RING * 8] = { 0 };
    struct wire_item i = { .count = n, .flags = WIRE_FIXED, .size = 8, .sum_ns = n * ns, .pid = proc };

    assert_true(p->exists && n <= p->n);
    i.body = slice_borrow(bytes, n * 8);
    memmove(p->ring, p->ring + n, (p->n - n) * sizeof(p->ring[0]));
    p->n -= n;
    p->begun = p->begun > n ? p->begun - n : 0;
    if (p->n && !p->begun)
        p->begun = 1;
    worker_proc_results(x->w, x->now, proc, &i);
    check(x);
}

static void dies(struct world *x, const struct wire_outcome *o)
{
    worker_proc proc = o->pid;

    assert_true(x->procs[proc % PROCS].exists);
    x->procs[proc % PROCS].exists = false;
    worker_proc_died(x->w, x->now, proc, o);
    check(x);
}

void died(struct world *x, worker_proc proc, int kind, bool in_task)
{
    dies(x, &(struct wire_outcome){ .kind = kind, .signal = 11, .pid = proc, .in_task = in_task, .message = WIRE_STR("gone") });
}

void died_violating(struct world *x, worker_proc proc)
{
    dies(x, &(struct wire_outcome){ .kind = BFORK_CRASHED, .pid = proc, .in_task = true, .violated = true,
                                       .message = WIRE_STR("gone") });
}

void advance(struct world *x, uint64_t ms)
{
    x->now += ms * CLOCK_MS;
    worker_tick(x->w, x->now);
    turn(x);
}

void clear(struct world *x)
{
    x->used = 0;
    x->trace[0] = 0;
}

void expect(struct world *x, const char *text, const char *file, int line)
{
    if (strcmp(x->trace, text) != 0)
        fail_msg("%s:%d\n--- expected\n%s--- got\n%s", file, line, text, x->trace);
    clear(x);
}
