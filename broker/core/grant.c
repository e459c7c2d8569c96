/* SPDX-License-Identifier: MPL-2.0
 * grant.c - how many slots of which workers each pool has.
 *
 * While there is enough, every pool with work gets what it wants, and keeps it when it has none. When claims exceed the slots:
 * pools without work give theirs back, then owners share evenly, pools share their owner's part, and what cannot be divided rotates
 * to whoever has used least slot time. A pool whose client does not fetch its outcomes is dispatched nothing, so it claims nothing,
 * like one without work. Invariants: the lanes' slots of a worker never exceed its slots; pool.slots is the sum of
 * its lanes'. Without memory for a lane its slots are not given; that is tried again after a pause.
 */
#include "state.h"

#define RETRY_NS (10 * CLOCK_MS)

void lane_grant_due(struct broker *b, struct lane *l)
{
    if (!l->worker->peer || l->worker->state == WORKER_JOINING)
        return;
    if (!list_in(&l->grant))
        list_push_back(&l->worker->grants, &l->grant);
    worker_dirty(b, l->worker);
}

void lane_open(struct broker *b, struct lane *l)
{
    struct pool *p = l->pool;

    if (!p || !l->slots || l->failed || l->worker->state != WORKER_READY)
        return;
    if (!list_in(&l->open))
        list_push_back(&p->open, &l->open);
    if (list_empty(&p->ready) && p->n_tasks && l->slots > l->live.count && !list_in(&p->thirst))
        list_push_back(&b->thirsty, &p->thirst);
    pool_work(b, p);
}

void lane_slots(struct broker *b, struct lane *l, uint32_t slots)
{
    if (slots == l->slots)
        return;
    l->worker->granted += slots - l->slots;
    l->pool->slots += slots - l->slots;
    l->slots = slots;
    lane_grant_due(b, l);
    if (!slots && list_in(&l->open))
        list_remove(&l->pool->open, &l->open);
    lane_open(b, l);
}

struct lane *lane_get(struct broker *b, struct worker *w, struct pool *p, bool make)
{
    struct lane *l;

    if (p->lanes.count <= w->lanes.count) {
        for (LIST_EACH(&p->lanes, n))
            if ((l = LIST_ENTRY(n, struct lane, in_pool))->worker == w)
                return l;
    } else {
        for (LIST_EACH(&w->lanes, n))
            if ((l = LIST_ENTRY(n, struct lane, in_worker))->pool == p)
                return l;
    }
    if (!make || !(l = mem_new(b, sizeof(*l))))
        return NULL;
    l->worker = w;
    l->pool = p;
    l->number = p->number;
    list_init(&l->live);
    list_push_back(&w->lanes, &l->in_worker);
    list_push_back(&p->lanes, &l->in_pool);
    return l;
}

/* From every list; its attempts lose their lane. */
void lane_free(struct broker *b, struct lane *l)
{
    struct list_node *n;

    while ((n = list_pop(&l->live)))
        LIST_ENTRY(n, struct attempt, in_lane)->lane = NULL;
    if (l->pool) {
        lane_slots(b, l, 0);
        if (list_in(&l->open))
            list_remove(&l->pool->open, &l->open);
        list_remove(&l->pool->lanes, &l->in_pool);
    }
    if (list_in(&l->grant))
        list_remove(&l->worker->grants, &l->grant);
    list_remove(&l->worker->lanes, &l->in_worker);
    mem_free(b, l, sizeof(*l));
}

/* The pool goes: the worker is told if it knows it. */
void lane_forget(struct broker *b, struct lane *l)
{
    struct list_node *n;

    lane_slots(b, l, 0);
    while ((n = list_pop(&l->live)))
        LIST_ENTRY(n, struct attempt, in_lane)->lane = NULL;
    if (!l->worker->peer || l->spec_conn != l->worker->conn_no) {
        lane_free(b, l);
        return;
    }
    if (list_in(&l->open))
        list_remove(&l->pool->open, &l->open);
    list_remove(&l->pool->lanes, &l->in_pool);
    l->pool = NULL;
    lane_grant_due(b, l);
}

uint32_t slots_total(const struct broker *b)
{
    uint32_t sum = 0;

    for (LIST_EACH(&b->workers, n)) {
        const struct worker *w = LIST_ENTRY(n, struct worker, node);
        sum += w->state == WORKER_READY ? w->slots : 0;
    }
    return sum;
}

static uint64_t pool_wanted(const struct pool *p, uint32_t total)
{
    for (LIST_EACH(&p->lanes, n)) {
        const struct lane *l = LIST_ENTRY(n, struct lane, in_pool);
        if (l->failed && l->worker->state == WORKER_READY)
            total -= l->worker->slots;
    }
    if (p->wanted > 0)
        return (uint64_t)p->wanted < total ? (uint64_t)p->wanted : total;
    if (total <= (uint64_t)-(int64_t)p->wanted - 1)
        return total ? 1 : 0;
    return total - ((uint64_t)-(int64_t)p->wanted - 1);
}

/* It has work that may be handed out. */
static bool claims(const struct pool *p) { return p->n_tasks && !p->client->paused; }

/* Slot time since the last run goes to the accounts of those that had work. */
static void charge(struct broker *b)
{
    uint64_t passed = b->now - b->granted_at;

    for (LIST_EACH(&b->pools, n)) {
        struct pool *p = LIST_ENTRY(n, struct pool, node);
        if (!p->n_tasks)
            continue;
        p->used_ns += p->slots * passed;
        p->owner->used_ns += p->slots * passed;
    }
    b->granted_at = b->now;
}

/* Who was idle has not saved up: at most a few quanta ahead of the busy ones. */
static void level(struct broker *b)
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

static uint64_t demands(struct broker *b, uint32_t total, bool by_tasks)
{
    uint64_t sum = 0;

    for (LIST_EACH(&b->owners, n))
        LIST_ENTRY(n, struct owner, node)->demand = 0;
    for (LIST_EACH(&b->pools, n)) {
        struct pool *p = LIST_ENTRY(n, struct pool, node);
        p->demand = claims(p) && !p->failed ? pool_wanted(p, total) : 0;
        if (by_tasks && p->demand > p->n_tasks)
            p->demand = p->n_tasks;
        p->target = p->demand;
        p->owner->demand += p->demand;
        sum += p->demand;
    }
    return sum;
}

/* Shares `slots` among owners: even parts, no more than asked; the indivisible rest to those with the least slot time. */
static void share_owners(struct broker *b, uint64_t slots)
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

static void share_pools(struct owner *o)
{
    uint64_t slots = o->target;
    bool again = true;

    for (LIST_EACH(&o->pools, n))
        LIST_ENTRY(n, struct pool, in_owner)->target = 0;
    while (slots && again) {
        uint64_t hungry = 0, part;
        again = false;
        for (LIST_EACH(&o->pools, n)) {
            struct pool *p = LIST_ENTRY(n, struct pool, in_owner);
            hungry += p->demand > p->target;
        }
        part = hungry ? slots / hungry : 0;
        for (LIST_EACH(&o->pools, n)) {
            struct pool *p = LIST_ENTRY(n, struct pool, in_owner);
            uint64_t more = p->demand - p->target < part ? p->demand - p->target : part;
            p->target += more;
            slots -= more;
            again = again || more;
        }
    }
    while (slots) {
        struct pool *best = NULL;
        for (LIST_EACH(&o->pools, n)) {
            struct pool *p = LIST_ENTRY(n, struct pool, in_owner);
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

static void shrink(struct broker *b, struct pool *p, uint64_t n)
{
    for (int busy = 0; busy < 2; busy++)
        for (LIST_EACH(&p->lanes, k)) {
            struct lane *l = LIST_ENTRY(k, struct lane, in_pool);
            uint32_t less = l->slots < n ? l->slots : (uint32_t)n;
            if (!less || (!busy && l->live.count))
                continue;
            lane_slots(b, l, l->slots - less);
            n -= less;
            if (!l->slots)
                for (LIST_EACH_SAFE(&l->live, m, after)) {
                    struct attempt *a = LIST_ENTRY(m, struct attempt, in_lane);
                    if (!a->recalled)
                        attempt_recall(b, a, a->next, WIRE_WHY_BALANCE);
                }
            if (!n)
                return;
        }
}

static bool grow_one(struct broker *b, struct pool *p, uint64_t *need, bool alone, bool *no_memory)
{
    struct worker *best = NULL;
    struct lane *l;
    bool best_warm = false;
    uint32_t give = 1;

    for (LIST_EACH(&b->workers, n)) {
        struct worker *w = LIST_ENTRY(n, struct worker, node);
        bool warm;
        if (w->state != WORKER_READY || w->granted >= w->slots)
            continue;
        l = lane_get(b, w, p, false);
        if (l && l->failed)
            continue;
        warm = l && l->spec_conn == w->conn_no;
        if (!best || warm > best_warm || (warm == best_warm && w->slots - w->granted > best->slots - best->granted)) {
            best = w;
            best_warm = warm;
        }
    }
    if (!best)
        return false;
    if (!(l = lane_get(b, best, p, true))) {
        *no_memory = true;
        return false;
    }
    if (alone)
        give = best->slots - best->granted < *need ? best->slots - best->granted : (uint32_t)*need;
    lane_slots(b, l, l->slots + give);
    *need -= give;
    return true;
}

/* False: for want of memory not all was placed. */
static bool place(struct broker *b, uint32_t total)
{
    uint64_t used = 0, need = 0;
    bool alone = b->workers.count == 1, no_memory = false;

    for (LIST_EACH(&b->pools, n)) {
        struct pool *p = LIST_ENTRY(n, struct pool, node);
        uint64_t most = p->target;
        if (!p->n_tasks)
            most = p->slots;
        else if (!claims(p) && !p->failed)
            most = pool_wanted(p, total);
        if (p->slots > most)
            shrink(b, p, p->slots - most);
        used += p->slots;
        need += claims(p) && p->target > p->slots ? p->target - p->slots : 0;
    }
    for (LIST_EACH(&b->pools, n)) {
        struct pool *p = LIST_ENTRY(n, struct pool, node);
        uint64_t missing = need > total - used ? need - (total - used) : 0;
        if (missing && !claims(p) && p->slots) {
            uint64_t less = p->slots < missing ? p->slots : missing;
            shrink(b, p, less);
            used -= less;
        }
    }
    for (LIST_EACH(&b->pools, n)) {
        struct pool *p = LIST_ENTRY(n, struct pool, node);
        need = p->target > p->slots ? p->target - p->slots : 0;
        while (need && grow_one(b, p, &need, alone, &no_memory))
            ;
    }
    return !no_memory;
}

/* What a pool is told that it has: its slots, or without work those it would be given alone. */
static void offer(struct broker *b, uint32_t total)
{
    for (LIST_EACH(&b->pools, n)) {
        struct pool *p = LIST_ENTRY(n, struct pool, node);
        uint64_t wanted = claims(p) || p->failed ? 0 : pool_wanted(p, total);
        uint32_t slots = wanted > p->slots ? (uint32_t)wanted : p->slots;
        if (slots != p->offered)
            pool_tell(b, p);
        p->offered = slots;
    }
}

void grant_run(struct broker *b)
{
    uint32_t total = slots_total(b);

    b->grants_dirty = false;
    charge(b);
    b->contended = demands(b, total, false) > total;
    if (b->contended && demands(b, total, true) > total) {
        level(b);
        share_owners(b, total);
        for (LIST_EACH(&b->owners, n))
            share_pools(LIST_ENTRY(n, struct owner, node));
    }
    bool placed = place(b, total);
    offer(b, total);
    b->regrant_at = !placed ? b->now + RETRY_NS : b->contended ? b->now + QUANTUM_NS : CLOCK_NEVER;
    if (b->regrant_at < b->tick_at)
        b->tick_at = b->regrant_at;
}
