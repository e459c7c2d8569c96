/* SPDX-License-Identifier: MPL-2.0
 * share.c - how many slots each owner, and each of its pools, should have.
 *
 * While there is enough, every pool with work gets what it wants. When claims exceed the slots, owners share evenly, pools share
 * their owner's part, and what cannot be divided goes to whoever has used least slot time. Only says how many (target):
 * rules/place.c says where.
 */
#include "rules.h"

/* It cannot run there: for good, or for a while. */
bool brk_lane_barred(const struct broker *b, const struct lane *l) { return l->failed || l->not_before > b->now; }

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
        p->demand = brk_pool_claims(p) && p->state != POOL_FAILED ? brk_pool_wanted(b, p, total) : 0;
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
    while (slots && again) {            /* what one does not want is shared among the others, until nobody wants more */
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
