/* SPDX-License-Identifier: MPL-2.0
 * attempt.c - attempts as objects: made, finished, freed; which of their tasks are to be killed. Who may run them is decided above.
 */
#include "model/model.h"

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
struct attempt *wrk_attempt_new(struct worker *w, struct job *j, const struct wire_item *i)
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
