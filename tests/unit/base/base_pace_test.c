/* SPDX-License-Identifier: MPL-2.0
 * base_pace_test.c - the running mean of durations: its first value, how it follows, and that it is never unknown again.
 */
#include "base/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void the_first_report_counts_whole(void **state)
{
    (void)state;
    assert_int_equal(pace_add(0, 1000, 10), 100);
    assert_int_equal(pace_add(0, 0, 1), 1);
    assert_int_equal(pace_add(0, 3, 10), 1);
}

static void it_follows_the_last_few_reports(void **state)
{
    uint64_t mean = 1000;

    (void)state;
    assert_int_equal(pace_add(1000, 8000, 4), 1250);
    for (int i = 0; i < 40; i++)
        mean = pace_add(mean, 100000 * 8, 8);
    assert_in_range(mean, 99900, 100000);
    for (int i = 0; i < 60; i++)
        mean = pace_add(mean, 50, 50);
    assert_in_range(mean, 1, 4);
}

static void it_does_not_overflow(void **state)
{
    (void)state;
    assert_in_range(pace_add(UINT64_MAX, UINT64_MAX, 1), UINT64_MAX - 8, UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_report_counts_whole), cmocka_unit_test(it_follows_the_last_few_reports),
        cmocka_unit_test(it_does_not_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
