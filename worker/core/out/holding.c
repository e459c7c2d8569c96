/* SPDX-License-Identifier: MPL-2.0
 * holding.c - what a new connection begins with: every attempt that is held here.
 */
#include "out/out.h"

#include <string.h>

static void hold_item(struct wire_item *i, const struct attempt *a)
{
    memset(i, 0, sizeof(*i));
    i->id = a->id;
    i->job = a->job->bound ? a->job->handle : 0;
    i->first = a->run.first;
    i->count = (uint32_t)(a->end - a->run.first);
    i->end = a->given_end;
    i->tries = a->run.tries;
    i->crashes = a->run.crashes;
    memcpy(i->ticket, a->ticket, WIRE_TICKET);
    memcpy(i->job_id, a->job->id, WIRE_ID);
    memcpy(i->owner, a->job->lane->owner, WIRE_KEY);
}

/* Every attempt that holds something; last is set in the last message, which may be the only and an empty one. */
void wrk_send_holding(struct worker *w)
{
    size_t left = w->attempts.count;
    struct list_node *n = w->attempts.head.next;

    do {
        uint32_t k = left < RESULTS_ITEMS ? (uint32_t)left : RESULTS_ITEMS;
        struct wire_item *items = k ? wrk_effect_alloc(w, k * sizeof(*items)) : NULL;

        if (k && !items) {
            wrk_link_drop(w, "out of memory");
            return;
        }
        left -= k;
        for (uint32_t i = 0; i < k; i++, n = n->next)
            hold_item(&items[i], LIST_ENTRY(n, struct attempt, all));
        struct wire_msg *m = wrk_link_send(w, WIRE_HOLDING);

        m->items = items;
        m->n_items = k;
        m->u.holding.last = left == 0;
    } while (left);
}
