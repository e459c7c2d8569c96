/* SPDX-License-Identifier: MPL-2.0
 * net.h - the only door to ZeroMQ: contexts, encrypted sockets, the authentication handler, monitors. Nothing outside common/net
 * includes a ZeroMQ header (czmq for key files: common/net/keys.c too).
 *
 * A listener is a ROUTER with its own ZAP domain and its own set of allowed keys; a link is a DEALER that lives for exactly one
 * connection (ZMQ_RECONNECT_IVL -1, linger 0). All sockets of a net belong to one thread at a time (the caller's lock moves them).
 */
#ifndef NET_NET_H
#define NET_NET_H

#include "base/buf.h"
#include "base/err.h"
#include "wire/wire.h"

struct net;                     /* a context, and the ZAP handler when there are listeners */
struct net_listener;
struct net_link;

struct net_keypair { uint8_t public_key[32], secret_key[32]; };

int net_new(struct net **ret, struct err *e);
void net_free(struct net **n);                          /* never hangs: linger is 0 everywhere */

/* Is this key allowed here? Called in the thread that steps the net. */
typedef bool net_allow_fn(void *ctx, const uint8_t key[32]);

/* Binds endpoint ("tcp://0.0.0.0:7700", "tcp://127.0.0.1:0"). Refuses to (EPROTOCOL …) unless the ZAP domain and its enforcement were read
 * back from the socket. Self-test with a random key: net_listener_probe. */
int net_listen(struct net *n, const char *endpoint, const char *domain, const struct net_keypair *server, net_allow_fn *allow, void *ctx,
               struct net_listener **ret, struct err *e);
void net_listener_close(struct net_listener **l);
const char *net_listener_endpoint(const struct net_listener *l);   /* with the real port */
int net_listener_probe(struct net *n, struct net_listener *l, int timeout_ms, struct err *e);   /* 0: a random key was refused */

/* One received message: `frame` is a buf the receiver owns. peer: number of the connection (never reused), key: its User-Id. */
struct net_received { uint64_t peer; uint8_t key[32]; struct buf *frame; };
/* 1: got one, 0: nothing there, < 0: the listener is broken. Messages of several frames, without User-Id or with an Identity end
 * their connection here. */
int net_listener_recv(struct net_listener *l, struct net_received *ret, struct err *e);
/* One frame from m (wire_size, wire_encode straight into the message). 0; BFORK_EAGAIN: beyond what the peer takes (a broken peer);
 * BFORK_EUNREACHABLE: it is gone. */
int net_listener_send(struct net_listener *l, uint64_t peer, const struct wire_msg *m);
void net_listener_cut(struct net_listener *l, uint64_t peer);      /* shuts its connection down at once */
/* Connections that ended since the last call: 1 and *ret_peer, or 0. */
int net_listener_lost(struct net_listener *l, uint64_t *ret_peer);

/* Connects; returns at once. */
int net_connect(struct net *n, const char *endpoint, const uint8_t server_key[32], const struct net_keypair *client, struct net_link **ret,
                struct err *e);
void net_link_close(struct net_link **l);
enum net_link_state { NET_LINK_CONNECTING, NET_LINK_UP, NET_LINK_DOWN };
/* State from the monitor; when DOWN, e says why and what to do (key refused, wrong server key, unreachable, no such host …) with
 * BFORK_EDENIED, BFORK_EUNREACHABLE, BFORK_EPROTOCOL. */
enum net_link_state net_link_state(struct net_link *l, struct err *e);
int net_link_recv(struct net_link *l, struct buf **ret_frame);      /* 1, 0 or < 0 */
int net_link_send(struct net_link *l, const struct wire_msg *m);    /* 0, BFORK_EAGAIN, BFORK_EUNREACHABLE */

/* For poll(): readable when something may have happened; then step, then recv until 0. Edge-triggered inside: after every send or
 * recv call net_*_ready before sleeping; true means do not sleep. */
int net_fd(const struct net *n);            /* one epoll descriptor over all of n */
bool net_ready(struct net *n);
int net_step(struct net *n, struct err *e); /* serves ZAP, monitors, 3-second HELLO limit; < 0: the authentication handler is dead, stop */
/* The peer said HELLO: it is no longer subject to the 3-second limit. max_per_key caps connections of one key (0: no cap). */
void net_listener_greeted(struct net_listener *l, uint64_t peer);

/* Keys: Z85 text, 40 characters. Files as czmq's zcert writes them; a secret file must be 0600 or stricter and ours. */
int net_keypair_new(struct net_keypair *k, struct err *e);
void net_key_text(const uint8_t key[32], char text[41]);
int net_key_parse(const char *text, uint8_t key[32]);
int net_keypair_save(const struct net_keypair *k, const char *path, const char *name, struct err *e);   /* BFORK_ESTATE: exists already */
int net_keypair_load(const char *path, struct net_keypair *k, struct err *e);           /* BFORK_EKEY, with what to do */
int net_public_load(const char *path, uint8_t key[32], struct err *e);

#endif
