/* SPDX-License-Identifier: MPL-2.0
 * outcome.c - what the broker says about tasks: outcomes (each told once, however often it comes), assignments of tasks that run at
 * most once.
 */
#include "rules.h"

#include <stdlib.h>

/* Of a job that has ended here, since all it had is settled: its outcomes must not stay in the broker's window. */
static void stray(struct session *s, const struct wire_item *i)
{
    size_t k = 0, most = sizeof(s->strays) / sizeof(s->strays[0]);
    while (k < s->n_strays && s->strays[k].job != i->job)
        k++;
    if (k == most)
        return;                             /* when the next connection is made the broker drops the job */
    s->strays[k].job = i->job;
    s->strays[k].seq = i->id;
    s->n_strays += k == s->n_strays;
}

void ses_outcome_items(struct session *s, const struct wire_msg *m)
{
    for (uint32_t k = 0; k < m->n_items; k++) {
        const struct wire_item *i = &m->items[k];
        struct session_job *j = map_get(&s->handles, i->job);
        uint64_t bytes = wire_item_bytes(i);
        s->in_bytes += bytes;
        if (s->acks_due == 0)
            s->acks_since = s->last_received;
        s->acks_due += bytes + 1;
        if (!j)
            stray(s, i);
        if (!j || i->count == 0 || i->first > j->next || i->count > j->next - i->first)
            continue;                       /* of a job that ended meanwhile, or a broker's slip: nothing to do with it */
        ses_said_ended(j, i);
        if (!ses_deferred_keep(j, i))
            ses_outcome_settle(j, i);
    }
}

void ses_outcome_settle(struct session_job *j, const struct wire_item *i)
{
    if (i->id <= j->seq)
        return;
    j->seq = i->id;
    j->moved_at = j->s->last_received;
    j->look_from = j->look_wait = 0;
    if (j->s->acks_due == 0)
        j->s->acks_since = j->s->last_received;
    j->s->acks_due++;
    if (j->source_n && i->first + i->count > j->source_next)
        return;                             /* never sent: cannot have an outcome */
    ses_settle_tell(j, i);
    if (ses_job_finished(j))
        ses_job_dirty(j);
}

static bool oks_reserve(struct session *s)
{
    if (s->n_oks < s->oks_capacity)
        return true;
    size_t capacity = s->oks_capacity ? 2 * s->oks_capacity : SESSION_ITEMS;
    struct wire_item *oks = realloc(s->oks, capacity * sizeof(*oks));
    if (!oks)
        return false;
    s->oks = oks;
    s->oks_capacity = capacity;
    return true;
}

void ses_outcome_assigned(struct session *s, const struct wire_msg *m)
{
    for (uint32_t k = 0; k < m->n_items; k++) {
        const struct wire_item *i = &m->items[k];
        struct session_job *j = map_get(&s->handles, i->job);
        if (!j || i->first > j->next || i->count > j->next - i->first)
            continue;                       /* of a job that ended meanwhile: the broker hears of that as well */
        if (!oks_reserve(s) || ses_bits_reserve(&j->assigned, j->next) != 0) {
            ses_effect_reconnect(s, "out of memory for an assignment");    /* the broker keeps the range and asks again */
            return;
        }
        ses_bits_set(&j->assigned, i->first, i->count);
        s->oks[s->n_oks++] = *i;
    }
}

void session_output_taken(struct session *s, const struct session_print *k)
{
    struct session_job *j;
    struct list_node *n;

    s->said_got++;
    if (k->turn == s->said_turn)            /* else its number is one of an epoch that has ended */
        s->said_taken = k->seq;
    j = map_get(&s->handles, k->job);
    while (j && (n = list_first(&j->deferred)) && LIST_ENTRY(n, struct deferred, node)->after <= s->said_got) {
        struct deferred *d = LIST_ENTRY(list_pop(&j->deferred), struct deferred, node);
        ses_outcome_settle(j, &d->item);
        ses_deferred_free(d);
        j = map_get(&s->handles, k->job);
    }
}
