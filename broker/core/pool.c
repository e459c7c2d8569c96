/* SPDX-License-Identifier: MPL-2.0
 * pool.c - pools: opened, told about, failed, closed. How many slots they get is decided in grant.c.
 */
#include "state.h"

#include <stdio.h>

void pool_tell(struct broker *b, struct pool *p)
{
    if (!list_in(&p->state))
        list_push_back(&p->client->states, &p->state);
    client_dirty(b, p->client);
}

void pool_work(struct broker *b, struct pool *p)
{
    if (!list_in(&p->work) && !list_empty(&p->ready) && (p->failed || !list_empty(&p->open)))
        list_push_back(&b->work, &p->work);
}

void pool_wake(struct broker *b, struct pool *p)
{
    for (LIST_EACH(&p->lanes, n))
        lane_open(b, LIST_ENTRY(n, struct lane, in_pool));
    pool_work(b, p);
}

/* A pool stops claiming: its slots go to others soon, if they want them. */
static void pool_lingers(struct broker *b)
{
    if (b->contended && b->regrant_at > b->now + LINGER_NS)
        b->regrant_at = b->now + LINGER_NS;
    if (b->regrant_at < b->tick_at)
        b->tick_at = b->regrant_at;
}

void pool_tasks(struct broker *b, struct pool *p, int64_t n)
{
    bool had = p->n_tasks;

    p->n_tasks += (uint64_t)n;
    if (!had && p->n_tasks)
        b->grants_dirty = true;
    else if (had && !p->n_tasks)
        pool_lingers(b);
    if (b->regrant_at < b->tick_at)
        b->tick_at = b->regrant_at;
}

void pool_paused(struct broker *b, struct pool *p)
{
    if (p->client->paused) {
        pool_lingers(b);
        return;
    }
    b->grants_dirty = b->grants_dirty || p->n_tasks;
    pool_wake(b, p);
}

static struct pool *pool_new(struct broker *b, struct client *c, const struct wire_pool_open *o, struct err *e)
{
    struct pool *p = mem_new(b, sizeof(*p));
    struct wire_pool_spec spec;

    if (!p || map_reserve(&c->pools, 1) < 0 || !(p->spec = bytes_copy(b, o->spec.p, o->spec.n))) {
        mem_free(b, p, sizeof(*p));
        err_set(e, BFORK_ENOMEM, "out of memory");
        return NULL;
    }
    if (wire_pool_spec_decode(p->spec->data, p->spec->size, &spec, e) < 0) {
        buf_unref(&p->spec);
        mem_free(b, p, sizeof(*p));
        return NULL;
    }
    if (spec.program.n == WIRE_DIGEST) {
        memcpy(p->program, spec.program.p, WIRE_DIGEST);
        p->has_program = true;
    }
    p->client = c;
    p->owner = c->owner;
    p->handle = o->pool;
    p->number = b->next_number++;
    memcpy(p->digest, o->digest.p, WIRE_DIGEST);
    copy_text(p->name, sizeof(p->name), o->name.n ? o->name : spec.program_name);
    list_init(&p->jobs);
    list_init(&p->ready);
    list_init(&p->lanes);
    list_init(&p->open);
    list_push_back(&b->pools, &p->node);
    list_push_back(&c->pool_list, &p->in_client);
    list_push_back(&c->owner->pools, &p->in_owner);
    map_put(&c->pools, p->handle, p);
    return p;
}

void pool_open(struct broker *b, struct client *c, const struct wire_msg *m)
{
    const struct wire_pool_open *o = &m->u.pool_open;
    struct pool *p = map_get(&c->pools, o->pool);
    struct err e = { 0 };

    if (!o->pool || !o->processes || o->digest.n != WIRE_DIGEST || (p && memcmp(p->digest, o->digest.p, WIRE_DIGEST))) {
        session_fail(b, c->peer, BFORK_EPROTOCOL, "POOL_OPEN %u: %s", o->pool,
                     p ? "the handle is another pool's" : "no handle, processes or digest");
        return;
    }
    if (!p && !(p = pool_new(b, c, o, &e))) {
        session_fail(b, c->peer, e.code, "POOL_OPEN %u: %s", o->pool, e.text);
        return;
    }
    p->wanted = o->processes;
    b->grants_dirty = true;
    pool_tell(b, p);
}

static void pool_gone(struct broker *b, struct pool *p)
{
    struct list_node *n;

    while ((n = list_first(&p->lanes)))
        lane_forget(b, LIST_ENTRY(n, struct lane, in_pool));
    if (list_in(&p->work))
        list_remove(&b->work, &p->work);
    if (list_in(&p->thirst))
        list_remove(&b->thirsty, &p->thirst);
    if (list_in(&p->state))
        list_remove(&p->client->states, &p->state);
    list_remove(&b->pools, &p->node);
    list_remove(&p->client->pool_list, &p->in_client);
    list_remove(&p->owner->pools, &p->in_owner);
    map_take(&p->client->pools, p->handle);
    buf_unref(&p->spec);
    mem_free(b, p, sizeof(*p));
    b->grants_dirty = true;
}

void pool_close(struct broker *b, struct pool *p)
{
    struct list_node *n;

    /* Nobody would acknowledge outcomes of theirs: they would fill the client's window for ever. */
    while ((n = list_first(&p->jobs)))
        job_free(b, LIST_ENTRY(n, struct job, in_pool));
    pool_gone(b, p);
}

/* The jobs are gone already. */
void pool_free(struct broker *b, struct pool *p)
{
    assert(list_empty(&p->jobs));
    pool_gone(b, p);
}

void pool_refuse(struct broker *b, struct pool *p, struct job *j)
{
    int kind = p->code < 0 && p->code >= BFORK_MISMATCH ? p->code : BFORK_REFUSED;
    struct list_node *n;

    while ((n = list_first(&j->queue)) && b->outcomes.n_free) {
        struct range *r = LIST_ENTRY(n, struct range, node);
        list_remove(&j->queue, n);
        job_pending(b, j, -(int64_t)r->s.count, 0, 0, -(int64_t)span_bytes(&r->s));
        outcome_text(b, j, r->s.first, r->s.count, r->s.tries, kind, p->text);
        range_free(b, r);
    }
    if (list_empty(&j->queue) && list_in(&j->ready))
        list_remove(&p->ready, &j->ready);
}

/* A pool has failed when there are ready workers and none is left that has not failed it. */
void pool_check_failed(struct broker *b, struct pool *p)
{
    uint32_t failed = 0, ready = 0;
    bool was = p->failed;

    for (LIST_EACH(&p->lanes, n)) {
        struct lane *l = LIST_ENTRY(n, struct lane, in_pool);
        failed += l->failed && l->worker->state == WORKER_READY;
    }
    for (LIST_EACH(&b->workers, n))
        ready += LIST_ENTRY(n, struct worker, node)->state == WORKER_READY;
    p->failed = failed && failed == ready;
    if (p->failed == was)
        return;
    if (!p->failed)
        p->code = 0;
    pool_tell(b, p);
    b->grants_dirty = true;
    for (LIST_EACH(&p->jobs, n)) {
        struct job *j = LIST_ENTRY(n, struct job, in_pool);
        if (p->failed && reserve(b, 4, 4 + j->queue.count) == 0)
            pool_refuse(b, p, j);
    }
}

void pool_failed(struct broker *b, struct worker *w, const struct wire_pool_failed *f)
{
    struct lane *l = NULL;
    struct pool *p;

    for (LIST_EACH(&w->lanes, n))
        if (LIST_ENTRY(n, struct lane, in_worker)->number == f->pool)
            l = LIST_ENTRY(n, struct lane, in_worker);
    if (!l || !(p = l->pool))
        return;
    l->failed = true;
    p->code = f->code < 0 ? f->code : BFORK_REFUSED;
    snprintf(p->text, sizeof(p->text), "%s%s%.*s (worker %s)", "", "", (int)(f->text.n < 200 ? f->text.n : 200),
             f->text.n ? f->text.p : "", w->name);
    effect_log(b, LOG_WARNING_, "pool %s of %s failed on worker %s: %s", p->name, p->client->name, w->name, p->text);
    lane_slots(b, l, 0);
    for (LIST_EACH_SAFE(&l->live, n, after)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, in_lane);
        attempt_recall(b, a, a->next, WIRE_WHY_DRAIN);
    }
    b->grants_dirty = true;
    pool_tell(b, p);
    pool_check_failed(b, p);
}
