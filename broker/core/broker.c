/* SPDX-License-Identifier: MPL-2.0
 * broker.c - the doors of the core: what comes in is checked for role and session here and handed to from_client.c or
 * from_worker.c; flush goes out.
 *
 * Keeps no state of its own.
 */
#include "core.h"

#include "base/least.h"
#include "wire/times.h"


static uint32_t or32(uint32_t v, uint32_t fallback) { return v ? v : fallback; }
static uint64_t or64(uint64_t v, uint64_t fallback) { return v ? v : fallback; }
static uint64_t times4(uint64_t v) { return v > UINT64_MAX / 4 ? UINT64_MAX : 4 * v; }

int broker_new(const struct broker_config *config, struct broker **ret)
{
    struct broker *b = calloc(1, sizeof(*b));
    struct broker_config *c;
    struct times t;

    if (!b || !(b->account = brk_account_new(NULL))) {
        free(b);
        return BFORK_ENOMEM;
    }
    struct list *lists[] = { &b->owners,  &b->clients,     &b->workers,       &b->pools,         &b->all_jobs,
                             &b->cuts,    &b->dirty_peers, &b->dirty_clients, &b->dirty_workers, &b->work,
                             &b->thirsty, &b->holders,     &b->status,        &b->busy,        &b->leaving,
                             &b->offers,  &b->doubtful, &b->ended };
    b->c = *config;
    c = &b->c;
    t = (struct times){ c->heartbeat_ms, c->lease_ms, c->hold_ms };
    times_default(&t);
    c->heartbeat_ms = (uint32_t)t.heartbeat_ms;
    c->lease_ms = (uint32_t)t.lease_ms;
    c->hold_ms = (uint32_t)t.hold_ms;
    c->detach_ms = or32(c->detach_ms, TIME_DETACH_MS);
    c->detached_max = or32(c->detached_max, 1024);
    c->quota_bytes = or64(c->quota_bytes, 1ull << 30);
    c->quota_tasks = or64(c->quota_tasks, 16ull << 20);
    c->owner_quota_bytes = or64(c->owner_quota_bytes, times4(c->quota_bytes));
    c->owner_quota_tasks = or64(c->owner_quota_tasks, times4(c->quota_tasks));
    c->owner_memory = or64(c->owner_memory, c->quota_bytes > WIRE_OWNER_MEMORY / 2 ? 2 * c->quota_bytes : WIRE_OWNER_MEMORY);
    c->owner_quota_bytes = least(c->owner_quota_bytes, brk_account_requests_max(c->owner_memory));
    c->quota_bytes = least(c->quota_bytes, c->owner_quota_bytes);      /* what a session is told, it may use */
    c->quota_tasks = least(c->quota_tasks, c->owner_quota_tasks);
    c->window_bytes = or64(c->window_bytes, 8ull << 20);
    c->peer_window_bytes = or64(c->peer_window_bytes, WIRE_WINDOW_MAX);
    c->worker_memory = or64(c->worker_memory, WIRE_WORKER_MEMORY);
    c->worker_specs = or64(c->worker_specs, WIRE_SPECS_MAX);
    c->sessions_max = or32(c->sessions_max, WIRE_SESSIONS_MAX);
    c->pools_max = or32(c->pools_max, WIRE_POOLS_MAX);
    c->jobs_max = or32(c->jobs_max, WIRE_JOBS_MAX);
    c->output_window = or64(c->output_window, WIRE_OUTPUT_WINDOW);
    c->lost_limit = or32(c->lost_limit, 3);
    c->crash_limit = or32(c->crash_limit, 1);
    c->worker_window_bytes = or64(c->worker_window_bytes, 4ull << 20);
    c->target_us = or32(c->target_us, 1000);
    c->turn_steps = or32(c->turn_steps, TURN_STEPS);
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        list_init(lists[i]);
    memcpy(b->hash.k, c->secret, sizeof(b->hash.k));
    b->ranks = c->secret[0] ^ c->secret[1];
    map_init_keyed(&b->peers, &b->hash);
    map_init_keyed(&b->attempts, &b->hash);
    map_init_keyed(&b->jobs, &b->hash);
    map_init(&b->numbers);
    map_init_keyed(&b->owner_map, &b->hash);
    map_init_keyed(&b->ended_map, &b->hash);
    map_init_keyed(&b->client_map, &b->hash);
    map_init_keyed(&b->worker_map, &b->hash);
    intervals_init(&b->timers, b->ranks += 2, &b->steps);
    intervals_init(&b->parked, b->ranks += 2, &b->steps);
    list_init(&b->own.chores);
    list_init(&b->own.waiting);
    b->own.round = 1;
    b->own.refs = 1;
    b->next_attempt = c->seed;
    b->next_number = ((uint32_t)(c->epoch << 12) & 0x3fffffffu) + 1;
    b->ranges.size = sizeof(struct range);
    b->attempt_cache.size = sizeof(struct attempt);
    b->outcomes.size = sizeof(struct outcome);
    b->building = &b->batch[0];
    b->current = &b->batch[1];
    b->tick_at = b->regrant_at = b->doubt_at = CLOCK_NEVER;
    *ret = b;
    return 0;
}

void broker_free(struct broker **bp)
{
    struct broker *b = *bp;
    struct list_node *n;
    uint64_t key;
    void *p;

    if (!b)
        return;
    *bp = NULL;
    while ((n = list_first(&b->clients)))
        brk_client_end(b, LIST_ENTRY(n, struct client, node)), brk_chores_run(b, true);
    while ((n = list_first(&b->all_jobs)))
        brk_job_end(b, LIST_ENTRY(n, struct job, in_all)), brk_chores_run(b, true);
    while ((n = list_first(&b->workers)))
        brk_worker_end(b, LIST_ENTRY(n, struct worker, node), "the broker ends");
    brk_chores_run(b, true);
    for (size_t i = 0; map_next(&b->peers, &i, &key, &p);)
        map_free(&((struct peer *)p)->said), brk_account_unref(((struct peer *)p)->account), brk_mem_free(b, p,
                                                                                                          sizeof(struct peer));
    while ((n = list_pop(&b->status))) {
        struct status_request *s = LIST_ENTRY(n, struct status_request, node);
        brk_account_unref(s->account);
        brk_mem_free(b, s, sizeof(*s));
    }
    brk_ended_free(b);
    brk_effects_free(b, &b->batch[0]);
    brk_effects_free(b, &b->batch[1]);
    brk_cache_free(b, &b->ranges);
    brk_cache_free(b, &b->attempt_cache);
    brk_cache_free(b, &b->outcomes);
    map_free(&b->peers);
    map_free(&b->attempts);
    map_free(&b->jobs);
    map_free(&b->numbers);
    map_free(&b->owner_map);
    map_free(&b->client_map);
    map_free(&b->worker_map);
    for (size_t i = 0; i < sizeof(b->generic) / sizeof(b->generic[0]); i++)
        buf_unref(&b->generic[i]);
    buf_unref(&b->unreported);
    brk_account_unref(b->account);
    free(b);
}

static void begin_turn(struct broker *b, uint64_t now)
{
    if (!b->started) {
        b->started = now ? now : 1;
        b->granted_at = now;
        b->hold_end = now + b->c.hold_ms * CLOCK_MS;
    }
    if (now > b->now)
        b->now = now;
}

static void reset_peer(struct broker *b, broker_peer id, uint32_t request)
{
    struct peer p = { .id = id };
    struct wire_msg *m = brk_effect_send(b, &p, WIRE_RESET);

    if (m)
        m->request = request;
    if (m)
        m->u.error = (struct wire_error_head){ .code = BFORK_ESTATE,
                                               .text = WIRE_STR("this broker does not know the connection; say HELLO") };
}

static struct peer *peer_of(struct broker *b, broker_peer id, enum wire_role role, const uint8_t *key, const struct wire_msg *m)
{
    struct peer *p = map_get(&b->peers, id);

    if (p)
        return p;
    if (m->type != WIRE_HELLO) {
        if (m->type != WIRE_BYE && m->type != WIRE_ERROR)
            reset_peer(b, id, m->request);
        return NULL;
    }
    if (map_reserve(&b->peers, 1) < 0 || !(p = brk_mem_new(b, sizeof(*p))))
        return NULL;
    map_init_keyed(&p->said, &b->hash);
    p->id = id;
    p->role = role;
    memcpy(p->key, key, WIRE_KEY);
    map_put(&b->peers, id, p);
    return p;
}

/* The envelope's window in both directions, and the lease. */
static void envelope(struct broker *b, struct peer *p, const struct wire_msg *m)
{
    uint64_t bytes = m->body.size;
    struct worker *w = p->worker;

    for (uint32_t i = 0; i < m->n_items; i++)
        bytes += wire_item_bytes(&m->items[i]);
    p->consumed += bytes;
    if (p->consumed - p->told >= b->c.window_bytes / 4)
        brk_peer_dirty(b, p);
    if (m->ack > p->acked && m->ack <= p->sent)
        p->acked = m->ack;
    if (p->client)
        brk_said_room(b, p->client);
    if (!w)
        return;
    w->lease_end = b->now + b->c.lease_ms * CLOCK_MS;
    if (w->window_full && p->sent - p->acked <= p->window) {
        w->window_full = false;         /* its lanes left pool.open while it was, see lane_room */
        for (LIST_EACH(&w->lanes, n))
            brk_lane_open(b, LIST_ENTRY(n, struct lane, in_worker));
    }
}

/* Channels are for sessions of tasks, which there are not yet: nothing on one is done as if it had come without. */
static void other_channel(struct broker *b, struct peer *p, const struct wire_msg *m)
{
    struct refusal r;

    brk_refuse(&r, BFORK_ENOTSUP, "channel", "%s: channel is %u; this release knows no other than 0", wire_type_name(m->type),
               m->channel);
    if (m->request)
        brk_request_refused(b, p, m->request, &r);
    else
        brk_session_fail(b, p, r.code, "%s", r.text);
}

static void pong(struct broker *b, struct peer *p, const struct wire_msg *m)
{
    struct wire_msg *answer = brk_effect_send(b, p, WIRE_PONG);

    if (!answer) {
        brk_peer_no_memory(b, p);
        return;
    }
    answer->request = m->request;
    answer->u.ping.stamp = m->u.ping.stamp;
}

bool broker_broken(struct broker *b, uint64_t now, broker_peer peer, int code, const char *text)
{
    struct peer *p = map_get(&b->peers, peer);

    begin_turn(b, now);
    if (!p)
        return false;
    brk_session_fail(b, p, code, "%s", text);
    return true;
}

static void take_message(struct broker *b, struct peer *p, const struct wire_msg *m)
{
    if (p->state == PEER_NEW) {
        brk_session_hello(b, p, m);
        return;
    }
    if (m->type == WIRE_HELLO || !wire_may_send(p->role, m->type, true)) {
        brk_session_fail(b, p, BFORK_EPROTOCOL, "%s is not for this peer to send now", wire_type_name(m->type));
        return;
    }
    if (m->ack > p->sent) {
        brk_session_fail(b, p, BFORK_EPROTOCOL, "%s: ack is %llu, but only %llu bytes of lengths and bodies were sent",
                         wire_type_name(m->type), (unsigned long long)m->ack, (unsigned long long)p->sent);
        return;
    }
    envelope(b, p, m);
    if (m->channel) {
        other_channel(b, p, m);
    } else if (m->type == WIRE_PING && m->request && p->role != WIRE_WORKER) {
        pong(b, p, m);
    } else if (m->type == WIRE_PING) {
        p->pong = true;                 /* a worker's comes behind all that is due to it, which ends its doubt */
        p->stamp = m->u.ping.stamp;
        p->pong_request = m->request;
        brk_peer_dirty(b, p);
    } else if (m->type == WIRE_BYE || m->type == WIRE_ERROR) {
        brk_session_bye(b, p);
    } else if (m->type == WIRE_STATUS_GET) {
        brk_status_get(b, p, m);
    } else if (p->client) {
        brk_client_recv(b, p, m);
    } else if (p->worker) {
        brk_worker_recv(b, p, m);
    }
}

void broker_recv(struct broker *b, uint64_t now, broker_peer peer, enum wire_role role, const uint8_t key[WIRE_KEY],
                 const struct wire_msg *m)
{
    struct peer *p;

    begin_turn(b, now);
    if (!(p = peer_of(b, peer, role, key, m)) || p->state == PEER_CUT)
        return;
    take_message(b, p, m);
    brk_loan_forget(b);
}

void broker_lost(struct broker *b, uint64_t now, broker_peer peer)
{
    struct peer *p;

    begin_turn(b, now);
    if (!(p = map_get(&b->peers, peer)))
        return;
    brk_session_lost(b, p);
    brk_peer_free(b, p);
}

void broker_revoke(struct broker *b, uint64_t now, const uint8_t key[WIRE_KEY])
{
    uint64_t id;
    void *v;

    begin_turn(b, now);
    for (size_t i = 0; map_next(&b->peers, &i, &id, &v);) {
        struct peer *p = v;
        if (!memcmp(p->key, key, WIRE_KEY))
            brk_session_fail(b, p, BFORK_EDENIED, "the key of this session was revoked");
    }
    for (LIST_EACH_SAFE(&b->clients, n, after))
        if (!memcmp(LIST_ENTRY(n, struct client, node)->owner->key, key, WIRE_KEY))
            brk_client_end(b, LIST_ENTRY(n, struct client, node));
    for (LIST_EACH_SAFE(&b->workers, n, after))
        if (!memcmp(LIST_ENTRY(n, struct worker, node)->key, key, WIRE_KEY))
            brk_worker_end(b, LIST_ENTRY(n, struct worker, node), "its key was revoked");
}

void broker_stalled(struct broker *b, uint64_t from, uint64_t to)
{
    uint64_t gap = to > from ? to - from : 0;

    for (LIST_EACH(&b->workers, n))
        LIST_ENTRY(n, struct worker, node)->lease_end += gap;
    for (LIST_EACH(&b->clients, n)) {
        struct client *c = LIST_ENTRY(n, struct client, node);
        c->detached_at += gap;
        c->timer.first += gap;
    }
    for (LIST_EACH(&b->all_jobs, n)) {
        struct job *j = LIST_ENTRY(n, struct job, in_all);
        j->parked.first += gap;
        for (HELD_EACH(j, v))
            v->first += gap;    /* all of them: their order stays */
    }
    b->hold_end += gap;
    if (b->doubt_at != CLOCK_NEVER)
        b->doubt_at += gap;
}

void broker_tick(struct broker *b, uint64_t now)
{
    uint64_t next = CLOCK_NEVER;

    begin_turn(b, now);
    if (b->now < b->tick_at)
        return;
    b->tick_at = CLOCK_NEVER;           /* what is looked at below may set it anew, earlier than `next` */
    brk_job_release_held(b, &next);
    brk_session_tick(b, &next);
    brk_pool_tick(b, &next);
    if (b->regrant_at <= b->now)
        b->regrant = true;
    else if (b->regrant_at < next)
        next = b->regrant_at;
    if (next < b->tick_at)
        b->tick_at = next;
}

void broker_drain(struct broker *b, uint64_t now)
{
    begin_turn(b, now);
    b->draining = true;
    for (LIST_EACH(&b->clients, n))
        brk_client_pause(b, LIST_ENTRY(n, struct client, node));
}

bool broker_idle(const struct broker *b)
{
    for (LIST_EACH(&b->all_jobs, n)) {
        const struct job *j = LIST_ENTRY(n, struct job, in_all);
        bool waits = b->draining && j->client && client_is_dormant(j->client);    /* for a client that cannot connect any more */
        bool pending = job_tasks_pending(j) || !list_empty(&j->replays) || j->put_off;
        if ((pending && !waits) || (!list_empty(&j->outcomes) && (!b->draining || (j->client && j->client->peer))))
            return false;
    }
    return true;
}

void broker_waits(const struct broker *b, struct broker_waits *ret)
{
    *ret = (struct broker_waits){ .queued = b->n.queued, .running = b->n.running };
    for (LIST_EACH(&b->clients, n)) {
        const struct client *c = LIST_ENTRY(n, struct client, node);
        if (c->unacked && c->peer)
            ret->clients++;
        else if (c->unacked)
            ret->gone++;
    }
}

void broker_flush(struct broker *b, uint64_t now)
{
    struct batch *t = b->building;

    begin_turn(b, now);
    assert(!b->current->n);     /* broker_effects_done comes between two flushes */
    b->again = false;
    b->turn++;
    /* First what gives back or settles, so that it can be handed out in this turn; then slots, as dispatch needs them; messages
     * last, so that each peer has one of a kind. */
    brk_peers_cut_again(b);
    if (b->busy.count)
        brk_chores_run(b, false);
    if (b->grants_dirty || b->regrant)
        brk_grant_run(b);
    if (b->n_stale)
        brk_offers_run(b);
    if (b->work.count || b->thirsty.count)
        brk_dispatch_run(b);
    brk_compose_run(b);
    b->building = b->current;
    b->current = t;
}

uint64_t broker_steps(const struct broker *b) { return b->steps + b->hash.probes; }

const struct broker_effect *broker_effects(const struct broker *b, size_t *n)
{
    *n = b->current->n;
    return b->current->effects;
}

void broker_effects_done(struct broker *b) { brk_effects_clear(b, b->current); }

uint64_t broker_deadline(const struct broker *b)
{
    return b->again || b->grants_dirty || b->regrant || b->building->n || b->status.count || b->busy.count ? b->now : b->tick_at;
}
