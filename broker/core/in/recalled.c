/* SPDX-License-Identifier: MPL-2.0
 * recalled.c - RECALLED: what a worker says of tasks that it was asked for because they have not begun.
 */
#include "in.h"

/* Each record gives back a tail: as a range, or cut out of a piece (two). */
#define RECALLED_ROOM(n) (2 * (size_t)(n) + 8)

/* 0, or BFORK_EPROTOCOL. What the worker says for an attempt that has ended meanwhile is no news. */
static int told(struct broker *b, struct worker *w, const struct wire_item *it)
{
    struct attempt *a = map_get(&b->attempts, it->id);

    b->steps++;
    if (!a || a->worker != w || a->state != ATTEMPT_SENT || job_is_ending(a->job))
        return 0;
    if (it->first < a->next)
        return BFORK_EPROTOCOL;
    a->ask_open -= a->ask_open > 0;
    if (it->first < a->end)
        brk_attempt_shrink(b, a, it->first);
    else
        brk_attempt_recalled(a);
    if (a->state == ATTEMPT_SENT && !a->ask_open && !a->ask_due)
        brk_asks_end(b, a);
    return 0;
}

void brk_asks_told(struct broker *b, struct worker *w, const struct wire_msg *m)
{
    int rc = brk_reserve(b, RECALLED_ROOM(m->n_items), RECALLED_ROOM(m->n_items));

    for (uint32_t i = 0; i < m->n_items && rc == 0; i++)
        rc = told(b, w, &m->items[i]);
    if (rc == BFORK_ENOMEM)
        brk_session_break(b, w->peer);
    else if (rc < 0)
        brk_session_fail(b, w->peer, rc, "RECALLED that does not fit its attempt");
}
