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
    run_done(&r->run);
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
static bool join_record(struct worker *w, struct record *t, const struct wire_item *i, const struct run *results)
{
    if (t->kind != WIRE_OK || i->kind != WIRE_OK || t->pid != i->pid || t->run.count + i->count > WIRE_BATCH_TASKS ||
        t->run.body.size + i->body.size > WIRE_BATCH || !run_append(&wrk_memory, NULL, &w->results, &t->run, results))
        return false;
    t->sum_ns += i->sum_ns;
    return true;
}

static struct run results_of(const struct wire_item *i)
{
    uint32_t fixed = i->flags & WIRE_FIXED;

    return (struct run){ .first = i->first, .count = i->count, .flags = (uint16_t)fixed,
                         .size = fixed ? i->size : (uint32_t)i->body.size, .lens = i->lens, .body = i->body };
}

static bool record_one(struct worker *w, struct attempt *a, const struct wire_item *i)
{
    struct run results = results_of(i);
    struct record *r;

    if (!a->unsent || !join_record(w, a->tail, i, &results)) {
        if (!(r = record_alloc(w)))
            return false;
        if (run_keep(&wrk_memory, NULL, &w->results, &results, &r->run) < 0) {
            record_free(w, r);
            return false;
        }
        r->kind = i->kind;
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
    struct run results = results_of(i);

    return i->kind == WIRE_OK ? run_fit(&results, WIRE_BATCH_TASKS, WIRE_BATCH) : i->count;
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
    out.attempt = (uint32_t)a->run.tries + a->run.crashes + (a->lost_at == a->next ? a->lost : 0u) + 1;
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
