/* SPDX-License-Identifier: MPL-2.0
 * client_no_init.c - a program whose main does not call bfork_init: commands run, its own functions are refused, saying why.
 */
#include "bfork.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static int nothing(bfork_task *t)
{
    (void)t;
    return 0;
}

static int twice(const int *in, int *out, bfork_task *t)
{
    (void)t;
    *out = 2 * *in;
    return 0;
}

static void own_functions_are_refused(void **state)
{
    bfork_pool *p = bfork_pool_new(NULL, 1, NULL);
    const bfork_function fn = bfork_function_of(nothing);
    int in = 1, out = 5;
    (void)state;
    bfork_future *f = bfork_submit(p, nothing);
    assert_int_equal(bfork_result(f), BFORK_ENOINIT);
    assert_non_null(strstr(bfork_last_error()->message, "bfork_init"));
    bfork_future_free(&f);
    assert_int_equal(bfork_map(p, twice, &in, &out, 1), BFORK_ENOINIT);
    assert_int_equal(out, 5);
    assert_int_equal(bfork_pool_check(p, &fn), BFORK_ENOINIT);
    bfork_pool_free(&p);
}

static void commands_run(void **state)
{
    const char *const argv[] = { "echo", "hello", NULL };
    bfork_pool *p = bfork_pool_new(NULL, 1, NULL);
    bfork_bytes out, err;
    int code;
    (void)state;
    bfork_future *f = bfork_pool_submit_raw(p, &(bfork_function){ .argv = argv }, NULL, NULL, 0);
    assert_int_equal(bfork_result(f, &code, &out, &err), 0);
    assert_int_equal(code, 0);
    assert_memory_equal(out.data, "hello\n", 6);
    bfork_future_free(&f);
    bfork_pool_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(own_functions_are_refused), cmocka_unit_test(commands_run) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
