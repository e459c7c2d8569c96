/* SPDX-License-Identifier: MPL-2.0
 * effect.c - the effects of a turn: messages, each of which acknowledges what has come, and the wish to connect anew; they are
 * valid until session_effects_done.
 */
#include "model.h"

#include <string.h>

struct session_effect *ses_effect_send(struct session *s, uint8_t type)
{
    if (s->n_effects >= SESSION_CONTROL - (type != WIRE_TASKS)) {   /* the last place is for TASKS */
        s->more = true;
        return NULL;
    }
    struct session_effect *e = &s->effects[s->n_effects++];
    memset(e, 0, sizeof(*e));
    e->type = SESSION_SEND;
    e->msg.type = type;
    e->msg.ack = s->in_acked = s->in_bytes;
    return e;
}

void ses_effect_reconnect(struct session *s, const char *why)
{
    if (s->n_effects && s->effects[s->n_effects - 1].type == SESSION_RECONNECT)
        return;
    s->effects[s->n_effects++] = (struct session_effect){ .type = SESSION_RECONNECT, .text = why };
}

const struct session_effect *session_effects(const struct session *s, size_t *n)
{
    *n = s->n_effects;
    return s->effects;
}

void session_effects_done(struct session *s)
{
    for (size_t i = 0; i < s->n_effects; i++) {
        struct wire_msg *m = &s->effects[i].msg;
        if (s->effects[i].type != SESSION_SEND)
            continue;
        if (m->type == WIRE_TASKS)
            for (uint32_t k = 0; k < m->n_items; k++) {
                slice_unref(&m->items[k].body);
                slice_unref(&m->items[k].lens);
            }
    }
    if (s->oks_sent) {
        s->n_oks -= s->oks_sent;
        memmove(s->oks, s->oks + s->oks_sent, s->n_oks * sizeof(*s->oks));
        s->oks_sent = 0;
    }
    s->n_asked = 0;
    while (s->n_garbage)
        buf_unref(&s->garbage[--s->n_garbage]);
    s->n_effects = 0;
}
