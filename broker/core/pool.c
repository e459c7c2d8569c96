/* SPDX-License-Identifier: MPL-2.0
 * pool.c - pools: opened, told about, failed, closed. How many slots they get is decided in grant.c.
 */
#include "state.h"

#include "wire/times.h"

#include <stdio.h>

void brk_pool_tell(struct broker *b, struct pool *p)
{
    if (p->ending)
        return;
    if (!list_in(&p->state))
        list_push_back(&p->client->states, &p->state);
    brk_client_dirty(b, p->client);
}

void brk_pool_work(struct broker *b, struct pool *p)
{
    if (!list_in(&p->work) && brk_pool_ready(p) && (p->failed || !list_empty(&p->open)))
        list_push_back(&b->work, &p->work);
}

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

void brk_pool_wake(struct broker *b, struct pool *p)
{
    for (LIST_EACH(&p->lanes, n)) {
        b->steps++;
        brk_lane_open(b, LIST_ENTRY(n, struct lane, in_pool));
    }
    brk_pool_work(b, p);
}

/* A pool stops claiming: its slots go to others soon, if they want them. */
static void pool_lingers(struct broker *b)
{
    if (b->contended && b->regrant_at > b->now + LINGER_NS)
        b->regrant_at = b->now + LINGER_NS;
    if (b->regrant_at < b->tick_at)
        b->tick_at = b->regrant_at;
}

void brk_pool_tasks(struct broker *b, struct job *j, int64_t n)
{
    struct pool *p = j->pool;
    struct need *k = j->need;
    bool had = p->n_tasks, had_due = brk_need_due(p, k);

    p->n_tasks += (uint64_t)n;
    k->n_tasks += (uint64_t)n;
    if (!job_mute(j))
        brk_need_opened(p, k, n);
    if ((!had && p->n_tasks) || (!had_due && brk_need_due(p, k)))
        brk_pool_changed(b, p);
    else if (had_due && !brk_need_due(p, k))
        pool_lingers(b);
    if (b->regrant_at < b->tick_at)
        b->tick_at = b->regrant_at;
}

void brk_pool_opened(struct broker *b, struct job *j)
{
    struct pool *p = j->pool;
    bool had_due = brk_need_due(p, j->need);

    j->attached = p->client->attached;
    brk_need_opened(p, j->need, (int64_t)(j->n_queued + j->n_live));
    if (!had_due && brk_need_due(p, j->need))
        brk_pool_changed(b, p);
}

void brk_pool_paused(struct broker *b, struct pool *p)
{
    if (pool_is_paused(p)) {
        pool_lingers(b);
        return;
    }
    b->grants_dirty = b->grants_dirty || p->n_tasks;
    brk_pool_wake(b, p);
}

int brk_pool_new(struct broker *b, struct client *c, const struct wire_pool_open *o, struct pool **ret, struct refusal *r)
{
    struct account *a = c->owner->account;
    struct pool *p = brk_mem_new_for(b, a, sizeof(*p));
    struct wire_pool_spec spec;
    struct err e = { 0 };
    int rc;

    if (!p || map_reserve(&c->pools, 1) < 0 || map_reserve(&b->numbers, 1) < 0 ||
        !(p->spec = brk_bytes_copy(a, o->spec.p, o->spec.n))) {
        brk_mem_free_for(b, a, p, sizeof(*p));
        return brk_refuse(r, BFORK_ENOMEM, NULL, "the broker is out of memory");
    }
    if ((rc = wire_pool_spec_decode(p->spec->data, p->spec->size, &spec, &e)) < 0)
        rc = brk_refuse(r, rc, "spec", "POOL_OPEN %u: %s", o->pool, e.text);
    else
        rc = brk_refuse_pool_spec(&spec, r);
    if (rc < 0) {
        buf_unref(&p->spec);
        brk_mem_free_for(b, a, p, sizeof(*p));
        return rc;
    }
    if (spec.program.n == WIRE_DIGEST) {
        memcpy(p->program, spec.program.p, WIRE_DIGEST);
        p->has_program = true;
    }
    brk_account_charge(a, 2 * MAP_COST);
    brk_needs_init(p, spec.needs);
    p->client = c;
    p->owner = c->owner;
    p->handle = o->pool;
    p->number = brk_number_new(b, p);
    memcpy(p->digest, o->digest.p, WIRE_DIGEST);
    brk_copy_text(p->name, sizeof(p->name), o->name.n ? o->name : spec.program_name);
    list_init(&p->jobs);
    list_init(&p->lanes);
    list_init(&p->open);
    list_push_back(&b->pools, &p->node);
    list_push_back(&c->pool_list, &p->in_client);
    list_push_back(&c->owner->pools, &p->in_owner);
    list_push_back(&b->offers, &p->offer);
    map_put(&c->pools, p->handle, p);
    *ret = p;
    return 0;
}

/* Does the digest say what it should? It is what workers tell programs apart by. */
static int check_digest(const struct broker *b, const struct wire_pool_open *o, struct refusal *r)
{
    uint8_t digest[WIRE_DIGEST];

    if (!b->c.digest)
        return 0;
    b->c.digest(b->c.digest_ctx, o->spec.p, o->spec.n, digest);
    if (!memcmp(digest, o->digest.p, WIRE_DIGEST))
        return 0;
    return brk_refuse(r, BFORK_EINVAL, "digest", "POOL_OPEN %u: digest is not the SHA-256 of spec", o->pool);
}

int brk_pool_open(struct broker *b, struct client *c, const struct wire_msg *m, struct refusal *r)
{
    const struct wire_pool_open *o = &m->u.pool_open;
    struct pool *p = map_get(&c->pools, o->pool);
    const uint8_t *was = p ? NULL : brk_handle_was(c, true, o->pool);
    int rc;

    if (!o->processes)
        return brk_refuse(r, BFORK_EINVAL, "processes", "POOL_OPEN %u: processes is 0; say how many, or -1 for all", o->pool);
    if (o->digest.n != WIRE_DIGEST)
        return brk_refuse(r, BFORK_EINVAL, "digest", "POOL_OPEN %u: digest does not have %u bytes", o->pool, WIRE_DIGEST);
    if (p && memcmp(p->digest, o->digest.p, WIRE_DIGEST))
        return brk_refuse(r, BFORK_ESTATE, "digest", "POOL_OPEN %u: the handle is open with another digest; take a new handle",
                          o->pool);
    if (was && memcmp(was, o->digest.p, WIRE_ID))
        return brk_refuse(r, BFORK_ESTATE, "pool", "POOL_OPEN %u: the handle was another pool's; take a new one", o->pool);
    if (!p && ((rc = check_digest(b, o, r)) < 0 || (rc = brk_account_takes_pool(b, c, o->pool, o->spec.n, r)) < 0 ||
               (rc = brk_pool_new(b, c, o, &p, r)) < 0))
        return rc;
    assert(p);
    if (p->wanted != o->processes)
        brk_pool_changed(b, p);
    p->wanted = o->processes;
    p->attached = c->attached;
    brk_pool_tell(b, p);
    if (m->request && !brk_compose_pool_state(b, p, m->request))
        brk_peer_no_memory(b, c->peer);
    return 0;
}

static void pool_gone(struct broker *b, struct pool *p)
{
    struct list_node *n;

    b->grants_dirty |= p->slots > 0;
    while ((n = list_first(&p->lanes)))
        brk_lane_forget(b, LIST_ENTRY(n, struct lane, in_pool));
    if (list_in(&p->work))
        list_remove(&b->work, &p->work);
    if (list_in(&p->thirst))
        list_remove(&b->thirsty, &p->thirst);
    if (list_in(&p->state))
        list_remove(&p->client->states, &p->state);
    list_remove(&b->pools, &p->node);
    list_remove(&p->client->pool_list, &p->in_client);
    list_remove(&p->owner->pools, &p->in_owner);
    brk_pool_idle(p);
    if (list_in(&p->doubtful))
        list_remove(&b->doubtful, &p->doubtful);
    list_remove(&b->offers, &p->offer);
    if (b->n_stale > b->offers.count)
        b->n_stale = b->offers.count;
    brk_chore_forget(b, p->owner, &p->end);
    if (!p->ending) {
        map_take(&p->client->pools, p->handle);
        brk_handle_gone(p->client, true, p->handle, p->digest);
    }
    buf_unref(&p->spec);
    brk_number_free(b, p->number);
    brk_account_release(p->owner->account, 2 * MAP_COST);
    brk_chores_room(b, p->owner);
    brk_mem_free_for(b, p->owner->account, p, sizeof(*p));
}

void brk_pool_close(struct broker *b, struct pool *p)
{
    struct client *c = p->client;

    /* Its jobs end as well: nobody would acknowledge outcomes of theirs, they would fill the client's window for ever. */
    map_take(&c->pools, p->handle);
    brk_handle_gone(c, true, p->handle, p->digest);
    p->ending = true;
    c->n_tasks -= p->all_tasks;
    c->n_bytes -= p->all_bytes;
    p->owner->n_tasks -= p->all_tasks;
    p->owner->n_bytes -= p->all_bytes;
    p->owner->leaving_tasks += p->all_tasks;
    p->owner->leaving_bytes += p->all_bytes;
    if (list_in(&p->state))
        list_remove(&c->states, &p->state);
    b->grants_dirty |= p->slots || p->n_tasks;
    brk_chore_add(b, p->owner, &p->end, CHORE_POOL_END);
}

/* The jobs are gone already. */
void brk_pool_free(struct broker *b, struct pool *p)
{
    assert(list_empty(&p->jobs));
    pool_gone(b, p);
}

bool brk_pool_refuse(struct broker *b, struct pool *p, struct job *j, uint32_t *budget)
{
    int kind = p->code < 0 && p->code >= BFORK_MISMATCH ? p->code : BFORK_REFUSED;
    struct list_node *n;

    while ((n = list_first(&j->queue))) {
        struct range *r = LIST_ENTRY(n, struct range, node);
        if (!*budget || brk_reserve(b, 1, 2) < 0)
            return false;
        --*budget;
        b->steps++;
        brk_range_out(b, j, r);
        brk_outcome_text(b, j, r->s.first, r->s.count, r->s.tries, kind, p->text);
        brk_range_free(b, j, r);
    }
    return true;
}

static bool is_away(const struct worker *w) { return w->state == WORKER_SILENT || w->state == WORKER_JOINING; }

/* A pool has failed when there are ready workers and none is left that has not failed it. While one that may be able to run it is
 * on its way back, or may be (the hold lasts), it is in doubt: nothing is refused, its queue waits. */
void brk_pool_check_failed(struct broker *b, struct pool *p)
{
    uint32_t failed = 0, failed_away = 0, ready = 0, n_away = 0;
    bool was = p->failed, all;

    for (LIST_EACH(&p->lanes, n)) {
        struct lane *l = LIST_ENTRY(n, struct lane, in_pool);
        b->steps++;
        failed += l->failed && l->worker->state == WORKER_READY;
        failed_away += l->failed && is_away(l->worker);
    }
    for (LIST_EACH(&b->workers, n)) {
        if (!failed)
            break;
        b->steps++;
        ready += LIST_ENTRY(n, struct worker, node)->state == WORKER_READY;
        n_away += is_away(LIST_ENTRY(n, struct worker, node));
    }
    all = failed && failed == ready;
    p->doubt = all && (n_away > failed_away || b->now < b->hold_end);
    p->failed = all && !p->doubt;
    if ((p->failed || p->doubt) && !list_in(&p->doubtful))
        list_push_back(&b->doubtful, &p->doubtful);
    else if (!p->failed && !p->doubt && list_in(&p->doubtful))
        list_remove(&b->doubtful, &p->doubtful);
    if (p->doubt && b->now < b->hold_end && b->hold_end < b->doubt_at) {
        b->doubt_at = b->hold_end;
        if (b->doubt_at < b->tick_at)
            b->tick_at = b->doubt_at;
    }
    if (p->failed == was)
        return;
    if (!p->failed)
        p->code = 0;
    brk_pool_tell(b, p);
    brk_pool_changed(b, p);
    if (p->failed)
        brk_pool_work(b, p);    /* what waits is refused in the next flush */
}

void brk_pool_check_doubts(struct broker *b)
{
    for (LIST_EACH_SAFE(&b->doubtful, n, after)) {
        b->steps++;
        brk_pool_check_failed(b, LIST_ENTRY(n, struct pool, doubtful));
    }
}

void brk_pool_tick(struct broker *b, uint64_t *next)
{
    if (b->doubt_at <= b->now) {
        b->doubt_at = CLOCK_NEVER;
        brk_pool_check_doubts(b);
    }
    if (b->doubt_at < *next)
        *next = b->doubt_at;
}

static void say_why(struct pool *p, const struct worker *w, const struct wire_pool_failed *f)
{
    snprintf(p->text, sizeof(p->text), "%.*s (worker %s)", (int)(f->text.n < 200 ? f->text.n : 200), f->text.n ? f->text.p : "",
             w->name);
}

/* Its program has no room at that worker: that is no fault of the pool, whose work goes elsewhere or there again after a pause. */
static void not_now(struct broker *b, struct lane *l, const struct wire_pool_failed *f)
{
    struct pool *p = l->pool;
    const uint64_t first = TIME_NOT_NOW_FIRST_MS * CLOCK_MS, most = TIME_NOT_NOW_MOST_MS * CLOCK_MS;
    bool again = l->not_before && b->now < l->not_before + most;

    l->pause = !again ? first : 2 * l->pause < most ? 2 * l->pause : most;
    l->not_before = b->now + l->pause;
    if (p->code < 0 && p->code != BFORK_EAGAIN)
        return;                         /* what the client is told is the refusal of another worker */
    p->code = BFORK_EAGAIN;
    say_why(p, l->worker, f);
    brk_effect_log_of(b, l->worker->instance, WIRE_ID, LOG_INFO_, "pool %s of %s waits for worker %s: %s", p->name, p->client->name,
                      l->worker->name, p->text);
}

static void fail_lane(struct broker *b, struct lane *l, const struct wire_pool_failed *f)
{
    struct pool *p = l->pool;

    l->failed = true;
    p->code = f->code < 0 ? f->code : BFORK_REFUSED;
    say_why(p, l->worker, f);
    brk_effect_log_of(b, l->worker->instance, WIRE_ID, LOG_WARNING_, "pool %s of %s failed on worker %s: %s", p->name,
                      p->client->name,
                      l->worker->name, p->text);
}

/* Its slots go to others, and what it was given is asked back. */
static void end_lane(struct broker *b, struct lane *l)
{
    brk_lane_slots(b, l, 0);
    brk_lane_recall(b, l, WIRE_WHY_DRAIN);
    brk_pool_changed(b, l->pool);
    brk_pool_tell(b, l->pool);
    brk_pool_check_failed(b, l->pool);
}

void brk_pool_crowded(struct broker *b, struct lane *l)
{
    struct wire_pool_failed why = {
        .text = WIRE_STR("it has as many specifications of this key's pools as it keeps, and all are in use there: close pools, or "
                         "wait for those that have work"),
    };

    not_now(b, l, &why);
    end_lane(b, l);
    b->again = true;
}

void brk_pool_failed(struct broker *b, struct worker *w, const struct wire_pool_failed *f)
{
    struct lane *l = map_get(&w->lane_map, f->pool);

    if (!l)
        return;
    if (f->code == BFORK_EAGAIN)
        not_now(b, l, f);
    else
        fail_lane(b, l, f);
    end_lane(b, l);
}
