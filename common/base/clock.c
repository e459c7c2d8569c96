/* SPDX-License-Identifier: MPL-2.0
 * clock.c - the only reader of the monotonic clock. Never fails; no state.
 */
#include "base/clock.h"

#include <limits.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * CLOCK_SEC + (uint64_t)t.tv_nsec;
}

uint64_t clock_now(void) { return read_clock(CLOCK_MONOTONIC); }

uint64_t clock_coarse(void) { return read_clock(CLOCK_MONOTONIC_COARSE); }

int clock_poll_ms(uint64_t now, uint64_t deadline)
{
    uint64_t ms;

    if (deadline == CLOCK_NEVER)
        return -1;
    if (deadline <= now)
        return 0;
    ms = (deadline - now) / CLOCK_MS + ((deadline - now) % CLOCK_MS != 0);
    return ms > INT_MAX ? INT_MAX : (int)ms;
}
