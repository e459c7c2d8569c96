/* SPDX-License-Identifier: MPL-2.0
 * client_streams.c - futures in the order they finish: the end, time limits, failed futures, several sessions, several threads.
 */
#include "tasks.h"

static bfork_pool *pool;
static char a_name[] = "a", b_name[] = "b", quick_name[] = "quick";

static int open_pool(void **state)
{
    (void)state;
    pool = bfork_pool_new(NULL, 2, NULL);
    return bfork_pool_error(pool) ? -1 : 0;
}

static int free_pool(void **state)
{
    (void)state;
    bfork_pool_free(&pool);
    return 0;
}

static void an_empty_stream_is_at_its_end(void **state)
{
    bfork_future *f = (bfork_future *)state;
    bfork_stream *s = bfork_stream_new();
    assert_int_equal(bfork_stream_next(s, BFORK_FOREVER, &f), BFORK_END);
    assert_null(f);
    assert_int_equal(bfork_stream_left(s), 0);
    bfork_stream_free(&s);
    assert_null(s);
}

static void what_finishes_first_comes_first(void **state)
{
    const char *gate = fresh("gate_stream");
    bfork_stream *s = bfork_stream_new();
    bfork_future *f;
    char slow, quick;
    (void)state;
    bfork_stream_add(s, bfork_submit(pool, waits_for_file, gate), &slow);
    bfork_stream_add(s, bfork_submit(pool, add_one, 1), &quick);
    assert_int_equal(bfork_stream_left(s), 2);
    ok(bfork_stream_next(s, BFORK_FOREVER, &f));
    assert_ptr_equal(bfork_future_data(f), &quick);
    bfork_future_free(&f);
    assert_int_equal(bfork_stream_next(s, 0, &f), BFORK_ETIMEDOUT);
    assert_int_equal(bfork_stream_next(s, 10, &f), BFORK_ETIMEDOUT);
    assert_null(f);
    fclose(fopen(gate, "w"));
    ok(bfork_stream_next(s, BFORK_FOREVER, &f));
    assert_ptr_equal(bfork_future_data(f), &slow);
    bfork_future_free(&f);
    assert_int_equal(bfork_stream_next(s, BFORK_FOREVER, &f), BFORK_END);
    bfork_stream_free(&s);
}

static void failed_futures_come_out_as_well(void **state)
{
    bfork_stream *s = bfork_stream_new();
    bfork_future *f;
    (void)state;
    bfork_stream_add(s, bfork_submit((bfork_pool *)NULL, add_one, 1), NULL);
    bfork_stream_add(s, bfork_submit(pool, raises), NULL);
    bfork_stream_add(s, NULL, NULL);
    ok(bfork_stream_next(s, BFORK_FOREVER, &f));
    assert_int_equal(bfork_result(f), BFORK_EINVAL);
    bfork_future_free(&f);
    ok(bfork_stream_next(s, BFORK_FOREVER, &f));
    assert_int_equal(bfork_result(f), BFORK_FAILED);
    bfork_future_free(&f);
    assert_int_equal(bfork_stream_next(s, 0, &f), BFORK_END);
    bfork_stream_free(&s);
}

static void a_stream_may_be_freed_full(void **state)
{
    bfork_stream *s = bfork_stream_new();
    int y;
    (void)state;
    for (int i = 0; i < 50; i++)
        bfork_stream_add(s, bfork_submit(pool, add_one, i), NULL);
    bfork_future *f = bfork_submit(pool, add_one, 1), *g = bfork_future_ref(f);
    bfork_stream_add(s, g, NULL);
    bfork_stream_free(&s);
    ok(bfork_result(f, &y));                    /* the other handle still is one */
    bfork_future_free(&f);
}

static void a_future_can_go_from_stream_to_stream(void **state)
{
    bfork_stream *a = bfork_stream_new(), *b = bfork_stream_new();
    bfork_future *f;
    (void)state;
    bfork_stream_add(a, bfork_submit(pool, add_one, 1), a_name);
    ok(bfork_stream_next(a, BFORK_FOREVER, &f));
    bfork_stream_add(b, f, b_name);
    ok(bfork_stream_next(b, 0, &f));
    assert_string_equal(bfork_future_data(f), "b");
    bfork_future_free(&f);
    bfork_stream_free(&a);
    bfork_stream_free(&b);
}

static void several_sessions_in_one_stream(void **state)
{
    enum { SESSIONS = 4, EACH = 20 };
    bfork_session *sessions[SESSIONS];
    bfork_pool *pools[SESSIONS];
    bfork_stream *s = bfork_stream_new();
    int counts[SESSIONS] = { 0 };
    bfork_future *f;
    (void)state;
    assert_int_equal(bfork_pool_size(NULL), BFORK_EINVAL);      /* a last error that must stay */
    for (int i = 0; i < SESSIONS; i++) {
        sessions[i] = local();
        pools[i] = bfork_pool_new(sessions[i], 1, NULL);
    }
    for (int k = 0; k < EACH; k++)
        for (int i = 0; i < SESSIONS; i++)
            bfork_stream_add(s, bfork_submit(pools[i], sleeps_ms, k % 3), &counts[i]);
    while (bfork_stream_next(s, BFORK_FOREVER, &f) == 0) {
        ok(bfork_result(f));
        (*(int *)bfork_future_data(f))++;
        bfork_future_free(&f);
    }
    assert_int_equal(bfork_last_error()->kind, BFORK_EINVAL);
    for (int i = 0; i < SESSIONS; i++) {
        assert_int_equal(counts[i], EACH);
        bfork_pool_free(&pools[i]);
        bfork_session_free(&sessions[i]);
    }
    bfork_stream_free(&s);
}

/* The only future of the session that is driven never ends; another session's does. */
static void a_session_that_is_not_driven_is_heard(void **state)
{
    const char *gate = fresh("gate_sessions");
    bfork_session *other = local();
    bfork_pool *p = bfork_pool_new(other, 1, NULL);
    (void)state;
    for (int i = 0; i < 20; i++) {
        bfork_stream *s = bfork_stream_new();
        bfork_future *f, *slow = bfork_submit(pool, waits_for_file, gate), *handle = bfork_future_ref(slow);
        bfork_stream_add(s, slow, NULL);
        bfork_stream_add(s, bfork_submit(p, sleeps_ms, i % 4), quick_name);
        ok(bfork_stream_next(s, BFORK_FOREVER, &f));
        assert_string_equal(bfork_future_data(f), "quick");
        bfork_future_free(&f);
        ok(bfork_future_cancel(handle, 0));
        bfork_stream_free(&s);
        bfork_future_free(&handle);
    }
    bfork_pool_free(&p);
    bfork_session_free(&other);
}

struct shared { bfork_stream *stream; _Atomic int taken; };

static void *takes(void *arg)
{
    struct shared *s = arg;
    bfork_future *f;
    int rc;
    while ((rc = bfork_stream_next(s->stream, BFORK_FOREVER, &f)) == 0) {
        bfork_future_free(&f);
        atomic_fetch_add(&s->taken, 1);
    }
    return (void *)(uintptr_t)(rc != BFORK_END);
}

static void several_threads_take_from_one_stream(void **state)
{
    enum { THREADS = 4, N = 400 };
    struct shared s = { .stream = bfork_stream_new() };
    pthread_t threads[THREADS];
    (void)state;
    for (int i = 0; i < N; i++)
        bfork_stream_add(s.stream, bfork_submit(pool, add_one, i), NULL);
    for (int i = 0; i < THREADS; i++)
        ok(pthread_create(&threads[i], NULL, takes, &s));
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        ok(pthread_join(threads[i], &failed));
        assert_null(failed);
    }
    assert_int_equal(s.taken, N);
    bfork_stream_free(&s.stream);
}

static void adding_wakes_who_waits(void **state)
{
    const char *gate = fresh("gate_adding");
    struct shared s = { .stream = bfork_stream_new() };
    pthread_t thread;
    void *failed;
    (void)state;
    bfork_stream_add(s.stream, bfork_submit(pool, waits_for_file, gate), NULL);
    ok(pthread_create(&thread, NULL, takes, &s));
    bfork_stream_add(s.stream, bfork_submit((bfork_pool *)NULL, add_one, 1), NULL);     /* done from the start */
    while (s.taken < 1)
        sched_yield();
    fclose(fopen(gate, "w"));
    ok(pthread_join(thread, &failed));
    assert_null(failed);
    assert_int_equal(s.taken, 2);
    bfork_stream_free(&s.stream);
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_stream_is_at_its_end), cmocka_unit_test(what_finishes_first_comes_first),
        cmocka_unit_test(failed_futures_come_out_as_well), cmocka_unit_test(a_stream_may_be_freed_full),
        cmocka_unit_test(a_future_can_go_from_stream_to_stream), cmocka_unit_test(several_sessions_in_one_stream),
        cmocka_unit_test(a_session_that_is_not_driven_is_heard), cmocka_unit_test(several_threads_take_from_one_stream),
        cmocka_unit_test(adding_wakes_who_waits),
    };
    return cmocka_run_group_tests(tests, open_pool, free_pool);
}
