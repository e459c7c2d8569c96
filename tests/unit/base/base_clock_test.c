/* SPDX-License-Identifier: MPL-2.0
 * base_clock_test.c - time goes on; waiting times for poll() are rounded up and never too long.
 */
#include "base/clock.h"

#include <limits.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void time_does_not_go_back(void **state)
{
    uint64_t last = clock_now();

    (void)state;
    assert_true(last > 0 && last != CLOCK_NEVER);
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_now();

        assert_true(now >= last);
        last = now;
    }
}

static void waits_are_rounded_up(void **state)
{
    (void)state;
    assert_int_equal(clock_poll_ms(5, CLOCK_NEVER), -1);
    assert_int_equal(clock_poll_ms(5, 5), 0);
    assert_int_equal(clock_poll_ms(5, 4), 0);
    assert_int_equal(clock_poll_ms(5, 6), 1);
    assert_int_equal(clock_poll_ms(0, CLOCK_MS), 1);
    assert_int_equal(clock_poll_ms(0, CLOCK_MS + 1), 2);
    assert_int_equal(clock_poll_ms(0, 3 * CLOCK_SEC), 3000);
    assert_int_equal(clock_poll_ms(0, CLOCK_NEVER - 1), INT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(time_does_not_go_back), cmocka_unit_test(waits_are_rounded_up) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
