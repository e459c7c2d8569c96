/* SPDX-License-Identifier: MPL-2.0
 * link.c - the connection to the broker: whether there is one, messages into it, its end. session.c knows what is said on it.
 */
#include "model/model.h"

struct wire_msg *wrk_link_send(struct worker *w, uint8_t type)
{
    struct worker_effect *e = wrk_effect_add(w, WORKER_SEND);

    e->msg.type = type;
    e->msg.ack = w->in_bytes;
    w->in_told = w->in_bytes;
    w->last_sent = w->now;
    return &e->msg;
}

void wrk_link_close(struct worker *w)
{
    w->link = LINK_DOWN;
}

void wrk_link_drop(struct worker *w, const char *why)
{
    if (w->link == LINK_DOWN)
        return;
    struct wire_str s = wrk_effect_str(w, why);
    struct worker_effect *e = wrk_effect_add(w, WORKER_RECONNECT);

    e->text = s.p;
    wrk_link_close(w);
}
