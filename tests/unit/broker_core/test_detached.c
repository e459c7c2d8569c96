/* SPDX-License-Identifier: MPL-2.0
 * test_detached.c - what a client that has gone without BYE still costs: a drain, the list of jobs, and other sessions of its key.
 */
#include "world.h"
#include "wire/times.h"

#include <stdio.h>
#include <string.h>

static struct broker_waits waits(struct world *w)
{
    struct broker_waits n;

    broker_waits(w->b, &n);
    return n;
}

static void drain_waits_for_work_and_for_connected_clients(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    worker_hello(w, "w1", 2);
    client_start(w, "c1", 1, NULL);
    client_start(w, "c2", 1, NULL);
    client_tasks(w, "c1", 1, 0, 1, 100);
    client_tasks(w, "c2", 1, 0, 2, 100);
    worker_done(w, "w1", 1, 0, 1, 1000);
    world_lost(w, "c2");
    broker_drain(w->b, w->now);
    assert_int_equal(waits(w).queued + waits(w).running, 2);
    assert_int_equal(waits(w).clients, 1);
    assert_int_equal(waits(w).gone, 0);
    assert_false(broker_idle(w->b));        /* tasks of a client that is gone run on */
    worker_done(w, "w1", 2, 0, 1, 50000);
    worker_done(w, "w1", 3, 1, 1, 50000);
    assert_int_equal(waits(w).queued + waits(w).running, 0);
    assert_int_equal(waits(w).clients, 1);
    assert_int_equal(waits(w).gone, 1);
    assert_false(broker_idle(w->b));        /* c1 may still fetch its outcome */
    client_ack(w, "c1", 1, 1);
    assert_true(broker_idle(w->b));
    world_free(w);
}

/* Nothing of it is out, and it cannot come back: what waited for it runs. */
static void r24_a_drain_runs_what_waits_for_its_client(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    client_start(w, "c1", 1, NULL);
    client_tasks(w, "c1", 1, 0, 1, 100);
    world_lost(w, "c1");
    worker_hello(w, "w1", 1);
    assert_int_equal(w->n_seen, 0);
    broker_drain(w->b, w->now);
    world_step(w);
    assert_int_equal(w->n_seen, 1);
    worker_done(w, "w1", 1, 0, 1, 1000);
    assert_true(broker_idle(w->b));
    world_free(w);
}

static void without_a_drain_outcomes_wait_for_their_client(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    worker_hello(w, "w1", 2);
    client_start(w, "c1", 1, NULL);
    client_tasks(w, "c1", 1, 0, 1, 100);
    worker_done(w, "w1", 1, 0, 1, 1000);
    world_lost(w, "c1");
    assert_false(broker_idle(w->b));
    broker_drain(w->b, w->now);
    assert_true(broker_idle(w->b));
    world_free(w);
}

/* Pools that a client has not opened again after a cut are gone when it has had the time; those with an opened job stay. */
static void r07_pools_that_are_not_opened_again_end(void **state)
{
    struct world *w = world_new(NULL);
    const uint8_t *key = world_peer(w, "c1")->key;
    uint64_t one, three;

    (void)state;
    client_start(w, "c1", 1, NULL);
    client_tasks(w, "c1", 1, 0, 1, 100);
    one = broker_held(w->b, key);
    client_pool(w, "c1", 2, 1);
    client_pool(w, "c1", 3, 1);
    three = broker_held(w->b, key);
    world_lost(w, "c1");
    client_hello(w, "c1");
    client_job(w, "c1", 1, 1, NULL);
    client_pool(w, "c1", 2, 1);
    world_after(w, 59000);
    assert_int_equal(broker_held(w->b, key), three);
    world_after(w, 2000);
    assert_int_equal(broker_held(w->b, key), one + (three - one) / 2);
    client_pool(w, "c1", 2, 2);             /* it is the same */
    assert_int_equal(broker_held(w->b, key), one + (three - one) / 2);
    assert_int_equal(waits(w).queued, 1);
    world_free(w);
}

struct rows { size_t n; char state[16]; };

static bool on_row(void *ctx, const struct broker_job_row *r)
{
    struct rows *rows = ctx;

    rows->n++;
    snprintf(rows->state, sizeof(rows->state), "%s", r->state);
    return true;
}

static struct rows jobs(struct world *w)
{
    struct rows rows = { 0 };

    broker_jobs(w->b, NULL, on_row, &rows);
    return rows;
}

static void settled_jobs_are_not_listed_as_work(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    worker_hello(w, "w1", 2);
    client_start(w, "c1", 1, NULL);
    client_tasks(w, "c1", 1, 0, 1, 100);
    world_lost(w, "c1");
    assert_string_equal(jobs(w).state, "detached");
    worker_done(w, "w1", 1, 0, 1, 1000);
    assert_int_equal(jobs(w).n, 0);
    client_hello(w, "c1");
    assert_int_equal(jobs(w).n, 1);
    assert_string_equal(jobs(w).state, "open");
    world_free(w);
}

static uint8_t large[100000];

static struct { uint32_t slots, states, granted; char text[512]; } last;

static void on_pool_state(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    (void)w;
    if (m->type == WIRE_GRANT)
        last.granted = m->u.grant.pool;
    if (m->type != WIRE_POOL_STATE || strcmp(p->name, "c1b"))
        return;
    last.states++;
    last.slots = m->u.pool_state.slots;
    snprintf(last.text, sizeof(last.text), "%.*s", (int)m->u.pool_state.text.n,
             m->u.pool_state.text.n ? m->u.pool_state.text.p : "");
}

static void large_results(struct world *w, uint64_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct wire_item it = { .id = first + i, .first = i, .count = 1, .kind = WIRE_OK, .flags = WIRE_FIXED,
            .size = sizeof(large), .sum_ns = 1000, .body = slice_borrow(large, sizeof(large)) };
        world_send(w, "w1", &(struct wire_msg){ .type = WIRE_RESULTS, .items = &it, .n_items = 1 });
    }
}

/* One session of a key is gone and has left outcomes that fill the key's part; the other hears who it waits for, and so does the
 * log, once. */
static void r24_who_keeps_the_sessions_of_a_key_waiting_is_told(void **state)
{
    struct world *w = world_new(&(struct broker_config){ .owner_memory = 3u << 20 });
    const struct wire_job_spec one = { .chunk = 1 };
    const char *line;

    (void)state;
    memset(&last, 0, sizeof(last));
    w->hook = on_pool_state;
    w->strict = true;
    worker_hello(w, "w1", 20);
    client_start(w, "c1", 10, &one);
    client_hello(w, "c1b");
    client_pool(w, "c1b", 1, 10);
    client_job(w, "c1b", 2, 1, &one);
    client_tasks(w, "c1", 1, 0, 9, 100);
    world_lost(w, "c1");
    assert_int_equal(last.slots, 10);
    world_forget(w);
    large_results(w, 1, 9);
    assert_int_equal(last.slots, 0);
    assert_non_null(strstr(last.text, "disconnected"));
    assert_non_null(strstr(last.text, "outcomes"));
    line = strstr(w->trace, "limited log: key 6331");       /* "c1" */
    assert_non_null(line);
    assert_non_null(strstr(line, "owner-memory"));
    assert_null(strstr(line + 1, "limited log: key"));
    client_tasks(w, "c1b", 2, 0, 5, 100);
    client_pool(w, "c1b", 2, 3);                            /* a new one is told, too */
    assert_int_equal(last.slots, 0);
    assert_non_null(strstr(last.text, "disconnected"));
    assert_int_equal(waits(w).running, 0);
    client_hello(w, "c1");                                  /* it is back, and takes what is its own */
    client_pool(w, "c1", 1, 10);
    client_job(w, "c1", 1, 1, &one);
    client_ack(w, "c1", 1, 9);
    world_step(w);
    assert_int_equal(last.slots, 3);
    assert_string_equal(last.text, "");
    assert_int_equal(waits(w).running, 5);
    world_free(w);
}

/* Two sessions of a key: c1 has nine tasks out, c1b one, of an own pool; their outcomes fill the key's part when all are there. */
static struct world *two_sessions(void)
{
    struct world *w = world_new(&(struct broker_config){ .owner_memory = 3u << 20 });
    const struct wire_job_spec one = { .chunk = 1 };

    memset(&last, 0, sizeof(last));
    w->hook = on_pool_state;
    worker_hello(w, "w1", 20);
    client_start(w, "c1", 9, &one);
    client_tasks(w, "c1", 1, 0, 9, 100);
    client_hello(w, "c1b");
    client_pool(w, "c1b", 1, 10);
    client_job(w, "c1b", 2, 1, &one);
    client_tasks(w, "c1b", 2, 0, 1, 100);
    assert_int_equal(w->n_seen, 10);
    return w;
}

/* Of those that have not taken their outcomes it is the one with most. */
static void r24_the_session_that_leaves_most_is_named(void **state)
{
    struct world *w = two_sessions();

    (void)state;
    worker_done(w, "w1", 10, 0, 1, 1000);
    world_lost(w, "c1");
    large_results(w, 1, 9);
    assert_non_null(strstr(last.text, "disconnected"));
    world_free(w);
}

/* Why a pool cannot run is not hidden by what its key waits for. */
static void r24_a_pool_that_failed_says_why_though_its_key_waits(void **state)
{
    struct world *w = two_sessions();
    struct wire_msg m = { .type = WIRE_POOL_FAILED };

    (void)state;
    m.u.pool_failed = (struct wire_pool_failed){ .pool = last.granted, .code = BFORK_REFUSED, .text = WIRE_STR("no such program") };
    world_send(w, "w1", &m);
    for (int i = 0; i < TIME_HOLD_MS / 1000 + 1; i++) {
        world_after(w, 1000);
        worker_state(w, "w1", 20, false);
        simple(w, "c1", WIRE_PING, 1);
        simple(w, "c1b", WIRE_PING, 1);
    }
    assert_non_null(strstr(last.text, "no such program"));
    large_results(w, 1, 9);
    last.text[0] = 0;
    client_pool(w, "c1b", 1, 10);
    assert_non_null(strstr(last.text, "no such program"));
    world_free(w);
}

#define T(f) cmocka_unit_test(f)

/* What is ready is looked at by turns; jobs that their client has not opened again on its new connection do not use them up. */
static void r24_a_job_opened_again_runs_beside_many_that_are_not(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    client_start(w, "c1", 2, NULL);
    for (uint32_t j = 2; j <= 40; j++)
        client_job(w, "c1", j, 1, NULL);
    for (uint32_t j = 1; j <= 40; j++)
        client_tasks(w, "c1", j, 0, 3, 100);
    world_lost(w, "c1");
    worker_hello(w, "w1", 2);
    client_hello(w, "c1");
    client_pool(w, "c1", 1, 2);
    assert_int_equal(w->n_seen, 0);
    client_job(w, "c1", 38, 1, NULL);
    assert_in_range(w->n_seen, 1, 3);
    client_job(w, "c1", 39, 1, NULL);
    for (size_t i = 0; i < 6; i++)
        worker_done(w, "w1", w->seen[i].id, w->seen[i].first, w->seen[i].count, 1000);
    assert_int_equal(w->n_seen, 6);
    world_free(w);
}

/* A client has opened its pool again, but not its job: others have the slots until it has. */
static void r24_jobs_that_are_not_opened_again_claim_no_slots(void **state)
{
    const struct wire_job_spec one = { .chunk = 1 };
    struct world *w = world_new(NULL);

    (void)state;
    client_start(w, "c1", -1, &one);
    client_start(w, "c2", -1, &one);
    client_tasks(w, "c1", 1, 0, 8, 100);
    client_tasks(w, "c2", 1, 0, 8, 100);
    world_lost(w, "c1");
    client_hello(w, "c1");
    client_pool(w, "c1", 1, -1);
    worker_hello(w, "w1", 4);
    assert_int_equal(w->n_seen, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(w->seen[i].job, w->seen[0].job);   /* of c2 */
    client_job(w, "c1", 1, 1, &one);
    for (size_t i = 0; i < 4; i++)
        worker_done(w, "w1", w->seen[i].id, w->seen[i].first, 1, 50000);
    assert_int_equal(w->n_seen, 8);
    assert_int_equal((w->seen[4].job != w->seen[0].job) + (w->seen[5].job != w->seen[0].job) +
                         (w->seen[6].job != w->seen[0].job) + (w->seen[7].job != w->seen[0].job), 2);
    client_job(w, "c1", 2, 1, &one);                        /* a new one of a pool whose others are not open again */
    world_lost(w, "c1");
    client_hello(w, "c1");
    client_pool(w, "c1", 1, -1);
    client_job(w, "c1", 2, 1, &one);
    client_tasks(w, "c1", 2, 0, 1, 100);
    for (size_t i = 4; i < 8; i++)
        worker_done(w, "w1", w->seen[i].id, w->seen[i].first, 1, 50000);
    assert_int_equal(w->n_seen, 9 + 2);                     /* that task, and what c2 had left */
    world_free(w);
}

/* It has been away too long, and what it had at a worker goes back over turns: attempts that have not left wait meanwhile. */
static void r26_what_a_client_had_goes_back_before_its_pools_leave(void **state)
{
    static uint8_t context[1000];
    const struct wire_job_spec heavy = { .chunk = 1, .context = wire_bin_of(context, sizeof(context)) };

    (void)state;
    for (uint32_t steps = 1; steps < 24; steps++) {
        struct world *w = world_new(&(struct broker_config){ .epoch = EPOCH, .worker_specs = 1500, .turn_steps = steps });
        w->quiet = true;
        worker_hello(w, "w1", 40);
        client_hello(w, "c1");
        client_pool(w, "c1", 1, 40);
        client_job(w, "c1", 1, 1, &heavy);
        client_tasks(w, "c1", 1, 0, 10, 10);
        client_job(w, "c1", 2, 1, &heavy);
        client_tasks(w, "c1", 2, 0, 20, 10);
        assert_int_equal(w->n_seen, 10);            /* the other job is for a place that the first one has */
        world_lost(w, "c1");
        for (int i = 0; i < 12; i++) {
            world_after(w, 500);
            worker_state(w, "w1", 40, false);
        }
        assert_int_equal(waits(w).running, 0);
        assert_int_equal(waits(w).queued, 30);
        world_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { T(drain_waits_for_work_and_for_connected_clients),
        T(r24_a_drain_runs_what_waits_for_its_client),
                                        T(without_a_drain_outcomes_wait_for_their_client),
                                        T(settled_jobs_are_not_listed_as_work),
        T(r24_a_job_opened_again_runs_beside_many_that_are_not), T(r24_jobs_that_are_not_opened_again_claim_no_slots),
        T(r26_what_a_client_had_goes_back_before_its_pools_leave),
        T(r07_pools_that_are_not_opened_again_end),
                                        T(r24_who_keeps_the_sessions_of_a_key_waiting_is_told),
        T(r24_the_session_that_leaves_most_is_named), T(r24_a_pool_that_failed_says_why_though_its_key_waits) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
