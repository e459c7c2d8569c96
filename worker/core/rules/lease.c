/* SPDX-License-Identifier: MPL-2.0
 * lease.c - the right to begin tasks: ended with the lease, or with the session, until the broker has answered.
 *
 * The lease runs from the sending of the last message that the broker has answered, so it ends here no later than there. When it
 * has ended, or the broker has ended the session, nothing is begun until the broker has answered something that was sent behind
 * HOLDING: by then it has said what is not ours any more.
 */
#include "rules/rules.h"

/* What processes have not begun comes back into the queue; what runs goes on, its results may still be wanted. */
void wrk_lease_out(struct worker *w, const char *why)
{
    if (!wrk_lease_move(w, LEASE_PASS))
        return;
    w->confirm = w->now + 1;
    if (!list_empty(&w->attempts))
        wrk_effect_log(w, LOG_WARNING_, "%s: nothing of %zu chunks is begun until the broker answers", why, w->attempts.count);
    wrk_procs_retract(w);
}

void wrk_lease_in(struct worker *w)
{
    bool was_out = w->lease == LEASE_OUT;

    wrk_lease_move(w, LEASE_ANSWER);
    if (!was_out)
        return;
    w->again = true;
    wrk_lanes_dirty(w);
}
