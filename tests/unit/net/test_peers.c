/* SPDX-License-Identifier: MPL-2.0
 * Peers that misbehave, end, or are made to end.
 */
#include "world.h"

static bool tcp_closed(int fd)
{
    char bytes[256];
    ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static void still_serves(struct world *w)
{
    struct net_link *link;

    world_greet(w, &w->known, &link);
    net_link_close(&link);
}

static void garbage_on_the_port_ends_that_connection_only(void **state)
{
    struct world w;
    static const char http[] =
        "GET / HTTP/1.1\r\nHost: here\r\n\r\n............................................................................";
    (void)state;

    world_init(&w);
    int fd = raw_tcp(net_listener_endpoint(w.l));
    assert_true(write(fd, http, sizeof(http)) > 0);
    w.watched = fd;
    WORLD_UNTIL(&w, tcp_closed(fd));
    w.watched = 0;
    close(fd);
    still_serves(&w);
    world_done(&w);
}

static void a_connection_without_hello_is_cut(void **state)
{
    struct world w;
    (void)state;

    world_init(&w);
    net_listener_limits(w.l, 50, 0, 0);
    int fd = raw_tcp(net_listener_endpoint(w.l));
    uint64_t start = clock_now();
    w.watched = fd;
    WORLD_UNTIL(&w, tcp_closed(fd));
    w.watched = 0;
    assert_true(clock_now() - start < 2 * CLOCK_SEC);
    assert_int_equal(counters_of(&w).silent, 1);
    close(fd);
    /* with a handshake but nothing behind it, the same */
    struct net_link *link = world_connect(&w, &w.known);
    WORLD_UNTIL(&w, net_link_state(link, NULL) == NET_LINK_DOWN);
    assert_int_equal(counters_of(&w).silent, 2);
    WORLD_UNTIL(&w, counters_of(&w).connections == 0);
    net_link_close(&link);
    /* a message that is not followed by greeted() does not help either */
    struct wire_msg m = ping_of(1);
    link = world_connect(&w, &w.known);
    assert_int_equal(net_link_send(link, &m), 0);
    WORLD_UNTIL(&w, net_link_state(link, NULL) == NET_LINK_DOWN && w.n_lost == 1);
    net_link_close(&link);
    world_done(&w);
}

static void who_was_greeted_may_be_silent(void **state)
{
    struct world w;
    struct net_link *link;
    (void)state;

    world_init(&w);
    net_listener_limits(w.l, 200, 0, 0);
    world_greet(&w, &w.known, &link);
    int fd = raw_tcp(net_listener_endpoint(w.l));       /* younger and silent: once it is cut, the limit has passed for both */
    w.watched = fd;
    WORLD_UNTIL(&w, tcp_closed(fd));
    w.watched = 0;
    close(fd);
    assert_int_equal(net_link_state(link, NULL), NET_LINK_UP);
    assert_int_equal(w.n_lost, 0);
    world_done(&w);
}

/* A routing id has one key. The transport gives it to two connections only by a fault of its own: then what comes is not of the
 * peer that is known by it, and must not be delivered in its name. */
static void another_key_on_a_known_routing_id_is_not_delivered(void **state)
{
    struct world w;
    struct net_link *link;
    struct net_peer *p;
    struct wire_msg m = ping_of(8);
    (void)state;

    world_init(&w);
    uint64_t number = world_greet(&w, &w.known, &link);
    p = net_peers_find(w.l, number);
    assert_non_null(p);
    memcpy(p->key, w.stranger.public_key, sizeof(p->key));
    net_key_text(p->key, p->user_id);       /* as if the stranger had been met by this id */
    assert_int_equal(net_link_send(link, &m), 0);
    WORLD_UNTIL(&w, w.n_got > 1 || net_link_state(link, NULL) == NET_LINK_DOWN);
    assert_int_equal(w.n_got, 1);
    assert_int_equal(counters_of(&w).bad, 1);
    net_link_close(&link);
    still_serves(&w);
    world_done(&w);
}

static void a_routing_id_of_its_own_ends_the_connection(void **state)
{
    struct world w;
    (void)state;

    world_init(&w);
    void *odd = raw_dealer(&w, &w.known, "mine");
    assert_int_equal(zmq_send(odd, "x", 1, 0), 1);
    WORLD_UNTIL(&w, counters_of(&w).bad == 1 && counters_of(&w).connections == 0);
    assert_int_equal(w.n_got, 0);
    zmq_close(odd);
    still_serves(&w);
    world_done(&w);
}

#define R13_IDS 24u

/* Announces the ids that the socket itself gives out next, on connections that never say a word, and makes it give them out. */
static void r13_an_announced_routing_id_that_is_given_out_next(void **state)
{
    struct world w;
    struct net_source watched[R13_IDS] = { { 0 } };
    void *odd[R13_IDS];
    struct net_link *link;
    struct err e = { 0, "" };
    (void)state;

    world_init(&w);
    uint64_t first = world_greet(&w, &w.known, &link);
    net_link_close(&link);
    for (uint32_t i = 0; i < R13_IDS; i++) {
        struct net_event ev = { 0 };
        uint32_t next = ntohl((uint32_t)first) + 1 + i;
        uint8_t id[5] = { 0, (uint8_t)(next >> 24), (uint8_t)(next >> 16), (uint8_t)(next >> 8), (uint8_t)next };
        odd[i] = raw_dealer_as(&w, &w.known, id, sizeof(id));
        assert_int_equal(net_monitor_open(w.client, odd[i], ZMQ_EVENT_HANDSHAKE_SUCCEEDED, &watched[i], &e), 0);
        WORLD_UNTIL(&w, net_monitor_next(&watched[i], &ev) && ev.id == ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    }
    for (uint32_t i = 0; i < R13_IDS; i++)
        still_serves(&w);
    for (uint32_t i = 0; i < R13_IDS; i++) {
        net_monitor_close(w.client, odd[i], &watched[i]);
        zmq_close(odd[i]);
    }
    world_done(&w);
}

static void r13_announced_ids_of_every_kind_end_their_connection(void **state)
{
    static const char *const ids[] = { "a", "12345", "same", "same" };
    struct world w;
    (void)state;

    world_init(&w);
    for (uint64_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        void *odd = raw_dealer(&w, &w.known, ids[i]);
        assert_int_equal(zmq_send(odd, "x", 1, 0), 1);
        WORLD_UNTIL(&w, counters_of(&w).bad == i + 1 && counters_of(&w).connections == 0);
        assert_int_equal(w.n_got, 0);
        zmq_close(odd);
    }
    still_serves(&w);
    world_done(&w);
}

static void several_frames_end_the_connection(void **state)
{
    struct world w;
    (void)state;

    world_init(&w);
    void *odd = raw_dealer(&w, &w.known, NULL);
    assert_int_equal(zmq_send(odd, "a", 1, ZMQ_SNDMORE), 1);
    assert_int_equal(zmq_send(odd, "b", 1, ZMQ_SNDMORE), 1);
    assert_int_equal(zmq_send(odd, "c", 1, 0), 1);
    WORLD_UNTIL(&w, counters_of(&w).bad == 1 && counters_of(&w).connections == 0);
    assert_int_equal(w.n_got, 0);
    zmq_close(odd);
    still_serves(&w);
    world_done(&w);
}

static void a_frame_over_the_room_ends_the_connection(void **state)
{
    struct world w;
    size_t size = NET_FRAME_ROOM + NET_OVERHEAD;
    char *big = calloc(1, size);
    (void)state;

    world_init(&w);
    void *odd = raw_dealer(&w, &w.known, NULL);
    assert_int_equal(zmq_send(odd, big, NET_FRAME_ROOM, 0), NET_FRAME_ROOM); /* so large it passes, to be refused by who reads it */
    WORLD_UNTIL(&w, w.n_got == 1);
    net_listener_greeted(w.l, w.got[0].peer);
    assert_int_equal(w.got[0].frame->size, NET_FRAME_ROOM);
    assert_int_equal(zmq_send(odd, big, size, 0), (int)size);
    WORLD_UNTIL(&w, w.n_lost == 1);
    assert_int_equal(w.n_got, 1);
    zmq_close(odd);
    free(big);
    still_serves(&w);
    world_done(&w);
}

static void a_cut_peer_is_gone_and_reported_once(void **state)
{
    struct world w;
    struct net_link *link, *other;
    struct err e = { 0, "" };
    (void)state;

    world_init(&w);
    uint64_t peer = world_greet(&w, &w.known, &link), stays = world_greet(&w, &w.known, &other);
    assert_int_not_equal(peer, stays);
    uint64_t start = clock_now();
    net_listener_cut(w.l, peer);
    net_listener_cut(w.l, peer);
    WORLD_UNTIL(&w, net_link_state(link, &e) == NET_LINK_DOWN && w.n_lost == 1);
    assert_true(clock_now() - start < CLOCK_SEC);
    assert_int_equal(w.lost[0], peer);
    assert_int_equal(e.code, BFORK_EUNREACHABLE);
    assert_int_equal(net_link_state(other, NULL), NET_LINK_UP);
    net_link_close(&link);
    net_link_close(&other);
    WORLD_UNTIL(&w, w.n_lost == 2);
    assert_int_equal(w.lost[1], stays);
    world_done(&w);
}

static void what_a_cut_peer_still_sends_is_dropped(void **state)
{
    struct world w;
    struct net_link *link;
    struct wire_msg m = ping_of(1);
    (void)state;

    world_init(&w);
    uint64_t peer = world_greet(&w, &w.known, &link);
    assert_int_equal(net_listener_send(w.l, peer, &m), 0);      /* so the cut waits a moment, and the link can still send */
    net_listener_cut(w.l, peer);
    for (int i = 0; i < 10; i++)
        assert_int_equal(net_link_send(link, &m), 0);
    WORLD_UNTIL(&w, w.n_lost == 1);
    assert_int_equal(w.n_got, 1);
    world_done(&w);
}

static void the_last_words_before_a_cut_arrive(void **state)
{
    struct world w;
    struct net_link *link;
    struct wire_msg m = ping_of(99);
    struct buf *frame = NULL;
    (void)state;

    world_init(&w);
    uint64_t peer = world_greet(&w, &w.known, &link);
    assert_int_equal(net_listener_send(w.l, peer, &m), 0);
    net_listener_cut(w.l, peer);
    WORLD_UNTIL(&w, net_link_state(link, NULL) == NET_LINK_DOWN);
    assert_int_equal(net_link_recv(link, &frame), 1);
    assert_int_equal(stamp_of(frame), 99);
    buf_unref(&frame);
    world_done(&w);
}

static void messages_before_the_end_come_before_the_loss(void **state)
{
    struct world w;
    struct net_keypair k;
    (void)state;

    world_init(&w);
    k = w.known;
    for (int round = 0; round < 20; round++) {
        void *s = raw_dealer(&w, &k, NULL);
        net_set_int(s, ZMQ_LINGER, 5000);
        assert_int_equal(zmq_send(s, "1", 1, 0), 1);
        assert_int_equal(zmq_send(s, "2", 1, 0), 1);
        zmq_close(s);                       /* sends, then closes */
        size_t got = 0;
        uint64_t peer = 0, deadline = clock_now() + 10 * CLOCK_SEC;
        for (bool lost = false; !lost;) {
            struct pollfd p = { .fd = net_fd(w.server), .events = POLLIN };
            struct net_received r;
            struct err e;
            assert_true(clock_now() < deadline);
            if (!net_ready(w.server))
                poll(&p, 1, 10000);
            assert_int_equal(net_step(w.server, &e), 0);
            while (net_listener_recv(w.l, &r, &e) == 1) {
                peer = r.peer;
                buf_unref(&r.frame);
                got++;
            }
            uint64_t who;
            while (net_listener_lost(w.l, &who)) {
                assert_int_equal(who, peer);
                lost = true;
            }
        }
        assert_int_equal(got, 2);
    }
    world_done(&w);
}

static void a_loss_noticed_by_a_send_is_reported_without_another_event(void **state)
{
    struct world w;
    struct net_link *link;
    struct wire_msg m = ping_of(1);
    (void)state;

    world_init(&w);
    uint64_t peer = world_greet(&w, &w.known, &link);
    net_link_close(&link);
    uint64_t deadline = clock_now() + 10 * CLOCK_SEC;
    while (net_listener_send(w.l, peer, &m) == 0)      /* no step: nothing but the send can tell */
        assert_true(clock_now() < deadline);
    assert_true(net_ready(w.server));
    struct net_received r;
    struct err e;
    assert_int_equal(net_listener_recv(w.l, &r, &e), 0);
    assert_int_equal(net_listener_lost(w.l, &w.lost[0]), 1);
    assert_int_equal(w.lost[0], peer);
    WORLD_UNTIL(&w, counters_of(&w).connections == 0);
    assert_int_equal(w.n_lost, 0);
    world_done(&w);
}

static void a_peer_that_does_not_take_gets_no_more(void **state)
{
    struct world w;
    struct wire_msg m = ping_of(1);
    int rc = 0;
    (void)state;

    world_init(&w);
    void *s = raw_dealer(&w, &w.known, NULL);               /* its own high-water mark stops it from reading */
    assert_int_equal(zmq_send(s, "x", 1, 0), 1);
    WORLD_UNTIL(&w, w.n_got == 1);
    net_listener_greeted(w.l, w.got[0].peer);
    for (int i = 0; rc == 0 && i < 20000000; i++)
        rc = net_listener_send(w.l, w.got[0].peer, &m);
    assert_int_equal(rc, BFORK_EAGAIN);
    still_serves(&w);
    zmq_close(s);
    WORLD_UNTIL(&w, w.n_lost == 2);
    world_done(&w);
}

struct revoked { struct world *w; size_t cut; uint64_t peers[8]; size_t n; };

static void revoke_each(void *ctx, uint64_t peer, const uint8_t key[32])
{
    struct revoked *r = ctx;

    if (!world_allows(r->w, key))
        r->peers[r->n++] = peer;
}

static void a_revoked_key_is_found_cut_and_not_admitted_again(void **state)
{
    struct world w;
    struct net_link *link, *again;
    struct err e = { 0, "" };
    (void)state;

    world_init(&w);
    struct revoked r = { .w = &w };
    struct net_link *handshaken = world_connect(&w, &w.known);      /* through the handshake, silent so far */
    uint64_t peer = world_greet(&w, &w.known, &link);
    WORLD_UNTIL(&w, net_link_state(handshaken, NULL) == NET_LINK_UP);
    w.n_allowed = 0;
    net_listener_each(w.l, revoke_each, &r);
    assert_int_equal(r.n, 1);
    assert_int_equal(r.peers[0], peer);
    net_listener_cut(w.l, peer);
    struct wire_msg m = ping_of(5);
    assert_int_equal(net_link_send(handshaken, &m), 0);
    WORLD_UNTIL(&w, net_link_state(link, NULL) == NET_LINK_DOWN && net_link_state(handshaken, NULL) == NET_LINK_DOWN);
    assert_int_equal(w.n_got, 1);
    again = world_connect(&w, &w.known);
    WORLD_UNTIL(&w, net_link_state(again, &e) == NET_LINK_DOWN);
    assert_int_equal(e.code, BFORK_EDENIED);
    world_done(&w);
}

static void connections_of_one_key_are_capped(void **state)
{
    struct world w;
    struct net_link *a, *b, *c;
    struct wire_msg m = ping_of(1);
    (void)state;

    world_init(&w);
    net_listener_limits(w.l, 0, 2, 0);
    world_greet(&w, &w.known, &a);
    world_greet(&w, &w.known, &b);
    c = world_connect(&w, &w.known);
    assert_int_equal(net_link_send(c, &m), 0);
    WORLD_UNTIL(&w, net_link_state(c, NULL) == NET_LINK_DOWN);
    assert_int_equal(w.n_got, 2);
    assert_int_equal(counters_of(&w).over_cap, 1);
    net_link_close(&a);
    net_link_close(&c);
    WORLD_UNTIL(&w, counters_of(&w).connections == 1);
    world_greet(&w, &w.known, &c);
    world_done(&w);
}

static void r13_handshakes_of_one_key_are_limited_and_others_go_on(void **state)
{
    struct world w;
    struct net_link *link;
    unsigned served = 0;
    (void)state;

    world_init(&w);
    memcpy(w.allowed[w.n_allowed++], w.stranger.public_key, 32);
    net_listener_limits(w.l, 0, 8, 0);
    uint64_t start = clock_now();
    for (; counters_of(&w).over_cap == 0 && served < 10 * NET_PACE_LEAST; served++) {
        struct wire_msg m = ping_of(served);
        link = world_connect(&w, &w.known);
        assert_int_equal(net_link_send(link, &m), 0);
        size_t before = w.n_got;
        WORLD_UNTIL(&w, w.n_got > before || net_link_state(link, NULL) == NET_LINK_DOWN);
        net_link_close(&link);
        for (size_t i = 0; i < w.n_got; i++)
            buf_unref(&w.got[i].frame);
        w.n_got = w.n_lost = 0;
        WORLD_UNTIL(&w, counters_of(&w).connections == 0);
    }
    uint64_t took = clock_now() - start;
    assert_true(served > NET_PACE_LEAST);
    assert_true(served <= NET_PACE_LEAST + 2 + took / CLOCK_SEC * NET_PACE_LEAST / NET_PACE_PART + NET_PACE_LEAST / NET_PACE_PART);
    world_greet(&w, &w.stranger, &link);        /* another key is not charged for it */
    world_done(&w);
}

static void connections_are_capped_and_work_goes_on(void **state)
{
    struct world w;
    struct net_link *a;
    int fds[20];
    (void)state;

    world_init(&w);
    net_listener_limits(w.l, 60000, 0, 8);
    uint64_t peer = world_greet(&w, &w.known, &a);
    for (int i = 0; i < 20; i++)
        fds[i] = raw_tcp(net_listener_endpoint(w.l));
    WORLD_UNTIL(&w, counters_of(&w).over_cap >= 13 - NET_TOLD_MOST && counters_of(&w).connections <= 8 + NET_TOLD_MOST);
    struct wire_msg m = ping_of(77);
    struct buf *frame = NULL;
    assert_int_equal(net_listener_send(w.l, peer, &m), 0);
    WORLD_UNTIL(&w, net_link_recv(a, &frame) == 1);
    buf_unref(&frame);
    for (int i = 0; i < 20; i++)
        close(fds[i]);
    WORLD_UNTIL(&w, counters_of(&w).connections == 1);
    still_serves(&w);
    world_done(&w);
}

/* Connects as k. True: it is served; false: it is refused because of `why`, which is nothing about keys, and then ended. */
static bool served(struct world *w, const struct net_keypair *k, const char *why)
{
    static struct wire_item items[WIRE_ITEMS_MAX];
    struct net_link *link = world_connect(w, k);
    struct wire_msg m = ping_of(1);
    struct buf *frame = NULL;
    struct err e = { 0, "" };
    size_t before = w->n_got;

    assert_int_equal(net_link_send(link, &m), 0);
    WORLD_UNTIL(w, w->n_got > before || net_link_recv(link, &frame) == 1 || net_link_state(link, &e) == NET_LINK_DOWN);
    if (w->n_got > before) {
        net_link_close(&link);
        buf_unref(&w->got[--w->n_got].frame);
        return true;
    }
    if (!frame && net_link_recv(link, &frame) != 1)
        fail_msg("it is not told: %s", e.text);
    assert_int_equal(wire_decode(frame->data, frame->size, frame, items, &m, &e), 0);
    assert_int_equal(m.type, WIRE_RESET);
    assert_int_equal(m.u.error.code, BFORK_EAGAIN);
    if (!memmem(m.u.error.text.p, m.u.error.text.n, why, strlen(why)))
        fail_msg("\"%s\" is not in: %.*s", why, (int)m.u.error.text.n, m.u.error.text.p);
    buf_unref(&frame);
    WORLD_UNTIL(w, net_link_state(link, NULL) == NET_LINK_DOWN);
    net_link_close(&link);
    return false;
}

static void r26_who_is_over_a_cap_is_told_so(void **state)
{
    struct world w;
    struct net_link *a, *b, *other;
    (void)state;

    world_init(&w);
    memcpy(w.allowed[w.n_allowed++], w.stranger.public_key, 32);
    net_listener_limits(w.l, 0, 0, 2);
    world_greet(&w, &w.known, &a);
    world_greet(&w, &w.known, &b);
    assert_false(served(&w, &w.stranger, "as many connections as it takes"));
    WORLD_UNTIL(&w, counters_of(&w).connections == 2 && w.l->n_over == 0);
    net_listener_limits(w.l, 0, 2, 0);
    assert_false(served(&w, &w.known, "with this key"));
    WORLD_UNTIL(&w, counters_of(&w).connections == 2);
    assert_int_equal(counters_of(&w).over_cap, 2);
    world_greet(&w, &w.stranger, &other);
    net_link_close(&a);
    WORLD_UNTIL(&w, counters_of(&w).connections == 2);
    world_greet(&w, &w.known, &a);          /* a place is free again */
    world_done(&w);
}

static void r26_who_makes_too_many_handshakes_is_told_so(void **state)
{
    struct world w;
    unsigned n = 0;
    (void)state;

    world_init(&w);
    net_listener_limits(w.l, 0, 8, 0);
    for (; served(&w, &w.known, "in a short time"); w.n_lost = 0) {
        assert_true(++n < 20 * NET_PACE_LEAST);
        WORLD_UNTIL(&w, counters_of(&w).connections == 0);      /* or eight that have been closed are still counted */
    }
    assert_true(n >= NET_PACE_LEAST);
    assert_int_equal(counters_of(&w).over_cap, 1);
    world_done(&w);
}

static void many_connections_come_and_go_without_a_mix_up(void **state)
{
    struct world w;
    (void)state;

    world_init(&w);
    for (int i = 0; i < 60; i++) {
        struct net_link *link;
        uint64_t peer = world_greet(&w, &w.known, &link);
        net_link_close(&link);
        WORLD_UNTIL(&w, w.n_lost == (size_t)i + 1);
        assert_int_equal(w.lost[i], peer);
    }
    assert_int_equal(counters_of(&w).connections, 0);
    assert_int_equal(w.l->conns.count, 0);
    assert_int_equal(w.l->peers.count, 0);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(garbage_on_the_port_ends_that_connection_only),
        cmocka_unit_test(a_connection_without_hello_is_cut),
        cmocka_unit_test(who_was_greeted_may_be_silent),
        cmocka_unit_test(another_key_on_a_known_routing_id_is_not_delivered),
        cmocka_unit_test(a_routing_id_of_its_own_ends_the_connection),
        cmocka_unit_test(r13_an_announced_routing_id_that_is_given_out_next),
        cmocka_unit_test(r13_announced_ids_of_every_kind_end_their_connection),
        cmocka_unit_test(several_frames_end_the_connection),
        cmocka_unit_test(a_frame_over_the_room_ends_the_connection),
        cmocka_unit_test(a_cut_peer_is_gone_and_reported_once),
        cmocka_unit_test(what_a_cut_peer_still_sends_is_dropped),
        cmocka_unit_test(the_last_words_before_a_cut_arrive),
        cmocka_unit_test(messages_before_the_end_come_before_the_loss),
        cmocka_unit_test(a_loss_noticed_by_a_send_is_reported_without_another_event),
        cmocka_unit_test(a_peer_that_does_not_take_gets_no_more),
        cmocka_unit_test(a_revoked_key_is_found_cut_and_not_admitted_again),
        cmocka_unit_test(connections_of_one_key_are_capped),
        cmocka_unit_test(r13_handshakes_of_one_key_are_limited_and_others_go_on),
        cmocka_unit_test(connections_are_capped_and_work_goes_on),
        cmocka_unit_test(r26_who_is_over_a_cap_is_told_so),
        cmocka_unit_test(r26_who_makes_too_many_handshakes_is_told_so),
        cmocka_unit_test(many_connections_come_and_go_without_a_mix_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
