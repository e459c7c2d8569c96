/* SPDX-License-Identifier: MPL-2.0
 * times.h - every time that broker, workers and clients must agree on, in one table: daemons, library, tests and simulator take
 * them from here. times_check() holds the inequalities that the promises of docs/protocol.md §8 rest on.
 */
#ifndef WIRE_TIMES_H
#define WIRE_TIMES_H

#include "base/err.h"

#include <stdint.h>

/* name, milliseconds, the same as people write it, what it is */
#define TIMES(ROW)                                                                                                                \
    ROW(HEARTBEAT, 1000, "1s", "each side sends something at least this often; a worker that holds work four times as often")     \
    ROW(LEASE, 5000, "5s", "a worker that the broker has not heard for this long is lost, and starts nothing more by itself")     \
    ROW(HOLD, 8000, "8s", "after a start of the broker, replayed tasks wait this long for workers that may hold them")            \
    ROW(RETRY_HELD, 1000, "1s", "longest pause between two tries of a worker that holds work")                                    \
    ROW(RETRY_IDLE, 6000, "6s", "longest pause between two tries of a worker that holds nothing")                                 \
    ROW(TRY_FIRST, 400, "400ms", "a try of a worker that holds work and whose lease runs is given up after this time")             \
    ROW(TRY_MOST, 2000, "2s", "later ones, and those on slow networks, after at most this time")                                  \
    ROW(CLIENT_FIRST, 20, "20ms", "first pause of a client between two tries")                                                    \
    ROW(CLIENT_RETRY, 1000, "1s", "longest pause of a client between two tries")                                                  \
    ROW(CLIENT_GIVE_UP, 120000, "2m", "a client whose connection was cut tries for this long")                                    \
    ROW(CLOSED, 5000, "5s", "a client whose connection was closed may be gone for this long before its processes end")            \
    ROW(DETACH, 60000, "1m", "a client may be gone for this long before its session and jobs end")                                \
    ROW(HELLO, 3000, "3s", "a connection that says nothing for this long is cut")                                                 \
    ROW(TEMPLATE_FIRST, 100, "100ms", "pause before a template that ended is started again; doubles")                             \
    ROW(TEMPLATE_MOST, 5000, "5s", "longest pause before a template is started again")                                            \
    ROW(NOT_NOW_FIRST, 1000, "1s", "a pool that a worker has no room for at present is not granted there for this long; doubles")  \
    ROW(NOT_NOW_MOST, 5000, "5s", "longest time in which it is not")                                                              \
    ROW(BLOB_STALL, 5000, "5s", "a program that does not move for this long makes room for others, or changes its source")        \
    ROW(BLOB_WAIT, 15000, "15s", "a program that no connected client has is waited for for this long")

#define TIME_ENUM(name, ms, text, doc) TIME_##name##_MS = (ms),
enum { TIMES(TIME_ENUM) };
#undef TIME_ENUM
#define TIME_ENUM(name, ms, text, doc) TIME_##name,
enum time_name { TIMES(TIME_ENUM) TIME_N };
#undef TIME_ENUM

/* A worker that holds work is back within this time after the broker can be reached again: a pause and one try. */
#define TIME_RECONNECT_MS (TIME_RETRY_HELD_MS + TIME_TRY_MOST_MS)
#define TIME_PAUSE_FIRST_MS 50u    /* first pause of a worker that holds work */
#define TIME_HEARTBEATS_IN_LEASE 4u /* half a lease of silence covers two heartbeats, so one lost answer is no silence */

struct time_row { const char *name; uint32_t ms; const char *text, *doc; };
extern const struct time_row time_rows[TIME_N];

/* What can be configured; 0: as in the table, for the hold at least the lease and the time for a reconnect. */
struct times { uint64_t heartbeat_ms, lease_ms, hold_ms; };

void times_default(struct times *t);            /* fills in zeros */
/* Do all promises hold with these? BFORK_EINVAL, and the text names both values and what to do. */
int times_check(const struct times *t, struct err *e);

#endif
