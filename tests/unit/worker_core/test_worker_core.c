/* SPDX-License-Identifier: MPL-2.0
 * test_worker_core.c - scenarios of the worker's core as text traces. "> X" goes to the broker, "p1 push 0..3" into a process's
 * ring.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>

static struct world world;

/* Online, one pool of `slots`, job 1 in it, all processes ready, trace empty. */
static struct world *up(uint32_t slots)
{
    struct world *x = &world;

    world_init(x, 8);
    online(x, 99);
    x->auto_ready = true;
    grant(x, 1, slots, "prog", 0);
    open_job(x, 1, 1, 1, 0, 0);
    x->auto_ready = false;
    clear(x);
    return x;
}

static void a_task_goes_through(void **state)
{
    struct world *x = &world;

    (void)state;
    world_init(x, 8);
    worker_connected(x->w, x->now);
    turn(x);
    welcome(x, 99, false);
    EXPECT(x, "> HELLO conn 1\n> HOLDING last\n");
    grant(x, 1, 1, "prog", 0);
    open_job(x, 1, 1, 1, 0, 0);
    chunk(x, 10, 1, 0, 1);
    EXPECT(x, "lane 1 start\n");
    lane_ready(x, 1);
    ready(x, 1);
    EXPECT(x, "p1 start\np1 job 0\np1 push 0..0\n");
    ran(x, 1, 1, 1000);
    turn(x);
    EXPECT(x, "> RESULTS [10 0..0 ok]\n");
    close_attempt(x, 10, WIRE_WHY_DONE);
    turn(x);
    EXPECT(x, "");
    struct worker_counters c;

    worker_counters(x->w, &c);
    assert_int_equal(c.chunks, 0);
    assert_int_equal(c.held_bytes, 0);
    assert_int_equal(c.tasks_ok, 1);
    world_done(x);
}

static void unknown_tasks_go_to_idle_processes_only(void **state)
{
    struct world *x = up(2);

    (void)state;
    for (int k = 0; k < 4; k++)
        chunk(x, 11 + (uint64_t)k, 1, (uint64_t)k, 1);
    turn(x);
    EXPECT(x, "p2 job 0\np2 push 0..0\np1 job 0\np1 push 1..1\n");
    ran(x, 2, 1, 10 * CLOCK_MS);        /* long: still one at a time */
    turn(x);
    EXPECT(x, "p2 push 2..2\n> RESULTS [11 0..0 ok]\n");
    ran(x, 1, 1, 10 * CLOCK_MS);
    turn(x);
    EXPECT(x, "p1 push 3..3\n> RESULTS [12 1..1 ok]\n");
    world_done(x);
}

static void short_tasks_fill_rings_evenly(void **state)
{
    struct world *x = up(2);

    (void)state;
    chunk(x, 11, 1, 0, 1);
    turn(x);
    ran(x, 2, 1, 1000);
    turn(x);
    EXPECT(x, "p2 job 0\np2 push 0..0\n> RESULTS [11 0..0 ok]\n");
    for (int k = 1; k < 7; k++)
        chunk(x, 11 + (uint64_t)k, 1, (uint64_t)k, 1);
    turn(x);
    EXPECT(x, "p2 push 1..1\np1 job 0\np1 push 2..2\np2 push 3..3\np1 push 4..4\np2 push 5..5\np1 push 6..6\n");
    ran(x, 2, 3, 1000);                 /* one report over three attempts */
    turn(x);
    EXPECT(x, "> RESULTS [12 1..1 ok] [14 3..3 ok] [16 5..5 ok]\n");
    world_done(x);
}

static void what_waits_behind_a_long_task_moves_to_an_idle_process(void **state)
{
    struct world *x = up(2);

    (void)state;
    chunk(x, 11, 1, 0, 1);
    turn(x);
    ran(x, 2, 1, 1000);
    for (int k = 1; k < 5; k++)
        chunk(x, 11 + (uint64_t)k, 1, (uint64_t)k, 1);
    turn(x);
    ran(x, 1, 2, 1000);
    turn(x);
    clear(x);
    assert_true(worker_deadline(x->w) < x->now + CLOCK_MS);     /* somebody is idle, so it wants to look again soon */
    advance(x, 1);
    EXPECT(x, "p2 gives back 1\np1 push 3..3\n");
    world_done(x);
}

static void a_crash_costs_one_task_and_keeps_what_was_done(void **state)
{
    struct world *x = up(1);

    (void)state;
    chunk(x, 10, 1, 0, 5);
    turn(x);
    ran(x, 1, 2, 1000);
    died(x, 1, BFORK_CRASHED, true);
    turn(x);
    EXPECT(x, "p1 job 0\np1 push 0..4\np2 start\n> RESULTS [10 0..1 ok] [10 2..2 outcome -2 try 1]\n");
    ready(x, 2);
    EXPECT(x, "p2 job 0\np2 push 3..4\n");
    ran(x, 2, 2, 1000);
    turn(x);
    EXPECT(x, "> RESULTS [10 3..4 ok]\n");
    world_done(x);
}

static void three_failing_starts_fail_the_pool(void **state)
{
    struct world *x = &world;

    (void)state;
    world_init(x, 8);
    online(x, 99);
    grant(x, 1, 1, "prog", 0);
    open_job(x, 1, 1, 1, 0, 0);
    chunk(x, 10, 1, 0, 4);
    lane_ready(x, 1);
    for (worker_proc p = 1; p <= 3; p++) {
        died(x, p, BFORK_EXITED, false);
        turn(x);
    }
    EXPECT(x, "lane 1 start\np1 start\np2 start\np3 start\nlane 1 stop\n"
              "> POOL_FAILED pool 1 initializer: 3 task processes ended one after the other before their first task: gone\n"
              "> RESULTS [10 0..3 returned]\n");
    chunk(x, 12, 1, 4, 1);
    turn(x);
    EXPECT(x, "> RESULTS [12 4..4 returned]\n");
    world_done(x);
}

static void a_template_that_fails_returns_its_chunks(void **state)
{
    struct world *x = &world;

    (void)state;
    world_init(x, 8);
    online(x, 99);
    grant(x, 1, 1, "prog", 0);
    open_job(x, 1, 1, 1, 0, 0);
    chunk(x, 10, 1, 0, 4);
    worker_lane_failed(x->w, x->now, 1, BFORK_REFUSED, "load", "libx.so.1 is missing");
    turn(x);
    EXPECT(x, "lane 1 start\nlane 1 stop\n> POOL_FAILED pool 1 load: libx.so.1 is missing\n> RESULTS [10 0..3 returned]\n");
    world_done(x);
}

static void recall_returns_what_has_not_begun(void **state)
{
    struct world *x = up(1);

    (void)state;
    chunk(x, 10, 1, 0, 6);
    turn(x);
    recall(x, 10, 3, 3, WIRE_WHY_BALANCE);
    turn(x);
    EXPECT(x, "p1 job 0\np1 push 0..5\np1 gives back 3\n> RESULTS [10 3..5 returned]\n");
    recall(x, 10, 0, 6, WIRE_WHY_BALANCE);      /* task 0 runs */
    turn(x);
    EXPECT(x, "p1 gives back 2\n> RESULTS [10 1..2 returned]\n");
    ran(x, 1, 1, 1000);
    turn(x);
    EXPECT(x, "> RESULTS [10 0..0 ok]\n");
    close_attempt(x, 10, WIRE_WHY_DONE);
    world_done(x);
}

static void recall_of_the_middle_of_a_ring_keeps_the_work_behind_it(void **state)
{
    struct world *x = up(1);

    (void)state;
    chunk(x, 11, 1, 0, 1);
    turn(x);
    ran(x, 1, 1, 1000);
    chunk(x, 13, 1, 1, 2);
    chunk(x, 15, 1, 3, 2);
    turn(x);
    clear(x);
    recall(x, 13, 2, 1, WIRE_WHY_DRAIN);
    turn(x);
    EXPECT(x, "p1 gives back 3\np1 push 3..4\n> RESULTS [13 2..2 returned]\n");
    world_done(x);
}

static void cancel_kills_what_runs_of_it(void **state)
{
    struct world *x = up(1);

    (void)state;
    chunk(x, 10, 1, 0, 3);
    turn(x);
    recall(x, 10, 0, 3, WIRE_WHY_CANCEL);
    turn(x);
    EXPECT(x, "p1 job 0\np1 push 0..2\np1 gives back 2\np1 kill: cancelled\np2 start\n> RESULTS [10 1..2 returned]\n");
    died(x, 1, BFORK_CANCELLED, true);
    turn(x);
    EXPECT(x, "> RESULTS [10 0..0 outcome -6 try 1]\n");
    world_done(x);
}

static void cancel_of_later_tasks_lets_the_running_one_finish(void **state)
{
    struct world *x = up(1);

    (void)state;
    chunk(x, 10, 1, 0, 3);
    turn(x);
    recall(x, 10, 1, 2, WIRE_WHY_CANCEL);
    turn(x);
    EXPECT(x, "p1 job 0\np1 push 0..2\np1 gives back 2\n> RESULTS [10 1..2 returned]\n");
    world_done(x);
}

static void a_claimed_neighbour_of_a_cancelled_task_runs_again(void **state)
{
    struct world *x = up(1);

    (void)state;
    chunk(x, 11, 1, 0, 1);
    turn(x);
    ran(x, 1, 1, 1000);
    chunk(x, 13, 1, 1, 1);
    chunk(x, 15, 1, 2, 1);
    turn(x);
    x->procs[1].begun = 2;              /* the process has claimed both */
    clear(x);
    recall(x, 13, 1, 1, WIRE_WHY_CANCEL);
    turn(x);
    EXPECT(x, "p1 kill: cancelled\np2 start\n");
    ran(x, 1, 1, 1000);                 /* it had finished meanwhile, and the innocent one was running */
    died(x, 1, BFORK_CANCELLED, true);
    ready(x, 2);
    EXPECT(x, "p2 job 0\np2 push 2..2\n> RESULTS [13 1..1 ok]\n");
    world_done(x);
}

static void a_fenced_attempt_is_killed_and_never_reported(void **state)
{
    struct world *x = up(1);

    (void)state;
    chunk(x, 10, 1, 0, 2);
    turn(x);
    close_attempt(x, 10, WIRE_WHY_FENCED);
    turn(x);
    EXPECT(x, "p1 job 0\np1 push 0..1\np1 gives back 1\np1 kill: its attempt is closed\np2 start\n");
    died(x, 1, BFORK_CANCELLED, true);
    turn(x);
    EXPECT(x, "");
    world_done(x);
}

static void results_are_sent_again_after_a_reconnect_until_closed(void **state)
{
    struct world *x = up(1);

    (void)state;
    chunk(x, 10, 1, 0, 3);
    turn(x);
    ran(x, 1, 1, 1000);
    turn(x);
    EXPECT(x, "p1 job 0\np1 push 0..2\n> RESULTS [10 0..0 ok]\n");
    worker_disconnected(x->w, x->now, "cut");
    ran(x, 1, 1, 1000);
    turn(x);
    EXPECT(x, "");
    worker_connected(x->w, x->now);
    turn(x);
    welcome(x, 99, true);
    EXPECT(x, "> HELLO conn 2\n> HOLDING last [10 0..2]\n> RESULTS [10 0..0 ok] [10 1..1 ok]\n");
    ran(x, 1, 1, 1000);
    turn(x);
    EXPECT(x, "> RESULTS [10 2..2 ok]\n");
    close_attempt(x, 10, WIRE_WHY_DONE);
    worker_disconnected(x->w, x->now, "cut");
    worker_connected(x->w, x->now);
    welcome(x, 99, true);
    EXPECT(x, "> HELLO conn 3\n> HOLDING last\n");
    world_done(x);
}

static void a_restarted_broker_finds_lanes_and_jobs_again(void **state)
{
    struct world *x = up(1);

    (void)state;
    chunk(x, 10, 1, 0, 2);
    turn(x);
    worker_disconnected(x->w, x->now, "cut");
    worker_connected(x->w, x->now);
    welcome(x, 100, false);
    EXPECT(x, "p1 job 0\np1 push 0..1\n> HELLO conn 2\n> HOLDING last [10 0..1]\n");
    grant(x, 7, 1, "prog", 0);          /* no new template */
    open_job(x, 8, 7, 1, 0, 0);
    ran(x, 1, 2, 1000);
    turn(x);
    EXPECT(x, "> RESULTS [10 0..1 ok]\n");
    chunk(x, 500, 8, 2, 1);             /* nor is the job described again */
    turn(x);
    EXPECT(x, "p1 push 2..2\n");
    world_done(x);
}

static void the_window_of_the_broker_is_kept(void **state)
{
    struct world *x = &world;
    static uint8_t big[200000];
    struct worker_config c = { .slots = 1, .window_bytes = 300000 };
    struct wire_item i = { .count = 1, .flags = WIRE_FIXED, .size = sizeof(big), .sum_ns = 1000 };

    (void)state;
    x = up(1);
    (void)c;
    chunk(x, 11, 1, 0, 60);
    turn(x);
    clear(x);
    i.body = slice_borrow(big, sizeof(big));
    for (int k = 0; k < 60; k++) {
        x->procs[1].n--;
        worker_proc_results(x->w, x->now, 1, &i);
    }
    x->quiet = true;
    for (int k = 0; k < 60; k++)
        turn(x);
    struct wire_msg m = { .type = WIRE_PONG, .ack = 8u << 20 };

    x->quiet = false;
    turn(x);
    EXPECT(x, "");                      /* 8 MiB are on the way: 41 results */
    m.ack = 41 * sizeof(big);
    message(x, &m);
    turn(x);
    assert_non_null(strstr(x->trace, "> RESULTS [11 41..41 ok]"));
    world_done(x);
}

static void fewer_slots_feed_fewer_processes(void **state)
{
    struct world *x = up(2);

    (void)state;
    chunk(x, 10, 1, 0, 3);
    chunk(x, 12, 1, 3, 3);
    turn(x);
    EXPECT(x, "p2 job 0\np2 push 0..2\np1 job 0\np1 push 3..5\n");
    grant(x, 1, 1, "prog", 0);
    EXPECT(x, "p1 gives back 2\n");
    ran(x, 1, 1, 1000);
    turn(x);
    EXPECT(x, "> RESULTS [12 3..3 ok]\n");
    ran(x, 2, 3, 1000);
    turn(x);
    EXPECT(x, "p2 push 4..5\n> RESULTS [10 0..2 ok]\n");
    world_done(x);
}

static void processes_are_renewed_after_max_tasks(void **state)
{
    struct world *x = &world;

    (void)state;
    world_init(x, 1);
    online(x, 99);
    x->auto_ready = true;
    grant(x, 1, 1, "prog", 2);
    open_job(x, 1, 1, 1, 0, 0);
    chunk(x, 10, 1, 0, 3);
    turn(x);
    EXPECT(x, "lane 1 start\np1 start\np1 job 0\np1 push 0..1\np1 stop\n");
    ran(x, 1, 2, 1000);
    turn(x);
    EXPECT(x, "> RESULTS [10 0..1 ok]\n");      /* one slot: the next one starts when this one has ended */
    died(x, 1, 0, false);
    turn(x);
    EXPECT(x, "p2 start\np2 job 0\np2 push 2..2\n");
    world_done(x);
}

static void a_run_limit_is_set_before_the_first_push(void **state)
{
    struct world *x = up(1);

    (void)state;
    open_job(x, 2, 1, 2, 500, 0);
    chunk(x, 10, 2, 0, 1);
    turn(x);
    EXPECT(x, "p1 limit 500\np1 job 1\np1 push 0..0\n");
    world_done(x);
}

static void warm_templates_are_bounded(void **state)
{
    struct world *x = &world;

    (void)state;
    world_init(x, 2);                   /* idle_lanes: 2 */
    online(x, 99);
    x->auto_ready = true;
    for (uint32_t k = 1; k <= 3; k++) {
        char name[] = { 'a', (char)('0' + k), 0 };

        grant(x, k, 1, name, 0);
        forget_pool(x, k);
        died(x, k, 0, false);
        advance(x, 1);
    }
    EXPECT(x, "lane 1 start\np1 start\np1 stop\nlane 2 start\np2 start\np2 stop\nlane 3 start\np3 start\np3 stop\nlane 1 stop\n");
    grant(x, 9, 1, "a3", 0);
    EXPECT(x, "p4 start\n");
    world_done(x);
}

static void slots_are_lent_by_idle_surplus_processes(void **state)
{
    struct world *x = &world;

    (void)state;
    world_init(x, 2);
    online(x, 99);
    x->auto_ready = true;
    grant(x, 1, 2, "a", 0);
    grant(x, 1, 1, "a", 0);
    grant(x, 2, 1, "b", 0);
    EXPECT(x, "lane 1 start\np1 start\np2 start\nlane 2 start\np1 stop\n");
    died(x, 1, 0, false);
    turn(x);
    EXPECT(x, "p3 start\n");
    world_done(x);
}

/* The broker moved the slot to another pool while the connection was away: the old one must not keep it. */
static void grants_end_with_the_connection(void **state)
{
    struct world *x = &world;

    (void)state;
    world_init(x, 1);
    online(x, 99);
    x->auto_ready = true;
    grant(x, 1, 1, "a", 0);
    open_job(x, 1, 1, 1, 0, 0);
    chunk(x, 10, 1, 0, 2);
    turn(x);
    EXPECT(x, "lane 1 start\np1 start\np1 job 0\np1 push 0..1\n");
    worker_disconnected(x->w, x->now, "test");
    worker_connected(x->w, x->now);
    turn(x);
    welcome(x, 99, true);
    turn(x);
    clear(x);
    grant(x, 2, 1, "b", 0);
    EXPECT(x, "lane 2 start\n");
    ran(x, 1, 1, 1000);
    turn(x);
    EXPECT(x, "> RESULTS [10 0..0 ok]\n");
    ran(x, 1, 1, 1000);             /* what was there has been done */
    turn(x);
    turn(x);
    EXPECT(x, "> RESULTS [10 1..1 ok]\np1 stop\n");
    died(x, 1, 0, false);
    turn(x);
    EXPECT(x, "p2 start\n");
    world_done(x);
}

static void heartbeats_and_the_broker_s_silence(void **state)
{
    struct world *x = up(1);

    (void)state;
    advance(x, 1000);
    EXPECT(x, "> PING\n");
    worker_stalled(x->w, x->now, x->now + 3 * CLOCK_SEC);
    for (int k = 0; k < 6; k++)
        advance(x, 1000);
    EXPECT(x, "> PING\n> PING\n> PING\n> PING\n> PING\n> PING\n");
    advance(x, 1000);
    EXPECT(x, "reconnect: the broker was silent for 5000 ms\n");
    world_done(x);
}

static void drain_gives_back_finishes_and_stops(void **state)
{
    struct world *x = up(1);

    (void)state;
    chunk(x, 10, 1, 0, 3);
    chunk(x, 12, 1, 3, 3);
    turn(x);
    clear(x);
    worker_drain(x->w, x->now);
    turn(x);
    EXPECT(x, "p1 gives back 2\n> WORKER_STATE\n> RESULTS [10 1..2 returned] [12 3..5 returned]\n");
    chunk(x, 14, 1, 6, 1);
    turn(x);
    EXPECT(x, "> RESULTS [14 6..6 returned]\n");
    close_attempt(x, 12, WIRE_WHY_DONE);
    close_attempt(x, 14, WIRE_WHY_DONE);
    ran(x, 1, 1, 1000);
    turn(x);
    EXPECT(x, "> RESULTS [10 0..0 ok]\n");
    close_attempt(x, 10, WIRE_WHY_DONE);
    turn(x);
    EXPECT(x, "> BYE\nstopped\n");
    world_done(x);
}

static void errors_reset_and_versions(void **state)
{
    struct world *x = up(1);
    struct wire_msg m = { .type = WIRE_RESET };

    (void)state;
    m.u.error.text = WIRE_STR("HELLO first");
    message(x, &m);
    turn(x);
    EXPECT(x, "reconnect: the broker asks for a new session: HELLO first\n");
    worker_connected(x->w, x->now);
    m.type = WIRE_ERROR;
    m.u.error.protocol_min = m.u.error.protocol_max = 9;
    m.u.error.text = WIRE_STR("version 9 only");
    message(x, &m);
    turn(x);
    EXPECT(x, "> HELLO conn 2\nrefused: the broker ended the session: version 9 only\n");
    world_done(x);
}

static void nonsense_from_the_broker_ends_the_session(void **state)
{
    struct world *x = up(1);
    struct wire_item i = {
        .id = 5, .job = 1, .count = 3, .flags = WIRE_FIXED, .size = 8, .body = { NULL, (const uint8_t *)"abcd", 4 }
    };
    struct wire_msg m = { .type = WIRE_CHUNKS, .items = &i, .n_items = 1 };

    (void)state;
    message(x, &m);
    turn(x);
    EXPECT(x, "reconnect: the broker sent a chunk that contradicts itself\n");
    online(x, 99);
    chunk(x, 10, 77, 0, 1);
    turn(x);
    EXPECT(x, "reconnect: the broker sent a chunk of a job that it had not described\n");
    world_done(x);
}

static void results_that_nobody_asked_for_kill_the_process(void **state)
{
    struct world *x = up(1);

    (void)state;
    chunk(x, 11, 1, 0, 1);
    turn(x);
    clear(x);
    x->procs[1].n = 2;
    ran(x, 1, 2, 1000);
    turn(x);
    EXPECT(x, "p1 kill: it reported results that nobody asked for\np2 start\n> RESULTS [11 0..0 ok]\n");
    world_done(x);
}

static void an_outcome_of_the_process_is_completed(void **state)
{
    struct world *x = up(1);
    struct wire_outcome o = { .kind = BFORK_FAILED, .code = 3, .index = 12345, .attempt = 99, .message = WIRE_STR("bad") };
    struct buf *doc = wire_outcome_encode(&o);
    struct wire_item i = { .count = 1, .kind = WIRE_OUTCOME, .pid = 4 };

    (void)state;
    chunk(x, 11, 1, 6, 2);
    turn(x);
    clear(x);
    i.body = slice_borrow(doc->data, doc->size);
    worker_proc_results(x->w, x->now, 1, &i);
    i.body.size = 1;                    /* not a document */
    worker_proc_results(x->w, x->now, 1, &i);
    turn(x);
    EXPECT(x, "> RESULTS [11 6..6 outcome -1 try 1] [11 7..7 outcome -1 try 1]\n");
    buf_unref(&doc);
    world_done(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_goes_through),
        cmocka_unit_test(unknown_tasks_go_to_idle_processes_only),
        cmocka_unit_test(short_tasks_fill_rings_evenly),
        cmocka_unit_test(what_waits_behind_a_long_task_moves_to_an_idle_process),
        cmocka_unit_test(a_crash_costs_one_task_and_keeps_what_was_done),
        cmocka_unit_test(three_failing_starts_fail_the_pool),
        cmocka_unit_test(a_template_that_fails_returns_its_chunks),
        cmocka_unit_test(recall_returns_what_has_not_begun),
        cmocka_unit_test(recall_of_the_middle_of_a_ring_keeps_the_work_behind_it),
        cmocka_unit_test(cancel_kills_what_runs_of_it),
        cmocka_unit_test(cancel_of_later_tasks_lets_the_running_one_finish),
        cmocka_unit_test(a_claimed_neighbour_of_a_cancelled_task_runs_again),
        cmocka_unit_test(a_fenced_attempt_is_killed_and_never_reported),
        cmocka_unit_test(results_are_sent_again_after_a_reconnect_until_closed),
        cmocka_unit_test(a_restarted_broker_finds_lanes_and_jobs_again),
        cmocka_unit_test(the_window_of_the_broker_is_kept),
        cmocka_unit_test(fewer_slots_feed_fewer_processes),
        cmocka_unit_test(processes_are_renewed_after_max_tasks),
        cmocka_unit_test(a_run_limit_is_set_before_the_first_push),
        cmocka_unit_test(warm_templates_are_bounded),
        cmocka_unit_test(slots_are_lent_by_idle_surplus_processes),
        cmocka_unit_test(grants_end_with_the_connection),
        cmocka_unit_test(heartbeats_and_the_broker_s_silence),
        cmocka_unit_test(drain_gives_back_finishes_and_stops),
        cmocka_unit_test(errors_reset_and_versions),
        cmocka_unit_test(nonsense_from_the_broker_ends_the_session),
        cmocka_unit_test(results_that_nobody_asked_for_kill_the_process),
        cmocka_unit_test(an_outcome_of_the_process_is_completed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
