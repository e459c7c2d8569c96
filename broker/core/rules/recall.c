/* SPDX-License-Identifier: MPL-2.0
 * recall.c - lanes and owners whose work is asked back as far as it has not begun, a little in each turn.
 */
#include "rules.h"

bool brk_lane_recall_some(struct broker *b, struct lane *l, uint32_t *budget)
{
    struct list_node *n;

    while (l->to_recall && (n = list_last(&l->live)) && (!l->slots || l->pool->owner->full)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, in_lane);
        if (!*budget)
            return false;
        --*budget;
        b->steps++;
        l->to_recall--;
        list_remove(&l->live, n);
        list_push_front(&l->live, n);
        if (!a->recalled || !a->asked || l->why == WIRE_WHY_DRAIN)
            brk_attempt_recall(b, a, a->next, l->why);
    }
    l->to_recall = 0;
    return true;
}

/* The newest first: what was not sent goes back in front. */
void brk_lane_recall(struct broker *b, struct lane *l, uint8_t why)
{
    struct owner *o = l->pool->owner;

    l->why = why;
    l->to_recall = l->live.count;
    if (!list_in(&l->recall.node) && !brk_lane_recall_some(b, l, brk_chore_budget(b, o)))
        brk_chore_add(b, o, &l->recall, CHORE_LANE_RECALL);
}

/* What an owner has out is asked back when its account takes no more outcomes, as far as it has not begun: prefetched tasks would
 * bring many times what the account has room for. */
static void recall_full(struct broker *b, struct pool *p)
{
    for (LIST_EACH(&p->lanes, n))
        brk_lane_recall(b, LIST_ENTRY(n, struct lane, in_pool), WIRE_WHY_BALANCE);
}

bool brk_owner_wake_some(struct broker *b, struct owner *o, uint32_t *budget)
{
    struct list_node *n;

    for (; o->to_wake && (n = list_first(&o->active)); o->to_wake--) {
        struct pool *p = LIST_ENTRY(n, struct pool, active);
        if (!*budget)
            return false;
        budget_take(budget, 1 + p->lanes.count);
        b->steps++;
        list_remove(&o->active, n);
        list_push_back(&o->active, n);
        brk_pool_paused(b, p);
        if (o->full)
            recall_full(b, p);
    }
    o->to_wake = 0;
    return true;
}
