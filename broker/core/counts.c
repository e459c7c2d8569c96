/* SPDX-License-Identifier: MPL-2.0
 * counts.c - how often tasks were lost or have crashed is told to their client before they go out again, so that the limits hold
 * over a restart of the broker: the client returns the counts with its replay. No answer is awaited: what was sent in front of the
 * CHUNKS that it is about arrives unless both the client's connection and the broker end at that moment.
 */
#include "state.h"

#define COUNTS_ITEMS 64u

/* Sends what has been collected. Called behind the last counts_tell of a turn, in front of everything that compose.c makes. */
void counts_send(struct broker *b)
{
    struct peer *p = b->counts.peer;
    struct wire_msg *m;

    if (!b->counts.n)
        return;
    if ((m = effect_send(b, p, WIRE_TRIES))) {
        m->u.records.stride = 0;
        m->items = b->counts.items;
        m->n_items = b->counts.n;
    } else {
        session_lost(b, p);
        peer_cut(b, p, "out of memory");
    }
    b->counts.peer = NULL;
    b->counts.n = 0;
}

/* Tasks [first, end) of the job, which have the counts of this span, are about to run, or do. */
void counts_tell(struct broker *b, struct job *j, const struct span *s, uint64_t first, uint64_t end)
{
    struct peer *p = j->client ? j->client->peer : NULL;

    if ((!s->tries && !s->crashes) || !p || job_once(j) || first >= end)
        return;
    if (b->counts.n && (b->counts.peer != p || b->counts.n == COUNTS_ITEMS))
        counts_send(b);
    if (!b->counts.n) {
        if (p->state == PEER_CUT)
            return;
        if (!(b->counts.items = effect_bytes(b, COUNTS_ITEMS * sizeof(*b->counts.items)))) {
            session_lost(b, p);
            peer_cut(b, p, "out of memory");
            return;
        }
        b->counts.peer = p;
    }
    b->counts.items[b->counts.n++] = (struct wire_item){ .job = j->handle, .first = first, .count = (uint32_t)(end - first),
                                                         .tries = s->tries, .crashes = s->crashes };
}

/* The client is back: it may have missed what was told, or was to be told, meanwhile. */
void counts_tell_all(struct broker *b, struct job *j)
{
    for (LIST_EACH(&j->live, n)) {
        const struct attempt *a = LIST_ENTRY(n, struct attempt, in_job);
        counts_tell(b, j, &a->s, a->next, a->end);
    }
    counts_send(b);
}
