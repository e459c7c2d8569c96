/* SPDX-License-Identifier: MPL-2.0
 * link_i.h - the inside of a link: link.c's own, and what net.c steps.
 */
#ifndef NET_LINK_I_H
#define NET_LINK_I_H

#include "link.h"
#include "source.h"

#define NET_PENDING_MAX 64

struct net_resolve;

/* What callers see as CONNECTING has three stages. link.c has the table, and writes it. */
enum net_link_stage {
    STAGE_LOOKUP,                       /* the name is being looked up: there is no socket */
    STAGE_DIAL,                         /* a socket towards addresses[at]: no connection yet */
    STAGE_SHAKE,                        /* connected: the handshake */
    STAGE_UP,
    STAGE_DOWN,                         /* for good; what came before can still be received */
    LINK_STAGES
};

struct net_link {
    struct list_node node;
    struct net *n;
    struct net_source data, monitor;    /* socket NULL: not connected to any address yet */
    enum net_link_stage stage;
    struct err why;
    char endpoint[256];
    uint8_t server_key[32];
    struct net_keypair client;
    struct net_resolve *resolve;        /* NULL: done */
    struct net_source resolved;         /* hot: look at it; never a socket */
    char (*addresses)[80];
    size_t n_addresses, at;
    uint64_t deadline;
    uint64_t connected_at;              /* SHAKE and later */
    zmq_msg_t pending[NET_PENDING_MAX];
    size_t n_pending;
};

static inline bool link_is_connecting(const struct net_link *l) { return l->stage < STAGE_UP; }
void net_link_step(struct net_link *l, uint64_t now);

#endif
