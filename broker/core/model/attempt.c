/* SPDX-License-Identifier: MPL-2.0
 * attempt.c - attempts: made at dispatch, narrowed by what is returned or has a result, kept until the client has acknowledged
 * all that came of them, closed.
 *
 * Results of an attempt come in the order of the indexes; what lies before `next` is a repetition. Nothing here decides where its
 * tasks go. Invariant: a live attempt has next < end; an attempt in b->attempts is assigning, live or finished.
 */
#include "model.h"

/* What it keeps for itself from now on: two ranges and an outcome. */
#define ATTEMPT_ROOM 10u

struct attempt *brk_attempt_new(struct broker *b, struct job *j, struct worker *w, struct lane *l)
{
    struct attempt *a;

    if (brk_reserve(b, ATTEMPT_ROOM, ATTEMPT_ROOM) < 0 || map_reserve(&b->attempts, 1) < 0 ||
        !(a = brk_cache_get(b, &b->attempt_cache, j->owner->account)))
        return NULL;
    a->account = brk_account_ref(j->owner->account);
    brk_account_charge(a->account, MAP_COST);
    list_init(&a->pieces);
    list_init(&a->untold);
    list_init(&a->asks);
    intervals_init(&a->cancels, b->ranks += 2, &b->steps);
    list_init(&a->said);
    a->job = j;
    a->worker = w;
    a->lane = l;
    brk_attempt_move(a, ATTEMPT_ON_MADE);
    list_push_back(&w->attempts, &a->in_worker);
    list_push_back(&j->live, &a->in_job);
    if (l)
        list_push_back(&l->live, &a->in_lane);
    b->n_attempts++;
    b->n.attempts++;
    return a;
}

static void release_attempt(struct broker *b, struct attempt *a)
{
    struct account *account = a->account;

    run_done(&a->run);
    brk_said_orphan(a);
    assert(list_empty(&a->pieces) && !a->cancels.count && list_empty(&a->asks));
    brk_account_release(account, MAP_COST);
    brk_cache_put(b, &b->attempt_cache, a, account);
    brk_account_unref(account);
}

void brk_attempt_bytes(struct attempt *a, int64_t bytes)
{
    a->bytes_left += (uint64_t)bytes;
    a->worker->out_bytes += (uint64_t)bytes;
    if (a->lane)
        a->lane->out_bytes += (uint64_t)bytes;
}

void brk_attempt_place(struct attempt *a, uint64_t next, uint64_t end)
{
    bool in = interval_in(&a->at);

    if (next == end && in)
        interval_take(&a->job->index, &a->at);
    a->at.first = next;
    a->at.end = end;
    a->at.kind = PLACE_LIVE;
    if (next < end && !in)
        interval_put(&a->job->index, &a->at);
}

void brk_attempt_piece(struct broker *b, struct attempt *a, struct range *r)
{
    list_push_back(&a->pieces, &r->node);
    b->n_pieces++;
}

static void drop_piece(struct broker *b, struct attempt *a, struct range *r)
{
    list_remove(&a->pieces, &r->node);
    brk_range_free(b, a->job, r);
    b->n_pieces--;
    b->steps++;
}

void brk_attempt_drop_pieces(struct broker *b, struct attempt *a, uint64_t below)
{
    struct list_node *n;

    while ((n = list_first(&a->pieces))) {
        struct range *r = LIST_ENTRY(n, struct range, node);
        if (run_end(&r->run) > below)
            break;
        drop_piece(b, a, r);
    }
}

void brk_cancelled_free(struct broker *b, struct attempt *a, struct cancelled *k)
{
    interval_take(&a->cancels, &k->at);
    if (list_in(&k->untold))
        list_remove(&a->untold, &k->untold);
    brk_mem_free_for(b, a->account, k, sizeof(*k));
    brk_account_release(a->account, CANCELLED_RESERVE);
    b->n_cancels--;
}

bool brk_attempt_strip(struct broker *b, struct attempt *a)
{
    struct interval *v = a->cancels.root;
    struct list_node *n = list_first(&a->pieces);

    if (v) {
        brk_cancelled_free(b, a, INTERVAL_ENTRY(v, struct cancelled, at));
        b->steps++;
    } else if (n) {
        drop_piece(b, a, LIST_ENTRY(n, struct range, node));
    }
    return v || n;
}

bool brk_attempt_is_cancelled(const struct attempt *a, uint64_t index, uint64_t *ret_until)
{
    const struct interval *v = interval_at(&a->cancels, index);

    *ret_until = !v ? UINT64_MAX : v->first <= index ? v->end : v->first;
    return v && v->first <= index;
}

/* A live attempt answers for [next, end) only: the rest is about to be settled or given back. */
void brk_attempt_narrow(struct broker *b, struct attempt *a, uint64_t next, uint64_t end)
{
    /* Their part of the bytes is about right, and exact in the end: their lengths are not summed up for it. */
    uint64_t left = a->end - a->next, n = left - (end - next), bytes = n == left ? a->bytes_left : a->bytes_left * n / left;

    brk_attempt_place(a, next, end);
    a->next = next;
    a->end = end;
    brk_attempt_bytes(a, -(int64_t)bytes);
    if (attempt_is_sent(a))
        a->worker->n_sent -= n;
    if (a->lane && !a->is_long)
        a->lane->short_ns -= n * a->mean_ns;
    brk_job_pending(b, a->job, 0, 0, -(int64_t)n, -(int64_t)bytes);
}

/* The list of its client where an attempt waits to be confirmed. */
struct list *brk_attempt_offers(const struct attempt *a)
{
    struct client *c = a->job->client;

    return a->attached != c->attached ? &c->unsure : a->told ? &c->told : &c->assigning;
}

/* Takes a live attempt with nothing left out of the lists of live ones. */
static void leave_live(struct broker *b, struct attempt *a)
{
    struct lane *l = a->lane;

    assert(a->next == a->end && !a->bytes_left);
    brk_asks_end(b, a);
    list_remove(&a->job->live, &a->in_job);
    b->n_attempts--;
    brk_shelf_unuse(b, a);
    if (l) {
        list_remove(&l->live, &a->in_lane);
        if (a->is_long)
            l->n_long--;
        if (l->yields && l->n_long < l->slots)
            b->grants_dirty = true;         /* a slot that others wait for */
        if (a->recalled)
            l->n_recalled--;
        a->lane = NULL;
        brk_lane_open(b, l);
    }
    a->recalled = false;
    if (list_in(&a->out)) {
        if (a->state == ATTEMPT_ASSIGNING)
            list_remove(brk_attempt_offers(a), &a->out);
        else if (a->crowded)
            brk_shelf_uncrowd(b, a);
        else
            list_remove(attempt_is_sent(a) ? &a->worker->recalls : &a->worker->to_send, &a->out);
    }
    while (brk_attempt_strip(b, a))
        ;
    run_done(&a->run);
}

/* Takes a live attempt with nothing left out of the lists of live ones, until all that came of it is acknowledged. */
void brk_attempt_park(struct broker *b, struct attempt *a)
{
    struct lane *l = a->lane;

    leave_live(b, a);
    if ((a->kept = l))
        list_push_back(&l->kept, &a->in_lane);
    brk_attempt_move(a, ATTEMPT_ON_EMPTY);
    list_push_back(&a->job->finished, &a->in_job);
    list_remove(&a->worker->attempts, &a->in_worker);
    list_push_back(&a->worker->finished, &a->in_worker);
}

void brk_attempt_finish(struct broker *b, struct attempt *a)
{
    brk_attempt_park(b, a);
    if (!a->unacked)
        brk_attempt_close(b, a, WIRE_WHY_DONE);
}

void brk_attempt_close(struct broker *b, struct attempt *a, uint8_t why)
{
    struct worker *w = a->worker;
    bool finished = a->state == ATTEMPT_FINISHED;

    if (attempt_is_live(a)) {
        if (a->end > a->next)
            brk_attempt_narrow(b, a, a->next, a->next);
        if (!attempt_is_sent(a))
            why = 0;
        leave_live(b, a);
    } else {
        list_remove(&a->job->finished, &a->in_job);
    }
    map_take(&b->attempts, a->id);
    a->job = NULL;
    if (a->kept)
        list_remove(&a->kept->kept, &a->in_lane);
    a->kept = NULL;
    if (w)
        list_remove(finished ? &w->finished : &w->attempts, &a->in_worker);
    if (w && why) {
        brk_attempt_move(a, ATTEMPT_ON_FENCE);
        a->why = why;
        list_push_back(&w->closing, &a->in_worker);
        brk_worker_dirty(b, w);
        return;
    }
    a->worker = NULL;
    brk_attempt_move(a, ATTEMPT_ON_DROP);
    if (!a->unacked)
        release_attempt(b, a);
}

void brk_attempt_told(struct broker *b, struct attempt *a)
{
    list_remove(&a->worker->closing, &a->in_worker);
    a->worker = NULL;
    brk_attempt_move(a, ATTEMPT_ON_TOLD);
    if (!a->unacked)
        release_attempt(b, a);
}

void brk_attempt_acked(struct broker *b, struct attempt *a)
{
    assert(a->unacked);
    if (--a->unacked)
        return;
    if (a->state == ATTEMPT_FINISHED)
        brk_attempt_close(b, a, WIRE_WHY_DONE);
    else if (a->state == ATTEMPT_CLOSED)
        release_attempt(b, a);
}

int brk_attempt_foreign(struct broker *b, struct worker *w, uint64_t id)
{
    struct list_node *last = list_last(&w->closing);
    struct attempt *a;

    if (last && LIST_ENTRY(last, struct attempt, in_worker)->id == id)
        return 0;
    if (brk_account_takes_foreign(b, w, 0) < 0)
        return BFORK_EQUOTA;
    if (!(a = brk_cache_get(b, &b->attempt_cache, w->account)))
        return 0;
    a->account = brk_account_ref(w->account);
    brk_account_charge(a->account, MAP_COST);
    list_init(&a->pieces);
    list_init(&a->asks);
    a->id = id;
    a->worker = w;
    brk_attempt_move(a, ATTEMPT_ON_FOREIGN);
    a->why = WIRE_WHY_FENCED;
    b->n.fenced++;
    list_push_back(&w->closing, &a->in_worker);
    brk_worker_dirty(b, w);
    return 0;
}

/* An adopted attempt whose job the client has opened: its tasks count in the pool's lane on that worker. */
void brk_attempt_bind(struct broker *b, struct attempt *a)
{
    struct lane *l = a->lane || a->worker->state == WORKER_ENDING ? NULL : brk_lane_get(b, a->worker, a->job->pool, true);

    if (!l)
        return;
    a->lane = l;
    a->is_long = true;
    l->n_long++;
    l->out_bytes += a->bytes_left;
    if (a->recalled)
        l->n_recalled++;
    list_push_back(&l->live, &a->in_lane);
}
