/* SPDX-License-Identifier: MPL-2.0
 * shelf.c - room on a worker's shelf for a specification that is about to be sent: what is not in use there is forgotten first.
 *
 * Pools and jobs have a limit each (worker_specs). When one is reached, the worker forgets what is not in use there: a job of
 * which no attempt runs or waits there, a pool that claims no slot and of which it holds no attempt, live or finished. Both are
 * told again when they are needed. If all is in use, a job waits until one of the others is not (its attempts are in `crowded`),
 * and a pool is granted elsewhere or later, like one for whose program there is no room (brk_pool_crowded). One of each kind
 * always fits, so what is in use ends, and what waits goes on.
 *
 * What returns int: 0, BFORK_ENOMEM, or BFORK_EQUOTA: there is no room now.
 */
#include "out.h"

#define LOOK 64u                    /* at so many pools, each time at the next ones */

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
