/* SPDX-License-Identifier: MPL-2.0
 * outcome.c - outcomes: recorded once, numbered by job, kept until the client acknowledges them.
 *
 * The only place where a task's fate is fixed. Invariants: seq of job.outcomes rises by one; everything before job.unsent was sent
 * on the client's present connection; client.unacked is the cost of all its jobs' outcomes.
 */
#include "state.h"

#include <stdio.h>

/* What an owner has out is asked back when its account takes no more outcomes, as far as it has not begun: prefetched tasks would
 * bring many times what the account has room for. */
static void recall_full(struct broker *b, struct pool *p)
{
    for (LIST_EACH(&p->lanes, n))
        brk_lane_recall(b, LIST_ENTRY(n, struct lane, in_pool), WIRE_WHY_BALANCE);
}

bool brk_owner_wake_some(struct broker *b, struct owner *o, uint32_t *budget)
{
    struct list_node *n;

    for (; o->to_wake && (n = list_first(&o->active)); o->to_wake--) {
        struct pool *p = LIST_ENTRY(n, struct pool, active);
        if (!*budget)
            return false;
        budget_take(budget, 1 + p->lanes.count);
        b->steps++;
        list_remove(&o->active, n);
        list_push_back(&o->active, n);
        brk_pool_paused(b, p);
        if (o->full)
            recall_full(b, p);
    }
    o->to_wake = 0;
    return true;
}

/* Pools of the owner stop, or go on. Those without tasks and slots, which may be very many, have nothing to stop or go on with. */
static void owner_wake(struct broker *b, struct owner *o)
{
    o->to_wake = o->active.count;
    if (o->to_wake)
        brk_chore_add(b, o, &o->wake, CHORE_OWNER_WAKE);
    b->grants_dirty |= !list_empty(&o->later);      /* those are looked at by turn */
}

/* Of all sessions of the key the one that keeps most waiting is named: usually it is gone, or stopped. */
static void owner_says(struct broker *b, struct owner *o)
{
    const struct client *most = NULL;
    char who[112] = "a session that is gone";       /* as much as o->why has room for */

    for (LIST_EACH(&b->clients, n)) {
        const struct client *c = LIST_ENTRY(n, struct client, node);
        b->steps++;
        if (c->owner == o && c->unacked && (!most || c->unacked > most->unacked))
            most = c;
    }
    if (most)
        snprintf(who, sizeof(who), "process %u on %.64s%s", most->pid, most->host[0] ? most->host : "an unnamed host",
                 most->peer ? "" : ", which is disconnected,");
    snprintf(o->why, sizeof(o->why), "sessions of this key leave outcomes at the broker, %s most of them, and nothing of the key "
             "is run until they are taken: end it or let it go on", who);
    brk_effect_log_key(b, o->key, LOG_WARNING_, "%s; outcomes may fill %llu bytes, a quarter of owner-memory", o->why,
                       (unsigned long long)brk_account_outcomes_max(b));
}

/* Outcomes that the clients of a key have not acknowledged fill their part of its account, or have left a part of that. */
static void owner_full(struct broker *b, struct owner *o)
{
    uint64_t most = brk_account_outcomes_max(b);
    bool full = o->full ? o->account->outcomes > most / 2 : o->account->outcomes >= most;

    if (full == o->full)
        return;
    o->full = full;
    if (full)
        owner_says(b, o);
    brk_grant_workers_changed(b);       /* all its pools are told, also those that claim nothing */
    if (!full)
        brk_cancels_unstop(b, o);
    owner_wake(b, o);
}

void brk_outcome_costs(struct broker *b, struct job *j, int64_t cost, int64_t sent)
{
    struct account *a = j->owner->account;

    j->cost += (uint64_t)cost;
    j->sent_cost += (uint64_t)sent;
    a->outcomes += (uint64_t)cost;
    a->away += (uint64_t)sent;
    if (j->client) {
        j->client->unacked += (uint64_t)cost;
        j->client->sent_unacked += (uint64_t)sent;
    }
    if (cost)
        owner_full(b, j->owner);
    if (cost < 0)
        brk_chores_room(b, j->owner);
}

void brk_client_pause(struct broker *b, struct client *c)
{
    bool pause = c->unacked >= c->window || (!c->peer && !b->draining);     /* who drains lets nobody come back */

    if (pause == c->paused || c->ending)
        return;
    c->paused = pause;
    owner_wake(b, c->owner);
}

void brk_job_sending(struct broker *b, struct job *j)
{
    if (!j->client || !j->unsent || job_mute(j) || j->resend || !list_empty(&j->said) || job_is_ending(j))
        return;
    if (!list_in(&j->sending))
        list_push_back(&j->client->sending, &j->sending);
    brk_client_dirty(b, j->client);
}

void brk_outcome_freed(struct broker *b, struct client *c)
{
    brk_client_pause(b, c);
    if (!list_empty(&c->sending))
        brk_client_dirty(b, c);
}

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
    o->at = (struct interval){ .first = o->first, .end = o->first + o->count, .kind = PLACE_OUTCOME };
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

const char OUTCOME_UNREPORTED[] = "it is not known whether the task has run: it had been handed out when the broker was started "
    "anew, or ended its client's session, no worker says that it has it, and at most one attempt was asked for";

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

    if (!o || !j->unsent || o->kind != WIRE_OUTCOME || !o->body.buf || o->body.buf != *shared(b, kind, text) || o->attempt ||
        o->first + o->count != first || o->count + count > UINT32_MAX)
        return false;
    o->count += (uint32_t)count;
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

    slice_unref(&o->lens);
    slice_unref(&o->body);
    brk_cache_put(b, &b->outcomes, o, j->owner->account);
    if (a)
        brk_attempt_acked(b, a);
}

bool brk_outcome_ack_some(struct broker *b, struct job *j, uint32_t *budget)
{
    struct list_node *n;
    bool done = true;

    if (job_has_replays(j))
        return true;        /* they are compared with what is known; see brk_tasks_take_some */
    while ((n = list_first(&j->outcomes))) {
        struct outcome *o = LIST_ENTRY(n, struct outcome, node);
        if (o->seq > j->ack_to || o == j->unsent)
            break;
        if (!*budget) {
            done = false;
            break;
        }
        --*budget;
        b->steps++;
        list_remove(&j->outcomes, n);
        interval_take(&j->index, &o->at);
        brk_outcome_costs(b, j, -(int64_t)outcome_cost(o), -(int64_t)outcome_cost(o));
        brk_outcome_free(b, j, o);
    }
    if (done && j->resend) {
        j->resend = false;
        brk_outcome_resend(b, j);
    }
    if (j->client) {
        brk_job_sending(b, j);
        brk_outcome_freed(b, j->client);
    }
    return done;
}

void brk_outcome_ack(struct broker *b, struct job *j, uint64_t seq)
{
    if (seq > j->ack_to)
        j->ack_to = seq;
    if (!brk_outcome_ack_some(b, j, brk_chore_budget(b, j->owner)))
        brk_chore_add(b, j->owner, &j->ack, CHORE_ACK);
}

static int check_ack(const struct client *c, const struct job *j, const struct wire_item *it, struct refusal *r)
{
    if (!j && !handle_may_be_gone(c, false, it->job))
        return brk_refuse(r, BFORK_ESTATE, "job", "OUTCOMES_ACK for job %u, which is not open", it->job);
    if (j && it->id > j->sent_seq)
        return brk_refuse(r, BFORK_EINVAL, "seq", "OUTCOMES_ACK for job %u up to %llu, but only %llu were sent", it->job,
                          (unsigned long long)it->id, (unsigned long long)j->sent_seq);
    return 0;
}

void brk_outcome_acks(struct broker *b, struct client *c, const struct wire_msg *m)
{
    for (uint32_t i = 0; i < m->n_items && c->peer; i++) {
        struct job *j = brk_job_of(c, m->items[i].job);
        struct refusal r;
        if (check_ack(c, j, &m->items[i], &r) < 0) {
            brk_job_refused(b, c, m->request, m->items[i].job, &r);
        } else if (j) {
            brk_outcome_ack(b, j, m->items[i].id);
            brk_job_maybe_end(b, j);
        }
    }
}

/* A new connection of the client: everything it has not acknowledged goes out again. */
void brk_outcome_resend(struct broker *b, struct job *j)
{
    struct list_node *n = list_first(&j->outcomes);

    if (list_in(&j->ack.node)) {            /* what was received goes first */
        j->resend = true;
        if (list_in(&j->sending))
            list_remove(&j->client->sending, &j->sending);
        return;
    }
    brk_outcome_costs(b, j, 0, -(int64_t)j->sent_cost);
    j->unsent = n ? LIST_ENTRY(n, struct outcome, node) : NULL;
    brk_job_sending(b, j);
}
