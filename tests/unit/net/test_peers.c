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

static void a_frame_over_the_limit_ends_the_connection(void **state)
{
    struct world w;
    size_t size = WIRE_FRAME_MAX + 4096;
    char *big = calloc(1, size);
    (void)state;

    world_init(&w);
    void *odd = raw_dealer(&w, &w.known, NULL);
    assert_int_equal(zmq_send(odd, big, WIRE_FRAME_MAX, 0), WIRE_FRAME_MAX);        /* exactly the limit passes */
    WORLD_UNTIL(&w, w.n_got == 1);
    net_listener_greeted(w.l, w.got[0].peer);
    assert_int_equal(w.got[0].frame->size, WIRE_FRAME_MAX);
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
    WORLD_UNTIL(&w, counters_of(&w).over_cap >= 13 && counters_of(&w).connections <= 8);
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
        cmocka_unit_test(a_routing_id_of_its_own_ends_the_connection),
        cmocka_unit_test(several_frames_end_the_connection),
        cmocka_unit_test(a_frame_over_the_limit_ends_the_connection),
        cmocka_unit_test(a_cut_peer_is_gone_and_reported_once),
        cmocka_unit_test(what_a_cut_peer_still_sends_is_dropped),
        cmocka_unit_test(the_last_words_before_a_cut_arrive),
        cmocka_unit_test(messages_before_the_end_come_before_the_loss),
        cmocka_unit_test(a_loss_noticed_by_a_send_is_reported_without_another_event),
        cmocka_unit_test(a_peer_that_does_not_take_gets_no_more),
        cmocka_unit_test(a_revoked_key_is_found_cut_and_not_admitted_again),
        cmocka_unit_test(connections_of_one_key_are_capped),
        cmocka_unit_test(connections_are_capped_and_work_goes_on),
        cmocka_unit_test(many_connections_come_and_go_without_a_mix_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
