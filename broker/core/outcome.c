/* SPDX-License-Identifier: MPL-2.0
 * outcome.c - outcomes: recorded once, numbered by job, kept until the client acknowledges them.
 *
 * The only place where a task's fate is fixed. Invariants: seq of job.outcomes rises by one; everything before job.unsent was sent
 * on the client's present connection; client.unacked is the cost of all its jobs' outcomes.
 */
#include "state.h"

static void client_pause(struct broker *b, struct client *c)
{
    bool pause = c->unacked >= c->window;

    if (pause == c->paused)
        return;
    c->paused = pause;
    for (LIST_EACH(&c->pool_list, n))
        pool_paused(b, LIST_ENTRY(n, struct pool, in_client));
}

static void job_sending(struct broker *b, struct job *j)
{
    if (!j->client || !j->unsent || j->mute)
        return;
    if (!list_in(&j->sending))
        list_push_back(&j->client->sending, &j->sending);
    client_dirty(b, j->client);
}

void outcome_freed(struct broker *b, struct client *c)
{
    client_pause(b, c);
    if (!list_empty(&c->sending))
        client_dirty(b, c);
}

void outcome_record(struct broker *b, struct job *j, struct attempt *a, const struct wire_item *it)
{
    struct outcome *o = cache_get(b, &b->outcomes);

    assert(o && it->count);
    o->seq = ++j->seq;
    o->first = it->first;
    o->count = it->count;
    o->flags = it->flags;
    o->size = it->size;
    o->kind = it->kind;
    o->pid = it->pid;
    o->sum_ns = it->sum_ns;
    o->lens = it->lens;
    o->body = it->body;
    if ((o->attempt = a))
        a->unacked++;
    list_push_back(&j->outcomes, &o->node);
    if (!j->unsent)
        j->unsent = o;
    j->done += it->count;
    if (it->kind == WIRE_OK) {
        b->n.tasks_ok += it->count;
    } else {
        b->n.tasks_failed += it->count;
        j->failed += it->count;
    }
    if (j->client) {
        j->client->unacked += outcome_cost(o);
        client_pause(b, j->client);
    }
    job_sending(b, j);
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

static struct buf *document(struct broker *b, uint64_t first, uint32_t tries, int kind, const char *text)
{
    struct wire_outcome d = { .kind = kind, .attempt = tries, .index = first };
    struct buf *doc;

    if (!text) {
        if (!b->generic[-kind]) {
            text = general(kind);
            d.message = (struct wire_str){ text, (uint32_t)strlen(text) };
            d.attempt = 0;
            d.index = 0;
            b->generic[-kind] = wire_outcome_encode(&d);
        }
        return buf_ref(b->generic[-kind]);
    }
    d.message = (struct wire_str){ text, (uint32_t)strlen(text) };
    if (!(doc = wire_outcome_encode(&d)))
        doc = document(b, first, tries, kind, NULL);
    return doc;
}

void outcome_text(struct broker *b, struct job *j, uint64_t first, uint64_t count, uint32_t tries, int kind, const char *text)
{
    struct list_node *last = list_last(&j->outcomes);
    struct outcome *o = last ? LIST_ENTRY(last, struct outcome, node) : NULL;

    assert(kind < 0 && kind >= BFORK_MISMATCH);
    if (o && j->unsent && !text && o->kind == WIRE_OUTCOME && b->generic[-kind] && o->body.buf == b->generic[-kind] &&
        o->first + o->count == first && o->count + count <= UINT32_MAX && !o->attempt) {
        o->count += (uint32_t)count;
        j->done += count;
        j->failed += count;
        b->n.tasks_failed += count;
        return;
    }
    while (count) {
        uint32_t n = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
        struct buf *doc = document(b, first, tries, kind, text);
        struct wire_item it = { .first = first, .count = n, .kind = WIRE_OUTCOME };
        if (doc)
            it.body = slice_of(doc, 0, doc->size);
        it.size = (uint32_t)it.body.size;
        it.flags = WIRE_FIXED;
        outcome_record(b, j, NULL, &it);
        first += n;
        count -= n;
    }
}

/* The outcome is in no list. */
void outcome_free(struct broker *b, struct outcome *o)
{
    struct attempt *a = o->attempt;

    slice_unref(&o->lens);
    slice_unref(&o->body);
    cache_put(&b->outcomes, o);
    if (a)
        attempt_acked(b, a);
}

void outcome_ack(struct broker *b, struct job *j, uint64_t seq)
{
    struct list_node *n;

    while ((n = list_first(&j->outcomes))) {
        struct outcome *o = LIST_ENTRY(n, struct outcome, node);
        if (o->seq > seq || o == j->unsent)
            break;
        list_remove(&j->outcomes, n);
        if (j->client) {
            j->client->unacked -= outcome_cost(o);
            j->client->sent_unacked -= outcome_cost(o);
        }
        outcome_free(b, o);
    }
    if (j->client) {
        job_sending(b, j);
        outcome_freed(b, j->client);
    }
}

void outcome_acks(struct broker *b, struct client *c, const struct wire_msg *m)
{
    for (uint32_t i = 0; i < m->n_items; i++) {
        struct job *j = map_get(&c->jobs, m->items[i].job);
        if (!j)
            continue;
        if (m->items[i].id > j->sent_seq) {
            session_fail(b, c->peer, BFORK_EPROTOCOL, "OUTCOMES_ACK up to %llu, but only %llu were sent",
                         (unsigned long long)m->items[i].id, (unsigned long long)j->sent_seq);
            return;
        }
        outcome_ack(b, j, m->items[i].id);
        job_maybe_end(b, j);
    }
}

/* A new connection of the client: everything it has not acknowledged goes out again. */
void outcome_resend(struct broker *b, struct job *j)
{
    struct list_node *n = list_first(&j->outcomes);

    for (LIST_EACH(&j->outcomes, k)) {
        struct outcome *o = LIST_ENTRY(k, struct outcome, node);
        if (o == j->unsent)
            break;
        j->client->sent_unacked -= outcome_cost(o);
    }
    j->unsent = n ? LIST_ENTRY(n, struct outcome, node) : NULL;
    job_sending(b, j);
}
