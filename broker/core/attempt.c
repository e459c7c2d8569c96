/* SPDX-License-Identifier: MPL-2.0
 * attempt.c - attempts: made at dispatch, shrunk by what is returned, advanced by results, requeued when their worker is lost, kept
 * until the client has acknowledged all that came of them.
 *
 * Results of an attempt come in the order of the indexes; what lies before `next` is a repetition. Invariant: a live attempt has
 * next < end; an attempt in b->attempts is assigning, live or finished.
 */
#include "state.h"

#include "base/pace.h"

struct attempt *brk_attempt_new(struct broker *b, struct job *j, struct worker *w, struct lane *l)
{
    struct attempt *a;

    if (brk_reserve(b, 10, 10) < 0 || map_reserve(&b->attempts, 1) < 0 ||
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
    a->state = ATTEMPT_LIVE;
    list_push_back(&w->attempts, &a->in_worker);
    list_push_back(&j->live, &a->in_job);
    if (l)
        list_push_back(&l->live, &a->in_lane);
    b->n_attempts++;
    b->n.attempts++;
    return a;
}

void brk_attempt_free(struct broker *b, struct attempt *a)
{
    struct account *account = a->account;

    brk_span_done(&a->s);
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
        if (r->s.first + r->s.count > below)
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
    uint64_t left = a->end - a->next, n = left - (end - next), bytes = n == left ? a->bytes_left : a->bytes_left * n / left;

    brk_attempt_place(a, next, end);
    a->next = next;
    a->end = end;
    brk_attempt_bytes(a, -(int64_t)bytes);
    if (a->sent)
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
            list_remove(a->sent ? &a->worker->recalls : &a->worker->to_send, &a->out);
    }
    while (brk_attempt_strip(b, a))
        ;
    brk_span_done(&a->s);
}

/* Takes a live attempt with nothing left out of the lists of live ones, until all that came of it is acknowledged. */
void brk_attempt_park(struct broker *b, struct attempt *a)
{
    struct lane *l = a->lane;

    leave_live(b, a);
    if ((a->kept = l))
        list_push_back(&l->kept, &a->in_lane);
    a->state = ATTEMPT_FINISHED;
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

    if (a->state == ATTEMPT_LIVE || a->state == ATTEMPT_ASSIGNING) {
        if (a->end > a->next)
            brk_attempt_narrow(b, a, a->next, a->next);
        if (!a->sent)
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
        a->state = ATTEMPT_CLOSING;
        a->why = why;
        list_push_back(&w->closing, &a->in_worker);
        brk_worker_dirty(b, w);
        return;
    }
    a->worker = NULL;
    a->state = ATTEMPT_CLOSED;
    if (!a->unacked)
        brk_attempt_free(b, a);
}

void brk_attempt_told(struct broker *b, struct attempt *a)
{
    list_remove(&a->worker->closing, &a->in_worker);
    a->worker = NULL;
    a->state = ATTEMPT_CLOSED;
    if (!a->unacked)
        brk_attempt_free(b, a);
}

void brk_attempt_acked(struct broker *b, struct attempt *a)
{
    assert(a->unacked);
    if (--a->unacked)
        return;
    if (a->state == ATTEMPT_FINISHED)
        brk_attempt_close(b, a, WIRE_WHY_DONE);
    else if (a->state == ATTEMPT_CLOSED)
        brk_attempt_free(b, a);
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
    a->state = ATTEMPT_CLOSING;
    a->why = WIRE_WHY_FENCED;
    b->n.fenced++;
    list_push_back(&w->closing, &a->in_worker);
    brk_worker_dirty(b, w);
    return 0;
}

/* The part [from, to) of s as a range of its own; s keeps everything. Uses the reserve. */
static struct range *part(struct broker *b, struct job *j, const struct span *s, uint64_t from, uint64_t to)
{
    struct span rest = *s, head;

    slice_ref(rest.lens);
    slice_ref(rest.body);
    if (from > rest.first) {
        brk_span_cut(&rest, (uint32_t)(from - rest.first), &head);
        brk_span_done(&head);
    }
    if (to >= rest.first + rest.count)
        return brk_range_of(b, j, &rest);
    brk_span_cut(&rest, (uint32_t)(to - from), &head);
    brk_span_done(&rest);
    return brk_range_of(b, j, &head);
}

/* How long what has failed rests: twice as long each time, up to a limit that no single step passes. */
static uint64_t backoff_ns(const struct wire_job_spec *s, const struct span *r)
{
    uint64_t ms = s->backoff_ms;

    for (uint32_t n = (uint32_t)r->crashes + r->fails; n > 1 && ms < BACKOFF_MOST_MS; n--)
        ms = 2 * ms < BACKOFF_MOST_MS ? 2 * ms : BACKOFF_MOST_MS;
    return ms * CLOCK_MS;
}

/* What the client has replayed of [from, to), out of the attempt; uses the reserve. A piece that also lies outside is cut. */
static void take_pieces(struct broker *b, struct attempt *a, uint64_t from, uint64_t to, struct list *ret)
{
    for (LIST_EACH_SAFE(&a->pieces, n, after)) {
        struct range *r = LIST_ENTRY(n, struct range, node), *head;
        uint64_t end = r->s.first + r->s.count;
        struct span s;
        b->steps++;
        if (r->s.first >= to)
            break;
        if (end <= from)
            continue;
        if (r->s.first < from) {
            brk_span_cut(&r->s, (uint32_t)(from - r->s.first), &s);
            head = brk_range_of(b, a->job, &s);
            list_insert_before(&a->pieces, n, &head->node);
            b->n_pieces++;
        }
        if (end > to) {
            brk_span_cut(&r->s, (uint32_t)(to - r->s.first), &s);
            head = brk_range_of(b, a->job, &s);
            list_push_back(ret, &head->node);
            break;
        }
        list_remove(&a->pieces, n);
        b->n_pieces--;
        list_push_back(ret, n);
    }
}

/* Queues [from, to) of the attempt in front again, with its counters raised. The attempt does not answer for it any more. */
void brk_attempt_back(struct broker *b, struct attempt *a, uint64_t from, uint64_t to, int tries, int crashes, int fails)
{
    struct list parts;
    struct list_node *n;

    if (from >= to)
        return;
    list_init(&parts);
    if (a->s.count && !a->adopted)
        list_push_back(&parts, &part(b, a->job, &a->s, from, to)->node);
    take_pieces(b, a, from, to, &parts);
    while ((n = list_last(&parts))) {
        struct range *r = LIST_ENTRY(n, struct range, node);
        list_remove(&parts, n);
        if (a->adopted && r->s.tries < a->s.tries)      /* the worker may know more than the client was told */
            r->s.tries = a->s.tries;
        if (a->adopted && r->s.crashes < a->s.crashes)
            r->s.crashes = a->s.crashes;
        r->s.tries = (uint16_t)(r->s.tries + tries);
        r->s.crashes = (uint16_t)(r->s.crashes + crashes);
        r->s.fails = (uint16_t)(r->s.fails + fails);
        b->n.requeued += r->s.count;
        brk_range_return(b, a, r, fails + crashes && a->job->spec.backoff_ms ? b->now + backoff_ns(&a->job->spec, &r->s) : 0);
    }
    if (a->adopted)
        brk_counts_keep(b, a, from, to, tries);
}

void brk_attempt_recall_due(struct broker *b, struct attempt *a)
{
    if (!a->recalled && a->lane)
        a->lane->n_recalled++;
    a->recalled = true;
    if (!list_in(&a->out))
        list_push_back(&a->worker->recalls, &a->out);
    brk_worker_dirty(b, a->worker);
}

int brk_attempt_cancel(struct broker *b, struct attempt *a, uint64_t first, uint64_t end)
{
    first = first > a->next ? first : a->next;
    end = end < a->end ? end : a->end;

    const struct interval *before = interval_at(&a->cancels, first);
    struct cancelled *k;

    if (before && before->first <= first && end <= before->end)
        return 0;                       /* it is told, or will be */
    if (!(k = brk_mem_new_for(b, a->account, sizeof(*k))))
        return BFORK_ENOMEM;
    b->n_cancels++;
    if (brk_reserve(b, 4, 4) < 0) {
        b->n_cancels--;
        brk_mem_free_for(b, a->account, k, sizeof(*k));
        return BFORK_ENOMEM;
    }
    brk_account_charge(a->account, CANCELLED_RESERVE);
    k->at.first = first;
    k->at.end = end;
    for (INTERVAL_EACH(&a->cancels, first ? first - 1 : 0, end + 1, v)) {
        k->at.first = v->first < k->at.first ? v->first : k->at.first;
        k->at.end = v->end > k->at.end ? v->end : k->at.end;
        brk_cancelled_free(b, a, INTERVAL_ENTRY(v, struct cancelled, at));
    }
    interval_put(&a->cancels, &k->at);
    list_push_back(&a->untold, &k->untold);
    if (a->sent)
        brk_attempt_recall_due(b, a);
    else
        brk_attempt_shrink(b, a, first);
    return 0;
}

void brk_attempt_recalled(struct attempt *a)
{
    if (a->recalled && a->lane)
        a->lane->n_recalled--;
    a->recalled = false;
}

void brk_attempt_shrink(struct broker *b, struct attempt *a, uint64_t end)
{
    uint64_t was = a->end;

    brk_attempt_narrow(b, a, a->next, end);
    brk_attempt_recalled(a);
    brk_attempt_back(b, a, end, was, 0, 0, 0);
    if (a->ask_first >= a->end)
        brk_asks_end(b, a);
    if (a->next == a->end) {
        brk_attempt_finish(b, a);
    } else if (a->lane) {
        brk_lane_open(b, a->lane);
        b->grants_dirty |= !a->lane->slots;     /* what is left of it is asked back */
    }
}

void brk_attempt_requeue(struct broker *b, struct attempt *a, bool lost, const char *text, uint8_t close)
{
    struct job *j = a->job;
    uint64_t from = a->next, to = a->end;
    uint32_t tries = a->s.tries + 1u, before = tries + a->s.crashes + a->s.fails;

    lost = lost && a->sent;
    brk_attempt_narrow(b, a, from, from);
    if (lost && job_once(j))
        brk_outcome_text(b, j, from, to - from, before, BFORK_UNKNOWN, text);
    else if (lost && tries >= b->c.lost_limit)
        brk_outcome_text(b, j, from, to - from, before, BFORK_LOST, text);
    else
        brk_attempt_back(b, a, from, to, lost, 0, 0);
    if (a->unacked && !close) {
        brk_attempt_park(b, a);
        return;
    }
    brk_attempt_close(b, a, close);
}

void brk_attempt_recall(struct broker *b, struct attempt *a, uint64_t first, uint8_t why)
{
    if (first < a->next)
        first = a->next;
    if (!a->sent) {
        brk_attempt_shrink(b, a, first);
        return;
    }
    if (!a->asked || first < a->recall_first)
        a->recall_first = first;
    a->asked = true;
    a->why = why;
    brk_attempt_recall_due(b, a);
}

void brk_attempt_recall_again(struct broker *b, struct attempt *a)
{
    brk_attempt_recalled(a);
    a->asked = false;
    brk_asks_again(b, a);
    for (INTERVAL_EACH(&a->cancels, a->next, a->end, v)) {
        struct cancelled *k = INTERVAL_ENTRY(v, struct cancelled, at);
        if (!list_in(&k->untold))
            list_push_back(&a->untold, &k->untold);
        brk_attempt_recall_due(b, a);
    }
}

static size_t recall_item(const struct attempt *a, uint64_t first, uint64_t end, uint8_t why, struct wire_item *it)
{
    first = first > a->next ? first : a->next;
    end = end < a->end ? end : a->end;
    if (first >= end)
        return 0;                       /* it has ended meanwhile */
    *it = (struct wire_item){ .id = a->id, .job = a->job->number, .first = first, .count = (uint32_t)(end - first), .why = why };
    return 1;
}

size_t brk_attempt_recalls(struct attempt *a, struct wire_item *items, size_t room)
{
    size_t n = 0;

    for (struct list_node *k; n < room && (k = list_pop(&a->untold));) {
        const struct cancelled *c = LIST_ENTRY(k, struct cancelled, untold);
        n += recall_item(a, c->at.first, c->at.end, WIRE_WHY_CANCEL, &items[n]);
    }
    if (a->ask_due && n < room) {
        n += recall_item(a, a->ask_first, a->end, WIRE_WHY_QUEUED, &items[n]);
        a->ask_due = false;
        a->ask_open++;
    }
    if (a->asked && n < room) {
        n += recall_item(a, a->recall_first, a->end, a->why, &items[n]);
        a->asked = false;
    }
    return n;
}

static void measure_attempt(struct broker *b, struct attempt *a, const struct wire_item *it)
{
    struct job *j = a->job;

    if (!it->sum_ns && j->mean_ns && it->count == 1)
        return;
    j->mean_ns = pace_add(j->mean_ns, it->sum_ns ? it->sum_ns : b->now - a->sent_at, it->count);
}

static bool has_arguments(const struct attempt *a, const struct wire_item *it)
{
    if (!a->adopted)
        return true;
    for (LIST_EACH(&a->pieces, n)) {
        const struct span *s = &LIST_ENTRY(n, struct range, node)->s;
        if (s->first > it->first)
            break;
        if (it->first >= s->first && it->first + it->count <= s->first + s->count)
            return true;
    }
    return false;
}

/* Shall the tasks of this outcome run again? Then what its counters grow by is set. */
static bool retry(struct broker *b, struct attempt *a, const struct wire_item *it, const struct wire_outcome *d, int *crashes,
                  int *fails)
{
    const struct wire_job_spec *s = &a->job->spec;
    uint32_t on = s->retry_on ? s->retry_on : 1u << -BFORK_FAILED;
    uint64_t until;

    *crashes = d->kind == BFORK_CRASHED;
    *fails = !*crashes;
    if (job_once(a->job) || brk_attempt_is_cancelled(a, it->first, &until) || !has_arguments(a, it))
        return false;
    if (*crashes && a->s.crashes + 1u < b->c.crash_limit)
        return true;
    return d->kind >= BFORK_OVERMEMORY && on & 1u << -d->kind && (uint32_t)a->s.crashes + a->s.fails < (uint32_t)s->retries;
}

/* 1: it runs again; 0: recorded; < 0: no memory, nothing has changed. */
/* What does not fit its attempt is told with its name. */
static int misfit(struct refusal *r, const struct wire_item *it, int code, const char *why)
{
    return brk_refuse(r, code, NULL, "RESULTS of attempt %llu, %u tasks from %llu: %s", (unsigned long long)it->id, it->count,
                      (unsigned long long)it->first, why);
}

static int settle_item(struct broker *b, struct attempt *a, struct wire_item *it, struct refusal *r)
{
    struct account *account = a->job->owner->account;
    struct slice lens, body;
    struct wire_outcome d;
    struct buf *doc;
    struct err e = { 0 };
    int crashes, fails, rc;

    if (it->kind == WIRE_OUTCOME) {
        if ((rc = wire_outcome_decode(it->body.data, it->body.size, &d, &e)) < 0)
            return misfit(r, it, rc, e.text);
        if (d.kind >= 0 || d.kind < BFORK_MISMATCH)
            return misfit(r, it, BFORK_EPROTOCOL, "outcome: field kind (key 1) is none of the codes -1 to -10");
        if (retry(b, a, it, &d, &crashes, &fails)) {
            brk_attempt_back(b, a, it->first, it->first + it->count, 0, crashes, fails);
            return 1;
        }
        d.attempt = a->s.tries + a->s.crashes + a->s.fails + 1u;
        if (it->count == 1)
            d.index = it->first;
        if (!(doc = brk_bytes_charge(account, wire_outcome_encode(&d))))
            return BFORK_ENOMEM;
        it->lens = slice_none();
        it->body = slice_of(doc, 0, doc->size);
        it->size = (uint32_t)doc->size;
        it->flags |= WIRE_FIXED;
    } else {
        if (brk_bytes_keep(b, account, it->lens, &lens) < 0)
            return BFORK_ENOMEM;
        if (brk_bytes_keep(b, account, it->body, &body) < 0) {
            slice_unref(&lens);
            return BFORK_ENOMEM;
        }
        it->lens = lens;
        it->body = body;
    }
    brk_outcome_record(b, a->job, a, it);
    return 0;
}

/* What this item says is new and fits: accounts for it. */
static int advance(struct broker *b, struct worker *w, struct attempt *a, struct wire_item *it, struct refusal *r)
{
    int rc;

    if (it->kind == WIRE_OK)
        measure_attempt(b, a, it);
    brk_attempt_place(a, a->next + it->count, a->end);  /* a task is in one place at a time */
    if ((rc = settle_item(b, a, it, r)) < 0) {
        brk_attempt_place(a, a->next, a->end);
        return rc;
    }
    brk_attempt_narrow(b, a, a->next + it->count, a->end);
    brk_attempt_drop_pieces(b, a, a->next);
    w->tasks_done += it->count;
    if (a->next == a->end)
        brk_attempt_finish(b, a);
    else if (a->lane)
        brk_lane_open(b, a->lane);
    return 0;
}

static int result(struct broker *b, struct worker *w, const struct wire_item *item, struct refusal *r)
{
    struct attempt *a = map_get(&b->attempts, item->id);
    struct wire_item it = *item, head;
    uint64_t end = it.first + it.count, handed;

    if (!a || a->worker != w || !a->sent) {
        b->n.foreign += it.count;
        return !a || a->worker != w ? brk_attempt_foreign(b, w, it.id) : 0;
    }
    if (a->state == ATTEMPT_FINISHED) {
        b->n.duplicates += it.count;
        return 0;
    }
    if (job_is_ending(a->job)) {
        b->n.foreign += it.count;
        brk_attempt_close(b, a, WIRE_WHY_GONE);
        return 0;
    }
    handed = a->s.first + a->s.count;
    if (!it.count || end < it.first || it.first < a->s.first || end > handed || it.kind > WIRE_RETURNED)
        return misfit(r, &it, BFORK_EPROTOCOL, "they are not among those that were handed out with it");
    if (it.flags & WIRE_SEALED)
        return misfit(r, &it, BFORK_EPROTOCOL, "flag 8 (SEALED) is set, which this release does not know");
    if (end <= a->next || it.first >= a->end) {
        b->n.duplicates += it.count;
        return 0;
    }
    if (it.kind == WIRE_RETURNED) {
        if (it.first < a->next || end < a->end)
            return misfit(r, &it, BFORK_EPROTOCOL, "they are given back and are not its tail");
        brk_attempt_shrink(b, a, it.first);
        return 0;
    }
    if (it.first > a->next || end > a->end)
        return misfit(r, &it, BFORK_EPROTOCOL, it.first > a->next ? "there is a gap before them" : "its end was given back");
    if (it.first < a->next) {
        uint32_t n = (uint32_t)(a->next - it.first);
        b->n.duplicates += n;
        if (it.kind == WIRE_OK) {
            wire_item_cut(item, n, &head, &it);
        } else {
            it.first += n;
            it.count -= n;
        }
    }
    return advance(b, w, a, &it, r);
}

void brk_attempt_results(struct broker *b, struct worker *w, const struct wire_msg *m)
{
    int rc = brk_reserve(b, 2 * (size_t)m->n_items + 8, 2 * (size_t)m->n_items + 8);
    struct refusal r;

    for (uint32_t i = 0; i < m->n_items && rc == 0; i++)
        rc = result(b, w, &m->items[i], &r);
    if (rc == BFORK_ENOMEM) {
        brk_session_break(b, w->peer);
    } else if (rc < 0) {
        brk_session_fail(b, w->peer, rc, "%s", rc == BFORK_EQUOTA ? TOO_MANY_FOREIGN : r.text);
    }
}

void brk_attempt_assigned(struct broker *b, struct client *c, const struct wire_msg *m)
{
    for (uint32_t i = 0; i < m->n_items; i++) {
        struct attempt *a = map_get(&b->attempts, m->items[i].id);
        if (!a || a->job->client != c || a->state != ATTEMPT_ASSIGNING || brk_attempt_offers(a) != &c->told ||
            job_is_ending(a->job))
            continue;
        list_remove(&c->told, &a->out);
        a->state = ATTEMPT_LIVE;
        b->steps++;
        if (a->worker->state == WORKER_SILENT || a->worker->state == WORKER_JOINING) {
            brk_attempt_requeue(b, a, false, NULL, 0);  /* it has not left, and its worker is not there */
            continue;
        }
        list_push_back(&a->worker->to_send, &a->out);
        brk_worker_dirty(b, a->worker);
    }
}

/* An adopted attempt whose job the client has opened: its tasks count in the pool's lane on that worker. */
void brk_attempt_bind(struct broker *b, struct attempt *a)
{
    struct lane *l = a->lane || a->worker->ending ? NULL : brk_lane_get(b, a->worker, a->job->pool, true);

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

static uint8_t *put64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        *p++ = (uint8_t)(v >> (8 * i));
    return p;
}

static uint8_t *put_bytes_at(uint8_t *p, const void *data, size_t n)
{
    memcpy(p, data, n);
    return p + n;
}

void brk_attempt_ticket(struct broker *b, const uint8_t *job_id, const uint8_t *owner, const struct worker *w, uint64_t first,
                        uint64_t end, uint64_t id, uint8_t out[WIRE_TICKET])
{
    uint8_t in[WIRE_ID + WIRE_KEY + 24 + WIRE_KEY + WIRE_ID], *p = in;

    if (!b->c.mac) {
        memset(out, 0, WIRE_TICKET);
        return;
    }
    p = put_bytes_at(p, job_id, WIRE_ID);
    p = put_bytes_at(p, owner, WIRE_KEY);
    p = put64(put64(put64(p, first), end), id);
    p = put_bytes_at(p, w->key, WIRE_KEY);
    p = put_bytes_at(p, w->instance, WIRE_ID);
    b->c.mac(b->c.mac_ctx, in, (size_t)(p - in), out);
}
