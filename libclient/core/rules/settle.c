/* SPDX-License-Identifier: MPL-2.0
 * settle.c - tasks end here: each once, told to the program however often it comes, or to nobody.
 */
#include "rules.h"

#include <stdlib.h>

/* Of tasks that are about to be settled: who has asked for cancels is told a sum later, and what was promised has come. */
static void count_seen(struct session_job *j, const struct wire_item *i)
{
    struct list *of[] = { &j->s->questions, &j->s->promises };
    struct wire_outcome o;
    if ((list_empty(of[0]) && list_empty(of[1])) || i->kind != WIRE_OUTCOME ||
        wire_outcome_decode(i->body.data, i->body.size, &o, NULL) < 0 || o.kind != BFORK_CANCELLED)
        return;
    for (int k = 0; k < 2; k++)
        for (LIST_EACH_SAFE(of[k], n, after)) {
            struct question *q = LIST_ENTRY(n, struct question, node);
            uint64_t lo = i->first > q->first ? i->first : q->first, end = i->first + i->count, hi = q->first + q->count;
            hi = end < hi ? end : hi;
            if (q->type != WIRE_CANCEL || q->job != j->handle || lo >= hi)
                continue;
            q->seen += hi - lo;
            q->promised -= hi - lo < q->promised ? hi - lo : q->promised;
            if (k && !q->promised) {            /* one that is asked again leaves with the next flush: they may be walked over */
                list_remove(of[k], n);
                free(q);
            }
        }
}

void ses_settle_tell(struct session_job *j, const struct wire_item *item)
{
    struct session *s = j->s;
    struct wire_item rest = *item, head;
    uint64_t at = item->first, end = item->first + item->count;
    while (at < end) {
        uint64_t from = ses_bits_next(&j->settled, at, end, false), to = ses_bits_next(&j->settled, from, end, true);
        s->duplicates += from - at;
        if (from == end)
            break;
        struct wire_item part = rest;
        if (item->kind == WIRE_OK) {
            struct wire_item skipped;
            if (from > rest.first) {
                wire_item_cut(&rest, (uint32_t)(from - rest.first), &skipped, &part);
                rest = part;
            }
            if (to < rest.first + rest.count) {
                wire_item_cut(&rest, (uint32_t)(to - from), &head, &part);
                rest = part;
                part = head;
            } else {
                part = rest;
            }
        } else {
            part.first = from;
            part.count = (uint32_t)(to - from);
        }
        count_seen(j, &part);
        ses_job_settle(j, from, to - from);
        j->unsettled -= to - from;
        s->unsettled -= to - from;
        s->settled_total += to - from;
        if (j->user)
            s->ops->outcomes(s->ctx, j->user, &part);
        at = to;
    }
}

void ses_settle_untold(struct session_job *j, uint64_t first)
{
    struct session *s = j->s;
    for (uint64_t at = first; at < j->next;) {
        uint64_t from = ses_bits_next(&j->settled, at, j->next, false), to = ses_bits_next(&j->settled, from, j->next, true);
        if (from == j->next)
            break;
        ses_job_settle(j, from, to - from);
        j->unsettled -= to - from;
        s->unsettled -= to - from;
        s->settled_total += to - from;
        at = to;
    }
    ses_job_dirty(j);
}
