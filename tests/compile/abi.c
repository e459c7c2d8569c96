/* SPDX-License-Identifier: MPL-2.0
 * abi.c - what programs compiled earlier rely on: sizes and places of members of the public structs, and numbers of the public
 * enums.
 *
 * A change here breaks programs that are already out: it needs a new soname. The numbers are those of 64-bit systems.
 */
#include "base/err.h"

#include <bfork.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void structs_keep_their_sizes(void **state)
{
    (void)state;
    assert_int_equal(sizeof(void *), 8);
    assert_int_equal(sizeof(bfork_bytes), 16);
    assert_int_equal(sizeof(bfork_arg), 24);
    assert_int_equal(sizeof(bfork_ref), 24);
    assert_int_equal(sizeof(bfork_progress), 56);
    assert_int_equal(sizeof(bfork_session_options), 128);
    assert_int_equal(sizeof(bfork_pool_options), 248);
    assert_int_equal(sizeof(bfork_options), 208);
    assert_int_equal(sizeof(bfork_function), 64);
    /* these two may grow at their end */
    assert_true(sizeof(bfork_error) >= 96);
    assert_true(sizeof(bfork_task_info) >= 80);
}

static void members_keep_their_places(void **state)
{
    (void)state;
    assert_int_equal(offsetof(bfork_arg, v), 8);
    assert_int_equal(offsetof(bfork_arg, size), 16);
    assert_int_equal(offsetof(bfork_ref, p), 8);
    assert_int_equal(offsetof(bfork_ref, size), 16);
    assert_int_equal(offsetof(bfork_error, task), 16);
    assert_int_equal(offsetof(bfork_error, message), 48);
    assert_int_equal(offsetof(bfork_error, output), 88);
    assert_int_equal(offsetof(bfork_task_info, attempt), 24);
    assert_int_equal(offsetof(bfork_task_info, client_pid), 40);
    assert_int_equal(offsetof(bfork_session_options, reserved), 56);
    assert_int_equal(offsetof(bfork_pool_options, start), 88);
    assert_int_equal(offsetof(bfork_pool_options, cwd), 96);
    assert_int_equal(offsetof(bfork_pool_options, reserved), 104);
    assert_int_equal(offsetof(bfork_options, context), 40);
    assert_int_equal(offsetof(bfork_options, reserved), 80);
    assert_int_equal(offsetof(bfork_function, reserved), 32);
}

static void numbers_stay(void **state)
{
    (void)state;
    assert_int_equal(BFORK_OK, 0);
    assert_int_equal(BFORK_END, 1);
    assert_int_equal(BFORK_FAILED, -1);
    assert_int_equal(BFORK_CRASHED, -2);
    assert_int_equal(BFORK_EXITED, -3);
    assert_int_equal(BFORK_OVERTIME, -4);
    assert_int_equal(BFORK_OVERMEMORY, -5);
    assert_int_equal(BFORK_CANCELLED, -6);
    assert_int_equal(BFORK_LOST, -7);
    assert_int_equal(BFORK_REFUSED, -8);
    assert_int_equal(BFORK_UNKNOWN, -9);
    assert_int_equal(BFORK_MISMATCH, -10);
    assert_int_equal(BFORK_EINVAL, -32);
    assert_int_equal(BFORK_EPROTOCOL, -49);
    assert_int_equal(BFORK_NIL, 0);
    assert_int_equal(BFORK_BIN, 6);
    assert_int_equal(BFORK_I16, 16);
    assert_int_equal(BFORK_ANY, 25);
}

static void base_uses_the_public_number(void **state)
{
    (void)state;
    assert_int_equal(BASE_ENOMEM, BFORK_ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(structs_keep_their_sizes),
        cmocka_unit_test(members_keep_their_places),
        cmocka_unit_test(numbers_stay),
        cmocka_unit_test(base_uses_the_public_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
