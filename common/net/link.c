/* SPDX-License-Identifier: MPL-2.0
 * link.c - a DEALER for exactly one connection: looks the name up, tries its addresses in turn, says by the monitor's events how it
 * went. It never reconnects: after DOWN the caller closes it and makes a new one, so that nothing queued for an old broker reaches
 * a new one.
 */
#include "link_i.h"

#include "base/clock.h"
#include "base/moves.h"
#include "bfork.h"
#include "frame.h"
#include "keys.h"
#include "monitor.h"
#include "resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define NET_LINK_HANDSHAKE_MS 5000
#define NET_CONNECT_MS 5000

enum link_event { LINK_DIALS, LINK_CONNECTED, LINK_ADMITTED, LINK_FAILS, LINK_EVENTS };

static const char *const link_stages[] = { "looking its broker up", "dialling", "shaking hands", "up", "down" };
static const char *const link_events[] = { "dial an address", "be connected", "be admitted", "fail" };
/* What the monitor tells is the library's and the broker's to choose, so it has a cell everywhere but without a socket. */
static const uint8_t link_cells[LINK_STAGES][LINK_EVENTS] = {
    [STAGE_LOOKUP] = { [LINK_DIALS] = TO(STAGE_DIAL), [LINK_FAILS] = TO(STAGE_DOWN) },
    [STAGE_DIAL] = { [LINK_DIALS] = TO(STAGE_DIAL), [LINK_CONNECTED] = TO(STAGE_SHAKE), [LINK_ADMITTED] = TO(STAGE_UP),
                     [LINK_FAILS] = TO(STAGE_DOWN) },
    [STAGE_SHAKE] = { [LINK_CONNECTED] = MOVES_LATE, [LINK_ADMITTED] = TO(STAGE_UP), [LINK_FAILS] = TO(STAGE_DOWN) },
    [STAGE_UP] = { [LINK_CONNECTED] = MOVES_LATE, [LINK_ADMITTED] = MOVES_LATE, [LINK_FAILS] = TO(STAGE_DOWN) },
    [STAGE_DOWN] = { [LINK_CONNECTED] = MOVES_LATE, [LINK_ADMITTED] = MOVES_LATE, [LINK_FAILS] = MOVES_LATE },
};
static const struct moves link_moves = MOVES("a link", link_stages, link_events, link_cells);

static bool move_link(struct net_link *l, enum link_event event)
{
    unsigned to;

    if (!moves_next(&link_moves, l->stage, event, &to))
        return false;
    l->stage = (enum net_link_stage)to;
    return true;
}

static void link_shut(struct net_link *l)
{
    net_monitor_close(l->n, l->data.socket, &l->monitor);
    net_source_close(l->n, &l->data);
}

static void fail_net_link(struct net_link *l, int code, const char *text)
{
    if (move_link(l, LINK_FAILS))
        err_set(&l->why, code, "%s", text);
}

static void link_denied(struct net_link *l)
{
    char key[NET_KEY_TEXT], text[512];

    net_key_text(l->client.public_key, key);
    snprintf(text, sizeof(text), "the broker %s does not know this %s's key (public %s). On the broker's host: bfork allow %s '%s'",
             l->endpoint, l->n->role, key, l->n->role, key);
    fail_net_link(l, BFORK_EDENIED, text);
}

/* The key is known there, but not for what we came as: allowing it here too would be the wrong advice. */
static void link_wrong_door(struct net_link *l)
{
    char key[NET_KEY_TEXT], text[768];

    net_key_text(l->client.public_key, key);
    snprintf(text, sizeof(text),
             "the broker %s knows this key (public %s), but not as a %s's: either the key file is another role's (client.key, "
             "worker.key and admin.key do not stand in for each other), or this is another role's port (clients, workers and "
             "administrators each have their own)", l->endpoint, key, l->n->role);
    fail_net_link(l, BFORK_EDENIED, text);
}

static void link_broken_handshake(struct net_link *l, uint64_t now)
{
    char key[NET_KEY_TEXT], text[512];

    if (now - l->connected_at >= (NET_LINK_HANDSHAKE_MS - 500) * CLOCK_MS) {
        snprintf(text, sizeof(text),
                 "%s accepted the connection but did not answer the handshake within %d s: is it a bfork-broker, and does it run?",
                 l->endpoint, NET_LINK_HANDSHAKE_MS / 1000);
        fail_net_link(l, BFORK_EUNREACHABLE, text);
        return;
    }
    net_key_text(l->server_key, key);
    snprintf(text, sizeof(text),
             "%s ended the handshake: it is far over the connections that it takes, or it is no bfork-broker, or it does not have "
             "the broker key '%s' (compare with its public key)",
             l->endpoint, key);
    fail_net_link(l, BFORK_EPROTOCOL, text);
}

static int link_options(struct net_link *l, void *s, struct err *e)
{
    int64_t max = WIRE_FRAME_MAX + NET_OVERHEAD;

    if (net_set_int(s, ZMQ_LINGER, 0) != 0 || net_set_int(s, ZMQ_RECONNECT_IVL, -1) != 0 || net_set_int(s, ZMQ_IPV6, 1) != 0 ||
        net_set_int(s, ZMQ_HANDSHAKE_IVL, NET_LINK_HANDSHAKE_MS) != 0 || net_set_int(s, ZMQ_CONNECT_TIMEOUT, NET_CONNECT_MS) != 0 ||
        zmq_setsockopt(s, ZMQ_MAXMSGSIZE, &max, sizeof(max)) != 0 || net_set_int(s, ZMQ_SNDHWM, NET_SEND_HWM) != 0 ||
        net_set_int(s, ZMQ_RCVHWM, NET_SEND_HWM) != 0 || net_set_int(s, ZMQ_TCP_KEEPALIVE, 1) != 0 ||
        net_set_int(s, ZMQ_TCP_KEEPALIVE_IDLE, 30) != 0 || net_set_int(s, ZMQ_TCP_KEEPALIVE_INTVL, 10) != 0 ||
        net_set_int(s, ZMQ_TCP_KEEPALIVE_CNT, 3) != 0 || zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, l->server_key, 32) != 0 ||
        zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, l->client.public_key, 32) != 0 ||
        zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, l->client.secret_key, 32) != 0)
        return err_set(e, BFORK_ENOMEM, "cannot set up a connection to %s: %s", l->endpoint, zmq_strerror(errno));
    return 0;
}

/* A socket towards address `at`. */
static int link_open(struct net_link *l, struct err *e)
{
    void *s = zmq_socket(l->n->context, ZMQ_DEALER);
    int rc;

    if (!s)
        return err_set(e, BFORK_ENOMEM, "cannot make a socket: %s", zmq_strerror(errno));
    move_link(l, LINK_DIALS);
    l->connected_at = 0;
    l->deadline = clock_now() + (NET_CONNECT_MS + 1000) * CLOCK_MS;
    net_arm(l->n, l->deadline);
    rc = link_options(l, s, e);
    if (rc == 0)
        rc = net_monitor_open(l->n, s,
                              ZMQ_EVENT_CONNECTED | ZMQ_EVENT_CLOSED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                                  ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                                  ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL,
                              &l->monitor, e);
    if (rc == 0)
        rc = net_source_add(l->n, &l->data, s, e);
    if (rc < 0) {
        net_monitor_close(l->n, s, &l->monitor);
        zmq_close(s);
        return rc;
    }
    if (zmq_connect(s, l->addresses[l->at]) != 0)
        return err_set(e, BFORK_EINVAL, "cannot connect to %s: %s; an endpoint looks like tcp://host:7700", l->endpoint,
                       zmq_strerror(errno));
    return 0;
}

/* This address did not work: the next one, or the end. */
static void link_next(struct net_link *l, uint64_t now)
{
    char text[512];
    struct err e = { 0, "" };
    bool slow = now + CLOCK_SEC >= l->deadline;

    link_shut(l);
    if (++l->at < l->n_addresses) {
        if (link_open(l, &e) < 0)
            fail_net_link(l, BFORK_EUNREACHABLE, e.text);
        return;
    }
    snprintf(text, sizeof(text),
             "cannot reach the broker %s: %s. Is bfork-broker running there, is the port right, does a firewall allow it?",
             l->endpoint, slow ? "no answer" : "the connection was refused");
    fail_net_link(l, BFORK_EUNREACHABLE, text);
}

static void link_resolved(struct net_link *l)
{
    struct err e = { 0, "" };

    if (!l->resolved.hot || !net_resolve_done(l->resolve, &l->addresses, &l->n_addresses, &e))
        return;
    epoll_ctl(l->n->epoll_fd, EPOLL_CTL_DEL, net_resolve_fd(l->resolve), NULL);
    net_resolve_free(&l->resolve);
    if (l->n_addresses == 0 || link_open(l, &e) < 0)
        fail_net_link(l, BFORK_EUNREACHABLE, e.text);
}

static void link_up(struct net_link *l)
{
    for (size_t i = 0; i < l->n_pending; i++) {
        while (zmq_msg_send(&l->pending[i], l->data.socket, ZMQ_DONTWAIT) < 0)
            if (errno != EINTR) {
                fail_net_link(l, BFORK_EUNREACHABLE, "the connection ended before the first message was sent");
                break;
            }
        zmq_msg_close(&l->pending[i]);
    }
    l->n_pending = 0;
    l->data.hot = true;
}

static void link_ended(struct net_link *l, uint64_t now)
{
    char text[512];

    if (l->stage != STAGE_UP) {
        link_broken_handshake(l, now);
        return;
    }
    snprintf(text, sizeof(text), "the connection to the broker %s ended: the broker closed it, or the network failed", l->endpoint);
    fail_net_link(l, BFORK_EUNREACHABLE, text);
}

static void link_event(struct net_link *l, const struct net_event *ev, uint64_t now)
{
    switch (ev->id) {
    case ZMQ_EVENT_CONNECTED:
        if (move_link(l, LINK_CONNECTED)) {
            l->connected_at = now;
            l->deadline = now + (NET_LINK_HANDSHAKE_MS + 1000) * CLOCK_MS;
        }
        break;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        if (move_link(l, LINK_ADMITTED))
            link_up(l);
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        if (ev->value == strtoul(NET_ZAP_ELSEWHERE, NULL, 10))
            link_wrong_door(l);
        else
            link_denied(l);
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        link_broken_handshake(l, now);
        break;
    case ZMQ_EVENT_DISCONNECTED:
        link_ended(l, now);
        break;
    case ZMQ_EVENT_CLOSED:
        if (l->stage == STAGE_DIAL)
            link_next(l, now);
        break;
    default:
        break;
    }
}

void net_link_step(struct net_link *l, uint64_t now)
{
    struct net_event ev;

    if (l->stage == STAGE_LOOKUP)
        link_resolved(l);
    while (net_monitor_next(&l->monitor, &ev))
        link_event(l, &ev, now);
    if (!link_is_connecting(l) || now < l->deadline)
        return;
    if (l->stage == STAGE_SHAKE)
        link_broken_handshake(l, now);
    else if (l->stage == STAGE_LOOKUP)
        fail_net_link(l, BFORK_EUNREACHABLE,
                      "the name of the broker's host could not be looked up in time: no name server answers");
    else
        link_next(l, now);
}

/* An address that needs no lookup is used at once; a name goes to a thread. */
static int link_start(struct net_link *l, struct err *e)
{
    char host[256], port[8];
    struct in6_addr any;
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &l->resolved };
    bool tcp = strncmp(l->endpoint, "tcp://", 6) == 0;
    int rc;

    if (tcp && !net_host_port(l->endpoint, host, port))
        return err_set(e, BFORK_EINVAL, "\"%s\" is no endpoint: it looks like tcp://host:7700", l->endpoint);
    if (!tcp || inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1) {
        l->addresses = calloc(1, sizeof(*l->addresses));
        if (!l->addresses)
            return err_set(e, BFORK_ENOMEM, "out of memory");
        if (strlen(l->endpoint) >= sizeof(*l->addresses))
            return err_set(e, BFORK_EINVAL, "the endpoint %s is too long", l->endpoint);
        memcpy(l->addresses[0], l->endpoint, strlen(l->endpoint) + 1);
        l->n_addresses = 1;
        return link_open(l, e);
    }
    l->deadline = clock_now() + 15 * CLOCK_SEC;
    net_arm(l->n, l->deadline);
    rc = net_resolve_start(host, port, &l->resolve, e);
    if (rc == 0 && epoll_ctl(l->n->epoll_fd, EPOLL_CTL_ADD, net_resolve_fd(l->resolve), &ev) != 0)
        rc = err_errno(e, BFORK_ENOMEM, errno, "cannot watch the lookup of %s", host);
    return rc;
}

int net_connect(struct net *n, const char *endpoint, const uint8_t server_key[32], const struct net_keypair *client,
                struct net_link **ret, struct err *e)
{
    struct net_link *l = calloc(1, sizeof(*l));
    int rc;

    if (!l)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    l->n = n;
    memcpy(l->server_key, server_key, 32);
    l->client = *client;
    list_push_back(&n->links, &l->node);
    if (strlen(endpoint) >= sizeof(l->endpoint)) {
        rc = err_set(e, BFORK_EINVAL, "the endpoint is too long");
    } else {
        memcpy(l->endpoint, endpoint, strlen(endpoint) + 1);
        rc = link_start(l, e);
    }
    if (rc < 0) {
        net_link_close(&l);
        return rc;
    }
    *ret = l;
    return 0;
}

void net_link_close(struct net_link **lp)
{
    struct net_link *l = *lp;

    if (!l)
        return;
    *lp = NULL;
    list_remove(&l->n->links, &l->node);
    link_shut(l);
    if (l->resolve)
        epoll_ctl(l->n->epoll_fd, EPOLL_CTL_DEL, net_resolve_fd(l->resolve), NULL);
    net_resolve_free(&l->resolve);
    for (size_t i = 0; i < l->n_pending; i++)
        zmq_msg_close(&l->pending[i]);
    free(l->addresses);
    explicit_bzero(&l->client, sizeof(l->client));
    free(l);
}

enum net_link_state net_link_state(struct net_link *l, struct err *e)
{
    if (l->stage == STAGE_DOWN && e)
        *e = l->why;
    return link_is_connecting(l) ? NET_LINK_CONNECTING : l->stage == STAGE_UP ? NET_LINK_UP : NET_LINK_DOWN;
}

int net_link_recv(struct net_link *l, struct buf **ret_frame)
{
    zmq_msg_t msg;
    int rc;

    if (!l->data.socket || !l->data.hot)
        return 0;
    zmq_msg_init(&msg);
    do
        rc = zmq_msg_recv(&msg, l->data.socket, ZMQ_DONTWAIT);
    while (rc < 0 && errno == EINTR);
    if (rc < 0) {
        rc = errno == EAGAIN ? 0 : BFORK_EPROTOCOL;
        l->data.hot = false;
        zmq_msg_close(&msg);
        return rc;
    }
    if (zmq_msg_more(&msg)) {
        fail_net_link(l, BFORK_EPROTOCOL, "the broker sent a message of several frames: it is no bfork-broker");
        zmq_msg_close(&msg);
        return BFORK_EPROTOCOL;
    }
    *ret_frame = net_buf_of(&msg);
    zmq_msg_close(&msg);
    return *ret_frame ? 1 : BFORK_ENOMEM;
}

int net_link_send(struct net_link *l, const struct wire_msg *m)
{
    zmq_msg_t msg;
    int rc;

    if (l->stage == STAGE_DOWN)
        return BFORK_EUNREACHABLE;
    if (link_is_connecting(l) && l->n_pending == NET_PENDING_MAX)
        return BFORK_EAGAIN;
    rc = net_encode(&msg, m);
    if (rc < 0)
        return rc;
    if (l->n->sent)
        l->n->sent(l->n->sent_ctx, NULL, 0, NULL, m);
    if (link_is_connecting(l)) {
        l->pending[l->n_pending++] = msg;
        return 0;
    }
    while ((rc = zmq_msg_send(&msg, l->data.socket, ZMQ_DONTWAIT)) < 0 && errno == EINTR)
        ;
    l->data.hot = true;
    if (rc >= 0)
        return 0;
    zmq_msg_close(&msg);
    net_link_step(l, clock_now());
    return l->stage == STAGE_DOWN ? BFORK_EUNREACHABLE : BFORK_EAGAIN;
}
