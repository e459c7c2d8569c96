/* SPDX-License-Identifier: MPL-2.0
 * cancel.c - tasks that are not wanted any more: found by index, settled where they wait, asked back where they run.
 *
 * A cancel that touches more places than its owner may in a turn goes on as a chore of its job; nothing of the job is handed out
 * meanwhile, so that what waited when it was asked for does not begin. An index that is nowhere gets an outcome as well: nobody
 * waits for ever. Those outcomes come out of nothing, so no quota of tasks bounds them: when the owner's account takes no more, the
 * job's cancels stop until some are acknowledged.
 *
 * What a worker has it alone knows to have begun: it is asked, and the cancel of what has not begun awaits its answer
 * (model/cancel.c).
 *
 * What was replayed and is held may have begun with a worker that is not back yet. A cancel passes over it, awaits what becomes of
 * it, and goes over it once more when it is adopted or queued (brk_cancel_wake); so it does with tasks that were sent ahead of it
 * and wait to be taken in, and in the hold with replays that were put off.
 *
 * Invariant: cancels of everything that nobody asks about are disjoint and not adjacent (job.cancelling): one that touches another
 * takes it in, so there are no more of them than places, and those that stop for want of room.
 */
#include "rules.h"

/* One place: a range is cut at both ends (two ranges) and what lies between is an outcome. What lies with an attempt, or is to be
 * asked back, reserves for itself. */
#define STEP_ROOM 4u

static bool merges(const struct cancel *k) { return !k->only_queued && !k->request; }

static void pass_over(struct cancel *k, uint64_t lo, uint64_t hi)
{
    k->held += k->again ? 0 : hi - lo;
    k->held_from = lo < k->held_from ? lo : k->held_from;
}

/* The part [lo, hi) of a waiting range. */
static void waiting(struct broker *b, struct cancel *k, struct range *r, uint64_t lo, uint64_t hi)
{
    struct job *j = k->job;

    if (r->at.kind == PLACE_HELD && r->run.flags & WIRE_REPLAY) {
        pass_over(k, lo, hi);
        return;
    }
    if (lo > r->run.first)
        brk_range_split(b, j, r, (uint32_t)(lo - r->run.first));
    if (hi < run_end(&r->run))
        r = brk_range_split(b, j, r, (uint32_t)(hi - lo));
    brk_range_out(b, j, r);
    brk_outcome_text(b, j, lo, hi - lo, r->run.tries, BFORK_CANCELLED, NULL);
    brk_range_free(b, j, r);
    brk_cancel_count(k, hi - lo);
}

/* False: no memory. */
static bool live(struct broker *b, struct cancel *k, struct attempt *a, uint64_t lo, uint64_t hi)
{
    enum asked rc = ASK_NOT;

    if (k->only_queued && !attempt_is_sent(a)) {
        brk_attempt_shrink(b, a, lo);           /* what has not left yet waits again: found there in the next step */
        return true;
    }
    if (k->only_queued)                         /* arguments of it may still come: see model/cancel.c */
        rc = a->adopted && (k->job->put_off || job_has_replays(k->job)) ? ASK_LATER : brk_attempt_ask(b, a, k, lo, hi);
    else if (brk_attempt_cancel(b, a, lo, hi) < 0)
        rc = ASK_NO_MEMORY;
    if (rc == ASK_NO_MEMORY)
        return false;
    if (rc == ASK_LATER)
        pass_over(k, lo, hi);
    else if (rc == ASK_NOT)
        k->running += k->again ? 0 : hi - lo;
    k->at = hi;
    return true;
}

/* False: the account of the owner takes no more outcomes. */
static bool nowhere(struct broker *b, struct cancel *k, uint64_t lo, uint64_t hi)
{
    struct job *j = k->job;
    bool received = lo < j->next;
    uint64_t n;

    if (received && hi > j->next)
        hi = j->next;
    if (!received && !k->again && j->put_off && b->now < b->hold_end && lo < j->put_off_to) {
        pass_over(k, lo, hi < j->put_off_to ? hi : j->put_off_to);
        k->at = hi < j->put_off_to ? hi : j->put_off_to;
        return true;
    }
    if (!received && (k->again || !list_empty(&j->replays))) {
        pass_over(k, lo, hi);                   /* it has been sent, or will be once more */
        k->at = hi;
        return true;
    }
    if (k->again) {                             /* its outcome has been acknowledged meanwhile */
        k->at = hi;
        return true;
    }
    n = hi - lo < UINT32_MAX ? hi - lo : UINT32_MAX;
    if (!k->only_queued && j->owner->full) {
        if (!list_in(&j->stopped))
            list_push_back(&j->owner->stopped, &j->stopped);
        return false;
    }
    if (!k->only_queued)
        brk_outcome_nowhere(b, j, lo, (uint32_t)n);
    if (received)
        k->done += n;
    else
        k->running += n;                        /* sent to another start of the broker, and not here yet */
    k->at = lo + n;
    return true;
}

/* One place. False: no memory, or no room for an outcome. */
static bool step_cancel(struct broker *b, struct cancel *k)
{
    struct interval *v = interval_at(&k->job->index, k->at);
    uint64_t end = v && v->end < k->range.end ? v->end : k->range.end;

    b->steps++;
    if (brk_reserve(b, STEP_ROOM, STEP_ROOM) < 0)
        return false;
    if (!v || v->first > k->at)
        return nowhere(b, k, k->at, v && v->first < k->range.end ? v->first : k->range.end);
    if (v->kind == PLACE_LIVE)
        return live(b, k, INTERVAL_ENTRY(v, struct attempt, at), k->at, end);
    if (v->kind != PLACE_OUTCOME)
        waiting(b, k, INTERVAL_ENTRY(v, struct range, at), k->at, end);
    else if (!k->again)
        k->done += end - k->at;
    k->at = end;
    return true;
}

/* An active one goes on. True: it has been over all its range, and is gone or awaits what is held, or answers of workers. */
static bool pass(struct broker *b, struct cancel *k, uint32_t *budget)
{
    struct job *j = k->job;

    for (; k->at < k->range.end; --*budget)
        if (!*budget || !step_cancel(b, k))
            return false;
    if (k->held_from == CANCEL_NOTHING && list_empty(&k->asks)) {
        brk_cancel_free(b, k);
        return true;
    }
    list_remove(&j->cancels, &k->in_job);
    list_push_back(&j->awaiting, &k->in_job);
    k->awaits = true;
    k->at = k->held_from;
    return true;
}

static void go_on(struct cancel *k)
{
    list_remove(&k->job->awaiting, &k->in_job);
    list_push_back(&k->job->cancels, &k->in_job);
    k->awaits = false;
    k->again = true;
    k->held_from = CANCEL_NOTHING;
}

static void resume_cancels(struct broker *b, struct job *j)
{
    if (job_cancels(j) || !j->pool)
        return;
    brk_job_ready(b, j);
    brk_pool_wake(b, j->pool);
}

bool brk_cancel_some(struct broker *b, struct job *j, uint32_t *budget)
{
    for (struct list_node *n; job_cancels(j);) {
        if ((n = list_first(&j->cancels))) {
            if (!pass(b, LIST_ENTRY(n, struct cancel, in_job), budget))
                return list_in(&j->stopped);
        } else if (!(n = list_first(&j->awaiting))) {
            j->awake = 0;
        } else {
            j->awake--;
            go_on(LIST_ENTRY(n, struct cancel, in_job));
        }
    }
    resume_cancels(b, j);
    return true;
}

/* Those of the same kind that it touches become one with it. */
static void merge_cancels(struct broker *b, struct cancel *k)
{
    struct job *j = k->job;
    uint64_t first = k->range.first ? k->range.first - 1 : 0;

    for (INTERVAL_EACH(&j->cancelling, first, k->range.end + 1, v)) {
        struct cancel *o = INTERVAL_ENTRY(v, struct cancel, range);
        k->range.first = v->first < k->range.first ? v->first : k->range.first;
        k->range.end = v->end > k->range.end ? v->end : k->range.end;
        k->at = o->at < k->at ? o->at : k->at;
        k->held_from = o->held_from < k->held_from ? o->held_from : k->held_from;
        brk_cancel_free(b, o);
    }
    interval_put(&j->cancelling, &k->range);
}

/* 0, BFORK_ENOMEM or _EQUOTA with nothing begun. At least one place is touched at once: a single task needs no chore. */
int brk_cancel_begin(struct broker *b, struct job *j, struct cancel now)
{
    assert(j);
    uint32_t *budget = brk_chore_budget(b, j->owner), one = 1;
    struct cancel *k;
    int rc;

    if ((rc = brk_account_takes_cancel(b, j->owner)) < 0)
        return rc;
    if (!(k = brk_mem_new_for(b, j->owner->account, sizeof(*k))))
        return BFORK_ENOMEM;
    *k = now;
    k->job = j;
    list_init(&k->asks);
    k->at = k->range.first;
    k->held_from = CANCEL_NOTHING;
    list_push_back(&j->cancels, &k->in_job);
    if (merges(k) && k->at < k->range.end)
        merge_cancels(b, k);
    if (pass(b, k, *budget ? budget : &one))
        resume_cancels(b, j);
    else if (!list_in(&j->stopped))
        brk_chore_add(b, j->owner, &j->cancel, CHORE_CANCEL);
    return 0;
}
