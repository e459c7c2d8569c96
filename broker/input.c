/* SPDX-License-Identifier: MPL-2.0
 * input.c - one received message: decoded, and given to the core, or to the part of the shell it is for. It trusts nothing but the
 * key and the listener.
 */
#include "input.h"

#include "admin.h"
#include "base/log.h"
#include "bfork.h"
#include "trace.h"

#include <string.h>

static const enum wire_role wire_roles[AUTH_ROLES] = { WIRE_CLIENT, WIRE_WORKER, WIRE_ADMINISTRATOR };

/* The part that is the shell's. What the core is told of it has no body: the windows it keeps are those of items. */
static void input_for_shell(struct shell *s, uint64_t now, struct flow_peer *p, struct wire_msg *m)
{
    if (!p->greeted || !wire_may_send(wire_roles[p->role], m->type, true))
        return;                         /* the core says what is wrong with it */
    switch (m->type) {
    case WIRE_PONG:
        bsh_flow_pong(p, m->u.ping.stamp);
        break;
    case WIRE_BLOB_GET:
        bsh_blobs_get(s->blobs, now, p->peer, m);
        break;
    case WIRE_BLOB_PIECE:
        bsh_blobs_piece(s->blobs, now, p->peer, m);
        break;
    case WIRE_BLOB_NONE:
        bsh_blobs_none(s->blobs, p->peer, m);
        break;
    case WIRE_ADMIN:
        bsh_shell_admin(s, now, p, m);
        break;
    default:
        return;
    }
    m->body = slice_none();
}

/* Ended, not only cut: its tasks end now, and it cannot come back to this session. */
static void input_malformed(struct shell *s, uint64_t now, struct flow_peer *p, const struct err *why)
{
    struct wire_msg m = { .type = WIRE_ERROR };
    char key[NET_KEY_TEXT];

    net_key_text(p->key, key);
    log_limited(LOG_WARNING_, 'm', "event=malformed role=%s key=%s text=\"%s\"", auth_role_names[p->role], key, why->text);
    if (broker_broken(s->core, now, p->peer, why->code, why->text))
        return;                         /* and counted there */
    s->counters.malformed++;
    m.u.error.code = why->code;
    m.u.error.text = WIRE_STR(why->text);
    net_listener_send(p->listener, p->peer, &m);
    net_listener_cut(p->listener, p->peer);
}

/* A question that a newer release has asked: only it is refused. What carries bytes or changes anything cannot be left out like
 * that. */
static bool input_refused(struct flow_peer *p, const struct wire_msg *m, const struct err *why)
{
    struct wire_msg answer = { .type = WIRE_ERROR, .channel = m->channel, .request = m->request };

    if (why->code != BFORK_ENOTSUP || !m->request || !p->greeted || (m->type != WIRE_STATUS_GET && m->type != WIRE_ADMIN))
        return false;
    answer.u.error.code = why->code;
    answer.u.error.text = WIRE_STR(why->text);
    net_listener_send(p->listener, p->peer, &answer);
    return true;
}

void bsh_shell_take(struct shell *s, uint64_t now, struct flow_peer *p, struct buf *frame)
{
    struct wire_msg m;
    struct err e = { 0, "" };

    s->counters.messages++;
    if (wire_decode(frame->data, frame->size, frame, s->items, &m, &e) < 0) {
        bsh_trace_unread(s, p, frame->size, e.text);
        if (!input_refused(p, &m, &e))
            input_malformed(s, now, p, &e);
        return;
    }
    bsh_trace_received(s, p, &m);
    if (m.type == WIRE_HELLO && !p->greeted) {
        p->greeted = true;
        bsh_flow_greeted(p, m.u.hello.window_bytes ? m.u.hello.window_bytes : s->options->window_bytes);
        net_listener_greeted(p->listener, p->peer);
    }
    input_for_shell(s, now, p, &m);
    broker_recv(s->core, now, p->peer, wire_roles[p->role], p->key, &m);
}
