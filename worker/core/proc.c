/* SPDX-License-Identifier: MPL-2.0
 * proc.c - task processes of the lanes: how many there are, in which list each one waits for work, their end.
 *
 * A process is in one list of its lane: idle (no attempts), partial (its last attempt is not pushed to the end and there is room),
 * hungry (busy, but with less expected work in its ring than FEED_NS), or in none (full, parked, killed, starting, stopping).
 */
#include "internal.h"

#include "bfork.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct attempt *first_of(const struct proc *p)
{
    struct list_node *n = list_first(&p->attempts);

    return n ? LIST_ENTRY(n, struct attempt, node) : NULL;
}

static struct attempt *last_held(const struct proc *p)
{
    struct list_node *n = list_last(&p->attempts);

    return n ? LIST_ENTRY(n, struct attempt, node) : NULL;
}

static struct list *place_for(struct proc *p)
{
    struct attempt *last = last_held(p);

    if (p->state != PROC_READY || p->killed)
        return NULL;
    if (!last)
        return &p->lane->idle;
    if (p->full)
        return NULL;
    if (p->parked)
        return NULL;
    if (p->pending && last->next < last->apart)
        return NULL;
    if (last->pushed < last->end && !last->dead)
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
    a->place = ATTEMPT_PUSHED;
    p->lane->busy += p->attempts.count == 1;
    p->lane->multi += p->attempts.count == 2;
}

void wrk_proc_detach(struct proc *p, struct attempt *a)
{
    p->lane->busy -= p->attempts.count == 1;
    p->lane->multi -= p->attempts.count == 2;
    list_remove(&p->attempts, &a->node);
    a->proc = NULL;
    a->place = ATTEMPT_FINISHED;
}

static bool proc_new(struct worker *w, struct lane *l)
{
    struct proc *p = calloc(1, sizeof(*p));

    if (!p || map_reserve(&w->by_proc, 1) < 0) {
        free(p);
        return false;
    }
    do
        p->id = ++w->last_proc;
    while (p->id == 0 || map_get(&w->by_proc, p->id));
    p->lane = l;
    list_init(&p->attempts);
    list_push_back(&l->procs, &p->in_lane);
    map_put(&w->by_proc, p->id, p);
    l->live++;
    l->starting++;
    w->n_procs++;
    struct worker_effect *e = wrk_effect_add(w, WORKER_PROC_START);

    e->lane = l->id;
    e->proc = p->id;
    return true;
}

static void not_live(struct proc *p)
{
    if (p->state == PROC_STOPPING || p->killed)
        return;
    p->lane->live--;
    p->lane->starting -= p->state == PROC_STARTING;
}

void wrk_proc_forget(struct worker *w, struct proc *p)
{
    not_live(p);
    if (p->in_list)
        list_remove(p->in_list, &p->fed);
    list_remove(&p->lane->procs, &p->in_lane);
    map_take(&w->by_proc, p->id);
    w->n_procs--;
    w->n_stopping -= p->state == PROC_STOPPING;
    free(p->known);
    free(p);
}

void wrk_proc_stop(struct worker *w, struct proc *p)
{
    if (p->state == PROC_STOPPING || p->killed)
        return;
    not_live(p);
    p->state = PROC_STOPPING;
    w->n_stopping++;
    wrk_proc_place(p);
    struct worker_effect *e = wrk_effect_add(w, WORKER_PROC_STOP);

    e->lane = p->lane->id;
    e->proc = p->id;
}

void wrk_proc_kill(struct worker *w, struct proc *p, const char *why)
{
    if (p->killed)
        return;
    if (p->pending)
        wrk_proc_retract(w, p, p->pending);
    not_live(p);
    p->killed = true;
    wrk_proc_place(p);
    w->staff = true;
    struct worker_effect *e = wrk_effect_add(w, WORKER_PROC_KILL);

    e->lane = p->lane->id;
    e->proc = p->id;
    e->text = why;
}

/* An idle process of a lane that has more of them than slots; NULL: none. */
static struct proc *surplus(const struct worker *w)
{
    for (LIST_EACH(&w->lanes, n)) {
        struct lane *l = LIST_ENTRY(n, struct lane, all);

        if (l->live > l->slots && !list_empty(&l->idle))
            return LIST_ENTRY(list_last(&l->idle), struct proc, fed);
    }
    return NULL;
}

/* Attempts for which no process is free or on its way. */
static bool understaffed(const struct lane *l)
{
    uint32_t most = l->scarce && l->scarce_most < l->slots ? l->scarce_most : l->slots;

    return l->live < most && l->idle.count + l->starting < l->queue.count;
}

void wrk_proc_need(struct worker *w, const struct lane *l)
{
    if (l->state == LANE_READY && understaffed(l))
        w->staff = true;
}

/* What was missing may be there again: one process more is tried, and if it comes up, all. */
static void try_scarce(struct worker *w, struct lane *l)
{
    if (!l->scarce)
        return;
    if (w->now >= l->scarce_until && l->scarce_most <= l->live)
        l->scarce_most = l->live + 1;
    w->staff = true;
    w->staff_failed = true;
    if (w->staff_at <= w->now || l->scarce_until < w->staff_at)
        w->staff_at = l->scarce_until > w->now ? l->scarce_until : w->now + SCARCE_MOST_NS;
}

void wrk_proc_staff(struct worker *w)
{
    w->staff = false;
    w->staff_failed = false;
    for (LIST_EACH(&w->lanes, n)) {
        struct lane *l = LIST_ENTRY(n, struct lane, all);

        try_scarce(w, l);
        while (l->state == LANE_READY && understaffed(l) && l->bad_starts < BAD_STARTS) {
            if (w->n_procs < w->config.slots) {
                if (!proc_new(w, l)) {
                    w->staff = true;
                    w->staff_failed = true;
                    w->staff_at = w->now + STAFF_RETRY_NS;
                    return;
                }
                continue;
            }
            struct proc *p = surplus(w);    /* its death calls here again */

            w->staff |= !p;                 /* all are busy: look again next turn */
            if (p)
                wrk_proc_stop(w, p);
            break;
        }
    }
}

void wrk_proc_retract(struct worker *w, struct proc *p, uint32_t max)
{
    uint32_t k = max ? w->ops.retract(w->ctx, p->id, max) : 0;

    if (k > max)
        k = max;
    p->pending -= k;
    p->given -= k < p->given ? k : p->given;
    if (k)
        p->full = false;
    for (LIST_EACH_BACK_SAFE(&p->attempts, n, before)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, node);
        uint64_t out = a->pushed - a->next;
        uint32_t back = out < k ? (uint32_t)out : k;

        k -= back;
        wrk_attempt_unpush(a, a->pushed - back);
        if (a->pushed == a->next) {
            wrk_proc_detach(p, a);
            if (a->dead)
                wrk_attempt_free(w, a);
            else
                wrk_attempt_queue_front(w, a);
        }
        if (!k)
            break;
    }
    if (!p->killed)
        wrk_proc_place(p);
    wrk_lane_dirty(w, p->lane);
}

void wrk_proc_check_head(struct worker *w, struct proc *p)
{
    struct attempt *a = first_of(p);

    if (a && p->pending && (a->dead || wrk_attempt_is_killed(a, a->next)))
        wrk_proc_kill(w, p, a->dead ? "its attempt is closed" : "cancelled");
}

void worker_proc_ready(struct worker *w, uint64_t now, worker_proc proc)
{
    struct proc *p = map_get(&w->by_proc, proc);

    w->now = now;
    if (!p || p->state != PROC_STARTING)
        return;
    p->state = PROC_READY;
    if (!p->killed) {
        p->lane->starting--;
        p->lane->scarce = 0;
        w->staff = true;
    }
    p->since = now;
    wrk_proc_place(p);
    wrk_lane_dirty(w, p->lane);
}

void worker_proc_room(struct worker *w, uint64_t now, worker_proc proc)
{
    struct proc *p = map_get(&w->by_proc, proc);

    w->now = now;
    if (!p || !p->full)
        return;
    p->full = false;
    wrk_proc_place(p);
    wrk_lane_dirty(w, p->lane);
}

/* ---- death -------------------------------------------------------------------------------------- */

/* The outcome of the task that was running, or nothing if it is to run again. */
static void settle_running(struct worker *w, struct proc *p, struct attempt *a, const struct worker_obituary *o)
{
    bool wanted_dead = wrk_attempt_is_killed(a, a->next);
    struct wire_outcome out = { .kind = o->kind, .code = o->code, .signal = o->signal, .pid = o->pid, .index = a->next,
        .duration_us = o->duration_us, .message = o->message, .function = o->function, .where = o->where, .backtrace = o->backtrace,
        .output = o->output, .stage = o->stage };

    if (p->killed && wanted_dead) {
        out.kind = BFORK_CANCELLED;
    } else if (p->killed) {
        if (!a->job->at_most_once)
            return;     /* it shared the claim of a task that had to be killed: run it again */
        out.kind = BFORK_UNKNOWN;
        out.message = WIRE_STR("its task process was killed because of another task");
    } else if (out.kind >= 0) {
        out.kind = BFORK_EXITED;
    }
    if (!wrk_record_outcome(w, a, &out)) {
        wrk_attempt_lost(w, a);
        return;
    }
    a->next++;
    w->count.tasks_failed++;
}

/* What the process had goes back to the head of the queue, in its order. */
static void give_back_all(struct worker *w, struct proc *p)
{
    for (struct list_node *n; (n = list_last(&p->attempts));) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, node);

        wrk_attempt_unpush(a, a->next);
        wrk_proc_detach(p, a);
        if (a->dead) {
            wrk_attempt_free(w, a);
            continue;
        }
        if (a->next == a->end) {
            wrk_attempt_finish(w, a);
            continue;
        }
        wrk_attempt_queue_front(w, a);
    }
    p->pending = 0;
}

/* It could not be started for want of something that may be there later. The others go on. True: the pool fails. */
static bool unborn(struct worker *w, struct lane *l, const struct worker_obituary *o)
{
    uint32_t doubled = l->scarce < 5 ? l->scarce : 5;
    uint64_t pause = SCARCE_FIRST_NS << doubled;

    l->scarce++;
    if (!l->scarce_told)                /* once for a pool: this may come and go */
        wrk_effect_log(w, LOG_WARNING_, "%u of %u task processes of a pool run here, there is no room for more: %.*s", l->live,
                       l->slots, (int)o->message.n, o->message.n ? o->message.p : "");
    l->scarce_told = true;
    l->scarce_most = l->live;
    l->scarce_until = w->now + (pause < SCARCE_MOST_NS ? pause : SCARCE_MOST_NS);
    return l->live == 0 && l->scarce >= SCARCE_STARTS;
}

static void fail_unborn(struct worker *w, struct lane *l, const struct worker_obituary *o)
{
    char text[400];

    snprintf(text, sizeof(text), "no task process could be started, %u times: %.*s", l->scarce, (int)o->message.n,
             o->message.n ? o->message.p : "");
    l->scarce = 0;
    wrk_lane_fail(w, l, BFORK_REFUSED, "fork", text);
}

/* A process says itself whether a task was running in it, so one that writes over that word could be run for ever. Once may be
 * chance, as what dies between two tasks is not the next one's fault; again and again before the same task is that task. */
static bool was_running_unsaid(const struct proc *p, struct attempt *a)
{
    if (p->killed || p->state != PROC_READY)
        return false;
    a->unsaid = a->unsaid && a->unsaid_at == a->next ? a->unsaid + 1 : 1;
    a->unsaid_at = a->next;
    return a->unsaid >= UNSAID_MOST;
}

/* Which of its tasks wrote over the ring is not known: what had not been read may have been done or not. */
static bool is_unclear(const struct proc *p, const struct attempt *a, const struct worker_obituary *o)
{
    return o->violated && !p->killed && p->pending > 1 && a->next >= a->apart;
}

/* To charge the first task without a result would fail an innocent one with each process that ends so, for minutes if there are
 * thousands. So they run again, one at a time in a process, and then it is known which one it is. Tasks at most once do not run
 * again: they end as UNKNOWN. */
static void set_apart(struct worker *w, struct proc *p, const struct worker_obituary *o)
{
    struct wire_outcome out = { .kind = BFORK_UNKNOWN, .pid = o->pid,
        .message = WIRE_STR("a task wrote over the ring of its task process, and this one may have run") };

    for (LIST_EACH(&p->attempts, n)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, node);
        uint32_t out_there = (uint32_t)(a->pushed - a->next);

        if (!a->job->at_most_once || a->dead) {
            a->apart = a->pushed > a->apart ? a->pushed : a->apart;
            continue;
        }
        if (out_there && !wrk_record_outcomes(w, a, &out, out_there)) {
            wrk_attempt_lost(w, a);
            return;
        }
        a->next = a->pushed;
        w->count.tasks_failed += out_there;
    }
}

void worker_proc_died(struct worker *w, uint64_t now, worker_proc proc, const struct worker_obituary *o)
{
    struct proc *p = map_get(&w->by_proc, proc);

    w->now = now;
    if (!p)
        return;
    struct lane *l = p->lane;
    struct attempt *a = first_of(p);
    bool in_task = a && p->pending && (o->in_task || was_running_unsaid(p, a));
    bool for_now = o->kind == BFORK_EAGAIN && !in_task && p->state == PROC_STARTING;
    bool bad = !for_now && !p->worked && !in_task && !p->killed && p->state != PROC_STOPPING;

    if (in_task && !a->dead && is_unclear(p, a, o))
        set_apart(w, p, o);
    else if (in_task && !a->dead)
        settle_running(w, p, a, o);
    give_back_all(w, p);
    wrk_proc_forget(w, p);
    w->staff = true;
    wrk_lane_dirty(w, l);
    if (for_now && unborn(w, l, o) && l->state == LANE_READY)
        fail_unborn(w, l, o);
    l->bad_starts = bad ? l->bad_starts + 1 : in_task ? 0 : l->bad_starts;
    if (l->bad_starts >= BAD_STARTS && l->state == LANE_READY && l->busy == 0) {
        char text[400];

        snprintf(text, sizeof(text), "%u task processes ended one after the other before their first task: %.*s%s%.*s",
                 l->bad_starts, (int)o->message.n, o->message.n ? o->message.p : "",
                 o->output.n ? "; they wrote: " : "", (int)o->output.n, o->output.n ? o->output.p : "");
        wrk_lane_fail(w, l, o->kind ? o->kind : BFORK_EXITED, "initializer", text);
    }
    if (l->slots == 0 && l->n_attempts == 0)
        wrk_lane_released(w, l);
}
