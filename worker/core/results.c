/* SPDX-License-Identifier: MPL-2.0
 * results.c - what processes report becomes records of attempts; records become RESULTS within the broker's window, at most one
 * message a turn, and are kept until the broker closes the attempt.
 */
#include "internal.h"

#include "base/pace.h"
#include "bfork.h"

#include <stdlib.h>
#include <string.h>

static struct record *record_alloc(struct worker *w)
{
    struct record *r = w->free_records;

    if (!r)
        return calloc(1, sizeof(*r));
    w->free_records = r->next;
    w->n_free_records--;
    memset(r, 0, sizeof(*r));
    return r;
}

static void record_free(struct worker *w, struct record *r)
{
    slice_unref(&r->lens);
    slice_unref(&r->body);
    if (w->n_free_records >= 4096) {
        free(r);
        return;
    }
    r->next = w->free_records;
    w->free_records = r;
    w->n_free_records++;
}

void wrk_records_free(struct worker *w, struct attempt *a)
{
    for (struct record *r; (r = a->head);) {
        a->head = r->next;
        record_free(w, r);
    }
    w->count.held_bytes -= a->bytes;
    a->bytes = 0;
    a->tail = a->unsent = NULL;
}

/* Consecutive results that are not yet on their way become one record, if their bytes end up behind each other. */
static bool joins(const struct worker *w, const struct record *t, const struct wire_item *i)
{
    return t->kind == WIRE_OK && i->kind == WIRE_OK && t->flags == (i->flags & WIRE_FIXED) && t->pid == i->pid &&
           t->first + t->count == i->first && (!t->flags || t->size == i->size) && t->count + i->count <= WIRE_BATCH_TASKS &&
           t->body.size + i->body.size <= WIRE_BATCH && !i->body.buf && !i->lens.buf &&
           (i->body.size == 0 || wrk_slab_follows(&w->res_body, t->body, i->body.size)) &&
           (i->lens.size == 0 || wrk_slab_follows(&w->res_lens, t->lens, i->lens.size));
}

static bool join_record(struct worker *w, struct record *t, const struct wire_item *i)
{
    struct slice lens, body;

    if (!joins(w, t, i))
        return false;
    wrk_slab_copy(&w->res_lens, i->lens, &lens);    /* there is room: these cannot fail */
    wrk_slab_copy(&w->res_body, i->body, &body);
    t->lens.size += lens.size;
    t->body.size += body.size;
    if (!t->flags)
        t->size += (uint32_t)body.size;
    t->count += i->count;
    t->sum_ns += i->sum_ns;
    slice_unref(&lens);
    slice_unref(&body);
    return true;
}

static bool record_one(struct worker *w, struct attempt *a, const struct wire_item *i)
{
    struct record *r;

    if (!a->unsent || !join_record(w, a->tail, i)) {
        if (!(r = record_alloc(w)))
            return false;
        if (!wrk_slab_copy(&w->res_lens, i->lens, &r->lens) || !wrk_slab_copy(&w->res_body, i->body, &r->body)) {
            record_free(w, r);
            return false;
        }
        r->first = i->first;
        r->count = i->count;
        r->kind = i->kind;
        r->flags = i->flags & WIRE_FIXED;
        r->size = r->flags ? i->size : (uint32_t)i->body.size;
        r->pid = i->pid;
        r->sum_ns = i->sum_ns;
        *(a->tail ? &a->tail->next : &a->head) = r;
        a->tail = r;
        if (!a->unsent)
            a->unsent = r;
    }
    a->bytes += wire_item_bytes(i);
    w->count.held_bytes += wire_item_bytes(i);
    if (!list_in(&a->out))
        list_push_back(&w->out, &a->out);
    return true;
}

/* How many of its tasks one record of a frame may hold. */
static uint32_t portion(const struct wire_item *i)
{
    uint32_t n = i->count < WIRE_BATCH_TASKS ? i->count : WIRE_BATCH_TASKS, k = 0;
    uint64_t sum = 0;

    if (i->kind != WIRE_OK)
        return i->count;
    if (i->flags & WIRE_FIXED) {
        uint32_t fit = i->size ? WIRE_BATCH / i->size : n;

        return fit < 1 ? 1 : fit < n ? fit : n;
    }
    if (i->body.size <= WIRE_BATCH)
        return n;
    for (; k < n; k++) {
        sum += wire_len_at(i, k);
        if (k && sum > WIRE_BATCH)
            break;
    }
    return k;
}

bool wrk_record_add(struct worker *w, struct attempt *a, const struct wire_item *item)
{
    struct wire_item rest = *item;

    while (rest.count) {
        uint32_t n = portion(&rest);
        struct wire_item head, tail;

        if (n == rest.count)
            return record_one(w, a, &rest);
        wire_item_cut(&rest, n, &head, &tail);
        if (!record_one(w, a, &head))
            return false;
        rest = tail;
    }
    return true;
}

bool wrk_record_outcome(struct worker *w, struct attempt *a, const struct wire_outcome *o)
{
    return wrk_record_outcomes(w, a, o, 1);
}

bool wrk_record_outcomes(struct worker *w, struct attempt *a, const struct wire_outcome *o, uint32_t count)
{
    struct wire_outcome out = *o;
    struct wire_item i = { .kind = WIRE_OUTCOME, .count = count, .first = a->next, .pid = o->pid, .flags = WIRE_FIXED };
    struct buf *doc;
    bool ok;

    out.index = a->next;
    out.attempt = (uint32_t)a->tries + a->crashes + (a->lost_at == a->next ? a->lost : 0u) + 1;
    if (w->config.host)
        out.host = WIRE_STR(w->config.host);
    if (!(doc = wire_outcome_encode(&out)))
        return false;
    i.body = slice_of(doc, 0, doc->size);
    i.size = (uint32_t)doc->size;
    i.sum_ns = o->duration_us * 1000;
    ok = wrk_record_add(w, a, &i);
    buf_unref(&doc);
    return ok;
}

/* An outcome the process wrote itself; what cannot be read is an outcome too. A kind that is none would break the protocol, and end
 * the session with what other owners have here. */
static bool record_written(struct worker *w, struct attempt *a, const struct wire_item *i)
{
    struct wire_outcome o = { 0 };
    struct err e = { 0 };

    if (wire_outcome_decode(i->body.data, i->body.size, &o, &e) < 0 || o.kind >= 0 || o.kind < BFORK_MISMATCH) {
        memset(&o, 0, sizeof(o));
        o.kind = BFORK_FAILED;
        o.message = WIRE_STR("the task process wrote an outcome that cannot be read");
    }
    o.pid = i->pid;
    return wrk_record_outcome(w, a, &o);
}

static void measure_tasks(struct worker *w, struct proc *p, struct job *j, uint64_t sum_ns, uint32_t n)
{
    j->mean_ns = pace_add(j->mean_ns, sum_ns ? sum_ns : w->now > p->since ? w->now - p->since : 1, n);
}

/* The first n results of *item are those of a; false: no memory to keep them. */
static bool take_first_results(struct worker *w, struct proc *p, struct attempt *a, struct wire_item *item, uint32_t n)
{
    struct wire_item head = *item, rest = { 0 };
    bool ok = true;

    if (n < item->count)
        wire_item_cut(item, n, &head, &rest);
    head.first = a->next;
    measure_tasks(w, p, a->job, head.sum_ns, n);
    if (!a->dead)
        ok = head.kind == WIRE_OK ? wrk_record_add(w, a, &head) : record_written(w, a, &head);
    *(head.kind == WIRE_OK ? &w->count.tasks_ok : &w->count.tasks_failed) += n;
    a->next += n;
    p->pending -= n;
    *item = rest;
    return ok;
}

static void head_done(struct worker *w, struct proc *p, struct attempt *a)
{
    if (a->next == a->end) {
        if (a->dead)
            wrk_attempt_free(w, a);
        else
            wrk_attempt_finish(w, a);
    } else if ((p->state == PROC_STOPPING || p->parked) && a->next == a->pushed) {
        wrk_proc_detach(p, a);          /* the process takes no more: somebody else goes on with it */
        wrk_attempt_queue_front(w, a);
    }
}

void worker_proc_results(struct worker *w, uint64_t now, worker_proc proc, const struct wire_item *item)
{
    struct proc *p = map_get(&w->by_proc, proc);
    struct wire_item rest = *item;

    w->now = now;
    if (!p)
        return;
    while (rest.count) {
        struct list_node *n = list_first(&p->attempts);
        struct attempt *a = n ? LIST_ENTRY(n, struct attempt, node) : NULL;
        uint64_t out = a ? a->pushed - a->next : 0;

        if (!out || (rest.kind == WIRE_OUTCOME && rest.count != 1) || rest.kind > WIRE_OUTCOME) {
            wrk_effect_log(w, LOG_WARNING_, "a task process reported results that nobody asked for: it is killed");
            wrk_proc_kill(w, p, "it reported results that nobody asked for");
            break;
        }
        if (!take_first_results(w, p, a, &rest, out < rest.count ? (uint32_t)out : rest.count)) {
            wrk_attempt_lost(w, a);
            break;
        }
        head_done(w, p, a);
    }
    p->worked = true;
    p->lane->bad_starts = p->lane->deaths = 0;
    p->full = false;
    p->since = now;
    if (!p->killed) {
        wrk_proc_check_head(w, p);
        wrk_proc_place(p);
    }
    wrk_lane_dirty(w, p->lane);
}

/* ---- to the broker ------------------------------------------------------------------------------ */

void wrk_results_resend(struct worker *w)
{
    for (LIST_EACH(&w->attempts, n)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, all);

        a->unsent = a->head;
        if (a->unsent && !list_in(&a->out))
            list_push_back(&w->out, &a->out);
    }
}

static void fill_result(struct worker *w, struct wire_item *i, const struct attempt *a, const struct record *r)
{
    memset(i, 0, sizeof(*i));
    i->id = a->id;
    i->job = a->job->bound ? a->job->handle : 0;
    i->first = r->first;
    i->count = r->count;
    i->kind = r->kind;
    i->flags = r->flags;
    i->size = r->size;
    i->tries = a->tries;
    i->crashes = a->crashes;
    i->pid = r->pid;
    i->sum_ns = r->sum_ns;
    i->lens = r->lens;
    i->body = r->body;
    wrk_effect_keep(w, r->lens);
    wrk_effect_keep(w, r->body);
}

/* Puts records of a into the message until nothing is left (true) or it or the window is full. */
static bool put_records(struct worker *w, struct attempt *a, uint32_t *n, size_t *body, size_t *lens)
{
    for (struct record *r; (r = a->unsent);) {
        uint64_t on_way = w->out_bytes - w->out_acked + *body + *lens, size = r->body.size + r->lens.size;

        if (wrk_said_blocks(a, r))
            return true;            /* wrk_said_flush brings it back when the output is sent */
        if (*n == RESULTS_ITEMS || (*n && (*body + r->body.size > RESULTS_BODY || *lens + r->lens.size > RESULTS_LENS))) {
            w->again = true;
            return false;
        }
        if (on_way && on_way + size > w->window)
            return false;               /* the broker's ack brings us back */
        fill_result(w, &w->items[(*n)++], a, r);
        *body += r->body.size;
        *lens += r->lens.size;
        a->unsent = r->next;
    }
    return true;
}

void wrk_results_flush(struct worker *w)
{
    uint32_t n = 0;
    size_t body = 0, lens = 0;

    if (w->link != LINK_UP || w->items_used || list_empty(&w->out))
        return;
    for (struct list_node *o; (o = list_first(&w->out));) {
        struct attempt *a = LIST_ENTRY(o, struct attempt, out);

        if (!put_records(w, a, &n, &body, &lens))
            break;
        list_remove(&w->out, &a->out);
    }
    if (!n)
        return;
    struct wire_msg *m = wrk_link_send(w, WIRE_RESULTS);

    m->items = w->items;
    m->n_items = n;
    w->items_used = true;
    w->out_bytes += body + lens;
}
