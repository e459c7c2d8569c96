/* SPDX-License-Identifier: MPL-2.0
 * flow.h - the shell's record of each connection, and how many bytes are on the way to it.
 *
 * Tasks and outcomes are bounded by the windows of the core. Everything together is bounded here: behind FLOW_MARK bytes and more
 * goes a PING with a stamp nobody can guess, and its PONG says that everything before it was read. One such mark is on the way at a
 * time. Blobs wait for it; who does not read what else was sent, up to a limit, is cut.
 */
#ifndef BROKER_FLOW_H
#define BROKER_FLOW_H

#include "auth.h"
#include "base/map.h"
#include "wire/wire.h"

#define FLOW_MARK 262144u
#define FLOW_BEYOND (16u << 20)         /* bytes that are in no window: answers, specifications, output, what frames cost */
#define FLOW_STAMP 0xb10b000000000000ull
#define FLOW_STAMP_MASK 0xffff000000000000ull

struct flow_peer {
    uint64_t peer;
    enum auth_role role;
    struct net_listener *listener;      /* borrowed */
    uint8_t key[32];
    bool greeted;
    uint64_t sent, marked, confirmed;   /* bytes */
    uint64_t limit;                     /* of what it has not confirmed; more: it does not read */
    uint64_t stamp;                     /* of the mark on the way; 0: none */
};

struct flow { struct map peers; };

void bsh_flow_init(struct flow *f);
void bsh_flow_done(struct flow *f);
struct flow_peer *bsh_flow_get(const struct flow *f, uint64_t peer);    /* NULL: not there */
struct flow_peer *bsh_flow_add(struct flow *f, uint64_t peer, enum auth_role role, struct net_listener *l, const uint8_t key[32]);
void bsh_flow_remove(struct flow *f, uint64_t peer);
void bsh_flow_greeted(struct flow_peer *p, uint64_t window);            /* it has said HELLO: what may be on the way to it */
static inline uint64_t flow_waiting(const struct flow_peer *p) { return p->sent - p->confirmed; }
int bsh_flow_send(struct flow_peer *p, const struct wire_msg *m);       /* as net_listener_send */
void bsh_flow_pong(struct flow_peer *p, uint64_t stamp);

#endif
