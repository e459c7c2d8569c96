/* SPDX-License-Identifier: MPL-2.0
 * flow.c - see flow.h.
 */
#include "flow.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void bsh_flow_init(struct flow *f)
{
    map_init(&f->peers);
}

void bsh_flow_done(struct flow *f)
{
    uint64_t key;
    void *value;

    for (size_t i = 0; map_next(&f->peers, &i, &key, &value);)
        free(value);
    map_free(&f->peers);
}

struct flow_peer *bsh_flow_get(const struct flow *f, uint64_t peer)
{
    return map_get(&f->peers, peer);
}

struct flow_peer *bsh_flow_add(struct flow *f, uint64_t peer, enum auth_role role, struct net_listener *l, const uint8_t key[32])
{
    struct flow_peer *p = calloc(1, sizeof(*p));

    if (!p || map_put(&f->peers, peer, p) < 0) {
        free(p);
        return NULL;
    }
    p->peer = peer;
    p->limit = FLOW_BEYOND;
    p->role = role;
    p->listener = l;
    memcpy(p->key, key, 32);
    return p;
}

void bsh_flow_greeted(struct flow_peer *p, uint64_t window)
{
    p->limit = 2 * (window < WIRE_WINDOW_MAX ? window : WIRE_WINDOW_MAX) + FLOW_BEYOND;
}

void bsh_flow_remove(struct flow *f, uint64_t peer)
{
    free(map_take(&f->peers, peer));
}

static int flow_mark(struct flow_peer *p)
{
    struct wire_msg ping = { .type = WIRE_PING };
    uint64_t stamp = 0;

    if (p->stamp || p->sent - p->confirmed < FLOW_MARK || getrandom(&stamp, sizeof(stamp), 0) != sizeof(stamp))
        return 0;
    p->marked = p->sent;
    p->stamp = FLOW_STAMP | (stamp & ~FLOW_STAMP_MASK);
    ping.u.ping.stamp = p->stamp;
    return net_listener_send(p->listener, p->peer, &ping);
}

int bsh_flow_send(struct flow_peer *p, const struct wire_msg *m)
{
    int rc = net_listener_send(p->listener, p->peer, m);

    if (rc < 0)
        return rc;
    p->sent += wire_size(m);
    return flow_mark(p);
}

void bsh_flow_pong(struct flow_peer *p, uint64_t stamp)
{
    if (!p->stamp || p->stamp != stamp)
        return;
    p->confirmed = p->marked;
    p->stamp = 0;
    flow_mark(p);
}
