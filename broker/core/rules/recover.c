/* SPDX-License-Identifier: MPL-2.0
 * recover.c - what workers say they hold: after a short cut it is compared with what we know; after our restart it is adopted by
 * its ticket, and the client's replay is cut against it.
 *
 * A range is adopted only as far as nothing else of this epoch answers for it: whoever comes late is fenced. Results come in
 * order, so what the client has got of an attempt, and does not replay, is its beginning: then the attempt starts behind it. An
 * adopted attempt has no arguments until the client has replayed them (pieces, which come in the order of the indexes).
 */
#include "rules.h"

/* Adopting cuts the first and the last of the ranges that wait there (two), splits a count that is kept (one), and makes an attempt
 * (two ranges and an outcome); each range that waits becomes a piece, for which the attempt keeps one of each. */
#define ADOPT_ROOM 12u
/* Its tail comes back: as a range, or cut out of a piece (two), and a count of what has not been sent again (one). */
#define SHRINK_ROOM 8u

/* Does somebody answer for a part of [first, end)? Only waiting ranges may lie there: so many, and no more than a turn can move.
 * (Ranges that were handed out as one wait as one when they are replayed, or nearly.) */
static bool is_taken(struct broker *b, const struct job *j, uint64_t first, uint64_t end, size_t *ret_waiting)
{
    *ret_waiting = 0;
    for (INTERVAL_EACH(&j->index, first, end, v)) {
        b->steps++;
        if (v->kind == PLACE_LIVE || v->kind == PLACE_OUTCOME || ++*ret_waiting > TURN_STEPS)
            return true;
    }
    return false;
}

/* Where the tasks before index `end` begin that all wait in a row; not below first. */
static uint64_t wait_from(struct broker *b, const struct job *j, uint64_t first, uint64_t end)
{
    struct interval *v = interval_at(&j->index, end - 1);

    for (unsigned n = 0; v && v->first < end && v->end >= end && end > first; v = interval_prev(v)) {
        if (n++ > TURN_STEPS || (v->kind != PLACE_QUEUED && v->kind != PLACE_HELD))
            break;
        end = v->first;
        b->steps++;
    }
    return end > first ? end : first;
}

/* Moves what of [next, end) waits to the attempt. */
static void carve(struct broker *b, struct attempt *a)
{
    struct job *j = a->job;

    for (INTERVAL_EACH(&j->index, a->next, a->end, v)) {
        struct range *r = INTERVAL_ENTRY(v, struct range, at);
        b->steps++;
        if (r->run.first < a->next)
            brk_range_split(b, j, r, (uint32_t)(a->next - r->run.first));
        if (run_end(&r->run) > a->end)
            r = brk_range_split(b, j, r, (uint32_t)(a->end - r->run.first));
        brk_range_out(b, j, r);
        brk_job_pending(b, j, 0, 0, 0, (int64_t)run_bytes(&r->run));
        brk_attempt_bytes(a, (int64_t)run_bytes(&r->run));
        brk_attempt_piece(b, a, r);
    }
}

/* Does the ticket say that this worker may answer for the range? */
static bool genuine(struct broker *b, const struct worker *w, const struct wire_item *it)
{
    uint8_t ticket[WIRE_TICKET], differ = 0;

    if (!b->c.mac || !it->count || it->first + it->count < it->first || it->first + it->count > it->end)
        return false;
    brk_attempt_ticket(b, it->job_id, it->owner, w, it->first, it->end, it->id, ticket);
    for (size_t i = 0; i < WIRE_TICKET; i++)
        differ |= ticket[i] ^ it->ticket[i];
    return !differ;
}

/* Its job came to its end here before the worker was back. */
static bool has_ended(struct broker *b, const struct wire_item *it)
{
    struct owner *o = brk_owner_find(b, it->owner);

    return brk_ended_has(b, it->owner, it->job_id) && !(o && brk_job_find(b, o, it->job_id));
}

static struct job *parked(struct broker *b, const struct wire_item *it)
{
    struct owner *o = brk_owner_get(b, it->owner);
    struct job *j = o ? brk_job_find(b, o, it->job_id) : NULL;

    if (o && !j && (j = brk_job_new(b, o, it->job_id)))
        brk_job_park(b, j, b->now + b->c.detach_ms * CLOCK_MS);
    brk_owner_unref(b, o);
    return j;
}

static int adopt(struct broker *b, struct worker *w, const struct wire_item *it)
{
    uint64_t first = it->first, end = first + it->count, from = first;
    struct attempt *a;
    size_t waiting;
    struct job *j;

    if (!genuine(b, w, it)) {
        b->n.foreign += it->count;
        return brk_attempt_foreign(b, w, it->id);
    }
    if (has_ended(b, it))
        return brk_attempt_foreign(b, w, it->id);
    if (!(j = parked(b, it)))
        return BFORK_ENOMEM;
    if (brk_account_takes_parked(b, j->owner) < 0 || (j->client && client_is_dormant(j->client)))
        return brk_attempt_foreign(b, w, it->id);   /* dormant: its processes are to end */
    if (first < j->next)
        from = wait_from(b, j, first, end < j->next ? end : j->next);
    if (from == end || is_taken(b, j, from, end, &waiting)) {
        return brk_attempt_foreign(b, w, it->id);
    }
    if (brk_reserve(b, ADOPT_ROOM + waiting, ADOPT_ROOM + waiting) < 0 || !(a = brk_attempt_new(b, j, w, NULL)))
        return BFORK_ENOMEM;
    b->n.adopted++;
    w->peer->windows++;
    a->id = it->id;
    a->adopted = true;
    brk_attempt_move(a, ATTEMPT_ON_ADOPT);
    a->round = w->round;
    a->next = from;
    a->end = end;
    a->sent_at = b->now;
    a->run = (struct run){ .first = first, .count = (uint32_t)(it->end - first), .tries = it->tries, .crashes = it->crashes };
    map_put(&b->attempts, a->id, a);
    carve(b, a);
    brk_counts_take(b, a);
    brk_attempt_place(a, from, end);
    w->n_sent += end - from;
    brk_job_pending(b, j, 0, 0, (int64_t)(end - from), 0);
    if (j->client)
        j->client->adopted = true;
    if (j->pool)
        brk_attempt_bind(b, a);
    brk_cancel_wake(b, j);
    return 0;
}

int brk_recover_held(struct broker *b, struct worker *w, const struct wire_item *it)
{
    struct attempt *a = map_get(&b->attempts, it->id);
    uint64_t end = it->first + it->count;

    b->steps++;
    if (a && a->worker == w && attempt_is_sent(a)) {
        w->peer->windows += a->round != w->round;   /* once, however often it is told */
        a->round = w->round;
        if (a->state == ATTEMPT_FINISHED || !it->count || end < a->next || end >= a->end)
            return 0;
        if (brk_reserve(b, SHRINK_ROOM, SHRINK_ROOM) < 0)
            return BFORK_ENOMEM;
        brk_attempt_shrink(b, a, end);
        return 0;
    }
    if (!a && !w->same_epoch)
        return adopt(b, w, it);
    return brk_attempt_foreign(b, w, it->id);
}

/* HOLDING is complete: what was not reported has never arrived. */
void brk_recover_seen(struct broker *b, struct worker *w, struct attempt *a)
{
    b->steps++;
    if (a->round != w->round) {
        brk_attempt_requeue(b, a, false, NULL, 0);
        return;
    }
    list_remove(&w->attempts, &a->in_worker);
    list_push_back(&w->attempts, &a->in_worker);
    brk_attempt_recall_again(b, a);
}

void brk_worker_ready(struct broker *b, struct worker *w)
{
    brk_worker_move(w, WORKER_ON_SEEN);
    w->joined = true;
    brk_effect_log_session(b, w->key, LOG_INFO_, "worker %s is ready with %u slots", w->name, w->slots);
    brk_pool_check_doubts(b);
    brk_grant_workers_changed(b);
}
