/* SPDX-License-Identifier: MPL-2.0 */
/* link.c - a DEALER with CURVE that is one connection: when it has ended, what was received is read, and then it is closed. */
#include "link.h"

void fail(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs("failed: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    fflush(NULL);
    _exit(1);                                                   /* czmq's own end waits for sockets that are open */
}

const char *link_endpoint(const char *key_file, int port)
{
    static char endpoint[256];
    zcert_t *cert = zcert_load(key_file);
    const char *broker = cert ? zcert_meta(cert, "broker") : NULL, *number = broker ? strrchr(broker, ':') : NULL;
    if (!number)
        fail("%s names no broker", key_file);
    snprintf(endpoint, sizeof endpoint, "%.*s%d", (int)(number + 1 - broker), broker, (int)strtol(number + 1, NULL, 10) + port);
    zcert_destroy(&cert);
    return endpoint;
}

void link_open(struct link *link, const char *key_file, const char *endpoint)
{
    *link = (struct link){ 0 };
    zcert_t *cert = zcert_load(key_file);
    if (!cert)
        fail("%s is not a key file", key_file);
    const char *broker_key = zcert_meta(cert, "broker-key");
    if (!endpoint)
        endpoint = zcert_meta(cert, "broker");
    if (!broker_key || !endpoint)
        fail("%s names no broker", key_file);
    link->socket = zsock_new(ZMQ_DEALER);
    zsock_set_linger(link->socket, 0);
    zsock_set_reconnect_ivl(link->socket, -1);
    zsock_set_sndhwm(link->socket, 0);
    zsock_set_rcvhwm(link->socket, 0);
    zcert_apply(cert, link->socket);
    zsock_set_curve_serverkey(link->socket, broker_key);
    link->monitor = zactor_new(zmonitor, link->socket);
    zstr_sendx(link->monitor, "LISTEN", "HANDSHAKE_SUCCEEDED", "HANDSHAKE_FAILED_NO_DETAIL", "HANDSHAKE_FAILED_AUTH",
               "HANDSHAKE_FAILED_PROTOCOL", "DISCONNECTED", "CLOSED", NULL);
    zstr_sendx(link->monitor, "START", NULL);
    zsock_wait(link->monitor);
    if (zsock_connect(link->socket, "%s", endpoint) != 0)
        fail("%s is not an endpoint", endpoint);
    zcert_destroy(&cert);
}

void link_close(struct link *link)
{
    zactor_destroy(&link->monitor);
    zsock_destroy(&link->socket);
    *link = (struct link){ .ended = true };
}

static void link_event(struct link *link)
{
    zmsg_t *event = zmsg_recv(link->monitor);
    zframe_t *word = event ? zmsg_first(event) : NULL;
    if (!word || zframe_streq(word, "HANDSHAKE_SUCCEEDED"))
        link->up = word != NULL;
    else
        link->ended = true;
    if (word && zframe_streq(word, "HANDSHAKE_FAILED_AUTH"))
        link->refused = true;
    zmsg_destroy(&event);
}

static bool readable(void *socket, int limit_ms)
{
    zmq_pollitem_t item = { .socket = zsock_resolve(socket), .events = ZMQ_POLLIN };
    return zmq_poll(&item, 1, limit_ms) > 0;
}

/* An event or a message is there, or the limit has passed. */
static void link_wait(struct link *link, int limit_ms)
{
    zmq_pollitem_t items[] = { { .socket = zsock_resolve(link->socket), .events = ZMQ_POLLIN },
                               { .socket = zsock_resolve(link->monitor), .events = ZMQ_POLLIN } };
    zmq_poll(items, 2, limit_ms);
    while (readable(link->monitor, 0))
        link_event(link);
}

bool link_left(struct link *link)
{
    return link->socket && readable(link->socket, 0);
}

bool link_ready(struct link *link, int limit_ms)
{
    for (int64_t end = zclock_mono() + limit_ms; !link->up && !link->ended && zclock_mono() < end;)
        link_wait(link, (int)(end - zclock_mono()));
    return link->up && !link->ended;
}

zframe_t *link_receive(struct link *link, int limit_ms)
{
    if (!link->socket)
        return NULL;
    for (int64_t end = zclock_mono() + limit_ms; !readable(link->socket, 0);) {
        int64_t left = end - zclock_mono();
        if (link->ended || left < 0)
            return NULL;
        link_wait(link, (int)left);
        if (link->ended && !readable(link->socket, 0))
            return NULL;
    }
    return zframe_recv(link->socket);
}

bool link_send(struct link *link, buffer *bytes)
{
    zframe_t *frame = zframe_new(bytes->data, bytes->size);
    msgpack_sbuffer_destroy(bytes);
    *bytes = (buffer){ 0 };
    bool sent = link->socket && !link->ended && zframe_send(&frame, link->socket, ZFRAME_DONTWAIT) == 0;
    zframe_destroy(&frame);
    return sent;
}
