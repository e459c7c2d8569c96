/* SPDX-License-Identifier: MPL-2.0
 * adopt.c - what workers say they hold: after a short cut it is compared with what we know; after our restart it is adopted by its
 * ticket, and the client's replay is cut against it.
 *
 * A range is adopted only as far as nothing else of this epoch answers for it: whoever comes late is fenced. Results come in
 * order, so what the client has got of an attempt, and does not replay, is its beginning: then the attempt starts behind it. An
 * adopted attempt has no arguments until the client has replayed them (pieces).
 */
#include "state.h"

static bool overlaps(uint64_t a, uint64_t a_end, uint64_t b, uint64_t b_end) { return a < b_end && b < a_end; }

static bool taken(const struct job *j, uint64_t first, uint64_t end)
{
    for (LIST_EACH(&j->live, n)) {
        const struct attempt *a = LIST_ENTRY(n, struct attempt, in_job);
        if (overlaps(first, end, a->next, a->end))
            return true;
    }
    for (LIST_EACH(&j->outcomes, n)) {
        const struct outcome *o = LIST_ENTRY(n, struct outcome, node);
        if (overlaps(first, end, o->first, o->first + o->count))
            return true;
    }
    return false;
}

/* Where the tasks before index `end` begin that all wait in a row; not below first. */
static uint64_t wait_from(const struct job *j, uint64_t first, uint64_t end)
{
    const struct list *lists[] = { &j->held, &j->queue };
    uint64_t from = end, before;

    do {
        before = from;
        for (int i = 0; i < 2 && from > first; i++)
            for (LIST_EACH(lists[i], n)) {
                const struct span *s = &LIST_ENTRY(n, struct range, node)->s;
                if (s->first < from && from <= s->first + s->count)
                    from = s->first;
            }
    } while (from < before && from > first);
    return from > first ? from : first;
}

/* Moves what of [first, end) waits in l to the attempt. */
static void carve(struct broker *b, struct attempt *a, struct list *l, bool held)
{
    struct job *j = a->job;

    for (LIST_EACH_SAFE(l, n, after)) {
        struct range *r = LIST_ENTRY(n, struct range, node), *piece;
        uint64_t lo = r->s.first > a->next ? r->s.first : a->next,
                 hi = r->s.first + r->s.count < a->end ? r->s.first + r->s.count : a->end;
        struct span head;
        if (lo >= hi)
            continue;
        if (lo > r->s.first) {
            struct range *before;
            span_cut(&r->s, (uint32_t)(lo - r->s.first), &head);
            before = range_of(b, &head);
            before->due = r->due;
            list_insert_before(l, n, &before->node);
        }
        span_cut(&r->s, (uint32_t)(hi - lo), &head);
        piece = range_of(b, &head);
        job_pending(b, j, held ? 0 : -(int64_t)(hi - lo), held ? -(int64_t)(hi - lo) : 0, 0, 0);
        attempt_bytes(a, (int64_t)span_bytes(&piece->s));
        list_push_back(&a->pieces, &piece->node);
        if (!r->s.count) {
            list_remove(l, n);
            range_free(b, r);
        }
    }
    if (!held && list_empty(l) && list_in(&j->ready))
        list_remove(&j->pool->ready, &j->ready);
    if (held && list_empty(l) && list_in(&j->holder))
        list_remove(&b->holders, &j->holder);
}

/* Does the ticket say that this worker may answer for the range? */
static bool genuine(struct broker *b, const struct worker *w, const struct wire_item *it)
{
    uint8_t ticket[WIRE_TICKET], differ = 0;

    if (!b->c.mac || !it->count || it->first + it->count < it->first || it->first + it->count > it->end)
        return false;
    attempt_ticket(b, it->job_id, it->owner, w, it->first, it->end, it->id, ticket);
    for (size_t i = 0; i < WIRE_TICKET; i++)
        differ |= ticket[i] ^ it->ticket[i];
    return !differ;
}

static struct job *parked(struct broker *b, const struct wire_item *it)
{
    struct owner *o = owner_get(b, it->owner);
    struct job *j = o ? job_find(b, o, it->job_id) : NULL;

    if (o && !j && (j = job_new(b, o, it->job_id))) {
        j->parked_until = b->now + b->c.detach_ms * CLOCK_MS;
        if (j->parked_until < b->tick_at)
            b->tick_at = j->parked_until;
    }
    owner_unref(b, o);
    return j;
}

static int adopt(struct broker *b, struct worker *w, const struct wire_item *it)
{
    uint64_t first = it->first, end = first + it->count, from = first;
    struct attempt *a;
    struct job *j;

    if (!genuine(b, w, it)) {
        b->n.foreign += it->count;
        attempt_foreign(b, w, it->id);
        return 0;
    }
    if (!(j = parked(b, it)))
        return BFORK_ENOMEM;
    if (first < j->next)
        from = wait_from(j, first, end < j->next ? end : j->next);
    if (from == end || taken(j, from, end)) {
        attempt_foreign(b, w, it->id);
        return 0;
    }
    if (reserve(b, 12 + 2 * (j->held.count + j->queue.count), 12) < 0 || !(a = attempt_new(b, j, w, NULL)))
        return BFORK_ENOMEM;
    b->n.adopted++;
    a->id = it->id;
    a->adopted = a->sent = true;
    a->round = w->round;
    a->next = from;
    a->end = end;
    a->sent_at = b->now;
    a->s = (struct span){ .first = first, .count = (uint32_t)(it->end - first), .tries = it->tries, .crashes = it->crashes };
    map_put(&b->attempts, a->id, a);
    carve(b, a, &j->held, true);
    carve(b, a, &j->queue, false);
    job_pending(b, j, 0, 0, (int64_t)(end - from), 0);
    if (j->pool)
        attempt_bind(b, a);
    return 0;
}

void adopt_holding(struct broker *b, struct worker *w, const struct wire_msg *m)
{
    int rc = w->state == WORKER_JOINING ? 0 : BFORK_EPROTOCOL;

    for (uint32_t i = 0; i < m->n_items && rc == 0; i++) {
        const struct wire_item *it = &m->items[i];
        struct attempt *a = map_get(&b->attempts, it->id);
        uint64_t end = it->first + it->count;
        if (a && a->worker == w && a->sent) {
            a->round = w->round;
            if (a->state != ATTEMPT_FINISHED && it->count && end >= a->next && end < a->end && (rc = reserve(b, 8, 8)) == 0)
                attempt_shrink(b, a, end);
        } else if (a || w->same_epoch) {
            attempt_foreign(b, w, it->id);
        } else {
            rc = adopt(b, w, it);
        }
    }
    if (rc < 0)
        session_fail(b, w->peer, rc, rc == BFORK_ENOMEM ? "the broker is out of memory" : "HOLDING is only sent once, after HELLO");
    else if (m->u.holding.last)
        worker_ready(b, w);
}

/* Who answers already for this index? *ret_until: up to where that holds. */
static bool answered(const struct job *j, uint64_t index, uint64_t *ret_until, struct attempt **ret_attempt)
{
    uint64_t until = UINT64_MAX;

    *ret_attempt = NULL;
    for (LIST_EACH(&j->live, n)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, in_job);
        if (index >= a->s.first && index < a->end) {
            *ret_attempt = index >= a->next ? a : NULL;
            *ret_until = index >= a->next ? a->end : a->next;
            return true;
        }
        if (a->s.first > index && a->s.first < until)
            until = a->s.first;
    }
    for (LIST_EACH(&j->outcomes, n)) {
        const struct outcome *o = LIST_ENTRY(n, struct outcome, node);
        if (index >= o->first && index < o->first + o->count) {
            *ret_until = o->first + o->count;
            return true;
        }
        if (o->first > index && o->first < until)
            until = o->first;
    }
    *ret_until = until;
    return false;
}

/* A replayed part that nobody answers for. */
static int rest(struct broker *b, struct job *j, const struct wire_item *it)
{
    if (b->now < b->hold_end)
        return range_accept(b, j, it, true, b->hold_end);
    if (it->flags & WIRE_MAYBE_STARTED && job_once(j)) {
        outcome_text(b, j, it->first, it->count, it->tries + 1u, BFORK_UNKNOWN, NULL);
        return 0;
    }
    return range_accept(b, j, it, false, 0);
}

int adopt_replay(struct broker *b, struct job *j, const struct wire_item *item)
{
    struct wire_item it = *item, head;
    int rc = 0;

    while (it.count && rc == 0) {
        struct attempt *a;
        uint64_t until;
        bool known = answered(j, it.first, &until, &a);
        uint32_t n = until - it.first < it.count ? (uint32_t)(until - it.first) : it.count;
        struct wire_item tail = { .count = 0 };
        struct range *r;
        head = it;
        if (n < it.count)
            wire_item_cut(&it, n, &head, &tail);
        if (reserve(b, 8, 8) < 0)
            return BFORK_ENOMEM;
        if (a) {
            if ((rc = range_make(b, j, &head, &r)) < 0)
                return rc;
            list_push_back(&a->pieces, &r->node);
            attempt_bytes(a, (int64_t)span_bytes(&r->s));
            job_pending(b, j, 0, 0, 0, (int64_t)span_bytes(&r->s));
        } else if (!known) {
            rc = rest(b, j, &head);
        }
        it = tail;
    }
    return rc;
}
