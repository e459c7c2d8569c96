/* SPDX-License-Identifier: MPL-2.0
 * check.c - every invariant of the worker's core, for tests: walks everything, changes nothing.
 */
#include "model/model.h"
#include "worker.h"

#include <stdio.h>
#include <string.h>

#define MUST(x) \
    do { \
        if (!(x)) { \
            snprintf(w->check, sizeof(w->check), "%s:%d: %s", __func__, __LINE__, #x); \
            return false; \
        } \
    } while (0)

static bool check_records(struct worker *w, const struct attempt *a, uint64_t *bytes)
{
    uint64_t at = a->run.first, own = 0;
    bool unsent = false;

    for (const struct record *r = a->head; r; r = r->next) {
        unsent |= r == a->unsent;
        MUST(r->next || r == a->tail);
        if (r->kind == WIRE_RETURNED) {
            MUST(r->run.first >= a->end && run_end(&r->run) <= a->given_end);
        } else {
            MUST(r->run.first == at);
            at += r->run.count;
        }
        MUST(r->kind != WIRE_OUTCOME || r->run.count == 1 || r->run.count == a->given_end - a->run.first);
        own += run_bytes(&r->run);
    }
    MUST(at == a->next);
    MUST(own == a->bytes);
    MUST(!a->unsent || unsent);
    MUST(!a->unsent || list_in(&a->out) || a->to_say);
    MUST(w->link != LINK_UP || !list_in(&a->out) || a->unsent);
    *bytes += own;
    return true;
}

static bool check_said(struct worker *w, const struct attempt *a)
{
    const struct piece *first[2] = { NULL, NULL }, *last[2] = { NULL, NULL };
    uint64_t seq = 0;
    bool unsaid = false;

    for (const struct piece *p = a->said; p; p = p->next) {
        MUST(p->seq > seq && p->seq <= a->said_seq);
        MUST(p->index >= a->run.first && p->index < a->given_end);
        MUST(p->next || p == a->said_tail);
        seq = p->seq;
        unsaid |= p == a->to_say;
        MUST(!last[p->stream == 2] || last[p->stream == 2]->next_same == p);
        last[p->stream == 2] = p;
        if (unsaid && !first[p->stream == 2])
            first[p->stream == 2] = p;
        if (unsaid)
            w->check_waits += p->body.size + WIRE_OUTPUT_COST;
    }
    MUST(unsaid == (a->to_say != NULL));
    for (int i = 0; i < 2; i++)
        MUST(a->to_say_of[i] == first[i] && a->said_last[i] == last[i]);
    MUST((a->to_say != NULL) == list_in(&a->saying));
    return true;
}

static bool check_attempt(struct worker *w, const struct attempt *a, uint64_t *bytes)
{
    uint64_t args = 0;

    MUST(a->run.first <= a->next && a->next <= a->pushed && a->pushed <= a->end && a->end <= a->given_end);
    MUST(a->state != ATTEMPT_FINISHED || a->next == a->end);
    MUST(a->state != ATTEMPT_QUEUED || (a->pushed == a->next && a->next < a->end));
    MUST((a->state == ATTEMPT_PUSHED || a->state == ATTEMPT_DOOMED) == (a->proc != NULL));
    MUST(a->state == ATTEMPT_DOOMED || map_get(&w->by_attempt, a->id) == a);
    if (a->state != ATTEMPT_FINISHED) {
        for (uint64_t k = a->run.first; k < a->pushed; k++)
            args += run_len(&a->run, (uint32_t)(k - a->run.first));
        MUST(a->at.k == a->pushed - a->run.first);
        MUST(args == a->at.at && args <= a->run.body.size);
    }
    return a->state == ATTEMPT_DOOMED || (check_said(w, a) && check_records(w, a, bytes));
}

static bool check_proc(struct worker *w, const struct proc *p)
{
    uint64_t pending = 0;

    MUST(map_get(&w->by_proc, p->id) == p);
    for (LIST_EACH(&p->attempts, n)) {
        const struct attempt *a = LIST_ENTRY(n, struct attempt, node);
        uint64_t none = 0;

        MUST(a->proc == p && a->job->lane == p->lane);
        MUST(a->state != ATTEMPT_DOOMED || check_attempt(w, a, &none));
        MUST(a->pushed == a->end || n == p->attempts.head.prev);
        MUST(a->pushed > a->next || n == p->attempts.head.prev);
        pending += a->pushed - a->next;
    }
    MUST(pending == p->pending);
    MUST(!p->lane->max_tasks || p->given <= p->lane->max_tasks);
    MUST(!p->in_list || p->state == PROC_READY);
    MUST((p->in_list == &p->lane->idle) == (p->state == PROC_READY && list_empty(&p->attempts)));
    MUST(p->state != PROC_STARTING || list_empty(&p->attempts));
    return true;
}

static bool check_lane(struct worker *w, const struct lane *l, uint32_t *procs)
{
    uint32_t live = 0, starting = 0, busy = 0, multi = 0, refs = 0;

    MUST(map_get(&w->by_lane, l->id) == l);
    MUST(!l->bound || map_get(&w->by_pool, l->pool) == l);
    MUST(!l->window || (map_get(&w->windows, l->window->id) == l->window && list_in(&l->in_window)));
    MUST(list_empty(&l->procs) || l->state == LANE_READY);
    MUST(l->state != LANE_FAILED || list_empty(&l->queue));
    for (LIST_EACH(&l->procs, n)) {
        const struct proc *p = LIST_ENTRY(n, struct proc, in_lane);

        live += wrk_proc_is_live(p);
        starting += p->state == PROC_STARTING;
        busy += p->attempts.count > 0;
        multi += p->attempts.count > 1;
        ++*procs;
        if (!check_proc(w, p))
            return false;
    }
    MUST(live == l->live && busy == l->busy && multi == l->multi && starting == l->starting);
    for (LIST_EACH(&l->queue, n)) {
        const struct attempt *a = LIST_ENTRY(n, struct attempt, node);

        MUST(a->state == ATTEMPT_QUEUED);
        MUST(a->job->lane == l);
    }
    for (uint32_t k = 0; k < l->n_jobs; k++) {
        const struct job *j = l->jobs[k];

        if (!j)
            continue;
        MUST(j->number == k && j->lane == l && (j->refs || j->bound));
        MUST(!j->bound || map_get(&w->by_job, j->handle) == j);
        MUST(j->unfinished <= j->refs);
        refs += j->refs;
    }
    MUST(refs == l->n_attempts);
    return true;
}

static bool check_whole_worker(struct worker *w)
{
    uint64_t bytes = 0, waits = 0;
    uint32_t procs = 0;

    w->check_waits = 0;
    for (LIST_EACH(&w->attempts, n)) {
        const struct attempt *a = LIST_ENTRY(n, struct attempt, all);

        MUST(a->state != ATTEMPT_DOOMED && a->state != ATTEMPT_GONE);
        if (!check_attempt(w, a, &bytes))
            return false;
    }
    MUST(bytes == w->count.held_bytes);
    MUST(w->by_attempt.count == w->attempts.count);
    for (LIST_EACH(&w->lanes, n))
        if (!check_lane(w, LIST_ENTRY(n, struct lane, all), &procs))
            return false;
    for (LIST_EACH(&w->lanes, n))
        waits += LIST_ENTRY(n, struct lane, all)->said_waits;
    MUST(waits == w->check_waits);
    MUST(procs == w->n_procs && procs == w->by_proc.count);
    MUST(w->n_procs <= w->config.slots);
    MUST(w->out_acked <= w->out_bytes);
    MUST(w->link != LINK_UP || w->lease != LEASE_NONE);
    return true;
}

const char *worker_check(struct worker *w)
{
    return check_whole_worker(w) ? NULL : w->check;
}
