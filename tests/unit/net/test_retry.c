/* SPDX-License-Identifier: MPL-2.0
 * test_retry.c - pauses and limits of a worker's tries, by the clock of the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/retry.h"
#include "wire/times.h"

/* The broker is gone for ten minutes, every try is refused at once: the worker that holds work comes at least every second. */
static void r18_who_holds_work_tries_every_second(void **state)
{
    const uint64_t worst = UINT64_MAX - 7;
    struct retry r = { 0 };
    uint64_t now = CLOCK_SEC;

    (void)state;
    for (int i = 0; i < 600; i++) {
        net_retry_try(&r, now, 1);
        assert_false(net_retry_stuck(&r, now));
        net_retry_failed(&r, now, true, i & 1 ? worst : (uint64_t)i * 977 * CLOCK_MS);
        assert_true(r.next > now);
        assert_true(r.next <= now + TIME_RETRY_HELD_MS * CLOCK_MS);
        now = r.next;
    }
    net_retry_worked(&r, now);
    assert_int_equal(r.failures, 0);
    for (int i = 0; i < 20; i++) {              /* who holds nothing is in no hurry */
        net_retry_try(&r, now, 0);
        assert_int_equal(net_retry_deadline(&r), CLOCK_NEVER);
        net_retry_failed(&r, now, false, (uint64_t)i * 1234567891u);
        assert_true(r.next <= now + TIME_RETRY_IDLE_MS * CLOCK_MS);
        now = r.next;
    }
    assert_true(r.next >= now);
}

/* No answer to anything for 4.0 s, then there is one: it is found before the lease ends, wherever in the cut the silence was
 * noticed. */
static void r20_a_cut_shorter_than_the_lease_is_survived(void **state)
{
    const uint64_t cut_end = 4000 * CLOCK_MS, heard = TIME_HEARTBEAT_MS / 4 * CLOCK_MS;

    (void)state;
    for (uint64_t random = 0; random < 997; random++) {
        uint64_t last = random * heard / 997, lease_end = TIME_LEASE_MS * CLOCK_MS - last,
                 now = TIME_LEASE_MS / 2 * CLOCK_MS - last;
        struct retry r = { 0 };

        net_retry_failed(&r, now, true, random * 0x9e3779b97f4a7c15u);
        for (now = r.next; now < cut_end; now = r.next) {
            net_retry_try(&r, now, lease_end);
            assert_true(r.limit < CLOCK_NEVER);
            net_retry_failed(&r, r.limit, true, random * 0x9e3779b97f4a7c15u + now);
        }
        assert_true(now + 150 * CLOCK_MS < lease_end);      /* a handshake, and HELLO */
    }
}

static void slow_networks_get_the_time_that_they_need(void **state)
{
    struct retry r = { 0 };
    uint64_t now = CLOCK_SEC;

    (void)state;
    net_retry_try(&r, now, 1);
    for (int i = 0; i < 40; i++) {
        net_retry_failed(&r, r.limit, true, 3);
        net_retry_try(&r, r.next, 1);
        assert_true(r.limit - r.since <= TIME_TRY_MOST_MS * CLOCK_MS);
    }
    assert_int_equal(r.limit - r.since, TIME_TRY_MOST_MS * CLOCK_MS);
    net_retry_worked(&r, r.since + 700 * CLOCK_MS);
    net_retry_try(&r, now, CLOCK_NEVER);
    assert_int_equal(r.limit - r.since, 1400 * CLOCK_MS);   /* as before, and half of that again */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r18_who_holds_work_tries_every_second),
        cmocka_unit_test(r20_a_cut_shorter_than_the_lease_is_survived),
        cmocka_unit_test(slow_networks_get_the_time_that_they_need),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
