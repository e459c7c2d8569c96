/* SPDX-License-Identifier: MPL-2.0
 * source.c - the descriptors that an owner waits for: each is in its epoll set with the object that it belongs to.
 */
#include "exec/source.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

int exec_watch(struct exec *x, struct source *s)
{
    /* The event counter rings by its edge and is never read: one system call less for each wake-up. */
    struct epoll_event ev = { .events = s->kind == SOURCE_EVENT ? EPOLLIN | EPOLLET : EPOLLIN, .data.ptr = s };
    return epoll_ctl(x->epoll, EPOLL_CTL_ADD, s->fd, &ev) < 0 ? -errno : 0;
}

void exec_unwatch(struct exec *x, struct source *s)
{
    if (s->fd < 0)
        return;
    epoll_ctl(x->epoll, EPOLL_CTL_DEL, s->fd, NULL);
    close(s->fd);
    s->fd = -1;
}

void exec_watch_room(struct exec *x, struct source *s, bool on)
{
    struct epoll_event ev = { .events = on ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = s };
    epoll_ctl(x->epoll, EPOLL_CTL_MOD, s->fd, &ev);
}
