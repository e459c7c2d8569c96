/* SPDX-License-Identifier: MPL-2.0
 * test_said.c - what tasks print, between worker and client: forwarded before outcomes and within the client's window, sent again
 * after cuts of either side, kept while there is no client, and taken from nobody who sends too much.
 */
#include "state.h"
#include "world.h"

#include <stdlib.h>
#include <string.h>

#define PIECE 100000u

/* What c1 was sent of it, and w1 told. */
static struct {
    uint64_t n, bytes, last, outcomes, n_at_outcome, errors, taken, taken_seq, messages, attempt, offset;
    uint32_t pool, stride, under, watch;
    uint64_t watched;               /* of taken: what is of the window `watch`; the last of it was told to be of `under` */
} got;

static void on_message(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    (void)w;
    if (p->role == WIRE_WORKER && m->type == WIRE_GRANT)
        got.pool = m->u.grant.pool;
    got.messages += m->type == WIRE_OUTPUT;
    for (uint32_t i = 0; i < m->n_items && m->type == WIRE_OUTPUT; i++) {
        assert_int_equal(p->role, WIRE_CLIENT);
        got.n++;
        got.bytes += m->items[i].body.size;
        got.last = m->items[i].seq;
        got.offset = m->items[i].offset;
    }
    for (uint32_t i = 0; i < m->n_items && m->type == WIRE_OUTPUT_TAKEN; i++) {
        got.taken += m->items[i].size;
        got.taken_seq = m->items[i].seq;
        got.under = m->items[i].job;
        got.watched += got.under == got.watch ? m->items[i].size : 0;
    }
    if (m->type == WIRE_OUTCOMES) {
        got.outcomes++;
        got.n_at_outcome = got.n;
        got.attempt = m->items[m->n_items - 1].attempt;
        got.stride = m->u.records.stride;
    }
    got.errors += m->type == WIRE_ERROR;
}

static struct world *begin(uint64_t output_window)
{
    const struct broker_config config = { .output_window = output_window };
    struct world *w = world_new(&config);

    memset(&got, 0, sizeof(got));
    w->hook = on_message;
    w->quiet = true;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, NULL);
    client_tasks(w, "c1", 1, 0, 1, 100);
    return w;
}

/* Piece seq of attempt 1. */
static void says(struct world *w, const char *name, uint32_t pool, uint64_t seq, uint32_t size)
{
    uint8_t *body = calloc(1, size);
    struct wire_item it = { .id = 1, .job = pool, .count = 1, .flags = WIRE_FIXED, .size = size, .seq = seq, .stream = 1, .pid = 5,
                            .tries = 1, .offset = (seq - 1) * size, .body = slice_borrow(body, size) };
    struct wire_msg m = { .type = WIRE_OUTPUT, .items = &it, .n_items = 1 };

    world_send(w, name, &m);
    free(body);
}

static void client_took(struct world *w, uint64_t seq)
{
    struct wire_msg m = { .type = WIRE_OUTPUT_ACK, .u.output_ack.seq = seq };

    world_send(w, "c1", &m);
}

/* A result is of the attempt that its worker names; who was cancelled where it waited was in none. Records of the first version are
 * for those who know no others. */
static void r21_outcomes_say_the_attempt_they_are_of(void **state)
{
    struct world *w = begin(0);

    (void)state;
    says(w, "w1", got.pool, 1, 10);
    simple(w, "w1", WIRE_BYE, 0);
    worker_hello(w, "w2", 1);
    worker_done(w, "w2", 2, 0, 1, 1000);
    assert_int_equal(got.outcomes, 1);
    assert_int_equal(got.attempt, 2);
    assert_int_equal(got.stride, WIRE_OUTCOMES_V1);
    world_lost(w, "c1");
    w->features = WIRE_FEATURES;
    client_start(w, "c1", 1, NULL);
    assert_int_equal(got.outcomes, 2);
    assert_int_equal(got.attempt, 2);
    assert_int_equal(got.stride, 0);
    simple(w, "w2", WIRE_BYE, 0);
    client_tasks(w, "c1", 1, 1, 2, 100);
    client_cancel(w, "c1", 1, 2, 1);
    assert_int_equal(got.outcomes, 3);
    assert_int_equal(got.attempt, 0);
    world_free(w);
}

/* Output waits for the client's acknowledgement, not in the broker's send queue; no outcome overtakes it. */
static void r21_output_waits_for_the_clients_window(void **state)
{
    struct world *w = begin(8u << 20);

    (void)state;
    for (uint64_t i = 1; i <= 30; i++)
        says(w, "w1", got.pool, i, PIECE);
    assert_in_range(got.bytes, 1, 1u << 20);            /* its window in HELLO */
    worker_done(w, "w1", 1, 0, 1, 1000);
    assert_int_equal(got.outcomes, 0);
    for (int i = 0; i < 4; i++)
        simple(w, "c1", WIRE_PING, 7);                  /* says what it has received */
    assert_int_equal(got.n, 30);
    assert_int_equal(got.last, 30);
    assert_int_equal(got.outcomes, 1);
    assert_int_equal(got.n_at_outcome, 30);
    assert_int_equal(got.taken, 0);
    client_took(w, 30);
    assert_int_equal(got.taken, 30 * (PIECE + WIRE_OUTPUT_COST));
    world_free(w);
}

static void r21_what_was_not_taken_is_sent_again(void **state)
{
    struct world *w = begin(0);

    (void)state;
    says(w, "w1", got.pool, 1, 10);
    says(w, "w1", got.pool, 2, 10);
    assert_int_equal(got.n, 2);
    client_took(w, 1);
    assert_int_equal(got.taken_seq, 1);
    world_lost(w, "c1");
    says(w, "w1", got.pool, 3, 10);
    client_hello(w, "c1");
    assert_int_equal(got.n, 4);                         /* 2 again, and 3 */
    assert_int_equal(got.last, 3);
    client_took(w, 3);
    assert_int_equal(got.taken, 3 * (10 + WIRE_OUTPUT_COST));
    assert_int_equal(got.errors, 0);
    client_took(w, 4);                                  /* never sent */
    assert_int_equal(got.errors, 1);
    world_free(w);
}

/* The worker's cut: all that was not taken comes again, is not forwarded again, and opens the window of the new connection. */
static void r21_a_worker_that_comes_back_says_it_again(void **state)
{
    struct world *w = begin(0);

    (void)state;
    says(w, "w1", got.pool, 1, 10);
    says(w, "w1", got.pool, 2, 10);
    client_took(w, 1);
    got.taken = 0;
    world_lost(w, "w1");
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (const uint64_t[]){ 1 }, 1);
    says(w, "w1", got.pool, 1, 10);                     /* it has not heard that it was taken: told again */
    says(w, "w1", got.pool, 2, 10);
    assert_int_equal(got.n, 2);
    assert_int_equal(got.taken, 10 + WIRE_OUTPUT_COST);
    client_took(w, 2);
    assert_int_equal(got.taken, 2 * (10 + WIRE_OUTPUT_COST));
    world_free(w);
}

/* And when it is cut once more: nothing is told to be taken that the client has not taken. */
static void r21_a_worker_that_comes_back_twice_says_it_twice(void **state)
{
    struct world *w = begin(0);

    (void)state;
    says(w, "w1", 1, 1, 10);
    says(w, "w1", 1, 2, 10);
    for (int i = 0; i < 2; i++) {
        world_lost(w, "w1");
        worker_hello_only(w, "w1", 1, NULL);
        worker_holding(w, "w1", (const uint64_t[]){ 1 }, 1);
        says(w, "w1", 1, 1, 10);
        says(w, "w1", 1, 2, 10);
        assert_int_equal(got.taken, 0);
    }
    client_took(w, 2);
    assert_int_equal(got.taken, 2 * (10 + WIRE_OUTPUT_COST));
    assert_int_equal(got.n, 2);
    world_free(w);
}

/* So it is when all its tasks have their results, which the client has not acknowledged. */
static void r21_output_of_what_has_ended_is_said_again(void **state)
{
    struct world *w = begin(0);

    (void)state;
    says(w, "w1", got.pool, 1, 10);
    worker_done(w, "w1", 1, 0, 1, 1000);
    world_lost(w, "w1");
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (const uint64_t[]){ 1 }, 1);
    says(w, "w1", got.pool, 1, 10);
    assert_int_equal(got.errors, 0);
    assert_int_equal(got.n, 1);
    world_free(w);
}

/* A task has printed, its template ends, and it is asked back before it runs again: the pieces and the tail that is returned are
 * both lost with the connection. The next one tells of the tail first, in HOLDING, and the attempt is finished when the pieces
 * come. */
static void r07_output_of_what_was_returned_meanwhile_is_given_back(void **state)
{
    const struct wire_job_spec two = { .chunk = 2 };
    struct wire_item held = { .id = 1, .count = 1, .end = 2 };
    struct wire_msg m = { .type = WIRE_HOLDING, .items = &held, .n_items = 1, .u.holding.last = true };
    struct world *w = world_new(NULL);

    (void)state;
    memset(&got, 0, sizeof(got));
    w->hook = on_message;
    w->quiet = true;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, &two);
    client_tasks(w, "c1", 1, 0, 2, 100);
    worker_done(w, "w1", 1, 0, 1, 1000);
    assert_int_equal(got.outcomes, 1);
    world_lost(w, "w1");
    worker_hello_only(w, "w1", 1, NULL);
    world_send(w, "w1", &m);
    says(w, "w1", got.pool, 1, 10);
    assert_int_equal(got.errors, 0);
    assert_int_equal(got.n, 0);
    assert_int_equal(got.taken, 10 + WIRE_OUTPUT_COST);
    worker_done(w, "w1", 2, 1, 1, 1000);                /* it has gone out again */
    assert_int_equal(got.outcomes, 2);
    world_free(w);
}

static void r21_a_worker_beyond_its_window_is_ended(void **state)
{
    struct world *w = begin(0);
    uint64_t n = WIRE_OUTPUT_WINDOW / (PIECE + WIRE_OUTPUT_COST);

    (void)state;
    for (uint64_t i = 1; i <= n; i++)
        says(w, "w1", got.pool, i, PIECE);
    assert_int_equal(got.errors, 0);
    says(w, "w1", got.pool, n + 1, PIECE);
    assert_int_equal(got.errors, 1);
    assert_int_equal(got.n, n);                         /* what it had sent before is the client's */
    world_free(w);
}

/* The client ends: nobody waits for it, and the worker's window is free again. */
static void r21_output_of_a_client_that_ends_is_given_back(void **state)
{
    struct world *w = begin(0);

    (void)state;
    says(w, "w1", got.pool, 1, PIECE);
    says(w, "w1", got.pool, 2, PIECE);
    simple(w, "c1", WIRE_BYE, 0);
    world_after(w, 100);
    assert_int_equal(got.taken, 2 * (PIECE + WIRE_OUTPUT_COST));
    says(w, "w1", got.pool, 3, PIECE);                  /* it had not heard of the end */
    assert_int_equal(got.taken, 3 * (PIECE + WIRE_OUTPUT_COST));
    assert_int_equal(got.errors, 0);
    world_free(w);
}

/* A broker that has restarted: what a worker has before the client is back waits for it. */
static void r21_output_waits_for_a_client_that_is_not_back(void **state)
{
    struct world *w = begin(0);

    (void)state;
    says(w, "w1", got.pool, 1, 10);
    world_restart(w, EPOCH + 1);
    memset(&got, 0, sizeof(got));
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (const uint64_t[]){ 1 }, 1);
    says(w, "w1", 0, 1, 10);
    says(w, "w1", 0, 2, 10);
    assert_int_equal(got.n, 0);
    client_hello(w, "c1");
    client_pool(w, "c1", 1, 1);
    client_job(w, "c1", 1, 1, NULL);
    assert_int_equal(got.n, 2);
    client_took(w, 2);
    assert_int_equal(got.taken, 2 * (10 + WIRE_OUTPUT_COST));
    world_free(w);
}

static void back_with_attempt_1(struct world *w)
{
    world_restart(w, EPOCH + 1);
    memset(&got, 0, sizeof(got));
    worker_hello_only(w, "w1", 2, NULL);
    worker_holding(w, "w1", (const uint64_t[]){ 1 }, 1);
}

/* Two sessions of a key have pools of one specification: the worker's lane that has the tasks of one may go to the pool of the
 * other, which comes first. What is said there is of another window from then on, and only the worker knows. */
static void r18_output_is_of_the_window_that_the_worker_says(void **state)
{
    const uint64_t two = 2 * (PIECE + WIRE_OUTPUT_COST);
    struct world *w = begin(0);

    (void)state;
    back_with_attempt_1(w);
    says(w, "w1", 0, 1, PIECE);
    says(w, "w1", 0, 2, PIECE);
    client_hello(w, "c1b");
    client_pool(w, "c1b", 1, 1);
    client_job(w, "c1b", 2, 1, NULL);
    client_tasks(w, "c1b", 2, 0, 1, 100);
    got.watch = got.pool;
    assert_true(got.watch);
    says(w, "w1", got.watch, 3, PIECE);
    says(w, "w1", got.watch, 4, PIECE);
    assert_int_equal(got.errors, 0);
    client_hello(w, "c1");
    client_pool(w, "c1", 1, 1);
    client_job(w, "c1", 1, 1, NULL);
    simple(w, "c1", WIRE_PING, 7);
    assert_int_equal(got.n, 4);
    client_took(w, 4);
    assert_int_equal(got.taken, 2 * two);
    assert_int_equal(got.watched, two);
    world_free(w);
}

/* Its windows have other numbers on the next connection: what comes again counts in the one that it comes in. */
static void r18_what_comes_again_is_taken_of_the_window_it_comes_in(void **state)
{
    struct world *w = begin(0);

    (void)state;
    says(w, "w1", 5, 1, PIECE);
    world_lost(w, "w1");
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (const uint64_t[]){ 1 }, 1);
    says(w, "w1", 6, 1, PIECE);
    assert_int_equal(got.n, 1);
    client_took(w, 1);
    assert_int_equal(got.taken, PIECE + WIRE_OUTPUT_COST);
    assert_int_equal(got.under, 6);
    world_free(w);
}

/* One for each pool that it was granted, and for each attempt that it has brought; by what numbers is its own business. */
static void r18_a_worker_has_no_more_windows_than_it_was_given(void **state)
{
    struct world *w = begin(0);

    (void)state;
    says(w, "w1", 1001, 1, PIECE);
    says(w, "w1", 1001, 2, PIECE);
    client_took(w, 2);
    assert_int_equal(got.under, 1001);
    says(w, "w1", 1002, 3, PIECE);                      /* the other one is empty */
    assert_int_equal(got.errors, 0);
    world_lost(w, "w1");
    worker_hello_only(w, "w1", 2, NULL);
    worker_holding(w, "w1", (const uint64_t[]){ 1 }, 1);
    says(w, "w1", 1, 3, PIECE);
    client_pool(w, "c1", 2, 1);
    client_job(w, "c1", 2, 2, NULL);
    client_tasks(w, "c1", 2, 0, 1, 100);
    says(w, "w1", 2, 4, PIECE);
    says(w, "w1", 3, 5, PIECE);
    assert_int_equal(got.errors, 0);
    says(w, "w1", 4, 6, PIECE);
    assert_int_equal(got.errors, 1);
    world_free(w);
}

/* Its pool has more slots there now, not another window. */
static void r18_a_pool_that_is_given_slots_again_is_one_window(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    memset(&got, 0, sizeof(got));
    w->hook = on_message;
    w->quiet = true;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", -1, &(struct wire_job_spec){ .chunk = 1 });
    client_tasks(w, "c1", 1, 0, 3, 100);
    assert_int_equal(w->n_seen, 1);
    worker_state(w, "w1", 3, false);
    assert_int_equal(w->n_seen, 3);
    says(w, "w1", 1, 1, PIECE);
    assert_int_equal(got.errors, 0);
    says(w, "w1", 2, 2, PIECE);
    assert_int_equal(got.errors, 1);
    world_free(w);
}

/* What comes again counts in windows that the worker has been given on this connection, as what is new does. */
static void r18_what_comes_again_has_no_more_windows_than_were_given(void **state)
{
    struct world *w = begin(0);

    (void)state;
    for (uint64_t i = 1; i <= 40; i++)
        says(w, "w1", 1, i, 1);
    assert_int_equal(got.errors, 0);
    world_lost(w, "w1");
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (const uint64_t[]){ 1 }, 1);
    for (uint64_t i = 1; i <= 40 && !got.errors; i++)
        says(w, "w1", (uint32_t)i, i, 1);
    for (uint64_t i = 1; i <= 40 && !got.errors; i++)
        says(w, "w1", (uint32_t)i, 40 + i, 200000);
    assert_int_equal(got.errors, 1);
    world_free(w);
}

/* The worker chooses their numbers, and may choose them so that they collide. */
static void r06_windows_are_found_by_a_secret_hash(void **state)
{
    struct world *w = begin(0);
    const struct peer *p = map_get(&w->b->peers, world_peer(w, "w1")->id);

    (void)state;
    says(w, "w1", 1, 1, PIECE);
    assert_int_equal(p->said.count, 1);
    assert_ptr_equal(p->said.key, &w->b->hash);
    world_free(w);
}

static void r06_an_attempt_that_is_told_of_again_and_again_is_one_window(void **state)
{
    const uint64_t ids[16] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
    struct world *w = begin(0);

    (void)state;
    world_lost(w, "w1");
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", ids, 16);
    says(w, "w1", 1, 1, PIECE);
    says(w, "w1", 2, 2, PIECE);                         /* its pool may have been granted */
    assert_int_equal(got.errors, 0);
    says(w, "w1", 3, 3, PIECE);
    assert_int_equal(got.errors, 1);
    world_free(w);
}

/* A pool is closed, and then its program takes what its tasks had printed: that is told all the same, of the window it came in. */
static void r21_what_is_taken_after_its_pool_is_told_by_its_window(void **state)
{
    struct world *w = begin(0);

    (void)state;
    says(w, "w1", 77, 1, PIECE);
    says(w, "w1", 77, 2, PIECE);
    simple(w, "c1", WIRE_POOL_CLOSE, 1);
    assert_int_equal(got.taken, 0);
    client_took(w, 2);
    assert_int_equal(got.taken, 2 * (PIECE + WIRE_OUTPUT_COST));
    assert_int_equal(got.under, 77);
    world_free(w);
}

/* The client is away for longer than its processes live, with output that it has not taken. Its pool comes back to the worker,
 * which still counts what is not taken, in the window of that pool; another key's tasks there are none the wiser. */
static void r18_a_pool_that_slept_goes_on_in_its_window(void **state)
{
    const struct wire_job_spec once = { .retries = -1 };
    struct wire_item it = { .id = 3, .job = 5, .count = 1, .flags = WIRE_FIXED, .size = 10, .seq = 1, .stream = 1, .pid = 5,
                            .tries = 1, .body = slice_borrow((const uint8_t *)"123456789\n", 10) };
    struct world *w = world_new(NULL);

    (void)state;
    memset(&got, 0, sizeof(got));
    w->hook = on_message;
    w->quiet = true;
    worker_hello(w, "w1", 2);
    client_start(w, "c1", 1, NULL);
    client_tasks(w, "c1", 1, 0, 1, 100);
    client_start(w, "c2", 1, &once);
    client_tasks(w, "c2", 1, 0, 1, 100);
    says(w, "w1", 5, 1, PIECE);
    says(w, "w1", 5, 2, PIECE);
    world_lost(w, "c1");
    for (int i = 0; i < 6; i++) {
        world_after(w, 1000);
        simple(w, "w1", WIRE_PING, 1);
        simple(w, "c2", WIRE_PING, 1);
    }
    client_hello(w, "c1");
    client_pool(w, "c1", 1, 1);
    client_job(w, "c1", 1, 1, NULL);
    client_replay(w, "c1", 1, 0, 1, 0);
    world_send(w, "w1", &(struct wire_msg){ .type = WIRE_OUTPUT, .items = &it, .n_items = 1 });
    assert_int_equal(got.errors, 0);
    assert_int_equal(got.outcomes, 0);
    world_free(w);
}

/* In an order that no worker has: each record costs what it would in order. */
static void r06_output_that_comes_again_costs_its_records(void **state)
{
    enum { N = 2000 };
    struct world *w = begin(0);
    static struct wire_item items[N];
    struct wire_msg m = { .type = WIRE_OUTPUT, .items = items, .n_items = N };

    (void)state;
    for (uint32_t i = 0; i < N; i++)
        items[i] = (struct wire_item){ .id = 1, .job = got.pool, .count = 1, .flags = WIRE_FIXED, .seq = i + 1, .stream = 1,
                                       .tries = 1 };
    world_send(w, "w1", &m);
    assert_int_equal(got.n, N);
    world_lost(w, "w1");
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (const uint64_t[]){ 1 }, 1);
    for (uint32_t i = 0; i < N; i++)
        items[i].seq = i ? N - 1 - i % 2 : N;
    m = (struct wire_msg){ .type = WIRE_OUTPUT, .items = items, .n_items = N };
    assert_in_range(world_steps(w, "w1", &m), 1, 20 * N);
    assert_int_equal(got.errors, 0);
    client_took(w, N);
    assert_int_equal(got.taken, WIRE_OUTPUT_COST);      /* the last one: the others came behind it */
    world_free(w);
}

/* A message names one host: pieces of two that go out in one turn are two messages. */
static void r21_output_says_which_host_it_is_of(void **state)
{
    struct world *w = world_new(NULL);
    struct wire_item it = { .count = 1, .flags = WIRE_FIXED, .size = 3, .seq = 1, .stream = 1, .pid = 5, .tries = 1,
                            .body = slice_borrow("ab\n", 3) };
    struct wire_msg m = { .type = WIRE_OUTPUT, .items = &it, .n_items = 1 };

    (void)state;
    memset(&got, 0, sizeof(got));
    w->hook = on_message;
    w->quiet = true;
    w->host = "here";
    worker_hello(w, "w1", 1);
    w->host = "there";
    worker_hello(w, "w2", 1);
    client_start(w, "c1", -1, &(struct wire_job_spec){ .chunk = 1 });
    client_tasks(w, "c1", 1, 0, 2, 100);
    assert_int_equal(w->n_seen, 2);
    it.job = got.pool;
    for (uint32_t i = 0; i < 4; i++) {
        const struct world_peer *p = world_peer(w, i % 2 ? "w2" : "w1");
        it.id = 1 + i % 2;
        it.first = w->seen[i % 2].first;
        it.seq = 1 + i / 2;
        it.offset = 3 * (i / 2);
        broker_recv(w->b, w->now, p->id, p->role, p->key, &m);
    }
    world_step(w);
    assert_int_equal(got.errors, 0);
    assert_int_equal(got.n, 4);
    assert_int_equal(got.messages, 4);
    world_free(w);
}

/* It may say what it likes: a piece that comes again by the same connection is no second one of the window. */
static void r21_a_piece_that_comes_twice_is_counted_once(void **state)
{
    struct world *w = begin(PIECE + 2 * WIRE_OUTPUT_COST + 10);

    (void)state;
    says(w, "w1", got.pool, 1, PIECE);
    says(w, "w1", got.pool, 1, PIECE);
    assert_int_equal(got.n, 1);
    assert_int_equal(got.taken, PIECE + WIRE_OUTPUT_COST);      /* the second one is nobody's */
    says(w, "w1", got.pool, 2, 10);
    assert_int_equal(got.errors, 0);
    client_took(w, 2);
    assert_int_equal(got.taken, 2 * (PIECE + WIRE_OUTPUT_COST) + 10 + WIRE_OUTPUT_COST);
    world_free(w);
}

/* A client acknowledges on its second connection what it got on the first and was not yet sent again: only what was sent goes. */
static void r21_what_is_to_be_sent_again_is_not_taken(void **state)
{
    struct world *w = begin(8u << 20);

    (void)state;
    for (uint64_t i = 1; i <= 30; i++)
        says(w, "w1", got.pool, i, PIECE);
    for (int i = 0; i < 4; i++)
        simple(w, "c1", WIRE_PING, 7);
    assert_int_equal(got.n, 30);
    world_lost(w, "c1");
    client_hello(w, "c1");
    uint64_t again = got.n - 30;
    assert_in_range(again, 1, 29);                      /* its window */
    client_took(w, 30);
    assert_int_equal(got.taken, again * (PIECE + WIRE_OUTPUT_COST));
    for (int i = 0; i < 4; i++)
        simple(w, "c1", WIRE_PING, 7);
    assert_int_equal(got.n, 60);
    client_took(w, 30);
    assert_int_equal(got.taken, 30 * (PIECE + WIRE_OUTPUT_COST));
    assert_int_equal(got.errors, 0);
    world_free(w);
}

/* One piece may always be on its way, however small the window is: or its task would wait for ever. */
static void r21_a_piece_above_the_window_goes_alone(void **state)
{
    struct world *w = begin(1000);

    (void)state;
    says(w, "w1", got.pool, 1, PIECE);
    assert_int_equal(got.errors, 0);
    assert_int_equal(got.n, 1);
    client_took(w, 1);
    says(w, "w1", got.pool, 2, PIECE);
    assert_int_equal(got.errors, 0);
    says(w, "w1", got.pool, 3, 1);
    assert_int_equal(got.errors, 1);
    world_free(w);
}

/* ---- very much of it --------------------------------------------------------------------------------------------------------- */

#define MUCH 24000u
#define A_TURN 2048u                /* pieces that chores touch in one */
#define STEPS_OF_A_TURN (12 * A_TURN)   /* each is taken, and counted in its worker's window: a step and a cell of its map */

/* One frame at most, and a turn. */
static uint64_t turn(struct world *w, const char *name, const struct wire_msg *m)
{
    uint64_t before = broker_steps(w->b), after;
    const struct broker_effect *e;
    size_t n;

    if (m)
        broker_recv(w->b, w->now, world_peer(w, name)->id, world_peer(w, name)->role, world_peer(w, name)->key, m);
    broker_tick(w->b, w->now);
    broker_flush(w->b, w->now);
    after = broker_steps(w->b);
    e = broker_effects(w->b, &n);
    for (size_t i = 0; i < n; i++)
        if (e[i].type == BROKER_SEND)
            on_message(w, world_peer(w, e[i].peer == world_peer(w, "c1")->id ? "c1" : "w1"), &e[i].msg);
    broker_effects_done(w->b);
    return after - before;
}

static void turns(struct world *w, const char *name, const struct wire_msg *m)
{
    int i = 0;

    do {
        uint64_t steps = turn(w, name, i ? NULL : m);
        if (steps > STEPS_OF_A_TURN)
            fail_msg("turn %d costs %llu steps", i, (unsigned long long)steps);
        assert_true(i++ < 1000);
    } while (broker_deadline(w->b) <= w->now);
    assert_null(broker_check(w->b));
}

/* Pieces of attempt 1 without a byte in them, from seq on. */
static void says_much(struct world *w, uint32_t pool, uint64_t seq, uint32_t count)
{
    static struct wire_item items[2000];

    while (count) {
        uint32_t n = count < 2000 ? count : 2000;
        for (uint32_t i = 0; i < n; i++)
            items[i] = (struct wire_item){ .id = 1, .job = pool, .count = 1, .flags = WIRE_FIXED, .seq = seq++, .stream = 1,
                                           .tries = 1 };
        turns(w, "w1", &(struct wire_msg){ .type = WIRE_OUTPUT, .items = items, .n_items = n });
        count -= n;
    }
}

static struct world *much(void)
{
    struct world *w = begin(8u << 20);

    says_much(w, got.pool, 1, MUCH);
    assert_int_equal(got.n, MUCH);
    return w;
}

static void r06_much_output_is_taken_over_turns(void **state)
{
    struct wire_msg took = { .type = WIRE_OUTPUT_ACK, .u.output_ack.seq = MUCH };
    struct world *w = much();

    (void)state;
    turns(w, "c1", &took);
    assert_int_equal(got.taken, MUCH * (uint64_t)WIRE_OUTPUT_COST);
    world_free(w);
}

/* It is cut and comes back in the middle of it: what it has taken does not come again; what it has not does, in order. */
static void r06_a_client_comes_back_while_its_output_is_taken(void **state)
{
    struct wire_msg took = { .type = WIRE_OUTPUT_ACK, .u.output_ack.seq = MUCH - 10 };
    struct world *w = much();

    (void)state;
    turn(w, "c1", &took);
    assert_in_range(got.taken, 1, (MUCH - 11) * (uint64_t)WIRE_OUTPUT_COST);
    assert_null(broker_check(w->b));
    broker_lost(w->b, w->now, world_peer(w, "c1")->id);
    world_peer(w, "c1")->id = 0;
    turn(w, NULL, NULL);
    w->in_a_row = true;
    client_start(w, "c1", 1, NULL);
    says(w, "w1", got.pool, MUCH + 1, 10);
    worker_done(w, "w1", 1, 0, 1, 1000);
    w->in_a_row = false;
    got.n = 0;
    turn(w, "c1", &took);
    assert_int_equal(got.n + got.outcomes, 0);
    turns(w, NULL, NULL);
    assert_int_equal(got.taken, (MUCH - 10) * (uint64_t)WIRE_OUTPUT_COST);
    assert_int_equal(got.n, 11);
    assert_int_equal(got.last, MUCH + 1);
    assert_int_equal(got.outcomes, 1);
    assert_int_equal(got.n_at_outcome, 11);
    took.u.output_ack.seq = MUCH + 1;
    turns(w, "c1", &took);
    assert_int_equal(got.taken, (MUCH + 1) * (uint64_t)WIRE_OUTPUT_COST + 10);
    assert_int_equal(got.errors, 0);
    world_free(w);
}

static void r06_much_output_is_sent_again_over_turns(void **state)
{
    struct world *w = much();

    (void)state;
    worker_done(w, "w1", 1, 0, 1, 1000);
    world_lost(w, "c1");
    w->in_a_row = true;
    client_start(w, "c1", 1, NULL);
    w->in_a_row = false;
    got.n = got.outcomes = 0;
    turn(w, NULL, NULL);
    assert_in_range(got.n, 1, A_TURN);
    assert_int_equal(got.outcomes, 0);
    turns(w, NULL, NULL);
    assert_int_equal(got.n, MUCH);
    assert_int_equal(got.n_at_outcome, MUCH);
    assert_int_equal(got.outcomes, 1);
    world_free(w);
}

static void r06_much_output_of_a_client_that_ends_is_given_back_over_turns(void **state)
{
    struct world *w = much();

    (void)state;
    turns(w, "c1", &(struct wire_msg){ .type = WIRE_BYE });
    assert_int_equal(got.taken, MUCH * (uint64_t)WIRE_OUTPUT_COST);
    says(w, "w1", got.pool, MUCH + 1, 10);
    assert_int_equal(got.errors, 0);
    world_free(w);
}

/* A broker that was started again has got it before the client is back. */
static struct world *parked(uint64_t output_window)
{
    struct world *w = begin(output_window);

    world_restart(w, EPOCH + 1);
    memset(&got, 0, sizeof(got));
    worker_hello_only(w, "w1", 1, NULL);
    worker_holding(w, "w1", (const uint64_t[]){ 1 }, 1);
    says_much(w, 0, 1, MUCH);
    assert_int_equal(got.n, 0);
    return w;
}

static void r06_much_output_waits_for_its_client_over_turns(void **state)
{
    struct world *w = parked(8u << 20);

    (void)state;
    worker_done(w, "w1", 1, 0, 1, 1000);
    client_hello(w, "c1");
    client_pool(w, "c1", 1, 1);
    w->in_a_row = true;
    client_job(w, "c1", 1, 1, NULL);
    w->in_a_row = false;
    turn(w, NULL, NULL);
    assert_in_range(got.n, 1, 2 * A_TURN);
    assert_int_equal(got.outcomes, 0);
    assert_null(broker_check(w->b));
    turns(w, NULL, NULL);
    assert_int_equal(got.n, MUCH);
    assert_int_equal(got.last, MUCH);
    assert_int_equal(got.n_at_outcome, MUCH);
    world_free(w);
}

static void r21_what_is_printed_while_older_output_waits_comes_behind_it(void **state)
{
    struct world *w = parked(8u << 20);

    (void)state;
    client_hello(w, "c1");
    client_pool(w, "c1", 1, 1);
    w->in_a_row = true;
    client_job(w, "c1", 1, 1, NULL);
    w->in_a_row = false;
    turn(w, NULL, NULL);
    got.offset = 0;
    says(w, "w1", 0, MUCH + 1, 10);
    assert_int_equal(got.n, MUCH + 1);
    assert_int_equal(got.last, MUCH + 1);
    assert_int_equal(got.offset, MUCH * 10);            /* the last one that came is the last one that was said */
    world_free(w);
}

/* Its pool is granted while that goes on: what the worker says from then on is of another window, and given back so. */
static void r18_a_pool_is_granted_while_older_output_goes_out(void **state)
{
    struct wire_msg took = { .type = WIRE_OUTPUT_ACK, .u.output_ack.seq = 2ull * MUCH };
    struct world *w = parked(MUCH * (uint64_t)WIRE_OUTPUT_COST);

    (void)state;
    client_hello(w, "c1");
    client_pool(w, "c1", 1, 1);
    w->in_a_row = true;
    client_job(w, "c1", 1, 1, NULL);
    w->in_a_row = false;
    turn(w, NULL, NULL);
    assert_in_range(got.n, 1, 2 * A_TURN);
    got.watch = got.pool;
    assert_true(got.watch);
    says_much(w, got.watch, MUCH + 1, MUCH);
    assert_int_equal(got.errors, 0);
    assert_int_equal(got.n, 2 * MUCH);
    turns(w, "c1", &took);
    assert_int_equal(got.taken, 2 * MUCH * (uint64_t)WIRE_OUTPUT_COST);
    assert_int_equal(got.watched, MUCH * (uint64_t)WIRE_OUTPUT_COST);
    world_free(w);
}

static void r06_much_output_of_a_job_that_nobody_opens_goes_over_turns(void **state)
{
    struct world *w = parked(8u << 20);

    (void)state;
    for (int i = 0; i < 200 && got.taken < MUCH * (uint64_t)WIRE_OUTPUT_COST; i++) {
        w->now += CLOCK_MS * 1000;
        turns(w, "w1", &(struct wire_msg){ .type = WIRE_PING });
    }
    assert_int_equal(got.taken, MUCH * (uint64_t)WIRE_OUTPUT_COST);
    world_free(w);
}

/* What came again was counted; what is new had windows of its own on each connection, whatever was outstanding before. */
static void r07_reconnecting_gives_no_more_windows(void **state)
{
    const struct broker_config config = { .owner_memory = 16u << 20 };
    struct world *w = world_new(&config);
    uint64_t seq = 0;

    (void)state;
    memset(&got, 0, sizeof(got));
    w->hook = on_message;
    w->quiet = true;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, NULL);
    client_tasks(w, "c1", 1, 0, 1, 100);
    for (int k = 0; k < 20 && !got.errors; k++) {
        says(w, "w1", (uint32_t)k + 1, ++seq, PIECE);
        if (got.errors)
            break;
        world_lost(w, "w1");
        worker_hello_only(w, "w1", 1, NULL);
        worker_holding(w, "w1", (const uint64_t[]){ 1 }, 1);
    }
    assert_int_equal(seq, 2);                           /* the second is new before the first has come again */
    assert_int_equal(got.errors, 1);
    world_free(w);
}

/* Two tasks have printed, the first has ended, the second is returned, and the connection is lost meanwhile. */
static void r18_a_piece_given_back_takes_nothing_before_it(void **state)
{
    const struct wire_job_spec two = { .chunk = 2 };
    struct wire_item held = { .id = 1, .count = 1, .end = 2 };
    struct wire_msg holding = { .type = WIRE_HOLDING, .items = &held, .n_items = 1, .u.holding.last = true };
    struct wire_item it = { .id = 1, .count = 1, .flags = WIRE_FIXED, .size = 10, .seq = 2, .first = 1, .stream = 1, .pid = 5,
                            .tries = 1, .body = slice_borrow("123456789\n", 10) };
    struct wire_msg second = { .type = WIRE_OUTPUT, .items = &it, .n_items = 1 };
    struct world *w = world_new(NULL);

    (void)state;
    memset(&got, 0, sizeof(got));
    w->hook = on_message;
    w->quiet = true;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, &two);
    client_tasks(w, "c1", 1, 0, 2, 100);
    says(w, "w1", got.pool, 1, 10);                     /* the client does not take it */
    worker_done(w, "w1", 1, 0, 1, 1000);
    world_lost(w, "w1");
    worker_hello_only(w, "w1", 1, NULL);
    world_send(w, "w1", &holding);
    it.job = got.pool;
    says(w, "w1", got.pool, 1, 10);
    world_send(w, "w1", &second);
    assert_int_equal(got.errors, 0);
    assert_int_equal(got.taken, 10 + WIRE_OUTPUT_COST);     /* the window opens … */
    assert_int_equal(got.taken_seq, 0);                 /* … and the worker keeps the first piece */
    client_took(w, 1);
    assert_int_equal(got.taken_seq, 1);
    world_free(w);
}

static void says_of(struct world *w, const char *name, uint64_t attempt, uint64_t index, uint32_t size)
{
    uint8_t *body = calloc(1, size + 1);
    struct wire_item it = { .id = attempt, .job = 1, .count = 1, .flags = WIRE_FIXED, .size = size, .seq = 1, .first = index,
                            .stream = 1, .pid = 5, .tries = 1, .body = slice_borrow(body, size) };

    assert_non_null(body);
    world_send(w, name, &(struct wire_msg){ .type = WIRE_OUTPUT, .items = &it, .n_items = 1 });
    free(body);
}

static struct { uint64_t attempt, first; } order[16];
static size_t n_order;

static void note_order(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    on_message(w, p, m);
    for (uint32_t i = 0; i < m->n_items && m->type == WIRE_OUTPUT && n_order < 16; i++) {
        order[n_order].attempt = m->items[i].id;
        order[n_order++].first = m->items[i].first;
    }
}

/* w1 has tasks 0 and 1, both have printed; its connection is lost, and what comes next says that task 1 was returned. It goes out
 * to w2, prints there. Then w1 says again what it had printed of task 1: nobody waits for that. */
static void r21_output_of_what_was_returned_is_not_told_behind_the_next_attempts(void **state)
{
    const struct wire_job_spec two = { .chunk = 2 };
    struct wire_item held = { .id = 1, .count = 1, .end = 2 };
    struct wire_msg holding = { .type = WIRE_HOLDING, .items = &held, .n_items = 1, .u.holding.last = true };
    struct world *w = world_new(NULL);

    (void)state;
    memset(&got, 0, sizeof(got));
    n_order = 0;
    w->hook = note_order;
    w->quiet = true;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 2, &two);
    client_tasks(w, "c1", 1, 0, 2, 100);
    world_lost(w, "w1");
    worker_hello(w, "w2", 1);
    worker_hello_only(w, "w1", 1, NULL);
    world_send(w, "w1", &holding);              /* task 0 still runs */
    assert_int_equal(w->n_seen, 2);
    assert_int_equal(w->seen[1].first, 1);
    says_of(w, "w2", w->seen[1].id, 1, 10);
    says_of(w, "w1", 1, 1, 7);
    assert_int_equal(got.errors, 0);
    assert_int_equal(n_order, 1);
    assert_int_equal(order[0].attempt, w->seen[1].id);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r21_output_of_what_was_returned_is_not_told_behind_the_next_attempts),
        cmocka_unit_test(r07_reconnecting_gives_no_more_windows),
        cmocka_unit_test(r18_a_piece_given_back_takes_nothing_before_it),
        cmocka_unit_test(r21_outcomes_say_the_attempt_they_are_of),
        cmocka_unit_test(r21_output_waits_for_the_clients_window), cmocka_unit_test(r21_what_was_not_taken_is_sent_again),
        cmocka_unit_test(r21_a_worker_that_comes_back_says_it_again), cmocka_unit_test(r21_output_of_what_has_ended_is_said_again),
        cmocka_unit_test(r07_output_of_what_was_returned_meanwhile_is_given_back),
        cmocka_unit_test(r21_a_worker_beyond_its_window_is_ended),
        cmocka_unit_test(r18_what_comes_again_is_taken_of_the_window_it_comes_in),
        cmocka_unit_test(r18_a_pool_that_is_given_slots_again_is_one_window),
        cmocka_unit_test(r18_what_comes_again_has_no_more_windows_than_were_given),
        cmocka_unit_test(r06_windows_are_found_by_a_secret_hash),
        cmocka_unit_test(r21_a_worker_that_comes_back_twice_says_it_twice),
        cmocka_unit_test(r21_output_of_a_client_that_ends_is_given_back),
        cmocka_unit_test(r21_output_waits_for_a_client_that_is_not_back),
        cmocka_unit_test(r18_output_is_of_the_window_that_the_worker_says),
        cmocka_unit_test(r18_a_worker_has_no_more_windows_than_it_was_given),
        cmocka_unit_test(r06_output_that_comes_again_costs_its_records),
        cmocka_unit_test(r06_an_attempt_that_is_told_of_again_and_again_is_one_window),
        cmocka_unit_test(r21_output_says_which_host_it_is_of), cmocka_unit_test(r21_a_piece_that_comes_twice_is_counted_once),
        cmocka_unit_test(r21_what_is_to_be_sent_again_is_not_taken), cmocka_unit_test(r21_a_piece_above_the_window_goes_alone),
        cmocka_unit_test(r06_much_output_is_taken_over_turns),
        cmocka_unit_test(r06_a_client_comes_back_while_its_output_is_taken),
        cmocka_unit_test(r06_much_output_is_sent_again_over_turns),
        cmocka_unit_test(r06_much_output_of_a_client_that_ends_is_given_back_over_turns),
        cmocka_unit_test(r06_much_output_waits_for_its_client_over_turns),
        cmocka_unit_test(r21_what_is_printed_while_older_output_waits_comes_behind_it),
        cmocka_unit_test(r18_a_pool_is_granted_while_older_output_goes_out),
        cmocka_unit_test(r21_what_is_taken_after_its_pool_is_told_by_its_window),
        cmocka_unit_test(r18_a_pool_that_slept_goes_on_in_its_window),
        cmocka_unit_test(r06_much_output_of_a_job_that_nobody_opens_goes_over_turns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
