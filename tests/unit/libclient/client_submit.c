/* SPDX-License-Identifier: MPL-2.0
 * client_submit.c - submitting single tasks on this machine: values, mismatches, results, indexes, queue limits, last errors.
 */
#include "tasks.h"

static bfork_pool *pool;

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

static void every_type_travels_both_ways(void **state)
{
    bool b;
    short s;
    unsigned short us;
    int i;
    unsigned u;
    long l;
    unsigned long ul;
    float f;
    double d;
    const char *str;
    bfork_bytes bytes;
    (void)state;
    bfork_future *x = bfork_submit(pool, returns_all, true, (short)-3, (unsigned short)65535, -70000, 4000000000u, -5000000000l,
                                   18000000000000000000ul, 1.5f, 2.25, "text", bfork_bytes_of("a\0b", 3));
    ok(bfork_result(x, &b, &s, &us, &i, &u, &l, &ul, &f, &d, &str, &bytes));
    assert_true(b);
    assert_int_equal(s, -3);
    assert_int_equal(us, 65535);
    assert_int_equal(i, -70000);
    assert_true(u == 4000000000u && l == -5000000000l && ul == 18000000000000000000ul);
    assert_true(f == 1.5f && d == 2.25);
    assert_string_equal(str, "text");
    assert_int_equal(bytes.size, 3);
    assert_memory_equal(bytes.data, "a\0b", 3);
    ok(bfork_result(x, &b, &s, &us, &i, &u, &l, &ul, &f, &d, &str, &bytes));    /* may be called again */
    bfork_future_free(&x);
    assert_null(x);
    bfork_future_free(&x);                      /* NULL-safe */
}

static void a_mismatch_of_arguments_shows_both_sides(void **state)
{
    (void)state;
    bfork_future *f = bfork_submit(pool, add_one, "text");
    assert_int_equal(bfork_result(f), BFORK_MISMATCH);
    assert_non_null(strstr(bfork_last_error()->message, "str"));
    assert_non_null(strstr(bfork_last_error()->message, "int"));
    assert_int_equal(bfork_future_error(f)->kind, BFORK_MISMATCH);
    bfork_future_free(&f);
}

static void a_mismatch_of_results_shows_both_sides_and_zeroes(void **state)
{
    const char *text = "before";
    int y = 5;
    (void)state;
    bfork_future *f = bfork_submit(pool, add_one, 1);
    assert_int_equal(bfork_result(f, &text), BFORK_MISMATCH);
    assert_non_null(strstr(bfork_last_error()->message, "sent (int 2), asked for (const char * *)"));
    assert_null(text);
    assert_null(bfork_future_error(f));         /* the task itself is well */
    ok(bfork_result(f, &y));
    assert_int_equal(y, 2);
    bfork_future_free(&f);
}

static void a_number_that_does_not_fit_is_a_mismatch(void **state)
{
    (void)state;
    bfork_future *f = bfork_submit(pool, add_one, 5000000000l);
    assert_int_equal(bfork_result(f), BFORK_MISMATCH);
    bfork_future_free(&f);
}

static void results_of_every_size_up_to_one_mebibyte(void **state)
{
    static const size_t sizes[] = { 0, 1, 30, 31, 100, 5000, 16000, 40000, 300000, 1000000 };
    (void)state;
    for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
        uint8_t *bytes = malloc(sizes[k] + 1);
        bfork_bytes back;
        bool b;
        short s;
        unsigned short us;
        int i;
        unsigned u;
        long l;
        unsigned long ul;
        float fl;
        double d;
        const char *str;
        memset(bytes, (int)k + 1, sizes[k]);
        bfork_future *f = bfork_submit(pool, returns_all, true, (short)0, (unsigned short)0, 0, 0u, 0l, 0ul, 0.f, 0., "",
                                       bfork_bytes_of(bytes, sizes[k]));
        ok(bfork_result(f, &b, &s, &us, &i, &u, &l, &ul, &fl, &d, &str, &back));
        assert_int_equal(back.size, sizes[k]);
        assert_memory_equal(back.data, bytes, sizes[k]);
        bfork_future_free(&f);
        free(bytes);
    }
}

static void too_big_arguments_are_refused(void **state)
{
    size_t size = 2u << 20;
    void *bytes = calloc(1, size);
    (void)state;
    bfork_future *f = bfork_submit(pool, returns_all, bfork_bytes_of(bytes, size));
    assert_int_equal(bfork_future_state(f), BFORK_DONE);
    assert_int_equal(bfork_result(f), BFORK_ETOOBIG);
    bfork_future_free(&f);
    free(bytes);
}

static void raw_arguments_and_results(void **state)
{
    static const uint8_t five[] = { 0x91, 0x05 }, broken[] = { 0x92, 0x05 }, number[] = { 0x05 };
    const bfork_function fn = bfork_function_of(add_one);
    const void *result;
    size_t size;
    (void)state;
    bfork_future *f = bfork_pool_submit_raw(pool, &fn, NULL, five, sizeof(five));
    ok(bfork_future_result_raw(f, &result, &size));
    assert_int_equal(size, 2);
    assert_memory_equal(result, "\x91\x06", 2);
    bfork_future_free(&f);
    f = bfork_pool_submit_raw(pool, &fn, NULL, broken, sizeof(broken));
    assert_int_equal(bfork_result(f), BFORK_EINVAL);
    bfork_future_free(&f);
    f = bfork_pool_submit_raw(pool, &fn, NULL, number, sizeof(number));
    assert_int_equal(bfork_result(f), BFORK_EINVAL);
    bfork_future_free(&f);
}

static void a_command(void **state)
{
    const char *const argv[] = { "sh", "-c", "echo out; echo err >&2; exit 3", NULL }, *const none[] = { NULL };
    bfork_bytes out, err;
    int code;
    (void)state;
    bfork_future *f = bfork_pool_submit_raw(pool, &(bfork_function){ .argv = argv }, NULL, NULL, 0);
    ok(bfork_result(f, &code, &out, &err));
    assert_int_equal(code, 3);
    assert_int_equal(out.size, 4);
    assert_memory_equal(out.data, "out\n", 4);
    assert_memory_equal(err.data, "err\n", 4);
    bfork_future_free(&f);
    f = bfork_pool_submit_raw(pool, &(bfork_function){ .argv = none }, NULL, NULL, 0);
    assert_int_equal(bfork_result(f), BFORK_EINVAL);
    bfork_future_free(&f);
}

static void a_function_must_be_one_thing(void **state)
{
    static const int data = 3;
    const char *const argv[] = { "true", NULL };
    const bfork_function none = { .argv = NULL }, two = { .argv = argv, .fn = (void (*)(void))add_one };
    const bfork_function no_code = { .fn = (void (*)(void))(uintptr_t)&data }, good = bfork_function_of(add_one);
    (void)state;
    bfork_future *f = bfork_pool_submit_raw(pool, &none, NULL, NULL, 0);
    assert_int_equal(bfork_result(f), BFORK_EINVAL);
    bfork_future_free(&f);
    f = bfork_pool_submit_raw(pool, &two, NULL, NULL, 0);
    assert_int_equal(bfork_result(f), BFORK_EINVAL);
    bfork_future_free(&f);
    f = bfork_pool_submit(pool, NULL, NULL, NULL, 0);
    assert_int_equal(bfork_result(f), BFORK_EINVAL);
    bfork_future_free(&f);
    assert_int_equal(bfork_pool_check(pool, &none), BFORK_EINVAL);
    assert_int_equal(bfork_pool_check(pool, &no_code), BFORK_EINVAL);
    ok(bfork_pool_check(pool, &good));
}

static void wrong_options_are_refused(void **state)
{
    const bfork_options wrong[] = { { .flags = 1 }, { .reserved = { [3] = 1 } }, { .retries = -2 }, { .run_limit_ms = -1 },
                                    { .when_full = 2 }, { .context = { NULL, 4 } } };
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        bfork_future *f = bfork_submit_with(pool, &wrong[i], add_one, 1);
        assert_int_equal(bfork_result(f), BFORK_EINVAL);
        bfork_future_free(&f);
    }
}

static void indexes_count_the_submits_of_a_function(void **state)
{
    (void)state;
    bfork_future *first = bfork_submit(pool, own_pid), *second = bfork_submit(pool, own_pid), *other = bfork_submit(pool, raises);
    assert_int_equal(bfork_future_index(second), bfork_future_index(first) + 1);
    assert_int_equal(bfork_result(other), BFORK_FAILED);
    assert_int_equal(bfork_last_error()->index, bfork_future_index(other));
    bfork_future_free(&first);
    bfork_future_free(&second);
    bfork_future_free(&other);
}

static void success_and_free_leave_the_last_error(void **state)
{
    (void)state;
    bfork_future *bad = bfork_submit(pool, raises), *good = bfork_submit(pool, add_one, 1);
    int y;
    assert_int_equal(bfork_result(bad), BFORK_FAILED);
    ok(bfork_result(good, &y));
    assert_true(bfork_pool_size(pool) >= 0);
    bfork_future_free(&good);
    bfork_future_free(&bad);
    bfork_pool *another = bfork_pool_new(NULL, 1, NULL);
    bfork_pool_close(another);
    bfork_pool_free(&another);
    assert_int_equal(bfork_last_error()->kind, BFORK_FAILED);
    assert_string_equal(bfork_last_error()->message, "no luck with 3");
}

static void a_full_queue_refuses_or_waits(void **state)
{
    bfork_pool *small = bfork_pool_new(NULL, 1, &(bfork_pool_options){ .max_queued = 2 });
    const char *gate = fresh("gate");
    bfork_future *f[3], *refused;
    (void)state;
    f[0] = bfork_submit(small, waits_for_file, gate);
    f[1] = bfork_submit(small, add_one, 1);
    refused = bfork_submit_with(small, BFORK_OPTIONS(.when_full = BFORK_REFUSE), add_one, 2);
    assert_int_equal(bfork_result(refused), BFORK_EAGAIN);
    bfork_future_free(&refused);
    ok(bfork_future_cancel(f[0], 0));           /* makes room */
    f[2] = bfork_submit(small, add_one, 2);
    for (int i = 1; i < 3; i++) {
        int y;
        ok(bfork_result(f[i], &y));
        assert_int_equal(y, i + 1);
    }
    for (int i = 0; i < 3; i++)
        bfork_future_free(&f[i]);
    bfork_pool_free(&small);
}

static void bytes_in_the_queue_are_limited_too(void **state)
{
    bfork_pool *small = bfork_pool_new(NULL, 1, &(bfork_pool_options){ .max_queued_bytes = 100 });
    char big[90];
    (void)state;
    memset(big, 'a', sizeof(big));
    bfork_future *first = bfork_submit(small, sleeps, bfork_bytes_of(big, sizeof(big)));
    bfork_future *second = bfork_submit_with(small, BFORK_OPTIONS(.when_full = BFORK_REFUSE), sleeps,
                                             bfork_bytes_of(big, sizeof(big)));
    assert_int_equal(bfork_future_state(first), BFORK_PENDING);
    assert_int_equal(bfork_result(second), BFORK_EAGAIN);
    bfork_future_free(&first);
    bfork_future_free(&second);
    bfork_pool_terminate(small);
    bfork_pool_free(&small);
}

/* What has ended is not in the queue any more, while something else still is. */
static void bytes_of_what_has_ended_do_not_count(void **state)
{
    bfork_pool *small = bfork_pool_new(NULL, 1, &(bfork_pool_options){ .max_queued_bytes = 400 });
    char big[90];
    (void)state;
    memset(big, 'a', sizeof(big));
    bfork_future *first = bfork_submit(small, sleeps, bfork_bytes_of(big, sizeof(big)));
    for (int i = 0; i < 20; i++) {
        bfork_future *f = bfork_submit_with(small, BFORK_OPTIONS(.when_full = BFORK_REFUSE), sleeps,
                                            bfork_bytes_of(big, sizeof(big)));
        assert_int_equal(bfork_future_cancel(f, 0), 0);
        assert_int_equal(bfork_result(f), BFORK_CANCELLED);
        bfork_future_free(&f);
    }
    bfork_future_free(&first);
    bfork_pool_terminate(small);
    bfork_pool_free(&small);
}

static void a_poll_does_not_wait(void **state)
{
    const char *gate = fresh("gate_poll");
    (void)state;
    bfork_future *f = bfork_submit(pool, waits_for_file, gate);
    assert_int_equal(bfork_future_wait(f, 0), BFORK_ETIMEDOUT);
    assert_int_equal(bfork_future_wait(f, 10), BFORK_ETIMEDOUT);
    assert_int_equal(bfork_future_state(f), BFORK_PENDING);
    assert_null(bfork_future_error(f));
    FILE *file = fopen(gate, "w");
    fclose(file);
    ok(bfork_future_wait(f, BFORK_FOREVER));
    assert_int_equal(bfork_future_state(f), BFORK_DONE);
    assert_int_equal(bfork_future_cancel(f, 0), BFORK_ESTATE);
    bfork_future_free(&f);
}

static void null_handles_are_errors_not_crashes(void **state)
{
    bfork_stream *none = NULL;
    bfork_future *f = bfork_submit((bfork_pool *)NULL, add_one, 1), *got;
    (void)state;
    assert_int_equal(bfork_result(f), BFORK_EINVAL);
    bfork_future_free(&f);
    assert_int_equal(bfork_future_wait(NULL, 0), BFORK_EINVAL);
    assert_int_equal(bfork_future_cancel(NULL, 0), BFORK_EINVAL);
    assert_int_equal(bfork_pool_size(NULL), BFORK_EINVAL);
    assert_int_equal(bfork_pool_wait(NULL, 1, 0), BFORK_EINVAL);
    assert_int_equal(bfork_pool_join(NULL, 0), BFORK_EINVAL);
    assert_int_equal(bfork_stream_next(NULL, 0, &got), BFORK_EINVAL);
    assert_int_equal(bfork_session_error(NULL)->kind, BFORK_EINVAL);
    assert_int_equal(bfork_pool_error(NULL)->kind, BFORK_EINVAL);
    bfork_pool_close(NULL);
    bfork_pool_terminate(NULL);
    bfork_session_interrupt(NULL);
    bfork_stream_free(&none);
    assert_null(bfork_future_ref(NULL));
}

static void a_second_handle_is_freed_as_well(void **state)
{
    int y;
    (void)state;
    bfork_future *f = bfork_submit(pool, add_one, 41), *g = bfork_future_ref(f);
    bfork_future_free(&f);
    ok(bfork_result(g, &y));
    assert_int_equal(y, 42);
    bfork_future_free(&g);
}

static void context_and_environment(void **state)
{
    static const int numbers[] = { 1, 2, 3, 4 };
    const char *const env[] = { "LT_COLOUR=blue", NULL };
    const char *colour;
    int sum;
    (void)state;
    bfork_pool *p = bfork_pool_new(NULL, 1, &(bfork_pool_options){ .env = env });
    bfork_future *f = bfork_submit_with(p, BFORK_OPTIONS(.context = bfork_bytes_of(numbers, sizeof(numbers))), reads_context);
    ok(bfork_result(f, &sum));
    assert_int_equal(sum, 10);
    bfork_future_free(&f);
    f = bfork_submit(p, reads_env, "LT_COLOUR");
    ok(bfork_result(f, &colour));
    assert_string_equal(colour, "blue");
    bfork_future_free(&f);
    bfork_pool_free(&p);
}

static void a_context_too_large_is_refused(void **state)
{
    void *much = calloc(1, 300000);
    (void)state;
    bfork_future *f = bfork_submit_with(pool, BFORK_OPTIONS(.context = bfork_bytes_of(much, 300000)), add_one, 1);
    assert_int_equal(bfork_result(f), BFORK_ETOOBIG);
    bfork_future_free(&f);
    free(much);
}

static void more_kinds_of_jobs_than_are_kept_open(void **state)
{
    bfork_future *f[200];
    int y;
    (void)state;
    for (int i = 0; i < 200; i++)
        f[i] = bfork_submit_with(pool, BFORK_OPTIONS(.seed = (uint64_t)i), add_one, i);
    for (int i = 0; i < 200; i++) {
        ok(bfork_result(f[i], &y));
        assert_int_equal(y, i + 1);
        bfork_future_free(&f[i]);
    }
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_travels_both_ways), cmocka_unit_test(a_mismatch_of_arguments_shows_both_sides),
        cmocka_unit_test(a_mismatch_of_results_shows_both_sides_and_zeroes),
        cmocka_unit_test(a_number_that_does_not_fit_is_a_mismatch), cmocka_unit_test(results_of_every_size_up_to_one_mebibyte),
        cmocka_unit_test(too_big_arguments_are_refused), cmocka_unit_test(raw_arguments_and_results), cmocka_unit_test(a_command),
        cmocka_unit_test(a_function_must_be_one_thing), cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(indexes_count_the_submits_of_a_function), cmocka_unit_test(success_and_free_leave_the_last_error),
        cmocka_unit_test(a_full_queue_refuses_or_waits), cmocka_unit_test(bytes_in_the_queue_are_limited_too),
        cmocka_unit_test(bytes_of_what_has_ended_do_not_count),
        cmocka_unit_test(a_poll_does_not_wait), cmocka_unit_test(null_handles_are_errors_not_crashes),
        cmocka_unit_test(a_second_handle_is_freed_as_well), cmocka_unit_test(context_and_environment),
        cmocka_unit_test(a_context_too_large_is_refused), cmocka_unit_test(more_kinds_of_jobs_than_are_kept_open),
    };
    return cmocka_run_group_tests(tests, open_pool, free_pool);
}
