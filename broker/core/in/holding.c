/* SPDX-License-Identifier: MPL-2.0
 * holding.c - HOLDING, and what a worker says behind it: looked at record by record, a little in each turn (rules/recover.c).
 *
 * What has no room behind it is not lost: the worker keeps it until it is acknowledged, and reports it in its next connection.
 */
#include "in.h"

#define STEPS_A_PLACE 24u           /* of a search, a removal and an insertion, about */

/* Takes from the budget what it cost; false: the session has failed, and the worker may be gone. */
bool brk_holding_look(struct broker *b, struct worker *w, struct holding *h, uint32_t *budget)
{
    for (; h->at < h->n && *budget; h->at++) {
        uint64_t before = b->steps, cost;
        int rc = brk_recover_held(b, w, &h->items[h->at]);
        if (rc < 0) {
            if (rc == BFORK_ENOMEM)
                brk_session_break(b, w->peer);
            else
                brk_session_fail(b, w->peer, rc, TOO_MANY_FOREIGN);
            return false;
        }
        cost = (b->steps - before) / STEPS_A_PLACE + 1;
        budget_take(budget, cost);
    }
    return true;
}

/* What has no room comes again: the worker keeps it until it is acknowledged, and reports it in its next connection. */
void brk_worker_wait_behind(struct broker *b, struct worker *w, const struct wire_msg *m)
{
    struct behind *k;
    int rc = brk_behind_new(b, w, m, &k);

    if (rc == BFORK_EQUOTA)
        brk_session_drop(b, w->peer, "it sends more, before all that it holds is looked at, than is kept for its key");
    else if (rc < 0)
        brk_session_break(b, w->peer);
    else
        list_push_back(&w->behind, &k->node);
}
