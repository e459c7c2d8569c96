/* SPDX-License-Identifier: MPL-2.0
 * decode.c - one frame of a peer to a message. Allocates nothing, copies no body, asserts nothing: whatever the bytes are, the
 * answer is a message that keeps every limit, or a text. Cost is bounded by the frame.
 */
#include "wire/item.h"

#include "bfork.h"

#include <inttypes.h>

/* What is left of the lengths and the body while items take their parts. */
struct rest { struct slice lens, body; };

static int wrong(const struct wire_message *d, uint32_t k, struct err *e, const char *why)
{
    return err_set(e, BFORK_EPROTOCOL, "%s: record %" PRIu32 ": %s", d->name, k, why);
}

/* Do the lengths keep their limit, and what is their sum? */
static bool sum_lengths(const uint8_t *p, uint32_t n, uint64_t *ret)
{
    uint64_t sum = 0;
    uint32_t top = 0;

    for (uint32_t k = 0; k < n; k++) {
        uint32_t one = le32_at(p + 4 * (size_t)k);

        sum += one;
        top = one > top ? one : top;
    }
    *ret = sum;
    return top <= WIRE_TASK_MAX;
}

static int take_parts(const struct wire_message *d, uint32_t k, struct wire_item *i, struct rest *rest, struct err *e)
{
    size_t lens, body;
    uint64_t sum;

    if (i->kind == WIRE_RETURNED && i->size)
        return wrong(d, k, e, "tasks that are given back have no body");
    item_load(i, &lens, &body);
    if (lens > rest->lens.size)
        return wrong(d, k, e, "there are fewer lengths than tasks");
    if (body > rest->body.size)
        return wrong(d, k, e, "the body is shorter than the records say");
    if (lens) {
        if (!sum_lengths(rest->lens.data, i->count, &sum))
            return wrong(d, k, e, "one task is larger than the limit of 1052672 bytes");
        if (sum != i->size)
            return err_set(e, BFORK_EPROTOCOL, "%s: record %" PRIu32 ": size is %" PRIu32 ", its lengths add up to %" PRIu64,
                           d->name, k, i->size, sum);
        i->lens = slice_part(rest->lens, 0, lens);
    }
    if (body)
        i->body = slice_part(rest->body, 0, body);
    rest->lens = slice_part(rest->lens, lens, rest->lens.size - lens);
    rest->body = slice_part(rest->body, body, rest->body.size - body);
    return 0;
}

static int decode_items(const struct wire_message *d, struct slice records, struct rest rest, struct wire_item *items,
                        struct wire_msg *m, struct err *e)
{
    uint32_t stride = item_stride(d, m, d->record_v1);
    const char *why;
    int rc;

    if (!stride)
        return err_set(e, BFORK_EPROTOCOL, "%s: the stride of its records is less than their %u bytes", d->name, d->record_v1);
    if (records.size % stride)
        return err_set(e, BFORK_EPROTOCOL, "%s: records have %zu bytes, which is no multiple of %" PRIu32, d->name, records.size,
                       stride);
    if (records.size / stride > WIRE_ITEMS_MAX)
        return err_set(e, BFORK_EPROTOCOL, "%s: %zu records, the limit is %u", d->name, records.size / stride, WIRE_ITEMS_MAX);
    if (d->record_v1 < d->record_size)
        item_stride_set(m, stride);         /* what it did not say */
    m->n_items = (uint32_t)(records.size / stride);
    m->items = m->n_items ? items : NULL;
    for (uint32_t k = 0; k < m->n_items; k++) {
        memset(&items[k], 0, sizeof(items[k]));
        item_read(d, records.data + (size_t)k * stride, stride, &items[k]);
        if ((why = item_wrong(d, &items[k])) != NULL)
            return wrong(d, k, e, why);
        if (d->load == LOAD_ITEMS && (rc = take_parts(d, k, &items[k], &rest, e)) < 0)
            return rc;
    }
    if (rest.lens.size)
        return err_set(e, BFORK_EPROTOCOL, "%s: %zu bytes of lengths belong to no record", d->name, rest.lens.size);
    if (rest.body.size)
        return err_set(e, BFORK_EPROTOCOL, "%s: %zu bytes of body belong to no record", d->name, rest.body.size);
    return 0;
}

static int decode_columns(const struct wire_message *d, struct cursor *c, struct buf *owner, struct wire_item *items,
                          struct wire_msg *m, struct err *e)
{
    static const char *const names[] = { "records", "lengths", "body" };
    struct slice part[3];
    uint32_t n;

    for (int k = 0; k < 3; k++) {
        if (!cursor_bin(c, &part[k].data, &n))
            return err_set(e, BFORK_EPROTOCOL, "%s: %s are not binary, or cut short", d->name, names[k]);
        part[k].buf = owner;
        part[k].size = n;
    }
    if (c->p != c->end)
        return err_set(e, BFORK_EPROTOCOL, "%s: %zu bytes too many at the end", d->name, (size_t)(c->end - c->p));
    if (part[2].size > d->body_max)
        return err_set(e, BFORK_EPROTOCOL, "%s: a body of %zu bytes, the limit is %" PRIu32, d->name, part[2].size, d->body_max);
    if (d->load == LOAD_RECORDS || d->load == LOAD_ITEMS)
        return decode_items(d, part[0], (struct rest){ part[1], part[2] }, items, m, e);
    if (part[0].size || part[1].size)
        return err_set(e, BFORK_EPROTOCOL, "%s: records or lengths, but it has no items", d->name);
    if (d->load == LOAD_BODY)
        m->body = part[2];
    if (m->type == WIRE_BLOB_PIECE && m->u.blob.size && m->u.blob.size != part[2].size)
        return err_set(e, BFORK_EPROTOCOL, "%s: size is %" PRIu32 ", the body has %zu bytes", d->name, m->u.blob.size,
                       part[2].size);
    return 0;
}

int wire_decode(const void *frame, size_t size, struct buf *owner, struct wire_item *items, struct wire_msg *m, struct err *e)
{
    struct cursor c = { frame, (const uint8_t *)frame + size };
    const struct wire_message *d;
    struct cursor_value v;
    uint64_t type, channel, request;
    int rc;

    memset(m, 0, sizeof(*m));
    if (size > WIRE_FRAME_MAX)
        return err_set(e, BFORK_EPROTOCOL, "a frame of %zu bytes, the limit is %u", size, WIRE_FRAME_MAX);
    if (!cursor_next(&c, &v) || v.kind != CURSOR_ARRAY || v.n != 8)
        return err_set(e, BFORK_EPROTOCOL, "a frame that does not begin a MessagePack array of 8");
    if (!cursor_uint(&c, &type))
        return err_set(e, BFORK_EPROTOCOL, "a frame whose type is not an integer >= 0");
    if (type > 127 || !(d = wire_message_of((unsigned)type)))
        return err_set(e, BFORK_EPROTOCOL, "message type %" PRIu64 " is not known", type);
    if (!cursor_uint(&c, &channel) || channel > UINT32_MAX || !cursor_uint(&c, &request) || request > UINT32_MAX)
        return err_set(e, BFORK_EPROTOCOL, "%s: channel or request is not an integer from 0 to 2^32-1", d->name);
    if (!cursor_uint(&c, &m->ack))
        return err_set(e, BFORK_EPROTOCOL, "%s: ack is not an integer >= 0", d->name);
    m->type = (uint8_t)type;
    m->channel = (uint32_t)channel;
    m->request = (uint32_t)request;
    if ((rc = fields_decode(&d->head, &c, &m->u, e)) < 0)
        return rc;
    return decode_columns(d, &c, owner, items, m, e);
}

const char *wire_type_name(unsigned type)
{
    const struct wire_message *d = wire_message_of(type);

    return d ? d->name : "?";
}

bool wire_may_send(enum wire_role role, enum wire_type type, bool to_broker)
{
    const struct wire_message *d = wire_message_of(type);

    if (!d || role < WIRE_CLIENT || role > WIRE_ADMINISTRATOR)
        return false;
    return d->ways >> (role - WIRE_CLIENT + (to_broker ? 0 : 3)) & 1;
}
