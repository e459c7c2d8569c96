/* SPDX-License-Identifier: MPL-2.0
 * Did you mean …?
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/near.h"

static void distances(void **state)
{
    (void)state;
    assert_int_equal(near_distance("map", "map"), 0);
    assert_int_equal(near_distance("map", "mpa"), 1);
    assert_int_equal(near_distance("", "map"), 3);
    assert_int_equal(near_distance("workers", "worker"), 1);
    assert_int_equal(near_distance("kitten", "sitting"), 3);
}

static void nearest_word(void **state)
{
    static const char *const list[] = { "map", "run", "status", "workers", "keygen" };

    (void)state;
    assert_string_equal(near_word("mpa", list, 5), "map");
    assert_string_equal(near_word("stauts", list, 5), "status");
    assert_string_equal(near_word("worker", list, 5), "workers");
    assert_string_equal(near_word("key", list, 5), "keygen");
    assert_null(near_word("frobnicate", list, 5));
    assert_null(near_word("", list, 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(distances), cmocka_unit_test(nearest_word) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
