/* SPDX-License-Identifier: MPL-2.0
 * shelf.c - shelves: what a worker keeps of the specifications of one owner, which of it is in use, and which attempts wait for
 * room. How room is made before more is told: out/shelf.c.
 *
 * Invariants: pool_bytes and job_bytes are the sums of what is in the lists; known.live counts the attempts that carry `counted`.
 */
#include "model.h"

struct shelf *brk_shelf_get(struct broker *b, struct worker *w, struct account *a)
{
    struct shelf *s = map_get(&w->shelf_map, (uintptr_t)a);

    if (s)
        return s;
    if (map_reserve(&w->shelf_map, 1) < 0 || !(s = brk_mem_new_for(b, a, sizeof(*s))))
        return NULL;
    brk_account_charge(a, MAP_COST);
    s->account = brk_account_ref(a);
    s->worker = w;
    list_init(&s->lanes);
    list_init(&s->used);
    list_init(&s->idle);
    list_init(&s->crowded);
    list_push_back(&w->shelves, &s->in_worker);
    map_put(&w->shelf_map, (uintptr_t)a, s);
    return s;
}

/* Nothing is on it any more. */
static void put_away(struct broker *b, struct shelf *s)
{
    struct account *a = s->account;

    if (s->lanes.count + s->used.count + s->idle.count + s->crowded.count)
        return;
    map_take(&s->worker->shelf_map, (uintptr_t)a);
    list_remove(&s->worker->shelves, &s->in_worker);
    brk_account_release(a, MAP_COST);
    brk_mem_free_for(b, a, s, sizeof(*s));
    brk_account_unref(a);
}

/* What is crowded may find room. */
static void wake(struct broker *b, struct shelf *s)
{
    struct list_node *n;

    s->full = false;
    while ((n = list_pop(&s->crowded))) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, out);
        a->crowded = NULL;
        list_push_back(&s->worker->to_send, n);
        brk_worker_dirty(b, s->worker);
    }
}

void brk_shelves_wake(struct broker *b, struct worker *w)
{
    for (LIST_EACH(&w->shelves, n))
        wake(b, LIST_ENTRY(n, struct shelf, in_worker));
}

void brk_shelf_crowded(struct attempt *a)
{
    struct shelf *s = map_get(&a->worker->shelf_map, (uintptr_t)a->account);

    list_remove(&a->worker->to_send, &a->out);
    list_push_back(&s->crowded, &a->out);
    a->crowded = s;
}

void brk_shelf_uncrowd(struct broker *b, struct attempt *a)
{
    struct shelf *s = a->crowded;

    list_remove(&s->crowded, &a->out);
    a->crowded = NULL;
    put_away(b, s);
}

/* ---- jobs -------------------------------------------------------------------------------------------------------------------- */

void brk_shelf_drop_known(struct broker *b, struct known *k)
{
    struct shelf *s = k->shelf;

    if (!s)
        return;
    list_remove(k->live ? &s->used : &s->idle, &k->shelved);
    s->job_bytes -= k->size;
    k->shelf = NULL;
    wake(b, s);
    put_away(b, s);
}

void brk_shelf_use(struct known *k, struct attempt *a)
{
    list_remove(k->live ? &k->shelf->used : &k->shelf->idle, &k->shelved);
    list_push_back(&k->shelf->used, &k->shelved);
    k->live += !a->counted;
    a->counted = true;
}

void brk_shelf_unuse(struct broker *b, struct attempt *a)
{
    struct known *k = a->counted ? map_get(&a->worker->known_map, a->job->number) : NULL;

    a->counted = false;
    if (!k || --k->live || !k->shelf)
        return;
    list_remove(&k->shelf->used, &k->shelved);
    list_push_back(&k->shelf->idle, &k->shelved);
    wake(b, k->shelf);
}

/* ---- pools ------------------------------------------------------------------------------------------------------------------- */

void brk_shelf_drop_lane(struct broker *b, struct lane *l)
{
    struct shelf *s = l->shelf;

    if (!s)
        return;
    list_remove(&s->lanes, &l->shelved);
    s->pool_bytes -= l->size;
    l->shelf = NULL;
    put_away(b, s);
}

void brk_known_free(struct broker *b, struct known *k)
{
    struct account *a = k->account;

    brk_shelf_drop_known(b, k);
    brk_account_release(a, MAP_COST);
    brk_mem_free_for(b, a, k, sizeof(*k));
    brk_account_unref(a);
}
