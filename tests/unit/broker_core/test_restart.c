/* SPDX-License-Identifier: MPL-2.0
 * test_restart.c - a broker that has forgotten everything: workers report what they hold, clients replay, nothing that still runs
 * is run again, nobody answers for what he was not given.
 */
#include "world.h"
#include "wire/times.h"

#include <string.h>

static const struct wire_job_spec tens = { .chunk = 10 }, once = { .chunk = 10, .retries = -1 };

static struct broker_counters counters(struct world *w)
{
    struct broker_counters n;

    broker_counters(w->b, &n);
    return n;
}

/* One worker has tasks 0 to 9 as attempt 1; 30 were submitted; then the broker starts again. */
static struct world *restarted(void)
{
    struct world *w = world_new(NULL);

    worker_hello(w, "w1", 1);
    client_start(w, "c1", 2, &tens);
    client_tasks(w, "c1", 1, 0, 30, 100);
    world_after(w, 100);
    world_restart(w, EPOCH * 2);
    world_forget(w);
    return w;
}

static void client_again(struct world *w, const struct wire_job_spec *spec)
{
    world_peer(w, "c1")->acked = 0;
    client_start(w, "c1", 2, spec);
}

static void adopted(void **state)
{
    struct world *w = restarted();

    (void)state;
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    assert_int_equal(counters(w).adopted, 1);
    client_again(w, &tens);
    client_replay(w, "c1", 1, 0, 30, 0);
    EXPECT(w, "");     /* 0 to 9 run; the rest is held */
    worker_done(w, "w1", 1, 0, 4, 100000);
    EXPECT(w, "[ 100] > c1 OUTCOMES s1 j1 0+4\n");
    world_after(w, 2500);
    simple(w, "w1", WIRE_PING, 1);
    world_after(w, 4000);
    simple(w, "w1", WIRE_PING, 1);
    world_forget(w);
    world_after(w, 2000);
    EXPECT(w, "");     /* hold_ms after the start the others are queued, but the only slot is busy with what was adopted */
    assert_int_equal(counters(w).queued, 20);
    simple(w, "w1", WIRE_BYE, 0);
    worker_hello(w, "w2", 1);
    EXPECT(w, "[8600] > w1 CUT\n"
              "[8600] > c1 TRIES j1 4+6 tries 1,0\n"
              "[8600] > w2 CHUNKS #1000 j1 4+6 tries 1,0\n");     /* the arguments of the adopted ones came with the replay */
    world_free(w);
}

static int refusals, states;

static void on_state(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    (void)w;
    (void)p;
    states += m->type == WIRE_JOB_STATE;
    refusals += m->type == WIRE_JOB_STATE && m->u.job_state.code;
}

/* The client cannot know yet that they count as well. */
static void r15_tasks_beside_those_that_a_worker_has_brought_end_no_job(void **state)
{
    struct world *w = restarted();

    (void)state;
    w->config.quota_tasks = 30;
    world_restart(w, 3 * EPOCH);
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    client_again(w, &tens);
    client_job(w, "c1", 2, 1, &tens);
    w->hook = on_state;
    refusals = states = 0;
    client_tasks(w, "c1", 2, 0, 25, 100);
    assert_int_equal(counters(w).queued + states, 0);
    worker_done(w, "w1", 1, 0, 10, 100000);
    assert_int_equal(states, 1);
    client_job(w, "c1", 2, 1, &tens);
    client_tasks(w, "c1", 2, 0, 25, 100);
    assert_int_equal(counters(w).queued + counters(w).running, 25);
    assert_int_equal(refusals, 0);
    world_free(w);
}

/* It was welcomed by the new broker and cut before it could say what it holds: that is still of the one before. */
static void r18_adopted_after_a_cut_behind_welcome(void **state)
{
    struct world *w = restarted();

    (void)state;
    worker_hello_only(w, "w1", 1, NULL);
    assert_true(world_peer(w, "w1")->epoch == 2 * EPOCH);
    world_lost(w, "w1");
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    assert_int_equal(counters(w).adopted, 1);
    world_lost(w, "w1");
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    assert_int_equal(counters(w).adopted, 1);
    assert_int_equal(counters(w).running, 10);
    EXPECT(w, "");
    world_free(w);
}

/* One worker has tasks 0 to 7, each as an attempt of its own; the broker starts again, and two records of HOLDING are a turn. */
static struct world *restarted_with_many(void)
{
    const struct wire_job_spec ones = { .chunk = 1 };
    struct world *w = world_new(&(struct broker_config){ .epoch = EPOCH, .turn_steps = 2 });

    worker_hello(w, "w1", 8);
    client_start(w, "c1", -1, &ones);
    client_tasks(w, "c1", 1, 0, 8, 100);
    world_after(w, 100);
    assert_int_equal(counters(w).running, 8);
    world_restart(w, EPOCH * 2);
    world_forget(w);
    worker_hello_only(w, "w1", 8, NULL);
    w->in_a_row = true;
    worker_holding(w, "w1", (uint64_t[]){ 1, 2, 3, 4, 5, 6, 7, 8 }, 8);
    return w;
}

/* What a worker says behind HOLDING is about attempts that are still to be found there. */
static void r15_results_wait_until_what_a_worker_holds_is_known(void **state)
{
    const struct wire_job_spec ones = { .chunk = 1 };
    struct world *w = restarted_with_many();

    (void)state;
    for (uint64_t i = 1; i <= 8; i++)
        worker_done(w, "w1", i, i - 1, 1, 1000);
    w->in_a_row = false;
    world_step(w);
    assert_int_equal(counters(w).adopted, 8);
    assert_int_equal(counters(w).foreign + counters(w).fenced, 0);
    assert_int_equal(counters(w).running, 0);
    client_again(w, &ones);
    assert_int_equal(counters(w).tasks_ok, 8);
    world_free(w);
}

static void r15_results_behind_holding_end_with_their_connection(void **state)
{
    const struct wire_job_spec ones = { .chunk = 1 };
    struct world *w = restarted_with_many();

    (void)state;
    for (uint64_t i = 1; i <= 8; i++)
        worker_done(w, "w1", i, i - 1, 1, 1000);
    w->in_a_row = false;
    world_lost(w, "w1");
    worker_hello_only(w, "w1", 8, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1, 2, 3, 4, 5, 6, 7, 8 }, 8);
    assert_int_equal(counters(w).running, 8);
    for (uint64_t i = 1; i <= 8; i++)
        worker_done(w, "w1", i, i - 1, 1, 1000);
    client_again(w, &ones);
    assert_int_equal(counters(w).tasks_ok, 8);
    assert_int_equal(counters(w).foreign + counters(w).fenced, 0);
    world_free(w);
}

/* It is kept for the worker's key, and has its limit like all that is; the worker sends it again. */
static void r15_what_is_behind_holding_has_a_limit(void **state)
{
    static uint8_t body[200000];
    struct wire_item it = { .id = 1, .count = 1, .kind = WIRE_OK, .flags = WIRE_FIXED, .size = sizeof(body),
        .body = slice_borrow(body, sizeof(body)) };
    struct world *w = restarted_with_many();

    (void)state;
    w->config.worker_memory = 100000;
    world_restart(w, EPOCH * 3);
    w->in_a_row = false;
    worker_hello_only(w, "w1", 8, NULL);
    w->in_a_row = true;
    worker_holding(w, "w1", (uint64_t[]){ 1, 2, 3, 4, 5, 6, 7, 8 }, 8);
    world_forget(w);
    world_send(w, "w1", &(struct wire_msg){ .type = WIRE_RESULTS, .items = &it, .n_items = 1 });
    w->in_a_row = false;
    world_step(w);
    EXPECT(w, "[ 100] > w1 CUT\n");
    world_free(w);
}

/* It is looked at in a later turn, when the frame that it came in is gone. */
static void r18_what_waits_behind_holding_refers_to_no_frame(void **state)
{
    struct wire_item said = { .id = 8, .count = 1, .first = 7, .flags = WIRE_FIXED, .size = 3, .seq = 1, .stream = 1, .tries = 1,
                              .body = slice_borrow("ab\n", 3) };
    struct wire_msg output = { .type = WIRE_OUTPUT, .items = &said, .n_items = 1, .u.output.host = WIRE_STR("there") };
    struct wire_msg stands = { .type = WIRE_WORKER_STATE, .u.worker_state.slots = 6, .body = slice_borrow("ab\n", 3) };
    struct world *w = restarted_with_many();

    (void)state;
    world_send(w, "w1", &output);
    world_send(w, "w1", &stands);
    assert_in_range(counters(w).adopted, 1, 7);
    assert_null(broker_check(w->b));
    w->in_a_row = false;
    world_step(w);
    assert_int_equal(counters(w).adopted, 8);
    assert_int_equal(counters(w).foreign + counters(w).fenced, 0);
    assert_int_equal(counters(w).slots, 6);             /* what it says of itself is heard */
    world_free(w);
}

/* A PONG says that all ATTEMPTS_CLOSE are told: a worker begins tasks again after it. */
static void r20_a_ping_behind_holding_is_answered_when_all_of_it_is_known(void **state)
{
    struct world *w = restarted_with_many();

    (void)state;
    simple(w, "w1", WIRE_PING, 1);
    worker_state(w, "w1", 8, true);
    w->in_a_row = false;
    broker_flush(w->b, w->now);
    broker_effects_done(w->b);
    assert_in_range(counters(w).adopted, 1, 7);
    w->strict = true;
    world_forget(w);
    world_step(w);
    assert_int_equal(counters(w).adopted, 8);
    assert_true(strstr(w->trace, "PONG") && strstr(w->trace, "RECALL"));    /* it is heard that it drains, too */
    world_free(w);
}

/* The processes of a client that has been away too long are to end: what a worker brings then is not adopted. */
static void r26_nothing_is_adopted_for_a_client_that_is_away(void **state)
{
    struct world *w = restarted();

    (void)state;
    client_again(w, &tens);
    client_replay(w, "c1", 1, 0, 30, 0);
    world_lost(w, "c1");
    world_after(w, TIME_CLOSED_MS + 1);
    world_forget(w);
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    assert_int_equal(counters(w).adopted, 0);
    EXPECT(w, "[5101] > w1 ATTEMPTS_CLOSE #1 why 4\n");
    assert_int_equal(counters(w).queued, 30);
    world_free(w);
}

/* The tail went back to the broker that is no more: that it did is said again, and is nothing new. */
static void adopted_without_its_tail(void **state)
{
    struct world *w = restarted();

    (void)state;
    client_again(w, &tens);
    client_replay(w, "c1", 1, 0, 30, 0);
    w->seen[0].count = 6;
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    assert_int_equal(counters(w).running, 6);
    worker_done(w, "w1", 1, 0, 6, 1000);
    worker_returns(w, "w1", 1, 6, 4);
    EXPECT(w, "[ 100] > c1 OUTCOMES s1 j1 0+6\n");
    assert_int_equal(counters(w).queued, 24);
    world_free(w);
}

/* The client has the first four results from the old broker and does not replay them; then the worker reports all ten. */
static void adopted_behind_what_is_settled(void **state)
{
    struct world *w = restarted();

    (void)state;
    client_again(w, &tens);
    client_replay(w, "c1", 1, 4, 26, 0);
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    assert_int_equal(counters(w).adopted, 1);
    assert_int_equal(counters(w).running, 6);
    assert_int_equal(counters(w).queued, 20);
    worker_done(w, "w1", 1, 0, 8, 1000);
    EXPECT(w, "[ 100] > c1 OUTCOMES s1 j1 4+4\n");
    worker_done(w, "w1", 1, 8, 2, 1000);
    EXPECT(w, "[ 100] > c1 OUTCOMES s2 j1 8+2\n");
    world_free(w);
}

/* All of it is settled: the worker is told to forget it. */
static void reported_for_nothing(void **state)
{
    struct world *w = restarted();

    (void)state;
    client_again(w, &tens);
    client_replay(w, "c1", 1, 10, 20, 0);
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    EXPECT(w, "[ 100] > w1 ATTEMPTS_CLOSE #1 why 4\n");
    world_free(w);
}

static void reported_after_the_replay(void **state)
{
    struct world *w = restarted();

    (void)state;
    client_again(w, &tens);
    client_replay(w, "c1", 1, 0, 5, 0);
    client_replay(w, "c1", 1, 5, 25, 0);
    assert_int_equal(counters(w).queued, 30);
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    assert_int_equal(counters(w).queued, 20);
    assert_int_equal(counters(w).running, 10);
    EXPECT(w, "");
    world_free(w);
}

/* All slots that the pool wants it has with another worker by then: it would wait here for ever. */
static void r15_what_a_worker_has_brought_does_not_wait_without_a_slot(void **state)
{
    struct world *w = restarted();

    (void)state;
    worker_hello(w, "w2", 2);
    client_again(w, &tens);
    client_replay(w, "c1", 1, 0, 10, 0);
    world_after(w, 100);
    w->seen[0].count = 2;
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    assert_int_equal(counters(w).running, 2);
    EXPECT(w, "[ 200] > w1 RECALL #1 j2 0+2 why 3\n");
    client_cancel(w, "c1", 1, 1, 1);
    worker_returns(w, "w1", 1, 1, 1);                   /* for the cancel: what is left is asked for again */
    EXPECT(w, "[ 200] > w1 RECALL #1 j2 1+1 why 1\n"
              "[ 200] > w1 RECALL #1 j2 0+1 why 3\n"
              "[ 200] > c1 OUTCOMES s1 j1 1+1 cancelled\n");
    worker_returns(w, "w1", 1, 0, 1);
    EXPECT(w, "[ 200] > w1 ATTEMPTS_CLOSE #1 why 5\n"
              "[ 200] > w2 CHUNKS #1000 j2 0+1\n");
    world_free(w);
}

static void reported_too_late(void **state)
{
    struct world *w = restarted();

    (void)state;
    worker_hello(w, "w2", 1);
    client_again(w, &tens);
    client_replay(w, "c1", 1, 0, 30, 0);
    for (int i = 0; i < 9; i++) {
        world_after(w, 1000);
        simple(w, "w2", WIRE_PING, 1);
    }
    world_forget(w);
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    EXPECT(w, "[9100] > w1 ATTEMPTS_CLOSE #1 why 4\n"
              "[9100] > w1 CHUNKS #1001 j2 10+10\n");     /* handed out again already */
    assert_int_equal(counters(w).adopted, 0);
    world_free(w);
}

/* The broker did not run for three seconds of its hold: workers could not report meanwhile, so the hold is as much longer, for what
 * was replayed before and for what is replayed behind it. */
static void a_stall_of_the_broker_lengthens_the_hold(void **state)
{
    struct world *w = restarted();
    uint64_t from;

    (void)state;
    client_again(w, &tens);
    client_replay(w, "c1", 1, 0, 10, 0);
    world_after(w, TIME_HOLD_MS - 1000);
    from = w->now;
    w->now += 3000 * CLOCK_MS;
    broker_stalled(w->b, from, w->now);
    worker_hello(w, "w2", 1);
    client_replay(w, "c1", 1, 10, 20, 0);
    world_after(w, 998);
    assert_int_equal(counters(w).running, 0);
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    assert_int_equal(counters(w).adopted, 1);
    assert_int_equal(counters(w).running, 10);
    world_after(w, 3);
    assert_int_equal(counters(w).running, 20);      /* w2 has the next ten */
    world_free(w);
}

/* Told before it goes out again; the limit of three lost workers holds over a restart of the broker. */
static void r05_counts_are_told_before_the_rerun_and_hold_over_a_restart(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, &tens);
    client_tasks(w, "c1", 1, 0, 10, 100);
    worker_hello(w, "w2", 1);
    simple(w, "w1", WIRE_BYE, 0);
    EXPECT(w, "[   0] > w1 CHUNKS #1 j2 0+10\n"
              "[   0] > w1 CUT\n"
              "[   0] > c1 TRIES j1 0+10 tries 1,0\n"
              "[   0] > w2 CHUNKS #2 j2 0+10 tries 1,0\n");
    world_lost(w, "c1");
    client_hello(w, "c1");
    client_pool(w, "c1", 1, 1);
    world_forget(w);
    client_job(w, "c1", 1, 1, &tens);           /* it may not have got that: once more */
    EXPECT(w, "[   0] > c1 TRIES j1 0+10 tries 1,0\n");
    simple(w, "w2", WIRE_BYE, 0);
    world_forget(w);
    worker_hello(w, "w3", 1);
    EXPECT(w, "[   0] > c1 TRIES j1 0+10 tries 2,0\n"
              "[   0] > w3 CHUNKS #3 j2 0+10 tries 2,0\n");
    world_restart(w, EPOCH * 2);
    world_peer(w, "c1")->acked = 0;
    client_start(w, "c1", 1, &tens);
    client_returns(w, "c1", 1, 0, 10, 2);
    world_after(w, TIME_HOLD_MS + 1);           /* w3 has died with the broker */
    worker_hello(w, "w4", 1);
    world_forget(w);
    simple(w, "w4", WIRE_BYE, 0);
    EXPECT(w, "[8001] > w4 CUT\n"
              "[8001] > c1 OUTCOMES s1 j1 0+10 lost\n");   /* the third */
    world_free(w);
}

/* The worker knows of a try that the client was not told of. */
static void r05_what_a_worker_reports_counts_as_well(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, &tens);
    client_tasks(w, "c1", 1, 0, 10, 100);
    worker_hello(w, "w2", 1);
    simple(w, "w1", WIRE_BYE, 0);
    assert_int_equal(w->n_seen, 2);
    w->seen[1].tries = 1;
    world_restart(w, EPOCH * 2);
    worker_hello_only(w, "w2", 1, NULL);
    worker_holding(w, "w2", (uint64_t[]){ 2 }, 1);
    world_peer(w, "c1")->acked = 0;
    client_start(w, "c1", 1, &tens);
    client_returns(w, "c1", 1, 0, 10, 0);
    worker_hello(w, "w3", 1);
    world_forget(w);
    simple(w, "w2", WIRE_BYE, 0);
    EXPECT(w, "[   0] > w2 CUT\n"
              "[   0] > c1 TRIES j1 0+10 tries 2,0\n"
              "[   0] > w3 CHUNKS #1000 j1 0+10 tries 2,0\n");
    world_free(w);
}

/* So often as `retries` says, whoever has to remember it: the client is told before the rerun, and the worker brings it. */
static void r05_failures_are_told_before_the_rerun_and_hold_over_a_restart(void **state)
{
    const struct wire_job_spec two = { .chunk = 1, .retries = 2 };
    struct world *w = world_new(NULL);

    (void)state;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, &two);
    client_tasks(w, "c1", 1, 0, 1, 100);
    worker_failed(w, "w1", 1, 0, BFORK_FAILED);
    EXPECT(w, "[   0] > w1 CHUNKS #1 j2 0+1\n"
              "[   0] > c1 TRIES j1 0+1 tries 0,1\n"
              "[   0] > w1 ATTEMPTS_CLOSE #1 why 5\n"
              "[   0] > w1 CHUNKS #2 j2 0+1 tries 0,1\n");
    w->seen[1].crashes = 1;
    world_restart(w, EPOCH * 2);
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 2 }, 1);
    world_peer(w, "c1")->acked = 0;
    client_start(w, "c1", 1, &two);
    client_returns(w, "c1", 1, 0, 1, 0);            /* that it was told is lost */
    world_forget(w);
    worker_failed(w, "w1", 2, 0, BFORK_FAILED);
    EXPECT(w, "[   0] > c1 TRIES j1 0+1 tries 0,2\n"
              "[   0] > w1 ATTEMPTS_CLOSE #2 why 5\n"
              "[   0] > w1 CHUNKS #1000 j1 0+1 tries 0,2\n");
    worker_failed(w, "w1", w->seen[w->n_seen - 1].id, 0, BFORK_FAILED);
    EXPECT(w, "[   0] > c1 OUTCOMES s1 j1 0+1 failed\n");      /* of the third run */
    world_free(w);
}

/* A worker has brought tasks and is lost before their client has sent all of them again: the try counts for those as well. */
static void r05_what_is_lost_before_its_replay_keeps_its_tries(void **state)
{
    struct world *w = restarted();

    (void)state;
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    client_again(w, &tens);
    client_returns(w, "c1", 1, 0, 4, 0);
    simple(w, "w1", WIRE_BYE, 0);
    client_returns(w, "c1", 1, 4, 6, 0);
    world_after(w, TIME_HOLD_MS + 1);
    world_forget(w);
    worker_hello(w, "w2", 3);
    EXPECT(w, "[8101] > c1 TRIES j1 0+4 tries 1,0 j1 4+6 tries 1,0\n"
              "[8101] > w2 CHUNKS #1000 j1 0+4 tries 1,0 #1001 j1 4+6 tries 1,0\n");
    world_free(w);
}

/* Twice, over two restarts, of which its client has seen one: the third loss is the last. */
static void r05_lost_tries_add_up_to_the_limit(void **state)
{
    struct world *w = restarted();

    (void)state;
    w->seen[0].tries = 1;
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    simple(w, "w1", WIRE_BYE, 0);
    client_again(w, &tens);
    client_returns(w, "c1", 1, 0, 10, 0);
    world_after(w, TIME_HOLD_MS + 1);
    worker_hello(w, "w2", 1);
    world_forget(w);
    simple(w, "w2", WIRE_BYE, 0);
    EXPECT(w, "[8101] > w2 CUT\n"
              "[8101] > c1 OUTCOMES s1 j1 0+10 lost\n");
    world_free(w);
}

/* What a worker gives back before its client is here costs no try and forgets none; another that brings a part of what was lost
 * takes the counts over. */
static void r05_what_is_brought_again_before_its_replay_keeps_its_tries(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 2, &tens);
    client_tasks(w, "c1", 1, 0, 10, 100);
    worker_hello(w, "w2", 1);
    worker_returns(w, "w1", 1, 6, 4);
    EXPECT(w, "[   0] > w1 CHUNKS #1 j2 0+10\n"
              "[   0] > w1 RECALL #1 j2 5+5 why 3\n"
              "[   0] > w2 CHUNKS #2 j2 6+4\n");
    w->seen[0].tries = w->seen[0].crashes = 1;
    world_restart(w, EPOCH * 2);
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);      /* that it gave something back is said once more */
    worker_returns(w, "w1", 1, 6, 4);
    worker_returns(w, "w1", 1, 4, 2);
    worker_hello_only(w, "w2", 1, NULL);
    worker_holding(w, "w2", (uint64_t[]){ 2 }, 1);
    assert_int_equal(counters(w).adopted, 2);
    simple(w, "w2", WIRE_BYE, 0);
    client_again(w, &tens);
    client_returns(w, "c1", 1, 0, 10, 0);
    world_after(w, 100);
    worker_done(w, "w1", 1, 0, 4, 1000);
    client_ack(w, "c1", 1, 1);
    simple(w, "w1", WIRE_BYE, 0);
    world_after(w, TIME_HOLD_MS);
    world_forget(w);
    worker_hello(w, "w3", 3);
    EXPECT(w, "[8100] > c1 TRIES j1 4+2 tries 1,1 j1 6+4 tries 2,1\n"
              "[8100] > w3 CHUNKS #1000 j1 4+2 tries 1,1 #1001 j1 6+4 tries 2,1\n");
    world_free(w);
}

/* The middle of what was lost: the counts on both sides stay. */
static void r05_counts_around_what_is_brought_again_are_kept(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 2, &tens);
    client_tasks(w, "c1", 1, 0, 10, 100);
    worker_hello(w, "w2", 1);
    worker_returns(w, "w1", 1, 5, 5);
    worker_returns(w, "w2", 2, 8, 2);
    w->seen[1].count = 3;                           /* of 5 to 9, and the end goes back to the first one */
    world_restart(w, EPOCH * 2);
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);  /* that it gave something back is still to be said */
    simple(w, "w1", WIRE_BYE, 0);
    worker_hello_only(w, "w2", 1, NULL);
    worker_holding(w, "w2", (uint64_t[]){ 2 }, 1);
    assert_int_equal(counters(w).adopted, 2);
    simple(w, "w2", WIRE_BYE, 0);
    world_peer(w, "c1")->acked = 0;
    client_start(w, "c1", 3, &tens);
    client_returns(w, "c1", 1, 0, 10, 0);
    world_after(w, TIME_HOLD_MS);
    world_forget(w);
    worker_hello(w, "w3", 3);
    EXPECT(w, "[8000] > c1 TRIES j1 0+5 tries 1,0 j1 5+3 tries 2,0 j1 8+2 tries 1,0\n"
              "[8000] > w3 CHUNKS #1000 j1 0+5 tries 1,0 #1001 j1 5+3 tries 2,0 #1002 j1 8+2 tries 1,0\n");
    world_free(w);
}

/* Tasks beside each other, of which some have crashed: each keeps its own counts, and what nobody has brought has none. */
static void r05_counts_of_neighbours_stay_apart(void **state)
{
    const struct wire_job_spec fives = { .chunk = 5 };
    struct world *w = world_new(NULL);

    (void)state;
    worker_hello(w, "w1", 1);
    worker_hello(w, "w2", 1);
    worker_hello(w, "w3", 1);
    client_start(w, "c1", 3, &fives);
    client_tasks(w, "c1", 1, 0, 15, 100);
    assert_int_equal(w->n_seen, 3);
    w->seen[2].crashes = 1;
    world_restart(w, EPOCH * 2);
    for (uint64_t k = 3; k >= 2; k--) {             /* the last ten; who has the first five never comes */
        const char *name = k == 3 ? "w3" : "w2";
        worker_hello_only(w, name, 1, NULL);
        worker_holding(w, name, (uint64_t[]){ k }, 1);
        simple(w, name, WIRE_BYE, 0);
    }
    assert_int_equal(counters(w).adopted, 2);
    world_peer(w, "c1")->acked = 0;
    client_start(w, "c1", 4, &fives);
    client_returns(w, "c1", 1, 0, 7, 0);
    client_returns(w, "c1", 1, 7, 8, 0);
    world_after(w, TIME_HOLD_MS);
    world_forget(w);
    worker_hello(w, "w4", 4);
    EXPECT(w, "[8000] > c1 TRIES j1 5+5 tries 1,0 j1 10+5 tries 1,1\n"
              "[8000] > w4 CHUNKS #1000 j1 0+5 #1001 j1 5+5 tries 1,0 #1002 j1 10+5 tries 1,1\n");
    world_free(w);
}

static void forged(void **state)
{
    struct world *w = restarted();

    (void)state;
    w->seen[0].ticket[3] ^= 1;
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    EXPECT(w, "[ 100] > w1 ATTEMPTS_CLOSE #1 why 4\n");
    w->seen[0].ticket[3] ^= 1;
    worker_hello_only(w, "w2", 1, NULL);        /* the ticket is another worker's */
    worker_holding(w, "w2", (uint64_t[]){ 1 }, 1);
    EXPECT(w, "[ 100] > w2 ATTEMPTS_CLOSE #1 why 4\n");
    assert_int_equal(counters(w).adopted, 0);
    assert_int_equal(counters(w).running, 0);
    world_free(w);
}

static void finished_before_the_client_is_back(void **state)
{
    struct world *w = restarted();

    (void)state;
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    worker_done(w, "w1", 1, 0, 10, 1000);
    world_forget(w);
    client_again(w, &tens);
    client_replay(w, "c1", 1, 0, 30, 0);
    EXPECT(w, "[ 100] > c1 OUTCOMES s1 j1 0+10\n");
    assert_int_equal(counters(w).queued, 20);
    client_ack(w, "c1", 1, 1);
    EXPECT(w, "[ 100] > w1 ATTEMPTS_CLOSE #1 why 5\n");
    world_free(w);
}

static void client_never_back(void **state)
{
    struct world *w = restarted();

    (void)state;
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    for (int i = 0; i < 61; i++) {
        world_after(w, 1000);
        simple(w, "w1", WIRE_PING, 1);
        if (i < 59)
            world_forget(w);
    }
    EXPECT(w, "[60100] > w1 ATTEMPTS_CLOSE #1 why 6\n"
              "[60100] > w1 PONG 1\n"
              "[61100] > w1 PONG 1\n");
    assert_int_equal(counters(w).running, 0);
    assert_true(broker_idle(w->b));
    world_free(w);
}

/* The broker did not run for forty of the sixty seconds that a client has to come back: it has as many more. */
static void a_stall_of_the_broker_is_not_the_clients_absence(void **state)
{
    struct world *w = restarted();
    uint64_t from;

    (void)state;
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    from = w->now;
    w->now += 40000 * CLOCK_MS;
    broker_stalled(w->b, from, w->now);
    for (int i = 0; i < 59; i++) {
        world_after(w, 1000);
        simple(w, "w1", WIRE_PING, 1);
        assert_int_equal(counters(w).running, 10);
    }
    world_after(w, 2000);
    assert_int_equal(counters(w).running, 0);
    world_free(w);
}

static char unknown_text[256];
static unsigned unknown_items;

static void on_unknown(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    struct wire_outcome o;
    struct err e;

    (void)w;
    (void)p;
    for (uint32_t i = 0; i < m->n_items && m->type == WIRE_OUTCOMES; i++) {
        assert_int_equal(m->items[i].kind, WIRE_OUTCOME);
        assert_int_equal(wire_outcome_decode(m->items[i].body.data, m->items[i].body.size, &o, &e), 0);
        assert_int_equal(o.kind, BFORK_UNKNOWN);
        snprintf(unknown_text, sizeof(unknown_text), "%.*s", (int)o.message.n, o.message.p);
        unknown_items++;
    }
}

/* No worker was lost, so that is not said. */
static void r18_what_nobody_reports_is_unknown_and_says_why(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    unknown_items = 0;
    w->hook = on_unknown;
    world_after(w, 100);
    world_restart(w, EPOCH * 2);
    worker_hello(w, "w1", 1);
    client_again(w, &once);
    client_replay(w, "c1", 1, 0, 10, WIRE_MAYBE_STARTED);
    client_replay(w, "c1", 1, 10, 5, 0);
    EXPECT(w, "");
    world_after(w, 4000);
    simple(w, "w1", WIRE_PING, 1);
    world_after(w, 3900);
    simple(w, "w1", WIRE_PING, 1);
    world_forget(w);
    world_after(w, 200);
    EXPECT(w, "[8100] > c1 ASSIGNED #1000 j1 10+5\n"
              "[8100] > c1 OUTCOMES s1 j1 0+10 unknown\n"); /* nobody reported the first ten: unknown, never again; the others were
                                                               not begun */
    assert_int_equal(unknown_items, 1);
    assert_non_null(strstr(unknown_text, "not known whether the task has run"));
    assert_non_null(strstr(unknown_text, "broker was started anew"));
    assert_null(strstr(unknown_text, "was lost"));
    world_free(w);
}

/* A worker comes back behind the hold, when the client was told that its tasks are cancelled, and has closed the job. */
static void r15_what_was_cancelled_does_not_begin_when_its_job_has_ended(void **state)
{
    struct world *w = restarted();

    (void)state;
    client_again(w, &tens);
    client_replay(w, "c1", 1, 0, 30, 0);
    client_cancel(w, "c1", 1, 0, 30);
    world_after(w, 8100);
    assert_int_equal(counters(w).queued + counters(w).running, 0);
    client_ack(w, "c1", 1, 1);
    simple(w, "c1", WIRE_JOB_CLOSE, 1);
    world_forget(w);
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    assert_int_equal(counters(w).adopted, 0);
    EXPECT(w, "[8200] > w1 ATTEMPTS_CLOSE #1 why 4\n");
    world_free(w);
}

/* As above, and the program has ended as well, as programs do: nothing of its key is left in the broker. */
static void r15_what_was_cancelled_does_not_begin_when_its_program_has_ended(void **state)
{
    struct world *w = restarted();

    (void)state;
    client_again(w, &tens);
    client_replay(w, "c1", 1, 0, 30, 0);
    client_cancel(w, "c1", 1, 0, 30);
    world_after(w, 8100);
    client_ack(w, "c1", 1, 1);
    simple(w, "c1", WIRE_JOB_CLOSE, 1);
    simple(w, "c1", WIRE_BYE, 0);
    world_forget(w);
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    assert_int_equal(counters(w).adopted, 0);
    EXPECT(w, "[8200] > w1 ATTEMPTS_CLOSE #1 why 4\n");
    world_free(w);
}

/* Job 1 of c1 ends, of which w1 has tasks that it has not brought yet. */
static struct world *ended_unbrought(void)
{
    struct world *w = restarted();

    w->quiet = true;
    client_again(w, &tens);
    client_replay(w, "c1", 1, 0, 30, 0);
    client_cancel(w, "c1", 1, 0, 30);
    world_after(w, 8100);
    client_ack(w, "c1", 1, 1);
    simple(w, "c1", WIRE_JOB_CLOSE, 1);
    world_peer(w, "c1")->acked = 0;                 /* that was job 1's */
    return w;
}

static void job_ends(struct world *w, const char *name, uint32_t job)
{
    client_job(w, name, job, 1, NULL);
    simple(w, name, WIRE_JOB_CLOSE, job);
}

/* Programs of other keys end a job each, until there were so many. */
static void others_end(struct world *w, uint32_t *k, uint32_t end)
{
    struct world_peer *p = world_peer(w, "cx");

    for (; *k < end; ++*k) {
        p->key[2] = (uint8_t)*k;
        p->key[3] = (uint8_t)(*k >> 8);
        client_start(w, "cx", 1, NULL);
        simple(w, "cx", WIRE_JOB_CLOSE, 1);
        simple(w, "cx", WIRE_BYE, 0);
    }
}

static void nothing_is_adopted(struct world *w)
{
    assert_int_not_equal(world_peer(w, "c1")->id, 0);
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    assert_int_equal(counters(w).adopted, 0);
    world_free(w);
}

/* 256 keys are remembered: those of which a job has ended last. */
static void r15_jobs_that_ended_are_remembered_of_the_keys_that_were_here_last(void **state)
{
    struct world *w = ended_unbrought();
    uint32_t k = 0;

    (void)state;
    others_end(w, &k, 150);
    job_ends(w, "c1", 2);
    others_end(w, &k, 350);
    job_ends(w, "c1", 3);
    others_end(w, &k, 351);
    k = 0;
    others_end(w, &k, 9);                           /* that were forgotten */
    nothing_is_adopted(w);
}

static void r15_the_last_64_jobs_of_a_key_are_remembered(void **state)
{
    struct world *w = ended_unbrought();

    (void)state;
    for (uint32_t job = 2; job <= 64; job++)
        job_ends(w, "c1", job);
    nothing_is_adopted(w);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
    const struct CMUnitTest tests[] = { T(adopted), T(r15_tasks_beside_those_that_a_worker_has_brought_end_no_job),
                                        T(r18_adopted_after_a_cut_behind_welcome),
                                        T(r26_nothing_is_adopted_for_a_client_that_is_away),
                                        T(adopted_behind_what_is_settled),
                                        T(reported_for_nothing),
                                        T(r05_counts_are_told_before_the_rerun_and_hold_over_a_restart),
                                        T(r05_what_a_worker_reports_counts_as_well),
                                        T(r05_failures_are_told_before_the_rerun_and_hold_over_a_restart),
                                        T(r05_what_is_lost_before_its_replay_keeps_its_tries),
                                        T(r05_lost_tries_add_up_to_the_limit),
                                        T(r05_what_is_brought_again_before_its_replay_keeps_its_tries),
                                        T(r05_counts_of_neighbours_stay_apart),
                                        T(r05_counts_around_what_is_brought_again_are_kept),
                                        T(a_stall_of_the_broker_lengthens_the_hold),
                                        T(adopted_without_its_tail),
                                        T(reported_after_the_replay),
                                        T(r15_what_a_worker_has_brought_does_not_wait_without_a_slot),
        T(r15_results_wait_until_what_a_worker_holds_is_known), T(r15_results_behind_holding_end_with_their_connection),
        T(r15_what_is_behind_holding_has_a_limit),
        T(r18_what_waits_behind_holding_refers_to_no_frame),
        T(r20_a_ping_behind_holding_is_answered_when_all_of_it_is_known),
        T(r15_what_was_cancelled_does_not_begin_when_its_job_has_ended),
        T(r15_what_was_cancelled_does_not_begin_when_its_program_has_ended),
        T(r15_jobs_that_ended_are_remembered_of_the_keys_that_were_here_last), T(r15_the_last_64_jobs_of_a_key_are_remembered),
        T(reported_too_late),
                                        T(forged),
                                        T(finished_before_the_client_is_back),
                                        T(client_never_back), T(a_stall_of_the_broker_is_not_the_clients_absence),
                                        T(r18_what_nobody_reports_is_unknown_and_says_why) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
