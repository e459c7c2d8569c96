/* SPDX-License-Identifier: MPL-2.0
 * test_ask.c - cancels of what has not begun, of tasks that lie with a worker: what no process has begun is asked back and ends as
 * cancelled, the rest goes on, and the answer counts both.
 */
#include "world.h"

#include <string.h>

#define MOST 16                 /* cancels that are asked at one attempt at a time */

static struct { uint32_t request; struct wire_cancelled told; } answers[64];
static size_t n_answers;
static uint64_t n_cancelled;    /* outcomes */

static void note(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    struct wire_outcome o;

    (void)w, (void)p;
    if (m->type == WIRE_CANCELLED && n_answers < 64) {
        answers[n_answers].request = m->request;
        answers[n_answers++].told = m->u.cancelled;
    }
    for (uint32_t i = 0; i < m->n_items && m->type == WIRE_OUTCOMES; i++)
        if (m->items[i].kind == WIRE_OUTCOME &&
            wire_outcome_decode(m->items[i].body.data, m->items[i].body.size, &o, NULL) == 0 && o.kind == BFORK_CANCELLED)
            n_cancelled += m->items[i].count;
}

static struct broker_counters counters(struct world *w)
{
    struct broker_counters n;

    broker_counters(w->b, &n);
    return n;
}

static struct world *world_asking(void)
{
    struct world *w = world_new(NULL);

    w->hook = note;
    w->features = WIRE_FEATURES;
    n_answers = n_cancelled = 0;
    return w;
}

/* 30 tasks in chunks of ten, of which w1, with one slot, has the first, if `once` such that must not run twice. */
static struct world *chunked(bool once)
{
    struct world *w = world_asking();

    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, &(struct wire_job_spec){ .chunk = 10, .retries = once ? -1 : 1 });
    client_tasks(w, "c1", 1, 0, 30, 100);
    if (once)
        world_send(w, "c1", &(struct wire_msg){ .type = WIRE_ASSIGNED_OK, .items = &(struct wire_item){ .id = 1, .job = 1 },
                                                .n_items = 1 });
    assert_int_equal(counters(w).running, 10);
    world_forget(w);
    return w;
}

static void asked(struct world *w, uint32_t request, uint64_t first, uint32_t count)
{
    struct wire_item it = { .job = 1, .first = first, .count = count, .why = WIRE_WHY_QUEUED };

    world_send(w, "c1", &(struct wire_msg){ .type = WIRE_CANCEL, .request = request, .items = &it, .n_items = 1 });
}

static void recalled(struct world *w, uint64_t attempt, uint64_t first)
{
    struct wire_item it = { .id = attempt, .first = first };

    world_send(w, "w1", &(struct wire_msg){ .type = WIRE_RECALLED, .items = &it, .n_items = 1 });
}

static void is_told(uint32_t request, uint64_t cancelled, uint64_t running, uint64_t done)
{
    for (size_t i = 0; i < n_answers; i++)
        if (answers[i].request == request) {
            assert_int_equal(answers[i].told.cancelled, cancelled);
            assert_int_equal(answers[i].told.running, running);
            assert_int_equal(answers[i].told.done, done);
            return;
        }
    fail_msg("request %u has no answer", request);
}

static void r02_what_a_worker_was_handed_and_has_not_begun_is_cancelled(void **state)
{
    (void)state;
    for (int once = 0; once < 2; once++) {
        struct world *w = chunked(once);
        asked(w, 7, 0, 30);
        EXPECT(w, "[   0] > w1 RECALL #1 j2 0+10 why 7\n[   0] > c1 OUTCOMES s1 j1 10+20 cancelled\n");
        assert_int_equal(n_answers, 0);
        recalled(w, 1, 1);
        is_told(7, 29, 1, 0);
        worker_done(w, "w1", 1, 0, 1, 1000);
        assert_int_equal(counters(w).tasks_ok, 1);
        assert_int_equal(n_cancelled, 29);
        assert_int_equal(counters(w).queued + counters(w).running, 0);
        world_free(w);
    }
}

/* Nothing comes back: the worker says so, or the broker would wait. */
static void r02_all_of_it_has_begun(void **state)
{
    struct world *w = chunked(false);

    (void)state;
    asked(w, 7, 0, 30);
    assert_int_equal(n_answers, 0);
    recalled(w, 1, 10);
    is_told(7, 20, 10, 0);
    worker_returns(w, "w1", 1, 5, 5);           /* later and for another reason: these were told to go on */
    assert_int_equal(n_cancelled, 20);
    assert_int_equal(counters(w).queued + counters(w).running, 10);
    world_free(w);
}

/* What lies between those that are named comes back, too, and runs again. */
static void r02_only_what_is_named_is_cancelled(void **state)
{
    struct world *w = chunked(false);

    (void)state;
    asked(w, 7, 4, 2);
    EXPECT(w, "[   0] > w1 RECALL #1 j2 4+6 why 7\n");
    asked(w, 8, 5, 3);                          /* behind what was asked for: no second question */
    asked(w, 9, 9, 1);
    EXPECT(w, "");
    asked(w, 10, 1, 1);
    EXPECT(w, "[   0] > w1 RECALL #1 j2 1+9 why 7\n");
    recalled(w, 1, 4);
    assert_int_equal(n_answers, 0);             /* both are to be answered */
    recalled(w, 1, 2);
    is_told(7, 2, 0, 0);
    is_told(8, 3, 0, 0);
    is_told(9, 1, 0, 0);
    is_told(10, 0, 1, 0);
    assert_int_equal(n_cancelled, 5);
    assert_int_equal(counters(w).queued + counters(w).running, 25);
    world_free(w);
}

/* Results and returns that cross with the question count as what they are, and what fails meanwhile does not begin again. */
static void r02_what_ends_before_the_answer_is_told(void **state)
{
    struct world *w = chunked(false);

    (void)state;
    asked(w, 7, 0, 30);
    worker_done(w, "w1", 1, 0, 2, 1000);
    worker_failed(w, "w1", 1, 2, BFORK_FAILED);         /* one try of two */
    worker_returns(w, "w1", 1, 6, 4);
    assert_int_equal(n_answers, 0);
    recalled(w, 1, 4);
    is_told(7, 27, 1, 2);
    assert_int_equal(n_cancelled, 27);
    assert_int_equal(counters(w).queued + counters(w).running, 1);
    world_free(w);
}

static void r02_an_attempt_that_ends_is_an_answer(void **state)
{
    struct world *w = chunked(false);

    (void)state;
    asked(w, 7, 0, 30);
    worker_returns(w, "w1", 1, 3, 7);
    worker_done(w, "w1", 1, 0, 3, 1000);
    is_told(7, 27, 0, 3);
    recalled(w, 1, 3);                          /* it is no news any more */
    assert_int_equal(counters(w).workers, 1);
    assert_int_equal(n_answers, 1);
    world_free(w);
}

/* Its worker is lost: what it had would begin once more. */
static void r02_what_a_lost_worker_had_does_not_begin_again(void **state)
{
    struct world *w = chunked(false);

    (void)state;
    asked(w, 7, 0, 30);
    world_lost(w, "w1");
    world_after(w, 1000);
    assert_int_equal(n_answers, 0);
    world_after(w, 10000);
    is_told(7, 30, 0, 0);
    assert_int_equal(n_cancelled, 30);
    world_free(w);
}

/* It was disconnected: it may not have heard the question, which is said again. */
static void r02_a_worker_that_is_back_is_asked_again(void **state)
{
    struct world *w = chunked(false);

    (void)state;
    asked(w, 7, 0, 10);
    asked(w, 8, 5, 1);
    world_lost(w, "w1");
    asked(w, 9, 3, 1);
    worker_hello_only(w, "w1", 1, NULL);
    world_forget(w);
    worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
    EXPECT(w, "[   0] > w1 RECALL #1 j2 0+10 why 7\n");
    assert_int_equal(n_answers, 0);
    recalled(w, 1, 4);
    is_told(7, 6, 4, 0);
    is_told(8, 1, 0, 0);
    is_told(9, 0, 1, 0);
    world_free(w);
}

/* A worker that cannot answer is not asked: all that it has counts as begun. */
static void a_worker_that_does_not_know_the_question_is_not_asked(void **state)
{
    struct world *w = world_asking();

    (void)state;
    w->features = WIRE_FEATURES & ~(uint64_t)WIRE_FEATURE_RECALLED;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, &(struct wire_job_spec){ .chunk = 10 });
    client_tasks(w, "c1", 1, 0, 30, 100);
    world_forget(w);
    asked(w, 7, 0, 30);
    is_told(7, 20, 10, 0);
    world_free(w);
}

/* More cancels of one attempt than are asked at a time: the others wait, and are as exact. */
static void r02_many_cancels_of_an_attempt_are_all_exact(void **state)
{
    struct world *w = world_asking();

    (void)state;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, &(struct wire_job_spec){ .chunk = 100 });
    client_tasks(w, "c1", 1, 0, 100, 100);
    assert_int_equal(counters(w).running, 100);
    for (uint32_t i = 0; i < 3 * MOST; i++)
        asked(w, 100 + i, 50 + i, 1);
    assert_int_equal(n_answers, 0);
    world_forget(w);
    recalled(w, 1, 80);
    assert_int_equal(n_answers, MOST + 18);     /* of those that waited, 18 find their task back in the queue */
    recalled(w, 1, 80);
    assert_int_equal(n_answers, 3 * MOST);
    for (uint32_t i = 0; i < 3 * MOST; i++)
        is_told(100 + i, i >= 30, i < 30, 0);
    world_free(w);
}

/* The broker has started again, and a worker has brought the attempt. */
static void r02_what_was_adopted_is_asked_for(void **state)
{
    (void)state;
    for (int before = 0; before < 2; before++) {
        struct world *w = chunked(false);
        world_restart(w, EPOCH * 2);
        world_peer(w, "c1")->acked = 0;
        client_start(w, "c1", 1, &(struct wire_job_spec){ .chunk = 10, .retries = 1 });
        client_replay(w, "c1", 1, 0, 30, 0);
        if (before)
            asked(w, 7, 0, 30);                 /* all is held */
        worker_hello_only(w, "w1", 1, NULL);
        world_forget(w);
        worker_holding(w, "w1", (uint64_t[]){ 1 }, 1);
        if (!before)
            asked(w, 7, 0, 30);
        EXPECT(w, "[   0] > w1 RECALL #1 j2 0+10 why 7\n");
        recalled(w, 1, 1);
        for (int i = 0; i < 12; i++) {
            world_after(w, 1000);
            simple(w, "w1", WIRE_PING, 1);
        }
        is_told(7, 29, 1, 0);
        assert_int_equal(n_cancelled, 29);
        assert_int_equal(counters(w).queued, 0);
        assert_int_equal(counters(w).attempts, 1);
        world_free(w);
    }
}

/* Who asked is gone, the job ends, the worker gives up: nothing is left behind (world_free looks). */
static void r02_a_question_ends_with_its_job(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct world *w = chunked(false);
        asked(w, 7, 0, 30);
        asked(w, 8, 2, 3);
        if (how == 0)
            simple(w, "c1", WIRE_POOL_CLOSE, 1);
        else if (how == 1)
            simple(w, "c1", WIRE_BYE, 0);
        else
            simple(w, "w1", WIRE_BYE, 0);
        world_after(w, 60000);
        recalled(w, 1, 1);
        assert_int_equal(counters(w).queued + counters(w).running, 0);
        if (how == 2)
            is_told(7, 30, 0, 0);
        world_free(w);
    }
}

/* An answer that takes back what the worker has given is an error of its own. */
static void an_answer_that_does_not_fit_ends_the_session(void **state)
{
    struct world *w = chunked(false);

    (void)state;
    asked(w, 7, 0, 30);
    worker_done(w, "w1", 1, 0, 5, 1000);
    recalled(w, 1, 4);
    assert_int_equal(counters(w).workers, 0);
    is_told(7, 25, 0, 5);
    world_free(w);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(r02_what_a_worker_was_handed_and_has_not_begun_is_cancelled), T(r02_all_of_it_has_begun),
        T(r02_only_what_is_named_is_cancelled), T(r02_what_ends_before_the_answer_is_told),
        T(r02_an_attempt_that_ends_is_an_answer),
        T(r02_what_a_lost_worker_had_does_not_begin_again), T(r02_a_worker_that_is_back_is_asked_again),
        T(a_worker_that_does_not_know_the_question_is_not_asked), T(r02_many_cancels_of_an_attempt_are_all_exact),
        T(r02_what_was_adopted_is_asked_for), T(r02_a_question_ends_with_its_job), T(an_answer_that_does_not_fit_ends_the_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
