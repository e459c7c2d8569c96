/* SPDX-License-Identifier: MPL-2.0
 * attempt.c - attempts as objects: made, finished, freed; which of their tasks are to be killed. Who may run them is decided above.
 */
#include "model/model.h"

#include "base/moves.h"

#include <stdlib.h>
#include <string.h>

static const char *const attempt_states[] = { "QUEUED", "PUSHED", "FINISHED", "DOOMED", "GONE" };
static const char *const attempt_events[] = { "PUSH", "BACK", "FINISH", "DOOM", "END" };

static const uint8_t attempt_cells[ATTEMPT_STATES][ATTEMPT_EVENTS] = {
    [ATTEMPT_QUEUED] = { [ATTEMPT_PUSH] = TO(ATTEMPT_PUSHED), [ATTEMPT_FINISH] = TO(ATTEMPT_FINISHED),
                         [ATTEMPT_END] = TO(ATTEMPT_GONE) },
    [ATTEMPT_PUSHED] = { [ATTEMPT_BACK] = TO(ATTEMPT_QUEUED), [ATTEMPT_FINISH] = TO(ATTEMPT_FINISHED),
                         [ATTEMPT_DOOM] = TO(ATTEMPT_DOOMED), [ATTEMPT_END] = TO(ATTEMPT_GONE) },
    [ATTEMPT_FINISHED] = { [ATTEMPT_END] = TO(ATTEMPT_GONE) },
    [ATTEMPT_DOOMED] = { [ATTEMPT_END] = TO(ATTEMPT_GONE) },
};
static const struct moves attempt_moves = MOVES("an attempt", attempt_states, attempt_events, attempt_cells);

static bool is_with_process(const struct attempt *a) { return a->state == ATTEMPT_PUSHED || a->state == ATTEMPT_DOOMED; }

static bool counts_as_unfinished(const struct attempt *a) { return a->state != ATTEMPT_FINISHED && a->state != ATTEMPT_GONE; }

/* Sole writer of the state. No event comes too late: who brings one about has found the attempt where it is. */
static void change_attempt(struct attempt *a, enum attempt_event event)
{
    bool was_queued = a->state == ATTEMPT_QUEUED, was_with = is_with_process(a), was_unfinished = counts_as_unfinished(a);
    unsigned to;

    if (!moves_next(&attempt_moves, a->state, event, &to))
        return;
    a->state = to;
    if (was_unfinished && !counts_as_unfinished(a) && --a->job->unfinished == 0)
        wrk_job_rests(a->job);
    if (was_queued)
        list_remove(&a->job->lane->queue, &a->node);
    if (was_with && !is_with_process(a))
        wrk_proc_detach(a->proc, a);
}

static struct attempt *attempt_alloc(struct worker *w)
{
    struct attempt *a = w->free_attempts;

    if (!a)
        return calloc(1, sizeof(*a));
    w->free_attempts = (struct attempt *)(void *)a->all.next;
    w->n_free_attempts--;
    memset(a, 0, sizeof(*a));
    return a;
}

static void attempt_recycle(struct worker *w, struct attempt *a)
{
    if (w->n_free_attempts >= 4096) {
        free(a);
        return;
    }
    a->all.next = (struct list_node *)(void *)w->free_attempts;
    w->free_attempts = a;
    w->n_free_attempts++;
}

/* NULL: out of memory. */
struct attempt *wrk_attempt_new(struct worker *w, struct job *j, const struct wire_item *i)
{
    struct attempt *a = attempt_alloc(w);
    struct run args = run_of_item(i);

    if (!a)
        return NULL;
    args.flags &= WIRE_FIXED;
    if (run_keep(&wrk_memory, NULL, &w->args, &args, &a->run) < 0 || map_put(&w->by_attempt, i->id, a) < 0) {
        run_done(&a->run);
        attempt_recycle(w, a);
        return NULL;
    }
    a->id = i->id;
    a->next = a->pushed = i->first;
    a->end = a->given_end = i->first + i->count;
    a->recall_from = UINT64_MAX;
    intervals_init(&a->kills, a->id, NULL);
    a->job = j;
    memcpy(a->ticket, i->ticket, WIRE_TICKET);
    j->refs++;
    j->unfinished++;
    j->lane->n_attempts++;
    list_push_back(&w->attempts, &a->all);
    list_push_back(&j->lane->queue, &a->node);
    a->state = ATTEMPT_QUEUED;
    return a;
}

void wrk_attempt_push(struct attempt *a, struct proc *p)
{
    change_attempt(a, ATTEMPT_PUSH);
    wrk_proc_attach(p, a);
}

void wrk_attempt_back(struct attempt *a)
{
    change_attempt(a, ATTEMPT_BACK);
    list_push_front(&a->job->lane->queue, &a->node);
}

void wrk_attempt_finish(struct worker *w, struct attempt *a)
{
    a->job->lane->idle_since = w->now;
    change_attempt(a, ATTEMPT_FINISH);
    run_done(&a->run);
}

void wrk_attempt_unpush(struct attempt *a, uint64_t to)
{
    run_seek(&a->run, &a->at, (uint32_t)(to - a->run.first));
    a->pushed = to;
    if (a->state == ATTEMPT_DOOMED)
        a->end = to;
}

static void kills_free(struct attempt *a)
{
    for (struct interval *v; (v = a->kills.root);) {
        interval_take(&a->kills, v);
        free(v);
    }
}

/* Tasks [first, end) are to be ended if they run; those that touch become one. False: out of memory. */
bool wrk_attempt_kill_add(struct attempt *a, uint64_t first, uint64_t end)
{
    struct interval *k;

    if (end > a->given_end)
        end = a->given_end;
    if (first >= end)
        return true;
    if (!(k = calloc(1, sizeof(*k))))
        return false;
    k->first = first;
    k->end = end;
    for (INTERVAL_EACH(&a->kills, first ? first - 1 : 0, end + 1, v)) {
        k->first = v->first < k->first ? v->first : k->first;
        k->end = v->end > k->end ? v->end : k->end;
        interval_take(&a->kills, v);
        free(v);
    }
    interval_put(&a->kills, k);
    return true;
}

bool wrk_attempt_is_killed(const struct attempt *a, uint64_t index)
{
    const struct interval *v = interval_at(&a->kills, index);

    return v && v->first <= index;
}

/* The broker is told nothing more of it, and does not name it any more. */
static void forget_attempt(struct worker *w, struct attempt *a)
{
    map_take(&w->by_attempt, a->id);
    list_remove(&w->attempts, &a->all);
    if (list_in(&a->out))
        list_remove(&w->out, &a->out);
    wrk_records_free(w, a);
    wrk_said_free(w, a);
}

void wrk_attempt_doom(struct worker *w, struct attempt *a)
{
    change_attempt(a, ATTEMPT_DOOM);
    forget_attempt(w, a);
    a->end = a->pushed;
}

void wrk_attempt_free(struct worker *w, struct attempt *a)
{
    struct lane *l = a->job->lane;
    bool known = a->state != ATTEMPT_DOOMED;

    change_attempt(a, ATTEMPT_END);
    if (known)
        forget_attempt(w, a);
    kills_free(a);
    run_done(&a->run);
    wrk_job_unref(w, a->job);
    attempt_recycle(w, a);
    if (--l->n_attempts == 0 && !(l->bound && l->slots))
        wrk_lane_released(w, l);
}
