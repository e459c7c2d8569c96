/* SPDX-License-Identifier: MPL-2.0
 * test_halt.c - --halt, and the exit status of a map.
 */
#include "test.h"

#include "../../../cli/core/halt.h"

#include <bfork.h>

static struct halt parsed(const char *text)
{
    struct halt h;
    struct err e = { 0 };

    assert_int_equal(cli_halt_parse(text, &h, &e), 0);
    return h;
}

static void words(void **state)
{
    (void)state;
    struct halt h = parsed("soon,fail=1");
    assert_int_equal(h.when, HALT_SOON);
    assert_int_equal(h.why, HALT_FAIL);
    assert_int_equal(h.value, 1);
    h = parsed("now,success=30%");
    assert_int_equal(h.when, HALT_NOW);
    assert_int_equal(h.why, HALT_SUCCESS);
    assert_true(h.percent);
    assert_int_equal(parsed("never").when, HALT_NEVER);
}

static void nonsense_is_refused(void **state)
{
    static const char *const bad[] = { "", "soon", "now,", "later,fail=1", "now,fail", "now,fail=", "now,fail=0", "now,fail=x",
                                       "now,fail=1x",
                                       "now,fail=101%", "never,fail=1", "now,fails=1", "now=fail,1", "now,fail=-1" };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct halt h;
        struct err e = { 0 };
        if (cli_halt_parse(bad[i], &h, &e) != BFORK_EINVAL)
            fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(h.when, HALT_NEVER);
        assert_non_null(strstr(e.text, "--halt"));
    }
}

static void when_it_is_reached(void **state)
{
    struct halt h = parsed("now,fail=2");
    struct halt_counts c = { .done = 5, .failed = 1, .last_failed_status = 9 };

    (void)state;
    assert_false(cli_halt_reached(&h, &c));
    assert_int_equal(cli_halt_exit_status(&h, &c), 1);
    c.failed = 2;
    assert_true(cli_halt_reached(&h, &c));
    assert_int_equal(cli_halt_exit_status(&h, &c), 9);
    h = parsed("soon,success=3");
    assert_true(cli_halt_reached(&h, &c));
    assert_int_equal(cli_halt_exit_status(&h, &c), 0);
    h = parsed("soon,done=6");
    assert_false(cli_halt_reached(&h, &c));
    h = parsed("soon,fail=50%");
    assert_false(cli_halt_reached(&h, &c));
    c.failed = 3;
    assert_true(cli_halt_reached(&h, &c));
    c.done = c.failed = 2;
    assert_false(cli_halt_reached(&h, &c));
    h = parsed("soon,done=50%");
    c = (struct halt_counts){ .done = 5, .total = 10 };
    assert_false(cli_halt_reached(&h, &c));
    c.total_known = true;
    assert_true(cli_halt_reached(&h, &c));
}

static void the_exit_status_counts_failures(void **state)
{
    struct halt h = parsed("never");

    (void)state;
    assert_int_equal(cli_halt_exit_status(&h, &(struct halt_counts){ .done = 9 }), 0);
    assert_int_equal(cli_halt_exit_status(&h, &(struct halt_counts){ .done = 200, .failed = 100 }), 100);
    assert_int_equal(cli_halt_exit_status(&h, &(struct halt_counts){ .done = 200, .failed = 101 }), 101);
    assert_int_equal(cli_halt_exit_status(&h, &(struct halt_counts){ .done = 2000, .failed = 2000 }), 101);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words), cmocka_unit_test(nonsense_is_refused), cmocka_unit_test(when_it_is_reached),
        cmocka_unit_test(the_exit_status_counts_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
