/* SPDX-License-Identifier: MPL-2.0
 * net.h - the only door to ZeroMQ: contexts, encrypted sockets, the authentication handler, monitors. Nothing outside common/net
 * includes a ZeroMQ header.
 *
 * A listener is a ROUTER with its own ZAP domain and its own set of allowed keys; a link is a DEALER that lives for exactly one
 * connection (ZMQ_RECONNECT_IVL -1, linger 0). All sockets of a net belong to one thread at a time (the caller's lock moves them).
 *
 * The loop: poll net_fd; net_step; recv of everything until 0, lost until 0; send; then if net_ready, again without sleeping.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include "base/buf.h"
#include "base/err.h"
#include "wire/wire.h"

#define NET_KEY_TEXT 41         /* a key in Z85, with its NUL */

struct net;                     /* a context, and the ZAP handler when there are listeners */
struct net_listener;
struct net_link;

struct net_keypair { uint8_t public_key[32], secret_key[32]; };

int net_new(struct net **ret, struct err *e);
void net_free(struct net **n);                          /* closes what is open; never hangs: linger is 0 everywhere */
/* What this program is to a broker, for texts: "client" (the default), "worker", "admin". Static. */
void net_set_role(struct net *n, const char *role);

/* Is this key allowed here? Called in the thread that steps the net. */
typedef bool net_allow_fn(void *ctx, const uint8_t key[32]);

/* Binds endpoint ("tcp://0.0.0.0:7700", "tcp://127.0.0.1:0"). Refuses to (EPROTOCOL) unless the ZAP handler is there and the ZAP
 * domain and its enforcement were read back from the socket. ESTATE: the address is taken or not ours. Self-test with a random key:
 * net_listener_probe. */
int net_listen(struct net *n, const char *endpoint, const char *domain, const struct net_keypair *server, net_allow_fn *allow,
               void *ctx, struct net_listener **ret, struct err *e);
void net_listener_close(struct net_listener **l);
/* hello_ms: how long a connection may be silent at first (0: 3000). max_per_key, max_connections: 0 is no cap. */
void net_listener_limits(struct net_listener *l, uint32_t hello_ms, uint32_t max_per_key, uint32_t max_connections);
const char *net_listener_endpoint(const struct net_listener *l);   /* with the real port */
int net_listener_probe(struct net *n, struct net_listener *l, int timeout_ms, struct err *e);   /* 0: a random key was refused */
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
/* The listener of a peer; NULL: no such peer any more. */
struct net_listener *net_peer_listener(struct net *n, uint64_t peer);

struct net_counters { uint64_t connections, accepted, accept_failed, refused, handshake_failed, silent, bad, over_cap, cut; };
void net_listener_counters(const struct net_listener *l, struct net_counters *ret);     /* connections: now; the others: ever */

/* Connects; returns at once: names are looked up beside. */
int net_connect(struct net *n, const char *endpoint, const uint8_t server_key[32], const struct net_keypair *client,
                struct net_link **ret, struct err *e);
void net_link_close(struct net_link **l);
enum net_link_state { NET_LINK_CONNECTING, NET_LINK_UP, NET_LINK_DOWN };
/* State from the monitor; when DOWN, e says why and what to do (key refused, wrong server key, unreachable, no such host …) with
 * BFORK_EDENIED, BFORK_EUNREACHABLE, BFORK_EPROTOCOL. Messages that came before the end can still be received. */
enum net_link_state net_link_state(struct net_link *l, struct err *e);
int net_link_recv(struct net_link *l, struct buf **ret_frame);      /* 1, 0 or < 0 */
/* 0, BFORK_EAGAIN, BFORK_EUNREACHABLE. While CONNECTING, a few messages (HELLO …) are kept until it is UP. */
int net_link_send(struct net_link *l, const struct wire_msg *m);

/* For poll(): readable when something may have happened; then step, then recv until 0. Edge-triggered inside: after every send or
 * recv call net_*_ready before sleeping; true means do not sleep. */
int net_fd(const struct net *n);            /* one epoll descriptor over all of n, its timers included */
bool net_ready(struct net *n);
int net_step(struct net *n,
             struct err *e); /* serves ZAP, monitors, 3-second HELLO limit; < 0: the authentication handler is dead, stop */
/* The peer said HELLO: it is no longer subject to the 3-second limit. */
void net_listener_greeted(struct net_listener *l, uint64_t peer);

/* Keys: Z85 text, 40 characters. Files as czmq's zcert writes them; a secret file must be 0600 or stricter and ours. */
int net_keypair_new(struct net_keypair *k, struct err *e);
void net_key_text(const uint8_t key[32], char text[NET_KEY_TEXT]);
int net_key_parse(const char *text, uint8_t key[32]);               /* 0 or BFORK_EKEY */

/* A key file with what it says about itself: both of zcert's sections. */
struct net_cert {
    struct net_keypair pair;
    bool has_secret;
    char name[256];             /* metadata, "" if not there; */
    char broker[256];           /* … where to connect to */
    uint8_t broker_key[32];     /* … with which key there */
    bool has_broker_key;
};
/* secret: write or demand the secret key too, in a file of mode 0600. save: BFORK_ESTATE: exists already. load: BFORK_EKEY. */
int net_cert_save(const struct net_cert *c, const char *path, bool secret, struct err *e);
int net_cert_load(const char *path, bool secret, struct net_cert *ret, struct err *e);

int net_keypair_save(const struct net_keypair *k, const char *path, const char *name,
                     struct err *e);                                                    /* BFORK_ESTATE: exists already */
int net_keypair_load(const char *path, struct net_keypair *k, struct err *e);           /* BFORK_EKEY, with what to do */
int net_public_load(const char *path, uint8_t key[32], struct err *e);
/* Nobody comes to a broker with its own key. 0, or BFORK_EKEY: what path holds is that one. */
int net_not_the_brokers(const char *path, const uint8_t own[32], const uint8_t broker[32], struct err *e);

/* "tcp://host:7700" and 2 is "tcp://host:7702"; host: NULL, or to be put in its place. 0, or BFORK_EINVAL. */
int net_endpoint_shift(const char *endpoint, const char *host, int by, char *ret, size_t size, struct err *e);

#endif
