/* SPDX-License-Identifier: MPL-2.0
 * net.c - the context and its one descriptor: an epoll set over all sockets of the net and one timer. It never blocks and starts no
 * thread of its own. Invariant: a socket whose `hot` is false has nothing that was signalled and not read.
 */
#include "net.h"

#include "base/clock.h"
#include "bfork.h"
#include "link_i.h"
#include "peers.h"
#include "zap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

int net_new(struct net **ret, struct err *e)
{
    struct net *n = calloc(1, sizeof(*n));
    struct epoll_event ev = { .events = EPOLLIN };
    int rc;

    if (!n)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    list_init(&n->listeners);
    list_init(&n->links);
    n->role = "client";
    n->armed = CLOCK_NEVER;
    n->timer_fd = -1;
    n->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (n->epoll_fd >= 0)
        n->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (n->timer_fd < 0 || epoll_ctl(n->epoll_fd, EPOLL_CTL_ADD, n->timer_fd, &ev) != 0) {
        rc = err_errno(e, BFORK_ENOMEM, errno, "cannot make descriptors for the network");
        goto fail;
    }
    n->context = zmq_ctx_new();
    if (!n->context) {
        rc = err_set(e, BFORK_ENOMEM, "cannot make a ZeroMQ context: %s", zmq_strerror(errno));
        goto fail;
    }
    *ret = n;
    return 0;
fail:
    net_free(&n);
    return rc;
}

void net_free(struct net **np)
{
    struct net *n = *np;

    if (!n)
        return;
    *np = NULL;
    while (!list_empty(&n->links)) {
        struct net_link *l = LIST_ENTRY(list_first(&n->links), struct net_link, node);
        net_link_close(&l);
    }
    while (!list_empty(&n->listeners)) {
        struct net_listener *l = LIST_ENTRY(list_first(&n->listeners), struct net_listener, node);
        net_listener_close(&l);
    }
    net_source_close(n, &n->zap);
    if (n->context)
        while (zmq_ctx_term(n->context) != 0 && errno == EINTR)
            ;
    if (n->timer_fd >= 0)
        close(n->timer_fd);
    if (n->epoll_fd >= 0)
        close(n->epoll_fd);
    free(n);
}

void net_set_role(struct net *n, const char *role)
{
    n->role = role;
}

void net_set_sent(struct net *n, net_sent_fn *sent, void *ctx)
{
    n->sent = sent;
    n->sent_ctx = ctx;
}

int net_fd(const struct net *n)
{
    return n->epoll_fd;
}

static void net_gather(struct net *n)
{
    struct epoll_event events[64];
    int got;

    do {
        got = epoll_wait(n->epoll_fd, events, 64, 0);
        for (int i = 0; i < got; i++) {
            struct net_source *s = events[i].data.ptr;
            uint64_t fired;
            if (s)
                s->hot = true;
            else if (read(n->timer_fd, &fired, sizeof(fired)) > 0)
                n->armed = CLOCK_NEVER;
        }
    } while (got < 0 && errno == EINTR);
}

int net_step(struct net *n, struct err *e)
{
    uint64_t now = clock_now();
    int rc = 0;

    net_gather(n);
    if (n->zap.socket || n->zap_dead)
        rc = net_zap_serve(n, e);
    for (LIST_EACH(&n->listeners, node)) {
        struct net_listener *l = LIST_ENTRY(node, struct net_listener, node);
        net_peers_step(l, now);
        net_arm(n, net_peers_deadline(l));
    }
    for (LIST_EACH(&n->links, node)) {
        struct net_link *l = LIST_ENTRY(node, struct net_link, node);
        net_link_step(l, now);
        if (link_is_connecting(l))
            net_arm(n, l->deadline);
    }
    return rc;
}

bool net_ready(struct net *n)
{
    if (net_source_ready(&n->zap) || n->zap_dead)
        return true;
    for (LIST_EACH(&n->listeners, node)) {
        struct net_listener *l = LIST_ENTRY(node, struct net_listener, node);
        if (!list_empty(&l->leaving))
            l->data.hot = true;     /* a loss waits for the socket to be seen empty */
        if (net_source_ready(&l->monitor) || !list_empty(&l->gone) || !list_empty(&l->leaving) || net_source_ready(&l->data))
            return true;
    }
    for (LIST_EACH(&n->links, node)) {
        struct net_link *l = LIST_ENTRY(node, struct net_link, node);
        if (net_source_ready(&l->data) || net_source_ready(&l->monitor))
            return true;
    }
    return false;
}

struct net_listener *net_peer_listener(struct net *n, uint64_t peer)
{
    for (LIST_EACH(&n->listeners, node)) {
        struct net_listener *l = LIST_ENTRY(node, struct net_listener, node);
        if (l->serial == peer >> 56)
            return net_peers_find(l, peer) ? l : NULL;
    }
    return NULL;
}
