/* SPDX-License-Identifier: MPL-2.0
 * grant.c - how many slots of which workers each pool has.
 *
 * While there is enough, every pool with work gets what it wants, and keeps it when it has none. When claims exceed the slots:
 * pools without work give theirs back, then owners share evenly, pools share their owner's part, and what cannot be divided rotates
 * to whoever has used least slot time. A slot that runs a long task goes over when that has ended: until then its lane yields it,
 * what has not begun there is asked back, and both pools hear nothing new. A pool whose client is disconnected, or does not
 * fetch its outcomes, is dispatched nothing, so it claims nothing, like one without work.
 *
 * Invariants: the lanes' slots of a worker never exceed its slots; pool.slots is the sum of its lanes'. Without memory for a lane
 * its slots are not given; that is tried again after a pause.
 *
 * Only active pools are looked at: those that have slots, and of those that have tasks, or have changed, some of each owner, which
 * take turns (owner.later): more than there is room for cost no more. The others are told what they would have, which changes only
 * with them, and with workers: then all are looked at, a few in each turn (brk_offers_run).
 */
#include "state.h"

#define RETRY_NS (10 * CLOCK_MS)
#define LOOK 256u                   /* pools without slots that are looked at in a run, of all owners; … */
#define LOOK_LEAST 16u              /* … of each */
#define ACTIVE_EACH(b, p) struct pool *p = brk_active_next((b), NULL); p; p = brk_active_next((b), p)

/* The one behind p in the owners' lists of active pools; NULL: the first. */
struct pool *brk_active_next(const struct broker *b, const struct pool *p)
{
    const struct list_node *o = p ? &p->owner->node : b->owners.head.next, *n = p ? p->active.next : NULL;

    for (; o != &b->owners.head; o = o->next, n = NULL) {
        const struct list *active = &LIST_ENTRY(o, struct owner, node)->active;
        n = n ? n : active->head.next;
        if (n != &active->head)
            return LIST_ENTRY(n, struct pool, active);
    }
    return NULL;
}

void brk_lane_grant_due(struct broker *b, struct lane *l)
{
    if (!l->worker->peer || l->worker->state == WORKER_JOINING)
        return;
    if (!list_in(&l->grant))
        list_push_back(&l->worker->grants, &l->grant);
    brk_worker_dirty(b, l->worker);
}

void brk_lane_open(struct broker *b, struct lane *l)
{
    struct pool *p = l->pool;

    if (!p || !lane_usable(l) || l->failed || l->worker->state != WORKER_READY)
        return;
    if (!list_in(&l->open))
        list_push_back(&p->open, &l->open);
    if (p->n_tasks && lane_usable(l) > l->live.count && !brk_pool_ready_at(p, l->worker) && !list_in(&p->thirst))
        list_push_back(&b->thirsty, &p->thirst);
    brk_pool_work(b, p);
}

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
        brk_lane_free(b, l);
        return;
    }
    lane_leaves(b, l);
    brk_shelf_drop_lane(b, l);
    brk_lane_grant_due(b, l);
}

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

uint32_t brk_slots_total(const struct broker *b)
{
    uint32_t sum = 0;

    for (LIST_EACH(&b->workers, n)) {
        const struct worker *w = LIST_ENTRY(n, struct worker, node);
        sum += w->state == WORKER_READY ? w->slots : 0;
    }
    return sum;
}

/* It cannot run there: for good, or for a while. */
bool brk_lane_barred(const struct broker *b, const struct lane *l) { return l->failed || l->not_before > b->now; }

void brk_grant_workers_changed(struct broker *b)
{
    b->grants_dirty = true;
    b->n_stale = b->offers.count;
    for (LIST_EACH(&b->owners, n))
        LIST_ENTRY(n, struct owner, node)->n_fresh = LIST_ENTRY(n, struct owner, node)->later.count;
}

uint64_t brk_pool_wanted(struct broker *b, const struct pool *p, uint32_t total)
{
    bool picky = brk_pool_is_picky(p);

    b->steps++;
    for (LIST_EACH(&b->workers, n)) {
        const struct worker *w = LIST_ENTRY(n, struct worker, node);
        if (!picky)
            break;
        b->steps++;
        if (w->state == WORKER_READY && !brk_pool_runs_at(p, w))
            total -= w->slots;
    }
    for (LIST_EACH(&p->lanes, n)) {
        const struct lane *l = LIST_ENTRY(n, struct lane, in_pool);
        b->steps++;
        if (brk_lane_barred(b, l) && l->worker->state == WORKER_READY && brk_pool_runs_at(p, l->worker))
            total -= l->worker->slots;
    }
    if (p->wanted > 0)
        return (uint64_t)p->wanted < total ? (uint64_t)p->wanted : total;
    if (total <= (uint64_t)-(int64_t)p->wanted - 1)
        return total ? 1 : 0;
    return total - ((uint64_t)-(int64_t)p->wanted - 1);
}

bool brk_pool_claims(const struct pool *p)
{
    return brk_pool_tasks_due(p) && !pool_is_paused(p) && !p->client->dormant && !p->ending;
}

/* Slot time since the last run goes to the accounts of those that had work. */
void brk_share_charge(struct broker *b)
{
    uint64_t passed = b->now - b->granted_at;

    for (ACTIVE_EACH(b, p)) {
        b->steps++;
        if (!p->n_tasks)
            continue;
        p->used_ns += p->slots * passed;
        p->owner->used_ns += p->slots * passed;
    }
    b->granted_at = b->now;
}

/* Who was idle has not saved up: at most a few quanta ahead of the busy ones. */
void brk_share_level(struct broker *b)
{
    uint64_t least = UINT64_MAX;

    for (LIST_EACH(&b->owners, n)) {
        struct owner *o = LIST_ENTRY(n, struct owner, node);
        if (o->demand && o->target && o->used_ns < least)
            least = o->used_ns;
    }
    for (LIST_EACH(&b->owners, n)) {
        struct owner *o = LIST_ENTRY(n, struct owner, node);
        if (least != UINT64_MAX && o->used_ns + 4 * QUANTUM_NS < least)
            o->used_ns = least - 4 * QUANTUM_NS;
    }
}

uint64_t brk_share_demands(struct broker *b, uint32_t total, bool by_tasks)
{
    uint64_t sum = 0;

    for (LIST_EACH(&b->owners, n))
        LIST_ENTRY(n, struct owner, node)->demand = 0;
    for (ACTIVE_EACH(b, p)) {
        b->steps++;
        p->demand = brk_pool_claims(p) && !p->failed ? brk_pool_wanted(b, p, total) : 0;
        if (by_tasks && p->demand) {
            uint64_t lacks, tasks = brk_pool_tasks_somewhere(b, p, &lacks);
            p->demand = p->demand < tasks ? p->demand : tasks;
        }
        p->target = p->demand;
        p->owner->demand += p->demand;
        sum += p->demand;
    }
    return sum;
}

/* Shares `slots` among owners: even parts, no more than asked; the indivisible rest to those with the least slot time. */
void brk_share_owners(struct broker *b, uint64_t slots)
{
    bool again = true;

    for (LIST_EACH(&b->owners, n))
        LIST_ENTRY(n, struct owner, node)->target = 0;
    while (slots && again) {
        uint64_t hungry = 0, part;
        again = false;
        for (LIST_EACH(&b->owners, n)) {
            struct owner *o = LIST_ENTRY(n, struct owner, node);
            hungry += o->demand > o->target;
        }
        part = hungry ? slots / hungry : 0;
        for (LIST_EACH(&b->owners, n)) {
            struct owner *o = LIST_ENTRY(n, struct owner, node);
            uint64_t more = o->demand - o->target < part ? o->demand - o->target : part;
            o->target += more;
            slots -= more;
            again = again || more;
        }
    }
    while (slots) {
        struct owner *best = NULL;
        for (LIST_EACH(&b->owners, n)) {
            struct owner *o = LIST_ENTRY(n, struct owner, node);
            if (o->demand > o->target &&
                (!best || o->target < best->target || (o->target == best->target && o->used_ns < best->used_ns)))
                best = o;
        }
        if (!best)
            break;
        best->target++;
        slots--;
    }
}

void brk_share_pools(struct owner *o)
{
    uint64_t slots = o->target;
    bool again = true;

    for (LIST_EACH(&o->active, n))
        LIST_ENTRY(n, struct pool, active)->target = 0;
    while (slots && again) {
        uint64_t hungry = 0, part;
        again = false;
        for (LIST_EACH(&o->active, n)) {
            struct pool *p = LIST_ENTRY(n, struct pool, active);
            hungry += p->demand > p->target;
        }
        part = hungry ? slots / hungry : 0;
        for (LIST_EACH(&o->active, n)) {
            struct pool *p = LIST_ENTRY(n, struct pool, active);
            uint64_t more = p->demand - p->target < part ? p->demand - p->target : part;
            p->target += more;
            slots -= more;
            again = again || more;
        }
    }
    while (slots) {
        struct pool *best = NULL;
        for (LIST_EACH(&o->active, n)) {
            struct pool *p = LIST_ENTRY(n, struct pool, active);
            if (p->demand > p->target &&
                (!best || p->target < best->target || (p->target == best->target && p->used_ns < best->used_ns)))
                best = p;
        }
        if (!best)
            break;
        best->target++;
        slots--;
    }
}

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
        else if (!brk_pool_claims(p) && !p->failed)
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

/* What a pool is told that it has: its slots, or without work those it would be given alone. */
static void offer(struct broker *b, struct pool *p, uint32_t total)
{
    uint64_t wanted = brk_pool_claims(p) || p->failed ? 0 : brk_pool_wanted(b, p, total);
    uint32_t slots = wanted > p->slots ? (uint32_t)wanted : p->slots;
    uint64_t lacks = 0;

    if (p->wanted > 0)
        slots = brk_slots_at_most(slots, (uint64_t)p->wanted); /* it wants fewer than before, and the others still run something */
    if (p->owner->full)
        slots = 0;
    if (total && brk_pool_is_picky(p))
        brk_pool_tasks_somewhere(b, p, &lacks);
    if (slots != p->offered || lacks != p->lacks)
        brk_pool_tell(b, p);
    p->offered = slots;
    p->lacks = lacks;
}

/* The next of each owner's that wait to be looked at: as many as may get what is free, and some to change places with. */
static void admit(struct broker *b, uint32_t total)
{
    size_t each = LOOK / (b->owners.count ? b->owners.count : 1);
    uint64_t granted = 0;

    for (LIST_EACH(&b->workers, n)) {
        const struct worker *w = LIST_ENTRY(n, struct worker, node);
        granted += w->state == WORKER_READY ? w->granted : 0;
    }
    each = (each > LOOK_LEAST ? each : LOOK_LEAST) + (total > granted ? total - granted : 0);
    for (LIST_EACH(&b->owners, k)) {
        struct owner *o = LIST_ENTRY(k, struct owner, node);
        struct list_node *n;
        if (b->grants_dirty)
            o->n_vain = 0;
        for (size_t left = each; left && (n = list_first(&o->later)); left--) {
            o->n_fresh -= o->n_fresh > 0;
            brk_pool_active(LIST_ENTRY(n, struct pool, active), false);
        }
    }
}

/* True: it has looked at all of its owner's that wait, and none of them claims anything. */
static bool all_in_vain(const struct owner *o) { return o->n_vain >= o->later.count; }

/* It claims slots that there are, or will be when its pause at a worker is over. */
static bool hopes(const struct broker *b, const struct pool *p)
{
    if (p->demand || !brk_pool_claims(p) || p->failed)
        return p->demand;
    for (LIST_EACH(&p->lanes, n))
        if (LIST_ENTRY(n, struct lane, in_pool)->not_before > b->now)
            return true;
    return false;
}

static void offer_active(struct broker *b, uint32_t total)
{
    for (LIST_EACH(&b->owners, k)) {
        struct owner *o = LIST_ENTRY(k, struct owner, node);
        size_t without = 0;
        for (LIST_EACH_SAFE(&o->active, n, after)) {
            struct pool *p = LIST_ENTRY(n, struct pool, active);
            offer(b, p, total);
            if (!p->n_tasks && !p->slots) {
                brk_pool_idle(p);
            } else if (!p->slots && (++without > LOOK_LEAST || !list_empty(&o->later))) {
                brk_pool_active(p, true);
                o->n_vain = hopes(b, p) ? 0 : o->n_vain + 1;
            }
        }
        b->grants_dirty |= o->n_fresh > 0;
    }
}

/* Then a pool with work may be granted where there was no room for it. */
static uint64_t barred_until(const struct broker *b)
{
    uint64_t least = CLOCK_NEVER;

    for (ACTIVE_EACH(b, p)) {
        if (!brk_pool_claims(p))
            continue;
        for (LIST_EACH(&p->lanes, m)) {
            const struct lane *l = LIST_ENTRY(m, struct lane, in_pool);
            if (l->not_before > b->now && l->not_before < least)
                least = l->not_before;
        }
    }
    return least;
}

void brk_offers_run(struct broker *b)
{
    uint64_t until = b->steps + TURN_STEPS;
    uint32_t total = brk_slots_total(b);

    for (; b->n_stale && b->steps < until; b->n_stale--) {
        struct pool *p = LIST_ENTRY(list_pop(&b->offers), struct pool, offer);
        list_push_back(&b->offers, &p->offer);
        brk_pool_check_failed(b, p);
        if (list_in(&p->active))
            b->steps++;         /* brk_grant_run looks at it */
        else
            offer(b, p, total);
    }
    b->again |= b->n_stale > 0;
}

void brk_grant_run(struct broker *b)
{
    uint32_t total = brk_slots_total(b);
    uint64_t until;

    admit(b, total);
    b->grants_dirty = b->regrant = false;
    brk_share_charge(b);
    b->contended = brk_share_demands(b, total, false) > total;
    if (b->contended && brk_share_demands(b, total, true) > total) {
        brk_share_level(b);
        brk_share_owners(b, total);
        for (LIST_EACH(&b->owners, n))
            brk_share_pools(LIST_ENTRY(n, struct owner, node));
    }
    bool waits = false, placed = brk_place_run(b, total, &waits);
    offer_active(b, total);
    for (LIST_EACH(&b->owners, n))
        waits = waits || !all_in_vain(LIST_ENTRY(n, struct owner, node));
    b->regrant_at = !placed ? b->now + RETRY_NS : b->contended || waits ? b->now + QUANTUM_NS : CLOCK_NEVER;
    if ((until = barred_until(b)) < b->regrant_at)
        b->regrant_at = until;
    if (b->regrant_at < b->tick_at)
        b->tick_at = b->regrant_at;
}
