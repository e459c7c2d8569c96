/* SPDX-License-Identifier: MPL-2.0
 * place.c - which slots of which workers the pools give up and get, so that each comes to its target (rules/share.c).
 *
 * A slot that runs a long task goes over when that has ended: until then its lane yields it, what has not begun there is asked
 * back, and both pools hear nothing new. Invariant: the lanes' slots of a worker never exceed its slots. Without memory for a
 * lane its slots are not given; that is tried again after a pause.
 */
#include "rules.h"

uint32_t brk_slots_at_most(uint64_t a, uint64_t b) { return (uint32_t)(a < b ? a : b); }

/* Slots that run no long task. */
static uint32_t lane_spare(const struct lane *l) { return l->slots > l->n_long ? l->slots - l->n_long : 0; }

/* Gives so many of its usable slots away: those to spare now, the others when what they run has ended. How many went. */
static uint32_t lane_give(struct broker *b, struct lane *l, uint32_t n)
{
    uint32_t late = n - brk_slots_at_most(n, lane_spare(l)), now;
    bool all = n == lane_usable(l);

    for (struct list_node *m = l->live.head.prev, *before = m->prev; m != &l->live.head; m = before, before = m->prev) {
        struct attempt *a = LIST_ENTRY(m, struct attempt, in_lane);
        if (!all && (!late || !a->is_long))
            continue;
        late -= late && a->is_long;
        if (!a->recalled)
            brk_attempt_recall(b, a, a->next, WIRE_WHY_BALANCE);
    }
    now = brk_slots_at_most(n, lane_spare(l));
    brk_lane_slots(b, l, l->slots - now);
    brk_lane_yields(l, l->yields + n - now);
    return now;
}

static void shrink(struct broker *b, struct pool *p, uint64_t n)
{
    for (int late = 0; late < 2; late++)
        for (LIST_EACH(&p->lanes, k)) {
            struct lane *l = LIST_ENTRY(k, struct lane, in_pool);
            uint32_t less = brk_slots_at_most(n, late ? lane_usable(l) : brk_slots_at_most(lane_usable(l), lane_spare(l)));
            if (!n)
                return;
            if (less)
                lane_give(b, l, less);
            n -= less;
        }
}

/* So many slots are too many; what it was to yield before counts anew. */
static void pool_yields(struct broker *b, struct pool *p, uint64_t n)
{
    bool before = p->yields;

    if (!before && !n)
        return;
    for (LIST_EACH(&p->lanes, k))
        brk_lane_yields(LIST_ENTRY(k, struct lane, in_pool), 0);
    shrink(b, p, n);
    for (LIST_EACH(&p->lanes, k))
        if (before)
            brk_lane_open(b, LIST_ENTRY(k, struct lane, in_pool));
}

/* May this pool have slots there? */
static bool suits(struct broker *b, struct worker *w, struct pool *p)
{
    const struct lane *l;

    if (w->state != WORKER_READY || !brk_pool_runs_at(p, w))
        return false;
    l = brk_lane_get(b, w, p, false);
    return !l || !brk_lane_barred(b, l);
}

/* Usable slots of pools that claim none. */
static uint64_t slots_idle(struct broker *b)
{
    uint64_t sum = 0;

    for (ACTIVE_EACH(b, p)) {
        b->steps++;
        sum += brk_pool_claims(p) ? 0 : p->slots - p->yields;
    }
    return sum;
}

/* There are slots, but not where this pool can run: one that claims nothing gives of its own there to it. idle: slots_idle. True:
 * there is room now. */
static bool free_slots_for(struct broker *b, struct pool *p, uint64_t need, uint64_t *idle)
{
    uint64_t left = *idle;

    for (ACTIVE_EACH(b, from)) {
        if (!left)
            break;
        b->steps++;
        if (from->slots == from->yields || brk_pool_claims(from))
            continue;
        for (LIST_EACH(&from->lanes, n)) {
            struct lane *l = LIST_ENTRY(n, struct lane, in_pool);
            uint32_t give = brk_slots_at_most(need, lane_usable(l));
            b->steps++;
            left -= brk_slots_at_most(left, lane_usable(l));
            if (!give || !suits(b, l->worker, p))
                continue;
            *idle -= brk_slots_at_most(*idle, give);
            if (lane_give(b, l, give))
                return true;
        }
    }
    return false;
}

/* With room for this pool: where its program is already, then where most slots are free. */
static struct worker *best_worker(struct broker *b, struct pool *p, uint64_t features)
{
    struct worker *best = NULL;
    bool best_warm = false;

    for (LIST_EACH(&b->workers, n)) {
        struct worker *w = LIST_ENTRY(n, struct worker, node);
        const struct lane *l;
        bool warm;
        if (w->state != WORKER_READY || w->granted >= w->slots || !worker_has(w, features))
            continue;
        l = brk_lane_get(b, w, p, false);
        if (l && brk_lane_barred(b, l))
            continue;
        warm = l && l->spec_conn == w->conn_no;
        if (!best || warm > best_warm || (warm == best_warm && w->slots - w->granted > best->slots - best->granted)) {
            best = w;
            best_warm = warm;
        }
    }
    return best;
}

/* For those of its jobs that have the fewest slots where they can run, if there is room for them. */
static bool grow_one(struct broker *b, struct pool *p, uint64_t *need, bool alone, bool *no_memory)
{
    struct worker *best = NULL;
    uint32_t give = 1, tried = 0;
    const struct need *k;
    struct lane *l;

    while (!best && (k = brk_need_poorest(p, &tried)))
        best = best_worker(b, p, k->features);
    if (!best)
        return false;
    if (!(l = brk_lane_get(b, best, p, true))) {
        *no_memory = true;
        return false;
    }
    if (alone)
        give = best->slots - best->granted < *need ? best->slots - best->granted : (uint32_t)*need;
    brk_lane_slots(b, l, l->slots + give);
    *need -= give;
    return true;
}

/* Slots where nothing of what is due can run. */
static void leave_unfit(struct broker *b, struct pool *p)
{
    if (!p->slots || !brk_pool_claims(p) || !brk_pool_is_picky(p))
        return;
    for (LIST_EACH(&p->lanes, n)) {
        struct lane *l = LIST_ENTRY(n, struct lane, in_pool);
        b->steps++;
        if (lane_usable(l) && !brk_pool_runs_at(p, l->worker))
            lane_give(b, l, lane_usable(l));
    }
}

/* Can this lane give a slot to one at `to`, so that all that has a slot to run in keeps one? */
static bool may_move(const struct pool *p, const struct lane *l, const struct worker *to)
{
    if (!lane_usable(l))
        return false;
    for (const struct need *k = p->need; k < p->need + NEEDS_MAX; k++)
        if (brk_need_due(p, k) && worker_has(l->worker, k->features) && !worker_has(to, k->features) && brk_need_reach(p, k) < 2)
            return false;
    return true;
}

/* The pool has all its slots, but none where some of its jobs can run, though there is room: one moves. */
static void move_slots(struct broker *b, struct pool *p)
{
    if (!p->slots || p->slots < p->target || !brk_pool_claims(p) || !brk_pool_is_picky(p))
        return;
    for (struct need *k = p->need; k < p->need + NEEDS_MAX; k++) {
        const struct worker *to = brk_need_due(p, k) && !brk_need_reach(p, k) ? best_worker(b, p, k->features) : NULL;
        if (!to)
            continue;
        for (LIST_EACH(&p->lanes, n)) {
            struct lane *l = LIST_ENTRY(n, struct lane, in_pool);
            b->steps++;
            if (!may_move(p, l, to))
                continue;
            lane_give(b, l, 1);
            break;
        }
    }
}

/* Where it has no slot nothing begins, and nobody gives one for what waits there alone: what a worker has brought after our start,
 * or what was being cancelled when the slots went. It is asked back. */
static void call_back(struct broker *b, struct pool *p)
{
    for (LIST_EACH(&p->lanes, k)) {
        struct lane *l = LIST_ENTRY(k, struct lane, in_pool);
        b->steps++;
        if (!l->slots && l->worker->state == WORKER_READY && !list_in(&l->recall.node))
            brk_lane_recall(b, l, WIRE_WHY_BALANCE);
    }
}

/* False: for want of memory not all was placed. *ret_waits: a pool has no slot where it can run, and is looked at again. */
bool brk_place_run(struct broker *b, uint32_t total, bool *ret_waits)
{
    uint64_t used = 0, need = 0;
    bool alone = b->workers.count == 1, no_memory = false;

    for (ACTIVE_EACH(b, p)) {
        b->steps++;
        uint64_t most = p->target;
        if (!p->n_tasks)
            most = p->slots;
        else if (!brk_pool_claims(p) && p->state != POOL_FAILED)
            most = brk_pool_wanted(b, p, total);
        leave_unfit(b, p);
        pool_yields(b, p, p->slots > most ? p->slots - most : 0);
        move_slots(b, p);
        used += p->slots;
        need += brk_pool_claims(p) && p->target > p->slots ? p->target - p->slots : 0;
    }
    for (ACTIVE_EACH(b, p)) {
        b->steps++;
        uint64_t missing = need > total - used ? need - (total - used) : 0;
        if (missing && !brk_pool_claims(p) && p->slots) {
            used -= p->slots;
            shrink(b, p, missing);
            used += p->slots;
        }
    }
    uint64_t idle = slots_idle(b);
    for (ACTIVE_EACH(b, p)) {
        b->steps++;
        need = p->target > p->slots ? p->target - p->slots : 0;
        while (need) {
            if (grow_one(b, p, &need, alone, &no_memory))
                continue;
            if (no_memory || !idle || !free_slots_for(b, p, need, &idle))
                break;
        }
        *ret_waits |= need && !p->slots;
    }
    for (ACTIVE_EACH(b, p))
        call_back(b, p);
    return !no_memory;
}
