/* SPDX-License-Identifier: MPL-2.0
 * peers.c - which connection is which: descriptors from the monitor, routing ids from the messages, and how connections end.
 *
 * A ROUTER does not tell when a routing id ends; the monitor tells when a descriptor does, and a message tells its descriptor.
 * Invariants: a conn has at most one peer and a peer at most one conn; a peer is reported as lost once, after its last message was
 * received; a descriptor is shut down only while it still is the socket (inode) that was accepted.
 */
#include "peers.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/moves.h"
#include "bfork.h"
#include "frame.h"
#include "keys.h"
#include "monitor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define LEAVING_LIMIT CLOCK_SEC     /* a socket that is never empty must not hide losses for longer */

enum peer_event { PEER_IS_CUT, PEER_DISCONNECTS, PEER_IS_LATE, PEER_IS_DRAINED, PEER_EVENTS };

static const char *const peer_states[] = { "live", "cut", "leaving", "leaving and cut", "told to have left", "gone" };
static const char *const peer_events[] = { "be cut", "disconnect", "take too long to leave", "have left nothing unread" };
static const uint8_t peer_cells[PEER_STATES][PEER_EVENTS] = {
    [PEER_LIVE] = { [PEER_IS_CUT] = TO(PEER_CUT), [PEER_DISCONNECTS] = TO(PEER_LEAVING) },
    [PEER_CUT] = { [PEER_IS_CUT] = MOVES_LATE, [PEER_DISCONNECTS] = TO(PEER_LEAVING_CUT) },
    [PEER_LEAVING] = { [PEER_IS_CUT] = TO(PEER_LEAVING_CUT), [PEER_DISCONNECTS] = MOVES_LATE, [PEER_IS_LATE] = TO(PEER_TOLD),
                       [PEER_IS_DRAINED] = TO(PEER_GONE) },
    [PEER_LEAVING_CUT] = { [PEER_IS_CUT] = MOVES_LATE, [PEER_DISCONNECTS] = MOVES_LATE, [PEER_IS_LATE] = TO(PEER_TOLD),
                           [PEER_IS_DRAINED] = TO(PEER_GONE) },
    [PEER_TOLD] = { [PEER_IS_CUT] = MOVES_LATE, [PEER_DISCONNECTS] = MOVES_LATE, [PEER_IS_LATE] = MOVES_LATE,
                    [PEER_IS_DRAINED] = TO(PEER_GONE) },
};
static const struct moves peer_moves = MOVES("a peer", peer_states, peer_events, peer_cells);

static bool move_peer(struct net_peer *p, enum peer_event event)
{
    unsigned to;

    if (!moves_next(&peer_moves, p->state, event, &to))
        return false;
    p->state = (enum net_peer_state)to;
    return true;
}

static uint64_t conn_inode(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) ? (uint64_t)st.st_ino : 0;
}

static void conn_shutdown(struct net_listener *l, struct net_conn *c)
{
    if (c->cut)
        return;
    c->cut = true;
    if (list_in(&c->silent))
        list_remove(&l->silent, &c->silent);
    if (c->inode && conn_inode(c->fd) == c->inode)
        shutdown(c->fd, SHUT_RDWR);
}

void net_conn_cut(struct net_listener *l, struct net_conn *c)
{
    if (c->peer)
        move_peer(c->peer, PEER_IS_CUT);
    conn_shutdown(l, c);
}

void net_peers_left(struct net_listener *l, struct net_peer *p)
{
    if (p->conn) {
        p->conn->peer = NULL;
        p->conn = NULL;
    }
    if (list_in(&p->cutting))
        list_remove(&l->cutting, &p->cutting);
    if (!move_peer(p, PEER_DISCONNECTS))
        return;
    p->left_at = clock_now();
    list_push_back(&l->leaving, &p->node);
    l->data.hot = true;
}

void net_peers_drained(struct net_listener *l)
{
    struct list_node *n;

    while ((n = list_pop(&l->leaving))) {
        struct net_peer *p = LIST_ENTRY(n, struct net_peer, node);
        bool told = p->state == PEER_TOLD;
        map_take(&l->peers, p->rid);
        move_peer(p, PEER_IS_DRAINED);
        if (told)
            free(p);
        else
            list_push_back(&l->gone, &p->node);
    }
}

bool net_peers_lost(struct net_listener *l, uint64_t *ret_peer)
{
    struct list_node *n = list_pop(&l->gone);
    uint64_t now;

    if (n) {
        struct net_peer *p = LIST_ENTRY(n, struct net_peer, node);
        *ret_peer = p->number;
        free(p);
        return true;
    }
    if (list_empty(&l->leaving))
        return false;
    now = clock_now();
    for (LIST_EACH(&l->leaving, node)) {
        struct net_peer *p = LIST_ENTRY(node, struct net_peer, node);
        if (now - p->left_at > LEAVING_LIMIT && move_peer(p, PEER_IS_LATE)) {
            *ret_peer = p->number;
            return true;
        }
    }
    return false;
}

static void conn_closed(struct net_listener *l, int fd)
{
    struct net_conn *c = map_take(&l->conns, (uint64_t)fd);

    if (!c)
        return;
    if (list_in(&c->silent))
        list_remove(&l->silent, &c->silent);
    if (c->peer)
        net_peers_left(l, c->peer);
    l->n_over -= c->over;
    free(c);
    l->counters.connections--;
}

static void conn_accepted(struct net_listener *l, int fd, uint64_t now)
{
    struct net_conn *c = calloc(1, sizeof(*c));

    conn_closed(l, fd);
    l->counters.accepted++;
    if (!c || map_put(&l->conns, (uint64_t)fd, c) < 0) {
        free(c);
        shutdown(fd, SHUT_RDWR);
        return;
    }
    l->counters.connections++;
    c->fd = fd;
    c->inode = conn_inode(fd);
    c->since = now;
    list_push_back(&l->silent, &c->silent);
    c->over = l->max_connections && l->counters.connections - l->n_over > l->max_connections;
    l->n_over += c->over;
    if (l->refusing || (c->over && l->n_over > NET_TOLD_MOST)) {
        l->counters.over_cap++;
        conn_shutdown(l, c);
    }
}

static void peers_monitor(struct net_listener *l, uint64_t now)
{
    struct net_event ev;

    while (net_monitor_next(&l->monitor, &ev)) {
        if (ev.id == ZMQ_EVENT_ACCEPTED)
            conn_accepted(l, (int)ev.value, now);
        else if (ev.id == ZMQ_EVENT_DISCONNECTED)
            conn_closed(l, (int)ev.value);
        else if (ev.id == ZMQ_EVENT_ACCEPT_FAILED)
            l->counters.accept_failed++;
        else if (ev.id == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL || ev.id == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
            l->counters.handshake_failed++;
    }
}

void net_peers_step(struct net_listener *l, uint64_t now)
{
    peers_monitor(l, now);
    while (!list_empty(&l->silent)) {
        struct net_conn *c = LIST_ENTRY(list_first(&l->silent), struct net_conn, silent);
        if (c->since + l->hello_ns > now)
            break;
        l->counters.silent++;
        net_conn_cut(l, c);
    }
    if (list_empty(&l->cutting))
        return;
    for (LIST_EACH_SAFE(&l->cutting, n, after)) {
        struct net_peer *p = LIST_ENTRY(n, struct net_peer, cutting);
        if (p->cut_at > now)
            continue;
        list_remove(&l->cutting, &p->cutting);
        if (p->conn)
            conn_shutdown(l, p->conn);
    }
}

uint64_t net_peers_deadline(const struct net_listener *l)
{
    uint64_t at = CLOCK_NEVER;

    if (!list_empty(&l->silent))
        at = LIST_ENTRY(list_first(&l->silent), struct net_conn, silent)->since + l->hello_ns;
    for (LIST_EACH(&l->cutting, n)) {
        struct net_peer *p = LIST_ENTRY(n, struct net_peer, cutting);
        if (p->cut_at < at)
            at = p->cut_at;
    }
    return at;
}

struct net_peer *net_peers_known(struct net_listener *l, uint32_t rid)
{
    return map_get(&l->peers, rid);
}

struct net_peer *net_peers_find(struct net_listener *l, uint64_t number)
{
    struct net_peer *p = map_get(&l->peers, number & 0xffffffffu);

    return p && p->number == number && p->state == PEER_LIVE ? p : NULL;
}

int net_peer_send(struct net_listener *l, struct net_peer *p, const struct wire_msg *m)
{
    uint8_t id[5] = { 0 };
    zmq_msg_t msg;
    int rc;

    rc = net_encode(&msg, m);
    if (rc < 0)
        return rc;
    memcpy(id + 1, &p->rid, 4);
    do
        rc = zmq_send(l->data.socket, id, sizeof(id), ZMQ_DONTWAIT | ZMQ_SNDMORE);
    while (rc < 0 && errno == EINTR);
    if (rc >= 0)
        while ((rc = zmq_msg_send(&msg, l->data.socket, ZMQ_DONTWAIT)) < 0 && errno == EINTR)
            ;
    l->data.hot = true;
    if (rc >= 0) {
        p->sent_at = clock_now();
        if (l->n->sent)
            l->n->sent(l->n->sent_ctx, l, p->number, p->key, m);
        return 0;
    }
    rc = errno;
    zmq_msg_close(&msg);
    if (rc == EAGAIN)
        return BFORK_EAGAIN;
    net_peers_left(l, p);
    return BFORK_EUNREACHABLE;
}

static bool peers_over_cap(const struct net_listener *l, const uint8_t key[32])
{
    uint32_t same = 0;
    uint64_t rid;
    void *value;

    if (l->max_per_key == 0)
        return false;
    for (size_t i = 0; map_next(&l->peers, &i, &rid, &value);) {
        struct net_peer *p = value;
        if (p->state == PEER_LIVE && memcmp(p->key, key, 32) == 0)
            same++;
    }
    return same >= l->max_per_key;
}

/* The key is in order, there is no place: so that nobody looks for the mistake in a key. RESET is an invitation to come again. */
static void peers_refuse(struct net_listener *l, struct net_peer *p, const char *why)
{
    struct wire_msg m = { .type = WIRE_RESET };

    m.u.error.code = BFORK_EAGAIN;
    m.u.error.text = WIRE_STR(why);
    l->counters.over_cap++;
    log_limited(LOG_WARNING_, 'c', "event=too_many_connections key=%s at=%s text=\"%s\"", p->user_id, l->domain, why);
    net_peer_send(l, p, &m);
    net_peers_cut(l, p);
}

struct net_peer *net_peers_add(struct net_listener *l, uint32_t rid, int fd, const uint8_t key[32], bool hasty)
{
    struct net_peer *p = calloc(1, sizeof(*p));
    struct net_conn *c;
    bool over = peers_over_cap(l, key);

    if (!p || map_put(&l->peers, rid, p) < 0) {
        free(p);
        return NULL;
    }
    p->number = (uint64_t)l->serial << 56 | (uint64_t)(++l->n->peer_serial & 0xffffffu) << 32 | rid;
    p->rid = rid;
    memcpy(p->key, key, 32);
    net_key_text(key, p->user_id);
    /* ACCEPTED was written before this connection's first message, so now it has been read. */
    peers_monitor(l, clock_now());
    c = map_get(&l->conns, (uint64_t)fd);
    if (!c) {
        net_peers_left(l, p);
        return p;
    }
    if (c->peer)
        net_peers_left(l, c->peer);
    c->peer = p;
    p->conn = c;
    if (c->over)
        peers_refuse(l, p, "it has as many connections as it takes");
    else if (over)
        peers_refuse(l, p, "it has as many connections with this key as it takes");
    else if (hasty)
        peers_refuse(l, p, "this key has made more connections in a short time than it takes");
    return p;
}

void net_peers_cut(struct net_listener *l, struct net_peer *p)
{
    uint64_t now = clock_now();

    if (!move_peer(p, PEER_IS_CUT))
        return;
    l->counters.cut++;
    if (!p->conn)
        return;
    if (p->sent_at && now < p->sent_at + NET_CUT_GRACE_MS * CLOCK_MS) {
        p->cut_at = p->sent_at + NET_CUT_GRACE_MS * CLOCK_MS;
        list_push_back(&l->cutting, &p->cutting);
        net_arm(l->n, p->cut_at);
    } else {
        conn_shutdown(l, p->conn);
    }
}

void net_peers_free(struct net_listener *l)
{
    uint64_t key;
    void *value;
    struct list_node *n;

    for (size_t i = 0; map_next(&l->conns, &i, &key, &value);)
        free(value);
    for (size_t i = 0; map_next(&l->peers, &i, &key, &value);)
        free(value);
    for (size_t i = 0; map_next(&l->paces, &i, &key, &value);)
        free(value);
    while ((n = list_pop(&l->gone)))
        free(LIST_ENTRY(n, struct net_peer, node));
    map_free(&l->paces);
    map_free(&l->conns);
    map_free(&l->peers);
}
