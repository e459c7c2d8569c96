/* SPDX-License-Identifier: MPL-2.0
 * net.h - the only door to ZeroMQ: contexts, encrypted sockets, the authentication handler, monitors. Nothing outside common/net
 * includes a ZeroMQ header.
 *
 * A net has listeners (listener.h) and links (link.h). All sockets of a net belong to one thread at a time (the caller's lock moves
 * them).
 *
 * The loop: poll net_fd; net_step; recv of everything until 0, lost until 0; send; then if net_ready, again without sleeping.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include "keys.h"
#include "link.h"
#include "listener.h"

int net_new(struct net **ret, struct err *e);
void net_free(struct net **n);                          /* closes what is open; never hangs: linger is 0 everywhere */
/* What this program is to a broker, for texts: "client" (the default), "worker", "admin". Static. */
void net_set_role(struct net *n, const char *role);

/* Who is told of each message that is sent, by listeners and links alike. */
void net_set_sent(struct net *n, net_sent_fn *sent, void *ctx);

/* The listener of a peer; NULL: no such peer any more. */
struct net_listener *net_peer_listener(struct net *n, uint64_t peer);

/* For poll(): readable when something may have happened; then step, then recv until 0. Edge-triggered inside: after every send or
 * recv call net_*_ready before sleeping; true means do not sleep. */
int net_fd(const struct net *n);            /* one epoll descriptor over all of n, its timers included */
bool net_ready(struct net *n);
/* Serves ZAP, monitors, the limit on silence before HELLO; < 0: the authentication handler is dead, stop. */
int net_step(struct net *n, struct err *e);

#endif
