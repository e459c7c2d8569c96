/* SPDX-License-Identifier: MPL-2.0
 * ticket.c - the ticket of a chunk: by it a worker shows after a restart of the broker that it was given these tasks.
 */
#include "model.h"

static uint8_t *put64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        *p++ = (uint8_t)(v >> (8 * i));
    return p;
}

static uint8_t *put_bytes_at(uint8_t *p, const void *data, size_t n)
{
    memcpy(p, data, n);
    return p + n;
}

void brk_attempt_ticket(struct broker *b, const uint8_t *job_id, const uint8_t *owner, const struct worker *w, uint64_t first,
                        uint64_t end, uint64_t id, uint8_t out[WIRE_TICKET])
{
    uint8_t in[WIRE_ID + WIRE_KEY + 24 + WIRE_KEY + WIRE_ID], *p = in;

    if (!b->c.mac) {
        memset(out, 0, WIRE_TICKET);
        return;
    }
    p = put_bytes_at(p, job_id, WIRE_ID);
    p = put_bytes_at(p, owner, WIRE_KEY);
    p = put64(put64(put64(p, first), end), id);
    p = put_bytes_at(p, w->key, WIRE_KEY);
    p = put_bytes_at(p, w->instance, WIRE_ID);
    b->c.mac(b->c.mac_ctx, in, (size_t)(p - in), out);
}
