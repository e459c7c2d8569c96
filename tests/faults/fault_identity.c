/* SPDX-License-Identifier: MPL-2.0
 * fault_identity.c - an allowed peer that announces the routing ids which the broker's sockets would give out themselves next.
 *
 *     fault_identity ENDPOINT KEY-FILE    for each of the numbers that a ROUTER can start with in a process whose rand() was never
 *                                         seeded: connections that announce that number and the next ones, and say nothing; then
 *                                         connections that announce nothing, so that it gives its own numbers out. "met=N" at the
 *                                         end: so many of the latter were let in
 * The key of the broker is the one that the key file names.
 */
#include "base/clock.h"
#include "net/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define STARTS 12           /* sockets that the broker may have made before this one */
#define AHEAD 12            /* numbers above each start */

static int die(const char *what)
{
    fprintf(stderr, "fault_identity: %s\n", what);
    exit(1);
}

static void *connect_as(void *context, const char *endpoint, const struct net_cert *c, const void *id, size_t size, void **monitor)
{
    static unsigned serial;
    int zero = 0, never = -1;
    char name[64];
    void *s = zmq_socket(context, ZMQ_DEALER);

    snprintf(name, sizeof(name), "inproc://watch.%u", ++serial);
    if (!s || zmq_setsockopt(s, ZMQ_LINGER, &zero, sizeof(zero)) != 0 ||
        zmq_setsockopt(s, ZMQ_RECONNECT_IVL, &never, sizeof(never)) != 0 ||
        (size && zmq_setsockopt(s, ZMQ_ROUTING_ID, id, size) != 0) ||
        zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, c->broker_key, 32) != 0 ||
        zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, c->pair.public_key, 32) != 0 ||
        zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, c->pair.secret_key, 32) != 0 ||
        zmq_socket_monitor(s, name, ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
                           ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_CLOSED) != 0)
        die("a socket could not be made");
    *monitor = zmq_socket(context, ZMQ_PAIR);
    if (!*monitor || zmq_setsockopt(*monitor, ZMQ_LINGER, &zero, sizeof(zero)) != 0 || zmq_connect(*monitor, name) != 0 ||
        zmq_connect(s, endpoint) != 0)
        die("no connection could be made");
    return s;
}

/* Waits for the end of the handshake. True: it succeeded. */
static bool passed(void *monitor)
{
    zmq_pollitem_t item = { .socket = monitor, .events = ZMQ_POLLIN };
    uint8_t head[6] = { 0 };
    uint16_t id;

    if (zmq_poll(&item, 1, 20000) != 1 || zmq_recv(monitor, head, sizeof(head), 0) < 0)
        die("a handshake has no end after 20 s");
    memcpy(&id, head, sizeof(id));
    return id == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
}

int main(int argc, char **argv)
{
    static struct net_cert cert;
    static void *sockets[STARTS * AHEAD], *monitors[STARTS * AHEAD];
    void *context = zmq_ctx_new();
    struct err e = { 0, "" };
    unsigned met = 0;

    if (argc != 3)
        die("usage: fault_identity ENDPOINT KEY-FILE");
    if (!context || net_cert_load(argv[2], true, &cert, &e) < 0)
        die(e.text);
    srand(1);
    for (unsigned i = 0; i < STARTS; i++) {
        uint32_t start = (uint32_t)rand();
        start |= (uint32_t)rand() << 31;
        for (uint32_t k = 0; k < AHEAD; k++) {
            uint32_t n = start + k, at = i * AHEAD + k;
            uint8_t id[5] = { 0, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n };
            sockets[at] = connect_as(context, argv[1], &cert, id, sizeof(id), &monitors[at]);
        }
        for (uint32_t k = 0; k < AHEAD; k++)
            if (!passed(monitors[i * AHEAD + k]))
                die("a handshake with a key that is allowed was refused");
    }
    for (unsigned i = 0; i < 2 * AHEAD; i++) {
        void *monitor, *s = connect_as(context, argv[1], &cert, NULL, 0, &monitor);
        met += passed(monitor);
        zmq_close(monitor);
        zmq_close(s);
    }
    printf("met=%u\n", met);
    for (unsigned i = 0; i < STARTS * AHEAD; i++) {
        zmq_close(monitors[i]);
        zmq_close(sockets[i]);
    }
    zmq_ctx_term(context);
    return 0;
}
