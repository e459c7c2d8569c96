/* SPDX-License-Identifier: MPL-2.0
 * record.c - results as records of attempts, which are kept until the broker closes the attempt.
 */
#include "model/model.h"

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
