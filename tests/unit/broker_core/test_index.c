/* SPDX-License-Identifier: MPL-2.0
 * test_index.c - tasks are found by index: what any frame costs is bounded and counted, nothing of a job is dropped in silence, and
 * nobody answers for what is not his.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#define RANGES 131072u
#define LOG_RANGES 17u
#define STEPS_A_RECORD (8 * LOG_RANGES)     /* a search, a removal and an insertion in trees of expected depth */
#define STEPS_A_TURN (2 * 2048u * STEPS_A_RECORD)

static struct broker_counters counters(struct world *w)
{
    struct broker_counters n;

    broker_counters(w->b, &n);
    return n;
}

/* A job of RANGES ranges of one task that do not merge, since every second index is left out. */
static struct world *crowded(void)
{
    static struct wire_item items[WIRE_ITEMS_MAX];
    struct world *w = world_new(NULL);

    client_start(w, "c1", 1, NULL);
    w->quiet = true;
    for (uint32_t i = 0; i < RANGES;) {
        uint32_t n = 0;
        for (; n < WIRE_ITEMS_MAX && i < RANGES; n++, i++)
            items[n] = (struct wire_item){ .job = 1, .first = 2 * (uint64_t)i, .count = 1, .flags = WIRE_FIXED };
        uint64_t steps = world_steps(w, "c1", &(struct wire_msg){ .type = WIRE_TASKS, .items = items, .n_items = n });
        if (steps > n * STEPS_A_RECORD)
            fail_msg("TASKS of %u records cost %llu steps", n, (unsigned long long)steps);
    }
    assert_int_equal(counters(w).queued, RANGES);
    return w;
}

static void settle(struct world *w)
{
    for (int turns = 0; broker_deadline(w->b) <= w->now; turns++) {
        uint64_t before = broker_steps(w->b);
        broker_tick(w->b, w->now);
        broker_flush(w->b, w->now);
        broker_effects_done(w->b);
        if (broker_steps(w->b) - before > STEPS_A_TURN)
            fail_msg("a turn costs %llu steps", (unsigned long long)(broker_steps(w->b) - before));
        assert_true(turns < 1000);
    }
}

static void r06_a_frame_of_cancels_costs_its_records(void **state)
{
    static struct wire_item items[WIRE_ITEMS_MAX];
    struct world *w = crowded();

    (void)state;
    for (uint32_t i = 0; i < WIRE_ITEMS_MAX; i++)
        items[i] = (struct wire_item){ .job = 1, .first = 2 * ((uint64_t)i * 48271 % RANGES), .count = 1, .why = WIRE_WHY_CANCEL };
    uint64_t steps = world_steps(w, "c1", &(struct wire_msg){ .type = WIRE_CANCEL, .items = items, .n_items = WIRE_ITEMS_MAX });
    if (steps > WIRE_ITEMS_MAX * STEPS_A_RECORD)
        fail_msg("%u cancels cost %llu steps", WIRE_ITEMS_MAX, (unsigned long long)steps);
    assert_int_equal(counters(w).queued, RANGES - WIRE_ITEMS_MAX);
    assert_null(broker_check(w->b));
    world_free(w);
}

/* One record that touches everything is carried out over turns, and is complete. */
static void r06_what_touches_everything_is_spread_over_turns(void **state)
{
    struct wire_item all = { .job = 1, .why = WIRE_WHY_CANCEL };
    struct wire_msg ends[] = { { .type = WIRE_CANCEL, .items = &all, .n_items = 1 },
                               { .type = WIRE_POOL_CLOSE }, { .type = WIRE_BYE } };

    (void)state;
    ends[1].u.pool_ref.pool = 1;
    for (size_t k = 0; k < sizeof(ends) / sizeof(ends[0]); k++) {
        struct world *w = crowded();
        uint64_t steps = world_steps(w, "c1", &ends[k]);
        if (steps > STEPS_A_TURN)
            fail_msg("%s costs %llu steps", wire_type_name(ends[k].type), (unsigned long long)steps);
        assert_true(counters(w).queued > 0);
        settle(w);
        assert_int_equal(counters(w).queued, 0);
        assert_null(broker_check(w->b));
        world_free(w);
    }
}

/* However many there are, and however they lie: none ends the job, each cancels what it names and nothing else. */
static void r06_many_cancels_of_many_tasks_go_on(void **state)
{
    static struct wire_item items[WIRE_ITEMS_MAX];
    struct world *w = crowded();
    uint32_t n = 0;

    (void)state;
    for (; n < RANGES / 100; n++)           /* 75 of each 100, from the end to the front */
        items[n] = (struct wire_item){ .job = 1, .first = 200 * (uint64_t)(RANGES / 100 - 1 - n), .count = 150,
                                       .why = WIRE_WHY_CANCEL };
    uint64_t steps = world_steps(w, "c1", &(struct wire_msg){ .type = WIRE_CANCEL, .items = items, .n_items = n });
    if (steps > STEPS_A_TURN)
        fail_msg("%u cancels cost %llu steps", n, (unsigned long long)steps);
    assert_int_equal(counters(w).refused, 0);
    settle(w);
    assert_int_equal(counters(w).refused, 0);
    assert_int_equal(counters(w).queued, RANGES - n * 75);
    assert_null(broker_check(w->b));
    world_free(w);
}

/* Tasks of different lengths that came as one range. */
static void r06_a_range_is_cut_up_from_any_side(void **state)
{
    enum { N = 32768 };
    static struct wire_item items[WIRE_ITEMS_MAX];
    static uint8_t lens[4 * N], body[N];
    struct wire_item tasks = { .job = 1, .count = N, .lens = slice_borrow(lens, sizeof(lens)) };
    uint32_t size = 0;

    (void)state;
    for (uint32_t i = 0; i < N; i++)
        size += lens[4 * i] = i % 2;
    tasks.size = size;
    tasks.body = slice_borrow(body, size);
    for (int down = 0; down < 2; down++) {
        struct world *w = world_new(NULL);
        client_start(w, "c1", 1, NULL);
        w->quiet = true;
        world_send(w, "c1", &(struct wire_msg){ .type = WIRE_TASKS, .items = &tasks, .n_items = 1 });
        for (uint32_t i = 0; i < WIRE_ITEMS_MAX; i++)
            items[i] = (struct wire_item){ .job = 1, .first = down ? N - 2 - 2 * i : 2 * i, .count = 1, .why = WIRE_WHY_CANCEL };
        uint64_t steps = world_steps(w, "c1", &(struct wire_msg){ .type = WIRE_CANCEL, .items = items, .n_items = WIRE_ITEMS_MAX });
        if (steps > WIRE_ITEMS_MAX * STEPS_A_RECORD)
            fail_msg("%u cancels cost %llu steps", WIRE_ITEMS_MAX, (unsigned long long)steps);
        assert_int_equal(counters(w).queued, N - WIRE_ITEMS_MAX);
        assert_null(broker_check(w->b));
        world_free(w);
    }
}

static void r15_every_piece_of_an_adopted_attempt_goes_back(void **state)
{
    struct world *w = world_new(NULL);
    const struct wire_job_spec hundreds = { .chunk = 100 };

    (void)state;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, &hundreds);
    client_tasks(w, "c1", 1, 0, 100, 100);
    world_restart(w, EPOCH * 2);
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    assert_int_equal(counters(w).adopted, 1);
    world_peer(w, "c1")->acked = 0;
    client_start(w, "c1", 1, &hundreds);
    for (uint32_t i = 0; i < 50; i++)
        client_replay(w, "c1", 1, 2 * i, 1, 0);
    assert_int_equal(counters(w).running, 100);
    simple(w, "w1", WIRE_BYE, 0);
    assert_int_equal(counters(w).running, 0);
    assert_int_equal(counters(w).queued, 50);       /* those that were replayed: each of them, and no other */
    world_free(w);
}

static void r15_a_cancel_of_what_nobody_knows_has_an_outcome(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    client_start(w, "c1", 1, NULL);
    client_tasks(w, "c1", 1, 0, 5, 100);
    client_tasks(w, "c1", 1, 10, 5, 100);
    world_forget(w);
    client_cancel(w, "c1", 1, 7, 1);
    EXPECT(w, "[   0] > c1 OUTCOMES s1 j1 7+1 cancelled\n");
    world_free(w);
}

static struct wire_item seen[32];
static struct wire_cancelled told;
static uint32_t answered;
static size_t n_seen;

static void note(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    (void)w;
    (void)p;
    if (m->type == WIRE_CANCELLED) {
        told = m->u.cancelled;
        answered = m->request;
    }
    for (n_seen = m->type == WIRE_TASKS_SEEN ? 0 : n_seen; m->type == WIRE_TASKS_SEEN && n_seen < m->n_items; n_seen++)
        seen[n_seen] = m->items[n_seen];
}

static void r15_a_client_finds_out_what_was_lost_and_sends_it_again(void **state)
{
    struct wire_item look = { .job = 1, .first = 0, .count = 30 };
    struct world *w = world_new(NULL);

    (void)state;
    w->hook = note;
    client_start(w, "c1", 1, NULL);
    client_tasks(w, "c1", 1, 0, 10, 100);
    client_tasks(w, "c1", 1, 20, 10, 100);
    world_send(w, "c1", &(struct wire_msg){ .type = WIRE_TASKS_LOOK, .request = 5, .items = &look, .n_items = 1 });
    assert_int_equal(n_seen, 3);
    assert_true(seen[0].first == 0 && seen[0].count == 10 && !seen[0].kind);
    assert_true(seen[1].first == 10 && seen[1].count == 10 && seen[1].kind == 1);
    assert_true(seen[2].first == 20 && seen[2].count == 10 && !seen[2].kind);
    world_after(w, 60000);
    client_replay(w, "c1", 1, 5, 20, 0);            /* what is here is not taken twice */
    assert_int_equal(counters(w).queued, 30);
    world_free(w);
}

/* What is asked about has an answer: of each record, and of a job that has ended. */
static void r15_every_record_of_a_look_is_answered(void **state)
{
    struct wire_item looks[20];
    struct world *w = world_new(NULL);

    (void)state;
    w->hook = note;
    client_start(w, "c1", 1, NULL);
    client_tasks(w, "c1", 1, 0, 10, 100);
    for (uint32_t i = 0; i < 20; i++)
        looks[i] = (struct wire_item){ .job = 1, .first = i, .count = 1 };
    looks[19].job = 7;
    world_send(w, "c1", &(struct wire_msg){ .type = WIRE_TASKS_LOOK, .request = 5, .items = looks, .n_items = 20 });
    assert_int_equal(n_seen, 20);
    for (uint32_t i = 0; i < 20; i++)
        assert_true(seen[i].first == i && seen[i].count == 1 && seen[i].kind == (i >= 10) && seen[i].job == looks[i].job);
    world_free(w);
}

static void r02_a_cancel_of_what_waits_leaves_what_runs(void **state)
{
    struct wire_item all = { .job = 1, .count = 30, .why = WIRE_WHY_QUEUED };
    struct world *w = world_new(NULL);

    (void)state;
    w->hook = note;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, &(struct wire_job_spec){ .chunk = 10 });
    client_tasks(w, "c1", 1, 0, 30, 100);
    world_forget(w);
    world_send(w, "c1", &(struct wire_msg){ .type = WIRE_CANCEL, .request = 7, .items = &all, .n_items = 1 });
    assert_int_equal(told.cancelled, 20);
    assert_int_equal(told.running, 10);
    assert_int_equal(told.done, 0);
    assert_int_equal(counters(w).running, 10);
    worker_done(w, "w1", 1, 0, 10, 1000);
    assert_int_equal(counters(w).tasks_ok, 10);
    world_free(w);
}

/* The broker starts again and the client is back first: 30 tasks are held, of which w1 had ten. */
static struct world *restarted(void)
{
    struct world *w = world_new(NULL);

    w->hook = note;
    answered = 0;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, &(struct wire_job_spec){ .chunk = 10 });
    client_tasks(w, "c1", 1, 0, 30, 100);
    world_restart(w, EPOCH * 2);
    world_peer(w, "c1")->acked = 0;
    client_start(w, "c1", 1, &(struct wire_job_spec){ .chunk = 10 });
    client_replay(w, "c1", 1, 0, 30, 0);
    assert_int_equal(counters(w).queued, 30);
    world_forget(w);
    return w;
}

/* Who has begun it is not known yet: the answer comes when it is, and what was told to be cancelled does not begin. */
static void r02_a_cancel_of_what_is_held_is_answered_after_the_hold(void **state)
{
    struct wire_item all = { .job = 1, .count = 30, .why = WIRE_WHY_QUEUED };

    (void)state;
    for (int back = 0; back < 2; back++) {
        struct world *w = restarted();
        world_send(w, "c1", &(struct wire_msg){ .type = WIRE_CANCEL, .request = 7, .items = &all, .n_items = 1 });
        assert_int_equal(answered, 0);
        if (back) {
            worker_hello_only(w, "w1", 1, NULL);
            worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
            assert_int_equal(counters(w).running, 10);
        }
        for (int i = 0; i < 12; i++) {
            world_after(w, 1000);
            if (back)
                simple(w, "w1", WIRE_PING, 1);
        }
        assert_int_equal(answered, 7);
        assert_int_equal(told.cancelled, back ? 20 : 30);
        assert_int_equal(told.running, back ? 10 : 0);
        assert_int_equal(told.done, 0);
        assert_int_equal(counters(w).queued, 0);
        worker_hello(w, "w2", 1);
        assert_int_equal(counters(w).attempts, back ? 1 : 0);
        world_free(w);
    }
}

/* Nothing is told to be cancelled while it may begin: the worker that has it is asked first. */
static void r15_a_cancel_in_the_hold_reaches_who_comes_back(void **state)
{
    struct world *w = restarted();

    (void)state;
    client_cancel(w, "c1", 1, 4, 2);
    client_cancel(w, "c1", 1, 25, 5);
    EXPECT(w, "");
    worker_hello_only(w, "w1", 1, NULL);
    world_forget(w);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    EXPECT(w, "[   0] > w1 RECALL #1 j2 4+2 why 1\n");
    worker_returns(w, "w1", 1, 4, 6);
    EXPECT(w, "[   0] > c1 OUTCOMES s1 j1 4+2 cancelled\n");
    world_after(w, 60000);
    assert_int_equal(counters(w).tasks_failed, 7);
    world_free(w);
}

static bool ended[8000];

static void note_ended(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    note(w, p, m);
    for (uint32_t i = 0; m->type == WIRE_OUTCOMES && i < m->n_items; i++)
        for (uint32_t k = 0; k < m->items[i].count; k++)
            ended[m->items[i].first + k] = true;
}

/* A replay that takes more than a turn, and the cancel behind it: what is cancelled is held like the rest, not told at once. */
static void r15_a_cancel_waits_for_tasks_sent_ahead_of_it(void **state)
{
    static struct wire_item items[WIRE_ITEMS_MAX];
    struct wire_item all = { .job = 1, .count = 6100, .flags = WIRE_FIXED | WIRE_REPLAY },
                     some = { .job = 1, .first = 6000, .count = 50, .why = WIRE_WHY_CANCEL },
                     asked = { .job = 1, .first = 6050, .count = 50, .why = WIRE_WHY_QUEUED };
    struct world *w = world_new(NULL);
    const struct world_peer *p;

    (void)state;
    memset(ended, 0, sizeof(ended));
    answered = 0;
    client_start(w, "c1", 1, NULL);
    w->hook = note_ended;
    w->quiet = true;
    for (uint32_t part = 0; part < 2; part++) {         /* every second place is known */
        for (uint32_t i = 0; i < 1500; i++)
            items[i] = (struct wire_item){ .job = 1, .first = 3000 * part + 2 * i, .count = 1, .why = WIRE_WHY_CANCEL };
        world_send(w, "c1", &(struct wire_msg){ .type = WIRE_CANCEL, .items = items, .n_items = 1500 });
    }
    assert_true(ended[0] && ended[5998]);
    p = world_peer(w, "c1");
    broker_recv(w->b, w->now, p->id, p->role, p->key, &(struct wire_msg){ .type = WIRE_TASKS, .items = &all, .n_items = 1 });
    broker_recv(w->b, w->now, p->id, p->role, p->key,
                &(struct wire_msg){ .type = WIRE_CANCEL, .request = 9, .items = &asked, .n_items = 1 });
    world_send(w, "c1", &(struct wire_msg){ .type = WIRE_CANCEL, .items = &some, .n_items = 1 });
    assert_false(ended[6000] || ended[6049] || ended[6050] || answered);
    assert_int_equal(counters(w).queued, 3100);
    world_after(w, 60000);
    assert_true(ended[6000] && ended[6049] && ended[6050] && !ended[1]);
    assert_int_equal(answered, 9);
    assert_int_equal(told.cancelled, 50);
    assert_int_equal(told.running + told.done, 0);
    assert_int_equal(counters(w).queued, 3000);
    world_free(w);
}

/* Two cancels of an attempt and a drain of its worker in one turn: a record for each, and none names what another wants. */
static void r15_recalls_of_an_attempt_are_told_one_by_one(void **state)
{
    struct wire_item cancels[] = { { .job = 1, .first = 6, .count = 1, .why = WIRE_WHY_CANCEL },
                                   { .job = 1, .first = 3, .count = 1, .why = WIRE_WHY_CANCEL } };
    struct wire_msg drain = { .type = WIRE_WORKER_STATE }, cancel = { .type = WIRE_CANCEL, .items = cancels, .n_items = 2 };
    struct world *w = world_new(NULL);
    const struct world_peer *p;

    (void)state;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, &(struct wire_job_spec){ .chunk = 10 });
    client_tasks(w, "c1", 1, 0, 10, 100);
    world_forget(w);
    p = world_peer(w, "w1");
    drain.u.worker_state = (struct wire_worker_state){ 1, 0, true };
    broker_recv(w->b, w->now, p->id, p->role, p->key, &drain);
    world_send(w, "c1", &cancel);
    EXPECT(w, "[   0] > w1 RECALL #1 j2 6+1 why 1 #1 j2 3+1 why 1 #1 j2 0+10 why 2\n");
    client_cancel(w, "c1", 1, 8, 1);                /* in a turn of its own */
    EXPECT(w, "[   0] > w1 RECALL #1 j2 8+1 why 1\n");
    client_cancel(w, "c1", 1, 7, 1);                /* joins its neighbours */
    EXPECT(w, "[   0] > w1 RECALL #1 j2 6+3 why 1\n");
    world_lost(w, "w1");
    worker_hello_only(w, "w1", 1, NULL);
    world_forget(w);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);  /* perhaps it has heard nothing of it */
    EXPECT(w, "[   0] > w1 RECALL #1 j2 3+1 why 1 #1 j2 6+3 why 1\n");
    worker_returns(w, "w1", 1, 1, 9);
    assert_int_equal(counters(w).tasks_failed, 4);
    assert_int_equal(counters(w).queued, 5);
    world_free(w);
}

/* Its attempt is another's: the result is not taken, and the one who has it still can bring his. */
static void a_result_of_somebody_elses_attempt_is_foreign(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, &(struct wire_job_spec){ .chunk = 10 });
    client_tasks(w, "c1", 1, 0, 10, 100);
    worker_hello(w, "w2", 1);
    worker_done(w, "w2", 1, 0, 10, 1000);
    assert_int_equal(counters(w).tasks_ok, 0);
    assert_int_equal(counters(w).foreign, 10);
    worker_done(w, "w1", 1, 0, 10, 1000);
    assert_int_equal(counters(w).tasks_ok, 10);
    world_free(w);
}

/* More than was handed out: the worker's session ends, and nothing of it is taken. */
static void a_result_that_is_too_long_is_not_clipped(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, &(struct wire_job_spec){ .chunk = 10 });
    client_tasks(w, "c1", 1, 0, 20, 100);
    worker_done(w, "w1", 1, 0, 11, 1000);
    assert_int_equal(counters(w).tasks_ok, 0);
    assert_int_equal(counters(w).workers, 0);
    assert_int_equal(counters(w).queued, 20);
    world_free(w);
}

/* Nor one that reaches into what the worker has given back, and somebody else may run. */
static void a_result_of_what_was_given_back_is_not_clipped(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, &(struct wire_job_spec){ .chunk = 10 });
    client_tasks(w, "c1", 1, 0, 10, 100);
    worker_returns(w, "w1", 1, 5, 5);
    assert_int_equal(counters(w).workers, 1);
    worker_done(w, "w1", 1, 0, 6, 1000);
    assert_int_equal(counters(w).tasks_ok, 0);
    assert_int_equal(counters(w).workers, 0);
    assert_int_equal(counters(w).queued, 10);
    world_free(w);
}

/* The same id under another key is another job. */
static void a_job_of_another_owner_is_not_found_by_its_id(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    client_start(w, "c1", 1, NULL);
    client_tasks(w, "c1", 1, 0, 10, 100);
    world_peer(w, "c1b")->key[2] ^= 1;
    client_start(w, "c1b", 1, NULL);
    client_tasks(w, "c1b", 1, 0, 5, 100);
    assert_int_equal(counters(w).queued, 15);
    assert_int_equal(counters(w).refused, 0);
    world_free(w);
}

/* What was passed over when it ran, and has come back meanwhile, is cancelled, and no more told to be running. */
static void r02_what_comes_back_before_the_answer_is_cancelled(void **state)
{
    struct wire_item all = { .job = 1, .count = 30, .why = WIRE_WHY_QUEUED };
    struct world *w = world_new(NULL);

    (void)state;
    w->hook = note;
    answered = 0;
    worker_hello(w, "w1", 1);
    worker_hello(w, "w2", 1);
    client_start(w, "c1", -1, &(struct wire_job_spec){ .chunk = 10 });
    client_tasks(w, "c1", 1, 0, 30, 100);
    world_restart(w, EPOCH * 2);
    client_start(w, "c1", -1, &(struct wire_job_spec){ .chunk = 10 });
    client_replay(w, "c1", 1, 0, 30, 0);
    worker_hello_only(w, "w2", 1, NULL);
    worker_holding(w, "w2", (uint64_t[]){ 2 }, 1);
    assert_int_equal(counters(w).running, 10);  /* those in the middle */
    world_send(w, "c1", &(struct wire_msg){ .type = WIRE_CANCEL, .request = 7, .items = &all, .n_items = 1 });
    assert_int_equal(answered, 0);              /* the others are held */
    simple(w, "w2", WIRE_BYE, 0);
    world_after(w, 60000);
    assert_int_equal(answered, 7);
    assert_int_equal(counters(w).queued, 0);
    assert_int_equal(told.cancelled, 30);
    assert_int_equal(told.running + told.done, 0);
    world_free(w);
}

/* A cancel that touches one which is not through yet takes it in: none of its tasks is forgotten. */
static void r06_a_cancel_beside_one_that_goes_on_ends_both(void **state)
{
    struct wire_item first = { .job = 1, .count = 20000, .why = WIRE_WHY_CANCEL },
                     second = { .job = 1, .first = 20000, .count = 10, .why = WIRE_WHY_CANCEL };
    struct world *w = crowded();
    const struct world_peer *p = world_peer(w, "c1");

    (void)state;
    broker_recv(w->b, w->now, p->id, p->role, p->key, &(struct wire_msg){ .type = WIRE_CANCEL, .items = &first, .n_items = 1 });
    assert_true(counters(w).queued > RANGES - 10005);       /* more than a turn takes */
    broker_recv(w->b, w->now, p->id, p->role, p->key, &(struct wire_msg){ .type = WIRE_CANCEL, .items = &second, .n_items = 1 });
    settle(w);
    assert_int_equal(counters(w).queued, RANGES - 10005);
    world_free(w);
}

/* Indexes that were received have ended; those that never came may be on their way: they are counted apart. */
static void r02_what_never_came_is_not_told_to_be_done(void **state)
{
    struct wire_item all = { .job = 1, .count = 30, .why = WIRE_WHY_QUEUED };
    struct world *w = world_new(NULL);

    (void)state;
    w->hook = note;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, &(struct wire_job_spec){ .chunk = 10 });
    client_tasks(w, "c1", 1, 0, 10, 100);
    worker_done(w, "w1", 1, 0, 10, 1000);
    client_ack(w, "c1", 1, 1);
    world_send(w, "c1", &(struct wire_msg){ .type = WIRE_CANCEL, .request = 7, .items = &all, .n_items = 1 });
    assert_int_equal(told.done, 10);
    assert_int_equal(told.running, 20);
    assert_int_equal(told.cancelled, 0);
    world_free(w);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(r06_a_frame_of_cancels_costs_its_records), T(r06_what_touches_everything_is_spread_over_turns),
        T(r06_many_cancels_of_many_tasks_go_on), T(r06_a_range_is_cut_up_from_any_side),
        T(r02_a_cancel_of_what_is_held_is_answered_after_the_hold), T(r15_a_cancel_in_the_hold_reaches_who_comes_back),
        T(r15_recalls_of_an_attempt_are_told_one_by_one), T(r15_a_cancel_waits_for_tasks_sent_ahead_of_it),
        T(r15_every_piece_of_an_adopted_attempt_goes_back), T(r15_a_cancel_of_what_nobody_knows_has_an_outcome),
        T(r15_a_client_finds_out_what_was_lost_and_sends_it_again),
        T(r15_every_record_of_a_look_is_answered), T(r02_a_cancel_of_what_waits_leaves_what_runs),
        T(a_result_of_somebody_elses_attempt_is_foreign), T(a_result_that_is_too_long_is_not_clipped),
        T(a_result_of_what_was_given_back_is_not_clipped),
        T(a_job_of_another_owner_is_not_found_by_its_id),
        T(r02_what_comes_back_before_the_answer_is_cancelled), T(r06_a_cancel_beside_one_that_goes_on_ends_both),
        T(r02_what_never_came_is_not_told_to_be_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
