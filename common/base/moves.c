/* SPDX-License-Identifier: MPL-2.0
 * moves.c - what is said of an event that cannot be.
 */
#include "base/moves.h"

#include <stdio.h>
#include <stdlib.h>

void moves_impossible(const struct moves *m, unsigned from, unsigned event)
{
    if (from < m->n_states && event < m->n_events)
        fprintf(stderr, "broadfork: a fault of ours: %s that is %s cannot %s\n", m->what, m->states[from], m->events[event]);
    else
        fprintf(stderr, "broadfork: a fault of ours: %s has no state %u or no event %u\n", m->what, from, event);
    abort();
}
