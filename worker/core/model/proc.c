/* SPDX-License-Identifier: MPL-2.0
 * proc.c - task processes as objects: made, in the list of their lane where they wait for work, told to end, forgotten.
 *
 * A process is in one list of its lane: idle (no attempts), partial (its last attempt is not pushed to the end and there is room),
 * hungry (busy, but with less expected work in its ring than FEED_NS), or in none (full, parked, killed, starting, stopping).
 */
#include "model/model.h"

#include "base/moves.h"

#include <stdlib.h>

static const char *const proc_states[] = { "STARTING", "READY", "STOPPING", "KILLED", "STOP_KILLED", "GONE" };
static const char *const proc_events[] = { "CAME_UP", "STOP", "KILL", "END" };

/* What its template says of a process comes when it comes: it may have been told to end or killed meanwhile. */
static const uint8_t proc_cells[PROC_STATES][PROC_EVENTS] = {
    [PROC_STARTING] = { [PROC_CAME_UP] = TO(PROC_READY), [PROC_STOP] = TO(PROC_STOPPING), [PROC_KILL] = TO(PROC_KILLED),
                        [PROC_END] = TO(PROC_GONE) },
    [PROC_READY] = { [PROC_CAME_UP] = MOVES_LATE, [PROC_STOP] = TO(PROC_STOPPING), [PROC_KILL] = TO(PROC_KILLED),
                     [PROC_END] = TO(PROC_GONE) },
    [PROC_STOPPING] = { [PROC_CAME_UP] = MOVES_LATE, [PROC_STOP] = MOVES_LATE, [PROC_KILL] = TO(PROC_STOP_KILLED),
                        [PROC_END] = TO(PROC_GONE) },
    [PROC_KILLED] = { [PROC_CAME_UP] = MOVES_LATE, [PROC_STOP] = MOVES_LATE, [PROC_KILL] = MOVES_LATE, [PROC_END] = TO(PROC_GONE) },
    [PROC_STOP_KILLED] = { [PROC_CAME_UP] = MOVES_LATE, [PROC_STOP] = MOVES_LATE, [PROC_KILL] = MOVES_LATE,
                           [PROC_END] = TO(PROC_GONE) },
};
static const struct moves proc_moves = MOVES("a task process", proc_states, proc_events, proc_cells);

static void count_proc(struct worker *w, const struct proc *p, int n)
{
    p->lane->live += (uint32_t)(wrk_proc_is_live(p) ? n : 0);
    p->lane->starting += (uint32_t)(p->state == PROC_STARTING ? n : 0);
    w->n_stopping += (uint32_t)(wrk_proc_is_stopping(p) ? n : 0);
}

bool wrk_proc_move(struct worker *w, struct proc *p, enum proc_event event)
{
    unsigned to;

    if (!moves_next(&proc_moves, p->state, event, &to))
        return false;
    count_proc(w, p, -1);
    p->state = to;
    count_proc(w, p, 1);
    return true;
}

struct attempt *wrk_proc_first(const struct proc *p)
{
    struct list_node *n = list_first(&p->attempts);

    return n ? LIST_ENTRY(n, struct attempt, node) : NULL;
}

struct attempt *wrk_proc_last(const struct proc *p)
{
    struct list_node *n = list_last(&p->attempts);

    return n ? LIST_ENTRY(n, struct attempt, node) : NULL;
}

static struct list *place_for(struct proc *p)
{
    struct attempt *last = wrk_proc_last(p);

    if (p->state != PROC_READY)
        return NULL;
    if (!last)
        return &p->lane->idle;
    if (p->full)
        return NULL;
    if (p->parked)
        return NULL;
    if (p->pending && last->next < last->apart)
        return NULL;
    if (last->pushed < last->end && last->state != ATTEMPT_DOOMED)
        return &p->lane->partial;
    if ((p->pending && !last->job->mean_ns) || p->pending * last->job->mean_ns >= FEED_NS)
        return NULL;
    return &p->lane->hungry;
}

void wrk_proc_place(struct proc *p)
{
    struct list *to = place_for(p);

    if (p->in_list)
        list_remove(p->in_list, &p->fed);
    p->in_list = to;
    if (to == &p->lane->idle) {
        p->parked = false;
        list_push_front(to, &p->fed);      /* the one that ran last is warm */
    } else if (to) {
        list_push_back(to, &p->fed);
    }
}

void wrk_proc_attach(struct proc *p, struct attempt *a)
{
    list_push_back(&p->attempts, &a->node);
    a->proc = p;
    p->lane->busy += p->attempts.count == 1;
    p->lane->multi += p->attempts.count == 2;
}

void wrk_proc_detach(struct proc *p, struct attempt *a)
{
    p->lane->busy -= p->attempts.count == 1;
    p->lane->multi -= p->attempts.count == 2;
    list_remove(&p->attempts, &a->node);
    a->proc = NULL;
}

bool wrk_proc_new(struct worker *w, struct lane *l)
{
    struct proc *p = calloc(1, sizeof(*p));

    if (!p || map_reserve(&w->by_proc, 1) < 0) {
        free(p);
        return false;
    }
    p->id = wrk_number_next(&w->by_proc, &w->last_proc);
    p->lane = l;
    list_init(&p->attempts);
    list_push_back(&l->procs, &p->in_lane);
    map_put(&w->by_proc, p->id, p);
    count_proc(w, p, 1);
    w->n_procs++;
    struct worker_effect *e = wrk_effect_add(w, WORKER_PROC_START);

    e->lane = l->id;
    e->proc = p->id;
    return true;
}

void wrk_proc_forget(struct worker *w, struct proc *p)
{
    wrk_proc_move(w, p, PROC_END);
    if (p->in_list)
        list_remove(p->in_list, &p->fed);
    list_remove(&p->lane->procs, &p->in_lane);
    map_take(&w->by_proc, p->id);
    w->n_procs--;
    free(p->known);
    free(p);
}

void wrk_proc_stop(struct worker *w, struct proc *p)
{
    if (!wrk_proc_move(w, p, PROC_STOP))
        return;
    wrk_proc_place(p);
    struct worker_effect *e = wrk_effect_add(w, WORKER_PROC_STOP);

    e->lane = p->lane->id;
    e->proc = p->id;
}
