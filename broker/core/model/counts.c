/* SPDX-License-Identifier: MPL-2.0
 * counts.c - counts of tasks that are not here: how often they were lost or have crashed, as a worker knew it.
 *
 * A worker may bring tasks after a restart and be lost before their client has sent them again: then there is nothing to queue,
 * and their counts are kept (job.lost) until they come. An attempt that answers for them meanwhile takes them over. What clients
 * are told of counts: rules/tries.c.
 */
#include "model.h"

static void raise(struct range *r, uint16_t tries, uint16_t crashes)
{
    r->run.tries = tries > r->run.tries ? tries : r->run.tries;
    r->run.crashes = crashes > r->run.crashes ? crashes : r->run.crashes;
}

static void forget_kept(struct broker *b, struct job *j, struct interval *v)
{
    interval_take(&j->lost, v);
    brk_range_free(b, j, INTERVAL_ENTRY(v, struct range, at));
}

/* Uses the reserve. */
static void keep_counts(struct broker *b, struct job *j, uint64_t first, uint64_t end, uint16_t tries, uint16_t crashes)
{
    struct run none = { .first = first };
    struct range *r = brk_range_of(b, j, &none);

    raise(r, tries, crashes);
    r->at.first = first;
    r->at.end = end;
    interval_put(&j->lost, &r->at);
}

/* [from, to) of an adopted attempt is given back, or lost (tries: 1): its counts, as far as its client has yet to send it. Nothing
 * of these tasks is kept yet (brk_counts_take). Uses the reserve, unless it joins what came back before. */
void brk_counts_keep(struct broker *b, struct attempt *a, uint64_t from, uint64_t to, int tries)
{
    struct job *j = a->job;
    uint16_t lost = (uint16_t)(a->run.tries + tries);
    struct interval *behind;

    from = from > j->next ? from : j->next;
    if (from >= to || (!lost && !a->run.crashes))
        return;
    if ((behind = interval_at(&j->lost, to)) && behind->first == to) {
        const struct run *s = &INTERVAL_ENTRY(behind, struct range, at)->run;
        if (s->tries == lost && s->crashes == a->run.crashes) {
            behind->first = from;
            return;
        }
    }
    keep_counts(b, j, from, to, lost, a->run.crashes);
}

/* Uses the reserve: one range. */
void brk_counts_take(struct broker *b, struct attempt *a)
{
    struct job *j = a->job;

    for (INTERVAL_EACH(&j->lost, a->next, a->end, v)) {
        struct range *r = INTERVAL_ENTRY(v, struct range, at);
        b->steps++;
        a->run.tries = r->run.tries > a->run.tries ? r->run.tries : a->run.tries;
        a->run.crashes = r->run.crashes > a->run.crashes ? r->run.crashes : a->run.crashes;
        if (v->first < a->next && v->end > a->end) {
            uint64_t end = v->end;
            v->end = a->next;
            keep_counts(b, j, a->end, end, r->run.tries, r->run.crashes);
        } else if (v->first < a->next) {
            v->end = a->next;
        } else if (v->end > a->end) {
            v->first = a->end;
        } else {
            forget_kept(b, j, v);
        }
    }
}

/* Raises the counts of task `first` to those that are kept; returns up to where, at most end, that holds. */
uint64_t brk_counts_kept(const struct job *j, uint64_t first, uint64_t end, uint16_t *tries, uint16_t *crashes)
{
    const struct interval *v = j->lost.count ? interval_at(&j->lost, first) : NULL;
    const struct run *s = v && v->first <= first ? &INTERVAL_ENTRY(v, const struct range, at)->run : NULL;
    uint64_t until = s ? v->end : v ? v->first : end;

    if (s && s->tries > *tries)
        *tries = s->tries;
    if (s && s->crashes > *crashes)
        *crashes = s->crashes;
    return until < end ? until : end;
}

void brk_counts_sent(struct broker *b, struct job *j)
{
    for (INTERVAL_EACH(&j->lost, 0, j->next, v)) {
        if (v->end > j->next)
            v->first = j->next;
        else
            forget_kept(b, j, v);
    }
}

bool brk_counts_drop(struct broker *b, struct job *j)
{
    if (!j->lost.root)
        return false;
    forget_kept(b, j, j->lost.root);
    return true;
}
