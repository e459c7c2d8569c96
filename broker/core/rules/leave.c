/* SPDX-License-Identifier: MPL-2.0
 * leave.c - workers that go: what one had is given back a little in each turn, and meanwhile nobody finds it.
 *
 * A worker that is ending has no peer, no lanes, and is in no list and no map of workers. Its attempts stay what they are until
 * the chore comes to them: each of its tasks is in one place all the time.
 */
#include "rules.h"

#include <stdio.h>

/* What it was about to say it has. */
static void worker_untold(struct broker *b, struct worker *w)
{
    struct list_node *n;

    while ((n = list_pop(&w->told))) {
        struct holding *h = LIST_ENTRY(n, struct holding, node);
        brk_mem_free_for(b, w->account, h, sizeof(*h) + h->n * sizeof(h->items[0]));
    }
    brk_worker_behind_forget(b, w);
    w->all_told = false;
    w->unseen = 0;
    brk_chore_forget(b, &b->own, &w->join);
}

/* Attempts that are assigned stay: the client's word gives them back, or the end of the lease. */
void brk_worker_leaves(struct broker *b, struct worker *w)
{
    struct list_node *n;

    worker_untold(b, w);
    brk_shelves_wake(b, w);
    while ((n = list_first(&w->to_send)))
        brk_attempt_requeue(b, LIST_ENTRY(n, struct attempt, out), false, NULL, 0);
    while (list_pop(&w->recalls))
        ;
    while ((n = list_first(&w->closing)))
        brk_attempt_told(b, LIST_ENTRY(n, struct attempt, in_worker));
    while ((n = list_pop(&w->forget)))
        brk_known_free(b, LIST_ENTRY(n, struct known, in_worker));
    brk_said_forget(b, w);
    for (LIST_EACH_SAFE(&w->lanes, k, after)) {
        struct lane *l = LIST_ENTRY(k, struct lane, in_worker);
        if (!l->pool)
            brk_lane_free(b, l);
        else
            brk_lane_slots(b, l, 0);
    }
    w->message_bytes = w->specs = w->specs_marked = 0;
    w->specs_full = false;
    if (list_in(&w->dirty))
        list_remove(&b->dirty_workers, &w->dirty);
    brk_grant_workers_changed(b);
}

/* One thing that it had; false: it has nothing left. */
static bool end_one(struct broker *b, struct worker *w, uint32_t *budget)
{
    struct list_node *n;

    b->steps++;
    --*budget;
    if ((n = list_first(&w->attempts))) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, in_worker);
        budget_take(budget, attempt_places(a) - 1);
        brk_attempt_requeue(b, a, true, w->lost, 0);
    } else if ((n = list_pop(&w->finished))) {
        LIST_ENTRY(n, struct attempt, in_worker)->worker = NULL;
    } else if ((n = list_first(&w->closing))) {
        brk_attempt_told(b, LIST_ENTRY(n, struct attempt, in_worker));
    } else if ((n = list_pop(&w->known))) {
        struct known *k = LIST_ENTRY(n, struct known, in_worker);
        list_remove(&k->job->known, &k->in_job);
        brk_known_free(b, k);
    } else if ((n = list_pop(&w->forget))) {
        brk_known_free(b, LIST_ENTRY(n, struct known, in_worker));
    } else {
        return false;
    }
    return true;
}

bool brk_worker_end_some(struct broker *b, struct worker *w, uint32_t *budget)
{
    do
        if (!*budget)
            return false;
    while (end_one(b, w, budget));
    brk_chore_forget(b, &b->own, &w->end);
    list_remove(&b->leaving, &w->node);
    brk_worker_free(b, w);
    return true;
}

void brk_worker_end(struct broker *b, struct worker *w, const char *why)
{
    struct list_node *n;

    if (w->state == WORKER_ENDING)
        return;
    snprintf(w->lost, sizeof(w->lost), "worker %s was lost (%s) while it had this task", w->name, why);
    brk_effect_log_session(b, w->key, LOG_WARNING_, "worker %s is gone: %s", w->name, why);
    brk_worker_leaves(b, w);
    while ((n = list_first(&w->lanes)))
        brk_lane_free(b, LIST_ENTRY(n, struct lane, in_worker));
    if (w->peer)
        w->peer->worker = NULL;
    w->peer = NULL;
    brk_worker_move(w, WORKER_ON_END);
    list_remove(&b->workers, &w->node);
    list_push_back(&b->leaving, &w->node);
    brk_keyed_take(&b->worker_map, &w->by_name);
    if (!brk_worker_end_some(b, w, brk_chore_budget(b, &b->own)))
        brk_chore_add(b, &b->own, &w->end, CHORE_WORKER_END);
}
