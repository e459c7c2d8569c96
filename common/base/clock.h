/* SPDX-License-Identifier: MPL-2.0
 * clock.h - the only clock: nanoseconds, monotonic, from an arbitrary start. Shells read it; cores are told.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_NEVER UINT64_MAX
#define CLOCK_MS 1000000ull
#define CLOCK_SEC 1000000000ull

uint64_t clock_now(void);
uint64_t clock_coarse(void);     /* the same, behind by some milliseconds at most, for a few instructions */
/* What is left until deadline, in ms for poll(): rounded up, -1 for CLOCK_NEVER, 0 if it has passed. */
int clock_poll_ms(uint64_t now, uint64_t deadline);
#endif
