/* SPDX-License-Identifier: MPL-2.0
 * Who gets in and who does not, and what those who do not are told.
 */
#include "world.h"

static void an_allowed_key_talks_both_ways(void **state)
{
    struct world w;
    struct net_link *link;
    struct wire_msg m = ping_of(41);
    struct buf *frame = NULL;
    (void)state;

    world_init(&w);
    uint64_t peer = world_greet(&w, &w.known, &link);
    assert_memory_equal(w.got[0].key, w.known.public_key, 32);
    assert_int_equal(stamp_of(w.got[0].frame), 7);
    assert_ptr_equal(net_peer_listener(w.server, peer), w.l);
    assert_int_equal(net_link_state(link, NULL), NET_LINK_UP);
    assert_int_equal(net_listener_send(w.l, peer, &m), 0);
    WORLD_UNTIL(&w, net_link_recv(link, &frame) == 1);
    assert_int_equal(stamp_of(frame), 41);
    buf_unref(&frame);
    for (uint64_t i = 0; i < 50; i++) {
        m = ping_of(i);
        assert_int_equal(net_link_send(link, &m), 0);
    }
    WORLD_UNTIL(&w, w.n_got == 51);
    for (uint64_t i = 0; i < 50; i++) {
        assert_int_equal(stamp_of(w.got[i + 1].frame), i);
        assert_int_equal(w.got[i + 1].peer, peer);
    }
    net_link_close(&link);
    WORLD_UNTIL(&w, w.n_lost == 1);
    assert_int_equal(w.lost[0], peer);
    assert_int_equal(net_listener_send(w.l, peer, &m), BFORK_EUNREACHABLE);
    assert_int_equal(counters_of(&w).connections, 0);
    world_done(&w);
}

static void an_unknown_key_is_refused_and_told_what_to_do(void **state)
{
    struct world w;
    struct err e = { 0, "" };
    char key[NET_KEY_TEXT];
    struct wire_msg m = ping_of(1);
    (void)state;

    world_init(&w);
    net_set_role(w.client, "worker");
    struct net_link *link = world_connect(&w, &w.stranger);
    assert_int_equal(net_link_send(link, &m), 0);
    WORLD_UNTIL(&w, net_link_state(link, &e) == NET_LINK_DOWN);
    assert_int_equal(e.code, BFORK_EDENIED);
    net_key_text(w.stranger.public_key, key);
    assert_non_null(strstr(e.text, key));
    assert_non_null(strstr(e.text, "bfork allow worker"));
    assert_int_equal(net_link_send(link, &m), BFORK_EUNREACHABLE);
    assert_int_equal(counters_of(&w).refused, 1);
    assert_int_equal(w.n_got, 0);
    net_link_close(&link);
    world_done(&w);
}

static void a_wrong_broker_key_is_told(void **state)
{
    struct world w;
    struct err e = { 0, "" };
    struct net_link *link = NULL;
    (void)state;

    world_init(&w);
    assert_int_equal(net_connect(w.client, net_listener_endpoint(w.l), w.stranger.public_key, &w.known, &link, &e), 0);
    WORLD_UNTIL(&w, net_link_state(link, &e) == NET_LINK_DOWN);
    assert_int_equal(e.code, BFORK_EPROTOCOL);
    assert_non_null(strstr(e.text, "broker key"));
    net_link_close(&link);
    world_done(&w);
}

static void connect_and_see(struct world *w, const char *endpoint, int code, const char *word)
{
    struct err e = { 0, "" };
    struct net_link *link = NULL;

    assert_int_equal(net_connect(w->client, endpoint, w->broker.public_key, &w->known, &link, &e), 0);
    WORLD_UNTIL(w, net_link_state(link, &e) != NET_LINK_CONNECTING);
    assert_int_equal(net_link_state(link, &e), NET_LINK_DOWN);
    assert_int_equal(e.code, code);
    if (!strstr(e.text, word))
        fail_msg("\"%s\" is not in: %s", word, e.text);
    net_link_close(&link);
}

static void nobody_listening_and_no_such_host_are_told_apart(void **state)
{
    struct world w;
    struct err e = { 0, "" };
    struct net_link *link = NULL;
    char endpoint[256];
    (void)state;

    world_init(&w);
    int taken = raw_taken_port(endpoint, sizeof(endpoint));
    connect_and_see(&w, endpoint, BFORK_EUNREACHABLE, "refused");
    close(taken);
    connect_and_see(&w, "tcp://no-such-host.invalid:7700", BFORK_EUNREACHABLE, "host");
    assert_int_equal(net_connect(w.client, "tcp://nowhere", w.broker.public_key, &w.known, &link, &e), BFORK_EINVAL);
    assert_int_equal(net_connect(w.client, "udp:nowhere", w.broker.public_key, &w.known, &link, &e), BFORK_EINVAL);
    world_done(&w);
}

static void a_name_is_looked_up_and_its_addresses_are_tried(void **state)
{
    struct world w;
    struct err e = { 0, "" };
    struct net_link *link = NULL;
    struct wire_msg m = ping_of(3);
    char endpoint[64];
    (void)state;

    world_init(&w);
    snprintf(endpoint, sizeof(endpoint), "tcp://localhost%s", strrchr(net_listener_endpoint(w.l), ':'));
    assert_int_equal(net_connect(w.client, endpoint, w.broker.public_key, &w.known, &link, &e), 0);
    assert_int_equal(net_link_send(link, &m), 0);       /* kept until it is up */
    WORLD_UNTIL(&w, w.n_got == 1);
    assert_int_equal(stamp_of(w.got[0].frame), 3);
    net_link_close(&link);
    /* closing while the lookup runs */
    assert_int_equal(net_connect(w.client, "tcp://no-such-host.invalid:1", w.broker.public_key, &w.known, &link, &e), 0);
    net_link_close(&link);
    world_done(&w);
}

static bool everybody(void *ctx, const uint8_t key[32])
{
    (void)ctx;
    (void)key;
    return true;
}

static void the_probe_passes_only_where_strangers_are_refused(void **state)
{
    struct world w;
    struct err e = { 0, "" };
    struct net_listener *open = NULL;
    (void)state;

    world_init(&w);
    assert_int_equal(net_listener_probe(w.server, w.l, 5000, &e), 0);
    assert_int_equal(counters_of(&w).refused, 1);
    assert_int_equal(net_listen(w.server, "tcp://0.0.0.0:0", "open", &w.broker, everybody, NULL, &open, &e), 0);
    assert_int_equal(net_listener_probe(w.server, open, 5000, &e), BFORK_EPROTOCOL);
    assert_non_null(strstr(e.text, "admitted a random key"));
    world_done(&w);
}

static void without_a_handler_nothing_is_opened(void **state)
{
    struct net *n;
    struct net_keypair k;
    struct net_listener *l = NULL;
    struct err e = { 0, "" };
    (void)state;

    assert_int_equal(net_new(&n, &e), 0);
    assert_int_equal(net_keypair_new(&k, &e), 0);
    void *squatter = zmq_socket(n->context, ZMQ_ROUTER);
    assert_int_equal(zmq_bind(squatter, NET_ZAP_ENDPOINT), 0);
    assert_int_equal(net_listen(n, "tcp://127.0.0.1:0", "clients", &k, everybody, NULL, &l, &e), BFORK_EPROTOCOL);
    assert_null(l);
    zmq_close(squatter);
    assert_int_equal(net_listen(n, "tcp://127.0.0.1:0", "", &k, everybody, NULL, &l, &e), BFORK_EPROTOCOL);
    net_free(&n);
}

static void a_dead_handler_is_fatal(void **state)
{
    struct world w;
    struct err e = { 0, "" };
    void *zap;
    (void)state;

    world_init(&w);
    zap = w.server->zap.socket;
    assert_int_equal(net_step(w.server, &e), 0);
    net_source_close(w.server, &w.server->zap);
    w.server->zap.socket = zap;             /* closed under our feet */
    w.server->zap.hot = true;
    assert_int_equal(net_step(w.server, &e), BFORK_EPROTOCOL);
    assert_int_equal(net_step(w.server, &e), BFORK_EPROTOCOL);
    assert_true(net_ready(w.server));
    w.server->zap.socket = NULL;
    world_done(&w);
}

static void a_key_counts_only_at_its_own_listener(void **state)
{
    struct world w;
    struct world workers = { .n_allowed = 0 };
    struct err e = { 0, "" };
    struct net_listener *l2 = NULL;
    struct net_link *link = NULL;
    (void)state;

    world_init(&w);
    assert_int_equal(net_listen(w.server, "tcp://127.0.0.1:0", "clients", &w.broker, world_allows, &workers, &l2, &e),
                     BFORK_EPROTOCOL);
    assert_int_equal(net_listen(w.server, "tcp://127.0.0.1:0", "workers", &w.broker, world_allows, &workers, &l2, &e), 0);
    assert_int_equal(net_connect(w.client, net_listener_endpoint(l2), w.broker.public_key, &w.known, &link, &e), 0);
    WORLD_UNTIL(&w, net_link_state(link, &e) != NET_LINK_CONNECTING);
    assert_int_equal(net_link_state(link, &e), NET_LINK_DOWN);
    assert_int_equal(e.code, BFORK_EDENIED);
    net_link_close(&link);
    world_greet(&w, &w.known, &link);
    world_done(&w);
}

static void a_port_in_use_is_told(void **state)
{
    struct world w;
    struct err e = { 0, "" };
    struct net_listener *l2 = NULL;
    (void)state;

    world_init(&w);
    assert_int_equal(net_listen(w.server, net_listener_endpoint(w.l), "workers", &w.broker, world_allows, &w, &l2, &e),
                     BFORK_ESTATE);
    assert_non_null(strstr(e.text, "in use"));
    assert_int_equal(net_listen(w.server, "nonsense", "workers", &w.broker, world_allows, &w, &l2, &e), BFORK_ESTATE);
    world_done(&w);
}

static void refusing_means_no_new_connections_and_no_harm_to_the_old(void **state)
{
    struct world w;
    struct net_link *link, *late;
    struct wire_msg m = ping_of(9);
    (void)state;

    world_init(&w);
    world_greet(&w, &w.known, &link);
    net_listener_refuse(w.l);
    late = world_connect(&w, &w.known);
    WORLD_UNTIL(&w, net_link_state(late, NULL) == NET_LINK_DOWN);
    assert_int_equal(net_link_send(link, &m), 0);
    WORLD_UNTIL(&w, w.n_got == 2);
    world_done(&w);
}

/* The key is in order, the door is another's: nobody is told to allow it there. */
static void r24_a_key_at_another_roles_door_is_told_so(void **state)
{
    struct world w, *none;
    struct err e = { 0, "" };
    struct net_listener *workers = NULL;
    struct net_link *link = NULL;
    (void)state;

    world_init(&w);
    none = calloc(1, sizeof(*none));            /* allows nobody */
    assert_non_null(none);
    assert_int_equal(net_listen(w.server, "tcp://127.0.0.1:0", "workers", &w.broker, world_allows, none, &workers, &e), 0);
    assert_int_equal(net_connect(w.client, net_listener_endpoint(workers), w.broker.public_key, &w.known, &link, &e), 0);
    WORLD_UNTIL(&w, net_link_state(link, &e) == NET_LINK_DOWN);
    assert_int_equal(e.code, BFORK_EDENIED);
    assert_non_null(strstr(e.text, "another role"));
    assert_null(strstr(e.text, "bfork allow"));
    net_link_close(&link);
    assert_int_equal(net_connect(w.client, net_listener_endpoint(workers), w.broker.public_key, &w.stranger, &link, &e), 0);
    WORLD_UNTIL(&w, net_link_state(link, &e) == NET_LINK_DOWN);
    assert_non_null(strstr(e.text, "bfork allow client"));
    net_link_close(&link);
    world_done(&w);
    free(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_allowed_key_talks_both_ways),
        cmocka_unit_test(an_unknown_key_is_refused_and_told_what_to_do),
        cmocka_unit_test(a_wrong_broker_key_is_told),
        cmocka_unit_test(nobody_listening_and_no_such_host_are_told_apart),
        cmocka_unit_test(a_name_is_looked_up_and_its_addresses_are_tried),
        cmocka_unit_test(the_probe_passes_only_where_strangers_are_refused),
        cmocka_unit_test(without_a_handler_nothing_is_opened),
        cmocka_unit_test(a_dead_handler_is_fatal),
        cmocka_unit_test(a_key_counts_only_at_its_own_listener),
        cmocka_unit_test(a_port_in_use_is_told),
        cmocka_unit_test(refusing_means_no_new_connections_and_no_harm_to_the_old),
        cmocka_unit_test(r24_a_key_at_another_roles_door_is_told_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
