/* SPDX-License-Identifier: MPL-2.0
 * input.c - one received message: decoded, and given to the core, or to the part of the shell it is for. It trusts nothing but the
 * key and the listener.
 */
#include "shell.h"

#include "base/log.h"
#include "bfork.h"

#include <string.h>

static const enum wire_role wire_roles[AUTH_ROLES] = { WIRE_CLIENT, WIRE_WORKER, WIRE_ADMINISTRATOR };

/* Live output: forwarded as it is under the client's handle, or dropped. */
static void input_output(struct shell *s, struct flow_peer *from, const struct wire_msg *m)
{
    uint32_t job = 0;
    broker_peer client = broker_output_target(s->core, from->peer, m->u.output.attempt, &job);
    struct flow_peer *to = client ? flow_get(&s->flow, client) : NULL;
    struct wire_msg out = { .type = WIRE_OUTPUT, .u.output = m->u.output, .body = m->body };

    if (!to)
        return;
    if (flow_waiting(to) > SHELL_OUTPUT_AHEAD) {
        s->counters.output_dropped++;
        return;
    }
    out.u.output.job = job;
    if (flow_send(to, &out) == BFORK_EAGAIN)
        s->counters.output_dropped++;
}

/* The part that is the shell's. What the core is told of it has no body: the windows it keeps are those of items. */
static void input_for_shell(struct shell *s, uint64_t now, struct flow_peer *p, struct wire_msg *m)
{
    if (!p->greeted || !wire_may_send(wire_roles[p->role], m->type, true))
        return;                         /* the core says what is wrong with it */
    switch (m->type) {
    case WIRE_PONG:
        flow_pong(p, m->u.ping.stamp);
        break;
    case WIRE_BLOB_GET:
        blobs_get(s->blobs, now, p->peer, m);
        break;
    case WIRE_BLOB_PIECE:
        blobs_piece(s->blobs, now, p->peer, m);
        break;
    case WIRE_BLOB_NONE:
        blobs_none(s->blobs, now, p->peer, m);
        break;
    case WIRE_OUTPUT:
        input_output(s, p, m);
        break;
    case WIRE_ADMIN:
        shell_admin(s, now, p, m);
        break;
    default:
        return;
    }
    m->body = slice_none();
}

static void input_malformed(struct shell *s, struct flow_peer *p, const struct err *why)
{
    struct wire_msg m = { .type = WIRE_ERROR };
    char key[NET_KEY_TEXT];

    net_key_text(p->key, key);
    s->counters.malformed++;
    log_limited(LOG_WARNING_, 'm', "event=malformed role=%s key=%s text=\"%s\"", auth_role_names[p->role], key, why->text);
    m.u.error.code = BFORK_EPROTOCOL;
    m.u.error.text = WIRE_STR(why->text);
    net_listener_send(p->listener, p->peer, &m);
    net_listener_cut(p->listener, p->peer);
}

void shell_take(struct shell *s, uint64_t now, struct flow_peer *p, struct buf *frame)
{
    struct wire_msg m;
    struct err e = { 0, "" };

    s->counters.messages++;
    if (wire_decode(frame->data, frame->size, frame, s->items, &m, &e) < 0) {
        input_malformed(s, p, &e);
        return;
    }
    if (m.type == WIRE_HELLO && !p->greeted) {
        p->greeted = true;
        net_listener_greeted(p->listener, p->peer);
    }
    input_for_shell(s, now, p, &m);
    broker_recv(s->core, now, p->peer, wire_roles[p->role], p->key, &m);
}
