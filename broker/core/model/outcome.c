/* SPDX-License-Identifier: MPL-2.0
 * outcome.c - outcomes: recorded once, numbered by job, kept until the client acknowledges them.
 *
 * The only place where a task's fate is fixed. Invariants: seq of job.outcomes rises by one; everything before job.unsent was sent
 * on the client's present connection; client.unacked is the cost of all its jobs' outcomes.
 */
#include "model.h"

const char OUTCOME_UNREPORTED[] = "it is not known whether the task has run: it had been handed out when the broker was started "
    "anew, or ended its client's session, no worker says that it has it, and at most one attempt was asked for";

static void tally(struct broker *b, struct job *j, uint8_t kind, uint64_t count)
{
    j->done += count;
    if (kind == WIRE_OK) {
        b->n.tasks_ok += count;
        j->owner->done += count;
    } else {
        b->n.tasks_failed += count;
        j->owner->failed += count;
        j->failed += count;
    }
}

static void record_settled(struct broker *b, struct job *j, struct attempt *a, const struct wire_item *it)
{
    struct outcome *o = brk_cache_get(b, &b->outcomes, j->owner->account);

    assert(o && it->count);
    o->seq = ++j->seq;
    o->run = (struct run){ .first = it->first, .count = it->count, .flags = (uint16_t)it->flags, .size = it->size,
                           .lens = it->lens, .body = it->body };
    o->kind = it->kind;
    o->pid = it->pid;
    o->sum_ns = it->sum_ns;
    if ((o->attempt = a))
        a->unacked++;
    o->at = (struct interval){ .first = it->first, .end = run_end(&o->run), .kind = PLACE_OUTCOME };
    interval_put(&j->index, &o->at);
    list_push_back(&j->outcomes, &o->node);
    if (!j->unsent)
        j->unsent = o;
    brk_outcome_costs(b, j, (int64_t)outcome_cost(o), 0);
    if (j->client)
        brk_client_pause(b, j->client);
    brk_job_sending(b, j);
}

void brk_outcome_record(struct broker *b, struct job *j, struct attempt *a, const struct wire_item *it)
{
    record_settled(b, j, a, it);
    tally(b, j, it->kind, it->count);
}

static const char *general(int kind)
{
    switch (kind) {
    case BFORK_CANCELLED: return "the task was cancelled";
    case BFORK_LOST: return "the task's worker was lost, and no attempt is left";
    case BFORK_REFUSED: return "the task could not run anywhere";
    case BFORK_UNKNOWN: return "the task may have run: it was with a worker that was lost, and at most one attempt was asked for";
    default: return "the task ended without a result";
    }
}

/* Is this a text that tasks share? */
static bool is_shared(const char *text) { return !text || text == OUTCOME_UNREPORTED; }

/* Its document, made when it is first needed. */
static struct buf **shared(struct broker *b, int kind, const char *text)
{
    struct buf **doc = text ? &b->unreported : &b->generic[-kind];
    struct wire_outcome d = { .kind = kind };

    if (!*doc) {
        text = text ? text : general(kind);
        d.message = (struct wire_str){ text, (uint32_t)strlen(text) };
        *doc = wire_outcome_encode(&d);
    }
    return doc;
}

static struct buf *outcome_document(struct broker *b, struct account *a, uint64_t first, uint32_t tries, int kind, const char *text)
{
    struct wire_outcome d = { .kind = kind, .attempt = tries, .index = first };
    struct buf *doc;

    if (is_shared(text))
        return buf_ref(*shared(b, kind, text));
    d.message = (struct wire_str){ text, (uint32_t)strlen(text) };
    if (!(doc = brk_bytes_charge(a, wire_outcome_encode(&d))))
        doc = outcome_document(b, a, first, tries, kind, NULL);
    return doc;
}

/* Tasks from first on join the last outcome if it says the same of those before them, and nobody has been told of it. */
static bool extend(struct broker *b, struct job *j, uint64_t first, uint64_t count, int kind, const char *text)
{
    struct list_node *last = list_last(&j->outcomes);
    struct outcome *o = last ? LIST_ENTRY(last, struct outcome, node) : NULL;

    if (!o || !j->unsent || o->kind != WIRE_OUTCOME || !o->run.body.buf ||
        o->run.body.buf != *shared(b, kind, text) || o->attempt || run_end(&o->run) != first || o->run.count + count > UINT32_MAX)
        return false;
    o->run.count += (uint32_t)count;
    o->at.end += count;
    return true;
}

static void text_record(struct broker *b, struct job *j, uint64_t first, uint64_t count, uint32_t tries, int kind, const char *text)
{
    assert(kind < 0 && kind >= BFORK_MISMATCH);
    if (is_shared(text) && extend(b, j, first, count, kind, text))
        return;
    while (count) {
        uint32_t n = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
        struct buf *doc = outcome_document(b, j->owner->account, first, tries, kind, text);
        struct wire_item it = { .first = first, .count = n, .kind = WIRE_OUTCOME };
        if (doc)
            it.body = slice_of(doc, 0, doc->size);
        it.size = (uint32_t)it.body.size;
        it.flags = WIRE_FIXED;
        record_settled(b, j, NULL, &it);
        first += n;
        count -= n;
    }
}

void brk_outcome_text(struct broker *b, struct job *j, uint64_t first, uint64_t count, uint32_t tries, int kind, const char *text)
{
    text_record(b, j, first, count, tries, kind, text);
    tally(b, j, WIRE_OUTCOME, count);
}

void brk_outcome_nowhere(struct broker *b, struct job *j, uint64_t first, uint32_t count)
{
    text_record(b, j, first, count, 0, BFORK_CANCELLED, NULL);
}

/* The outcome is in no list. */
void brk_outcome_free(struct broker *b, struct job *j, struct outcome *o)
{
    struct attempt *a = o->attempt;

    run_done(&o->run);
    brk_cache_put(b, &b->outcomes, o, j->owner->account);
    if (a)
        brk_attempt_acked(b, a);
}
