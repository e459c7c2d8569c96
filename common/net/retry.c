/* SPDX-License-Identifier: MPL-2.0
 * retry.c - pauses and limits of tries.
 */
#include "retry.h"

#include "base/clock.h"
#include "wire/times.h"

#define IDLE_FIRST (1000 * CLOCK_MS)

static uint64_t doubled(uint64_t first, uint32_t times, uint64_t most)
{
    while (times-- && first < most)
        first *= 2;
    return first < most ? first : most;
}

void net_retry_try(struct retry *r, uint64_t now, uint64_t lease_end)
{
    uint64_t first = TIME_TRY_FIRST_MS * CLOCK_MS, most = TIME_TRY_MOST_MS * CLOCK_MS;

    r->trying = true;
    r->since = now;
    r->limit = CLOCK_NEVER;             /* the transport has limits of its own */
    if (!lease_end)
        return;
    if (2 * r->took > first)            /* a slow network */
        first = 2 * r->took;
    r->limit = now + doubled(first, now < lease_end ? 0 : r->failures / 4, most);
}

bool net_retry_stuck(const struct retry *r, uint64_t now) { return r->trying && now >= r->limit; }

void net_retry_worked(struct retry *r, uint64_t now)
{
    r->took = now - r->since;
    r->failures = 0;
    r->trying = false;
}

void net_retry_failed(struct retry *r, uint64_t now, bool holds, uint64_t random)
{
    /* A try that ran to its limit was pause enough. */
    uint32_t quick = net_retry_stuck(r, now) ? 0 : r->failures;
    uint64_t most = holds ? doubled(TIME_PAUSE_FIRST_MS * CLOCK_MS, quick, TIME_RETRY_HELD_MS * CLOCK_MS)
                          : doubled(IDLE_FIRST, r->failures, TIME_RETRY_IDLE_MS * CLOCK_MS);

    r->next = now + most / 8 + random % (most - most / 8);
    r->failures++;
    r->trying = false;
}

uint64_t net_retry_deadline(const struct retry *r) { return r->trying ? r->limit : r->next; }
