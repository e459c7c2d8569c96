/* SPDX-License-Identifier: MPL-2.0
 * status.c - what the core tells about itself: counters, rows, questions of peers, and who may have which blob. Changes nothing.
 */
#include "core.h"

#define ANSWERS_MAX 2u              /* in one turn: an answer may be a megabyte */
#define ROWS_MAX 16384u             /* jobs looked at for one answer */

bool broker_status_wanted(struct broker *b, broker_peer *ret_peer, uint32_t *ret_request, char what[16])
{
    uint32_t before = b->status_turn == b->turn ? b->answered : 0;
    struct list_node *n = before < ANSWERS_MAX ? list_pop(&b->status) : NULL;
    struct status_request *s = n ? LIST_ENTRY(n, struct status_request, node) : NULL;
    struct account *a = s ? s->account : NULL;
    struct peer *p = s ? map_get(&b->peers, s->peer) : NULL;

    if (!s)
        return false;
    b->status_turn = b->turn;
    b->answered = before + 1;
    *ret_peer = s->peer;
    *ret_request = s->request;
    memcpy(what, s->what, sizeof(s->what));
    if (p)
        p->n_status--;
    brk_mem_free_for(b, a, s, sizeof(*s));
    brk_account_unref(a);
    return true;
}

void broker_status_answer(struct broker *b, broker_peer peer, uint32_t request, const char *json)
{
    struct peer *p = map_get(&b->peers, peer);
    size_t n = strlen(json);
    struct wire_msg *m;
    char *copy;

    if (!p || p->state != PEER_READY || !(copy = brk_effect_bytes(b, n + 1)) || !(m = brk_effect_send(b, p, WIRE_STATUS)))
        return;
    memcpy(copy, json, n + 1);
    m->request = request;
    m->u.status.json = (struct wire_str){ copy, (uint32_t)n };
}

void broker_status_refuse(struct broker *b, broker_peer peer, uint32_t request, int code, const char *text)
{
    struct peer *p = map_get(&b->peers, peer);
    struct refusal r;

    brk_refuse(&r, code, "what", "%s", text);
    if (p && p->state == PEER_READY)
        brk_request_refused(b, p, request, &r);
}

static uint64_t worker_busy(const struct worker *w) { return w->n_sent < w->slots ? w->n_sent : w->slots; }

/* What everybody may know. */
static void count_workers(const struct broker *b, struct broker_counters *ret)
{
    ret->workers = ret->slots = ret->slots_busy = 0;
    for (LIST_EACH(&b->workers, n)) {
        const struct worker *w = LIST_ENTRY(n, struct worker, node);
        if (w->state != WORKER_READY && w->state != WORKER_DRAINING)
            continue;
        ret->workers++;
        ret->slots += w->slots;
        ret->slots_busy += worker_busy(w);
    }
}

void broker_counters(const struct broker *b, struct broker_counters *ret)
{
    *ret = b->n;
    count_workers(b, ret);
    ret->clients = b->clients.count;
    ret->bytes = atomic_load_explicit(&b->account->bytes, memory_order_relaxed) + sizeof(*b) + sizeof(*b->account) +
                 map_memory(&b->peers) + map_memory(&b->attempts) + map_memory(&b->jobs);
    for (LIST_EACH(&b->workers, n))
        ret->bytes += map_memory(&LIST_ENTRY(n, struct worker, node)->known_map) +
                      map_memory(&LIST_ENTRY(n, struct worker, node)->shelf_map);
    for (LIST_EACH(&b->clients, n)) {
        const struct client *c = LIST_ENTRY(n, struct client, node);
        ret->bytes += map_memory(&c->jobs) + map_memory(&c->pools);
    }
}

void broker_owner_counters(const struct broker *b, const uint8_t key[WIRE_KEY], struct broker_counters *ret)
{
    const struct owner *o = brk_owner_find(b, key);

    *ret = (struct broker_counters){ 0 };
    count_workers(b, ret);
    ret->bytes_most = b->c.owner_memory;
    if (!o)
        return;
    ret->tasks_ok = o->done;
    ret->tasks_failed = o->failed;
    ret->clients = o->n_sessions;
    ret->queued = o->queued;
    ret->running = o->running;
    ret->bytes = brk_account_held(o->account);
}

bool broker_workers(const struct broker *b, bool (*row)(void *ctx, const struct broker_worker_row *r), void *ctx)
{
    for (LIST_EACH(&b->workers, n)) {
        const struct worker *w = LIST_ENTRY(n, struct worker, node);
        struct broker_worker_row r = { w->name,           w->host,  brk_worker_state_name(w),         w->software,
                                       w->resources,      w->slots, (uint32_t)worker_busy(w), w->tasks_done,
                                       w->attempts.count + w->finished.count, w->since, brk_account_held(w->account),
                                       w->key_exposed };
        if (!row(ctx, &r))
            return false;
    }
    return true;
}

static const char *job_state_name(const struct job *j)
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
    return j->state == JOB_CLOSED || j->state == JOB_ENDING ? "closing" : "open";
}

static bool job_show(const struct job *j, bool (*row)(void *ctx, const struct broker_job_row *r), void *ctx)
{
    struct broker_job_row r = { .pool = j->pool ? j->pool->name : "",
                                .client = j->client ? j->client->name : "",
                                .host = j->client ? j->client->host : "",
                                .state = job_state_name(j),
                                .queued = j->n_queued + j->n_held,
                                .running = j->n_live,
                                .done = j->done,
                                .failed = j->failed,
                                .total = j->total,
                                .since = j->since };
    char name[256];

    brk_copy_text(name, sizeof(name), j->spec.name);
    r.name = name;
    memcpy(r.id, j->id, WIRE_ID);
    return row(ctx, &r);
}

bool broker_jobs(struct broker *b, const uint8_t *key, bool (*row)(void *ctx, const struct broker_job_row *r), void *ctx)
{
    const struct owner *o = key ? brk_owner_find(b, key) : NULL;
    const struct list *jobs = o ? &o->jobs : &b->all_jobs;
    uint32_t looked = 0;

    if (key && !o)
        return true;
    for (LIST_EACH(jobs, n)) {
        const struct job *j = o ? LIST_ENTRY(n, struct job, in_owner) : LIST_ENTRY(n, struct job, in_all);
        b->steps++;
        if (looked++ == ROWS_MAX)
            return false;
        if (j->client && !j->client->peer && !job_tasks_pending(j))
            continue;
        if (!job_show(j, row, ctx))
            return false;
    }
    return true;
}

bool broker_keys(struct broker *b, bool (*row)(void *ctx, const struct broker_key_row *r), void *ctx)
{
    uint32_t looked = 0;

    for (LIST_EACH(&b->owners, n)) {
        const struct owner *o = LIST_ENTRY(n, struct owner, node);
        const struct broker_key_row r = { o->key, brk_account_held(o->account), o->n_sessions, o->queued, o->running };
        b->steps++;
        if (looked++ == ROWS_MAX || !row(ctx, &r))
            return false;
    }
    return true;
}

bool broker_blob_owner(const struct broker *b, broker_peer worker, const uint8_t digest[WIRE_DIGEST], const uint8_t *after,
                       uint8_t ret[WIRE_KEY])
{
    const struct peer *p = map_get(&b->peers, worker);
    bool found = false;

    if (!p || !p->worker)
        return false;
    for (LIST_EACH(&p->worker->lanes, n)) {
        const struct pool *pool = LIST_ENTRY(n, struct lane, in_worker)->pool;
        const uint8_t *key = pool ? pool->owner->key : NULL;
        if (!pool || !pool->has_program || memcmp(pool->program, digest, WIRE_DIGEST) ||
            (after && memcmp(key, after, WIRE_KEY) <= 0) || (found && memcmp(key, ret, WIRE_KEY) >= 0))
            continue;
        memcpy(ret, key, WIRE_KEY);
        found = true;
    }
    return found;
}

broker_peer broker_blob_source(const struct broker *b, const uint8_t digest[WIRE_DIGEST], broker_peer after,
                               uint8_t ret_key[WIRE_KEY])
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
            if (p->has_program && !memcmp(p->program, digest, WIRE_DIGEST)) {
                memcpy(ret_key, c->owner->key, WIRE_KEY);
                return c->peer->id;
            }
        }
    }
    return 0;
}

uint64_t broker_held(const struct broker *b, const uint8_t key[WIRE_KEY])
{
    const struct owner *o = brk_owner_find(b, key);

    if (o)
        return brk_account_held(o->account);
    for (LIST_EACH(&b->workers, n)) {
        const struct worker *w = LIST_ENTRY(n, struct worker, node);
        if (!memcmp(w->key, key, WIRE_KEY))
            return brk_account_held(w->account);
    }
    return 0;
}
