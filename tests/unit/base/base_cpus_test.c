/* SPDX-License-Identifier: MPL-2.0
 * base_cpus_test.c - usable cores: at least one, never more than the affinity mask allows.
 */
#include "base/cpus.h"

#include <sched.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void within_what_the_system_has(void **state)
{
    (void)state;
    assert_in_range(cpus_usable(), 1, sysconf(_SC_NPROCESSORS_ONLN));
}

static void the_mask_is_obeyed(void **state)
{
    cpu_set_t all, one;
    int cpu = 0;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    assert_int_equal(cpus_usable(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(within_what_the_system_has), cmocka_unit_test(the_mask_is_obeyed) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
