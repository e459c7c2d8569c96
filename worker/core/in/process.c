/* SPDX-License-Identifier: MPL-2.0
 * process.c - what task processes report while they live: ready, room in the ring, results, output.
 */
#include "in/in.h"
#include "worker.h"

#include "base/pace.h"
#include "bfork.h"

#include <string.h>

void worker_proc_ready(struct worker *w, uint64_t now, worker_proc proc)
{
    struct proc *p = map_get(&w->by_proc, proc);

    w->now = now;
    if (!p || !wrk_proc_move(w, p, PROC_CAME_UP))
        return;
    p->lane->scarce = 0;
    w->staff = true;
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

/* An outcome the process wrote itself; what cannot be read is an outcome too. A kind that is none would break the protocol, and end
 * the session with what other owners have here. */
static bool record_written(struct worker *w, struct attempt *a, const struct wire_item *i)
{
    struct wire_outcome o = { 0 };
    struct err e = { 0 };

    if (wire_outcome_decode(i->body.data, i->body.size, &o, &e) < 0 || o.kind >= 0 || o.kind < BFORK_MISMATCH) {
        memset(&o, 0, sizeof(o));
        o.kind = BFORK_FAILED;
        o.message = WIRE_STR("the task process wrote an outcome that cannot be read");
    }
    o.pid = i->pid;
    return wrk_record_outcome(w, a, &o);
}

static void measure_tasks(struct worker *w, struct proc *p, struct job *j, uint64_t sum_ns, uint32_t n)
{
    j->mean_ns = pace_add(j->mean_ns, sum_ns ? sum_ns : w->now > p->since ? w->now - p->since : 1, n);
}

/* The first n results of *item are those of a; false: no memory to keep them. */
static bool take_first_results(struct worker *w, struct proc *p, struct attempt *a, struct wire_item *item, uint32_t n)
{
    struct wire_item head = *item, rest = { 0 };
    bool ok = true;

    if (n < item->count)
        wire_item_cut(item, n, &head, &rest);
    head.first = a->next;
    measure_tasks(w, p, a->job, head.sum_ns, n);
    if (a->state != ATTEMPT_DOOMED)
        ok = head.kind == WIRE_OK ? wrk_record_add(w, a, &head) : record_written(w, a, &head);
    *(head.kind == WIRE_OK ? &w->count.tasks_ok : &w->count.tasks_failed) += n;
    a->next += n;
    p->pending -= n;
    *item = rest;
    return ok;
}

static void head_done(struct worker *w, struct proc *p, struct attempt *a)
{
    if (a->next == a->end) {
        if (a->state == ATTEMPT_DOOMED)
            wrk_attempt_free(w, a);
        else
            wrk_attempt_finish(w, a);
    } else if ((wrk_proc_is_stopping(p) || p->parked) && a->next == a->pushed) {
        wrk_attempt_queue_front(w, a);  /* the process takes no more: somebody else goes on with it */
    }
}

void worker_proc_results(struct worker *w, uint64_t now, worker_proc proc, const struct wire_item *item)
{
    struct proc *p = map_get(&w->by_proc, proc);
    struct wire_item rest = *item;

    w->now = now;
    if (!p)
        return;
    while (rest.count) {
        struct attempt *a = wrk_proc_first(p);
        uint64_t out = a ? a->pushed - a->next : 0;

        if (!out || (rest.kind == WIRE_OUTCOME && rest.count != 1) || rest.kind > WIRE_OUTCOME) {
            wrk_effect_log(w, LOG_WARNING_, "a task process reported results that nobody asked for: it is killed");
            wrk_proc_kill(w, p, "it reported results that nobody asked for");
            break;
        }
        if (!take_first_results(w, p, a, &rest, out < rest.count ? (uint32_t)out : rest.count)) {
            wrk_attempt_lost(w, a);
            break;
        }
        head_done(w, p, a);
    }
    p->worked = true;
    p->lane->bad_starts = p->lane->deaths = 0;
    p->full = false;
    p->since = now;
    if (!wrk_proc_is_killed(p)) {
        wrk_proc_check_head(w, p);
        wrk_proc_place(p);
    }
    wrk_lane_dirty(w, p->lane);
}

/* The attempt and index of the task so many behind the first without a result. */
static struct attempt *find_task(const struct proc *p, uint32_t ahead, uint64_t *ret_index)
{
    for (LIST_EACH(&p->attempts, n)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, node);
        if (ahead < a->pushed - a->next) {
            *ret_index = a->next + ahead;
            return a;
        }
        ahead -= (uint32_t)(a->pushed - a->next);
    }
    return NULL;
}

bool worker_output(struct worker *w, uint64_t now, worker_proc proc, uint32_t ahead, const struct worker_print *k)
{
    struct proc *p = map_get(&w->by_proc, proc);
    uint64_t index = 0;
    struct attempt *a = p ? find_task(p, ahead, &index) : NULL;

    w->now = now;
    if (!a)
        return false;
    if (a->state == ATTEMPT_DOOMED)
        return true;                    /* nobody waits for it any more */
    if (!wrk_said_add(w, a, index, k))
        wrk_attempt_lost(w, a);
    return true;
}

bool worker_output_room(const struct worker *w, worker_proc proc)
{
    const struct proc *p = map_get(&w->by_proc, proc);

    return !p || p->lane->said_waits + (p->lane->window ? p->lane->window->out : 0) < w->config.output_window;
}
