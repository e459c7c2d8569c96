/* SPDX-License-Identifier: MPL-2.0
 * status.c - what the core tells about itself: counters, rows, questions of peers, and who may have which blob. Changes nothing.
 */
#include "state.h"

#include <stdio.h>

void status_get(struct broker *b, struct peer *p, const struct wire_msg *m)
{
    struct status_request *s = b->status.count < 1024 ? mem_new(b, sizeof(*s)) : NULL;

    if (!s) {
        session_fail(b, p, BFORK_EAGAIN, "too many questions for the status wait already");
        return;
    }
    s->peer = p->id;
    s->request = m->request;
    copy_text(s->what, sizeof(s->what), m->u.status_get.what);
    list_push_back(&b->status, &s->node);
}

bool broker_status_wanted(struct broker *b, broker_peer *ret_peer, uint32_t *ret_request, char what[16])
{
    struct list_node *n = list_pop(&b->status);
    struct status_request *s = n ? LIST_ENTRY(n, struct status_request, node) : NULL;

    if (!s)
        return false;
    *ret_peer = s->peer;
    *ret_request = s->request;
    memcpy(what, s->what, sizeof(s->what));
    mem_free(b, s, sizeof(*s));
    return true;
}

void broker_status_answer(struct broker *b, broker_peer peer, uint32_t request, const char *json)
{
    struct peer *p = map_get(&b->peers, peer);
    size_t n = strlen(json);
    struct wire_msg *m;
    char *copy;

    if (!p || p->state != PEER_READY || !(copy = effect_bytes(b, n + 1)) || !(m = effect_send(b, p, WIRE_STATUS)))
        return;
    memcpy(copy, json, n + 1);
    m->request = request;
    m->u.status.json = (struct wire_str){ copy, (uint32_t)n };
}

static uint64_t worker_busy(const struct worker *w)
{
    uint64_t tasks = 0;

    for (LIST_EACH(&w->attempts, n)) {
        const struct attempt *a = LIST_ENTRY(n, struct attempt, in_worker);
        tasks += a->state == ATTEMPT_LIVE && a->sent ? a->end - a->next : 0;
    }
    return tasks < w->slots ? tasks : w->slots;
}

/* What is referred to, not copied: frames of the shell. Slabs are counted when they are made. */
static uint64_t foreign_bytes(const struct broker *b, const struct span *s)
{
    return (s->body.buf && s->body.buf->owner != b->account ? s->body.size : 0) +
           (s->lens.buf && s->lens.buf->owner != b->account ? s->lens.size : 0);
}

void broker_counters(const struct broker *b, struct broker_counters *ret)
{
    *ret = b->n;
    ret->clients = b->clients.count;
    ret->workers = ret->slots = ret->slots_busy = 0;
    ret->bytes = atomic_load_explicit(&b->account->bytes, memory_order_relaxed) + sizeof(*b) + sizeof(*b->account) +
                 (b->peers.capacity + b->attempts.capacity + b->jobs.capacity) * sizeof(struct map_cell);
    for (LIST_EACH(&b->workers, n)) {
        const struct worker *w = LIST_ENTRY(n, struct worker, node);
        ret->bytes += w->known_map.capacity * sizeof(struct map_cell);
        if (w->state != WORKER_READY && w->state != WORKER_DRAINING)
            continue;
        ret->workers++;
        ret->slots += w->slots;
        ret->slots_busy += worker_busy(w);
    }
    for (LIST_EACH(&b->clients, n)) {
        const struct client *c = LIST_ENTRY(n, struct client, node);
        ret->bytes += (c->jobs.capacity + c->pools.capacity) * sizeof(struct map_cell);
    }
    for (LIST_EACH(&b->all_jobs, n)) {
        const struct job *j = LIST_ENTRY(n, struct job, in_all);
        for (LIST_EACH(&j->queue, k))
            ret->bytes += foreign_bytes(b, &LIST_ENTRY(k, struct range, node)->s);
        for (LIST_EACH(&j->held, k))
            ret->bytes += foreign_bytes(b, &LIST_ENTRY(k, struct range, node)->s);
        for (LIST_EACH(&j->live, k))
            ret->bytes += foreign_bytes(b, &LIST_ENTRY(k, struct attempt, in_job)->s);
        for (LIST_EACH(&j->outcomes, k)) {
            const struct outcome *o = LIST_ENTRY(k, struct outcome, node);
            ret->bytes += o->lens.size + o->body.size;
        }
    }
}

void broker_workers(const struct broker *b, uint64_t now, void (*row)(void *ctx, const struct broker_worker_row *r), void *ctx)
{
    static const char *const states[] = { "joining", "ready", "draining", "silent" };

    (void)now;
    for (LIST_EACH(&b->workers, n)) {
        const struct worker *w = LIST_ENTRY(n, struct worker, node);
        struct broker_worker_row r = { w->name,           w->host,  states[w->state],         w->software,
                                       w->resources,      w->slots, (uint32_t)worker_busy(w), w->tasks_done,
                                       w->attempts.count, w->since };
        row(ctx, &r);
    }
}

static const char *job_state(const struct job *j)
{
    if (!j->client)
        return "parked";
    if (!j->client->peer)
        return "detached";
    if (j->n_live)
        return "running";
    if (j->n_queued)
        return j->pool && j->pool->slots ? "queued" : "waiting";
    if (j->n_held)
        return "held";
    return j->closed ? "closing" : "open";
}

void broker_jobs(const struct broker *b, uint64_t now, const uint8_t *owner, void (*row)(void *ctx, const struct broker_job_row *r),
                 void *ctx)
{
    (void)now;
    for (LIST_EACH(&b->all_jobs, n)) {
        const struct job *j = LIST_ENTRY(n, struct job, in_all);
        struct broker_job_row r = { .pool = j->pool ? j->pool->name : "",
                                    .client = j->client ? j->client->name : "",
                                    .host = j->client ? j->client->host : "",
                                    .state = job_state(j),
                                    .queued = j->n_queued + j->n_held,
                                    .running = j->n_live,
                                    .done = j->done,
                                    .failed = j->failed,
                                    .total = j->total,
                                    .since = j->since };
        char name[256];
        if (owner && memcmp(owner, j->owner->key, WIRE_KEY))
            continue;
        if (j->client && !j->client->peer && !job_tasks_pending(j))
            continue;
        copy_text(name, sizeof(name), j->spec.name);
        r.name = name;
        memcpy(r.id, j->id, WIRE_ID);
        row(ctx, &r);
    }
}

bool broker_may_pull(const struct broker *b, broker_peer worker, const uint8_t digest[WIRE_DIGEST])
{
    const struct peer *p = map_get(&b->peers, worker);

    if (!p || !p->worker)
        return false;
    for (LIST_EACH(&p->worker->lanes, n)) {
        const struct pool *pool = LIST_ENTRY(n, struct lane, in_worker)->pool;
        if (pool && pool->has_program && !memcmp(pool->program, digest, WIRE_DIGEST))
            return true;
    }
    return false;
}

broker_peer broker_blob_source(const struct broker *b, const uint8_t digest[WIRE_DIGEST], broker_peer after)
{
    bool seen = !after;

    for (LIST_EACH(&b->clients, n)) {
        const struct client *c = LIST_ENTRY(n, struct client, node);
        if (!c->peer)
            continue;
        if (!seen) {
            seen = c->peer->id == after;
            continue;
        }
        for (LIST_EACH(&c->pool_list, k)) {
            const struct pool *p = LIST_ENTRY(k, struct pool, in_client);
            if (p->has_program && !memcmp(p->program, digest, WIRE_DIGEST))
                return c->peer->id;
        }
    }
    return 0;
}

broker_peer broker_output_target(const struct broker *b, broker_peer worker, uint64_t attempt, uint32_t *ret_job)
{
    const struct peer *p = map_get(&b->peers, worker);
    const struct attempt *a = map_get(&b->attempts, attempt);

    if (!p || !a || !a->worker || a->worker != p->worker || !a->job->client || !a->job->client->peer)
        return 0;
    *ret_job = a->job->handle;
    return a->job->client->peer->id;
}
