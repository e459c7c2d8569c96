/* SPDX-License-Identifier: MPL-2.0
 * source.h - the net itself and the sockets in its one epoll set. Like monitor.h, frame.h, zap.h, peers.h, link_i.h and resolve.h,
 * it is included by files of common/net and by their tests, by nobody else; each file includes what it stands on, so that a call
 * upward does not compile.
 *
 * Invariant: every ZeroMQ socket lies in a net_source that is in the epoll set; `hot` is true whenever the socket may have
 * something that its descriptor does not show any more (it is edge-triggered).
 */
#ifndef NET_SOURCE_H
#define NET_SOURCE_H

#include "base/err.h"
#include "base/list.h"
#include "types.h"

#include <zmq.h>

#define NET_SEND_HWM 131072             /* messages; windows are far below, so reaching it means a broken peer */
#define NET_OVERHEAD 64u                /* what CURVE adds to a frame */
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
    net_sent_fn *sent;                  /* NULL: nobody wants to know */
    void *sent_ctx;
};

int net_source_add(struct net *n, struct net_source *s, void *socket, struct err *e);
void net_source_close(struct net *n, struct net_source *s);
bool net_source_ready(struct net_source *s);
int net_set_int(void *socket, int option, int value);
void net_arm(struct net *n, uint64_t at);               /* the timer fires at `at` at the latest */

#endif
