/* SPDX-License-Identifier: MPL-2.0
 * client_each.c - a function over strings, byte strings and elements whose results have any size: on this machine, and the same
 * in the calling process. Which error is told.
 */
#include "tasks.h"

#include <ctype.h>

static bfork_session *sessions[2];
static bfork_pool *pools[2];

static int open_pools(void **state)
{
    (void)state;
    sessions[0] = local();
    sessions[1] = bfork_session_new("serial:", NULL);
    for (int i = 0; i < 2; i++)
        pools[i] = bfork_pool_new(sessions[i], 2, NULL);
    return bfork_pool_error(pools[0]) || bfork_pool_error(pools[1]) ? -1 : 0;
}

static int free_pools(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        bfork_pool_free(&pools[i]);
        bfork_session_free(&sessions[i]);
    }
    return 0;
}

static int shout(const char *in, bfork_task *task)
{
    size_t n = strlen(in);
    char *s = bfork_task_alloc(task, n + 1);
    for (size_t i = 0; i <= n; i++)
        s[i] = (char)toupper((unsigned char)in[i]);
    return bfork_return(task, s, n);
}

static void r04_strings(void **state)
{
    const char *in[] = { "alpha", "a much longer line than the others, which does not fit into what is kept inline", "", "ä" };
    const char *upper[] = { "ALPHA", "A MUCH LONGER LINE THAN THE OTHERS, WHICH DOES NOT FIT INTO WHAT IS KEPT INLINE", "", "ä" };
    (void)state;
    for (int k = 0; k < 2; k++) {
        bfork_future *f = bfork_each(pools[k], shout, in, 4);
        for (size_t i = 4; i-- > 0;) {
            const char *out;
            size_t size;
            ok(bfork_result_at(f, i, &out, &size));
            assert_string_equal(out, upper[i]);
            assert_int_equal(size, strlen(in[i]));
        }
        ok(bfork_future_wait(f, BFORK_FOREVER));
        ok(bfork_result(f));
        bfork_future_free(&f);
        ok(bfork_take(bfork_each(pools[k], shout, in, 4)));
        ok(bfork_take(bfork_each(pools[k], shout, in, 0)));
    }
}

static int reverses(bfork_bytes in, bfork_task *task)
{
    const char *from = in.data;
    char *to = bfork_task_alloc(task, in.size);
    for (size_t i = 0; i < in.size; i++)
        to[i] = from[in.size - 1 - i];
    return bfork_return(task, bfork_bytes_of(to, in.size));
}

static void r04_byte_strings_with_nuls_and_of_any_size(void **state)
{
    enum { BIG = 1 << 20 };
    char *big = calloc(1, BIG);
    bfork_bytes in[] = { bfork_bytes_of("a\0b", 3), bfork_bytes_of(NULL, 0), bfork_bytes_of(big, BIG), bfork_bytes_of(big, 20000) };
    (void)state;
    big[0] = 'x';
    for (int k = 0; k < 2; k++) {
        bfork_future *f = bfork_each(pools[k], reverses, in, 4);
        bfork_bytes out[4];
        for (size_t i = 0; i < 4; i++) {
            ok(bfork_result_at(f, i, &out[i]));
            assert_int_equal(out[i].size, in[i].size);
        }
        assert_memory_equal(out[0].data, "b\0a", 3);
        assert_int_equal(((const char *)out[2].data)[BIG - 1], 'x');
        assert_int_equal(((const char *)out[3].data)[20000 - 1], 'x');
        bfork_future_free(&f);
    }
    free(big);
}

struct sides { long double a; int b; };

static int area(const struct sides *in, bfork_task *task)
{
    if ((uintptr_t)in % _Alignof(struct sides))
        return bfork_raise(task, 9, "the element is not aligned");
    return in->b ? bfork_return(task, (double)in->a * in->b) : 0;       /* without sides: nothing */
}

static void r04_elements(void **state)
{
    struct sides in[50];
    (void)state;
    memset(in, 0, sizeof(in));
    for (int i = 0; i < 50; i++) {
        in[i].a = i;
        in[i].b = i;
    }
    for (int k = 0; k < 2; k++) {
        bfork_future *f = bfork_each(pools[k], area, in, 50);
        double d = 1;
        for (size_t i = 1; i < 50; i++) {
            ok(bfork_result_at(f, i, &d));
            assert_true(d == (double)(i * i));
        }
        ok(bfork_result_at(f, 0));
        assert_int_equal(bfork_result_at(f, 0, &d), BFORK_MISMATCH);
        assert_true(d == 0);
        bfork_future_free(&f);
    }
}

static void r04_what_cannot_travel_is_refused_before_anything_runs(void **state)
{
    const char *strings[] = { "a", NULL };
    const bfork_bytes bytes[] = { { NULL, 3 } };
    char *long_one = malloc(2u << 20);
    (void)state;
    memset(long_one, 'x', (2u << 20) - 1);
    long_one[(2u << 20) - 1] = 0;
    for (int k = 0; k < 2; k++) {
        assert_int_equal(bfork_take(bfork_each(pools[k], shout, strings, 2)), BFORK_EINVAL);
        assert_string_equal(bfork_last_error()->message, "each: string 1 is NULL");
        assert_int_equal(bfork_take(bfork_each(pools[k], reverses, bytes, 1)), BFORK_EINVAL);
        assert_int_equal(bfork_take(bfork_each(pools[k], shout, (const char **)&long_one, 1)), BFORK_ETOOBIG);
        assert_int_equal(bfork_take(bfork_pool_each(pools[k], NULL, strings, 1, 1, NULL)), BFORK_EINVAL);
        assert_int_equal(bfork_take(bfork_pool_each_string(pools[k], shout, NULL, 1, NULL)), BFORK_EINVAL);
        assert_int_equal(bfork_take(bfork_pool_each_string(NULL, shout, strings, 1, NULL)), BFORK_EINVAL);
        bfork_each_fn *any = (bfork_each_fn *)(void (*)(void))area;
        assert_int_equal(bfork_take(bfork_pool_each(pools[k], any, strings, 0, 1, NULL)), BFORK_EINVAL);
    }
    free(long_one);
}

static int needs_a_digit(const char *in, bfork_task *task)
{
    if (!isdigit((unsigned char)*in))
        return bfork_raise(task, 4, "%s is no number", in);
    return bfork_return(task, *in - '0');
}

static void r04_failures_of_elements(void **state)
{
    const char *in[] = { "1", "x", "3", "y" };
    (void)state;
    for (int k = 0; k < 2; k++) {
        int32_t status[4];
        int out = 7;
        bfork_future *f = bfork_each_with(pools[k], BFORK_OPTIONS(.status = status), needs_a_digit, in, 4);
        assert_int_equal(bfork_result(f), BFORK_FAILED);
        assert_string_equal(bfork_last_error()->message, "x is no number");
        assert_int_equal(bfork_last_error()->index, 1);
        assert_int_equal(bfork_result_at(f, 3, &out), BFORK_FAILED);
        assert_string_equal(bfork_last_error()->message, "y is no number");
        assert_int_equal(out, 0);
        ok(bfork_result_at(f, 2, &out));
        assert_int_equal(out, 3);
        const int32_t kinds[] = { 0, BFORK_FAILED, 0, BFORK_FAILED };
        assert_memory_equal(status, kinds, sizeof(status));
        assert_int_equal(bfork_future_error_at(f, 3)->code, 4);
        assert_int_equal(bfork_result_at(f, 4, &out), BFORK_EINVAL);
        assert_int_equal(bfork_result(f, &out), BFORK_FAILED);
        bfork_future_free(&f);
        f = bfork_each(pools[k], needs_a_digit, in, 1);
        assert_int_equal(bfork_result(f, &out), BFORK_EINVAL);
        bfork_future_free(&f);
    }
}

static int waits_for_string(const char *path, bfork_task *task)
{
    (void)task;
    while (*path && access(path, F_OK) != 0)
        usleep(1000);
    return 0;
}

static void r04_one_element_is_read_while_others_run(void **state)
{
    const char *gate = fresh("gate_each");
    const char *in[] = { gate, "" };
    (void)state;
    bfork_future *f = bfork_each_with(pools[0], BFORK_OPTIONS(.chunk = 1), waits_for_string, in, 2);
    ok(bfork_result_at(f, 1));
    assert_int_equal(bfork_future_state(f), BFORK_PENDING);
    assert_int_equal(bfork_future_wait(f, 0), BFORK_ETIMEDOUT);
    assert_int_equal(bfork_result_within(f, 0), BFORK_ETIMEDOUT);
    fclose(fopen(gate, "w"));
    ok(bfork_result_at(f, 0));
    ok(bfork_take(f));
}

static void r04_each_is_cancelled_and_freed(void **state)
{
    const char *gate = fresh("gate_never"), *in[100];
    (void)state;
    for (int i = 0; i < 100; i++)
        in[i] = gate;
    bfork_future *f = bfork_each(pools[0], waits_for_string, in, 100);
    ok(bfork_future_cancel(f, 0));
    assert_int_equal(bfork_result_at(f, 50), BFORK_CANCELLED);
    assert_int_equal(bfork_take(f), BFORK_CANCELLED);
    f = bfork_each(pools[0], waits_for_string, in, 100);
    bfork_future_free(&f);                      /* cancels: the processes are free again */
    const char *none[] = { "", "", "" };
    ok(bfork_take(bfork_each(pools[0], waits_for_string, none, 3)));
    f = bfork_each(pools[0], waits_for_string, in, 100);
    bfork_pool *p = pools[0];
    bfork_pool_terminate(p);
    ok(bfork_pool_join(p, BFORK_FOREVER));
    assert_int_equal(bfork_take(f), BFORK_CANCELLED);
    bfork_pool_free(&pools[0]);
    pools[0] = bfork_pool_new(sessions[0], 2, NULL);
}

static void r04_many(void **state)
{
    enum { N = 100000 };
    int *in = malloc(N * sizeof(*in));
    char (*text)[8] = malloc(N * sizeof(*text));
    const char **names = malloc(N * sizeof(*names));
    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(text[i], sizeof(text[i]), "%d", i);
        names[i] = text[i];
    }
    bfork_future *f = bfork_each(pools[0], needs_a_digit, names, N);
    for (size_t i = 0; i < N; i++) {
        int digit;
        ok(bfork_result_at(f, i, &digit));
        assert_int_equal(digit, text[i][0] - '0');
    }
    bfork_future_free(&f);
    free(in);
    free(text);
    free(names);
}

static int two_strings(bfork_task *task)
{
    return bfork_return(task, "left", bfork_bytes_of("right", 5), 3);
}

static void take_and_gather(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        const char *left;
        bfork_bytes right;
        int three;
        for (int i = 0; i < 3; i++) {
            ok(bfork_take(bfork_submit(pools[k], two_strings), &left, &right, &three));
            assert_string_equal(left, "left");
            assert_memory_equal(right.data, "right", 5);
            assert_int_equal(three, 3);
        }
        assert_int_equal(bfork_take(bfork_submit(pools[k], raises, 3), &left), BFORK_FAILED);
        assert_null(left);
        assert_int_equal(bfork_take(NULL), BFORK_EINVAL);
        bfork_future *f[3] = { bfork_submit(pools[k], add_one, 1), bfork_submit(pools[k], fails_with_7, 1),
                               bfork_submit(pools[k], raises, 3) };
        assert_int_equal(bfork_gather(f, 3), BFORK_FAILED);
        assert_int_equal(bfork_last_error()->code, 7);
        assert_true(!f[0] && !f[1] && !f[2]);
        f[0] = bfork_submit(pools[k], add_one, 1);
        ok(bfork_gather(f, 1));
    }
}

/* The one with the gate fails last, and has the lower index. */
static int fails_behind_the_gate(const int *in, int *out, bfork_task *task)
{
    (void)out;
    while (*in == 0 && access("gate_lowest", F_OK) != 0)
        usleep(1000);
    return bfork_raise(task, 40 + *in, "%d fails", *in);
}

static void the_lowest_error_is_told_though_it_comes_last(void **state)
{
    int in[] = { 0, 1 }, out[2];
    int32_t status[2];
    (void)state;
    unlink("gate_lowest");
    bfork_future *f = bfork_map_async(pools[0], fails_behind_the_gate, in, out, 2, BFORK_OPTIONS(.status = status, .chunk = 1));
    while (status[1] == BFORK_END)              /* it has arrived */
        assert_int_equal(bfork_future_wait(f, 5), BFORK_ETIMEDOUT);
    fclose(fopen("gate_lowest", "w"));
    assert_int_equal(bfork_result(f), BFORK_FAILED);
    assert_int_equal(bfork_last_error()->index, 0);
    assert_int_equal(bfork_last_error()->code, 40);
    assert_int_equal(bfork_future_error(f)->code, 40);
    assert_int_equal(bfork_future_error_at(f, 1)->code, 41);
    bfork_future_free(&f);
    unlink("gate_lowest");
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r04_strings), cmocka_unit_test(r04_byte_strings_with_nuls_and_of_any_size), cmocka_unit_test(r04_elements),
        cmocka_unit_test(r04_what_cannot_travel_is_refused_before_anything_runs), cmocka_unit_test(r04_failures_of_elements),
        cmocka_unit_test(r04_one_element_is_read_while_others_run), cmocka_unit_test(r04_each_is_cancelled_and_freed),
        cmocka_unit_test(r04_many), cmocka_unit_test(take_and_gather),
        cmocka_unit_test(the_lowest_error_is_told_though_it_comes_last),
    };
    return cmocka_run_group_tests(tests, open_pools, free_pools);
}
