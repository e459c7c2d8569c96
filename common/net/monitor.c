/* SPDX-License-Identifier: MPL-2.0
 * monitor.c - a socket's monitor: opens it without a bound (the I/O thread must never wait for us) and reads its events.
 */
#include "monitor.h"

#include "bfork.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int net_monitor_open(struct net *n, void *socket, int events, struct net_source *s, struct err *e)
{
    char name[64];
    void *pair;
    int rc;

    snprintf(name, sizeof(name), "inproc://monitor.%u", ++n->monitor_serial);
    if (zmq_socket_monitor(socket, name, events) != 0)
        return err_set(e, BFORK_ENOMEM, "cannot monitor a socket: %s", zmq_strerror(errno));
    pair = zmq_socket(n->context, ZMQ_PAIR);
    if (!pair)
        return err_set(e, BFORK_ENOMEM, "cannot make a monitor's socket: %s", zmq_strerror(errno));
    if (net_set_int(pair, ZMQ_LINGER, 0) != 0 || net_set_int(pair, ZMQ_RCVHWM, 0) != 0 || zmq_connect(pair, name) != 0) {
        rc = err_set(e, BFORK_ENOMEM, "cannot connect to a monitor: %s", zmq_strerror(errno));
        zmq_close(pair);
        return rc;
    }
    rc = net_source_add(n, s, pair, e);
    if (rc < 0)
        zmq_close(pair);
    return rc;
}

void net_monitor_close(struct net *n, void *socket, struct net_source *s)
{
    if (!s->socket)
        return;
    if (socket)
        zmq_socket_monitor(socket, NULL, 0);
    net_source_close(n, s);
}

static bool monitor_frame(struct net_source *s, uint8_t *into, size_t size)
{
    zmq_msg_t msg;
    bool got;
    int rc;

    zmq_msg_init(&msg);
    do
        rc = zmq_msg_recv(&msg, s->socket, ZMQ_DONTWAIT);
    while (rc < 0 && errno == EINTR);
    got = rc >= 0;
    if (got && into && zmq_msg_size(&msg) >= size)
        memcpy(into, zmq_msg_data(&msg), size);
    zmq_msg_close(&msg);
    return got;
}

bool net_monitor_next(struct net_source *s, struct net_event *ret)
{
    uint8_t head[6] = { 0 };
    uint16_t id;

    if (!s->socket || !s->hot)
        return false;
    if (!monitor_frame(s, head, sizeof(head))) {
        s->hot = false;
        return false;
    }
    monitor_frame(s, NULL, 0);          /* the endpoint */
    memcpy(&id, head, sizeof(id));
    memcpy(&ret->value, head + 2, sizeof(ret->value));
    ret->id = id;
    return true;
}
