/* SPDX-License-Identifier: MPL-2.0
 * times.c - the table of times, and the inequalities between them.
 */
#include "times.h"

#include "bfork.h"

#include <stdbool.h>
#include <stddef.h>

#define TIME_ROW(name, ms, text, doc) { #name, ms, text, doc },
const struct time_row time_rows[TIME_N] = { TIMES(TIME_ROW) };

void times_default(struct times *t)
{
    if (!t->heartbeat_ms)
        t->heartbeat_ms = TIME_HEARTBEAT_MS;
    if (!t->lease_ms)
        t->lease_ms = TIME_LEASE_MS;
    if (!t->hold_ms)
        t->hold_ms = t->lease_ms + TIME_RECONNECT_MS > TIME_HOLD_MS ? t->lease_ms + TIME_RECONNECT_MS : TIME_HOLD_MS;
}

/* What no option changes: a slip in the table is found at every start. */
static int check_table(struct err *e)
{
    const struct { bool holds; const char *what; } rules[] = {
        { TIME_RETRY_HELD_MS <= 1000, "a worker that holds work tries again within a second" },
        { TIME_RETRY_HELD_MS <= TIME_RETRY_IDLE_MS, "a worker that holds work tries again sooner than one that does not" },
        /* Or a pool is refused that it could run: who was not heard since the start is waited for only while the hold lasts. */
        { TIME_RETRY_IDLE_MS + TIME_TRY_MOST_MS <= TIME_HOLD_MS, "a worker that holds nothing is back before the hold ends" },
        { TIME_TRY_FIRST_MS <= TIME_TRY_MOST_MS, "tries become longer" },
        { TIME_TRY_FIRST_MS <= TIME_LEASE_MS / 4, "after half a lease of silence two tries fit into the lease" },
        { TIME_CLIENT_RETRY_MS + TIME_TRY_MOST_MS < TIME_CLOSED_MS, "a client that was cut is back before its processes end" },
        { TIME_CLOSED_MS <= TIME_DETACH_MS, "processes end no later than their session" },
        { TIME_DETACH_MS <= TIME_CLIENT_GIVE_UP_MS, "a client tries for as long as its session waits" },
        { TIME_NOT_NOW_FIRST_MS <= TIME_NOT_NOW_MOST_MS, "pauses for a pool that had no room become longer" },
        { TIME_TEMPLATE_FIRST_MS <= TIME_TEMPLATE_MOST_MS, "pauses before a template become longer" },
    };

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (!rules[i].holds)
            return err_set(e, BFORK_EINVAL, "the table of times contradicts itself (%s): this is a mistake in Broadfork",
                           rules[i].what);
    return 0;
}

int times_check(const struct times *given, struct err *e)
{
    struct times t = *given;
    unsigned long long need;

    times_default(&t);
    need = TIME_HEARTBEATS_IN_LEASE * (unsigned long long)t.heartbeat_ms;
    if (t.lease_ms < need)
        return err_set(
            e, BFORK_EINVAL,
            "the lease (%llu ms) must be at least %u heartbeats (of %llu ms): give a lease of %llums or more, or a shorter "
            "heartbeat",
            (unsigned long long)t.lease_ms, TIME_HEARTBEATS_IN_LEASE, (unsigned long long)t.heartbeat_ms, need);
    need = t.lease_ms + TIME_RECONNECT_MS;
    if (t.hold_ms < need)
        return err_set(
            e, BFORK_EINVAL,
            "the hold (%llu ms) is shorter than the lease (%llu ms) and the time in which a worker is back (%u ms): after a "
            "restart of the broker tasks would run twice. Give a hold of %llums or more, or a shorter lease",
            (unsigned long long)t.hold_ms, (unsigned long long)t.lease_ms, (unsigned)TIME_RECONNECT_MS, need);
    return check_table(e);
}
