/* SPDX-License-Identifier: MPL-2.0
 * world.h - for the tests of common/net: a server and a client net in one thread, pumped until a condition holds; raw sockets for
 * peers that do not behave. Waits for events only; a condition that does not come fails after ten seconds.
 */
#ifndef TEST_NET_WORLD_H
#define TEST_NET_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "bfork.h"
#include "net/link_i.h"
#include "net/monitor.h"
#include "net/net.h"
#include "net/peers.h"
#include "net/probe.h"
#include "net/zap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct world {
    struct net *server, *client;
    struct net_keypair broker, known, stranger;
    struct net_listener *l;
    uint8_t allowed[4][32];
    size_t n_allowed;
    struct net_received got[64];
    size_t n_got;
    uint64_t lost[64];
    size_t n_lost;
    int watched;                /* another descriptor a condition depends on; 0: none */
};

static inline bool world_allows(void *ctx, const uint8_t key[32])
{
    struct world *w = ctx;

    for (size_t i = 0; i < w->n_allowed; i++)
        if (memcmp(w->allowed[i], key, 32) == 0)
            return true;
    return false;
}

static inline void world_init(struct world *w)
{
    struct err e = { 0, "" };

    memset(w, 0, sizeof(*w));
    assert_int_equal(net_new(&w->server, &e), 0);
    assert_int_equal(net_new(&w->client, &e), 0);
    assert_int_equal(net_keypair_new(&w->broker, &e), 0);
    assert_int_equal(net_keypair_new(&w->known, &e), 0);
    assert_int_equal(net_keypair_new(&w->stranger, &e), 0);
    memcpy(w->allowed[w->n_allowed++], w->known.public_key, 32);
    if (net_listen(w->server, "tcp://127.0.0.1:0", "clients", &w->broker, world_allows, w, &w->l, &e) != 0)
        fail_msg("%s", e.text);
}

static inline void world_done(struct world *w)
{
    for (size_t i = 0; i < w->n_got; i++)
        buf_unref(&w->got[i].frame);
    net_free(&w->client);
    net_free(&w->server);
}

/* One turn of both nets: sleeps until something may have happened, takes in what came. False: ten seconds are over. */
static inline bool world_turn(struct world *w, uint64_t deadline)
{
    struct pollfd p[3] = { { .fd = net_fd(w->server), .events = POLLIN }, { .fd = net_fd(w->client), .events = POLLIN },
                           { .fd = w->watched ? w->watched : -1, .events = POLLIN } };
    struct err e = { 0, "" };
    uint64_t peer;

    if (clock_now() >= deadline)
        return false;
    if (!net_ready(w->server) && !net_ready(w->client))
        poll(p, 3, clock_poll_ms(clock_now(), deadline));
    assert_int_equal(net_step(w->server, &e), 0);
    assert_int_equal(net_step(w->client, &e), 0);
    while (w->l && w->n_got < 64 && net_listener_recv(w->l, &w->got[w->n_got], &e) == 1)
        w->n_got++;
    while (w->l && w->n_lost < 64 && net_listener_lost(w->l, &peer))
        w->lost[w->n_lost++] = peer;
    return true;
}

#define WORLD_UNTIL(w, condition)                                                        \
    do {                                                                                 \
        uint64_t deadline_ = clock_now() + 10 * CLOCK_SEC;                               \
        while (!(condition))                                                             \
            if (!world_turn(w, deadline_))                                               \
                fail_msg("ten seconds passed without: %s", #condition);                  \
    } while (0)

static inline struct wire_msg ping_of(uint64_t stamp)
{
    struct wire_msg m = { .type = WIRE_PING };

    m.u.ping.stamp = stamp;
    return m;
}

static inline uint64_t stamp_of(struct buf *frame)
{
    static struct wire_item items[WIRE_ITEMS_MAX];
    struct wire_msg m;
    struct err e = { 0, "" };

    if (wire_decode(frame->data, frame->size, frame, items, &m, &e) != 0)
        fail_msg("%s", e.text);
    assert_int_equal(m.type, WIRE_PING);
    return m.u.ping.stamp;
}

static inline struct net_link *world_connect(struct world *w, const struct net_keypair *k)
{
    struct net_link *link = NULL;
    struct err e = { 0, "" };

    if (net_connect(w->client, net_listener_endpoint(w->l), w->broker.public_key, k, &link, &e) != 0)
        fail_msg("%s", e.text);
    return link;
}

/* A connected peer whose first message has arrived; its number. */
static inline uint64_t world_greet(struct world *w, const struct net_keypair *k, struct net_link **ret)
{
    struct wire_msg m = ping_of(7);
    size_t before = w->n_got;

    *ret = world_connect(w, k);
    assert_int_equal(net_link_send(*ret, &m), 0);
    WORLD_UNTIL(w, w->n_got > before);
    net_listener_greeted(w->l, w->got[before].peer);
    return w->got[before].peer;
}

/* A peer made by hand: a DEALER with a right key in the client's context, that announces `size` bytes as its routing id. */
static inline void *raw_dealer_as(struct world *w, const struct net_keypair *k, const void *identity, size_t size)
{
    void *s = zmq_socket(w->client->context, ZMQ_DEALER);

    assert_non_null(s);
    net_set_int(s, ZMQ_LINGER, 0);
    net_set_int(s, ZMQ_RECONNECT_IVL, -1);
    if (size)
        assert_int_equal(zmq_setsockopt(s, ZMQ_ROUTING_ID, identity, size), 0);
    assert_int_equal(zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, w->broker.public_key, 32), 0);
    assert_int_equal(zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, k->public_key, 32), 0);
    assert_int_equal(zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, k->secret_key, 32), 0);
    assert_int_equal(zmq_connect(s, net_listener_endpoint(w->l)), 0);
    return s;
}

static inline void *raw_dealer(struct world *w, const struct net_keypair *k, const char *identity)
{
    return raw_dealer_as(w, k, identity, identity ? strlen(identity) : 0);
}

static inline int raw_tcp(const char *endpoint)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(strrchr(endpoint, ':') + 1)) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)(void *)&a, sizeof(a)), 0);
    return fd;
}

/* A port where nobody listens and nobody else can: it is bound and not listened on, until the descriptor is closed. */
static inline int raw_taken_port(char *endpoint, size_t size)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t length = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&a, sizeof(a)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&a, &length), 0);
    snprintf(endpoint, size, "tcp://127.0.0.1:%u", ntohs(a.sin_port));
    return fd;
}

static inline struct net_counters counters_of(struct world *w)
{
    struct net_counters c;

    net_listener_counters(w->l, &c);
    return c;
}

#endif
