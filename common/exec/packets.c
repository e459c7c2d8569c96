/* SPDX-License-Identifier: MPL-2.0
 * packets.c - sends and receives packets with descriptors. Never raises SIGPIPE.
 */
#include "exec/packets.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control { struct cmsghdr align; char room[CMSG_SPACE(sizeof(int) * PACKET_FDS)]; };

int exec_packet_send(int fd, const struct packet *p, const int *fds, int n_fds, bool wait)
{
    union control c;
    struct iovec v = { (void *)(uintptr_t)p, offsetof(struct packet, text) + strnlen(p->text, PACKET_TEXT - 1) + 1 };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
    ssize_t n;

    if (n_fds > 0) {
        memset(&c, 0, sizeof(c));
        m.msg_control = c.room;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n_fds);
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n_fds);
        memcpy(CMSG_DATA(h), fds, sizeof(int) * (size_t)n_fds);
    }
    do
        n = sendmsg(fd, &m, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

static void take_fds(struct msghdr *m, int fds[PACKET_FDS])
{
    int got = 0;

    for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
            if (got < PACKET_FDS)
                fds[got++] = fd;
            else
                close(fd);
        }
    }
}

int exec_packet_recv(int fd, struct packet *p, int fds[PACKET_FDS], bool wait)
{
    union control c;
    struct iovec v = { p, sizeof(*p) };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = c.room, .msg_controllen = sizeof(c.room) };
    ssize_t n;

    for (int i = 0; i < PACKET_FDS; i++)
        fds[i] = -1;
    memset(p, 0, sizeof(*p));
    do      /* a peer that ended with packets unread is told first, once, as a reset; then comes what it had said */
        n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
    while (n < 0 && (errno == EINTR || errno == ECONNRESET));
    if (n < 0)
        return -errno;
    if (n == 0)
        return 0;
    take_fds(&m, fds);
    p->text[PACKET_TEXT - 1] = '\0';
    p->stage[sizeof(p->stage) - 1] = '\0';
    if (n < (ssize_t)offsetof(struct packet, text)) {
        for (int i = 0; i < PACKET_FDS; i++)
            if (fds[i] >= 0)
                close(fds[i]);
        return -EPROTO;
    }
    return 1;
}
