/* SPDX-License-Identifier: MPL-2.0
 * client_serial.c - "serial:": the same calls, arguments, results, errors and indexes as elsewhere, in the calling process and
 * thread.
 */
#include "tasks.h"

static bfork_session *session;
static bfork_pool *pool;
static int preloaded, initialized, finalized;

static int open_pool(void **state)
{
    (void)state;
    session = bfork_session_new("serial:", NULL);
    pool = bfork_pool_new(session, 4, NULL);
    return bfork_pool_error(pool) ? -1 : 0;
}

static int free_pool(void **state)
{
    (void)state;
    bfork_pool_free(&pool);
    bfork_session_free(&session);
    return 0;
}

static int tells_who(bfork_task *t)
{
    const bfork_task_info *i = bfork_task_self(t);
    return bfork_return(t, i->index, i->seed);
}

static int square_where(const int *in, int *out, bfork_task *t)
{
    *out = *in * *in;
    return bfork_task_self(t)->index == (uint64_t)*in && bfork_task_self(t)->client_pid == getpid() ? 0 : 1;
}

static void one_slot_and_this_process(void **state)
{
    int pid = 0, y = 0;
    (void)state;
    assert_int_equal(bfork_pool_size(pool), 1);
    ok(bfork_pool_wait(pool, 1, 0));
    assert_int_equal(bfork_pool_wait(pool, 2, 0), BFORK_EINVAL);
    bfork_future *f = bfork_submit(pool, own_pid);
    assert_int_equal(bfork_future_state(f), BFORK_DONE);
    ok(bfork_result(f, &pid));
    assert_int_equal(pid, getpid());
    assert_int_equal(bfork_future_cancel(f, 0), BFORK_ESTATE);
    bfork_future_free(&f);
    f = bfork_submit(pool, add_one, 41);
    ok(bfork_result(f, &y));
    assert_int_equal(y, 42);
    bfork_future_free(&f);
    assert_int_equal(children(), 0);
}

static void every_type_travels(void **state)
{
    int i = 0;
    double d = 0;
    const char *text = NULL;
    bool b = false;
    short s;
    unsigned short us;
    unsigned u;
    long l;
    unsigned long ul;
    float x;
    bfork_bytes bytes;
    (void)state;
    bfork_future *f = bfork_submit(pool, returns_all, true, (short)-3, (unsigned short)65535, -70000, 4000000000u, -5000000000l,
                                   18000000000000000000ul, 1.5f, 2.25, "text", bfork_bytes_of("a\0b", 3));
    bfork_future *later = bfork_submit(pool, add_one, 1);       /* what f returned stays its own */
    ok(bfork_result(f, &b, &s, &us, &i, &u, &l, &ul, &x, &d, &text, &bytes));
    assert_true(b && i == -70000 && d == 2.25 && bytes.size == 3);
    assert_string_equal(text, "text");
    bfork_future_free(&later);
    bfork_future_free(&f);
}

static void failures(void **state)
{
    (void)state;
    bfork_future *f = bfork_submit(pool, raises);
    assert_int_equal(bfork_result(f), BFORK_FAILED);
    assert_int_equal(bfork_last_error()->code, 5);
    assert_string_equal(bfork_last_error()->message, "no luck with 3");
    assert_non_null(strstr(bfork_future_error(f)->function, "raises"));
    bfork_future_free(&f);
    f = bfork_submit(pool, fails_with_7, 1);
    assert_int_equal(bfork_result(f), BFORK_FAILED);
    assert_int_equal(bfork_last_error()->code, 7);
    bfork_future_free(&f);
}

static void mismatches_show_both_sides(void **state)
{
    const char *text;
    (void)state;
    bfork_future *f = bfork_submit(pool, add_one, "text");
    assert_int_equal(bfork_result(f), BFORK_MISMATCH);
    assert_non_null(strstr(bfork_last_error()->message, "str"));
    bfork_future_free(&f);
    f = bfork_submit(pool, add_one, 1);
    assert_int_equal(bfork_result(f, &text), BFORK_MISMATCH);
    assert_null(text);
    bfork_future_free(&f);
}

static void indexes_and_seeds_are_those_of_a_pool_elsewhere(void **state)
{
    enum { N = 4 };
    bfork_session *s = local();
    bfork_pool *pools[2] = { bfork_pool_new(session, 1, NULL), bfork_pool_new(s, 1, NULL) };
    uint64_t index[2][N], seed[2][N];
    (void)state;
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < N; i++) {
            bfork_future *f = bfork_submit_with(pools[k], BFORK_OPTIONS(.seed = 7), tells_who);
            bfork_future *other = bfork_submit(pools[k], add_one, 1);
            ok(bfork_result(f, &index[k][i], &seed[k][i]));
            assert_int_equal(index[k][i], i);
            assert_int_equal(bfork_future_index(f), i);
            assert_int_equal(bfork_future_index(other), i);
            bfork_future_free(&f);
            bfork_future_free(&other);
        }
    assert_memory_equal(seed[0], seed[1], sizeof(seed[0]));
    assert_true(seed[0][0] != seed[0][1]);
    bfork_future *f = bfork_submit(pools[0], raises), *g = bfork_submit(pools[0], raises);
    assert_int_equal(bfork_result(g), BFORK_FAILED);
    assert_int_equal(bfork_last_error()->index, 1);
    bfork_future_free(&f);
    bfork_future_free(&g);
    for (int k = 0; k < 2; k++)
        bfork_pool_free(&pools[k]);
    bfork_session_free(&s);
}

static void last_progress(void *data, const bfork_progress *p)
{
    *(bfork_progress *)data = *p;
}

static void maps(void **state)
{
    enum { N = 100 };
    int in[N], out[N];
    (void)state;
    for (int i = 0; i < N; i++)
        in[i] = i;
    ok(bfork_map(pool, square_where, in, out, N));
    for (int i = 0; i < N; i++)
        assert_int_equal(out[i], i * i);
    ok(bfork_map(pool, square_where, in, out, 0));
}

static void failures_in_a_map(void **state)
{
    int in[] = { 2, 4, 7, 6, 9 }, out[] = { -1, -1, -1, -1, -1 };
    const int expected[] = { 1, 2, -1, 3, -1 };
    int32_t status[5];
    const int32_t kinds[] = { 0, 0, BFORK_FAILED, 0, BFORK_FAILED };
    bfork_progress seen = { 0 };
    (void)state;
    bfork_future *f = bfork_map_async(pool, odd_fails, in, out, 5,
                                      BFORK_OPTIONS(.status = status, .progress = last_progress, .progress_data = &seen));
    assert_int_equal(bfork_result(f), BFORK_FAILED);
    assert_int_equal(bfork_last_error()->index, 2);
    assert_int_equal(bfork_last_error()->code, 7);
    assert_string_equal(bfork_last_error()->message, "7 is odd");
    assert_int_equal(bfork_future_error_at(f, 4)->code, 9);
    assert_null(bfork_future_error_at(f, 0));
    bfork_future_free(&f);
    assert_memory_equal(out, expected, sizeof(out));
    assert_memory_equal(status, kinds, sizeof(status));
    assert_true(seen.total == 5 && seen.done == 3 && seen.failed == 2);
}

static void commands(void **state)
{
    const char *const argv[] = { "sh", "-c", "echo out; echo err >&2; exit 3", NULL };
    int code = 0;
    bfork_bytes out, err;
    (void)state;
    bfork_future *f = bfork_pool_submit_raw(pool, &(bfork_function){ .argv = argv }, NULL, NULL, 0);
    ok(bfork_result(f, &code, &out, &err));
    assert_int_equal(code, 3);
    assert_int_equal(out.size, 4);
    assert_memory_equal(out.data, "out\n", 4);
    assert_memory_equal(err.data, "err\n", 4);
    bfork_future_free(&f);
}

static void context_stream_and_closing(void **state)
{
    const int numbers[] = { 1, 2, 3 };
    int sum = 0;
    bfork_future *f;
    (void)state;
    bfork_pool *p = bfork_pool_new(session, 1, NULL);
    bfork_stream *s = bfork_stream_new();
    bfork_stream_add(s, bfork_submit_with(p, BFORK_OPTIONS(.context = bfork_pod(numbers)), reads_context), NULL);
    ok(bfork_stream_next(s, BFORK_FOREVER, &f));
    ok(bfork_result(f, &sum));
    assert_int_equal(sum, 6);
    bfork_future_free(&f);
    assert_int_equal(bfork_stream_next(s, 0, &f), BFORK_END);
    bfork_stream_free(&s);
    bfork_pool_terminate(p);
    ok(bfork_pool_join(p, 0));
    f = bfork_submit(p, add_one, 1);
    assert_int_equal(bfork_result(f), BFORK_ECLOSED);
    bfork_future_free(&f);
    bfork_pool_free(&p);
}

static int preloads(bfork_task *t)
{
    return bfork_args(t, &preloaded);
}

static int initializes(bfork_task *t)
{
    (void)t;
    initialized++;
    return 0;
}

static int finalizes(bfork_task *t)
{
    (void)t;
    finalized++;
    return 0;
}

static int hook_fails(bfork_task *t)
{
    return bfork_raise(t, 4, "the hook says no");
}

static void hooks_run_once(void **state)
{
    (void)state;
    bfork_pool *p = bfork_pool_new(session, 3, &(bfork_pool_options){ .preload = preloads, .initializer = initializes,
                                                                      .finalizer = finalizes, BFORK_ARGS(20) });
    assert_int_equal(preloaded, 0);             /* with the first task, not before */
    for (int i = 0; i < 3; i++) {
        bfork_future *f = bfork_submit(p, add_one, i);
        ok(bfork_result(f));
        bfork_future_free(&f);
    }
    assert_int_equal(preloaded, 20);
    assert_int_equal(initialized, 1);
    assert_int_equal(finalized, 0);
    bfork_pool_free(&p);
    assert_int_equal(finalized, 1);
}

static void a_failing_hook_fails_the_work(void **state)
{
    int in[2] = { 0 }, out[2];
    int32_t status[2];
    (void)state;
    finalized = 0;
    bfork_pool *p = bfork_pool_new(session, 1, &(bfork_pool_options){ .initializer = hook_fails, .finalizer = finalizes });
    for (int i = 0; i < 2; i++) {
        bfork_future *f = bfork_submit(p, add_one, 1);
        assert_true(bfork_result(f) < 0);
        assert_non_null(strstr(bfork_last_error()->message, "the hook says no"));
        bfork_future_free(&f);
    }
    int rc = bfork_map_with(p, square, in, out, 2, BFORK_OPTIONS(.status = status));
    assert_true(rc < 0);
    assert_true(status[0] == rc && status[1] == rc);
    bfork_pool_free(&p);
    assert_int_equal(finalized, 0);
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_slot_and_this_process), cmocka_unit_test(every_type_travels), cmocka_unit_test(failures),
        cmocka_unit_test(mismatches_show_both_sides), cmocka_unit_test(indexes_and_seeds_are_those_of_a_pool_elsewhere),
        cmocka_unit_test(maps), cmocka_unit_test(failures_in_a_map), cmocka_unit_test(commands),
        cmocka_unit_test(context_stream_and_closing), cmocka_unit_test(hooks_run_once),
        cmocka_unit_test(a_failing_hook_fails_the_work),
    };
    return cmocka_run_group_tests(tests, open_pool, free_pool);
}
