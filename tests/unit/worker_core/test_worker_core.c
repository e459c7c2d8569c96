/* SPDX-License-Identifier: MPL-2.0
 * test_worker_core.c - scenarios of the worker's core as text traces. "> X" goes to the broker, "p1 push 0..3" into a process's
 * ring.
 */
#include "world.h"
#include "model/model.h"
#include "wire/times.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct world world;

/* Processes are started by work: one task each of a job that is forgotten again. */
static void warm(struct world *x, uint32_t slots)
{
    x->auto_ready = true;
    open_job(x, 99, 1, 99, 0, 0);
    for (uint32_t k = 0; k < slots; k++)
        chunk(x, 9000 + k, 99, k, 1);
    turn(x);
    for (uint32_t k = 0; k < slots; k++)
        ran(x, k + 1, 1, CLOCK_MS);
    turn(x);
    for (uint32_t k = 0; k < slots; k++)
        close_attempt(x, 9000 + k, WIRE_WHY_DONE);
    forget_job(x, 99);
    x->auto_ready = false;
}

/* Online, one pool of `slots`, job 1 in it, all processes ready, trace empty. */
static struct world *up(uint32_t slots)
{
    struct world *x = &world;

    world_init(x, 8);
    online(x, 99);
    x->auto_ready = true;
    grant(x, 1, slots, "prog", 0);
    warm(x, slots);
    open_job(x, 1, 1, 1, 0, 0);
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

static void r22_no_more_processes_than_tasks(void **state)
{
    struct world *x = &world;

    (void)state;
    world_init(x, 800);
    online(x, 99);
    x->auto_ready = true;
    grant(x, 1, 800, "prog", 0);
    open_job(x, 1, 1, 1, 0, 0);
    EXPECT(x, "lane 1 start\n");
    for (uint64_t k = 0; k < 3; k++)
        chunk(x, 11 + k, 1, k, 1);
    turn(x);
    EXPECT(x, "p1 start\np2 start\np3 start\np3 job 0\np3 push 0..0\np2 job 0\np2 push 1..1\np1 job 0\np1 push 2..2\n");
    ran(x, 3, 1, 1000);
    turn(x);
    clear(x);
    chunk(x, 20, 1, 3, 1);              /* there is one that is free */
    turn(x);
    EXPECT(x, "p3 push 3..3\n");
    world_done(x);
}

/* A start that failed for want of something lets the others go on, is tried again after a pause, and does not fail the pool. */
static void r22_a_scarce_process_is_tried_again(void **state)
{
    struct world *x = up(1);

    (void)state;
    grant(x, 1, 3, "prog", 0);
    for (uint64_t k = 0; k < 3; k++)
        chunk(x, 11 + k, 1, k, 1);
    turn(x);
    EXPECT(x, "p1 job 0\np1 push 0..0\np2 start\np3 start\n");
    died(x, 2, BFORK_EAGAIN, false);
    died(x, 3, BFORK_EAGAIN, false);
    turn(x);
    EXPECT(x, "");
    for (int k = 0; k < 10; k++)
        advance(x, 20);
    EXPECT(x, "p4 start\n");           /* one, to see */
    ready(x, 4);
    EXPECT(x, "p4 job 0\np4 push 1..1\np5 start\n");
    world_done(x);
}

/* It says that nothing was running, whenever its task ends it: after three processes the task has an outcome, the next one runs. */
static void r10_a_task_whose_process_denies_it_is_charged(void **state)
{
    struct world *x = up(1);

    (void)state;
    chunk(x, 10, 1, 0, 3);
    turn(x);
    ran(x, 1, 1, 1000);
    turn(x);
    for (worker_proc p = 1; p <= 3; p++) {
        clear(x);
        assert_true(x->procs[p].exists);
        died(x, p, BFORK_CRASHED, false);
        turn(x);
        ready(x, p + 1);
    }
    EXPECT(x, "p4 start\n> RESULTS [10 1..1 outcome -2 try 1]\np4 job 0\np4 push 2..2\n");
    ran(x, 4, 1, 1000);
    turn(x);
    EXPECT(x, "> RESULTS [10 2..2 ok]\n");
    world_done(x);
}

/* Which of its tasks wrote over the ring is unknown: none is charged, they run again, no two at a time, and then it is known. */
static void r10_who_wrote_over_the_ring_is_found(void **state)
{
    struct world *x = up(1);

    (void)state;
    chunk(x, 10, 1, 0, 5);
    chunk(x, 11, 1, 100, 1);
    turn(x);
    ran(x, 1, 1, 1000);
    turn(x);                                        /* so short that the next attempt is behind it */
    clear(x);
    died_violating(x, 1);
    turn(x);
    ready(x, 2);
    EXPECT(x, "p2 start\np2 job 0\np2 push 1..1\n");
    ran(x, 2, 1, 1000);
    turn(x);
    ran(x, 2, 1, 1000);
    turn(x);
    EXPECT(x, "p2 push 2..2\n> RESULTS [10 1..1 ok]\np2 push 3..3\n> RESULTS [10 2..2 ok]\n");
    died_violating(x, 2);                           /* alone: it was this one */
    turn(x);
    ready(x, 3);
    EXPECT(x, "p3 start\n> RESULTS [10 3..3 outcome -2 try 1]\np3 job 0\np3 push 4..4\n");
    ran(x, 3, 1, 1000);
    turn(x);
    EXPECT(x, "p3 push 100..100\n> RESULTS [10 4..4 ok]\n");
    died_violating(x, 3);
    turn(x);
    assert_non_null(strstr(x->trace, "> RESULTS [11 100..100 outcome -2 try 1]\n"));
    world_done(x);
}

/* Any of them may have begun. */
static void r10_at_most_once_what_was_in_a_broken_ring_is_unknown(void **state)
{
    struct world *x = up(1);
    struct worker_counters c;

    (void)state;
    open_job(x, 2, 1, 2, 0, -1);
    chunk(x, 10, 2, 0, 3);
    turn(x);
    clear(x);
    died_violating(x, 1);
    turn(x);
    EXPECT(x, "> RESULTS [10 0..2 outcome -9 try 1]\n");
    worker_counters(x->w, &c);
    assert_int_equal(c.tasks_failed, 3);
    world_done(x);
}

/* What is new is not put behind a task that runs apart, and one that is to run apart is put behind nothing. */
static void r10_a_task_that_runs_apart_has_its_process_alone(void **state)
{
    struct world *x = up(2);

    (void)state;
    chunk(x, 10, 1, 0, 3);
    chunk(x, 11, 1, 100, 3);
    turn(x);
    ran(x, 1, 1, 1000);
    ran(x, 2, 1, 1000);
    turn(x);
    clear(x);
    died_violating(x, 1);                           /* the other process has room behind its tasks */
    turn(x);
    EXPECT(x, "p3 start\n");
    ready(x, 3);
    EXPECT(x, "");
    advance(x, 1000);
    turn(x);
    EXPECT(x, "p3 job 0\np3 push 101..101\n> PING\n");
    ran(x, 3, 1, 1000);
    turn(x);
    EXPECT(x, "p3 push 102..102\n> RESULTS [11 101..101 ok]\n");
    chunk(x, 12, 1, 200, 1);
    turn(x);
    EXPECT(x, "p2 push 200..200\n");
    world_done(x);
}

/* It was to be killed: what it wrote over meanwhile changes nothing. */
static void r10_a_cancelled_task_that_wrote_over_the_ring_is_cancelled(void **state)
{
    struct world *x = up(1);

    (void)state;
    chunk(x, 10, 1, 0, 3);
    turn(x);
    x->procs[1].begun = 2;                          /* it has claimed two */
    recall(x, 10, 0, 1, WIRE_WHY_CANCEL);
    turn(x);
    clear(x);
    died_violating(x, 1);
    turn(x);
    assert_non_null(strstr(x->trace, "[10 0..0 outcome -6 try 1]"));
    world_done(x);
}

static void r22_a_pool_whose_processes_never_start_fails(void **state)
{
    struct world *x = &world;
    struct wire_msg m = { .type = WIRE_PONG };

    (void)state;
    world_init(x, 1);
    online(x, 99);
    grant(x, 1, 1, "prog", 0);
    open_job(x, 1, 1, 1, 0, 0);
    chunk(x, 10, 1, 0, 2);
    lane_ready(x, 1);
    for (worker_proc p = 1; p <= 8; p++) {
        for (int k = 0; k < 100 && !x->procs[p].exists; k++)
            advance(x, 50);
        assert_true(x->procs[p].exists);
        message(x, &m);
        died(x, p, BFORK_EAGAIN, false);
        turn(x);
    }
    assert_non_null(strstr(x->trace, "> POOL_FAILED pool 1 fork: no task process could be started, 8 times: gone\n"
                                     "> RESULTS [10 0..1 returned]\n"));
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

static void template_ends(struct world *x)
{
    worker_lane_failed(x->w, x->now, 1, BFORK_CRASHED, "template", "the template of prog was killed by signal 9 (Killed)");
    turn(x);
}

/* One kill -9 costs nothing: the template is started again, what ran is run again, and says that it is the second try. */
static void r16_a_template_that_dies_is_started_again(void **state)
{
    struct world *x = up(2);

    (void)state;
    x->auto_ready = false;
    chunk(x, 10, 1, 0, 3);
    chunk(x, 11, 1, 3, 2);
    turn(x);
    clear(x);
    template_ends(x);
    EXPECT(x, "lane 1 stop\n");
    advance(x, TIME_TEMPLATE_FIRST_MS - 1);
    EXPECT(x, "");
    advance(x, 1);
    EXPECT(x, "lane 1 start\n");
    x->auto_ready = true;
    lane_ready(x, 1);
    turn(x);
    assert_null(strstr(x->trace, "RESULTS"));
    assert_non_null(strstr(x->trace, "push 0..0"));     /* alone: it is its second try */
    assert_non_null(strstr(x->trace, "push 3..3"));
    assert_null(strstr(x->trace, "POOL_FAILED"));
    world_done(x);
}

static struct { unsigned n, results; struct { uint64_t index, offset; unsigned tries, size; uint32_t window; } of[16]; } pieces;

static void on_said(struct world *x, const struct wire_msg *m)
{
    (void)x;
    for (uint32_t i = 0; m->type == WIRE_RESULTS && i < m->n_items; i++)
        pieces.results += m->items[i].count;
    for (uint32_t i = 0; m->type == WIRE_OUTPUT && i < m->n_items; i++) {
        const struct wire_item *it = &m->items[i];
        assert_in_range(pieces.n, 0, 15);
        pieces.of[pieces.n].window = it->job;
        pieces.of[pieces.n].index = it->first;
        pieces.of[pieces.n].offset = it->offset;
        pieces.of[pieces.n].tries = it->tries;
        pieces.of[pieces.n++].size = it->size;
    }
}

static void says_to(struct world *x, int stream, worker_proc proc, uint32_t ahead, const char *text)
{
    assert_true(worker_output(x->w, x->now, proc, ahead, &(struct worker_print){ .stream = stream, .pid = 5, .bytes = text,
                                                                                 .size = strlen(text) }));
    turn(x);
}

static void says(struct world *x, worker_proc proc, uint32_t ahead, const char *text) { says_to(x, 1, proc, ahead, text); }

static void expect_said(unsigned k, uint64_t index, uint64_t offset, unsigned tries, unsigned size)
{
    assert_int_equal(pieces.n, k + 1);
    assert_int_equal(pieces.of[k].index, index);
    assert_int_equal(pieces.of[k].offset, offset);
    assert_int_equal(pieces.of[k].tries, tries);
    assert_int_equal(pieces.of[k].size, size);
}

/* What it had printed comes again: a piece says so before, also if nothing comes. Its results are behind what was said of it. */
static void r21_a_task_that_runs_again_in_its_attempt_says_so(void **state)
{
    struct world *x = up(1);

    (void)state;
    memset(&pieces, 0, sizeof(pieces));
    x->on_send = on_said;
    x->auto_ready = true;
    chunk(x, 10, 1, 0, 3);
    turn(x);
    says(x, 1, 0, "abc\n");
    expect_said(0, 0, 0, 1, 4);
    template_ends(x);
    advance(x, TIME_TEMPLATE_FIRST_MS);
    turn(x);
    assert_non_null(strstr(x->trace, "push 0..0"));
    expect_said(1, 0, 0, 2, 0);
    says(x, 2, 0, "ab\n");
    expect_said(2, 0, 0, 2, 3);
    says(x, 2, 0, "cd\n");
    expect_said(3, 0, 3, 2, 3);
    ran(x, 2, 1, 1000);
    turn(x);
    says(x, 2, 0, "new\n");                    /* the next task has not run before */
    expect_said(4, 1, 0, 1, 4);
    ran(x, 2, 2, 1000);
    turn(x);
    assert_int_equal(pieces.n, 5);
    world_done(x);
}

/* The pipes of a process that has run on are read one after the other: each stream is at a task of its own. */
static void r21_each_stream_has_offsets_of_its_own(void **state)
{
    struct world *x = up(1);

    (void)state;
    memset(&pieces, 0, sizeof(pieces));
    x->on_send = on_said;
    x->auto_ready = true;
    chunk(x, 10, 1, 0, 3);
    turn(x);
    says_to(x, 1, 1, 0, "abc\n");
    says_to(x, 1, 1, 1, "de\n");
    expect_said(1, 1, 0, 1, 3);
    says_to(x, 2, 1, 0, "x\n");
    expect_said(2, 0, 0, 1, 2);
    says_to(x, 1, 1, 1, "fgh\n");
    expect_said(3, 1, 3, 1, 4);
    says_to(x, 2, 1, 0, "yz\n");
    expect_said(4, 0, 2, 1, 3);
    says_to(x, 2, 1, 1, "w\n");
    expect_said(5, 1, 0, 1, 2);
    says_to(x, 1, 1, 1, "i\n");
    expect_said(6, 1, 7, 1, 2);
    ran(x, 1, 2, 1000);
    turn(x);
    assert_int_equal(pieces.results, 2);
    world_done(x);
}

static void taken(struct world *x, uint64_t attempt, uint64_t seq, uint32_t window, uint32_t size);

/* What comes last is of the first task: nothing of it has gone out, so its result must not, or it is thrown away as late. */
static void r21_results_wait_for_both_streams_of_their_tasks(void **state)
{
    const uint32_t cost = 4 + WIRE_OUTPUT_COST;
    struct world *x = up(1);

    (void)state;
    memset(&pieces, 0, sizeof(pieces));
    x->on_send = on_said;
    x->auto_ready = true;
    x->w->config.output_window = cost;
    chunk(x, 10, 1, 0, 3);
    turn(x);
    says_to(x, 1, 1, 0, "abc\n");
    says_to(x, 1, 1, 1, "abc\n");
    says_to(x, 2, 1, 0, "abc\n");
    ran(x, 1, 1, 1000);
    turn(x);
    assert_int_equal(pieces.n, 1);
    assert_int_equal(pieces.results, 0);
    taken(x, 10, 1, pieces.of[0].window, cost);
    assert_int_equal(pieces.n, 2);
    assert_int_equal(pieces.results, 0);
    /* All of it again, to a broker that knows nothing of it. */
    worker_disconnected(x->w, x->now, "cut");
    worker_connected(x->w, x->now);
    welcome(x, 100, false);
    turn(x);
    assert_int_equal(pieces.n, 3);
    assert_int_equal(pieces.of[2].index, 1);
    assert_int_equal(pieces.results, 0);
    taken(x, 10, 2, pieces.of[2].window, cost);
    expect_said(3, 0, 0, 1, 4);
    assert_int_equal(pieces.results, 1);
    world_done(x);
}

static void taken(struct world *x, uint64_t attempt, uint64_t seq, uint32_t window, uint32_t size)
{
    struct wire_item it = { .id = attempt, .seq = seq, .job = window, .size = size };

    message(x, &(struct wire_msg){ .type = WIRE_OUTPUT_TAKEN, .items = &it, .n_items = 1 });
    turn(x);
}

/* A restarted broker may have no slot here for the pool of what runs. When a pool is granted its window is another one. */
static void r21_the_window_of_what_has_no_pool_opens(void **state)
{
    const uint32_t cost = 4 + WIRE_OUTPUT_COST;
    struct world *x = up(1);

    (void)state;
    memset(&pieces, 0, sizeof(pieces));
    x->on_send = on_said;
    x->auto_ready = true;
    x->w->config.output_window = 2 * cost;
    chunk(x, 10, 1, 0, 1);
    turn(x);
    worker_disconnected(x->w, x->now, "cut");
    worker_connected(x->w, x->now);
    welcome(x, 100, false);
    for (int k = 0; k < 6; k++)
        says(x, 1, 0, "abc\n");
    assert_int_equal(pieces.n, 2);
    taken(x, 10, 1, pieces.of[0].window, cost);
    assert_int_equal(pieces.n, 3);
    grant(x, 7, 1, "prog", 0);
    assert_int_equal(pieces.n, 5);
    assert_true(pieces.of[3].window != pieces.of[2].window);
    taken(x, 10, 3, pieces.of[2].window, 2 * cost);
    assert_int_equal(pieces.n, 5);
    taken(x, 10, 4, pieces.of[3].window, cost);
    assert_int_equal(pieces.n, 6);
    world_done(x);
}

/* The broker forgets the pool while its output is not taken, and grants it again: it has the window that it had. A pool of another
 * number has one of its own. */
static void r18_a_pool_that_is_granted_again_has_the_window_it_had(void **state)
{
    const uint32_t cost = 4 + WIRE_OUTPUT_COST;
    struct world *x = up(1);

    (void)state;
    memset(&pieces, 0, sizeof(pieces));
    x->on_send = on_said;
    x->auto_ready = true;
    x->w->config.output_window = 2 * cost;
    chunk(x, 10, 1, 0, 1);
    turn(x);
    says(x, 1, 0, "abc\n");
    says(x, 1, 0, "abc\n");
    close_attempt(x, 10, WIRE_WHY_GONE);
    forget_pool(x, 1);
    turn(x);
    died(x, 1, 0, true);
    turn(x);
    grant(x, 1, 1, "prog", 0);
    open_job(x, 2, 1, 2, 0, 0);
    chunk(x, 20, 2, 0, 1);
    turn(x);
    says(x, x->last_proc, 0, "abc\n");
    assert_int_equal(pieces.n, 2);
    taken(x, 10, 1, pieces.of[0].window, cost);
    assert_int_equal(pieces.n, 3);
    assert_int_equal(pieces.of[2].window, pieces.of[0].window);
    close_attempt(x, 20, WIRE_WHY_GONE);
    forget_pool(x, 1);
    turn(x);
    died(x, x->last_proc, 0, true);
    turn(x);
    grant(x, 9, 1, "prog", 0);
    open_job(x, 3, 9, 3, 0, 0);
    chunk(x, 30, 3, 0, 1);
    turn(x);
    says(x, x->last_proc, 0, "abc\n");
    assert_int_equal(pieces.n, 4);
    assert_true(pieces.of[3].window != pieces.of[0].window);
    world_done(x);
}

/* It kills its template each time: after three it is lost, as with a worker, and the others run. */
static void r16_a_task_that_takes_its_template_along_is_lost_after_three(void **state)
{
    struct world *x = up(1);

    (void)state;
    x->auto_ready = true;
    chunk(x, 10, 1, 0, 3);
    turn(x);
    for (int k = 0; k < 3; k++) {
        assert_non_null(strstr(x->trace, k ? "push 0..0" : "push 0..2"));
        clear(x);
        template_ends(x);
        assert_int_equal(strstr(x->trace, "> RESULTS [10 0..0 outcome -7 try 3]\n") != NULL, k == 2);
        advance(x, TIME_TEMPLATE_FIRST_MS << k);
        turn(x);
    }
    assert_non_null(strstr(x->trace, "push 1..2"));
    assert_null(strstr(x->trace, "POOL_FAILED"));
    world_done(x);
}

/* Workers that were lost with it count, too. */
static void r16_a_task_that_was_lost_with_workers_is_lost_sooner(void **state)
{
    struct world *x = up(1);
    struct wire_item i = { .id = 11, .job = 1, .count = 3, .flags = WIRE_FIXED, .size = 8, .tries = 2 };
    uint8_t bytes[24] = { 0 };

    (void)state;
    x->auto_ready = true;
    i.body = slice_borrow(bytes, sizeof(bytes));
    message(x, &(struct wire_msg){ .type = WIRE_CHUNKS, .items = &i, .n_items = 1 });
    turn(x);
    clear(x);
    template_ends(x);
    assert_non_null(strstr(x->trace, "> RESULTS [11 0..0 outcome -7 try 3]\n"));
    world_done(x);
}

/* Nobody wants it any more when its pause is over: it is not started. */
static void r16_a_template_that_nobody_wants_is_not_started_again(void **state)
{
    struct world *x = up(1);

    (void)state;
    x->auto_ready = false;
    template_ends(x);
    grant(x, 1, 0, "prog", 0);
    clear(x);
    advance(x, TIME_TEMPLATE_FIRST_MS);
    turn(x);
    assert_null(strstr(x->trace, "lane 1 start"));
    grant(x, 1, 1, "prog", 0);
    assert_non_null(strstr(x->trace, "lane 1 start"));
    world_done(x);
}

static void r16_at_most_once_what_ran_is_unknown(void **state)
{
    struct world *x = up(1);

    (void)state;
    x->auto_ready = true;
    open_job(x, 2, 1, 2, 0, -1);
    chunk(x, 10, 2, 0, 3);
    turn(x);
    clear(x);
    template_ends(x);
    EXPECT(x, "lane 1 stop\n> RESULTS [10 0..0 outcome -9 try 1]\n");
    advance(x, TIME_TEMPLATE_FIRST_MS);
    turn(x);
    assert_non_null(strstr(x->trace, "push 1..2"));
    ran(x, x->last_proc, 1, 1000);
    turn(x);
    clear(x);
    template_ends(x);                   /* with the last one of the attempt: it is over, nothing of it waits */
    EXPECT(x, "lane 1 stop\n> RESULTS [10 2..2 outcome -9 try 1]\n");
    world_done(x);
}

/* Too many open files: tried again, and only if that is of no use for long the pool fails here, with the reason. */
static void r16_only_repeated_failures_to_start_fail_the_pool(void **state)
{
    struct world *x = &world;
    uint64_t began;

    (void)state;
    world_init(x, 8);
    online(x, 99);
    x->now += CLOCK_SEC;
    grant(x, 1, 1, "prog", 0);
    open_job(x, 1, 1, 1, 0, 0);
    chunk(x, 10, 1, 0, 4);
    began = x->now;
    for (int k = 1; k < 8; k++) {
        worker_lane_failed(x->w, x->now, 1, BFORK_EAGAIN, "exec", "cannot start prog: Too many open files");
        turn(x);
        assert_null(strstr(x->trace, "POOL_FAILED"));
        clear(x);
        while (!strstr(x->trace, "lane 1 start")) {
            uint64_t at = worker_deadline(x->w);

            assert_true(at > x->now && at < x->now + 6 * CLOCK_SEC);
            clear(x);
            x->now = at;
            worker_tick(x->w, x->now);
            turn(x);
            struct wire_msg m = { .type = WIRE_PONG };

            m.u.ping.stamp = x->now;    /* the broker is there */
            message(x, &m);
        }
        clear(x);
    }
    assert_true(x->now - began >= 8 * CLOCK_SEC);       /* a shortage has time to pass */
    worker_lane_failed(x->w, x->now, 1, BFORK_EAGAIN, "exec", "cannot start prog: Too many open files");
    turn(x);
    EXPECT(x, "lane 1 stop\n> POOL_FAILED pool 1 exec: its template was started 8 times without a result: "
              "cannot start prog: Too many open files\n> RESULTS [10 0..3 returned]\n");
    world_done(x);
}

static void message_pool(struct world *x, uint32_t pool, const void *spec, size_t n)
{
    static const uint8_t digest[WIRE_DIGEST] = { 9 }, owner[WIRE_KEY] = { 7 };
    struct wire_msg m = { .type = WIRE_GRANT };

    m.u.grant = (struct wire_grant){ pool, 1, wire_bin_of(digest, sizeof(digest)), wire_bin_of(spec, n),
                                     wire_bin_of(owner, sizeof(owner)) };
    message(x, &m);
    turn(x);
}

static void message_job(struct world *x, uint32_t job, const void *spec, size_t n)
{
    uint8_t id[WIRE_ID] = { (uint8_t)job };
    struct wire_msg m = { .type = WIRE_JOB_SPEC };

    m.u.job_spec =
        (struct wire_job_to_worker){ .job = job, .pool = 1, .id = wire_bin_of(id, WIRE_ID), .spec = wire_bin_of(spec, n) };
    message(x, &m);
}

/* What a pool runs besides its tasks is read when the pool is granted, not when all tasks have run. */
static void r24_a_finalizer_that_is_not_understood_fails_its_pool_at_once(void **state)
{
    struct world *x = &world;

    (void)state;
    world_init(x, 8);
    online(x, 99);
    message_pool(x, 5, "\x81\x09\xc4\x05\x82\x01\x02\x46\x01", 9);
    EXPECT(x, "> POOL_FAILED pool 5 pool_spec: pool_spec: field finalizer: fn: key 70 must be understood and is not known "
              "here; a newer release wrote it\n");
    message_pool(x, 6, "\x81\x08\xc4\x01\xc1", 5);
    EXPECT(x, "> POOL_FAILED pool 6 pool_spec: pool_spec: field initializer: fn: the fields are not a "
              "MessagePack map, or it is cut short\n");
    message_pool(x, 7, "\x81\x07\xc4\x03\x81\x01\x03", 7);
    EXPECT(x, "> POOL_FAILED pool 7 pool_spec: pool_spec: field preload: a command (kind 3) runs tasks only; name a function\n");
    world_done(x);
}

/* Jobs and chunks that the broker sent before it heard of the refusal: the session of all others goes on. */
static void r24_what_crosses_with_the_refusal_of_a_pool_goes_back(void **state)
{
    struct world *x = &world;

    (void)state;
    world_init(x, 8);
    online(x, 99);
    message_pool(x, 5, "\x81\x08\xc4\x01\xc1", 5);
    message_pool(x, 6, "\x81\x41\x01", 3);
    clear(x);
    open_job(x, 1, 5, 1, 0, 0);
    open_job(x, 2, 6, 2, 0, 0);
    chunk(x, 10, 1, 0, 4);
    chunk(x, 11, 2, 0, 2);
    turn(x);
    EXPECT(x, "> RESULTS [10 0..3 returned] [11 0..1 returned]\n");
    message_pool(x, 5, "\x81\x08\xc4\x01\xc1", 5);
    EXPECT(x, "> POOL_FAILED pool 5 pool_spec: pool_spec: field initializer: fn: the fields are not a "
              "MessagePack map, or it is cut short\n");
    forget_job(x, 1);
    forget_pool(x, 5);
    turn(x);
    EXPECT(x, "");
    world_done(x);
}

/* A client opens as many pools and jobs that are refused here as it wants: each line of the log is one of its owner's. */
static void r06_what_clients_can_repeat_is_limited_in_the_log(void **state)
{
    struct world *x = &world;
    uint32_t logs, limited;

    (void)state;
    world_init(x, 8);
    online(x, 99);
    logs = x->logs;
    limited = x->limited;
    message_pool(x, 5, "\x81\x41\x01", 3);
    message_pool(x, 6, "\x81\x08\xc4\x01\xc1", 5);
    grant(x, 1, 1, "prog", 0);
    lane_ready(x, 3);
    message_job(x, 1, "\x83\x01\x00\x02\xc4\x00\x66\x01", 8);
    turn(x);
    assert_int_equal(x->logs - logs, 3);
    assert_int_equal(x->limited - limited, 3);
    clear(x);
    world_done(x);
}

/* A newer release asks for something: this one says what it does not know, and runs nothing of it. */
static void what_it_does_not_understand_is_refused_by_name(void **state)
{
    struct world *x = &world;

    (void)state;
    world_init(x, 8);
    online(x, 99);
    message_pool(x, 5, "\x81\x41\x01", 3);
    EXPECT(
        x,
        "> POOL_FAILED pool 5 pool_spec: pool_spec: key 65 must be understood and is not known here; a newer release wrote it\n");
    message_pool(x, 6, "\x81\x0f\xcd\x80\x01", 5);
    EXPECT(x, "> POOL_FAILED pool 6 pool_spec: pool_spec: field needs asks for features 0x8000, which this worker does not have\n");
    grant(x, 1, 1, "prog", 0);
    lane_ready(x, 3);
    message_job(x, 1, "\x83\x01\x00\x02\xc4\x00\x66\x01", 8);
    message_job(x, 2, "\x83\x01\x00\x02\xc4\x00\x13\x40", 8);
    message_job(x, 3, "\x83\x01\x00\x02\xc4\x00\x13\x01", 8);
    turn(x);
    clear(x);
    chunk(x, 10, 1, 0, 4);
    chunk(x, 11, 2, 7, 1);
    turn(x);
    EXPECT(x, "> RESULTS [10 0..3 outcome -8 try 1] [11 7..7 outcome -8 try 1]\n");
    close_attempt(x, 10, WIRE_WHY_DONE);
    chunk(x, 13, 3, 0, 1);
    turn(x);
    ready(x, 1);
    EXPECT(x, "p1 start\np1 job 2\np1 push 0..0\n");
    struct wire_item sealed = { .id = 20, .job = 3, .first = 1, .count = 2, .flags = WIRE_FIXED | WIRE_SEALED };
    struct wire_msg m = { .type = WIRE_CHUNKS, .items = &sealed, .n_items = 1 };

    message(x, &m);
    turn(x);
    EXPECT(x, "> RESULTS [20 1..2 outcome -8 try 1]\n");
    assert_int_equal(x->reconnects, 0);
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

/* Who asks for what has not begun hears how much has, also if that is all. */
static void r02_a_question_for_what_has_not_begun_is_answered(void **state)
{
    struct world *x = up(1);

    (void)state;
    chunk(x, 10, 1, 0, 6);
    turn(x);
    clear(x);
    recall(x, 10, 2, 4, WIRE_WHY_QUEUED);
    turn(x);
    EXPECT(x, "p1 gives back 4\n> RECALLED [10 from 2]\n");
    recall(x, 10, 0, 2, WIRE_WHY_QUEUED);       /* task 0 runs */
    turn(x);
    EXPECT(x, "p1 gives back 1\n> RECALLED [10 from 1]\n");
    recall(x, 10, 0, 1, WIRE_WHY_QUEUED);
    turn(x);
    EXPECT(x, "> RECALLED [10 from 1]\n");
    chunk(x, 13, 1, 6, 3);
    recall(x, 13, 6, 3, WIRE_WHY_QUEUED);
    recall(x, 99, 5, 3, WIRE_WHY_QUEUED);       /* it is not here */
    turn(x);
    EXPECT(x, "> RECALLED [13 from 6]\n> RECALLED [99 from 8]\n");
    ran(x, 1, 1, 1000);
    turn(x);
    EXPECT(x, "> RESULTS [10 0..0 ok]\n");
    recall(x, 10, 0, 1, WIRE_WHY_QUEUED);       /* it has ended */
    turn(x);
    EXPECT(x, "> RECALLED [10 from 1]\n");
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
    EXPECT(x, "p1 job 0\np1 push 0..2\np1 gives back 2\np1 kill: cancelled\n> RESULTS [10 1..2 returned]\n");
    died(x, 1, BFORK_CANCELLED, true);
    turn(x);
    EXPECT(x, "> RESULTS [10 0..0 outcome -6 try 1]\n");
    world_done(x);
}

/* Two tasks of what a process has claimed, and the rest is asked back: each is ended when its turn comes, no other is. */
static void cancels_and_a_drain_of_an_attempt_end_what_they_name(void **state)
{
    struct world *x = up(1);

    (void)state;
    chunk(x, 11, 1, 0, 1);
    turn(x);
    ran(x, 1, 1, 1000);
    chunk(x, 10, 1, 0, 6);
    turn(x);
    x->procs[1].begun = 6;
    clear(x);
    recall(x, 10, 4, 1, WIRE_WHY_CANCEL);
    recall(x, 10, 1, 1, WIRE_WHY_CANCEL);
    recall(x, 10, 0, 6, WIRE_WHY_DRAIN);
    turn(x);
    EXPECT(x, "");
    ran(x, 1, 1, 1000);
    turn(x);
    EXPECT(x, "p1 kill: cancelled\n> RESULTS [10 0..0 ok]\n");
    died(x, 1, BFORK_CANCELLED, true);
    turn(x);
    EXPECT(x, "> RESULTS [10 1..1 outcome -6 try 1] [10 2..5 returned]\n");
    world_done(x);
}

/* What lies between two that are cancelled is nobody's to end. */
static void r15_a_task_between_cancelled_ones_runs_on(void **state)
{
    struct world *x = up(1);

    (void)state;
    chunk(x, 11, 1, 0, 1);
    turn(x);
    ran(x, 1, 1, 1000);
    chunk(x, 10, 1, 0, 6);
    turn(x);
    x->procs[1].begun = 6;
    recall(x, 10, 0, 1, WIRE_WHY_CANCEL);
    recall(x, 10, 2, 1, WIRE_WHY_CANCEL);
    turn(x);
    ran(x, 1, 1, 1000);                 /* the first was quicker */
    died(x, 1, BFORK_CANCELLED, true);  /* and its neighbour is what was running then */
    clear(x);
    turn(x);
    EXPECT(x, "> RESULTS [10 0..0 ok] [10 1..5 returned]\n");
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
    EXPECT(x, "p1 kill: cancelled\n");
    ran(x, 1, 1, 1000);                 /* it had finished meanwhile, and the innocent one was running */
    died(x, 1, BFORK_CANCELLED, true);
    turn(x);
    ready(x, 2);
    EXPECT(x, "p2 start\n> RESULTS [13 1..1 ok]\np2 job 0\np2 push 2..2\n");
    world_done(x);
}

/* Both up to the end, however far that is: the second takes the first one in. */
static void r15_cancels_of_all_that_follows_are_one(void **state)
{
    struct world *x = up(1);

    (void)state;
    chunk(x, 10, 1, 0, 8);
    turn(x);
    clear(x);
    recall(x, 10, 5, 0, WIRE_WHY_CANCEL);
    recall(x, 10, 3, 0, WIRE_WHY_CANCEL);
    turn(x);
    assert_non_null(strstr(x->trace, "3..4 returned"));
    assert_null(strstr(x->trace, "kill"));
    ran(x, 1, 3, 1000);
    turn(x);
    assert_non_null(strstr(x->trace, "0..2 ok"));
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
    EXPECT(x, "p1 job 0\np1 push 0..1\np1 gives back 1\np1 kill: its attempt is closed\n");
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

/* What the worker keeps of specifications: of pools, and of their jobs. */
static size_t specs_kept(const struct world *x, bool jobs)
{
    size_t n = 0;

    for (LIST_EACH(&x->w->lanes, k)) {
        const struct lane *l = LIST_ENTRY(k, struct lane, all);

        n += !jobs;
        for (uint32_t i = 0; jobs && i < l->n_jobs; i++)
            n += l->jobs[i] && l->jobs[i]->spec;
    }
    return n;
}

/* A job that the broker takes back, since nothing of it is to be run: results stay for a resend, and it may be told of again. */
static void r07_a_forgotten_job_keeps_results_and_no_specification(void **state)
{
    struct world *x = up(1);

    (void)state;
    chunk(x, 11, 1, 0, 2);
    turn(x);
    forget_job(x, 1);
    assert_int_equal(specs_kept(x, true), 1);       /* it runs */
    ran(x, 1, 2, 1000);
    turn(x);
    assert_int_equal(specs_kept(x, true), 0);
    clear(x);
    open_job(x, 5, 1, 1, 0, 0);
    assert_int_equal(specs_kept(x, true), 1);
    chunk(x, 13, 5, 2, 1);
    turn(x);
    EXPECT(x, "p1 push 2..2\n");                    /* it is the job that the process knows */
    ran(x, 1, 1, 1000);
    forget_job(x, 5);
    assert_int_equal(specs_kept(x, true), 0);
    worker_disconnected(x->w, x->now, "cut");
    worker_connected(x->w, x->now);
    turn(x);
    welcome(x, 99, true);
    EXPECT(x, "> RESULTS [13 2..2 ok]\n> HELLO conn 2\n> HOLDING last [11 0..1] [13 2..2]\n"
              "> RESULTS [11 0..1 ok] [13 2..2 ok]\n");
    close_attempt(x, 11, WIRE_WHY_DONE);
    close_attempt(x, 13, WIRE_WHY_DONE);
    world_done(x);
}

/* Its specification is known then; to a handle that means nothing here it means nothing. */
static void r07_a_grant_of_no_slots_brings_no_specification(void **state)
{
    struct world *x = up(1);
    uint8_t digest[WIRE_DIGEST] = "prog", owner[WIRE_KEY] = { 7 };
    struct wire_msg m = { .type = WIRE_GRANT };

    (void)state;
    m.u.grant = (struct wire_grant){ 1, 0, wire_bin_of(digest, sizeof(digest)), wire_bin_of("\x80", 1),
                                     wire_bin_of(owner, sizeof(owner)) };
    message(x, &m);
    turn(x);
    assert_int_equal(specs_kept(x, false), 1);
    assert_int_equal(specs_kept(x, true), 1);
    m.u.grant.pool = 2;
    digest[0] = 'q';
    message(x, &m);
    turn(x);
    assert_int_equal(specs_kept(x, false), 1);
    clear(x);
    grant(x, 1, 1, "prog", 0);
    chunk(x, 11, 1, 0, 1);
    turn(x);
    EXPECT(x, "p1 job 0\np1 push 0..0\n");
    world_done(x);
}

/* Pools and jobs that have ended while the connection was cut are not spoken of on the next one. */
static void r07_what_may_have_ended_behind_a_cut_is_not_kept(void **state)
{
    struct world *x = up(1);
    char name[8];

    (void)state;
    x->quiet = true;
    x->auto_ready = true;
    for (uint32_t k = 2; k < 40; k++) {
        snprintf(name, sizeof(name), "p%u", k);
        grant(x, k, 1, name, 0);
        open_job(x, k, k, (uint8_t)k, 0, 0);
        grant(x, k, 0, name, 0);
    }
    assert_int_equal(specs_kept(x, false), 39);
    assert_int_equal(specs_kept(x, true), 39);
    worker_disconnected(x->w, x->now, "cut");
    worker_connected(x->w, x->now);
    turn(x);
    welcome(x, 99, true);
    turn(x);
    assert_in_range(specs_kept(x, false), 1, 8);    /* warm templates */
    assert_int_equal(specs_kept(x, true), 0);
    x->quiet = false;
    grant(x, 7, 1, "p39", 0);                       /* it is found again, and starts no template */
    EXPECT(x, "");
    world_done(x);
}

/* What is here of a pool or job keeps it, not the handle of before, whether the pool had slots then or not. */
static void r07_what_runs_through_a_cut_keeps_no_handles(void **state)
{
    struct world *x = up(1);

    (void)state;
    x->quiet = true;
    x->auto_ready = true;
    grant(x, 2, 1, "other", 0);
    turn(x);
    lane_ready(x, 2);
    open_job(x, 2, 2, 2, 0, 0);
    open_job(x, 3, 1, 3, 0, 0);
    chunk(x, 10, 1, 0, 1);
    chunk(x, 11, 2, 0, 1);
    turn(x);
    turn(x);
    grant(x, 2, 0, "other", 0);
    assert_int_equal(specs_kept(x, true), 3);
    worker_disconnected(x->w, x->now, "cut");
    worker_connected(x->w, x->now);
    turn(x);
    welcome(x, 99, true);
    turn(x);
    assert_int_equal(specs_kept(x, true), 2);       /* those that run */
    ran(x, 1, 1, 1000);
    ran(x, 2, 1, 1000);
    turn(x);
    assert_int_equal(specs_kept(x, true), 0);
    close_attempt(x, 10, WIRE_WHY_DONE);
    close_attempt(x, 11, WIRE_WHY_DONE);
    turn(x);
    assert_int_equal(x->w->by_pool.count, 0);
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

/* Two pools of equal digest; after a restart of the broker, pool 7 gets the lane where attempt 10 of pool 8 runs. */
static struct world *swapped(void)
{
    struct world *x = &world;

    world_init(x, 4);
    online(x, 99);
    x->auto_ready = true;
    grant(x, 1, 1, "a", 0);
    grant(x, 2, 1, "a", 0);
    open_job(x, 1, 1, 1, 0, 0);
    open_job(x, 2, 2, 2, 0, 0);
    chunk(x, 10, 1, 0, 3);
    chunk(x, 20, 2, 0, 1);
    turn(x);
    worker_disconnected(x->w, x->now, "cut");
    worker_connected(x->w, x->now);
    welcome(x, 100, false);
    grant(x, 7, 1, "a", 0);
    grant(x, 8, 1, "a", 0);
    clear(x);
    return x;
}

/* What runs goes on until it is closed, what has not begun goes back: to where its own pool has slots. */
static void r15_a_pool_that_ends_takes_no_task_of_another_one_along(void **state)
{
    struct world *x = swapped();

    (void)state;
    ran(x, 2, 1, 1000);
    turn(x);
    EXPECT(x, "> RESULTS [20 0..0 ok]\n");
    open_job(x, 3, 7, 3, 0, 0);
    chunk(x, 30, 3, 0, 1);              /* that the pool's own goes with it is the broker's order */
    turn(x);
    EXPECT(x, "");
    close_attempt(x, 20, WIRE_WHY_DONE);
    forget_pool(x, 7);
    EXPECT(x, "p1 gives back 2\n> RESULTS [10 1..2 returned]\n");
    open_job(x, 1, 8, 1, 0, 0);
    chunk(x, 40, 1, 1, 2);
    turn(x);
    EXPECT(x, "p2 job 0\np2 push 1..2\n");
    ran(x, 1, 1, 1000);
    turn(x);
    EXPECT(x, "> RESULTS [10 0..0 ok]\n");
    close_attempt(x, 10, WIRE_WHY_DONE);
    close_attempt(x, 40, WIRE_WHY_GONE);
    turn(x);
    EXPECT(x, "p2 gives back 1\np2 kill: its attempt is closed\n");
    forget_pool(x, 8);
    died(x, 2, 0, true);
    turn(x);

    struct worker_counters c;

    worker_counters(x->w, &c);
    assert_int_equal(c.chunks + c.busy, 0);
    world_done(x);
}

/* Without slots nothing of it would begin here, and the broker sees its own pool's slots. Nor is what comes back later kept. */
static void r15_a_lane_without_slots_keeps_no_task_of_another_pool(void **state)
{
    struct world *x = swapped();

    (void)state;
    grant(x, 7, 0, "a", 0);
    EXPECT(x, "p1 gives back 2\n> RESULTS [10 1..2 returned]\n");
    died(x, 1, BFORK_LOST, false);
    turn(x);
    EXPECT(x, "> RESULTS [10 0..0 returned]\n");
    world_done(x);
}

static struct world *swapped_saying(uint32_t pieces_a_window)
{
    struct world *x = swapped();

    memset(&pieces, 0, sizeof(pieces));
    x->on_send = on_said;
    x->w->config.output_window = pieces_a_window * (4 + WIRE_OUTPUT_COST);
    return x;
}

/* The worker's connection is cut, pool 7 ends meanwhile: the broker frees its lane without a word. */
static void r21_the_window_of_a_lane_whose_pool_is_gone_opens(void **state)
{
    const uint32_t cost = 4 + WIRE_OUTPUT_COST;
    struct world *x = swapped_saying(2);

    (void)state;
    worker_disconnected(x->w, x->now, "cut");
    worker_connected(x->w, x->now);
    welcome(x, 100, true);
    grant(x, 8, 1, "a", 0);
    for (int k = 0; k < 4; k++)
        says(x, 1, 0, "abc\n");
    assert_int_equal(pieces.n, 2);
    taken(x, 10, 2, pieces.of[0].window, 2 * cost);
    assert_int_equal(pieces.n, 4);
    world_done(x);
}

/* Pool 7 is closed while its own task's output is not taken; the stranger in its lane goes on. */
static void r21_the_window_of_a_closed_pool_opens(void **state)
{
    const uint32_t cost = 4 + WIRE_OUTPUT_COST;
    struct world *x = swapped_saying(2);

    (void)state;
    grant(x, 7, 2, "a", 0);
    open_job(x, 3, 7, 3, 0, 0);
    chunk(x, 30, 3, 0, 1);
    turn(x);
    assert_non_null(strstr(x->trace, "p3 push 0..0"));
    says(x, 3, 0, "abc\n");
    says(x, 3, 0, "abc\n");
    assert_int_equal(pieces.n, 2);
    close_attempt(x, 30, WIRE_WHY_GONE);
    forget_pool(x, 7);
    turn(x);
    taken(x, 30, 2, pieces.of[0].window, 2 * cost);
    says(x, 1, 0, "abc\n");
    assert_int_equal(pieces.n, 3);
    world_done(x);
}

/* Output of two unbound lanes; one has an attempt that ends (FENCED, GONE) before what it said is taken. */
static void r21_the_window_of_a_closed_attempt_opens(void **state)
{
    const uint32_t cost = 4 + WIRE_OUTPUT_COST;
    struct world *x = &world;

    (void)state;
    world_init(x, 4);
    online(x, 99);
    x->auto_ready = true;
    grant(x, 1, 2, "a", 0);
    open_job(x, 1, 1, 1, 0, 0);
    open_job(x, 2, 1, 2, 0, 0);
    chunk(x, 10, 1, 0, 1);
    chunk(x, 20, 2, 0, 1);
    turn(x);
    worker_disconnected(x->w, x->now, "cut");
    worker_connected(x->w, x->now);
    welcome(x, 100, false);
    clear(x);
    memset(&pieces, 0, sizeof(pieces));
    x->on_send = on_said;
    x->w->config.output_window = 2 * cost;
    says(x, 1, 0, "abc\n");
    says(x, 1, 0, "abc\n");
    assert_int_equal(pieces.n, 2);
    uint64_t of = map_get(&x->w->by_attempt, 10) && ((struct attempt *)map_get(&x->w->by_attempt, 10))->said ? 10 : 20;
    close_attempt(x, of, WIRE_WHY_GONE);
    taken(x, of, 2, pieces.of[0].window, 2 * cost);
    says(x, 2, 0, "abc\n");
    assert_int_equal(pieces.n, 3);
    world_done(x);
}

/* Sent in this window. */
static uint64_t out_in(uint32_t window)
{
    uint64_t sum = 0;

    for (unsigned k = 0; k < pieces.n; k++)
        sum += pieces.of[k].window == window ? pieces.of[k].size + WIRE_OUTPUT_COST : 0;
    return sum;
}

/* One job in two lanes; then the broker restarts again. */
static void r18_a_job_in_two_lanes_has_two_windows(void **state)
{
    const uint32_t cost = 4 + WIRE_OUTPUT_COST;
    struct world *x = swapped();

    (void)state;
    close_attempt(x, 20, WIRE_WHY_GONE);
    turn(x);
    died(x, 2, 0, true);
    turn(x);
    open_job(x, 1, 8, 1, 0, 0);
    chunk(x, 40, 1, 3, 1);
    turn(x);
    worker_disconnected(x->w, x->now, "cut");
    worker_connected(x->w, x->now);
    clear(x);
    welcome(x, 101, false);
    memset(&pieces, 0, sizeof(pieces));
    x->on_send = on_said;
    x->w->config.output_window = 2 * cost;
    for (int k = 0; k < 3; k++) {
        says(x, 1, 0, "abc\n");
        says(x, x->last_proc, 0, "abc\n");
    }
    assert_int_equal(pieces.n, 4);
    assert_int_equal(out_in(pieces.of[0].window), 2 * cost);
    assert_int_equal(out_in(pieces.of[1].window), 2 * cost);
    world_done(x);
}

/* Said without a pool, then under pool 7, which ends: what is taken of either opens its own window only. */
static void r18_what_is_taken_opens_no_other_window(void **state)
{
    const uint32_t cost = 4 + WIRE_OUTPUT_COST;
    struct world *x = &world;

    (void)state;
    world_init(x, 4);
    online(x, 99);
    x->auto_ready = true;
    grant(x, 1, 1, "a", 0);
    open_job(x, 1, 1, 1, 0, 0);
    chunk(x, 10, 1, 0, 1);
    turn(x);
    worker_disconnected(x->w, x->now, "cut");
    worker_connected(x->w, x->now);
    welcome(x, 100, false);
    x->w->config.output_window = 2 * cost;
    memset(&pieces, 0, sizeof(pieces));
    x->on_send = on_said;
    for (int k = 0; k < 8; k++)
        says(x, 1, 0, "abc\n");
    grant(x, 7, 1, "a", 0);                     /* another session's pool of this digest */
    assert_int_equal(pieces.n, 4);
    forget_pool(x, 7);
    turn(x);
    assert_int_equal(out_in(pieces.of[2].window), 2 * cost);
    taken(x, 10, 2, pieces.of[0].window, 2 * cost);
    assert_int_equal(pieces.n, 4);              /* it goes on in the other one, also without its pool */
    taken(x, 10, 4, pieces.of[2].window, 2 * cost);
    assert_int_equal(pieces.n, 6);
    assert_int_equal(pieces.of[5].window, pieces.of[2].window);
    world_done(x);
}

/* Pools 1 and 2, of different digest, with an attempt in each: 10 and 20. */
static struct world *two_pools(void)
{
    struct world *x = &world;

    world_init(x, 4);
    online(x, 99);
    x->auto_ready = true;
    grant(x, 1, 1, "a", 0);
    grant(x, 2, 1, "b", 0);
    open_job(x, 1, 1, 1, 0, 0);
    open_job(x, 2, 2, 2, 0, 0);
    chunk(x, 10, 1, 0, 1);
    chunk(x, 20, 2, 0, 1);
    turn(x);
    memset(&pieces, 0, sizeof(pieces));
    x->on_send = on_said;
    return x;
}

static void again_connected(struct world *x, uint64_t epoch, bool resumed)
{
    worker_disconnected(x->w, x->now, "cut");
    worker_connected(x->w, x->now);
    welcome(x, epoch, resumed);
}

/* The new broker gives a pool the number that another one had here before, whose task has no pool now. */
static void window_of_a_number(bool pool_first)
{
    struct world *x = two_pools();

    again_connected(x, 100, false);
    grant(x, 1, 1, "b", 0);
    says(x, pool_first ? 2 : 1, 0, "abc\n");
    says(x, pool_first ? 1 : 2, 0, "abc\n");
    assert_int_equal(pieces.n, 2);
    assert_true(pieces.of[0].window != pieces.of[1].window);
    world_done(x);
}

static void r18_a_number_of_another_broker_names_no_window(void **state)
{
    (void)state;
    window_of_a_number(false);
    window_of_a_number(true);
}

/* After 2^32 windows: not 0, and none that is in use. */
static void r18_a_window_in_use_keeps_its_number(void **state)
{
    struct world *x = two_pools();

    (void)state;
    x->w->last_window = UINT32_MAX;
    says(x, 1, 0, "abc\n");
    x->w->last_window = UINT32_MAX;
    says(x, 2, 0, "abc\n");
    assert_int_equal(pieces.n, 2);
    assert_int_equal(pieces.of[0].window, 1);
    assert_int_equal(pieces.of[1].window, 2);
    world_done(x);
}

/* Nobody is in it and nothing of it is out: it is gone, and its pool gets another one when it is granted again. */
static void r18_a_window_that_nobody_needs_is_gone(void **state)
{
    const uint32_t cost = 4 + WIRE_OUTPUT_COST;
    struct world *x = up(1);

    (void)state;
    memset(&pieces, 0, sizeof(pieces));
    x->on_send = on_said;
    x->auto_ready = true;
    chunk(x, 10, 1, 0, 1);
    turn(x);
    says(x, 1, 0, "abc\n");
    taken(x, 10, 1, pieces.of[0].window, cost);
    close_attempt(x, 10, WIRE_WHY_GONE);
    forget_pool(x, 1);
    turn(x);
    died(x, 1, 0, true);
    turn(x);
    grant(x, 1, 1, "prog", 0);                  /* the lane that had it leaves it */
    assert_int_equal(x->w->windows.count, 0);
    open_job(x, 2, 1, 2, 0, 0);
    chunk(x, 20, 2, 0, 1);
    turn(x);
    says(x, x->last_proc, 0, "abc\n");
    assert_int_equal(pieces.n, 2);
    assert_true(pieces.of[1].window != pieces.of[0].window);
    close_attempt(x, 20, WIRE_WHY_GONE);
    forget_pool(x, 1);
    turn(x);
    died(x, x->last_proc, 0, true);
    turn(x);
    grant(x, 9, 1, "prog", 0);
    assert_int_equal(x->w->windows.count, 1);
    taken(x, 20, 1, pieces.of[1].window, cost);
    assert_int_equal(x->w->windows.count, 0);
    world_done(x);
}

/* Nothing more is read while what was sent is not taken. On the next connection nothing is out until it is sent again. */
static void r21_nothing_is_read_while_the_window_is_full(void **state)
{
    const uint32_t cost = 4 + WIRE_OUTPUT_COST;
    struct world *x = two_pools();

    (void)state;
    x->w->config.output_window = 2 * cost;
    says(x, 1, 0, "abc\n");
    assert_true(worker_output_room(x->w, 1));
    says(x, 1, 0, "abc\n");
    assert_int_equal(pieces.n, 2);
    assert_false(worker_output_room(x->w, 1));
    assert_true(worker_output_room(x->w, 2));
    again_connected(x, 99, true);
    turn(x);
    assert_int_equal(pieces.n, 4);
    assert_false(worker_output_room(x->w, 1));
    taken(x, 10, 1, pieces.of[2].window, cost);
    assert_true(worker_output_room(x->w, 1));
    world_done(x);
}

/* One that is larger than the window goes alone. What the broker gives back is never more than what is out. */
static void r21_a_piece_larger_than_the_window_goes_alone(void **state)
{
    const uint32_t cost = 4 + WIRE_OUTPUT_COST;
    struct world *x = two_pools();

    (void)state;
    x->w->config.output_window = cost - 1;
    for (int k = 0; k < 3; k++)
        says(x, 1, 0, "abc\n");
    assert_int_equal(pieces.n, 1);
    taken(x, 10, 1, pieces.of[0].window, 2 * cost);
    assert_int_equal(pieces.n, 2);
    taken(x, 10, 2, pieces.of[0].window, cost);
    assert_int_equal(pieces.n, 3);
    world_done(x);
}

/* Two windows full wait: no task begins until some of it is sent. */
static void r21_tasks_begin_when_the_window_opens(void **state)
{
    const uint32_t cost = 4 + WIRE_OUTPUT_COST;
    struct world *x = two_pools();

    (void)state;
    x->w->config.output_window = 2 * cost;
    for (int k = 0; k < 6; k++)
        says(x, 1, 0, "abc\n");
    assert_int_equal(pieces.n, 2);
    chunk(x, 11, 1, 1, 1);
    ran(x, 1, 1, 1000);
    turn(x);
    clear(x);
    taken(x, 10, 2, pieces.of[0].window, 2 * cost);
    assert_int_equal(pieces.n, 4);
    assert_null(strstr(x->trace, "push"));
    taken(x, 10, 4, pieces.of[0].window, 2 * cost);
    assert_int_equal(pieces.n, 6);
    assert_non_null(strstr(x->trace, "p1 push 1..1"));
    world_done(x);
}

/* The pool that got the lane after a restart has a job there itself, the first one, and keeps it; the other job leaves. Nothing
 * leaves a lane that no pool has got. */
static void r15_a_task_of_another_pool_leaves_from_behind_the_pools_own(void **state)
{
    struct world *x = &world;

    (void)state;
    world_init(x, 4);
    online(x, 99);
    x->auto_ready = true;
    grant(x, 1, 2, "a", 0);
    grant(x, 2, 1, "b", 0);
    for (uint8_t job = 1; job <= 3; job++)
        open_job(x, job, job == 3 ? 2 : 1, job, 0, 0);
    for (uint32_t job = 1; job <= 3; job++)
        chunk(x, 10 * job, job, 0, 3);
    turn(x);
    again_connected(x, 100, false);
    grant(x, 7, 2, "a", 0);
    open_job(x, 1, 7, 1, 0, 0);
    clear(x);
    grant(x, 7, 0, "a", 0);
    EXPECT(x, "p1 gives back 2\np2 gives back 2\n> RESULTS [20 1..2 returned]\n");
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

/* Both jobs are known to be short, so the process would get tasks of both at once: each has its own limit all the same. */
static void tasks_with_another_run_limit_wait_for_those_before(void **state)
{
    struct world *x = up(1);

    (void)state;
    open_job(x, 2, 1, 2, 500, 0);
    for (uint32_t job = 1; job <= 2; job++) {
        chunk(x, job, job, 0, 1);
        turn(x);
        ran(x, 1, 1, 1000);
        turn(x);
    }
    clear(x);
    chunk(x, 10, 2, 1, 2);
    chunk(x, 11, 1, 1, 2);
    chunk(x, 12, 2, 3, 2);
    turn(x);
    EXPECT(x, "p1 push 1..2\n");
    assert_int_equal(x->procs[1].limit, 500);
    ran(x, 1, 2, 1000);
    turn(x);
    EXPECT(x, "p1 limit 0\n> RESULTS [10 1..2 ok]\np1 push 1..2\n");
    ran(x, 1, 2, 1000);
    turn(x);
    EXPECT(x, "p1 limit 500\n> RESULTS [11 1..2 ok]\np1 push 3..4\n");
    ran(x, 1, 2, 1000);
    turn(x);
    EXPECT(x, "> RESULTS [12 3..4 ok]\n");
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
        open_job(x, k, k, (uint8_t)k, 0, 0);
        chunk(x, 10 + k, k, 0, 1);
        turn(x);
        ran(x, k, 1, 1000);
        turn(x);
        close_attempt(x, 10 + k, WIRE_WHY_DONE);
        clear(x);
        forget_pool(x, k);
        died(x, k, 0, false);
        advance(x, 1);
        EXPECT(x, k == 1 ? "p1 stop\n" : k == 2 ? "p2 stop\n" : "p3 stop\nlane 1 stop\n");
    }
    grant(x, 9, 1, "a3", 0);
    open_job(x, 9, 9, 9, 0, 0);
    chunk(x, 19, 9, 0, 1);
    turn(x);
    EXPECT(x, "p4 start\np4 job 0\np4 push 0..0\n");
    world_done(x);
}

/* However often there is no room: its tasks go back each time, and no death of a template is counted. */
static void r09_no_room_is_not_now(void **state)
{
    struct world *x = &world;

    (void)state;
    world_init(x, 2);
    online(x, 99);
    grant(x, 1, 1, "a", 0);
    open_job(x, 1, 1, 1, 0, 0);
    for (uint32_t k = 1; k <= 20; k++) {
        clear(x);
        grant(x, 1, 1, "a", 0);
        EXPECT(x, k == 1 ? "" : "lane 1 start\n");
        chunk(x, 2 * k, 1, 0, 3);
        turn(x);
        worker_lane_not_now(x->w, x->now, 1, "fetch", "no room");
        turn(x);
        clear(x);
        chunk(x, 2 * k + 1, 1, 5, 1);           /* the broker had sent it before it knew */
        turn(x);
        clear(x);
        grant(x, 1, 0, "a", 0);
        advance(x, 1000);
        close_attempt(x, 2 * k, WIRE_WHY_GONE);
        close_attempt(x, 2 * k + 1, WIRE_WHY_GONE);
    }
    clear(x);
    grant(x, 1, 1, "a", 0);
    EXPECT(x, "lane 1 start\n");
    chunk(x, 100, 1, 0, 3);
    turn(x);
    worker_lane_not_now(x->w, x->now, 1, "fetch", "no room");
    turn(x);
    EXPECT(x, "lane 1 stop\n> POOL_FAILED for now pool 1 fetch: no room\n> RESULTS [100 0..2 returned]\n");
    world_done(x);
}

/* The longest idle one is told by the worker's shell; what has anything to do stays. */
static void r09_a_quiet_lane_yields(void **state)
{
    struct world *x = &world;

    (void)state;
    world_init(x, 2);
    online(x, 99);
    x->auto_ready = true;
    grant(x, 1, 1, "a", 0);
    assert_true(worker_lane_quiet(x->w, 1) <= x->now);
    open_job(x, 1, 1, 1, 0, 0);
    chunk(x, 10, 1, 0, 1);
    assert_true(worker_lane_quiet(x->w, 1) == CLOCK_NEVER);     /* it waits */
    turn(x);
    assert_true(worker_lane_quiet(x->w, 1) == CLOCK_NEVER);     /* it runs */
    clear(x);
    worker_lane_yield(x->w, x->now, 1, "room");
    turn(x);
    EXPECT(x, "");
    x->now += CLOCK_SEC;
    ran(x, 1, 1, 1000);
    turn(x);
    assert_true(worker_lane_quiet(x->w, 1) == x->now);          /* its result is kept for the broker all the same */
    x->now += CLOCK_SEC;
    clear(x);
    worker_lane_yield(x->w, x->now, 1, "room");
    assert_true(worker_deadline(x->w) <= x->now);
    turn(x);
    EXPECT(x, "lane 1 stop\n> POOL_FAILED for now pool 1 fetch: room\n> PING\n");
    grant(x, 1, 0, "a", 0);
    grant(x, 1, 1, "a", 0);
    EXPECT(x, "lane 1 start\n");
    grant(x, 1, 0, "a", 0);                     /* without slots nobody needs to be told */
    clear(x);
    worker_lane_yield(x->w, x->now, 1, "room");
    turn(x);
    EXPECT(x, "lane 1 stop\n");
    close_attempt(x, 10, WIRE_WHY_DONE);
    forget_pool(x, 1);
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
    warm(x, 2);
    x->auto_ready = true;
    clear(x);
    grant(x, 1, 1, "a", 0);
    grant(x, 2, 1, "b", 0);
    open_job(x, 2, 2, 2, 0, 0);
    EXPECT(x, "lane 2 start\n");
    chunk(x, 20, 2, 0, 1);
    turn(x);
    EXPECT(x, "p1 stop\n");
    died(x, 1, 0, false);
    turn(x);
    EXPECT(x, "p3 start\np3 job 0\np3 push 0..0\n");
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
    EXPECT(x, "> RESULTS [10 1..1 ok]\n");
    open_job(x, 2, 2, 2, 0, 0);
    chunk(x, 20, 2, 0, 1);
    turn(x);
    EXPECT(x, "p1 stop\n");
    died(x, 1, 0, false);
    turn(x);
    EXPECT(x, "p2 start\np2 job 0\np2 push 0..0\n");
    world_done(x);
}

/* What waits in a lane whose process is not there yet is run without a new grant, too: it was given before. */
static void what_waits_is_run_after_a_cut(void **state)
{
    struct world *x = &world;

    (void)state;
    world_init(x, 1);
    online(x, 99);
    grant(x, 1, 1, "a", 0);
    open_job(x, 1, 1, 1, 0, 0);
    chunk(x, 10, 1, 0, 2);
    turn(x);
    worker_disconnected(x->w, x->now, "test");
    worker_connected(x->w, x->now);
    turn(x);
    welcome(x, 99, true);
    turn(x);
    clear(x);
    x->auto_ready = true;
    lane_ready(x, 1);
    turn(x);
    assert_non_null(strstr(x->trace, "push 0..1"));
    world_done(x);
}

/* The same program, but what a template has in memory is its owner's. */
static void r08_a_warm_template_is_its_owners(void **state)
{
    struct world *x = &world;

    (void)state;
    world_init(x, 1);
    online(x, 99);
    x->auto_ready = true;
    grant(x, 1, 1, "a", 0);
    forget_pool(x, 1);
    clear(x);
    x->owner = 8;
    grant(x, 2, 1, "a", 0);
    EXPECT(x, "lane 2 start\n");
    forget_pool(x, 2);
    clear(x);
    x->owner = 7;
    grant(x, 3, 1, "a", 0);
    EXPECT(x, "");                  /* it was kept for this one */
    world_done(x);
}

static void heartbeats_and_the_broker_s_silence(void **state)
{
    struct world *x = up(1);

    (void)state;
    advance(x, 1000);
    EXPECT(x, "> PING\n");
    worker_stalled(x->w, x->now, x->now + 3 * CLOCK_SEC);
    for (int k = 0; k < 4; k++)
        advance(x, 1000);
    EXPECT(x, "> PING\n> PING\n> PING\n> PING\n");
    advance(x, 1000);
    EXPECT(x, "reconnect: the broker was silent for 2500 ms\n");
    world_done(x);
}

static void pong(struct world *x, uint64_t stamp)
{
    struct wire_msg m = { .type = WIRE_PONG };

    m.u.ping.stamp = stamp;
    message(x, &m);
    turn(x);
}

/* Half a lease without a word: a new connection, while the lease still runs. Who has work asks often enough for that. */
static void r20_half_a_lease_of_silence_makes_a_new_connection(void **state)
{
    struct world *x = up(1);
    uint64_t from;

    (void)state;
    chunk(x, 10, 1, 0, 3);
    turn(x);
    clear(x);
    from = x->now;
    advance(x, 250);
    EXPECT(x, "> PING\n");
    pong(x, x->now);
    advance(x, 250);
    EXPECT(x, "> PING\n");
    advance(x, 2249);
    clear(x);
    advance(x, 1);
    EXPECT(x, "reconnect: the broker was silent for 2500 ms\n");
    assert_int_equal(worker_lease_end(x->w), from + (250 + 5000) * CLOCK_MS);
    ran(x, 1, 1, 1000);                 /* the lease runs: work goes on */
    turn(x);
    assert_int_equal(x->procs[1].n, 2);
    world_done(x);
}

/* The answer to what was sent first counts, not that messages come: the broker may not hear us. */
static void r20_nothing_is_begun_when_the_lease_has_passed_unanswered(void **state)
{
    struct world *x = up(1);

    (void)state;
    chunk(x, 10, 1, 0, 3);
    chunk(x, 11, 1, 3, 3);
    turn(x);
    EXPECT(x, "p1 job 0\np1 push 0..2\n");
    for (int k = 0; k < 4; k++) {
        advance(x, 1000);
        pong(x, 0);
    }
    assert_int_equal(worker_right_until(x->w), x->now + 1000 * CLOCK_MS);   /* also if we do not run until then */
    clear(x);
    advance(x, 1000);                   /* what has not begun comes back from the ring */
    assert_non_null(strstr(x->trace, "p1 gives back 2\n"));
    clear(x);
    ran(x, 1, 1, 1000);
    turn(x);
    EXPECT(x, "> RESULTS [10 0..0 ok]\n");
    pong(x, x->now - 2000 * CLOCK_MS);  /* asked before the lease had passed: says nothing about now */
    EXPECT(x, "");
    assert_int_equal(worker_right_until(x->w), 0);
    worker_disconnected(x->w, x->now, "test");
    worker_connected(x->w, x->now);
    turn(x);
    welcome(x, 99, true);
    turn(x);
    assert_null(strstr(x->trace, "push"));      /* WELCOME alone does not say what is still ours */
    assert_int_equal(worker_right_until(x->w), 0);
    clear(x);
    close_attempt(x, 10, WIRE_WHY_FENCED);
    turn(x);
    assert_null(strstr(x->trace, "push"));
    grant(x, 1, 1, "prog", 0);
    clear(x);
    pong(x, x->now);
    assert_non_null(strstr(x->trace, "push 3..5\n"));  /* and none of the attempt that was fenced */
    assert_int_equal(worker_right_until(x->w), x->now + 5000 * CLOCK_MS);
    assert_null(strstr(x->trace, "push 1"));
    world_done(x);
}

static void r20_a_worker_that_was_revoked_begins_nothing(void **state)
{
    for (int said = 0; said < 2; said++) {
        struct world *x = up(1);
        struct wire_msg m = { .type = WIRE_ERROR };

        (void)state;
        chunk(x, 10, 1, 0, 3);
        turn(x);
        clear(x);
        m.u.error.code = BFORK_EDENIED;
        m.u.error.text = WIRE_STR("the key of this session was revoked");
        if (said) {
            message(x, &m);
            turn(x);
            EXPECT(x, "p1 gives back 2\nreconnect: the broker ended the session: the key of this session was revoked\n");
        } else {
            worker_disconnected(x->w, x->now, "cut");
            worker_denied(x->w, x->now);        /* by the handshake of the next connection */
            turn(x);
            EXPECT(x, "p1 gives back 2\n");
        }
        ran(x, 1, 1, 1000);
        turn(x);
        EXPECT(x, "");
        world_done(x);
    }
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
    EXPECT(x, "p1 kill: it reported results that nobody asked for\n> RESULTS [11 0..0 ok]\n");
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

static void r10_an_outcome_of_no_kind_is_a_failure(void **state)
{
    static const int32_t kinds[] = { BFORK_MISMATCH - 1, -999, INT32_MIN, 0, 7 };
    struct world *x = up(1);

    (void)state;
    chunk(x, 11, 1, 6, sizeof(kinds) / sizeof(kinds[0]));
    turn(x);
    clear(x);
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        struct wire_outcome o = { .kind = kinds[k], .message = WIRE_STR("forged") };
        struct buf *doc = wire_outcome_encode(&o);
        struct wire_item i = { .count = 1, .kind = WIRE_OUTCOME, .pid = 4 };
        i.body = slice_borrow(doc->data, doc->size);
        worker_proc_results(x->w, x->now, 1, &i);
        buf_unref(&doc);
    }
    turn(x);
    EXPECT(x, "> RESULTS [11 6..6 outcome -1 try 1] [11 7..7 outcome -1 try 1] [11 8..8 outcome -1 try 1] "
              "[11 9..9 outcome -1 try 1] [11 10..10 outcome -1 try 1]\n");
    world_done(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_goes_through),
        cmocka_unit_test(unknown_tasks_go_to_idle_processes_only),
        cmocka_unit_test(short_tasks_fill_rings_evenly),
        cmocka_unit_test(r22_no_more_processes_than_tasks), cmocka_unit_test(r22_a_scarce_process_is_tried_again),
        cmocka_unit_test(r10_a_task_whose_process_denies_it_is_charged),
        cmocka_unit_test(r10_who_wrote_over_the_ring_is_found),
        cmocka_unit_test(r10_at_most_once_what_was_in_a_broken_ring_is_unknown),
        cmocka_unit_test(r10_a_task_that_runs_apart_has_its_process_alone),
        cmocka_unit_test(r10_a_cancelled_task_that_wrote_over_the_ring_is_cancelled),
        cmocka_unit_test(r22_a_pool_whose_processes_never_start_fails),
        cmocka_unit_test(what_waits_behind_a_long_task_moves_to_an_idle_process),
        cmocka_unit_test(a_crash_costs_one_task_and_keeps_what_was_done),
        cmocka_unit_test(three_failing_starts_fail_the_pool),
        cmocka_unit_test(a_template_that_fails_returns_its_chunks),
        cmocka_unit_test(r16_a_template_that_dies_is_started_again),
        cmocka_unit_test(r16_a_task_that_takes_its_template_along_is_lost_after_three),
        cmocka_unit_test(r21_a_task_that_runs_again_in_its_attempt_says_so),
        cmocka_unit_test(r21_each_stream_has_offsets_of_its_own),
        cmocka_unit_test(r21_results_wait_for_both_streams_of_their_tasks),
        cmocka_unit_test(r18_a_pool_that_is_granted_again_has_the_window_it_had),
        cmocka_unit_test(r21_the_window_of_what_has_no_pool_opens),
        cmocka_unit_test(r16_a_task_that_was_lost_with_workers_is_lost_sooner),
        cmocka_unit_test(r16_a_template_that_nobody_wants_is_not_started_again),
        cmocka_unit_test(r16_at_most_once_what_ran_is_unknown),
        cmocka_unit_test(r16_only_repeated_failures_to_start_fail_the_pool),
        cmocka_unit_test(what_it_does_not_understand_is_refused_by_name),
        cmocka_unit_test(r06_what_clients_can_repeat_is_limited_in_the_log),
        cmocka_unit_test(r24_a_finalizer_that_is_not_understood_fails_its_pool_at_once),
        cmocka_unit_test(r24_what_crosses_with_the_refusal_of_a_pool_goes_back),
        cmocka_unit_test(recall_returns_what_has_not_begun),
        cmocka_unit_test(r02_a_question_for_what_has_not_begun_is_answered),
        cmocka_unit_test(cancels_and_a_drain_of_an_attempt_end_what_they_name),
        cmocka_unit_test(r15_a_task_between_cancelled_ones_runs_on),
        cmocka_unit_test(recall_of_the_middle_of_a_ring_keeps_the_work_behind_it),
        cmocka_unit_test(cancel_kills_what_runs_of_it),
        cmocka_unit_test(cancel_of_later_tasks_lets_the_running_one_finish),
        cmocka_unit_test(a_claimed_neighbour_of_a_cancelled_task_runs_again),
        cmocka_unit_test(r15_cancels_of_all_that_follows_are_one),
        cmocka_unit_test(a_fenced_attempt_is_killed_and_never_reported),
        cmocka_unit_test(results_are_sent_again_after_a_reconnect_until_closed),
        cmocka_unit_test(r07_a_forgotten_job_keeps_results_and_no_specification),
        cmocka_unit_test(r07_a_grant_of_no_slots_brings_no_specification),
        cmocka_unit_test(r07_what_may_have_ended_behind_a_cut_is_not_kept),
        cmocka_unit_test(r07_what_runs_through_a_cut_keeps_no_handles),
        cmocka_unit_test(a_restarted_broker_finds_lanes_and_jobs_again),
        cmocka_unit_test(r15_a_pool_that_ends_takes_no_task_of_another_one_along),
        cmocka_unit_test(r15_a_lane_without_slots_keeps_no_task_of_another_pool),
        cmocka_unit_test(r21_the_window_of_a_lane_whose_pool_is_gone_opens),
        cmocka_unit_test(r18_what_is_taken_opens_no_other_window),
        cmocka_unit_test(r21_the_window_of_a_closed_pool_opens),
        cmocka_unit_test(r21_the_window_of_a_closed_attempt_opens),
        cmocka_unit_test(r18_a_job_in_two_lanes_has_two_windows),
        cmocka_unit_test(r18_a_number_of_another_broker_names_no_window),
        cmocka_unit_test(r18_a_window_in_use_keeps_its_number),
        cmocka_unit_test(r18_a_window_that_nobody_needs_is_gone),
        cmocka_unit_test(r21_nothing_is_read_while_the_window_is_full),
        cmocka_unit_test(r21_a_piece_larger_than_the_window_goes_alone),
        cmocka_unit_test(r21_tasks_begin_when_the_window_opens),
        cmocka_unit_test(r15_a_task_of_another_pool_leaves_from_behind_the_pools_own),
        cmocka_unit_test(the_window_of_the_broker_is_kept),
        cmocka_unit_test(fewer_slots_feed_fewer_processes),
        cmocka_unit_test(processes_are_renewed_after_max_tasks),
        cmocka_unit_test(a_run_limit_is_set_before_the_first_push),
        cmocka_unit_test(tasks_with_another_run_limit_wait_for_those_before),
        cmocka_unit_test(warm_templates_are_bounded),
        cmocka_unit_test(r09_no_room_is_not_now),
        cmocka_unit_test(r09_a_quiet_lane_yields),
        cmocka_unit_test(slots_are_lent_by_idle_surplus_processes),
        cmocka_unit_test(grants_end_with_the_connection),
        cmocka_unit_test(what_waits_is_run_after_a_cut),
        cmocka_unit_test(r08_a_warm_template_is_its_owners),
        cmocka_unit_test(heartbeats_and_the_broker_s_silence),
        cmocka_unit_test(r20_half_a_lease_of_silence_makes_a_new_connection),
        cmocka_unit_test(r20_nothing_is_begun_when_the_lease_has_passed_unanswered),
        cmocka_unit_test(r20_a_worker_that_was_revoked_begins_nothing),
        cmocka_unit_test(drain_gives_back_finishes_and_stops),
        cmocka_unit_test(errors_reset_and_versions),
        cmocka_unit_test(nonsense_from_the_broker_ends_the_session),
        cmocka_unit_test(results_that_nobody_asked_for_kill_the_process),
        cmocka_unit_test(an_outcome_of_the_process_is_completed),
        cmocka_unit_test(r10_an_outcome_of_no_kind_is_a_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
