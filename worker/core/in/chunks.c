/* SPDX-License-Identifier: MPL-2.0
 * chunks.c - attempts as the broker speaks of them: chunks come, are recalled, are closed.
 */
#include "in/in.h"

#include "bfork.h"

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
    if (!(a = wrk_attempt_new(w, j, i))) {
        wrk_link_drop(w, "out of memory");
        return;
    }
    wrk_lane_dirty(w, j->lane);
    wrk_proc_need(w, j->lane);
    if (j->refused)
        attempt_refuse(w, a, j->refused);
    else if (i->flags & WIRE_SEALED)
        attempt_refuse(w, a, "flag 8 (SEALED) is set, which this release does not know");
    else if (w->draining || j->lane->state == LANE_FAILED)
        wrk_attempt_return(w, a, a->run.first);
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

        if (a && a->state != ATTEMPT_FINISHED && i->first < a->end)
            wrk_attempt_recall(w, a, i);
        if (i->why == WIRE_WHY_QUEUED)
            answers[n++] = (struct wire_item){ .id = i->id, .first = a ? a->end : i->first + i->count };
    }
    if (!n || w->link != LINK_UP)
        return;
    struct wire_msg *answer = wrk_link_send(w, WIRE_RECALLED);

    answer->items = answers;
    answer->n_items = n;
}

void wrk_attempt_close(struct worker *w, const struct wire_item *i)
{
    struct attempt *a = map_get(&w->by_attempt, i->id);

    if (!a)
        return;
    if (a->state == ATTEMPT_FINISHED)
        wrk_attempt_free(w, a);
    else
        wrk_attempt_kill(w, a);
}
