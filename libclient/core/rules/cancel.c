/* SPDX-License-Identifier: MPL-2.0
 * cancel.c - taking tasks back: what nobody else has is settled here and now, the rest is asked for until it is settled.
 *
 * A cancel is in the client's custody like the task: it is kept until the task has its outcome, and is said again on every new
 * connection, since nobody knows how far the last one carried it. It goes out behind the tasks it names, in the same flush, and of
 * tasks that are still to be sent again it waits for them. What a question was answered is a promise, ahead of the outcomes: until
 * so many of its tasks are told to be cancelled, it is asked again of each broker that does not know of it. Invariants: a job is in
 * session.cancels if it may have something to say; what is cancelled, not settled and not told lies at or behind job.untold_from.
 */
#include "rules.h"

#include <stdlib.h>
#include <string.h>

/* Indexes below it have gone out, in this epoch or an earlier one. */
static uint64_t gone_out(const struct session_job *j, uint64_t first)
{
    uint64_t sent = j->sent > j->replay ? j->sent : j->replay;
    return sent > first ? sent : first;
}

/* Tasks [at, end), which have not gone out, are settled as cancelled. */
static int cancel_here(struct session_job *j, uint64_t at, uint64_t end)
{
    struct wire_outcome o = { .kind = BFORK_CANCELLED, .message = WIRE_STR("cancelled before it was sent") };
    struct buf *doc = NULL;
    int rc = 0;
    while (at < end && rc == 0) {
        if (!doc && !(doc = wire_outcome_encode(&o)))
            return BFORK_ENOMEM;
        if (j->source_n && at >= j->source_next && !ses_batch_cut(j)) {
            rc = BFORK_ENOMEM;
            break;
        }
        struct batch *b = ses_batch_find(j, at);
        uint64_t to = !b ? j->source_n ? j->source_next : end : run_end(&b->run);
        to = to < end ? to : end;
        if (b) {
            struct wire_item item = { .job = j->handle, .first = at, .count = (uint32_t)(to - at), .kind = WIRE_OUTCOME,
                                      .size = (uint32_t)doc->size, .body = slice_of(doc, 0, doc->size) };
            ses_batch_close(b);
            ses_settle_tell(j, &item);
        }
        at = to;
    }
    buf_unref(&doc);
    return rc;
}

/* Room for what is not settled, below end. */
static int reserve_bits(const struct session_job *j, struct bits *b, uint64_t end)
{
    if (!b->n)
        b->base = j->settled.base;
    return ses_bits_reserve(b, end);
}

/* The first range from `at` on that is cancelled, not settled, and not told on this connection; [next, next) if there is none. */
static uint64_t untold(const struct session_job *j, uint64_t at, uint64_t *ret_end)
{
    uint64_t from = at, end = j->next;
    while (from < j->next) {
        from = ses_bits_next(&j->cancelled, from, j->next, true);
        end = ses_bits_next(&j->cancelled, from, j->next, false);
        uint64_t open = ses_bits_next(&j->settled, from, end, false), fresh = ses_bits_next(&j->told, open, end, false);
        if (open == from && fresh == from && from < end)
            break;
        from = fresh;
    }
    end = ses_bits_next(&j->settled, from, end, true);
    *ret_end = ses_bits_next(&j->told, from, end, true);
    return from;
}

static void question_due(struct session_job *j, uint64_t from)
{
    j->untold_from = from < j->untold_from ? from : j->untold_from;
    if (!list_in(&j->cancels))
        list_push_back(&j->s->cancels, &j->cancels);
}

int session_cancel(struct session_job *j, uint64_t first, uint64_t count)
{
    if (first >= j->next)
        return 0;
    uint64_t end = count > j->next - first ? j->next : first + count, sent = gone_out(j, first), last = sent < end ? sent : end;
    first = ses_bits_next(&j->settled, first, last, false);
    if (first < last) {
        if (reserve_bits(j, &j->cancelled, last) != 0 || reserve_bits(j, &j->told, last) != 0)
            return BFORK_ENOMEM;
        ses_bits_set(&j->cancelled, first, last - first);
        question_due(j, first);
    }
    int rc = cancel_here(j, sent, end);
    ses_job_dirty(j);
    return rc;
}

bool ses_cancel_check(const struct session_job *j)
{
    uint64_t end, from = untold(j, 0, &end);
    return !j->cancelled.n || from >= end || ses_job_is_refused(j) || (list_in(&j->cancels) && j->untold_from <= from);
}

void ses_cancel_untold(struct session_job *j)
{
    if (!j->cancelled.n)
        return;
    if (j->told.n)
        memset(j->told.words, 0, j->told.n * sizeof(*j->told.words));
    question_due(j, 0);
}

/* How many will not run, to who has asked. */
static void finish_question(struct session *s, struct question *q, uint64_t cancelled)
{
    void *user = q->user;
    bool answered = q->answered;
    uint64_t all = (q->again && q->seen > cancelled ? q->seen : cancelled) + q->here;
    list_remove(&s->questions, &q->node);
    if (!answered)
        q->promised = cancelled > q->seen ? cancelled - q->seen : 0;
    q->answered = true;
    q->user = NULL;
    if (q->promised)
        list_push_back(&s->promises, &q->node);
    else
        free(q);
    if (!answered)
        s->ops->cancelled(s->ctx, user, all);
}

void ses_cancel_over(struct session *s, struct question *q)
{
    q->again = q->asked;                        /* the answer is on its way, or lost; what came of it was seen */
    q->promised = 0;
    finish_question(s, q, 0);
}

/* It is asked again on this connection. The broker may have answered already, ahead of the outcomes: what that says counts. */
static void wire_anew(struct session *s, struct question *q)
{
    size_t most = sizeof(q->earlier) / sizeof(q->earlier[0]);
    memmove(q->earlier + 1, q->earlier, (most - 1) * sizeof(q->earlier[0]));
    q->earlier[0] = q->wire;
    q->wire = ++s->next_request;
}

static bool is_earlier(struct question *q, uint32_t request)
{
    for (size_t i = 0; i < sizeof(q->earlier) / sizeof(q->earlier[0]); i++)
        if (q->earlier[i] == request) {
            q->earlier[i] = 0;
            return true;
        }
    return false;
}

/* So many of its tasks can be cancelled: those that were seen to be, and those that have no outcome yet. */
static uint64_t cancelled_at_most(const struct session *s, const struct question *q)
{
    const struct session_job *j = map_get(&s->handles, q->job);
    uint64_t n = q->seen, end = q->first + q->count;
    for (uint64_t at = q->first, to; j && at < end; at = to) {
        at = ses_bits_next(&j->settled, at, end, false);
        to = ses_bits_next(&j->settled, at, end, true);
        n += to - at;
    }
    return n;
}

/* Questions of one connection count different tasks, since to the later one those are done that have an outcome; what a worker was
 * asked for on behalf of both, both count, so there is a limit. What answers to earlier ones count may have been seen since. */
void ses_cancel_answered(struct session *s, uint32_t request, uint64_t cancelled)
{
    for (LIST_EACH(&s->questions, n)) {
        struct question *q = LIST_ENTRY(n, struct question, node);
        if (q->type != WIRE_CANCEL || !request)
            continue;
        if (is_earlier(q, request)) {
            q->told += cancelled;
            return;
        }
        if (q->sent && q->wire == request) {
            uint64_t before = q->seen_first + q->told, most;
            cancelled += before > q->seen_before ? before : q->seen_before;
            finish_question(s, q, cancelled < (most = cancelled_at_most(s, q)) ? cancelled : most);
            return;
        }
    }
}

/* What of the questions about j nobody has is settled here. The rest is asked about again, behind the tasks that are sent again:
 * what is settled meanwhile never is, and the broker could wait for it. */
static void questions_rewound(struct session_job *j)
{
    struct session *s = j->s;
    for (LIST_EACH_SAFE(&s->questions, n, after)) {
        struct question *q = LIST_ENTRY(n, struct question, node);
        uint64_t end = q->first + q->count, sent, before = s->settled_total;
        if (q->type != WIRE_CANCEL || q->job != j->handle)
            continue;
        if (q->sent)
            wire_anew(s, q);
        q->sent = false;
        if ((sent = gone_out(j, q->first)) >= end)
            continue;
        q->count = sent - q->first;
        if (!q->answered && cancel_here(j, sent, end) != 0)     /* answered: those were told to go on */
            q->count = end - q->first;          /* without memory: the broker is asked about all of it */
        q->here += s->settled_total - before;
        if (!q->count)
            ses_cancel_over(s, q);
    }
}

void ses_cancel_rewound(struct session_job *j)
{
    ses_cancel_untold(j);
    for (uint64_t at = gone_out(j, 0); at < j->next && j->cancelled.n;) {
        uint64_t end, from = untold(j, at, &end);
        if (from >= end || cancel_here(j, from, end) != 0)
            break;                              /* without memory: it is sent, and then asked for */
        at = end;
    }
    questions_rewound(j);
}

/* Of one job, from item n on. True: all that can be said now. */
static bool add_cancels(struct session *s, struct session_job *j, size_t *n)
{
    for (uint64_t at = j->untold_from, from, end;; at = end) {
        from = untold(j, at, &end);
        j->untold_from = from;
        if (from >= end) {
            j->untold_from = UINT64_MAX;
            list_remove(&s->cancels, &j->cancels);
            return true;
        }
        if (from >= j->sent)
            return true;                        /* its tasks go first */
        if (*n == SESSION_ITEMS)
            return false;
        end = end < j->sent ? end : j->sent;
        end = end - from < UINT32_MAX ? end : from + UINT32_MAX;
        s->cuts[(*n)++] = (struct wire_item){ .job = j->handle, .first = from, .count = (uint32_t)(end - from),
                                              .why = WIRE_WHY_CANCEL };
        ses_bits_set(&j->told, from, end - from);
    }
}

void ses_cancel_send(struct session *s)
{
    size_t n = 0;
    struct session_effect *e = list_empty(&s->cancels) ? NULL : ses_effect_send(s, WIRE_CANCEL);
    if (!e)
        return;
    for (LIST_EACH_SAFE(&s->cancels, node, after)) {
        struct session_job *j = LIST_ENTRY(node, struct session_job, cancels);
        if (ses_job_is_refused(j))
            list_remove(&s->cancels, node);     /* the broker has nothing of it */
        else if (j->state >= JOB_OPEN && !add_cancels(s, j, &n)) {
            s->more = true;
            break;
        }
    }
    if (n == 0) {
        s->n_effects--;
        return;
    }
    e->msg.items = s->cuts;
    e->msg.n_items = (uint32_t)n;
}

int session_cancel_queued(struct session_job *j, uint64_t first, uint64_t count, void *user, uint64_t *ret_cancelled,
                          uint32_t *ret_request)
{
    struct session *s = j->s;
    uint64_t before = s->settled_total, sent = gone_out(j, first), end;
    int rc;
    *ret_cancelled = 0;
    *ret_request = 0;
    if (first >= j->next)
        return 0;
    end = count > j->next - first ? j->next : first + count;
    /* What has an outcome needs no question. */
    uint64_t last = sent < end ? sent : end;
    if (sent > first && ses_bits_next(&j->settled, first, last, false) < last) {
        struct question *q = calloc(1, sizeof(*q));
        if (!q)
            return BFORK_ENOMEM;
        q->type = WIRE_CANCEL;
        q->request = q->wire = *ret_request = ++s->next_request;
        q->user = user;
        q->job = j->handle;
        q->first = first;
        q->count = last - first;
        list_push_back(&s->questions, &q->node);
    }
    rc = cancel_here(j, sent, end);
    ses_job_dirty(j);
    *ret_cancelled = s->settled_total - before;
    return *ret_request ? 0 : rc;
}

bool ses_cancel_can_ask(const struct session_job *j, const struct question *q)
{
    return j->state >= JOB_OPEN && j->sent >= q->first + q->count;
}

void session_job_abandon(struct session_job *j)
{
    struct session *s = j->s;
    j->user = NULL;
    j->abandoned = true;
    session_job_close(j);
    uint64_t rest = j->source_n - j->source_next;       /* never cut: never sent */
    if (rest) {
        ses_bits_set(&j->settled, j->source_next, rest);
        j->source_next = j->source_n;
        j->unsettled -= rest;
        s->unsettled -= rest;
        s->settled_total += rest;
    }
    if (j->epoch == s->epoch && j->sent)
        (void)session_cancel(j, 0, j->sent);    /* without memory for that they run, and nobody is told */
    ses_settle_untold(j, j->epoch == s->epoch ? j->sent : 0);
    for (LIST_EACH(&j->batches, n)) {
        struct batch *b = LIST_ENTRY(n, struct batch, node);
        slice_unref(&b->run.body);
    }
    slice_unref(&j->source);
}
