/* SPDX-License-Identifier: MPL-2.0
 * source.c - see source.h: sockets come into the epoll set and leave it, and the one timer.
 */
#include "source.h"

#include "base/clock.h"
#include "bfork.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

int net_set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof(value));
}

int net_source_add(struct net *n, struct net_source *s, void *socket, struct err *e)
{
    int fd = -1;
    size_t size = sizeof(fd);
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = s };

    if (zmq_getsockopt(socket, ZMQ_FD, &fd, &size) != 0 || epoll_ctl(n->epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0)
        return err_errno(e, BFORK_ENOMEM, errno, "cannot watch a socket");
    s->socket = socket;
    s->fd = fd;
    s->hot = true;
    return 0;
}

void net_source_close(struct net *n, struct net_source *s)
{
    if (!s->socket)
        return;
    epoll_ctl(n->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
    zmq_close(s->socket);
    s->socket = NULL;
    s->hot = false;
}

bool net_source_ready(struct net_source *s)
{
    int events = 0;
    size_t size = sizeof(events);

    if (!s->socket || !s->hot)
        return false;
    if (zmq_getsockopt(s->socket, ZMQ_EVENTS, &events, &size) != 0)
        return true;        /* EINTR, or broken: the next receive tells */
    s->hot = events & ZMQ_POLLIN;
    return s->hot;
}

void net_arm(struct net *n, uint64_t at)
{
    struct itimerspec t = { .it_value = { (time_t)(at / CLOCK_SEC), (long)(at % CLOCK_SEC) } };

    if (at >= n->armed)
        return;
    /* CLOCK_MONOTONIC and clock_now have the same start only by accident: arm by what is left. */
    uint64_t now = clock_now(), left = at > now ? at - now : 1;
    t.it_value.tv_sec = (time_t)(left / CLOCK_SEC);
    t.it_value.tv_nsec = (long)(left % CLOCK_SEC);
    if (timerfd_settime(n->timer_fd, 0, &t, NULL) == 0)
        n->armed = at;
}
