/* SPDX-License-Identifier: MPL-2.0
 * link_i.h - the inside of a link: link.c's own, and what net.c steps.
 */
#ifndef NET_LINK_I_H
#define NET_LINK_I_H

#include "link.h"
#include "source.h"

#define NET_PENDING_MAX 64

struct net_resolve;

struct net_link {
    struct list_node node;
    struct net *n;
    struct net_source data, monitor;    /* socket NULL: not connected to any address yet */
    enum net_link_state state;
    struct err why;
    char endpoint[256];
    uint8_t server_key[32];
    struct net_keypair client;
    struct net_resolve *resolve;        /* NULL: done */
    struct net_source resolved;         /* hot: look at it; never a socket */
    char (*addresses)[80];
    size_t n_addresses, at;
    uint64_t deadline;
    uint64_t connected_at;              /* 0: not yet */
    zmq_msg_t pending[NET_PENDING_MAX];
    size_t n_pending;
};

void net_link_step(struct net_link *l, uint64_t now);

#endif
