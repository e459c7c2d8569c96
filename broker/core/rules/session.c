/* SPDX-License-Identifier: MPL-2.0
 * session.c - ends of connections and of sessions: lost, dropped, broken, failed, left.
 *
 * A session that fails is over and ERROR says why; one that is dropped may be resumed. Never charges a peer for a connection that
 * was cut: that is decided when the lease or detach_ms has passed.
 */
#include "rules.h"

#include <stdarg.h>

static void worker_silent(struct broker *b, struct worker *w)
{
    w->peer->worker = NULL;
    brk_worker_move(w, WORKER_ON_CUT);
    brk_worker_leaves(b, w);
    w->peer = NULL;
    if (w->lease_end < b->tick_at)
        b->tick_at = w->lease_end;
}

void brk_session_cut(struct broker *b, struct peer *p)
{
    if (p->client)
        brk_client_detach(b, p->client);
    if (p->worker)
        worker_silent(b, p->worker);
}

void brk_session_lost(struct broker *b, struct peer *p)
{
    struct owner *o = p->client ? p->client->owner : NULL;

    brk_session_cut(b, p);
    if (o)
        brk_detached_limit(b, o);
}

void brk_session_drop(struct broker *b, struct peer *p, const char *why)
{
    if (!p || p->state == PEER_CUT)
        return;
    brk_session_lost(b, p);
    brk_peer_cut(b, p, why);
}

void brk_session_break(struct broker *b, struct peer *p)
{
    if (!p || p->state == PEER_CUT)
        return;
    brk_session_lost(b, p);
    brk_peer_no_memory(b, p);
}

void brk_session_bye(struct broker *b, struct peer *p)
{
    if (p->client)
        brk_client_end(b, p->client);
    if (p->worker)
        brk_worker_end(b, p->worker, "it has left");
    brk_peer_cut(b, p, "it has left");
}

void brk_session_fail(struct broker *b, struct peer *p, int code, const char *format, ...)
{
    struct wire_msg *m;
    va_list ap;

    if (!p || p->state == PEER_CUT)
        return;
    if (code == BFORK_EPROTOCOL || code == BFORK_EDENIED || code == BFORK_ENOTSUP)
        b->n.bad_messages++;
    if ((m = brk_effect_send(b, p, WIRE_ERROR))) {
        va_start(ap, format);
        m->u.error = (struct wire_error_head){ .code = code, .text = brk_effect_text(b, format, ap),
                                               .protocol_min = WIRE_PROTOCOL_MIN,
            .protocol_max = WIRE_PROTOCOL };
        va_end(ap);
        brk_effect_log_session(b, p->key, LOG_WARNING_, "a session ends: %s", m->u.error.text.p);
    }
    brk_peer_cut(b, p, "its session has failed");
    if (p->client)
        brk_client_end(b, p->client);
    if (p->worker)
        brk_worker_end(b, p->worker, "its session has failed");
}
