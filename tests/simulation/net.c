/* SPDX-License-Identifier: MPL-2.0
 * net.c - connections: messages in order with random delay, encoded on the way; a cut loses what is under way and is noticed late.
 */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

void net_send(struct sim *s, uint64_t conn, struct sim_end *to, const struct wire_msg *m,
              void (*arrive)(struct sim *, void *, uint64_t, uint64_t), void *what)
{
    size_t size = wire_size(m);
    if (size == 0) {
        sim_fail(s, "a core composed a %s that breaks a limit", wire_type_name(m->type));
        return;
    }
    struct buf *frame = buf_new(size);
    if (!frame)
        abort();
    wire_encode(m, frame->data);
    frame->size = size;
    uint64_t at = s->now + 20000 + sim_random(s, sim_chance(s, 20) ? 50 * CLOCK_MS : 400000);
    if (at <= to->last)
        at = to->last + 1;
    to->last = at;
    sim_at(s, at, arrive, what, conn, 0, frame);
}

/* What a frame says; a message of ours that does not decode is a failure. */
struct wire_msg net_open(struct sim *s, struct buf *frame)
{
    struct wire_msg m = { .type = 0 };
    struct err e = { 0 };
    if (wire_decode(frame->data, frame->size, frame, s->items, &m, &e) != 0) {
        sim_fail(s, "a message of our own does not decode: %s", e.text);
        m.type = 0;
    }
    return m;
}

static void client_notices(struct sim *s, void *what, uint64_t conn, uint64_t b)
{
    struct sim_client *c = what;
    (void)b;
    if (c->here.conn != conn || c->dead)
        return;
    if (c->stalled_until > s->now)
        sim_at(s, c->stalled_until + 1, client_notices, c, conn, 0, NULL);
    else
        client_connection_lost(s, c);
}

static void worker_notices(struct sim *s, void *what, uint64_t conn, uint64_t b)
{
    struct sim_worker *w = what;
    (void)b;
    if (w->here.conn == conn)
        worker_connection_lost(s, w);
}

static void broker_notices(struct sim *s, void *what, uint64_t conn, uint64_t b)
{
    (void)what, (void)b;
    if (!broker_later(s, broker_notices, NULL, conn, 0))
        broker_connection_lost(s, conn);
}

/* When an end notices: at once, some milliseconds later, or only by its own time-outs. */
static uint64_t notice(struct sim *s)
{
    return s->now + (sim_chance(s, 700)   ? sim_random(s, CLOCK_MS)
                     : sim_chance(s, 800) ? sim_random(s, 2 * CLOCK_SEC)
                                          : 20 * CLOCK_SEC);
}

uint64_t net_connect(struct sim *s)
{
    uint64_t conn = ++s->next_conn;
    if (s->n_conns < 4096) {
        s->conns[s->n_conns].conn = conn;
        s->conns[s->n_conns++].delivers = true;
    }
    return conn;
}

bool net_delivers(const struct sim *s, uint64_t conn)
{
    for (size_t i = 0; i < s->n_conns; i++)
        if (s->conns[i].conn == conn)
            return s->conns[i].delivers;
    return false;
}

void net_keep(struct sim_end *e, uint64_t conn, struct buf *frame)
{
    if (e->n_inbox == e->inbox_capacity) {
        e->inbox_capacity = e->inbox_capacity ? 2 * e->inbox_capacity : 16;
        e->inbox = realloc(e->inbox, e->inbox_capacity * sizeof(*e->inbox));
        if (!e->inbox)
            abort();
    }
    e->inbox[e->n_inbox].conn = conn;
    e->inbox[e->n_inbox++].frame = buf_ref(frame);
}

void net_forget(struct sim_end *e)
{
    while (e->n_inbox)
        buf_unref(&e->inbox[--e->n_inbox].frame);
    free(e->inbox);
    e->inbox = NULL;
    e->inbox_capacity = 0;
}

/* What is on its way arrives all the same, or is lost, each direction by itself; nothing more is sent. */
static bool cut(struct sim *s, uint64_t conn)
{
    bool late = sim_chance(s, 500);
    for (size_t i = 0; i < s->n_conns; i++)
        if (s->conns[i].conn == conn)
            s->conns[i].delivers = late;
    s->report.cuts++;
    sim_at(s, notice(s), broker_notices, NULL, conn, 0, NULL);
    return sim_chance(s, 500);
}

void net_cut_client(struct sim *s, struct sim_client *c)
{
    uint64_t conn = c->here.conn;
    if (!conn || !c->there.conn)
        return;
    sim_trace(s, "c%d is cut from the broker", c->number);
    c->there.conn = 0;
    c->lossy = cut(s, conn);
    sim_at(s, notice(s), client_notices, c, conn, 0, NULL);
}

void net_cut_worker(struct sim *s, struct sim_worker *w)
{
    uint64_t conn = w->here.conn;
    if (!conn || !w->there.conn)
        return;
    sim_trace(s, "w%d is cut from the broker", w->number);
    w->there.conn = 0;
    w->lossy = cut(s, conn);
    sim_at(s, notice(s), worker_notices, w, conn, 0, NULL);
}
