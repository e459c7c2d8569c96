/* SPDX-License-Identifier: MPL-2.0
 * watchdog.c - kills a process whose task has passed its limit. It samples the sequence number of the running task, so that a task
 * costs no clock call: a task counts from the first sample that saw it, and samples are close enough for the limit to hold within
 * 0.1 s.
 */
#include "exec/pending.h"
#include "exec/proc.h"
#include "exec/watchdog.h"
#include "base/clock.h"
#include "bfork.h"

static uint64_t run_limit_of(const struct exec_proc *p, uint32_t seq)
{
    for (uint32_t i = 0; i < p->pushed_n; i++) {
        const struct pushed *e = pushed_at(p, i);
        if (seq - e->first < e->count)
            return e->run_limit_ns;
    }
    return 0;
}

void exec_watchdog_step(struct exec_proc *p, uint64_t now)
{
    uint64_t current, limit, every;

    if (!p->limited || now < p->sample_at || p->kill_kind || p->state == PROC_DEAD)
        return;
    current = atomic_load_explicit(&p->ring.control->current, memory_order_relaxed);
    limit = current & 1 ? run_limit_of(p, (uint32_t)(current >> 1)) : 0;
    if (current != p->seen_current) {
        p->seen_current = current;
        p->seen_at = now;
    } else if (limit && now - p->seen_at >= limit) {
        exec_proc_kill(p, BFORK_OVERTIME);
        p->sample_at = CLOCK_NEVER;
        return;
    }
    if (!limit)
        limit = p->run_limit_ns ? p->run_limit_ns : 400 * CLOCK_MS;
    every = limit / 4 < 5 * CLOCK_MS ? 5 * CLOCK_MS : limit / 4 > 100 * CLOCK_MS ? 100 * CLOCK_MS : limit / 4;
    p->sample_at = now + every;
    if (current & 1 && p->seen_at + limit < p->sample_at)
        p->sample_at = p->seen_at + limit;
}
