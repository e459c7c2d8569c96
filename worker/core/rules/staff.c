/* SPDX-License-Identifier: MPL-2.0
 * staff.c - how many task processes a lane has: started as grants allow and queues need, stopped where others need them.
 */
#include "rules/rules.h"

#define STAFF_RETRY_NS (10 * CLOCK_MS)  /* after there was no memory for a process */

/* Attempts for which no process is free or on its way. */
static bool understaffed(const struct lane *l)
{
    uint32_t most = l->scarce && l->scarce_most < l->slots ? l->scarce_most : l->slots;

    return l->live < most && l->idle.count + l->starting < l->queue.count;
}

void wrk_proc_need(struct worker *w, const struct lane *l)
{
    if (l->state == LANE_READY && understaffed(l))
        w->staff = true;
}

/* An idle process of a lane that has more of them than slots; NULL: none. */
static struct proc *surplus(const struct worker *w)
{
    for (LIST_EACH(&w->lanes, n)) {
        struct lane *l = LIST_ENTRY(n, struct lane, all);

        if (l->live > l->slots && !list_empty(&l->idle))
            return LIST_ENTRY(list_last(&l->idle), struct proc, fed);
    }
    return NULL;
}

/* What was missing may be there again: one process more is tried, and if it comes up, all. */
static void try_scarce(struct worker *w, struct lane *l)
{
    if (!l->scarce)
        return;
    if (w->now >= l->scarce_until && l->scarce_most <= l->live)
        l->scarce_most = l->live + 1;
    w->staff = true;
    w->staff_failed = true;
    if (w->staff_at <= w->now || l->scarce_until < w->staff_at)
        w->staff_at = l->scarce_until > w->now ? l->scarce_until : w->now + SCARCE_MOST_NS;
}

void wrk_proc_staff(struct worker *w)
{
    w->staff = false;
    w->staff_failed = false;
    for (LIST_EACH(&w->lanes, n)) {
        struct lane *l = LIST_ENTRY(n, struct lane, all);

        try_scarce(w, l);
        while (l->state == LANE_READY && understaffed(l) && l->bad_starts < BAD_STARTS) {
            if (w->n_procs < w->config.slots) {
                if (!wrk_proc_new(w, l)) {
                    w->staff = true;
                    w->staff_failed = true;
                    w->staff_at = w->now + STAFF_RETRY_NS;
                    return;
                }
                continue;
            }
            struct proc *p = surplus(w);    /* its death calls here again */

            w->staff |= !p;                 /* all are busy: look again next turn */
            if (p)
                wrk_proc_stop(w, p);
            break;
        }
    }
}
