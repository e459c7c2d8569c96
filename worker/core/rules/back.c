/* SPDX-License-Identifier: MPL-2.0
 * back.c - what comes back: from processes to the queue, from the queue to the broker, and what nobody wants any more.
 *
 * One file, as each of these can bring about the next: what a process has not begun goes to the front of the queue, from there what
 * was recalled goes to the broker; if there is no memory to say so the attempt is lost, its process is killed, and what that has
 * comes back.
 */
#include "rules/rules.h"

/* From the last to the first; the node may be removed inside the body. */
#define LIST_EACH_BACK_SAFE(l, n, before) \
    struct list_node *n = (l)->head.prev, *before = n->prev; n != &(l)->head; n = before, before = n->prev

/* It ends before `from`: the broker hears, or has been told, what is given back. */
static void give_back_rest(struct worker *w, struct attempt *a, uint64_t from)
{
    struct proc *p = a->proc;

    a->end = from;
    if (a->next == a->end)
        wrk_attempt_finish(w, a);
    if (p && !wrk_proc_is_killed(p))
        wrk_proc_place(p);
}

void wrk_attempt_return(struct worker *w, struct attempt *a, uint64_t from)
{
    struct wire_item i = { .kind = WIRE_RETURNED, .flags = WIRE_FIXED };

    if (from < a->pushed)
        from = a->pushed;
    if (from >= a->end)
        return;
    i.first = from;
    i.count = (uint32_t)(a->end - from);
    if (wrk_record_add(w, a, &i))
        give_back_rest(w, a, from);
    else
        wrk_attempt_lost(w, a);
}

void wrk_attempt_queue_front(struct worker *w, struct attempt *a)
{
    struct lane *l = a->job->lane;

    wrk_attempt_back(a);
    wrk_lane_dirty(w, l);
    wrk_proc_need(w, l);
    if (a->recall_from < a->end)        /* it had been claimed when the broker wanted it back */
        wrk_attempt_return(w, a, a->recall_from);
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
        if (a->pushed == a->next && a->state == ATTEMPT_DOOMED)
            wrk_attempt_free(w, a);
        else if (a->pushed == a->next)
            wrk_attempt_queue_front(w, a);
        if (!k)
            break;
    }
    if (!wrk_proc_is_killed(p))
        wrk_proc_place(p);
    wrk_lane_dirty(w, p->lane);
}

void wrk_procs_retract(struct worker *w)
{
    for (LIST_EACH(&w->lanes, n)) {
        struct lane *l = LIST_ENTRY(n, struct lane, all);

        for (LIST_EACH(&l->procs, m)) {
            struct proc *p = LIST_ENTRY(m, struct proc, in_lane);

            if (p->pending)
                wrk_proc_retract(w, p, p->pending);
        }
    }
}

void wrk_proc_kill(struct worker *w, struct proc *p, const char *why)
{
    if (wrk_proc_is_killed(p))
        return;
    if (p->pending)
        wrk_proc_retract(w, p, p->pending);
    wrk_proc_move(w, p, PROC_KILL);
    wrk_proc_place(p);
    w->staff = true;
    struct worker_effect *e = wrk_effect_add(w, WORKER_PROC_KILL);

    e->lane = p->lane->id;
    e->proc = p->id;
    e->text = why;
}

void wrk_proc_check_head(struct worker *w, struct proc *p)
{
    struct attempt *a = wrk_proc_first(p);

    if (a && p->pending && (a->state == ATTEMPT_DOOMED || wrk_attempt_is_killed(a, a->next)))
        wrk_proc_kill(w, p, a->state == ATTEMPT_DOOMED ? "its attempt is closed" : "cancelled");
}

void wrk_attempt_kill(struct worker *w, struct attempt *a)
{
    struct proc *p = a->proc;

    if (!p) {
        wrk_attempt_free(w, a);
        return;
    }
    wrk_attempt_doom(w, a);
    wrk_proc_retract(w, p, p->pending); /* may free a */
    wrk_proc_check_head(w, p);
}

void wrk_attempt_lost(struct worker *w, struct attempt *a)
{
    wrk_attempt_kill(w, a);
    wrk_link_drop(w, "out of memory: a chunk is given up");
}

void wrk_attempt_recall(struct worker *w, struct attempt *a, const struct wire_item *i)
{
    uint64_t from = i->first > a->run.first ? i->first : a->run.first;
    struct proc *p = a->proc;

    if (i->why == WIRE_WHY_CANCEL && !wrk_attempt_kill_add(a, from, i->count ? i->first + i->count : UINT64_MAX)) {
        wrk_attempt_lost(w, a);
        return;
    }
    if (p && a->pushed > from) {        /* what was pushed behind it comes back first, as rings give back from the end */
        uint64_t behind = a->pushed - (from > a->next ? from : a->next);

        for (struct list_node *n = a->node.next; n != &p->attempts.head; n = n->next) {
            struct attempt *b = LIST_ENTRY(n, struct attempt, node);

            behind += b->pushed - b->next;
        }
        wrk_proc_retract(w, p, (uint32_t)behind);
    }
    if (from < a->recall_from)
        a->recall_from = from;
    if (i->why != WIRE_WHY_QUEUED)
        wrk_attempt_return(w, a, from);
    else if (a->pushed < a->end && from < a->end)       /* the answer says it */
        give_back_rest(w, a, from > a->pushed ? from : a->pushed);
    if (p && a->proc == p)
        wrk_proc_check_head(w, p);
}

void wrk_attempt_hand_back(struct worker *w, struct attempt *a)
{
    const struct wire_item all = { .id = a->id, .first = a->run.first, .why = WIRE_WHY_DRAIN };

    if (a->state != ATTEMPT_FINISHED)
        wrk_attempt_recall(w, a, &all);
}
