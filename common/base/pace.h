/* SPDX-License-Identifier: MPL-2.0
 * pace.h - how long a task of a job takes: a running mean that follows the last few reports, whatever number of tasks each is of.
 */
#ifndef BASE_PACE_H
#define BASE_PACE_H

#include <stdint.h>

/* mean: so far, 0 if nothing is known. n tasks, at least one, have taken sum_ns. Three parts in four of what was, one of what is
 * new; never 0, which means unknown. What stands in for a duration that was not measured is the caller's. */
static inline uint64_t pace_add(uint64_t mean, uint64_t sum_ns, uint64_t n)
{
    uint64_t now = sum_ns / n, next = mean ? mean - mean / 4 + now / 4 : now;

    return next ? next : 1;
}

#endif
