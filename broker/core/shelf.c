/* SPDX-License-Identifier: MPL-2.0
 * shelf.c - what a worker keeps of the specifications of one owner, and what it is told to forget before it is told more.
 *
 * Pools and jobs have a limit each (worker_specs). When one is reached, the worker forgets what is not in use there: a job of
 * which no attempt runs or waits there, a pool that claims no slot and of which it holds no attempt, live or finished. Both are
 * told again when they are needed. If all is in use, a job waits until one of the others is not (its attempts are in `crowded`),
 * and a pool is granted elsewhere or later, like one for whose program there is no room (brk_pool_crowded). One of each kind always
 * fits, so what is in use ends, and what waits goes on.
 *
 * Invariants: pool_bytes and job_bytes are the sums of what is in the lists; known.live counts the attempts that carry `counted`.
 */
#include "state.h"

#include <stdio.h>

#define LOOK 64u                    /* at so many pools, each time at the next ones */

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

/* Of the jobs that are not in use the one used longest ago is forgotten. 1: one was; 0: there is none. */
static int forget_job(struct broker *b, struct shelf *s)
{
    struct list_node *n = list_first(&s->idle);
    struct worker *w = s->worker;
    struct wire_msg *m;
    struct known *k;

    if (!n)
        return 0;
    k = LIST_ENTRY(n, struct known, shelved);
    if (k->conn_no == w->conn_no) {
        if (!(m = brk_effect_send(b, w->peer, WIRE_JOB_FORGET)))
            return BFORK_ENOMEM;
        m->u.job_ref.job = k->number;
    }
    b->steps++;
    list_remove(&s->idle, n);
    s->job_bytes -= k->size;
    k->shelf = NULL;
    map_take(&w->known_map, k->number);
    list_remove(&k->job->known, &k->in_job);
    list_remove(&w->known, &k->in_worker);
    brk_known_free(b, k);
    return 1;
}

int brk_shelf_job(struct broker *b, struct known *k)
{
    struct shelf *s = k->shelf ? k->shelf : brk_shelf_get(b, k->worker, k->account);
    uint64_t size = k->job->spec_bytes->size;
    int rc = 1;

    if (k->shelf)
        return 0;
    if (!s)
        return BFORK_ENOMEM;
    while (rc > 0 && s->job_bytes && s->job_bytes + size > b->c.worker_specs)
        rc = s->full ? 0 : forget_job(b, s);
    if (rc <= 0) {
        s->full = rc == 0;
        return rc ? rc : BFORK_EQUOTA;
    }
    k->shelf = s;
    k->size = (uint32_t)size;
    s->job_bytes += size;
    list_push_back(&s->idle, &k->shelved);
    return 0;
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

/* A pool that neither claims slots nor has an attempt there is forgotten: the first of the next LOOK. 1: one was; 0: there is none
 * among them. */
static int forget_pool(struct broker *b, struct shelf *s)
{
    struct worker *w = s->worker;

    for (size_t left = s->lanes.count < LOOK ? s->lanes.count : LOOK; left; left--) {
        struct list_node *n = list_first(&s->lanes);
        struct lane *l = LIST_ENTRY(n, struct lane, shelved);
        struct wire_msg *m;
        b->steps++;
        list_remove(&s->lanes, n);
        list_push_back(&s->lanes, n);
        if (brk_pool_claims(l->pool) || !list_empty(&l->live) || !list_empty(&l->kept))
            continue;
        if (l->spec_conn == w->conn_no) {
            if (!(m = brk_effect_send(b, w->peer, WIRE_GRANT)))
                return BFORK_ENOMEM;
            m->u.grant = (struct wire_grant){ .pool = l->number };
        }
        l->spec_conn = 0;
        l->forgotten++;             /* and its jobs with it */
        list_remove(&s->lanes, n);
        s->pool_bytes -= l->size;
        l->shelf = NULL;
        brk_lane_slots(b, l, 0);
        b->grants_dirty = b->again = true;
        return 1;
    }
    return 0;
}

int brk_shelf_pool(struct broker *b, struct lane *l)
{
    struct shelf *s = l->shelf ? l->shelf : brk_shelf_get(b, l->worker, l->account);
    uint64_t size = l->pool->spec->size;
    int rc = 1;

    if (l->shelf)
        return 0;
    if (!s)
        return BFORK_ENOMEM;
    while (rc > 0 && s->pool_bytes && s->pool_bytes + size > b->c.worker_specs)
        rc = forget_pool(b, s);
    if (rc <= 0)
        return rc ? rc : BFORK_EQUOTA;
    l->shelf = s;
    l->size = (uint32_t)size;
    s->pool_bytes += size;
    list_push_back(&s->lanes, &l->shelved);
    return 0;
}

bool brk_shelves_check(struct broker *b, const struct worker *w)
{
    for (LIST_EACH(&w->shelves, n)) {
        const struct shelf *s = LIST_ENTRY(n, struct shelf, in_worker);
        uint64_t pools = 0, jobs = 0;
        for (LIST_EACH(&s->lanes, k))
            pools += LIST_ENTRY(k, struct lane, shelved)->size;
        for (LIST_EACH(&s->used, k))
            jobs += LIST_ENTRY(k, struct known, shelved)->live ? LIST_ENTRY(k, struct known, shelved)->size : 0;
        for (LIST_EACH(&s->idle, k))
            jobs += LIST_ENTRY(k, struct known, shelved)->live ? 0 : LIST_ENTRY(k, struct known, shelved)->size;
        if (pools == s->pool_bytes && jobs == s->job_bytes && (!s->full || s->used.count + s->idle.count))
            continue;
        snprintf(b->check_text, sizeof(b->check_text), "specifications at worker %s: pools %llu/%llu jobs %llu/%llu", w->name,
                 (unsigned long long)pools, (unsigned long long)s->pool_bytes, (unsigned long long)jobs,
                 (unsigned long long)s->job_bytes);
        return false;
    }
    return true;
}
