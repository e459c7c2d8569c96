/* SPDX-License-Identifier: MPL-2.0
 * watch.c - the control words of a ring, compared with what the owner has written and believes. A task can write over all of them;
 * what it breaks so must not become a wait without end: a wake-up that was lost is made up for here, everything else ends the
 * process.
 *
 *     word                                 who writes it   what it must be
 *     word.limit, job_head, result_tail,   owner           what the owner wrote last
 *       stop, low, until
 *     want                                 both            QUIET, or what the owner armed
 *     word.next                            process         between what was seen last and limit
 *     job_tail                             process         between what was seen last and what was written
 *     result_head                          process         at most a ring's length beyond what was read
 *     sleeping, state                      process         one of their values
 *     current                              process         while it is awake and has claimed tasks: one of these, it runs
 *
 * While no task may be begun (until), a process waits with what it has claimed and runs nothing.
 *
 * The last is true but for moments between two tasks, so only what is wrong at several looks is a breach. Time limits rest on it.
 *
 * Looked at every CHECK_NS while a process has tasks, so within a second; not in its way, and at no cost for a task.
 */
#include "exec/pending.h"
#include "exec/watch.h"
#include "base/clock.h"
#include "bfork.h"

#define DENIED_LOOKS 3u

uint64_t exec_watch_until(const struct exec *x)
{
    return x->until == CLOCK_NEVER ? RING_ALWAYS : x->until == RING_ALWAYS ? 1 : x->until;
}

static bool owners_words(const struct exec_proc *p, const struct ring_control *c)
{
    uint64_t word = atomic_load(&c->word);
    uint32_t want = atomic_load(&c->want);

    return (uint32_t)(word >> 32) == p->limit && atomic_load(&c->job_head) == p->job.pos &&
           atomic_load(&c->result_tail) == p->result.pos && atomic_load(&c->stop) == p->stop_asked &&
           atomic_load(&c->low) == p->low_set && atomic_load(&c->until) == exec_watch_until(p->x) && want <= RING_LOW;
}

static bool its_words(const struct exec_proc *p, const struct ring_control *c)
{
    uint32_t next = (uint32_t)atomic_load(&c->word), state = atomic_load(&c->state);
    uint64_t current = atomic_load(&c->current);

    return next - p->next_seen <= p->limit - p->next_seen &&
           atomic_load(&c->job_tail) - p->job_tail_seen <= p->job.pos - p->job_tail_seen &&
           atomic_load(&c->result_head) - p->result.pos <= RING_RESULTS && atomic_load(&c->sleeping) <= RING_EXPIRED &&
           state <= RING_BROKEN && state != RING_NEW && state != RING_INIT_FAILED && (state != RING_STOPPED || p->stop_asked) &&
           current <= ((uint64_t)UINT32_MAX << 1 | 1);
}

/* Results that have not been read: perhaps because there is no room for what their tasks have printed. */
static bool has_results(const struct exec_proc *p, const struct ring_control *c)
{
    return atomic_load(&c->result_head) != p->result.pos;
}

/* It sleeps and says that nothing is to be done; but not all it has claimed has a result. */
static bool sleeps_on_claimed(const struct exec_proc *p, const struct ring_control *c)
{
    uint64_t word = atomic_load(&c->word);

    return atomic_load(&c->sleeping) == RING_IDLE && (uint32_t)word == (uint32_t)(word >> 32) && !has_results(p, c);
}

/* Of the tasks that it has claimed and that have no results, one runs; does it say so? Read in reverse to the writing. */
static bool denies_running(const struct exec_proc *p, const struct ring_control *c)
{
    uint64_t current = atomic_load(&c->current);
    uint32_t next = (uint32_t)atomic_load(&c->word), seq = (uint32_t)(current >> 1);

    if (next == p->expected || has_results(p, c))
        return false;
    return !(current & 1) || seq - p->expected >= next - p->expected;
}

void exec_watch_words(struct exec_proc *p)
{
    struct ring_control *c = p->ring.control;
    bool stuck;

    if (!p->asked || p->violated || p->state < PROC_READY || p->state >= PROC_DEAD || !exec_pending(p))
        return;
    if (!owners_words(p, c) || !its_words(p, c)) {
        exec_proc_violates(p, "it wrote over the control words of its task ring");
        return;
    }
    p->next_seen = (uint32_t)atomic_load(&c->word);
    stuck = sleeps_on_claimed(p, c);
    if (stuck && p->stuck)
        exec_proc_violates(p, "it lost tasks it had claimed from its task ring: one of them wrote over the control words");
    p->stuck = stuck;
    p->denied = p->x->until > p->x->now && denies_running(p, c) ? p->denied + 1 : 0;
    if (p->denied >= DENIED_LOOKS)
        exec_proc_violates(p, "it does not say which task runs: one of them wrote over the control words of its task ring");
    if (!stuck)
        exec_ring_wake(c);              /* if it sleeps: for room or for tasks that are there, a wake-up may have been lost */
}
