/* SPDX-License-Identifier: MPL-2.0
 * link.h - a link is a DEALER that lives for exactly one connection (ZMQ_RECONNECT_IVL -1, linger 0).
 */
#ifndef NET_LINK_H
#define NET_LINK_H

#include "base/buf.h"
#include "base/err.h"
#include "types.h"
#include "wire/wire.h"

/* Connects; returns at once: names are looked up beside. */
int net_connect(struct net *n, const char *endpoint, const uint8_t server_key[32], const struct net_keypair *client,
                struct net_link **ret, struct err *e);
void net_link_close(struct net_link **l);
/* State from the monitor; when DOWN, e says why and what to do (key refused, wrong server key, unreachable, no such host …) with
 * BFORK_EDENIED, BFORK_EUNREACHABLE, BFORK_EPROTOCOL. Messages that came before the end can still be received. */
enum net_link_state net_link_state(struct net_link *l, struct err *e);
int net_link_recv(struct net_link *l, struct buf **ret_frame);      /* 1, 0 or < 0 */
/* 0, BFORK_EAGAIN, BFORK_EUNREACHABLE. While CONNECTING, a few messages (HELLO …) are kept until it is UP. */
int net_link_send(struct net_link *l, const struct wire_msg *m);

#endif
