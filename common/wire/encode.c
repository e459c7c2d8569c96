/* SPDX-License-Identifier: MPL-2.0
 * encode.c - a message to one frame: first its exact size, then the bytes. Allocates nothing; bodies are copied once, here.
 * Invariant: wire_encode writes exactly wire_size bytes.
 */
#include "wire/item.h"

#include <assert.h>

/* Bytes of the three columns behind the head, and from one record to the next. */
struct columns { size_t records, lens, body; uint32_t stride; };

/* The head as it is sent: records that have grown since version 1 say so, those that have not do not. */
static const void *head_of(const struct wire_message *d, const struct wire_msg *m, uint32_t stride, struct wire_msg *said)
{
    if ((d->load != LOAD_RECORDS && d->load != LOAD_ITEMS) || d->record_size == d->record_v1)
        return &m->u;
    *said = *m;
    item_stride_set(said, stride > d->record_v1 ? stride : 0);
    return &said->u;
}

/* checked: wire_size has looked at the items, so they are not looked at once more. */
static bool columns_of(const struct wire_message *d, const struct wire_msg *m, bool checked, struct columns *c)
{
    size_t lens, body;

    *c = (struct columns){ 0, 0, 0, 0 };
    if (d->load == LOAD_BODY)
        c->body = m->body.size;
    if (d->load == LOAD_NONE || d->load == LOAD_BODY)
        return c->body <= d->body_max;
    if (m->n_items > WIRE_ITEMS_MAX)
        return false;
    if (!(c->stride = item_stride(d, m, d->record_size)) || c->stride > WIRE_STRIDE_MAX)
        return false;
    c->records = (size_t)m->n_items * c->stride;
    for (uint32_t k = 0; k < m->n_items; k++) {
        const struct wire_item *i = &m->items[k];

        if (!checked && item_wrong(d, i))
            return false;
        if (d->load != LOAD_ITEMS)
            continue;
        item_load(i, &lens, &body);
        if ((lens && i->lens.size != lens) || (i->kind == WIRE_OK && i->flags & WIRE_FIXED && i->body.size != body))
            return false;
        c->lens += lens;
        c->body += item_body(i);
    }
    return c->body <= d->body_max;
}

static size_t bin_size(size_t n)
{
    return pack_bin_head_size((uint32_t)n) + n;
}

size_t wire_size(const struct wire_msg *m)
{
    const struct wire_message *d = wire_message_of(m->type);
    struct wire_msg said;
    struct columns c;
    size_t head, size;

    if (!d || !columns_of(d, m, false, &c) || !fields_size(&d->head, head_of(d, m, c.stride, &said), &head))
        return 0;
    size = 1 + 1 + pack_uint_size(m->channel) + pack_uint_size(m->request) + pack_uint_size(m->ack) + head + bin_size(c.records) +
           bin_size(c.lens) + bin_size(c.body);
    return size <= WIRE_FRAME_MAX ? size : 0;
}

static uint8_t *encode_items(const struct wire_message *d, const struct wire_msg *m, const struct columns *c, uint8_t *o)
{
    o = pack_bin_head(o, (uint32_t)c->records);
    for (uint32_t k = 0; k < m->n_items; k++)
        o = item_write(d, &m->items[k], c->stride, o);
    o = pack_bin_head(o, (uint32_t)c->lens);
    if (d->load == LOAD_ITEMS)
        for (uint32_t k = 0; k < m->n_items; k++)
            if (m->items[k].kind == WIRE_OK && !(m->items[k].flags & WIRE_FIXED))
                o = pack_bytes(o, m->items[k].lens.data, m->items[k].lens.size);
    o = pack_bin_head(o, (uint32_t)c->body);
    if (d->load == LOAD_ITEMS)
        for (uint32_t k = 0; k < m->n_items; k++)
            o = pack_bytes(o, m->items[k].body.data, item_body(&m->items[k]));
    return o;
}

void wire_encode(const struct wire_msg *m, uint8_t *out)
{
    const struct wire_message *d = wire_message_of(m->type);
    struct wire_msg said;
    struct columns c;
    uint8_t *o = out;

    if (!d || !columns_of(d, m, true, &c)) {
        assert(!"wire_encode: a message that wire_size refused");
        return;
    }
    o = pack_array_head(o, 8);
    o = pack_uint(o, m->type);
    o = pack_uint(o, m->channel);
    o = pack_uint(o, m->request);
    o = pack_uint(o, m->ack);
    o = fields_encode(&d->head, head_of(d, m, c.stride, &said), o);
    if (d->load == LOAD_RECORDS || d->load == LOAD_ITEMS) {
        encode_items(d, m, &c, o);
        return;
    }
    o = pack_bin_head(pack_bin_head(o, 0), 0);
    pack_bytes(pack_bin_head(o, (uint32_t)c.body), m->body.data, c.body);
}
