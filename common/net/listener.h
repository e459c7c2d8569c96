/* SPDX-License-Identifier: MPL-2.0
 * listener.h - a listener is a ROUTER with its own ZAP domain and its own set of allowed keys.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "base/buf.h"
#include "base/err.h"
#include "types.h"
#include "wire/wire.h"

/* Binds endpoint ("tcp://0.0.0.0:7700", "tcp://127.0.0.1:0"). Refuses to (EPROTOCOL) unless the ZAP handler is there and the ZAP
 * domain and its enforcement were read back from the socket. ESTATE: the address is taken or not ours. Self-test with a random key:
 * net_listener_probe (probe.h). */
int net_listen(struct net *n, const char *endpoint, const char *domain, const struct net_keypair *server, net_allow_fn *allow,
               void *ctx, struct net_listener **ret, struct err *e);
void net_listener_close(struct net_listener **l);
/* hello_ms: how long a connection may be silent at first (0: 3000). max_per_key, max_connections: 0 is no cap. */
void net_listener_limits(struct net_listener *l, uint32_t hello_ms, uint32_t max_per_key, uint32_t max_connections);
const char *net_listener_endpoint(const struct net_listener *l);   /* with the real port */
/* No new connections: each is closed as soon as it is accepted; those that are go on. (zmq_unbind would end them too: measured.) */
void net_listener_refuse(struct net_listener *l);

/* One received message: `frame` is a buf the receiver owns. peer: number of the connection (never reused, unique in the net), key:
 * its User-Id. */
struct net_received { uint64_t peer; uint8_t key[32]; struct buf *frame; };
/* 1: got one, 0: nothing there, < 0: the listener is broken. Messages of several frames, without User-Id or with an Identity end
 * their connection here. */
int net_listener_recv(struct net_listener *l, struct net_received *ret, struct err *e);
/* One frame from m (wire_size, wire_encode straight into the message). 0; BFORK_EAGAIN: beyond what the peer takes (a broken peer);
 * BFORK_EUNREACHABLE: it is gone. */
int net_listener_send(struct net_listener *l, uint64_t peer, const struct wire_msg *m);
/* Ends its connection: what it still sends is dropped from now on; what was sent to it just now has a moment to leave. It is
 * reported by net_listener_lost like any other. */
void net_listener_cut(struct net_listener *l, uint64_t peer);
/* Connections that ended since the last call: 1 and *ret_peer, or 0. Only peers that were seen in net_listener_recv, and only after
 * their last message was received. */
int net_listener_lost(struct net_listener *l, uint64_t *ret_peer);
/* Every connected peer that has sent something. No calls into the listener from inside. */
void net_listener_each(struct net_listener *l, void (*each)(void *ctx, uint64_t peer, const uint8_t key[32]), void *ctx);
/* The peer said HELLO: it is no longer subject to the 3-second limit. */
void net_listener_greeted(struct net_listener *l, uint64_t peer);

void net_listener_counters(const struct net_listener *l, struct net_counters *ret);     /* connections: now; the others: ever */

#endif
