/* SPDX-License-Identifier: MPL-2.0
 * connection.c - one connection after the other: back-off, what went wrong in words, messages in and out.
 *
 * A link lives for exactly one connection. When the next one is tried, and when a try is given up, says net/retry.c.
 */
#include "shell.h"

#include "base/clock.h"
#include "base/log.h"
#include "bfork.h"
#include "net/trace.h"

#include <stdio.h>
#include <string.h>

static uint64_t random_number(struct shell *s)
{
    s->seed ^= s->seed << 13;
    s->seed ^= s->seed >> 7;
    s->seed ^= s->seed << 17;
    return s->seed;
}

void wsh_connection_close(struct shell *s, uint64_t now)
{
    bool holds = worker_lease_end(s->core) != 0;

    if (s->link)
        net_link_close(&s->link);
    worker_disconnected(s->core, now, s->why);
    wsh_blobs_online(s->blobs, now, false);
    net_retry_failed(&s->retry, now, holds, random_number(s));
    s->link_up = s->online = s->broken = false;
}

void wsh_connection_break(struct shell *s, const char *why)
{
    if (!s->broken)
        snprintf(s->why, sizeof(s->why), "%s", why);
    s->broken = true;
}

/* The same trouble is said once. */
static void say(struct shell *s, const struct err *e)
{
    bool again = strcmp(s->said, e->text) == 0;

    log_line(again                                                    ? LOG_DEBUG_
             : e->code == BFORK_EDENIED || e->code == BFORK_EPROTOCOL ? LOG_ERROR_
                                                                      : LOG_WARNING_,
             "%s%s", e->text, again ? "" : "; trying again");
    snprintf(s->said, sizeof(s->said), "%s", e->text);
}

static void note_link_down(struct shell *s, uint64_t now, const struct err *e)
{
    say(s, e);
    snprintf(s->why, sizeof(s->why), "%s", e->text);
    wsh_connection_close(s, now);
}

void wsh_connection_step(struct shell *s, uint64_t now)
{
    struct err e = { 0 };

    if (s->stop)
        return;
    if (!s->link) {
        if (now < s->retry.next)
            return;
        net_retry_try(&s->retry, now, worker_lease_end(s->core));
        if (net_connect(s->net, s->settings->endpoint, s->settings->broker_key, &s->settings->pair, &s->link, &e) < 0) {
            note_link_down(s, now, &e);
            return;
        }
    }
    if (net_link_state(s->link, &e) != NET_LINK_DOWN && net_retry_stuck(&s->retry, now)) {
        err_set(&e, BFORK_EUNREACHABLE, "the broker %s did not answer within %llu ms, and work is held for it",
                s->settings->endpoint, (unsigned long long)((now - s->retry.since) / CLOCK_MS));
        note_link_down(s, now, &e);
        return;
    }
    switch (net_link_state(s->link, &e)) {
    case NET_LINK_CONNECTING:
        return;
    case NET_LINK_UP:
        if (!s->link_up)
            worker_connected(s->core, now);
        s->link_up = true;
        return;
    case NET_LINK_DOWN:
        wsh_connection_drain(s, now);   /* an ERROR that came before the end says more */
        if (e.code == BFORK_EDENIED)
            worker_denied(s->core, now);
        if (!s->broken)
            note_link_down(s, now, &e);
    }
}

static void take_frame(struct shell *s, uint64_t now, struct buf *frame)
{
    struct wire_msg m;
    struct err e = { 0 };

    if (wire_decode(frame->data, frame->size, frame, s->items, &m, &e) < 0) {
        char why[600];

        net_trace_unread(s->trace, "the broker", frame->size, e.text);
        snprintf(why, sizeof(why), "the broker sent what is no message: %s", e.text);
        log_line(LOG_ERROR_, "%s", why);
        wsh_connection_break(s, why);
        return;
    }
    net_trace_message(s->trace, false, "the broker", &m);
    worker_recv(s->core, now, &m);
    if (m.type == WIRE_RESET && m.u.error.code == BFORK_EAGAIN) {   /* it has no place for us, and ends the connection */
        struct err full = { 0 };

        err_set(&full, BFORK_EUNREACHABLE, "the broker %s has no place for this connection: %.*s", s->settings->endpoint,
                (int)m.u.error.text.n, m.u.error.text.p);
        say(s, &full);
        wsh_connection_break(s, full.text);
    }
    if (m.type == WIRE_BLOB_PIECE || m.type == WIRE_BLOB_NONE)
        wsh_blobs_message(s->blobs, now, &m);
}

bool wsh_connection_drain(struct shell *s, uint64_t now)
{
    int n = 0, rc = 0;

    while (s->link && !s->broken && n < SHELL_TURN) {
        struct buf *frame = NULL;

        if ((rc = net_link_recv(s->link, &frame)) <= 0)
            break;
        take_frame(s, now, frame);
        buf_unref(&frame);
        n++;
    }
    if (rc < 0 && s->link)
        wsh_connection_break(s, "the connection is broken");
    return n == SHELL_TURN;
}

void wsh_connection_send(struct shell *s, const struct wire_msg *m)
{
    int rc;

    if (!s->link || s->broken)
        return;
    rc = net_link_send(s->link, m);
    if (rc == BFORK_EAGAIN)
        wsh_connection_break(s, "the broker takes no messages, within its window");
    else if (rc < 0 && rc != BFORK_EUNREACHABLE)        /* that is said by the link's state, with its reason */
        wsh_connection_break(s, "a message could not be made");
}
