/* SPDX-License-Identifier: MPL-2.0
 * settle.c - where the tasks of an attempt go that it does not answer for any more: queued again in front, held for a while,
 * settled as cancelled, lost or unknown.
 *
 * Never charges a task for a worker that it was not sent to. Needs no memory: an attempt keeps ranges and outcomes in reserve for
 * itself, for each of its pieces, its cancels and its asks.
 */
#include "rules.h"

/* Besides what counts with n_cancels: an attempt that was not sent is given back at once: the part as a range, cut once more where
 * the cancel begins, and an outcome. */
#define CANCEL_ROOM 4u
/* A queued range becomes an outcome as it is. */
#define REFUSED_RANGES 1u
#define REFUSED_OUTCOMES 2u

/* The part [from, to) of s as a range of its own; s keeps everything. Uses the reserve. */
static struct range *part(struct broker *b, struct job *j, const struct run *s, uint64_t from, uint64_t to)
{
    struct run rest = *s, head;

    slice_ref(rest.lens);
    slice_ref(rest.body);
    if (from > rest.first) {
        run_cut(&rest, (uint32_t)(from - rest.first), &head);
        run_done(&head);
    }
    if (to >= rest.first + rest.count)
        return brk_range_of(b, j, &rest);
    run_cut(&rest, (uint32_t)(to - from), &head);
    run_done(&rest);
    return brk_range_of(b, j, &head);
}

/* How long what has failed rests: twice as long each time, up to a limit that no single step passes. */
static uint64_t backoff_ns(const struct wire_job_spec *s, const struct run *r)
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
        uint64_t end = run_end(&r->run);
        struct run s;
        b->steps++;
        if (r->run.first >= to)
            break;
        if (end <= from)
            continue;
        if (r->run.first < from) {
            run_cut(&r->run, (uint32_t)(from - r->run.first), &s);
            head = brk_range_of(b, a->job, &s);
            list_insert_before(&a->pieces, n, &head->node);
            b->n_pieces++;
        }
        if (end > to) {
            run_cut(&r->run, (uint32_t)(to - r->run.first), &s);
            head = brk_range_of(b, a->job, &s);
            list_push_back(ret, &head->node);
            break;
        }
        list_remove(&a->pieces, n);
        b->n_pieces--;
        list_push_back(ret, n);
    }
}

/* Does a cancel name this task of the attempt, one of everything or one of what has not begun? */
static bool names_index(const struct attempt *a, uint64_t index, uint64_t *ret_until)
{
    uint64_t asked;

    if (brk_attempt_is_cancelled(a, index, ret_until))
        return true;
    if (brk_asks_have(a, index, &asked)) {
        *ret_until = asked;
        return true;
    }
    *ret_until = asked < *ret_until ? asked : *ret_until;
    return false;
}

/* And so all before `until`, which lies at the end of that or at `at`: what several name is one outcome. */
static bool unwanted(const struct attempt *a, uint64_t index, uint64_t at, uint64_t *ret_until)
{
    bool is = names_index(a, index, ret_until);

    for (uint64_t until; is && *ret_until < at && names_index(a, *ret_until, &until);)
        *ret_until = until;
    return is;
}

static void queue_again(struct broker *b, struct job *j, struct range *r, uint64_t due)
{
    if (due)
        brk_range_hold(b, j, r, due);
    else
        brk_range_queue(b, j, r, true);
}

/* The range is in no list: back in front of the queue, or held until due (0: no), but for what of the attempt was cancelled
 * meanwhile, which settles. */
static void return_range(struct broker *b, struct attempt *a, struct range *r, uint64_t due)
{
    struct job *j = a->job;
    uint64_t until;

    for (uint64_t at = r->run.first + r->run.count; r->run.count;) {
        uint64_t first = r->run.first, n;
        struct run head;
        bool cancelled = unwanted(a, first, at, &until);
        n = until < at ? until - first : r->run.count;
        if (cancelled)
            brk_outcome_text(b, j, first, n, r->run.tries, BFORK_CANCELLED, NULL);
        if (cancelled)
            brk_asks_cancelled(a, first, first + n);
        if (n == r->run.count && !cancelled)
            break;
        run_cut(&r->run, (uint32_t)n, &head);
        if (cancelled)
            run_done(&head);
        else
            queue_again(b, j, brk_range_of(b, j, &head), due);
    }
    if (r->run.count)
        queue_again(b, j, r, due);
    else
        brk_range_free(b, j, r);
}

/* Queues [from, to) of the attempt in front again, with its counters raised. The attempt does not answer for it any more. */
void brk_attempt_back(struct broker *b, struct attempt *a, uint64_t from, uint64_t to, int tries, int crashes, int fails)
{
    struct list parts;
    struct list_node *n;

    if (from >= to)
        return;
    list_init(&parts);
    if (a->run.count && !a->adopted)
        list_push_back(&parts, &part(b, a->job, &a->run, from, to)->node);
    take_pieces(b, a, from, to, &parts);
    while ((n = list_last(&parts))) {
        struct range *r = LIST_ENTRY(n, struct range, node);
        list_remove(&parts, n);
        if (a->adopted && r->run.tries < a->run.tries)      /* the worker may know more than the client was told */
            r->run.tries = a->run.tries;
        if (a->adopted && r->run.crashes < a->run.crashes)
            r->run.crashes = a->run.crashes;
        r->run.tries = (uint16_t)(r->run.tries + tries);
        r->run.crashes = (uint16_t)(r->run.crashes + crashes);
        r->run.fails = (uint16_t)(r->run.fails + fails);
        b->n.requeued += r->run.count;
        return_range(b, a, r, fails + crashes && a->job->spec.backoff_ms ? b->now + backoff_ns(&a->job->spec, &r->run) : 0);
    }
    if (a->adopted)
        brk_counts_keep(b, a, from, to, tries);
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
    if (brk_reserve(b, CANCEL_ROOM, CANCEL_ROOM) < 0) {
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
    if (attempt_is_sent(a))
        brk_attempt_recall_due(b, a);
    else
        brk_attempt_shrink(b, a, first);
    return 0;
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
    uint32_t tries = a->run.tries + 1u, before = tries + a->run.crashes + a->run.fails;

    lost = lost && attempt_is_sent(a);
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
    if (!attempt_is_sent(a)) {
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

bool brk_pool_refuse(struct broker *b, struct pool *p, struct job *j, uint32_t *budget)
{
    int kind = p->code < 0 && p->code >= BFORK_MISMATCH ? p->code : BFORK_REFUSED;
    struct list_node *n;

    while ((n = list_first(&j->queue))) {
        struct range *r = LIST_ENTRY(n, struct range, node);
        if (!*budget || brk_reserve(b, REFUSED_RANGES, REFUSED_OUTCOMES) < 0)
            return false;
        --*budget;
        b->steps++;
        brk_range_out(b, j, r);
        brk_outcome_text(b, j, r->run.first, r->run.count, r->run.tries, kind, p->text);
        brk_range_free(b, j, r);
    }
    return true;
}
