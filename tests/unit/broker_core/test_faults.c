/* SPDX-License-Identifier: MPL-2.0
 * test_faults.c - the broker when things go wrong: workers lost, silent, replaced, draining; tasks that fail and crash; clients
 * that cancel, detach, overrun, misbehave; programs that cannot run.
 */
#include "world.h"
#include "wire/times.h"

#include <string.h>

static const struct wire_job_spec once = { .retries = -1 };

static struct world *started(const struct broker_config *config, int32_t processes, const struct wire_job_spec *spec)
{
    struct world *w = world_new(config);

    worker_hello(w, "w1", 2);
    client_start(w, "c1", processes, spec);
    return w;
}

static struct broker_counters counters(struct world *w)
{
    struct broker_counters n;

    broker_counters(w->b, &n);
    return n;
}

static void short_cut(void **state)
{
    struct world *w = started(NULL, 2, NULL);

    (void)state;
    client_tasks(w, "c1", 1, 0, 4, 100);
    EXPECT(w, "[   0] > w1 CHUNKS #1 j2 0+1 #2 j2 1+1\n");
    world_lost(w, "w1");
    world_after(w, 3000);
    EXPECT(w, "");      /* silent: its lease runs, nothing is run again */
    worker_hello_only(w, "w1", 2, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 2 }, 1);
    EXPECT(w, "[3000] > w1 CHUNKS #3 j2 0+1\n");     /* 1 has never arrived: again, and no try is charged */
    worker_done(w, "w1", 2, 1, 1, 50000);
    EXPECT(w, "[3000] > w1 CHUNKS #4 j2 2+1\n"
              "[3000] > c1 OUTCOMES s1 j1 1+1\n");
    worker_done(w, "w1", 1, 0, 1, 50000);
    EXPECT(w, "[3000] > w1 ATTEMPTS_CLOSE #1 why 4\n");     /* foreign by now */
    assert_int_equal(counters(w).foreign, 1);
    world_free(w);
}

static void lost_worker(void **state)
{
    struct world *w = started(NULL, 1, NULL);

    (void)state;
    client_tasks(w, "c1", 1, 0, 1, 100);
    for (int i = 0; i < 2; i++) {
        world_lost(w, "w1");
        world_after(w, 5001);
        worker_hello(w, "w1", 2);
    }
    EXPECT(w, "[   0] > w1 CHUNKS #1 j2 0+1\n"
              "[5001] > c1 TRIES j1 0+1 tries 1,0\n"
              "[5001] > w1 CHUNKS #2 j2 0+1 tries 1,0\n"
              "[10002] > c1 TRIES j1 0+1 tries 2,0\n"
              "[10002] > w1 CHUNKS #3 j2 0+1 tries 2,0\n");
    world_lost(w, "w1");
    world_after(w, 5001);
    EXPECT(w, "[15002] > c1 OUTCOMES s1 j1 0+1 lost\n");
    assert_int_equal(counters(w).workers, 0);
    world_free(w);
}

static void silent_worker(void **state)
{
    struct world *w = started(NULL, 1, NULL);

    (void)state;
    client_tasks(w, "c1", 1, 0, 1, 100);
    world_forget(w);
    world_after(w, 4000);
    simple(w, "w1", WIRE_PING, 9);
    EXPECT(w, "[4000] > w1 PONG 9\n");
    broker_stalled(w->b, w->now, w->now + 60 * CLOCK_SEC);
    w->now += 60 * CLOCK_SEC;
    world_after(w, 4500);
    EXPECT(w, "");      /* the shell was stopped for a minute: nobody is charged */
    world_after(w, 600);
    EXPECT(w, "[69000] > w1 CUT\n");
    world_free(w);
}

static void replaced_worker(void **state)
{
    struct world *w = started(NULL, 1, NULL);

    (void)state;
    client_tasks(w, "c1", 1, 0, 1, 100);
    world_lost(w, "w1");
    world_forget(w);
    worker_hello_only(w, "w2", 2, "w1");
    worker_holding(w, "w2", NULL, 0);
    EXPECT(w, "[   0] > c1 TRIES j1 0+1 tries 1,0\n"
              "[   0] > w2 CHUNKS #2 j2 0+1 tries 1,0\n");
    world_free(w);
}

static void leaving_worker(void **state)
{
    struct world *w = started(NULL, 1, NULL);

    (void)state;
    client_tasks(w, "c1", 1, 0, 1, 100);
    worker_hello(w, "w2", 1);
    world_forget(w);
    simple(w, "w1", WIRE_BYE, 0);
    EXPECT(w, "[   0] > w1 CUT\n"
              "[   0] > c1 TRIES j1 0+1 tries 1,0\n"
              "[   0] > w2 CHUNKS #2 j2 0+1 tries 1,0\n");
    world_free(w);
}

static void newer_connection(void **state)
{
    struct world *w = started(NULL, 1, NULL);
    broker_peer old = world_peer(w, "w1")->id;

    (void)state;
    world_forget(w);
    worker_hello(w, "w1", 2);
    assert_int_equal(counters(w).fenced, 1);
    assert_int_equal(counters(w).workers, 1);
    world_peer(w, "w1")->conn_no = 0;
    world_peer(w, "w1")->id = 0;
    worker_hello_only(w, "w1", 2, NULL);
    EXPECT(w, "[   0] > w1 ERROR -37\n"
              "[   0] > w1 CUT\n");
    broker_lost(w->b, w->now, old);
    world_free(w);
}

static void at_most_once(void **state)
{
    struct world *w = started(NULL, 1, &once);
    struct wire_item ok = { .id = 1, .job = 1 };
    struct wire_msg m = { .type = WIRE_ASSIGNED_OK, .items = &ok, .n_items = 1 };

    (void)state;
    client_tasks(w, "c1", 1, 0, 2, 100);
    EXPECT(w, "[   0] > c1 ASSIGNED #1 j1 0+1\n");
    world_send(w, "c1", &m);
    EXPECT(w, "[   0] > w1 CHUNKS #1 j2 0+1\n");
    simple(w, "w1", WIRE_BYE, 0);
    EXPECT(w, "[   0] > w1 CUT\n"
              "[   0] > c1 OUTCOMES s1 j1 0+1 unknown\n");
    worker_hello(w, "w2", 1);
    EXPECT(w, "[   0] > c1 ASSIGNED #2 j1 1+1\n");
    world_lost(w, "c1");        /* not confirmed: not begun, so it is not lost */
    client_hello(w, "c1");
    world_peer(w, "c1")->acked = 1;
    client_job(w, "c1", 1, 1, &once);
    EXPECT(w, "[   0] > c1 ASSIGNED #3 j1 1+1\n");
    world_free(w);
}

static void failing_tasks(void **state)
{
    struct world *w = started(&(struct broker_config){ .crash_limit = 2 }, 1, &(struct wire_job_spec){ .retries = 1 });

    (void)state;
    client_tasks(w, "c1", 1, 0, 2, 100);
    world_forget(w);
    worker_failed(w, "w1", 1, 0, BFORK_FAILED);
    EXPECT(w, "[   0] > c1 TRIES j1 0+1 tries 0,1\n"
              "[   0] > w1 ATTEMPTS_CLOSE #1 why 5\n"
              "[   0] > w1 CHUNKS #2 j2 0+1 tries 0,1\n");
    worker_failed(w, "w1", 2, 0, BFORK_FAILED);
    EXPECT(w, "[   0] > w1 CHUNKS #3 j2 1+1\n"
              "[   0] > c1 OUTCOMES s1 j1 0+1 failed\n");
    worker_failed(w, "w1", 3, 1, BFORK_CRASHED);
    worker_failed(w, "w1", 4, 1, BFORK_CRASHED);
    EXPECT(w, "[   0] > c1 TRIES j1 1+1 tries 0,1\n"
              "[   0] > w1 ATTEMPTS_CLOSE #3 why 5\n"
              "[   0] > w1 CHUNKS #4 j2 1+1 tries 0,1\n"
              "[   0] > c1 OUTCOMES s2 j1 1+1 crashed\n");
    world_free(w);
}

static void backing_off(void **state)
{
    struct world *w = started(NULL, 1, &(struct wire_job_spec){ .retries = 1, .backoff_ms = 250 });

    (void)state;
    client_tasks(w, "c1", 1, 0, 1, 100);
    world_forget(w);
    worker_failed(w, "w1", 1, 0, BFORK_FAILED);
    world_after(w, 249);
    EXPECT(w, "[   0] > w1 ATTEMPTS_CLOSE #1 why 5\n");
    world_after(w, 2);
    EXPECT(w, "[ 250] > c1 TRIES j1 0+1 tries 0,1\n"
              "[ 250] > w1 CHUNKS #2 j2 0+1 tries 0,1\n");
    client_cancel(w, "c1", 1, 0, 1);
    worker_failed(w, "w1", 2, 0, BFORK_CANCELLED);
    EXPECT(w, "[ 251] > w1 RECALL #2 j2 0+1 why 1\n"
              "[ 251] > c1 OUTCOMES s1 j1 0+1 cancelled\n");
    world_free(w);
}

/* Outcomes that were on their way when the connection was cut come again, and before newer ones. */
static void outcomes_in_order(void **state)
{
    struct world *w = started(NULL, 2, NULL);

    (void)state;
    client_tasks(w, "c1", 1, 0, 2, 100);
    worker_done(w, "w1", 1, 0, 1, 1000);
    world_lost(w, "c1");
    worker_done(w, "w1", 2, 1, 1, 1000);
    world_forget(w);
    client_hello(w, "c1");
    client_pool(w, "c1", 1, 2);
    EXPECT(w, "");
    client_job(w, "c1", 1, 1, NULL);
    EXPECT(w, "[   0] > c1 OUTCOMES s1 j1 0+1 s2 j1 1+1\n");
    world_free(w);
}

/* The last acknowledgement was lost with the connection, and the client has forgotten the job. */
static void forgotten_job(void **state)
{
    struct world *w = started(&(struct broker_config){ .detach_ms = 10000, .lease_ms = 60000 }, 2, NULL);

    (void)state;
    client_tasks(w, "c1", 1, 0, 1, 100);
    worker_done(w, "w1", 1, 0, 1, 1000);
    world_lost(w, "c1");
    client_hello(w, "c1");
    client_pool(w, "c1", 1, 2);
    world_forget(w);
    world_after(w, 9999);
    assert_false(broker_idle(w->b));
    world_after(w, 2);
    EXPECT(w, "[10000] > w1 ATTEMPTS_CLOSE #1 why 5\n");
    assert_true(broker_idle(w->b));
    world_free(w);
}

static void cancelled(void **state)
{
    struct world *w = started(NULL, 2, &(struct wire_job_spec){ .chunk = 10 });

    (void)state;
    client_tasks(w, "c1", 1, 0, 40, 100);
    EXPECT(w, "[   0] > w1 CHUNKS #1 j2 0+10 #2 j2 10+10\n");
    client_cancel(w, "c1", 1, 5, 3);
    client_cancel(w, "c1", 1, 30, 5);
    EXPECT(w, "[   0] > w1 RECALL #1 j2 5+3 why 1\n"
              "[   0] > c1 OUTCOMES s1 j1 30+5 cancelled\n");
    worker_returns(w, "w1", 1, 2, 8);
    EXPECT(w, "[   0] > c1 OUTCOMES s2 j1 5+3 cancelled\n");
    client_cancel(w, "c1", 1, 0, 0);
    EXPECT(w, "[   0] > w1 RECALL #1 j2 0+2 why 1 #2 j2 10+10 why 1\n"
              "[   0] > c1 OUTCOMES s3 j1 2+3 cancelled s4 j1 8+2 cancelled s5 j1 20+10 cancelled s6 j1 35+5 cancelled\n");
    worker_failed(w, "w1", 1, 0, BFORK_CANCELLED);
    worker_returns(w, "w1", 2, 10, 10);
    EXPECT(w, "[   0] > c1 OUTCOMES s7 j1 0+1 cancelled\n"
              "[   0] > w1 ATTEMPTS_CLOSE #2 why 5\n"
              "[   0] > c1 OUTCOMES s8 j1 10+10 cancelled\n");
    world_free(w);
}

static void r24_detached_client(void **state)
{
    struct world *w = started(&(struct broker_config){ .detach_ms = 10000 }, 1, NULL);

    (void)state;
    client_tasks(w, "c1", 1, 0, 3, 100);
    world_lost(w, "c1");
    world_forget(w);
    worker_done(w, "w1", 1, 0, 1, 50000);
    EXPECT(w, "");              /* what was not handed out waits for its client */
    client_hello(w, "c1");
    client_job(w, "c1", 1, 1, NULL);
    EXPECT(w, "[   0] > w1 CHUNKS #2 j2 1+1\n"
              "[   0] > c1 OUTCOMES s1 j1 0+1\n");
    world_lost(w, "c1");
    client_hello(w, "c1");
    client_job(w, "c1", 1, 1, NULL);
    EXPECT(w, "[   0] > c1 OUTCOMES s1 j1 0+1\n");     /* not acknowledged: again */
    client_tasks(w, "c1", 1, 1, 4, 100);
    assert_int_equal(counters(w).duplicates, 2);
    world_lost(w, "c1");
    for (int i = 0; i < 4; i++) {
        world_after(w, 3000);
        simple(w, "w1", WIRE_PING, 1);
    }
    EXPECT(w, "[3000] > w1 PONG 1\n"
              "[5000] > w1 ATTEMPTS_CLOSE #2 why 4\n"
              "[6000] > w1 PONG 1\n"
              "[9000] > w1 PONG 1\n"
              "[10000] > w1 ATTEMPTS_CLOSE #1 why 5\n"
              "[12000] > w1 PONG 1\n");
    assert_int_equal(counters(w).queued + counters(w).running, 0);
    world_free(w);
}

static void slow_client(void **state)
{
    struct world *w = world_new(NULL);
    uint32_t rounds = 0;

    (void)state;
    w->quiet = true;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, &(struct wire_job_spec){ .chunk = 1000 });
    for (uint32_t i = 0; i < 1000; i++)
        client_tasks(w, "c1", 1, i * 1000u, 1000, 8);
    while (counters(w).running && rounds < 1000) {
        const struct attempt_seen *s = &w->seen[w->n_seen - 1];
        uint64_t id = s->id;
        worker_done(w, "w1", id, s->first, s->count, 30000);
        rounds++;
        if (w->seen[w->n_seen - 1].id == id)
            break;
    }
    assert_in_range(rounds, 250, 270);         /* 1 MiB of outcomes that nobody reads, then its work stands still */
    assert_true(counters(w).queued > 700000);
    client_ack(w, "c1", 1, 100);
    assert_int_equal(counters(w).running, 1000);
    world_free(w);
}

static void draining_worker(void **state)
{
    struct world *w = started(NULL, 3, &(struct wire_job_spec){ .chunk = 10 });

    (void)state;
    client_tasks(w, "c1", 1, 0, 30, 100);
    worker_hello(w, "w2", 1);
    EXPECT(w, "[   0] > w1 CHUNKS #1 j2 0+10 #2 j2 10+10\n"
              "[   0] > w2 CHUNKS #3 j2 20+10\n");
    worker_state(w, "w1", 2, true);
    EXPECT(w, "[   0] > w1 RECALL #1 j2 0+10 why 2 #2 j2 10+10 why 2\n");
    worker_returns(w, "w1", 1, 1, 9);
    EXPECT(w, "");
    assert_int_equal(counters(w).tasks_failed, 0);
    world_free(w);
}

static void balanced(void **state)
{
    struct world *w = started(NULL, 3, &(struct wire_job_spec){ .chunk = 10 });

    (void)state;
    worker_hello(w, "w2", 1);
    client_tasks(w, "c1", 1, 0, 30, 100);
    EXPECT(w, "[   0] > w1 CHUNKS #1 j2 0+10 #3 j2 20+10\n"
              "[   0] > w2 CHUNKS #2 j2 10+10\n");
    worker_done(w, "w2", 2, 10, 10, 20000);
    EXPECT(w, "[   0] > w1 RECALL #3 j2 20+10 why 3\n"
              "[   0] > c1 OUTCOMES s1 j1 10+10\n"); /* w2 is idle, w1 holds 20 tasks of 20 ms: half of the tail is asked back */
    worker_returns(w, "w1", 3, 22, 8);
    EXPECT(w, "[   0] > w2 CHUNKS #4 j2 22+8\n");
    world_free(w);
}

static void fail_pool(struct world *w, const char *name, int code)
{
    struct wire_msg m = { .type = WIRE_POOL_FAILED };

    m.u.pool_failed = (struct wire_pool_failed){
        .pool = 1, .code = code, .stage = WIRE_STR("load"), .text = WIRE_STR("missing library libx.so")
    };
    world_send(w, name, &m);
}

/* Past the hold after the start, with the workers alive. */
static void hold_over(struct world *w, const char *one, const char *two)
{
    for (int i = 0; i < 3; i++) {
        world_after(w, TIME_HOLD_MS / 2 - 1000);
        simple(w, one, WIRE_PING, 1);
        if (two)
            simple(w, two, WIRE_PING, 1);
    }
    world_forget(w);
}

static void program_that_cannot_run(void **state)
{
    struct world *w = started(&(struct broker_config){ .heartbeat_ms = 10, .lease_ms = 100000, .hold_ms = 1 }, 1, NULL);

    (void)state;
    worker_hello(w, "w2", 2);
    world_after(w, 2);
    client_tasks(w, "c1", 1, 0, 2, 100);
    w->strict = true;
    world_forget(w);
    fail_pool(w, "w1", BFORK_REFUSED);
    EXPECT(w, "[   2] limited log: pool pool of c1 failed on worker w1: missing library libx.so (worker w1)\n"
              "[   2] > w1 RECALL #1 j2 0+1 why 2\n"
              "[   2] > w1 GRANT p1 slots 0 spec\n"
              "[   2] > w2 GRANT p1 slots 1 spec\n"
              "[   2] > w2 JOB_SPEC j2 p1\n"
              "[   2] > w2 CHUNKS #2 j2 1+1\n"
              "[   2] > c1 POOL_STATE p1 slots 1\n");     /* the other worker may be able to */
    worker_returns(w, "w1", 1, 0, 1);
    EXPECT(w, "[   2] > w1 ATTEMPTS_CLOSE #1 why 5\n");
    worker_returns(w, "w2", 2, 1, 1);
    world_forget(w);
    fail_pool(w, "w2", BFORK_REFUSED);
    EXPECT(w, "[   2] limited log: pool pool of c1 failed on worker w2: missing library libx.so (worker w2)\n"
              "[   2] > w2 RECALL #3 j2 1+1 why 2\n"
              "[   2] > w2 GRANT p1 slots 0 spec\n"
              "[   2] > c1 POOL_STATE p1 slots 0 refused\n"
              "[   2] > c1 OUTCOMES s1 j1 0+1 refused\n");
    client_tasks(w, "c1", 1, 2, 1, 100);
    EXPECT(w, "[   2] > c1 OUTCOMES s2 j1 2+1 refused\n");
    world_free(w);
}

static uint32_t slots_told;

static void note_slots(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    (void)w;
    (void)p;
    slots_told = m->type == WIRE_POOL_STATE ? m->u.pool_state.slots : slots_told;
}

/* A pool that failed on one of two workers is told of the other's slots only, when it has work and when it has none. */
static void r17_slots_of_a_worker_that_cannot_run_it_are_not_a_pools(void **state)
{
    struct world *w = world_new(&(struct broker_config){ .heartbeat_ms = 10, .lease_ms = 100000, .hold_ms = 1 });

    (void)state;
    w->quiet = true;
    worker_hello(w, "w1", 1);
    worker_hello(w, "w2", 2);
    client_start(w, "c1", -1, &(struct wire_job_spec){ .chunk = 1 });
    world_after(w, 2);
    w->hook = note_slots;
    client_tasks(w, "c1", 1, 0, 3, 100);
    fail_pool(w, "w1", BFORK_REFUSED);
    for (size_t i = 0; i < 3; i++) {
        const struct attempt_seen *s = &w->seen[i];
        worker_returns(w, "w1", s->id, s->first, 1);    /* of its own: the others' are not taken from it */
    }
    world_after(w, 1000);
    assert_int_equal(slots_told, 2);
    client_cancel(w, "c1", 1, 0, 3);
    for (size_t i = 0; i < w->n_seen; i++)
        worker_done(w, "w2", w->seen[i].id, w->seen[i].first, 1, 1000);
    world_after(w, 1000);
    assert_int_equal(counters(w).running + counters(w).queued, 0);
    worker_hello(w, "w3", 4);
    world_after(w, 1000);
    assert_int_equal(slots_told, 6);
    world_free(w);
}

static bool refused(const struct world *w, uint64_t tasks)
{
    struct broker_counters n;

    broker_counters(w->b, &n);
    return n.tasks_failed == tasks;
}

/* All that are there cannot run it; the one that can is still on its way. */
static void r17_a_pool_is_held_while_workers_may_come_back(void **state)
{
    struct world *w = started(NULL, 1, NULL);       /* w1 has it granted */

    (void)state;
    client_tasks(w, "c1", 1, 0, 2, 100);
    fail_pool(w, "w1", BFORK_REFUSED);
    worker_returns(w, "w1", 1, 0, 1);
    assert_true(refused(w, 0));                     /* the hold lasts */
    world_forget(w);
    worker_hello(w, "w2", 2);
    assert_true(w->n_seen >= 2);                    /* and it runs there */
    for (size_t i = w->n_seen - 2; i < w->n_seen; i++)
        worker_done(w, "w2", w->seen[i].id, w->seen[i].first, w->seen[i].count, 1000);
    assert_true(refused(w, 0));
    world_free(w);
}

static void r17_the_hold_ends_and_the_pool_fails(void **state)
{
    struct world *w = started(NULL, 1, NULL);

    (void)state;
    client_tasks(w, "c1", 1, 0, 2, 100);
    fail_pool(w, "w1", BFORK_REFUSED);
    worker_returns(w, "w1", 1, 0, 1);
    world_after(w, TIME_LEASE_MS - 1000);
    simple(w, "w1", WIRE_PING, 1);
    world_after(w, TIME_HOLD_MS - TIME_LEASE_MS + 999);
    assert_true(refused(w, 0));
    broker_stalled(w->b, w->now, w->now + 1000 * CLOCK_MS);     /* nobody could come back meanwhile */
    simple(w, "w1", WIRE_PING, 1);
    world_after(w, 1000);
    assert_true(refused(w, 0));
    world_after(w, 2);
    assert_true(refused(w, 2));
    client_tasks(w, "c1", 1, 2, 1, 100);
    assert_true(refused(w, 3));
    worker_hello(w, "w2", 1);                       /* somebody new: what comes from now on is run */
    client_tasks(w, "c1", 1, 3, 1, 100);
    assert_true(refused(w, 3));
    world_free(w);
}

static void r17_a_silent_or_joining_worker_holds_the_pool(void **state)
{
    struct world *w = started(NULL, 1, NULL);

    (void)state;
    worker_hello(w, "w2", 1);
    hold_over(w, "w1", "w2");
    client_tasks(w, "c1", 1, 0, 1, 100);
    world_lost(w, "w2");                            /* its lease runs */
    fail_pool(w, "w1", BFORK_REFUSED);
    worker_returns(w, "w1", 1, 0, 1);
    assert_true(refused(w, 0));
    worker_hello_only(w, "w2", 1, NULL);            /* joining */
    assert_true(refused(w, 0));
    world_lost(w, "w2");
    simple(w, "w1", WIRE_PING, 1);
    world_after(w, TIME_LEASE_MS - 1);
    simple(w, "w1", WIRE_PING, 1);
    assert_true(refused(w, 0));
    world_after(w, 2);                              /* it is lost: nobody is left who could */
    assert_true(refused(w, 1));
    world_free(w);
}

/* A worker that has no room now is not asked for a while; the pool does not fail, and what it was handed costs no try. */
static void r09_not_now_sends_the_work_elsewhere_or_later(void **state)
{
    struct world *w = started(NULL, 1, NULL);
    uint64_t pause = TIME_NOT_NOW_FIRST_MS;

    (void)state;
    hold_over(w, "w1", NULL);
    client_tasks(w, "c1", 1, 0, 1, 100);
    assert_int_equal(w->n_seen, 1);
    for (uint64_t k = 1; k <= 12; k++) {
        world_forget(w);
        fail_pool(w, "w1", BFORK_EAGAIN);
        worker_returns(w, "w1", k, 0, 1);
        assert_true(refused(w, 0));
        assert_int_equal(w->n_seen, k);
        for (uint64_t left = pause; left > 0; left -= left < 1000 ? left : 1000) {
            simple(w, "w1", WIRE_PING, 1);
            assert_int_equal(w->n_seen, k);
            world_after(w, left < 1000 ? left : 1000);
        }
        assert_int_equal(w->n_seen, k + 1);             /* there is nowhere else: it is tried again */
        pause = 2 * pause < TIME_NOT_NOW_MOST_MS ? 2 * pause : TIME_NOT_NOW_MOST_MS;
    }
    fail_pool(w, "w1", BFORK_EAGAIN);
    worker_returns(w, "w1", 13, 0, 1);
    worker_hello(w, "w2", 1);                           /* there is: at once */
    assert_int_equal(w->n_seen, 14);
    worker_done(w, "w2", 14, 0, 1, 1000);
    assert_true(refused(w, 0));
    assert_int_equal(counters(w).tasks_failed, 0);
    world_free(w);
}

/* Free slots of a worker that cannot run a pool are no slots for it: a pool that has no work makes room where it can run. */
static void slots_move_to_the_pool_that_can_run_nowhere_else(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, NULL);
    client_start(w, "c2", 1, NULL);
    client_tasks(w, "c2", 1, 0, 1, 100);
    worker_done(w, "w1", w->seen[0].id, 0, 1, 1000);    /* it keeps the slot, as nobody wants it */
    worker_hello(w, "w2", 1);
    client_tasks(w, "c1", 1, 0, 1, 100);                /* at w2, which is free */
    assert_int_equal(w->n_seen, 2);
    fail_pool(w, "w2", BFORK_REFUSED);
    worker_returns(w, "w2", w->seen[1].id, 0, 1);
    assert_int_equal(w->n_seen, 3);
    worker_done(w, "w1", w->seen[2].id, 0, 1, 1000);
    assert_int_equal(counters(w).tasks_failed, 0);
    world_free(w);
}

static char ran_at[16][16];              /* the workers that tasks were handed out to, in order */

static void on_chunks(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    if (m->type == WIRE_CHUNKS && w->n_seen <= 16)
        snprintf(ran_at[w->n_seen - 1], sizeof(ran_at[0]), "%s", p->name);
}

/* Idle pools have all slots, most of them where they are of no use to the pool that is due one: it is found behind those. */
static void r06_room_is_found_behind_pools_that_cannot_make_it(void **state)
{
    const char *clients[] = { "c2", "c3", "c4", "c5", "c6" };
    struct world *w = world_new(NULL);

    (void)state;
    w->hook = on_chunks;
    worker_hello(w, "w1", 4);
    worker_hello(w, "w2", 1);
    client_start(w, "c1", 1, NULL);
    client_tasks(w, "c1", 1, 0, 1, 100);
    assert_string_equal(ran_at[0], "w1");
    fail_pool(w, "w1", BFORK_REFUSED);
    worker_returns(w, "w1", 1, 0, 1);
    assert_string_equal(ran_at[1], "w2");
    worker_done(w, "w2", w->seen[1].id, 0, 1, 1000);
    for (size_t i = 0; i < 5; i++) {
        client_start(w, clients[i], 1, NULL);
        client_tasks(w, clients[i], 1, 0, 1, 100);
        assert_int_equal(w->n_seen, 3 + i);
    }
    assert_string_equal(ran_at[6], "w2");
    for (size_t i = 2; i < 7; i++)
        worker_done(w, ran_at[i], w->seen[i].id, 0, 1, 1000);
    client_tasks(w, "c1", 1, 1, 1, 100);
    assert_int_equal(w->n_seen, 8);
    assert_string_equal(ran_at[7], "w2");
    world_free(w);
}

/* A pool that has work gives its slot up only when it ends: then the other one is thought of, by the clock if by nothing else. */
static void a_pool_that_waits_for_a_slot_gets_the_next_one(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, NULL);
    client_start(w, "c2", 1, NULL);
    client_tasks(w, "c2", 1, 0, 1, 100);
    worker_hello(w, "w2", 1);
    client_tasks(w, "c1", 1, 0, 1, 100);
    assert_int_equal(w->n_seen, 2);
    world_forget(w);
    fail_pool(w, "w2", BFORK_REFUSED);
    worker_returns(w, "w2", w->seen[1].id, 0, 1);
    worker_done(w, "w1", w->seen[0].id, 0, 1, 1000);
    world_after(w, 1000);
    assert_int_equal(w->n_seen, 3);
    assert_int_equal(counters(w).tasks_failed, 0);
    world_free(w);
}

/* Between the end of one start of a worker and the beginning of the next there is no moment without it. */
static void r17_a_worker_that_was_started_again_holds_the_pool(void **state)
{
    struct world *w = started(NULL, 1, NULL);

    (void)state;
    worker_hello(w, "w2", 1);
    hold_over(w, "w1", "w2");
    client_tasks(w, "c1", 1, 0, 1, 100);
    fail_pool(w, "w1", BFORK_REFUSED);
    worker_returns(w, "w1", 1, 0, 1);
    world_lost(w, "w2");
    worker_hello_only(w, "w3", 1, "w2");
    assert_true(refused(w, 0));
    world_forget(w);
    worker_holding(w, "w3", NULL, 0);
    assert_true(refused(w, 0) && w->n_seen >= 1);
    world_free(w);
}

/* Not only who is connected: its lease would have kept its tasks from the others. */
static void r20_a_disconnected_worker_is_revoked_too(void **state)
{
    struct world *w = started(NULL, 1, &(struct wire_job_spec){ .chunk = 10 });
    struct broker_counters n;

    (void)state;
    client_tasks(w, "c1", 1, 0, 10, 100);
    assert_int_equal(w->n_seen, 1);
    worker_hello(w, "w2", 1);
    world_lost(w, "w1");
    assert_int_equal(w->n_seen, 1);
    broker_revoke(w->b, w->now, world_peer(w, "w1")->key);
    world_step(w);
    assert_int_equal(w->n_seen, 2);
    assert_int_equal(w->seen[1].first, 0);
    broker_counters(w->b, &n);
    assert_int_equal(n.workers, 1);
    world_free(w);
}

/* kill -9 of a client: five seconds later nothing runs for it any more; when it comes back, all is as it was. */
static void r26_processes_of_a_client_that_was_closed_end_its_session_waits(void **state)
{
    for (int most_once = 0; most_once < 2; most_once++) {
        struct world *w = started(NULL, 1, most_once ? &once : NULL);

        (void)state;
        client_tasks(w, "c1", 1, 0, 3, 100);
        if (most_once) {
            struct wire_item ok = { .id = 1, .job = 1 };

            world_send(w, "c1", &(struct wire_msg){ .type = WIRE_ASSIGNED_OK, .items = &ok, .n_items = 1 });
        }
        assert_int_equal(counters(w).running, 1);
        world_lost(w, "c1");
        world_after(w, 1000);
        simple(w, "w1", WIRE_PING, 1);
        world_after(w, TIME_CLOSED_MS - 1001);
        assert_int_equal(counters(w).running, 1);
        assert_int_equal(counters(w).slots, 2);
        w->strict = true;
        world_forget(w);
        world_after(w, 1);
        assert_non_null(strstr(w->trace, "> w1 ATTEMPTS_CLOSE #1 why 4"));
        assert_non_null(strstr(w->trace, "> w1 GRANT p1 slots 0\n"));      /* forget the pool: its processes end */
        assert_int_equal(counters(w).running, 0);
        assert_int_equal(counters(w).queued, most_once ? 2 : 3);
        assert_int_equal(counters(w).clients, 1);
        simple(w, "w1", WIRE_PING, 1);
        world_after(w, 4000);
        simple(w, "w1", WIRE_PING, 1);
        assert_int_equal(counters(w).running, 0);
        world_forget(w);
        client_hello(w, "c1");
        client_job(w, "c1", 1, 1, most_once ? &once : NULL);
        const char *described = w->trace;

        if (most_once) {
            assert_non_null(strstr(w->trace, "> c1 OUTCOMES s1 j1 0+1 unknown\n"));
        } else {
            assert_int_equal(w->n_seen, 2);
            assert_int_equal(w->seen[1].first, 0);
            assert_null(strstr(w->trace, "tries"));     /* none was counted */
            assert_non_null(strstr(described, "> w1 JOB_SPEC j2 p"));       /* it had forgotten the job with the pool */
        }
        world_free(w);
    }
}

static void two_owners_share(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    w->quiet = true;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, NULL);
    client_start(w, "c2", 1, NULL);
    client_tasks(w, "c1", 1, 0, 1000, 100);
    client_tasks(w, "c2", 1, 0, 1000, 100);
    for (int i = 0; i < 200; i++) {
        const struct attempt_seen *s = &w->seen[w->n_seen - 1];
        world_after(w, 10);
        worker_done(w, "w1", s->id, s->first, s->count, 10000);
    }
    struct { uint64_t done[2]; size_t n; } got = { { 0, 0 }, 0 };
    for (size_t i = 0; i < w->n_seen; i++)
        got.done[w->seen[i].job == w->seen[0].job] += w->seen[i].count;
    assert_in_range(got.done[0] * 100 / (got.done[0] + got.done[1]), 40, 60);
    world_free(w);
}

static void small_job_beside_a_flood(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    w->quiet = true;
    worker_hello(w, "w1", 2);
    client_start(w, "c1", 2, NULL);
    client_start(w, "c2", 2, NULL);
    client_tasks(w, "c1", 1, 0, 2000, 100);
    for (int i = 0; i < 10; i++) {
        const struct attempt_seen *s = &w->seen[w->n_seen - 1];
        world_after(w, 1);
        worker_done(w, "w1", s->id, s->first, s->count, 1000);
    }
    w->quiet = false;
    world_forget(w);
    client_tasks(w, "c2", 1, 0, 1, 100);
    assert_non_null(strstr(w->trace, "CHUNKS"));    /* it waits for nothing of the other's queue */
    assert_non_null(strstr(w->trace, " 0+1"));
    world_free(w);
}

/* ---- bad messages ------------------------------------------------------------------------------------------------------------ */

static void no_hello(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    simple(w, "c1", WIRE_PING, 1);
    EXPECT(w, "[   0] > c1 RESET\n");
    client_hello(w, "c1");
    simple(w, "c1", WIRE_PING, 77);
    EXPECT(w, "[   0] > c1 PONG 77\n");
    world_free(w);
}

static void other_version(void **state)
{
    struct world *w = world_new(NULL);
    struct wire_msg m = { .type = WIRE_HELLO };
    uint8_t instance[WIRE_ID] = { 1 };

    (void)state;
    m.u.hello = (struct wire_hello){
        .protocol_min = 7, .protocol_max = 9, .role = WIRE_CLIENT, .instance = wire_bin_of(instance, WIRE_ID), .conn_no = 1
    };
    world_send(w, "c1", &m);
    EXPECT(w, "[   0] > c1 ERROR -49\n"
              "[   0] > c1 CUT\n");
    m.u.hello.protocol_min = 1;
    m.u.hello.role = WIRE_WORKER;
    world_send(w, "c1", &m);
    EXPECT(w, "[   0] > c1 ERROR -48\n"
              "[   0] > c1 CUT\n");
    assert_int_equal(counters(w).clients, 0);
    world_free(w);
}

static void bad_messages(void **state)
{
    struct world *w = started(NULL, 1, NULL);

    (void)state;
    client_tasks(w, "c1", 1, 0, 3, 100);
    world_forget(w);
    client_start(w, "c2", 1, NULL);
    client_tasks(w, "c2", 5, 0, 1, 100);
    EXPECT(w, "[   0] > c2 JOB_STATE j5 next 0 refused -37 job\n");    /* not open: the session goes on, another's job 1, too */
    worker_done(w, "c2", 1, 0, 1, 1);
    EXPECT(w, "[   0] > c2 ERROR -49\n"
              "[   0] > c2 CUT\n");     /* wrong role */
    client_hello(w, "c2");
    client_ack(w, "c2", 1, 1);
    EXPECT(w, "[   0] > c2 JOB_STATE j1 next 0 refused -37 job\n");    /* never opened in this session */
    client_ack(w, "c2", 1, 1);
    EXPECT(w, "");      /* of a handle that was used: late, ignored */
    worker_done(w, "w1", 1, 1, 1, 1);
    EXPECT(w, "[   0] > w1 ERROR -49\n"
              "[   0] > w1 CUT\n");     /* beyond what was handed out */
    assert_int_equal(counters(w).bad_messages, 2);
    client_ack(w, "c1", 1, 5);
    EXPECT(w, "[   0] > c1 JOB_STATE j1 next 0 refused -32 seq\n");    /* never sent */
    world_free(w);
}

static void over_quota(void **state)
{
    struct world *w = started(&(struct broker_config){ .quota_tasks = 100, .quota_bytes = 100000 }, 1, NULL);

    (void)state;
    client_tasks(w, "c1", 1, 0, 100, 100);
    world_forget(w);
    client_tasks(w, "c1", 1, 100, 1, 100);
    EXPECT(w, "[   0] > c1 JOB_STATE j1 next 0 refused -41 quota_tasks\n"
              "[   0] > w1 ATTEMPTS_CLOSE #1 why 6\n");
    assert_int_equal(counters(w).clients, 1);
    assert_int_equal(counters(w).queued, 0);
    client_start(w, "c2", 1, NULL);
    client_tasks(w, "c2", 1, 0, 2, 50000);
    client_tasks(w, "c2", 1, 2, 1, 1);
    EXPECT(w, "[   0] > w1 CHUNKS #2 j4 0+1\n"
              "[   0] > c2 JOB_STATE j1 next 0 refused -41 quota_bytes\n"
              "[   0] > w1 ATTEMPTS_CLOSE #2 why 6\n");
    world_free(w);
}

static void revoked(void **state)
{
    struct world *w = started(NULL, 1, NULL);

    (void)state;
    client_tasks(w, "c1", 1, 0, 1, 100);
    world_forget(w);
    broker_revoke(w->b, w->now, world_peer(w, "c1")->key);
    world_step(w);
    EXPECT(w, "[   0] > c1 ERROR -48\n"
              "[   0] > c1 CUT\n"
              "[   0] > w1 ATTEMPTS_CLOSE #1 why 6\n");
    broker_revoke(w->b, w->now, world_peer(w, "w1")->key);
    world_step(w);
    EXPECT(w, "[   0] > w1 ERROR -48\n"
              "[   0] > w1 CUT\n");
    assert_int_equal(counters(w).clients + counters(w).workers, 0);
    world_free(w);
}

static void closed_pool(void **state)
{
    struct world *w = started(NULL, 1, NULL);

    (void)state;
    w->strict = true;
    client_tasks(w, "c1", 1, 0, 3, 100);
    world_forget(w);
    simple(w, "c1", WIRE_POOL_CLOSE, 1);
    EXPECT(w, "[   0] > w1 ATTEMPTS_CLOSE #1 why 6\n"
              "[   0] > w1 JOB_FORGET j2\n"
              "[   0] > w1 GRANT p1 slots 0\n");     /* no outcomes: nobody waits for them */
    assert_true(broker_idle(w->b));
    world_free(w);
}

static void status(void **state)
{
    struct world *w = started(NULL, 1, NULL);
    struct wire_msg m = { .type = WIRE_STATUS_GET, .request = 8 };
    broker_peer peer;
    uint32_t request;
    char what[16];

    (void)state;
    m.u.status_get.what = WIRE_STR("workers");
    broker_recv(w->b, w->now, world_peer(w, "c1")->id, WIRE_CLIENT, world_peer(w, "c1")->key, &m);
    assert_true(broker_status_wanted(w->b, &peer, &request, what));
    assert_string_equal(what, "workers");
    assert_false(broker_status_wanted(w->b, &peer, &request, what));
    world_forget(w);
    broker_status_answer(w->b, peer, request, "{}");
    world_step(w);
    EXPECT(w, "[   0] > c1 STATUS request 8 {}\n");
    world_free(w);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
    const struct CMUnitTest tests[] = { T(short_cut),
                                        T(lost_worker),
                                        T(silent_worker),
                                        T(replaced_worker),
                                        T(leaving_worker),
                                        T(newer_connection),
                                        T(at_most_once),
                                        T(failing_tasks),
                                        T(backing_off),
                                        T(forgotten_job),
                                        T(outcomes_in_order),
                                        T(cancelled),
                                        T(r24_detached_client),
                                        T(slow_client),
                                        T(draining_worker),
                                        T(balanced),
                                        T(program_that_cannot_run),
                                        T(r26_processes_of_a_client_that_was_closed_end_its_session_waits),
                                        T(r20_a_disconnected_worker_is_revoked_too),
                                        T(r17_a_pool_is_held_while_workers_may_come_back),
                                        T(r17_the_hold_ends_and_the_pool_fails),
                                        T(r17_slots_of_a_worker_that_cannot_run_it_are_not_a_pools),
                                        T(r17_a_silent_or_joining_worker_holds_the_pool),
                                        T(r09_not_now_sends_the_work_elsewhere_or_later),
                                         T(slots_move_to_the_pool_that_can_run_nowhere_else),
                                         T(r06_room_is_found_behind_pools_that_cannot_make_it),
                                         T(a_pool_that_waits_for_a_slot_gets_the_next_one),
                                         T(r17_a_worker_that_was_started_again_holds_the_pool),
                                        T(two_owners_share),
                                        T(small_job_beside_a_flood),
                                        T(no_hello),
                                        T(other_version),
                                        T(bad_messages),
                                        T(over_quota),
                                        T(revoked),
                                        T(closed_pool),
                                        T(status) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
