/* SPDX-License-Identifier: MPL-2.0
 * death.c - the end of a task process: what its tasks come to, and whether its pool can go on here.
 */
#include "in/in.h"
#include "worker.h"

#include "bfork.h"

#include <stdio.h>

#define SCARCE_FIRST_NS (100 * CLOCK_MS)    /* pause when there are not enough descriptors, processes or memory: doubled */
#define SCARCE_STARTS 8                 /* such starts, while no process runs: then the pool fails */
#define UNSAID_MOST 3                   /* a task at whose place so many processes died one after the other was running */

/* The outcome of the task that was running, or nothing if it is to run again. */
static void settle_running(struct worker *w, struct proc *p, struct attempt *a, const struct wire_outcome *o)
{
    bool wanted_dead = wrk_attempt_is_killed(a, a->next);
    struct wire_outcome out = *o;

    out.index = a->next;
    if (wrk_proc_is_killed(p) && wanted_dead) {
        out.kind = BFORK_CANCELLED;
    } else if (wrk_proc_is_killed(p)) {
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
    for (struct attempt *a; (a = wrk_proc_last(p));) {
        wrk_attempt_unpush(a, a->next);
        if (a->state == ATTEMPT_DOOMED) {
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
static bool unborn(struct worker *w, struct lane *l, const struct wire_outcome *o)
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

static void fail_unborn(struct worker *w, struct lane *l, const struct wire_outcome *o)
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
    if (p->state != PROC_READY)
        return false;
    a->unsaid = a->unsaid && a->unsaid_at == a->next ? a->unsaid + 1 : 1;
    a->unsaid_at = a->next;
    return a->unsaid >= UNSAID_MOST;
}

/* Which of its tasks wrote over the ring is not known: what had not been read may have been done or not. */
static bool is_unclear(const struct proc *p, const struct attempt *a, const struct wire_outcome *o)
{
    return o->violated && !wrk_proc_is_killed(p) && p->pending > 1 && a->next >= a->apart;
}

/* To charge the first task without a result would fail an innocent one with each process that ends so, for minutes if there are
 * thousands. So they run again, one at a time in a process, and then it is known which one it is. Tasks at most once do not run
 * again: they end as UNKNOWN. */
static void set_apart(struct worker *w, struct proc *p, const struct wire_outcome *o)
{
    struct wire_outcome out = { .kind = BFORK_UNKNOWN, .pid = o->pid,
        .message = WIRE_STR("a task wrote over the ring of its task process, and this one may have run") };

    for (LIST_EACH(&p->attempts, n)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, node);
        uint32_t out_there = (uint32_t)(a->pushed - a->next);

        if (!a->job->at_most_once || a->state == ATTEMPT_DOOMED) {
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

void worker_proc_died(struct worker *w, uint64_t now, worker_proc proc, const struct wire_outcome *o)
{
    struct proc *p = map_get(&w->by_proc, proc);

    w->now = now;
    if (!p)
        return;
    struct lane *l = p->lane;
    struct attempt *a = wrk_proc_first(p);
    bool in_task = a && p->pending && (o->in_task || was_running_unsaid(p, a));
    bool for_now = o->kind == BFORK_EAGAIN && !in_task && p->state == PROC_STARTING;
    bool bad = !for_now && !p->worked && !in_task && wrk_proc_is_live(p);

    if (in_task && a->state != ATTEMPT_DOOMED && is_unclear(p, a, o))
        set_apart(w, p, o);
    else if (in_task && a->state != ATTEMPT_DOOMED)
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
