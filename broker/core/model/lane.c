/* SPDX-License-Identifier: MPL-2.0
 * lane.c - lanes: one pool on one worker, with its slots. Which lane gets how many is decided in rules/grant.c.
 *
 * Invariants: worker.granted and pool.slots are the sums of their lanes' slots, pool.yields of what these give away when it has
 * ended.
 */
#include "model.h"

void brk_lane_yields(struct lane *l, uint32_t yields)
{
    l->pool->yields += yields - l->yields;
    l->yields = yields;
    if (!lane_usable(l) && list_in(&l->open))
        list_remove(&l->pool->open, &l->open);
}

void brk_lane_slots(struct broker *b, struct lane *l, uint32_t slots)
{
    if (slots == l->slots)
        return;
    if (!list_in(&l->pool->active) || l->pool->is_later)
        brk_pool_active(l->pool, false);
    l->worker->granted += slots - l->slots;
    l->pool->slots += slots - l->slots;
    l->slots = slots;
    brk_lane_grant_due(b, l);
    brk_lane_yields(l, l->yields < slots ? l->yields : slots);
    brk_lane_open(b, l);
}

struct lane *brk_lane_get(struct broker *b, struct worker *w, struct pool *p, bool make)
{
    struct lane *l = map_get(&w->lane_map, p->number);

    if (l || !make || map_reserve(&w->lane_map, 1) < 0 || !(l = brk_mem_new_for(b, p->owner->account, sizeof(*l))))
        return l;
    l->account = brk_account_ref(p->owner->account);
    brk_account_charge(l->account, MAP_COST);
    l->worker = w;
    l->pool = p;
    l->number = p->number;
    list_init(&l->live);
    list_init(&l->kept);
    list_push_back(&w->lanes, &l->in_worker);
    list_push_back(&p->lanes, &l->in_pool);
    map_put(&w->lane_map, l->number, l);
    return l;
}

/* It leaves its pool, which may have another lane there before this one is gone. */
static void lane_leaves(struct broker *b, struct lane *l)
{
    brk_lane_slots(b, l, 0);
    brk_chore_forget(b, l->pool->owner, &l->recall);
    if (list_in(&l->open))
        list_remove(&l->pool->open, &l->open);
    list_remove(&l->pool->lanes, &l->in_pool);
    map_take(&l->worker->lane_map, l->number);
    l->pool = NULL;
}

static void attempts_leave(struct lane *l)
{
    struct list_node *n;

    while ((n = list_pop(&l->live)))
        LIST_ENTRY(n, struct attempt, in_lane)->lane = NULL;
    while ((n = list_pop(&l->kept)))
        LIST_ENTRY(n, struct attempt, in_lane)->kept = NULL;
}

/* From every list; its attempts lose their lane. */
void brk_lane_free(struct broker *b, struct lane *l)
{
    struct account *a = l->account;

    attempts_leave(l);
    brk_shelf_drop_lane(b, l);
    if (l->pool)
        lane_leaves(b, l);
    if (list_in(&l->grant))
        list_remove(&l->worker->grants, &l->grant);
    list_remove(&l->worker->lanes, &l->in_worker);
    brk_account_release(a, MAP_COST);
    brk_mem_free_for(b, a, l, sizeof(*l));
    brk_account_unref(a);
}

/* The pool goes: the worker is told if it knows it. */
void brk_lane_forget(struct broker *b, struct lane *l)
{
    brk_lane_slots(b, l, 0);
    attempts_leave(l);
    l->out_bytes = l->short_ns = 0;
    l->n_long = l->n_recalled = 0;
    if (!l->worker->peer || l->spec_conn != l->worker->conn_no) {
        brk_lane_free(b, l);            /* on this connection it was not told of the pool */
        return;
    }
    lane_leaves(b, l);
    brk_shelf_drop_lane(b, l);
    brk_lane_grant_due(b, l);
}

uint32_t brk_slots_total(const struct broker *b)
{
    uint32_t sum = 0;

    for (LIST_EACH(&b->workers, n)) {
        const struct worker *w = LIST_ENTRY(n, struct worker, node);
        sum += w->state == WORKER_READY ? w->slots : 0;
    }
    return sum;
}
