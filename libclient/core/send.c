/* SPDX-License-Identifier: MPL-2.0
 * send.c - what a flush sends: opened pools and jobs, cancels, questions, acknowledgements, and at most one TASKS message, within
 * the broker's window and quota. Jobs with something to send take turns.
 */
#include "rules/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACK_BYTES 262144u
#define ACK_NS (200 * CLOCK_MS)

/* Keeps b until the effects are done. There is always room: at most one a control effect. */
static void keep_buffer(struct session *s, struct buf *b)
{
    s->garbage[s->n_garbage++] = buf_ref(b);
}

/* Pools that are closed, before anything of this turn can refer to them or count on their quota. False: some are left. */
static bool close_pools(struct session *s, uint64_t now)
{
    for (LIST_EACH_SAFE(&s->pools, n, after))
        if (LIST_ENTRY(n, struct session_pool, node)->closing)
            ses_pool_gone(LIST_ENTRY(n, struct session_pool, node));
    for (LIST_EACH(&s->closed, n)) {
        struct session_pool *p = LIST_ENTRY(n, struct session_pool, node);
        struct session_effect *e;
        if (!p->closing)
            continue;
        if (!(e = ses_effect_send(s, WIRE_POOL_CLOSE)))
            return false;
        e->msg.u.pool_ref.pool = p->handle;
        p->closing = false;
        p->closed_at = now;
        p->closed_out = s->out_bytes;
    }
    return true;
}

static void open_pools(struct session *s)
{
    for (LIST_EACH(&s->pools, n)) {
        struct session_pool *p = LIST_ENTRY(n, struct session_pool, node);
        if (p->opened || p->closing || p->refused)
            continue;
        struct session_effect *e = ses_effect_send(s, WIRE_POOL_OPEN);
        if (!e)
            return;
        e->msg.u.pool_open = (struct wire_pool_open){
            .pool = p->handle, .processes = p->processes, .digest = wire_bin_of(p->digest, WIRE_DIGEST),
            .spec = wire_bin_of(p->spec->data, p->spec->size), .name = WIRE_STR(p->name) };
        p->opened = true;
        p->epoch = s->epoch;
    }
}

/* JOB_OPEN, once on each connection. False: no room in this flush, or the pool is not open yet. */
static bool open_job(struct session *s, struct session_job *j)
{
    if (j->state != JOB_NEW)
        return true;
    if (!j->pool->opened)
        return false;
    struct session_effect *e = ses_effect_send(s, WIRE_JOB_OPEN);
    if (!e)
        return false;
    if (j->epoch != s->epoch) {             /* this epoch knows nothing of it */
        if (j->epoch != 0) {
            j->replay = j->sent > j->replay ? j->sent : j->replay;
            s->sent_again += j->sent;
        }
        j->epoch = s->epoch;
        j->seq = j->seq_acked = 0;
        j->sent = 0;
        ses_job_move(j, JOB_OPENED);
    } else {
        ses_job_move(j, JOB_REOPENED);      /* and hear how far the broker got before the cut */
    }
    e->msg.u.job_open = (struct wire_job_open){ .job = j->handle, .pool = j->pool->handle, .id = wire_bin_of(j->id, WIRE_ID),
                                                .acked = j->seq, .spec = wire_bin_of(j->spec->data, j->spec->size) };
    j->seq_acked = j->seq;
    keep_buffer(s, j->spec);
    return true;
}

static void send_job_close(struct session *s, struct session_job *j)
{
    if (!j->closed || j->state == JOB_ENDING || j->sent < j->next)
        return;
    struct session_effect *e = ses_effect_send(s, WIRE_JOB_CLOSE);
    if (!e)
        return;
    e->msg.u.job_ref.job = j->handle;
    ses_job_move(j, JOB_CLOSED);
}

static void send_questions(struct session *s)
{
    for (LIST_EACH_SAFE(&s->questions, node, after)) {
        struct question *q = LIST_ENTRY(node, struct question, node);
        const struct session_job *j = q->type == WIRE_CANCEL ? map_get(&s->handles, q->job) : NULL;
        struct session_effect *e;
        if (q->type == WIRE_CANCEL && (!j || ses_job_is_refused(j) || (q->answered && !q->promised))) {
            ses_cancel_over(s, q);
            continue;
        }
        if (q->sent || (j && !ses_cancel_can_ask(j, q)) || !(e = ses_effect_send(s, q->type)))
            continue;
        e->msg.request = q->wire;
        if (q->type == WIRE_STATUS_GET)
            e->msg.u.status_get.what = WIRE_STR(q->a);
        else if (q->type == WIRE_ADMIN)
            e->msg.u.admin = (struct wire_admin){ .verb = WIRE_STR(q->a), .argument = WIRE_STR(q->b) };
        else if (q->type == WIRE_CANCEL) {
            e->msg.items = &s->asked[s->n_asked++];
            e->msg.n_items = 1;
            /* 0: all from first on, of what the broker has */
            *e->msg.items = (struct wire_item){ .job = q->job, .first = q->first, .why = WIRE_WHY_QUEUED,
                                                .count = q->count > UINT32_MAX ? 0 : (uint32_t)q->count };
        }
        else if (q->type == WIRE_PING)
            e->msg.u.ping.stamp = q->request;   /* small: the stamps of the lease's own pings are times */
        ses_question_sent(q);
    }
}

static void send_acks(struct session *s, uint64_t now, bool finished)
{
    if (s->acks_due == 0 || (!finished && s->acks_due < ACK_BYTES && now < s->acks_since + ACK_NS))
        return;
    size_t n = 0;
    struct session_effect *e = ses_effect_send(s, WIRE_OUTCOMES_ACK);
    if (!e)
        return;
    while (s->n_strays && n < SESSION_ITEMS) {
        s->n_strays--;
        s->acks[n++] = (struct wire_item){ .id = s->strays[s->n_strays].seq, .job = s->strays[s->n_strays].job, .count = 1 };
    }
    for (LIST_EACH(&s->jobs, node)) {
        struct session_job *j = LIST_ENTRY(node, struct session_job, node);
        if (j->seq == j->seq_acked || j->state == JOB_NEW || ses_job_is_refused(j))
            continue;
        if (n == SESSION_ITEMS)
            break;
        s->acks[n++] = (struct wire_item){ .id = j->seq, .job = j->handle, .count = 1 };
        j->seq_acked = j->seq;
    }
    s->acks_due = n == SESSION_ITEMS;       /* there may be more */
    s->more |= n == SESSION_ITEMS;
    if (n == 0) {
        s->n_effects--;
        return;
    }
    e->msg.items = s->acks;
    e->msg.n_items = (uint32_t)n;
}

static void send_oks(struct session *s)
{
    struct session_effect *e = s->n_oks ? ses_effect_send(s, WIRE_ASSIGNED_OK) : NULL;
    if (!e)
        return;
    s->oks_sent = s->n_oks < WIRE_ITEMS_MAX ? s->n_oks : WIRE_ITEMS_MAX;
    s->more |= s->oks_sent < s->n_oks;
    e->msg.items = s->oks;                  /* taken out in session_effects_done */
    e->msg.n_items = (uint32_t)s->oks_sent;
}

static uint64_t first_bytes(const struct wire_item *i)
{
    return i->flags & WIRE_FIXED ? i->size : 4 + (uint64_t)wire_len_at(i, 0);
}

static uint32_t tasks_within(const struct wire_item *i, uint64_t bytes)
{
    uint32_t n = 0;
    if (bytes >= wire_item_bytes(i))
        return i->count;
    if (i->flags & WIRE_FIXED)
        return i->size ? (uint32_t)(bytes / i->size) : i->count;
    for (uint64_t size; n < i->count && (size = 4 + (uint64_t)wire_len_at(i, n)) <= bytes; n++)
        bytes -= size;
    return n;
}

/* What of a limit may be used now by something that would take `wanted`: 0 if so little is free that waiting is better. */
static uint64_t free_of(uint64_t limit, uint64_t used, uint64_t wanted)
{
    uint64_t left = limit > used ? limit - used : 0;
    return left < wanted && left < limit / 4 ? 0 : left;
}

/* How many tasks of this item may be sent now: within the window, of which one task may always have all, and the quotas. */
static uint32_t room(const struct session *s, const struct wire_item *i)
{
    const struct wire_welcome *l = &s->limits;
    uint64_t away = s->out_bytes - s->out_acked, wanted = wire_item_bytes(i), bytes = free_of(l->window_bytes, away, wanted);
    if (away == 0 && bytes < first_bytes(i))
        bytes = first_bytes(i);
    if (l->quota_bytes) {
        uint64_t quota = free_of(l->quota_bytes, s->quota_used_bytes, wanted);
        bytes = quota < bytes ? quota : bytes;
    }
    uint64_t n = tasks_within(i, bytes), quota = l->quota_tasks ? free_of(l->quota_tasks, s->quota_used_tasks, i->count) : n;
    return (uint32_t)(n < quota ? n : quota);
}

/* The next item of j that is neither settled nor sent. 0: none; 1: *item; -1: out of memory. */
static int next_item(struct session_job *j, struct wire_item *item)
{
    uint64_t from = ses_bits_next(&j->settled, j->sent, j->next, false);
    if (from == j->next) {
        j->sent = j->next;
        return 0;
    }
    while (j->source_n && from >= j->source_next)
        if (!ses_batch_cut(j))
            return -1;
    struct batch *b = ses_batch_find(j, from);
    if (!b)
        return -1;
    ses_batch_close(b);
    uint64_t end = run_end(&b->run);
    uint32_t flags = b->run.flags;
    if (from < j->replay) {
        bool assigned = j->at_most_once && ses_bits_get(&j->assigned, from) && j->assigned.n;
        flags |= WIRE_REPLAY | (assigned ? WIRE_MAYBE_STARTED : 0);
        end = end < j->replay ? end : j->replay;
        if (j->at_most_once && j->assigned.n)
            end = ses_bits_next(&j->assigned, from, end, !assigned);
    }
    end = ses_bits_next(&j->settled, from, end, true);
    uint16_t tries = 0, crashes = 0;
    if (j->counts.count)
        end = ses_counts_of(j, from, end, &tries, &crashes);
    struct run part = run_part(&b->run, (uint32_t)(from - b->run.first), (uint32_t)(end - from));
    part.tries = tries;
    part.crashes = crashes;
    *item = (struct wire_item){ .job = j->handle };
    run_to_item(&part, item);
    item->flags = flags;
    return 1;
}

/* The first task of the item is larger than all that this client may have at the broker. */
static void refuse_first(const struct session *s, struct session_job *j, const struct wire_item *item)
{
    char text[128];
    snprintf(text, sizeof(text), "the task has %llu bytes; the broker's quota for this client is %llu",
             (unsigned long long)first_bytes(item), (unsigned long long)s->limits.quota_bytes);
    ses_refuse_task(j, item->first, text);
}

/* Adds items of j to the TASKS message. False: the message is full, or the window is. */
static bool put_tasks(struct session *s, struct session_job *j, size_t *n, size_t *body)
{
    for (;;) {
        if (*n == SESSION_ITEMS)
            return false;
        struct wire_item *item = &s->items[*n];
        int rc = next_item(j, item);
        s->starved |= rc < 0;
        if (rc <= 0)
            return rc == 0;
        if (s->limits.quota_bytes && first_bytes(item) > s->limits.quota_bytes) {
            refuse_first(s, j, item);
            if (s->starved)
                return false;
            continue;
        }
        uint32_t count = room(s, item);
        if (count == 0 || (*n && *body + wire_item_bytes(item) > WIRE_BATCH))
            return false;
        if (count < item->count) {
            struct wire_item rest;
            wire_item_cut(item, count, item, &rest);
        }
        uint64_t bytes = wire_item_bytes(item);
        slice_ref(item->body);
        slice_ref(item->lens);
        j->sent = item->first + item->count;
        s->out_bytes += bytes;
        s->quota_used_bytes += bytes;
        s->quota_used_tasks += item->count;
        *body += bytes;
        (*n)++;
    }
}

bool session_flush(struct session *s, uint64_t now)
{
    if (s->state != SESSION_UP)
        return false;
    bool finished = false, full;
    size_t n = 0, body = 0;
    s->more = s->starved = false;
    full = !close_pools(s, now);
    open_pools(s);
    send_oks(s);
    for (LIST_EACH_SAFE(&s->dirty, node, after)) {
        struct session_job *j = LIST_ENTRY(node, struct session_job, dirty);
        if (ses_job_is_refused(j)) {
            if (ses_refuse_rest(j) && j->closed)
                ses_job_free(j);
            continue;
        }
        if (j->abandoned && j->epoch != s->epoch)
            ses_settle_untold(j, 0);
        if (ses_job_finished(j) && j->state == JOB_NEW && j->epoch != s->epoch) {
            ses_job_free(j);                /* the broker does not know it and has nothing to learn */
            continue;
        }
        if (open_job(s, j) && j->state != JOB_ASKED)
            send_job_close(s, j);
        finished |= ses_job_finished(j);
    }
    ses_look_send(s, now);
    send_acks(s, now, finished);
    ses_said_ack(s);
    if (s->bye && list_empty(&s->pools)) {
        struct session_effect *e = ses_effect_send(s, WIRE_BYE);
        if (e)
            s->bye = false;
    }
    for (size_t turns = s->dirty.count; turns-- && !full;) {
        struct session_job *j = LIST_ENTRY(list_first(&s->dirty), struct session_job, dirty);
        bool refused = ses_job_is_refused(j);
        uint64_t before = j->sent;
        full = !refused && j->state >= JOB_OPEN && !put_tasks(s, j, &n, &body);
        if (j->sent != before)
            j->moved_at = now;
        list_remove(&s->dirty, &j->dirty);
        if (refused && !j->unsettled)
            continue;
        if (refused || j->state < JOB_OPEN || j->sent < j->next || (j->closed && j->state != JOB_ENDING))
            list_push_back(&s->dirty, &j->dirty);
        else if (ses_job_finished(j) && j->seq == j->seq_acked)
            ses_job_free(j);
        else if (ses_job_finished(j))
            list_push_back(&s->dirty, &j->dirty);
    }
    if (n) {
        struct session_effect *e = ses_effect_send(s, WIRE_TASKS);
        e->msg.items = s->items;
        e->msg.n_items = (uint32_t)n;
    }
    ses_cancel_send(s);                     /* behind the tasks that they name: nothing of these begins in between */
    send_questions(s);
    return s->n_effects > 0 && (s->more || !list_empty(&s->dirty) || s->bye);
}
