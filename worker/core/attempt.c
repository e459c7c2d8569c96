/* SPDX-License-Identifier: MPL-2.0
 * attempt.c - the life of an attempt: taken, queued, recalled, returned, finished, closed. Who may run it is feed.c's business.
 */
#include "internal.h"

#include "bfork.h"

#include <stdlib.h>
#include <string.h>

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

static void drop_args(struct attempt *a)
{
    slice_unref(&a->lens);
    slice_unref(&a->body);
}

/* NULL: out of memory. */
static struct attempt *attempt_new(struct worker *w, struct job *j, const struct wire_item *i)
{
    struct attempt *a = attempt_alloc(w);

    if (!a)
        return NULL;
    if (!wrk_slab_copy(&w->args_lens, i->lens, &a->lens) || !wrk_slab_copy(&w->args_body, i->body, &a->body) ||
        map_put(&w->by_attempt, i->id, a) < 0) {
        drop_args(a);
        attempt_recycle(w, a);
        return NULL;
    }
    a->id = i->id;
    a->first = a->next = a->pushed = i->first;
    a->end = a->given_end = i->first + i->count;
    a->recall_from = UINT64_MAX;
    intervals_init(&a->kills, a->id, NULL);
    a->job = j;
    a->tries = i->tries;
    a->crashes = i->crashes;
    a->flags = i->flags & WIRE_FIXED;
    a->size = i->size;
    memcpy(a->ticket, i->ticket, WIRE_TICKET);
    j->refs++;
    j->lane->n_attempts++;
    list_push_back(&w->attempts, &a->all);
    return a;
}

/* Lengths and body agree; the decoder checks frames, another core in this process is trusted no more than a frame. */
static bool item_sound(const struct wire_item *i)
{
    uint64_t sum = 0;

    if (i->count == 0 || i->first + i->count < i->first)
        return false;
    if (i->flags & WIRE_FIXED)
        return i->lens.size == 0 && (uint64_t)i->size * i->count == i->body.size;
    if (i->lens.size != 4 * (size_t)i->count)
        return false;
    for (uint32_t k = 0; k < i->count; k++)
        sum += wire_len_at(i, k);
    return sum == i->body.size;
}

/* Nothing of it is begun here: the broker hears why, as the outcome of all its tasks. */
static void attempt_refuse(struct worker *w, struct attempt *a, const char *text)
{
    struct wire_outcome o = { .kind = BFORK_REFUSED, .message = WIRE_STR(text), .stage = WIRE_STR("job_spec") };

    if (!wrk_record_outcomes(w, a, &o, (uint32_t)(a->end - a->next))) {
        wrk_attempt_lost(w, a);
        return;
    }
    a->next = a->pushed = a->end;
    wrk_attempt_finish(w, a);
}

void wrk_attempt_take(struct worker *w, const struct wire_item *i)
{
    struct job *j = map_get(&w->by_job, i->job);
    struct attempt *a;

    if (!j || !item_sound(i)) {
        wrk_link_drop(w, j ? "the broker sent a chunk that contradicts itself" :
                      "the broker sent a chunk of a job that it had not described");
        return;
    }
    if (map_get(&w->by_attempt, i->id)) {
        wrk_effect_log(w, LOG_WARNING_, "ignoring a chunk that came twice");
        return;
    }
    if (!(a = attempt_new(w, j, i))) {
        wrk_link_drop(w, "out of memory");
        return;
    }
    list_push_back(&j->lane->queue, &a->node);
    a->place = ATTEMPT_QUEUED;
    a->unfinished = true;
    j->unfinished++;
    wrk_lane_dirty(w, j->lane);
    wrk_proc_need(w, j->lane);
    if (j->refused)
        attempt_refuse(w, a, j->refused);
    else if (i->flags & WIRE_SEALED)
        attempt_refuse(w, a, "flag 8 (SEALED) is set, which this release does not know");
    else if (w->draining || j->lane->state == LANE_FAILED)
        wrk_attempt_return(w, a, a->first);
}

void wrk_attempt_queue_front(struct worker *w, struct attempt *a)
{
    struct lane *l = a->job->lane;

    a->place = ATTEMPT_QUEUED;
    list_push_front(&l->queue, &a->node);
    wrk_lane_dirty(w, l);
    wrk_proc_need(w, l);
    if (a->recall_from < a->end)        /* it had been claimed when the broker wanted it back */
        wrk_attempt_return(w, a, a->recall_from);
}

static void leave_place(struct attempt *a)
{
    if (a->unfinished && --a->job->unfinished == 0)
        wrk_job_rests(a->job);
    a->unfinished = false;
    if (a->place == ATTEMPT_QUEUED)
        list_remove(&a->job->lane->queue, &a->node);
    else if (a->place == ATTEMPT_PUSHED)
        wrk_proc_detach(a->proc, a);
    a->place = ATTEMPT_FINISHED;
}

void wrk_attempt_finish(struct worker *w, struct attempt *a)
{
    a->job->lane->idle_since = w->now;
    leave_place(a);
    drop_args(a);
}

void wrk_attempt_unpush(struct attempt *a, uint64_t to)
{
    uint64_t back = a->pushed - to;

    if (a->flags & WIRE_FIXED) {
        a->body_at -= back * a->size;
    } else {
        struct wire_item i = { .lens = a->lens };

        for (uint64_t k = to - a->first; k < a->pushed - a->first; k++)
            a->body_at -= wire_len_at(&i, (uint32_t)k);
    }
    a->pushed = to;
    if (a->dead)
        a->end = to;
}

/* It ends before `from`: the broker hears, or has been told, what is given back. */
static void give_back_rest(struct worker *w, struct attempt *a, uint64_t from)
{
    struct proc *p = a->proc;

    a->end = from;
    if (a->next == a->end)
        wrk_attempt_finish(w, a);
    if (p && !p->killed)
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

static void kills_free(struct attempt *a)
{
    for (struct interval *v; (v = a->kills.root);) {
        interval_take(&a->kills, v);
        free(v);
    }
}

/* Tasks [first, end) are to be ended if they run; those that touch become one. False: out of memory. */
static bool kill_add(struct attempt *a, uint64_t first, uint64_t end)
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

static void recall(struct worker *w, struct attempt *a, const struct wire_item *i)
{
    uint64_t from = i->first > a->first ? i->first : a->first;
    struct proc *p = a->proc;

    if (i->why == WIRE_WHY_CANCEL && !kill_add(a, from, i->count ? i->first + i->count : UINT64_MAX)) {
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
    const struct wire_item all = { .id = a->id, .first = a->first, .why = WIRE_WHY_DRAIN };

    if (a->place != ATTEMPT_FINISHED)
        recall(w, a, &all);
}

void wrk_attempts_recall(struct worker *w, const struct wire_msg *m)
{
    struct wire_item *answers = NULL;
    uint32_t asked = 0, n = 0;

    for (uint32_t k = 0; k < m->n_items; k++)
        asked += m->items[k].why == WIRE_WHY_QUEUED;
    if (asked && !(answers = wrk_effect_alloc(w, asked * sizeof(*answers)))) {
        wrk_link_drop(w, "out of memory");
        return;
    }
    for (uint32_t k = 0; k < m->n_items && w->link == LINK_UP; k++) {
        const struct wire_item *i = &m->items[k];
        struct attempt *a = map_get(&w->by_attempt, i->id);

        if (a && a->place != ATTEMPT_FINISHED && i->first < a->end)
            recall(w, a, i);
        if (i->why == WIRE_WHY_QUEUED)
            answers[n++] = (struct wire_item){ .id = i->id, .first = a ? a->end : i->first + i->count };
    }
    if (!n || w->link != LINK_UP)
        return;
    struct wire_msg *answer = wrk_link_send(w, WIRE_RECALLED);

    answer->items = answers;
    answer->n_items = n;
}

void wrk_attempt_kill(struct worker *w, struct attempt *a)
{
    struct proc *p = a->proc;

    if (!p) {
        wrk_attempt_free(w, a);
        return;
    }
    map_take(&w->by_attempt, a->id);
    list_remove(&w->attempts, &a->all);
    if (list_in(&a->out))
        list_remove(&w->out, &a->out);
    wrk_records_free(w, a);
    wrk_said_free(w, a);
    a->dead = true;
    a->end = a->pushed;
    wrk_proc_retract(w, p, p->pending); /* may free a */
    wrk_proc_check_head(w, p);
}

void wrk_attempt_lost(struct worker *w, struct attempt *a)
{
    wrk_attempt_kill(w, a);
    wrk_link_drop(w, "out of memory: a chunk is given up");
}

void wrk_attempt_close(struct worker *w, const struct wire_item *i)
{
    struct attempt *a = map_get(&w->by_attempt, i->id);

    if (!a)
        return;
    if (a->place == ATTEMPT_FINISHED)
        wrk_attempt_free(w, a);
    else
        wrk_attempt_kill(w, a);
}

void wrk_attempt_free(struct worker *w, struct attempt *a)
{
    struct lane *l = a->job->lane;

    leave_place(a);
    if (!a->dead) {
        map_take(&w->by_attempt, a->id);
        list_remove(&w->attempts, &a->all);
        if (list_in(&a->out))
            list_remove(&w->out, &a->out);
    }
    wrk_records_free(w, a);
    wrk_said_free(w, a);
    kills_free(a);
    drop_args(a);
    wrk_job_unref(w, a->job);
    attempt_recycle(w, a);
    if (--l->n_attempts == 0 && !(l->bound && l->slots))
        wrk_lane_released(w, l);
}
