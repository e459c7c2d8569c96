/* SPDX-License-Identifier: MPL-2.0
 * test_worker_random.c - the worker's core under random events, from seeds: every invariant after each step, and at the end every
 * task of every attempt that was not fenced has been reported exactly once or returned, in order.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPTS 400
#define POOLS 3

struct seen { bool sent, fenced, held; uint64_t first, end, reported, returned_from; uint32_t count; };
static struct seen seen[ATTEMPTS];
static uint32_t n_attempts;
static struct world world;
static uint64_t rng;

static uint32_t pick(uint32_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)(rng % n);
}

/* What is not held any more has been returned as a whole. */
static void got_holding(const struct wire_msg *m)
{
    for (uint32_t k = 0; k < n_attempts; k++)
        seen[k].held = false;
    for (uint32_t k = 0; k < m->n_items; k++) {
        struct seen *s = &seen[m->items[k].id - 1];

        s->held = true;
        assert_int_equal(m->items[k].first, s->first);
        assert_int_equal(m->items[k].end, s->end);
        if (s->first + m->items[k].count < s->returned_from)
            s->returned_from = s->first + m->items[k].count;
    }
    for (uint32_t k = 0; k < n_attempts; k++)
        if (!seen[k].held && seen[k].reported == seen[k].first)
            seen[k].returned_from = seen[k].first;
}

static void got_results(struct world *x, const struct wire_msg *m)
{
    (void)x;
    if (m->type == WIRE_HOLDING)
        got_holding(m);
    for (uint32_t k = 0; k < m->n_items && m->type == WIRE_RECALLED; k++) {
        struct seen *s = &seen[m->items[k].id - 1];

        if (s->fenced)
            continue;                   /* it is not there any more */
        assert_true(m->items[k].first >= s->reported);
        if (m->items[k].first < s->returned_from)
            s->returned_from = m->items[k].first;
    }
    if (m->type != WIRE_RESULTS)
        return;
    for (uint32_t k = 0; k < m->n_items; k++) {
        const struct wire_item *i = &m->items[k];
        struct seen *s = &seen[i->id - 1];

        assert_true(i->id >= 1 && i->id <= n_attempts);
        if (i->kind == WIRE_RETURNED) {
            if (i->first < s->returned_from)
                s->returned_from = i->first;
            continue;
        }
        if (i->first + i->count <= s->reported)
            continue;                   /* sent again after a reconnect */
        assert_int_equal(i->first, s->reported);
        s->reported += i->count;
        assert_true(s->reported <= s->returned_from);
    }
}

static void new_attempt(struct world *x)
{
    struct seen *s = &seen[n_attempts];

    if (n_attempts == ATTEMPTS)
        return;
    s->first = s->reported = pick(1000);
    s->count = 1 + pick(pick(4) ? 5 : 200);
    s->end = s->returned_from = s->first + s->count;
    s->sent = true;
    n_attempts++;
    chunk(x, n_attempts, 1 + pick(POOLS), s->first, s->count);
}

static worker_proc some_proc(struct world *x, bool busy)
{
    for (int k = 0; k < 30; k++) {
        worker_proc p = 1 + pick(x->last_proc ? x->last_proc : 1);

        if (x->procs[p % PROCS].exists && x->procs[p % PROCS].ready && (!busy || x->procs[p % PROCS].n))
            return p;
    }
    return 0;
}

static void process_event(struct world *x)
{
    worker_proc p = some_proc(x, true);
    struct fake_proc *f = &x->procs[p % PROCS];

    if (!p)
        return;
    if (f->killed || pick(30) == 0) {
        died(x, p, f->killed ? BFORK_CANCELLED : BFORK_CRASHED, f->n > 0);
        return;
    }
    if (pick(3) == 0 && f->begun < f->n)
        f->begun += 1 + pick(f->n - f->begun);
    f->room = 1 + pick(RING);
    ran(x, p, 1 + pick(f->begun ? f->begun : 1), 1 + pick(3000000));
}

/* On each connection. */
static void describe(struct world *x)
{
    grant(x, 1, 2, "a", 0);
    grant(x, 2, 2, "b", 0);
    grant(x, 3, 2, "c", 20);
    for (uint32_t k = 1; k <= POOLS; k++)
        open_job(x, k, k, (uint8_t)k, k == 2 ? 100 : 0, k == 3 ? -1 : 0);
}

static void broker_event(struct world *x)
{
    uint64_t id = n_attempts ? 1 + pick(n_attempts) : 0;
    struct seen *s = id ? &seen[id - 1] : NULL;
    static const char *names[POOLS] = { "a", "b", "c" };
    uint32_t pool = pick(POOLS);

    switch (pick(10)) {
    case 0:
    case 1:
        if (s)
            recall(x, id, s->first + pick(s->count), 1 + pick(5),
                   pick(3) ? WIRE_WHY_BALANCE : pick(2) ? WIRE_WHY_QUEUED : WIRE_WHY_CANCEL);
        return;
    case 2:
        if (s) {
            s->fenced = true;
            close_attempt(x, id, WIRE_WHY_FENCED);
        }
        return;
    case 3:
        grant(x, 1 + pool, pick(4), names[pool], pool == 2 ? 20 : 0);
        return;
    case 4:
        if (pick(4) == 0) {
            worker_disconnected(x->w, x->now, "cut");
            worker_connected(x->w, x->now);
            turn(x);
            welcome(x, 99, true);
            describe(x);
        }
        return;
    default:
        new_attempt(x);
    }
}

static void stopping_ends(struct world *x)
{
    for (worker_proc p = 1; p <= x->last_proc; p++) {
        struct fake_proc *f = &x->procs[p % PROCS];

        if (f->exists && ((f->stopping && !f->n) || f->killed))
            died(x, p, f->killed ? BFORK_CANCELLED : 0, f->killed && f->n);
    }
}

static void run(uint64_t seed)
{
    struct world *x = &world;

    rng = seed * 0x9e3779b97f4a7c15u + 1;
    n_attempts = 0;
    memset(seen, 0, sizeof(seen));
    world_init(x, 6);
    x->quiet = true;
    x->auto_ready = true;
    x->on_send = got_results;
    online(x, 99);
    describe(x);
    for (int step = 0; step < 1500 && x->last_proc < PROCS - 64; step++) {
        x->now += pick(400000);
        if (pick(3))
            process_event(x);
        else
            broker_event(x);
        if (pick(8) == 0)
            stopping_ends(x);
        if (pick(3)) {
            worker_tick(x->w, x->now);
            turn(x);
        }
    }
    grant(x, 1, 2, "a", 0);
    grant(x, 2, 2, "b", 0);
    grant(x, 3, 2, "c", 20);
    for (int step = 0; step < 4000 && x->last_proc < PROCS - 8; step++) {
        struct wire_msg pong = { .type = WIRE_PONG };

        x->now += 300000;
        stopping_ends(x);
        for (worker_proc p = 1; p <= x->last_proc; p++)
            if (x->procs[p % PROCS].exists && x->procs[p % PROCS].ready && x->procs[p % PROCS].n)
                ran(x, p, x->procs[p % PROCS].n, 1000);
        message(x, &pong);
        worker_tick(x->w, x->now);
        turn(x);
    }
    for (uint32_t k = 0; k < n_attempts; k++)
        if (!seen[k].fenced && seen[k].reported != seen[k].returned_from)
            fail_msg("seed %u: attempt %u has %u..%u, reported up to %u, returned from %u", (unsigned)seed, k + 1,
                     (unsigned)seen[k].first, (unsigned)seen[k].end, (unsigned)seen[k].reported, (unsigned)seen[k].returned_from);
    assert_int_equal(x->reconnects, 0);
    world_done(x);
}

static void many_seeds(void **state)
{
    const char *one = getenv("SEED");

    (void)state;
    if (one) {
        run(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= 60; seed++)
        run(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(many_seeds) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
