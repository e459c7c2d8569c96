/* SPDX-License-Identifier: MPL-2.0
 * grant.c - grants are made anew: which pools are looked at, and what each is told that it has. How many slots each should have
 * is decided in rules/share.c, where they come from and go to in rules/place.c.
 *
 * A pool whose client is disconnected, or does not fetch its outcomes, is dispatched nothing, so it claims nothing, like one
 * without work.
 *
 * Only active pools are looked at: those that have slots, and of those that have tasks, or have changed, some of each owner,
 * which take turns (owner.later): more than there is room for cost no more. The others are told what they would have, which
 * changes only with them, and with workers: then all are looked at, a few in each turn (brk_offers_run).
 */
#include "rules.h"

#define RETRY_NS (10 * CLOCK_MS)
#define LOOK 256u                   /* pools without slots that are looked at in a run, of all owners; … */
#define LOOK_LEAST 16u              /* … of each */

/* What a pool is told that it has: its slots, or without work those it would be given alone. */
static void offer(struct broker *b, struct pool *p, uint32_t total)
{
    uint64_t wanted = brk_pool_claims(p) || p->state == POOL_FAILED ? 0 : brk_pool_wanted(b, p, total);
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
    if (p->demand || !brk_pool_claims(p) || p->state == POOL_FAILED)
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
