/* SPDX-License-Identifier: MPL-2.0
 * peers.h - the inside of a listener: its connections and who they are.
 */
#ifndef NET_PEERS_H
#define NET_PEERS_H

#include "base/map.h"
#include "source.h"
#include "wire/wire.h"

#define NET_FRAME_ROOM (2 * WIRE_FRAME_MAX) /* a listener takes frames up to here; those over WIRE_FRAME_MAX are told, not heard */
#define NET_CUT_GRACE_MS 500            /* for a last message to go out; a busy machine lets the sending thread wait, too */
#define NET_TOLD_MOST 8u                /* connections over the cap that may stay until told so; more are closed at once */

struct net_conn {                       /* an accepted descriptor, from ACCEPTED to DISCONNECTED */
    struct list_node silent;            /* in listener.silent until it said HELLO */
    int fd;
    uint64_t inode, since;
    struct net_peer *peer;              /* borrowed; NULL: nothing received yet */
    bool cut;
    bool over;                          /* the cap: its first message is answered by that, and it ends */
};

/* peers.c has the table, and writes it. What a peer sends that is not heard is thrown away. */
enum net_peer_state {
    PEER_LIVE,                          /* connected and heard */
    PEER_CUT,                           /* not heard any more; its connection has a moment, or is being shut down */
    PEER_LEAVING,                       /* disconnected, but the socket was not seen empty since: it is still heard */
    PEER_LEAVING_CUT,                   /* the same, not heard */
    PEER_TOLD,                          /* the same, and its loss was reported before the socket was seen empty */
    PEER_GONE,                          /* out of the map; to be reported */
    PEER_STATES
};

struct net_peer {                       /* a routing id that sent something */
    struct list_node node;              /* in listener.leaving or listener.gone */
    struct list_node cutting;
    uint64_t number;
    uint32_t rid;                       /* the routing id is a zero byte and these four */
    enum net_peer_state state;
    struct net_conn *conn;              /* borrowed; NULL: already closed */
    uint8_t key[32];
    char user_id[NET_KEY_TEXT];
    uint64_t sent_at, cut_at, left_at;
};

struct net_listener {
    struct list_node node;
    struct net *n;
    struct net_source data, monitor;
    uint32_t serial;
    char domain[64], endpoint[256];
    uint8_t server_key[32];
    net_allow_fn *allow;
    void *allow_ctx;
    uint64_t hello_ns;
    uint32_t max_per_key, max_connections;
    struct map conns;                   /* fd → net_conn */
    struct map peers;                   /* rid → net_peer */
    struct map paces;                   /* the beginning of an allowed key → net_pace: its handshakes */
    struct list silent;                 /* net_conn by age */
    struct list leaving;                /* net_peer: disconnected, but the socket was not seen empty since */
    struct list gone;                   /* net_peer: to be reported */
    struct list cutting;                /* net_peer: to be shut down at cut_at */
    struct net_counters counters;
    uint32_t n_over;                    /* connections that are over the cap, and not closed yet */
    bool refusing;
};

void net_peers_step(struct net_listener *l, uint64_t now);                          /* the monitor, limits */
struct net_peer *net_peers_known(struct net_listener *l, uint32_t rid);
/* hasty: its key made too many handshakes. Who is over a cap is told (RESET), and cut. NULL: out of memory. */
struct net_peer *net_peers_add(struct net_listener *l, uint32_t rid, int fd, const uint8_t key[32], bool hasty);
struct net_peer *net_peers_find(struct net_listener *l, uint64_t number);           /* NULL: not there, or not live */
void net_peers_cut(struct net_listener *l, struct net_peer *p);
void net_peers_left(struct net_listener *l, struct net_peer *p);
void net_peers_drained(struct net_listener *l);
bool net_peers_lost(struct net_listener *l, uint64_t *ret_peer);                    /* one that ended and was not reported */
int net_peer_send(struct net_listener *l, struct net_peer *p, const struct wire_msg *m);    /* as net_listener_send */
uint64_t net_peers_deadline(const struct net_listener *l);
void net_peers_free(struct net_listener *l);
static inline bool peer_is_heard(const struct net_peer *p) { return p->state == PEER_LIVE || p->state == PEER_LEAVING; }
/* Shuts a connection down that has no peer yet, or whose routing id cannot be trusted. Its peer, if it has one, is not heard any
 * more. */
void net_conn_cut(struct net_listener *l, struct net_conn *c);

#endif
