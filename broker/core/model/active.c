/* SPDX-License-Identifier: MPL-2.0
 * active.c - which pools the next grants look at (owner.active), and which wait for their turn to be looked at (owner.later).
 *
 * Only lists; what the pools get is decided in rules/grant.c. Invariant: a pool is in one of the two lists of its owner, or in
 * none; those in front of `later` that have just changed are counted in owner.n_fresh.
 */
#include "model.h"

void brk_pool_idle(struct pool *p)
{
    struct owner *o = p->owner;

    if (!list_in(&p->active))
        return;
    bool first = list_first(&o->later) == &p->active, later = p->is_later;
    list_remove(later ? &o->later : &o->active, &p->active);
    o->n_fresh = o->n_fresh < o->later.count ? o->n_fresh : o->later.count;
    if (later && o->n_vain && (!first || o->n_vain > o->later.count))
        o->n_vain--;                /* it may have been one of those */
    p->is_later = false;
}

void brk_pool_active(struct pool *p, bool later)
{
    brk_pool_idle(p);
    p->is_later = later;
    list_push_back(later ? &p->owner->later : &p->owner->active, &p->active);
}

void brk_pool_changed(struct broker *b, struct pool *p)
{
    b->grants_dirty = true;
    if (list_in(&p->active) && !p->is_later)
        return;
    brk_pool_idle(p);
    p->is_later = true;
    list_push_front(&p->owner->later, &p->active);
    p->owner->n_fresh++;
}

void brk_grant_workers_changed(struct broker *b)
{
    b->grants_dirty = true;
    b->n_stale = b->offers.count;
    for (LIST_EACH(&b->owners, n))
        LIST_ENTRY(n, struct owner, node)->n_fresh = LIST_ENTRY(n, struct owner, node)->later.count;
}

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
