/* SPDX-License-Identifier: MPL-2.0
 * internal.h - what the files of common/net share. Included by them and by their unit tests, by nobody else.
 *
 * Invariant: every ZeroMQ socket lies in a net_source that is in the epoll set; `hot` is true whenever the socket may have
 * something that its descriptor does not show any more (it is edge-triggered).
 */
#ifndef NET_INTERNAL_H
#define NET_INTERNAL_H

#include "base/list.h"
#include "base/map.h"
#include "net.h"

#include <zmq.h>

#define NET_ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define NET_OPT_ENFORCE_DOMAIN 93 /* ZMQ_ZAP_ENFORCE_DOMAIN: the header shows it to drafts only, the library obeys it always */
#define NET_HANDSHAKE_MS 3000
#define NET_LINK_HANDSHAKE_MS 5000
#define NET_CONNECT_MS 5000
#define NET_FRAME_ROOM (2 * WIRE_FRAME_MAX) /* a listener takes frames up to here; those over WIRE_FRAME_MAX are told, not heard \
                                             */
#define NET_OVERHEAD 64u                /* what CURVE adds to a frame */
#define NET_SEND_HWM 131072             /* messages; windows are far below, so reaching it means a broken peer */
#define NET_LISTENER_RECV_HWM 128       /* messages of one peer that wait unread: bounds what a flood can occupy */
#define NET_CUT_GRACE_MS 500            /* for a last message to go out; a busy machine lets the sending thread wait, too */
#define NET_PENDING_MAX 64
#define NET_PACE_LEAST 64u              /* handshakes that a key may make at once, however few its connections */
#define NET_PACE_PART 8u                /* … and in so many seconds again */
#define NET_TOLD_MOST 8u                /* connections over the cap that may stay until told so; more are closed at once */
#define NET_FULL "X-Full"               /* a property of connections whose key made too many handshakes: they are told, and cut */
#define NET_ZAP_ELSEWHERE "500"         /* how a handshake is refused whose key is allowed at another listener only */

struct net_source {
    int fd;
    void *socket;
    bool hot;
};

struct net {
    void *context;
    int epoll_fd, timer_fd;
    uint64_t armed;                     /* when timer_fd fires; CLOCK_NEVER */
    struct net_source zap;              /* socket NULL: none */
    bool zap_dead;
    struct list listeners, links;
    uint32_t listener_serial, peer_serial, monitor_serial;
    const char *role;
};

struct net_conn {                       /* an accepted descriptor, from ACCEPTED to DISCONNECTED */
    struct list_node silent;            /* in listener.silent until it said HELLO */
    int fd;
    uint64_t inode, since;
    struct net_peer *peer;              /* borrowed; NULL: nothing received yet */
    bool cut;
    bool over;                          /* the cap: its first message is answered by that, and it ends */
};

enum net_peer_state { PEER_LIVE, PEER_LEAVING, PEER_GONE };

struct net_peer {                       /* a routing id that sent something */
    struct list_node node;              /* leaving, or gone (reported, or to be reported) */
    struct list_node cutting;
    uint64_t number;
    uint32_t rid;                       /* the routing id is a zero byte and these four */
    enum net_peer_state state;
    struct net_conn *conn;              /* borrowed; NULL: already closed */
    uint8_t key[32];
    char user_id[NET_KEY_TEXT];
    uint64_t sent_at, cut_at, left_at;
    bool dropped;                       /* what it still sends is thrown away */
    bool reported;
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

/* net.c */
int net_source_add(struct net *n, struct net_source *s, void *socket, struct err *e);
void net_source_close(struct net *n, struct net_source *s);
bool net_source_ready(struct net_source *s);
int net_set_int(void *socket, int option, int value);
void net_arm(struct net *n, uint64_t at);               /* the timer fires at `at` at the latest */
/* Encodes m into a new message. */
int net_encode(zmq_msg_t *msg, const struct wire_msg *m);
/* A buf around msg, which it takes over. NULL: out of memory; msg is untouched. */
struct buf *net_buf_of(zmq_msg_t *msg);

/* zap.c */
int net_zap_start(struct net *n, struct err *e);
int net_zap_serve(struct net *n, struct err *e);

/* listener.c */
int net_peer_send(struct net_listener *l, struct net_peer *p, const struct wire_msg *m);   /* as net_listener_send */

/* monitor.c */
struct net_event { unsigned id; uint32_t value; };
int net_monitor_open(struct net *n, void *socket, int events, struct net_source *s, struct err *e);
void net_monitor_close(struct net *n, void *socket, struct net_source *s);
bool net_monitor_next(struct net_source *s, struct net_event *ret);

/* peers.c */
void net_peers_step(struct net_listener *l, uint64_t now);                          /* the monitor, limits */
struct net_peer *net_peers_known(struct net_listener *l, uint32_t rid);
/* hasty: its key made too many handshakes. Who is over a cap is told (RESET), and cut. NULL: out of memory. */
struct net_peer *net_peers_add(struct net_listener *l, uint32_t rid, int fd, const uint8_t key[32], bool hasty);
struct net_peer *net_peers_find(struct net_listener *l, uint64_t number);           /* NULL: not there, or not live */
void net_peers_cut(struct net_listener *l, struct net_peer *p);
void net_peers_left(struct net_listener *l, struct net_peer *p);
void net_peers_drained(struct net_listener *l);
uint64_t net_peers_deadline(const struct net_listener *l);
void net_peers_free(struct net_listener *l);
/* Shuts a connection down that has no peer yet, or whose routing id cannot be trusted. */
void net_conn_shutdown(struct net_listener *l, struct net_conn *c);

/* link.c */
void net_link_step(struct net_link *l, uint64_t now);

/* resolve.c: one name, looked up by a thread of its own; its end shows on a descriptor. */
int net_resolve_start(const char *host, const char *port, struct net_resolve **ret, struct err *e);
int net_resolve_fd(const struct net_resolve *r);
bool net_resolve_done(struct net_resolve *r, char (**ret)[80], size_t *ret_n, struct err *e);  /* *ret: caller frees */
void net_resolve_free(struct net_resolve **r);
bool net_host_port(const char *endpoint, char host[256], char port[8]);

#endif
