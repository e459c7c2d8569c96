/* SPDX-License-Identifier: MPL-2.0
 * listener.c - a bound, encrypted ROUTER: opens it so that it cannot fail open, receives one-frame messages with the key of their
 * sender, sends without ever waiting.
 */
#include "listener.h"

#include "base/clock.h"
#include "bfork.h"
#include "frame.h"
#include "keys.h"
#include "monitor.h"
#include "peers.h"
#include "zap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NET_OPT_ENFORCE_DOMAIN 93 /* ZMQ_ZAP_ENFORCE_DOMAIN: the header shows it to drafts only, the library obeys it always */
#define NET_HANDSHAKE_MS 3000
#define NET_LISTENER_RECV_HWM 128   /* messages of one peer that wait unread: bounds what a flood can occupy */
#define LISTENER_DROP_TURN 256      /* messages thrown away in one call before others get their turn */

static int listener_common(void *s, struct err *e)
{
    int64_t max = NET_FRAME_ROOM + NET_OVERHEAD; /* libzmq cuts what is above without a word: what is between gets its ERROR */

    if (net_set_int(s, ZMQ_LINGER, 0) != 0 || net_set_int(s, ZMQ_ROUTER_MANDATORY, 1) != 0 ||
        net_set_int(s, ZMQ_ROUTER_HANDOVER, 0) != 0 || net_set_int(s, ZMQ_HANDSHAKE_IVL, NET_HANDSHAKE_MS) != 0 ||
        zmq_setsockopt(s, ZMQ_MAXMSGSIZE, &max, sizeof(max)) != 0 || net_set_int(s, ZMQ_SNDHWM, NET_SEND_HWM) != 0 ||
        net_set_int(s, ZMQ_RCVHWM, NET_LISTENER_RECV_HWM) != 0 || net_set_int(s, ZMQ_BACKLOG, 1024) != 0 ||
        net_set_int(s, ZMQ_TCP_KEEPALIVE, 1) != 0 || net_set_int(s, ZMQ_TCP_KEEPALIVE_IDLE, 30) != 0 ||
        net_set_int(s, ZMQ_TCP_KEEPALIVE_INTVL, 10) != 0 || net_set_int(s, ZMQ_TCP_KEEPALIVE_CNT, 3) != 0)
        return err_set(e, BFORK_ENOMEM, "cannot set up a listening socket: %s", zmq_strerror(errno));
    return 0;
}

/* Sets the security options and believes only what the socket says back. */
static int listener_secure(void *s, const char *domain, const struct net_keypair *server, struct err *e)
{
    char back[256] = "";
    int enforce = 0, is_server = 0, mechanism = -1;
    size_t n = sizeof(back);

    if (domain[0] == '\0')
        return err_set(e, BFORK_EPROTOCOL, "a listener needs an authentication domain");
    if (net_set_int(s, ZMQ_CURVE_SERVER, 1) != 0 || zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, server->secret_key, 32) != 0 ||
        zmq_setsockopt(s, ZMQ_ZAP_DOMAIN, domain, strlen(domain)) != 0 || net_set_int(s, NET_OPT_ENFORCE_DOMAIN, 1) != 0)
        return err_set(e, BFORK_EPROTOCOL,
                       "this libzmq cannot authenticate (%s): CURVE or the enforcing of ZAP is missing; nothing is opened",
                       zmq_strerror(errno));
    if (zmq_getsockopt(s, ZMQ_ZAP_DOMAIN, back, &n) != 0 || strcmp(back, domain) != 0)
        return err_set(e, BFORK_EPROTOCOL, "the authentication domain %s was not accepted by libzmq; nothing is opened", domain);
    n = sizeof(int);
    if (zmq_getsockopt(s, NET_OPT_ENFORCE_DOMAIN, &enforce, &n) != 0 || enforce != 1)
        return err_set(e, BFORK_EPROTOCOL, "libzmq does not enforce authentication; nothing is opened");
    n = sizeof(int);
    if (zmq_getsockopt(s, ZMQ_CURVE_SERVER, &is_server, &n) != 0 || is_server != 1)
        return err_set(e, BFORK_EPROTOCOL, "libzmq does not act as a CURVE server; nothing is opened");
    n = sizeof(int);
    if (zmq_getsockopt(s, ZMQ_MECHANISM, &mechanism, &n) != 0 || mechanism != ZMQ_CURVE)
        return err_set(e, BFORK_EPROTOCOL, "the socket's mechanism is not CURVE; nothing is opened");
    return 0;
}

/* Every connection gets the next number as its routing id, whatever it announced. A ROUTER that takes announced ids aborts the
 * process when it comes to give one of them out itself. What connections are like was settled by the bind just before (CURVE, with
 * a handshake); from here on the option decides only what the socket calls them. Nothing was received yet: connections reach a
 * socket in calls that process its commands, and none was made. */
static int listener_number_peers(void *s, const char *endpoint, struct err *e)
{
    if (net_set_int(s, ZMQ_ROUTER_RAW, 1) != 0 || net_set_int(s, ZMQ_ROUTER_RAW, 0) != 0)
        return err_set(e, BFORK_EPROTOCOL, "this libzmq cannot number the connections of %s by itself (%s): a peer could end the "
                       "daemon; nothing is opened", endpoint, zmq_strerror(errno));
    return 0;
}

static int listener_bind(void *s, const char *endpoint, struct net_listener *l, struct err *e)
{
    size_t n = sizeof(l->endpoint);
    int rc;

    if (zmq_bind(s, endpoint) != 0) {
        if (errno == EADDRINUSE)
            return err_set(e, BFORK_ESTATE,
                           "cannot listen on %s: the address is in use. Is another broker running there? Stop it or choose "
                           "another port",
                           endpoint);
        if (errno == EADDRNOTAVAIL || errno == ENODEV)
            return err_set(e, BFORK_ESTATE, "cannot listen on %s: this host has no such address: give one of its addresses, "
                           "no name, or 0.0.0.0 for all", endpoint);
        if (errno == EACCES)
            return err_set(e, BFORK_ESTATE, "cannot listen on %s: not permitted; ports below 1024 belong to root", endpoint);
        return err_set(e, BFORK_ESTATE, "cannot listen on %s: %s; an endpoint looks like tcp://0.0.0.0:7700", endpoint,
                       zmq_strerror(errno));
    }
    rc = listener_number_peers(s, endpoint, e);
    if (rc == 0 && zmq_getsockopt(s, ZMQ_LAST_ENDPOINT, l->endpoint, &n) != 0)
        rc = err_set(e, BFORK_ESTATE, "cannot learn the port of %s: %s", endpoint, zmq_strerror(errno));
    return rc;
}

static int listener_open(struct net_listener *l, const char *endpoint, const struct net_keypair *server, struct err *e)
{
    void *s = zmq_socket(l->n->context, ZMQ_ROUTER);
    int rc;

    if (!s)
        return err_set(e, BFORK_ENOMEM, "cannot make a socket: %s", zmq_strerror(errno));
    rc = listener_common(s, e);
    if (rc == 0 && strchr(endpoint, '['))
        net_set_int(s, ZMQ_IPV6, 1);
    if (rc == 0)
        rc = listener_secure(s, l->domain, server, e);
    if (rc == 0)
        rc = net_monitor_open(l->n, s, ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_ACCEPT_FAILED |
                              ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL, &l->monitor, e);
    if (rc == 0)
        rc = net_source_add(l->n, &l->data, s, e);
    if (rc < 0) {
        net_monitor_close(l->n, s, &l->monitor);
        zmq_close(s);
        return rc;
    }
    return listener_bind(s, endpoint, l, e);
}

int net_listen(struct net *n, const char *endpoint, const char *domain, const struct net_keypair *server, net_allow_fn *allow,
               void *ctx, struct net_listener **ret, struct err *e)
{
    struct net_listener *l;
    int rc = net_zap_start(n, e);

    if (rc < 0)
        return rc;
    for (LIST_EACH(&n->listeners, node))
        if (strcmp(LIST_ENTRY(node, struct net_listener, node)->domain, domain) == 0)
            return err_set(e, BFORK_EPROTOCOL, "the authentication domain %s is in use by another listener", domain);
    if (strlen(domain) >= sizeof(l->domain) || n->listener_serial >= 255)
        return err_set(e, BFORK_EINVAL, "the domain is too long, or too many listeners were opened");
    l = calloc(1, sizeof(*l));
    if (!l)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    l->n = n;
    l->serial = ++n->listener_serial;
    l->allow = allow;
    l->allow_ctx = ctx;
    memcpy(l->server_key, server->public_key, 32);
    snprintf(l->domain, sizeof(l->domain), "%s", domain);
    map_init(&l->conns);
    map_init(&l->peers);
    map_init(&l->paces);
    list_init(&l->silent);
    list_init(&l->leaving);
    list_init(&l->gone);
    list_init(&l->cutting);
    net_listener_limits(l, 0, 0, 0);
    list_push_back(&n->listeners, &l->node);
    rc = listener_open(l, endpoint, server, e);
    if (rc < 0) {
        net_listener_close(&l);
        return rc;
    }
    *ret = l;
    return 0;
}

void net_listener_close(struct net_listener **lp)
{
    struct net_listener *l = *lp;

    if (!l)
        return;
    *lp = NULL;
    list_remove(&l->n->listeners, &l->node);
    net_monitor_close(l->n, l->data.socket, &l->monitor);
    net_source_close(l->n, &l->data);
    net_peers_free(l);
    free(l);
}

void net_listener_limits(struct net_listener *l, uint32_t hello_ms, uint32_t max_per_key, uint32_t max_connections)
{
    l->hello_ns = (hello_ms ? hello_ms : 3000u) * CLOCK_MS;
    l->max_per_key = max_per_key;
    l->max_connections = max_connections;
}

const char *net_listener_endpoint(const struct net_listener *l)
{
    return l->endpoint;
}

void net_listener_refuse(struct net_listener *l)
{
    l->refusing = true;
}

void net_listener_counters(const struct net_listener *l, struct net_counters *ret)
{
    *ret = l->counters;
}

/* The frames of one message. 1: *rid and msg hold it; 2: it is malformed, msg may be used for its metadata; 0: nothing; < 0:
 * broken. */
static int listener_frames(struct net_listener *l, uint32_t *rid, zmq_msg_t *msg)
{
    zmq_msg_t id;
    bool odd, more;
    int rc;

    zmq_msg_init(&id);
    do
        rc = zmq_msg_recv(&id, l->data.socket, ZMQ_DONTWAIT);
    while (rc < 0 && errno == EINTR);
    if (rc < 0) {
        zmq_msg_close(&id);
        return errno == EAGAIN ? 0 : -1;
    }
    odd = zmq_msg_size(&id) != 5 || *(uint8_t *)zmq_msg_data(&id) != 0 || !zmq_msg_more(&id);
    if (!odd)
        memcpy(rid, (uint8_t *)zmq_msg_data(&id) + 1, 4);
    more = zmq_msg_more(&id);
    zmq_msg_close(&id);
    if (more) {
        while ((rc = zmq_msg_recv(msg, l->data.socket, ZMQ_DONTWAIT)) < 0 && errno == EINTR)
            ;
        if (rc < 0)
            return -1;
        more = zmq_msg_more(msg);
        odd = odd || more;
    }
    while (more) {
        zmq_msg_t rest;
        zmq_msg_init(&rest);
        while ((rc = zmq_msg_recv(&rest, l->data.socket, ZMQ_DONTWAIT)) < 0 && errno == EINTR)
            ;
        more = rc >= 0 && zmq_msg_more(&rest);
        zmq_msg_close(&rest);
    }
    return odd ? 2 : 1;
}

/* Its connection sent what no client of ours sends: it ends, known or not. */
static void listener_bad(struct net_listener *l, uint32_t rid, bool rid_known, zmq_msg_t *msg)
{
    struct net_peer *p = rid_known ? net_peers_known(l, rid) : NULL;
    struct net_conn *c;

    l->counters.bad++;
    if (p) {
        net_peers_cut(l, p);
        return;
    }
    net_peers_step(l, clock_now());
    c = map_get(&l->conns, (uint64_t)zmq_msg_get(msg, ZMQ_SRCFD));
    if (!c)
        return;
    net_conn_cut(l, c);
}

/* The first message of a routing id: who is it? NULL: nobody we talk to. */
static struct net_peer *listener_meet(struct net_listener *l, uint32_t rid, const char *user_id, zmq_msg_t *msg)
{
    const char *identity = zmq_msg_gets(msg, "Identity");
    uint8_t key[32];

    /* Asked again: the key may have been revoked between its handshake and now. */
    if ((identity && identity[0]) || net_key_parse(user_id, key) < 0 || !l->allow(l->allow_ctx, key)) {
        listener_bad(l, rid, false, msg);
        return NULL;
    }
    return net_peers_add(l, rid, zmq_msg_get(msg, ZMQ_SRCFD), key, zmq_msg_gets(msg, NET_FULL) != NULL);
}

/* 1: delivered, 0: thrown away, < 0: out of memory. */
static int listener_take(struct net_listener *l, uint32_t rid, zmq_msg_t *msg, struct net_received *ret, struct err *e)
{
    const char *user_id = zmq_msg_gets(msg, "User-Id");
    struct net_peer *p = net_peers_known(l, rid);

    if (!user_id || (p && strcmp(user_id, p->user_id) != 0)) {
        listener_bad(l, rid, p && !user_id, msg);
        return 0;
    }
    if (!p)
        p = listener_meet(l, rid, user_id, msg);
    if (!p || !peer_is_heard(p))
        return 0;
    ret->frame = net_buf_of(msg);
    if (!ret->frame)
        return err_set(e, BFORK_ENOMEM, "out of memory for a message");
    ret->peer = p->number;
    memcpy(ret->key, p->key, 32);
    return 1;
}

int net_listener_recv(struct net_listener *l, struct net_received *ret, struct err *e)
{
    for (int dropped = 0; l->data.hot && dropped < LISTENER_DROP_TURN; dropped++) {
        zmq_msg_t msg;
        uint32_t rid = 0;
        int rc;

        zmq_msg_init(&msg);
        rc = listener_frames(l, &rid, &msg);
        if (rc == 1)
            rc = listener_take(l, rid, &msg, ret, e);
        else if (rc == 2)
            listener_bad(l, rid, false, &msg), rc = 0;
        else if (rc == 0)
            l->data.hot = false;
        else
            rc = err_set(e, BFORK_EPROTOCOL, "the listener %s is broken: %s", l->endpoint, zmq_strerror(errno));
        zmq_msg_close(&msg);
        if (rc != 0)
            return rc;
        if (!l->data.hot)
            net_peers_drained(l);
    }
    return 0;
}

int net_listener_send(struct net_listener *l, uint64_t peer, const struct wire_msg *m)
{
    struct net_peer *p = net_peers_find(l, peer);

    return p ? net_peer_send(l, p, m) : BFORK_EUNREACHABLE;
}

void net_listener_cut(struct net_listener *l, uint64_t peer)
{
    struct net_peer *p = net_peers_find(l, peer);

    if (p)
        net_peers_cut(l, p);
}

void net_listener_greeted(struct net_listener *l, uint64_t peer)
{
    struct net_peer *p = net_peers_find(l, peer);

    if (p && p->conn && list_in(&p->conn->silent))
        list_remove(&l->silent, &p->conn->silent);
}

void net_listener_each(struct net_listener *l, void (*each)(void *ctx, uint64_t peer, const uint8_t key[32]), void *ctx)
{
    uint64_t rid;
    void *value;

    for (size_t i = 0; map_next(&l->peers, &i, &rid, &value);) {
        struct net_peer *p = value;
        if (p->state == PEER_LIVE)
            each(ctx, p->number, p->key);
    }
}

int net_listener_lost(struct net_listener *l, uint64_t *ret_peer)
{
    return net_peers_lost(l, ret_peer);
}
