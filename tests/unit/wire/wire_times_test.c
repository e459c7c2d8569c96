/* SPDX-License-Identifier: MPL-2.0
 * wire_times_test.c - the table of times: its inequalities, and what a daemon is told that breaks one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/conf.h"
#include "bfork.h"
#include "wire/times.h"

static void r18_the_default_times_keep_every_promise(void **state)
{
    struct times t = { 0 };
    struct err e = { 0, "" };

    (void)state;
    times_default(&t);
    assert_int_equal(times_check(&t, &e), 0);
    assert_int_equal(t.lease_ms, TIME_LEASE_MS);
    assert_int_equal(t.hold_ms, TIME_HOLD_MS);
    assert_true(TIME_HOLD_MS >= TIME_LEASE_MS + TIME_RECONNECT_MS);     /* a live worker reports before a held task runs */
    assert_true(TIME_RETRY_HELD_MS <= 1000);
    assert_true(TIME_LEASE_MS / 2 + TIME_TRY_FIRST_MS + TIME_RETRY_HELD_MS <= TIME_LEASE_MS);   /* a try fits behind the silence */
}

/* After a start of the broker a pool that the workers there have failed is in doubt until the hold ends, and then refused: workers
 * that were alive all the while are back by then, those that hold nothing too. */
static void r17_a_worker_that_holds_nothing_is_back_before_the_hold_ends(void **state)
{
    struct times t = { 0 };

    (void)state;
    times_default(&t);
    assert_true(TIME_RETRY_IDLE_MS + TIME_TRY_MOST_MS <= t.hold_ms);
    assert_true(TIME_RETRY_HELD_MS < TIME_RETRY_IDLE_MS);
}

static void r18_times_that_break_a_promise_are_refused_with_the_reason(void **state)
{
    struct times t = { .hold_ms = 3000 };
    struct err e = { 0, "" };

    (void)state;
    assert_int_equal(times_check(&t, &e), BFORK_EINVAL);
    assert_non_null(strstr(e.text, "3000 ms"));
    assert_non_null(strstr(e.text, "5000 ms"));
    assert_non_null(strstr(e.text, "8000ms"));
    t = (struct times){ .lease_ms = 60000 };        /* the hold follows */
    assert_int_equal(times_check(&t, &e), 0);
    times_default(&t);
    assert_int_equal(t.hold_ms, 60000 + TIME_RECONNECT_MS);
    t.hold_ms--;
    assert_int_equal(times_check(&t, &e), BFORK_EINVAL);
    t = (struct times){ .heartbeat_ms = 1000, .lease_ms = 3999, .hold_ms = 60000 };
    assert_int_equal(times_check(&t, &e), BFORK_EINVAL);
    assert_non_null(strstr(e.text, "4000ms"));
}

/* What people read in the help is what the programs use. */
static void texts_of_times_are_their_values(void **state)
{
    (void)state;
    for (int i = 0; i < TIME_N; i++) {
        struct { int64_t ms; } o = { 0 };
        const struct conf_option table[] = { { "time", 0, CONF_MS, 0, time_rows[i].text, 0, 3600000, "TIME", "x", 0 } };
        struct conf *c = NULL;
        struct err e = { 0, "" };

        assert_int_equal(conf_new(table, 1, &o, &c), 0);
        assert_int_equal(conf_finish(c, &e), 0);
        assert_int_equal(o.ms, time_rows[i].ms);
        assert_true(strlen(time_rows[i].doc) > 10);
        conf_free(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r18_the_default_times_keep_every_promise),
        cmocka_unit_test(r17_a_worker_that_holds_nothing_is_back_before_the_hold_ends),
        cmocka_unit_test(r18_times_that_break_a_promise_are_refused_with_the_reason),
        cmocka_unit_test(texts_of_times_are_their_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
