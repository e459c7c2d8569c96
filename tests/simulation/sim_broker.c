/* SPDX-License-Identifier: MPL-2.0
 * sim_broker.c - the broker in the simulated world: its connections, its restarts. It keeps the ticket secret and nothing else.
 */
#include "sim.h"
#include "wire/times.h"

#include "base/map.h"

#include <stdlib.h>
#include <string.h>

static void mac(void *ctx, const void *in, size_t n, uint8_t out[WIRE_TICKET])
{
    uint64_t h[2] = { map_hash_bytes(in, n) ^ *(const uint64_t *)ctx, 0 };
    h[1] = map_hash_bytes(h, sizeof(h));
    memcpy(out, h, WIRE_TICKET);
}

static void tick(struct sim *s, void *what, uint64_t life, uint64_t b);

static void schedule(struct sim *s)
{
    uint64_t at = broker_deadline(s->broker);
    if (at == CLOCK_NEVER)
        return;
    if (at <= s->now)
        at = s->now + 100000;
    if (s->broker_tick_at > s->now && s->broker_tick_at <= at)
        return;
    s->broker_tick_at = at;
    sim_at(s, at, tick, NULL, s->broker_life, 0, NULL);
}

static void tick(struct sim *s, void *what, uint64_t life, uint64_t b)
{
    (void)what, (void)b;
    if (!s->broker || life != s->broker_life || s->now < s->broker_tick_at)
        return;
    if (s->broker_stalled_until > s->now) {
        s->broker_tick_at = s->broker_stalled_until + 1;
        sim_at(s, s->broker_tick_at, tick, NULL, life, 0, NULL);
        return;
    }
    s->broker_tick_at = 0;
    broker_tick(s->broker, s->now);
    broker_perform(s);
}

void broker_start(struct sim *s)
{
    const struct broker_config config = { .epoch = sim_random(s, UINT64_MAX - 1) + 1,
                                          .seed = sim_random(s, UINT64_MAX),
                                          .secret = { sim_random(s, UINT64_MAX), sim_random(s, UINT64_MAX) },
                                          .mac = mac,
                                          .mac_ctx = &s->seed,
                                          .quota_tasks = s->window_small ? 40 : 0,
                                          .output_window = s->output_window,
                                          .turn_steps = s->turns_short ? (uint32_t)sim_random(s, 20) + 1 : 0,
                                          .worker_specs = s->seed % 3 ? 0 : 1 };      /* one of each kind at a time */
    if (broker_new(&config, &s->broker) != 0)
        abort();
    s->broker_life++;
    s->broker_tick_at = 0;
    sim_trace(s, "broker starts, epoch %llx", (unsigned long long)config.epoch);
}

static void restart(struct sim *s, void *what, uint64_t a, uint64_t b)
{
    (void)what, (void)a, (void)b;
    if (!s->broker)
        broker_start(s);
}

void broker_crash(struct sim *s, uint64_t away)
{
    if (!s->broker)
        return;
    sim_trace(s, "broker is killed");
    s->report.broker_restarts++;
    for (int i = 0; i < s->n_workers; i++)
        net_cut_worker(s, &s->workers[i]);
    for (int i = 0; i < s->n_clients; i++)
        net_cut_client(s, &s->clients[i]);
    broker_free(&s->broker);
    s->n_conns = 0;
    s->broker_stalled_until = 0;
    if (!away)
        away = sim_chance(s, 30) ? 120 * CLOCK_SEC : sim_chance(s, 60) ? 20 * CLOCK_SEC : 1 + sim_random(s, 700 * CLOCK_MS);
    sim_at(s, s->now + away, restart, NULL, 0, 0, NULL);
}

static void stall_ends(struct sim *s, void *what, uint64_t life, uint64_t from)
{
    (void)what;
    if (!s->broker || life != s->broker_life)
        return;
    broker_stalled(s->broker, from, s->now);
    broker_perform(s);
}

/* Its loop does not run for a while; what comes waits in its sockets. */
void broker_stall(struct sim *s, uint64_t ns)
{
    if (!s->broker || s->broker_stalled_until > s->now)
        return;
    sim_trace(s, "broker stalls for %llu ms", (unsigned long long)(ns / CLOCK_MS));
    s->broker_stalled_until = s->now + ns;
    sim_at(s, s->broker_stalled_until, stall_ends, NULL, s->broker_life, s->now, NULL);
}

/* While the broker stalls, this happens behind it. */
bool broker_later(struct sim *s, void (*run)(struct sim *, void *, uint64_t, uint64_t), void *what, uint64_t a, uint64_t frame)
{
    if (!s->broker || s->broker_stalled_until <= s->now)
        return false;
    sim_at(s, s->broker_stalled_until + 1, run, what, a, 0, frame ? buf_ref((struct buf *)(uintptr_t)frame) : NULL);
    return true;
}

/* The key is taken from the allow file and, for workers, put there again at once: their sessions have ended all the same. */
void broker_revokes(struct sim *s, uint8_t byte)
{
    uint8_t key[WIRE_KEY];
    if (!s->broker || s->broker_stalled_until > s->now)
        return;
    memset(key, byte, sizeof(key));
    sim_trace(s, "key %c is revoked", byte);
    s->report.revocations++;
    for (int i = 0; i < s->n_clients; i++)
        if (byte == 'a' + i % 2)
            client_crash(s, &s->clients[i]);
    for (int i = 0; i < s->n_workers && byte == 'W'; i++)
        s->workers[i].unaware_until = s->now + TIME_LEASE_MS * CLOCK_MS;
    broker_revoke(s->broker, s->now, key);
    broker_perform(s);
}

static struct sim_client *client_of(struct sim *s, uint64_t conn)
{
    for (int i = 0; i < s->n_clients; i++)
        if (s->clients[i].there.conn == conn)
            return &s->clients[i];
    return NULL;
}

static struct sim_worker *worker_of(struct sim *s, uint64_t conn)
{
    for (int i = 0; i < s->n_workers; i++)
        if (s->workers[i].there.conn == conn)
            return &s->workers[i];
    return NULL;
}

/* A message has arrived at its host; it is read in order, when the program looks. */
static void read_client(struct sim *s, void *what, uint64_t a, uint64_t b)
{
    struct sim_client *c = what;
    (void)a, (void)b;
    if (c->stalled_until > s->now) {
        sim_at(s, c->stalled_until + 1, read_client, c, 0, 0, NULL);
        return;
    }
    for (size_t i = 0; i < c->here.n_inbox; i++) {
        uint64_t conn = c->here.inbox[i].conn;
        if (c->dead || c->here.conn != conn || (c->lossy && c->there.conn != conn))
            continue;
        struct wire_msg m = net_open(s, c->here.inbox[i].frame);
        sim_trace(s, "c%d < broker  %s", c->number, wire_type_name(m.type));
        sim_trace_items(s, &m);
        session_recv(c->core, s->now, &m);
        client_perform(s, c);
    }
    net_forget(&c->here);
}

static void at_client(struct sim *s, void *what, uint64_t conn, uint64_t frame)
{
    struct sim_client *c = what;
    net_keep(&c->here, conn, (struct buf *)(uintptr_t)frame);
    if (c->stalled_until <= s->now || c->here.n_inbox == 1)
        read_client(s, c, 0, 0);
}

static void read_worker(struct sim *s, void *what, uint64_t a, uint64_t b)
{
    struct sim_worker *w = what;
    (void)a, (void)b;
    if (w->stalled_until > s->now) {
        sim_at(s, w->stalled_until + 1, read_worker, w, 0, 0, NULL);
        return;
    }
    for (size_t i = 0; i < w->here.n_inbox; i++) {
        uint64_t conn = w->here.inbox[i].conn;
        if (!w->core || w->here.conn != conn || (w->lossy && w->there.conn != conn))
            continue;
        struct wire_msg m = net_open(s, w->here.inbox[i].frame);
        sim_trace(s, "w%d < broker  %s %u", w->number, wire_type_name(m.type), m.n_items);
        sim_trace_items(s, &m);
        worker_recv(w->core, s->now, &m);
        if (m.type == WIRE_WELCOME)
            net_retry_worked(&w->retry, s->now);
        worker_perform(s, w);
    }
    net_forget(&w->here);
}

static void at_worker(struct sim *s, void *what, uint64_t conn, uint64_t frame)
{
    struct sim_worker *w = what;
    net_keep(&w->here, conn, (struct buf *)(uintptr_t)frame);
    if (w->stalled_until <= s->now || w->here.n_inbox == 1)
        read_worker(s, w, 0, 0);
}

void broker_perform(struct sim *s)
{
    size_t n;
    broker_flush(s->broker, s->now);
    const char *broken = broker_check(s->broker);
    if (broken)
        sim_fail(s, "broker: %s", broken);
    const struct broker_effect *e = broker_effects(s->broker, &n);
    for (size_t i = 0; i < n; i++) {
        struct sim_client *c = client_of(s, e[i].peer);
        struct sim_worker *w = worker_of(s, e[i].peer);
        if (e[i].type == BROKER_SEND && c)
            net_send(s, e[i].peer, &c->here, &e[i].msg, at_client, c);
        else if (e[i].type == BROKER_SEND && w)
            net_send(s, e[i].peer, &w->here, &e[i].msg, at_worker, w);
        else if (e[i].type == BROKER_CUT) {
            sim_trace(s, "broker cuts %llu: %s", (unsigned long long)e[i].peer, e[i].text ? e[i].text : "");
            if (c)
                net_cut_client(s, c);
            if (w)
                net_cut_worker(s, w);
            for (size_t k = 0; k < s->n_conns; k++)
                if (s->conns[k].conn == e[i].peer)
                    s->conns[k].delivers = false;
        } else if (e[i].type == BROKER_LOG) {
            sim_trace(s, "broker: %s", e[i].text);
        }
    }
    broker_effects_done(s->broker);
    schedule(s);
}

static void turn_ends(struct sim *s, void *what, uint64_t life, uint64_t b)
{
    (void)what, (void)b;
    if (s->broker && life == s->broker_life && !broker_later(s, turn_ends, NULL, life, 0))
        broker_perform(s);
}

void broker_drains(struct sim *s)
{
    if (sim_chance(s, 300))
        sim_at(s, s->now + sim_random(s, 400000), turn_ends, NULL, s->broker_life, 0, NULL);
    else
        broker_perform(s);
}

void broker_connection_lost(struct sim *s, uint64_t conn)
{
    bool known = false;
    for (size_t i = 0; i < s->n_conns; i++)
        if (s->conns[i].conn == conn) {
            s->conns[i] = s->conns[--s->n_conns];
            known = true;
            break;
        }
    if (!s->broker || !known)
        return;
    sim_trace(s, "broker notices the end of connection %llu", (unsigned long long)conn);
    broker_lost(s->broker, s->now, conn);
    broker_perform(s);
}
