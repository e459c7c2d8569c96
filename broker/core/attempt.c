/* SPDX-License-Identifier: MPL-2.0
 * attempt.c - attempts: made at dispatch, shrunk by what is returned, advanced by results, requeued when their worker is lost, kept
 * until the client has acknowledged all that came of them.
 *
 * Results of an attempt come in the order of the indexes; what lies before `next` is a repetition. Invariant: a live attempt has
 * next < end; an attempt in b->attempts is assigning, live or finished.
 */
#include "state.h"

struct attempt *attempt_new(struct broker *b, struct job *j, struct worker *w, struct lane *l)
{
    struct attempt *a;

    if (reserve(b, 10, 10) < 0 || map_reserve(&b->attempts, 1) < 0 || !(a = cache_get(b, &b->attempt_cache)))
        return NULL;
    list_init(&a->pieces);
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

void attempt_free(struct broker *b, struct attempt *a)
{
    struct list_node *n;

    span_done(&a->s);
    while ((n = list_pop(&a->pieces)))
        range_free(b, LIST_ENTRY(n, struct range, node));
    cache_put(&b->attempt_cache, a);
}

void attempt_bytes(struct attempt *a, int64_t bytes)
{
    a->bytes_left += (uint64_t)bytes;
    a->worker->out_bytes += (uint64_t)bytes;
    if (a->lane)
        a->lane->out_bytes += (uint64_t)bytes;
}

/* n of its tasks have left a live attempt; the caller moves next or end. */
static void less(struct broker *b, struct attempt *a, uint64_t n)
{
    uint64_t left = a->end - a->next, bytes = n == left ? a->bytes_left : a->bytes_left * n / left;

    attempt_bytes(a, -(int64_t)bytes);
    if (a->lane && !a->is_long)
        a->lane->short_ns -= n * a->mean_ns;
    job_pending(b, a->job, 0, 0, -(int64_t)n, -(int64_t)bytes);
}

/* Takes a live attempt with nothing left out of the lists of live ones. */
static void leave(struct broker *b, struct attempt *a)
{
    struct lane *l = a->lane;

    assert(a->next == a->end && !a->bytes_left);
    list_remove(&a->job->live, &a->in_job);
    b->n_attempts--;
    if (l) {
        list_remove(&l->live, &a->in_lane);
        if (a->is_long)
            l->n_long--;
        if (a->recalled)
            l->n_recalled--;
        a->lane = NULL;
        lane_open(b, l);
    }
    a->recalled = false;
    if (list_in(&a->out)) {
        if (a->state == ATTEMPT_ASSIGNING)
            list_remove(&a->job->client->assigning, &a->out);
        else
            list_remove(a->sent ? &a->worker->recalls : &a->worker->to_send, &a->out);
    }
    if (!a->job->live.count)
        for (struct list_node *n; (n = list_pop(&a->job->cancels));)
            mem_free(b, LIST_ENTRY(n, struct interval, node), sizeof(struct interval));
}

static void finish(struct broker *b, struct attempt *a)
{
    struct list_node *n;

    leave(b, a);
    a->state = ATTEMPT_FINISHED;
    list_push_back(&a->job->finished, &a->in_job);
    span_done(&a->s);
    while ((n = list_pop(&a->pieces)))
        range_free(b, LIST_ENTRY(n, struct range, node));
    if (!a->unacked)
        attempt_close(b, a, WIRE_WHY_DONE);
}

void attempt_close(struct broker *b, struct attempt *a, uint8_t why)
{
    struct worker *w = a->worker;

    if (a->state == ATTEMPT_LIVE || a->state == ATTEMPT_ASSIGNING) {
        if (a->end > a->next)
            less(b, a, a->end - a->next);
        a->end = a->next;
        if (!a->sent)
            why = 0;
        leave(b, a);
    } else {
        list_remove(&a->job->finished, &a->in_job);
    }
    map_take(&b->attempts, a->id);
    a->job = NULL;
    if (w)
        list_remove(&w->attempts, &a->in_worker);
    if (w && why) {
        a->state = ATTEMPT_CLOSING;
        a->why = why;
        list_push_back(&w->closing, &a->in_worker);
        worker_dirty(b, w);
        return;
    }
    a->worker = NULL;
    a->state = ATTEMPT_CLOSED;
    if (!a->unacked)
        attempt_free(b, a);
}

void attempt_told(struct broker *b, struct attempt *a)
{
    list_remove(&a->worker->closing, &a->in_worker);
    a->worker = NULL;
    a->state = ATTEMPT_CLOSED;
    if (!a->unacked)
        attempt_free(b, a);
}

void attempt_acked(struct broker *b, struct attempt *a)
{
    assert(a->unacked);
    if (--a->unacked)
        return;
    if (a->state == ATTEMPT_FINISHED)
        attempt_close(b, a, WIRE_WHY_DONE);
    else if (a->state == ATTEMPT_CLOSED)
        attempt_free(b, a);
}

void attempt_foreign(struct broker *b, struct worker *w, uint64_t id)
{
    struct list_node *last = list_last(&w->closing);
    struct attempt *a;

    if (last && LIST_ENTRY(last, struct attempt, in_worker)->id == id)
        return;
    if (!(a = cache_get(b, &b->attempt_cache)))
        return;
    list_init(&a->pieces);
    a->id = id;
    a->worker = w;
    a->state = ATTEMPT_CLOSING;
    a->why = WIRE_WHY_FENCED;
    b->n.fenced++;
    list_push_back(&w->closing, &a->in_worker);
    worker_dirty(b, w);
}

/* The part [from, to) of s as a range of its own; s keeps everything. Uses the reserve. */
static struct range *part(struct broker *b, const struct span *s, uint64_t from, uint64_t to)
{
    struct span rest = *s, head;

    slice_ref(rest.lens);
    slice_ref(rest.body);
    if (from > rest.first) {
        span_cut(&rest, (uint32_t)(from - rest.first), &head);
        span_done(&head);
    }
    if (to >= rest.first + rest.count)
        return range_of(b, &rest);
    span_cut(&rest, (uint32_t)(to - from), &head);
    span_done(&rest);
    return range_of(b, &head);
}

/* Queues [from, to) of the attempt in front again, with its counters raised. */
static void back(struct broker *b, struct attempt *a, uint64_t from, uint64_t to, int tries, int crashes, int fails)
{
    struct list parts;
    struct list_node *n;

    if (from >= to)
        return;
    list_init(&parts);
    if (a->s.count && !a->adopted)
        list_push_back(&parts, &part(b, &a->s, from, to)->node);
    for (LIST_EACH(&a->pieces, k)) {
        struct span *s = &LIST_ENTRY(k, struct range, node)->s;
        uint64_t lo = s->first > from ? s->first : from, hi = s->first + s->count < to ? s->first + s->count : to;
        if (lo < hi && b->ranges.n_free)
            list_push_back(&parts, &part(b, s, lo, hi)->node);
    }
    while ((n = list_last(&parts))) {
        struct range *r = LIST_ENTRY(n, struct range, node);
        list_remove(&parts, n);
        r->s.tries = (uint16_t)(r->s.tries + tries);
        r->s.crashes = (uint16_t)(r->s.crashes + crashes);
        r->s.fails = (uint16_t)(r->s.fails + fails);
        b->n.requeued += r->s.count;
        if (fails + crashes && a->job->spec.backoff_ms)
            range_hold(b, a->job, r, b->now + a->job->spec.backoff_ms * CLOCK_MS);
        else
            range_return(b, a->job, r);
    }
}

void attempt_shrink(struct broker *b, struct attempt *a, uint64_t end)
{
    uint64_t was = a->end;

    less(b, a, was - end);
    a->end = end;
    if (a->recalled) {
        a->recalled = false;
        if (a->lane)
            a->lane->n_recalled--;
    }
    back(b, a, end, was, 0, 0, 0);
    if (a->next == a->end)
        finish(b, a);
    else if (a->lane)
        lane_open(b, a->lane);
}

void attempt_requeue(struct broker *b, struct attempt *a, bool lost, const char *text, uint8_t close)
{
    struct job *j = a->job;
    uint64_t from = a->next, to = a->end;
    uint32_t tries = a->s.tries + 1u, before = tries + a->s.crashes + a->s.fails;

    lost = lost && a->sent;
    less(b, a, to - from);
    a->end = from;
    if (lost && job_once(j))
        outcome_text(b, j, from, to - from, before, BFORK_UNKNOWN, text);
    else if (lost && tries >= b->c.lost_limit)
        outcome_text(b, j, from, to - from, before, BFORK_LOST, text);
    else
        back(b, a, from, to, lost, 0, 0);
    if (a->unacked && !close) {
        leave(b, a);
        a->state = ATTEMPT_FINISHED;
        list_push_back(&j->finished, &a->in_job);
        return;
    }
    attempt_close(b, a, close);
}

void attempt_recall(struct broker *b, struct attempt *a, uint64_t first, uint8_t why)
{
    if (first < a->next)
        first = a->next;
    if (!a->sent) {
        if (why == WIRE_WHY_CANCEL || why == WIRE_WHY_DRAIN || why == WIRE_WHY_BALANCE)
            attempt_shrink(b, a, first);
        return;
    }
    if (!a->recalled && a->lane)
        a->lane->n_recalled++;
    if (!list_in(&a->out) || first < a->recall_first)
        a->recall_first = first;
    a->recalled = true;
    if (!list_in(&a->out) || why == WIRE_WHY_CANCEL)
        a->why = why;
    if (!list_in(&a->out))
        list_push_back(&a->worker->recalls, &a->out);
    worker_dirty(b, a->worker);
}

static void measure(struct broker *b, struct attempt *a, const struct wire_item *it)
{
    struct job *j = a->job;
    uint64_t mean;

    if (it->sum_ns)
        mean = it->sum_ns / it->count;
    else if (j->mean_ns && it->count == 1)
        return;
    else
        mean = (b->now - a->sent_at) / it->count;
    if (!mean)
        mean = 1;
    j->mean_ns = j->mean_ns ? j->mean_ns - j->mean_ns / 4 + mean / 4 : mean;
    if (!j->mean_ns)
        j->mean_ns = 1;
}

static bool has_arguments(const struct attempt *a, const struct wire_item *it)
{
    if (!a->adopted)
        return true;
    for (LIST_EACH(&a->pieces, n)) {
        const struct span *s = &LIST_ENTRY(n, struct range, node)->s;
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
    uint64_t until;

    *crashes = d->kind == BFORK_CRASHED;
    *fails = !*crashes;
    if (job_once(a->job) || job_is_cancelled(a->job, it->first, &until) || !has_arguments(a, it))
        return false;
    if (s->retry_on && d->kind < 0 && d->kind > -32 && !(s->retry_on & 1u << -d->kind))
        return false;
    switch (d->kind) {
    case BFORK_CRASHED:
        return a->s.crashes + 1u < b->c.crash_limit;
    case BFORK_FAILED: case BFORK_EXITED: case BFORK_OVERTIME: case BFORK_OVERMEMORY:
        return s->retries > 0 && a->s.fails < (uint32_t)s->retries;
    default:
        return false;
    }
}

/* Refers to the slice, or copies it. 0, or no memory. */
static int keep(struct broker *b, struct slice *s)
{
    struct buf *copy;

    if (!s->size) {
        *s = slice_none();
    } else if (s->buf) {
        buf_ref(s->buf);
    } else {
        if (!(copy = bytes_copy(b, s->data, s->size)))
            return BFORK_ENOMEM;
        *s = slice_of(copy, 0, s->size);
    }
    return 0;
}

/* 1: it runs again; 0: recorded; < 0: no memory, nothing has changed. */
static int settle(struct broker *b, struct attempt *a, struct wire_item *it)
{
    struct wire_outcome d;
    struct buf *doc;
    int crashes, fails;

    if (it->kind == WIRE_OUTCOME) {
        if (wire_outcome_decode(it->body.data, it->body.size, &d, NULL) < 0 || d.kind >= 0 || d.kind < BFORK_MISMATCH)
            return BFORK_EPROTOCOL;
        if (retry(b, a, it, &d, &crashes, &fails)) {
            back(b, a, it->first, it->first + it->count, 0, crashes, fails);
            return 1;
        }
        d.attempt = a->s.tries + a->s.crashes + a->s.fails + 1u;
        if (it->count == 1)
            d.index = it->first;
        if (!(doc = wire_outcome_encode(&d)))
            return BFORK_ENOMEM;
        it->lens = slice_none();
        it->body = slice_of(doc, 0, doc->size);
        it->size = (uint32_t)doc->size;
        it->flags |= WIRE_FIXED;
    } else {
        if (keep(b, &it->lens) < 0)
            return BFORK_ENOMEM;
        if (keep(b, &it->body) < 0) {
            slice_unref(&it->lens);
            return BFORK_ENOMEM;
        }
    }
    outcome_record(b, a->job, a, it);
    return 0;
}

/* What this item says is new and fits: accounts for it. */
static int advance(struct broker *b, struct worker *w, struct attempt *a, struct wire_item *it)
{
    int rc;

    if (it->kind == WIRE_OK)
        measure(b, a, it);
    if (it->count > 1 && it->kind == WIRE_OUTCOME) {
        struct wire_outcome d;
        if (wire_outcome_decode(it->body.data, it->body.size, &d, NULL) < 0)
            return BFORK_EPROTOCOL;
    }
    if ((rc = settle(b, a, it)) < 0)
        return rc;
    less(b, a, it->count);
    a->next += it->count;
    w->tasks_done += it->count;
    if (a->next == a->end)
        finish(b, a);
    else if (a->lane)
        lane_open(b, a->lane);
    return 0;
}

static int result(struct broker *b, struct worker *w, const struct wire_item *item)
{
    struct attempt *a = map_get(&b->attempts, item->id);
    struct wire_item it = *item, head;
    uint64_t end = it.first + it.count, handed;

    if (!a || a->worker != w || !a->sent) {
        b->n.foreign += it.count;
        if (!a || a->worker != w)
            attempt_foreign(b, w, it.id);
        return 0;
    }
    if (a->state == ATTEMPT_FINISHED) {
        b->n.duplicates += it.count;
        return 0;
    }
    handed = a->s.first + a->s.count;
    if (!it.count || end < it.first || it.first < a->s.first || end > handed || it.kind > WIRE_RETURNED)
        return BFORK_EPROTOCOL;
    if (end <= a->next || it.first >= a->end) {
        b->n.duplicates += it.count;
        return 0;
    }
    if (it.kind == WIRE_RETURNED) {
        if (it.first < a->next || end < a->end)
            return BFORK_EPROTOCOL;
        attempt_shrink(b, a, it.first);
        return 0;
    }
    if (it.first > a->next || end > a->end)
        return BFORK_EPROTOCOL;
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
    return advance(b, w, a, &it);
}

void attempt_results(struct broker *b, struct worker *w, const struct wire_msg *m)
{
    int rc = reserve(b, 2 * (size_t)m->n_items + 8, 2 * (size_t)m->n_items + 8);

    for (uint32_t i = 0; i < m->n_items && rc == 0; i++)
        rc = result(b, w, &m->items[i]);
    if (rc == BFORK_ENOMEM) {
        struct peer *p = w->peer;
        session_lost(b, p);
        peer_cut(b, p, "out of memory");
    } else if (rc < 0) {
        session_fail(b, w->peer, rc, "RESULTS that do not fit their attempt");
    }
}

void attempt_assigned(struct broker *b, struct client *c, const struct wire_msg *m)
{
    for (uint32_t i = 0; i < m->n_items; i++) {
        struct attempt *a = map_get(&b->attempts, m->items[i].id);
        if (!a || a->job->client != c || a->state != ATTEMPT_ASSIGNING || list_in(&a->out))
            continue;
        a->state = ATTEMPT_LIVE;
        list_push_back(&a->worker->to_send, &a->out);
        worker_dirty(b, a->worker);
    }
}

/* An adopted attempt whose job the client has opened: its tasks count in the pool's lane on that worker. */
void attempt_bind(struct broker *b, struct attempt *a)
{
    struct lane *l = a->lane ? NULL : lane_get(b, a->worker, a->job->pool, true);

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

static uint8_t *put(uint8_t *p, const void *data, size_t n)
{
    memcpy(p, data, n);
    return p + n;
}

void attempt_ticket(struct broker *b, const uint8_t *job_id, const uint8_t *owner, const struct worker *w, uint64_t first,
                    uint64_t end, uint64_t id, uint8_t out[WIRE_TICKET])
{
    uint8_t in[WIRE_ID + WIRE_KEY + 24 + WIRE_KEY + WIRE_ID], *p = in;

    if (!b->c.mac) {
        memset(out, 0, WIRE_TICKET);
        return;
    }
    p = put(p, job_id, WIRE_ID);
    p = put(p, owner, WIRE_KEY);
    p = put64(put64(put64(p, first), end), id);
    p = put(p, w->key, WIRE_KEY);
    p = put(p, w->instance, WIRE_ID);
    b->c.mac(b->c.mac_ctx, in, (size_t)(p - in), out);
}
