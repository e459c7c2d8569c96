/* SPDX-License-Identifier: MPL-2.0
 * tries.c - how often tasks were lost or have crashed is told to their client before they go out again, so that the limits hold
 * over a restart of the broker: the client returns the counts with its replay.
 *
 * No answer is awaited: what was sent in front of the CHUNKS that it is about arrives unless both the client's connection and the
 * broker end at that moment. Failures that were repeated are told among the crashes, as they are to the worker: `retries` limits
 * both together.
 */
#include "rules.h"

#define COUNTS_ITEMS 64u

/* Sends what has been collected. Called behind the last brk_tries_tell of a turn, in front of everything that is composed. */
void brk_tries_send(struct broker *b)
{
    struct peer *p = b->counts.peer;
    struct wire_msg *m;

    if (!b->counts.n)
        return;
    if ((m = brk_effect_send(b, p, WIRE_TRIES))) {
        m->u.records.stride = 0;
        m->items = b->counts.items;
        m->n_items = b->counts.n;
    } else {
        brk_session_lost(b, p);
        brk_peer_no_memory(b, p);
    }
    b->counts.peer = NULL;
    b->counts.n = 0;
}

/* Tasks [first, end) of the job, which have the counts of this span, are about to run, or do. */
void brk_tries_tell(struct broker *b, struct job *j, const struct run *s, uint64_t first, uint64_t end)
{
    struct peer *p = j->client ? j->client->peer : NULL;
    uint16_t crashes = (uint16_t)(s->crashes + s->fails);

    if ((!s->tries && !crashes) || !p || job_once(j) || first >= end)
        return;
    if (b->counts.n && (b->counts.peer != p || b->counts.n == COUNTS_ITEMS))
        brk_tries_send(b);
    if (!b->counts.n) {
        if (p->state == PEER_CUT)
            return;
        if (!(b->counts.items = brk_effect_bytes(b, COUNTS_ITEMS * sizeof(*b->counts.items)))) {
            brk_session_lost(b, p);
            brk_peer_no_memory(b, p);
            return;
        }
        b->counts.peer = p;
    }
    b->counts.items[b->counts.n++] = (struct wire_item){ .job = j->handle, .first = first, .count = (uint32_t)(end - first),
                                                         .tries = s->tries, .crashes = crashes };
}

/* The client is back: it may have missed what was told, or was to be told, meanwhile. Attempts that have no lane yet get one. */
bool brk_tries_tell_some(struct broker *b, struct job *j, uint32_t *budget)
{
    struct list_node *n;

    for (; *budget && j->to_tell && (n = list_first(&j->live)); j->to_tell--, --*budget) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, in_job);
        b->steps++;
        list_remove(&j->live, n);
        list_push_back(&j->live, n);
        brk_attempt_bind(b, a);
        brk_tries_tell(b, j, &a->run, a->next, a->end);
    }
    brk_tries_send(b);
    if (list_empty(&j->live))
        j->to_tell = 0;
    return !j->to_tell;
}
