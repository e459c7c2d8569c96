/* SPDX-License-Identifier: MPL-2.0
 * item.c - one item: its record, what it brings along, cutting it in two. Never looks into a body.
 */
#include "wire/item.h"
#include "wire/run.h"

#include <assert.h>

static void copy_le(uint8_t *to, const uint8_t *from, unsigned width)
{
    switch (width) {
    case 1: *to = *from; break;
    case 2: memcpy(to, from, 2); break;
    case 4: memcpy(to, from, 4); break;
    case 8: memcpy(to, from, 8); break;
    default: memcpy(to, from, width); return;
    }
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (unsigned a = 0, b = width - 1; a < b; a++, b--) {
        uint8_t t = to[a];
        to[a] = to[b];
        to[b] = t;
    }
#endif
}

/* Does each task have its part of the body? Else it is one document for all, or none. */
static bool has_parts(const struct wire_item *i)
{
    return i->kind == WIRE_OK;
}

size_t item_body(const struct wire_item *i)
{
    return i->kind == WIRE_RETURNED ? 0 : i->body.size;
}

uint32_t item_stride(const struct wire_message *d, const struct wire_msg *m, uint32_t otherwise)
{
    uint32_t stride = d == &wire_messages[WIRE_HOLDING] ? m->u.holding.stride : m->u.records.stride;

    return stride && stride < d->record_v1 ? 0 : stride ? stride : otherwise;
}

void item_stride_set(struct wire_msg *m, uint32_t stride)
{
    if (m->type == WIRE_HOLDING)
        m->u.holding.stride = stride;
    else
        m->u.records.stride = stride;
}

uint8_t *item_write(const struct wire_message *d, const struct wire_item *i, uint32_t stride, uint8_t *out)
{
    if (stride > d->record_size)
        memset(out + d->record_size, 0, stride - d->record_size);
    for (unsigned k = 0; k < d->n_columns && d->columns[k].at + d->columns[k].width <= stride; k++)
        copy_le(out + d->columns[k].at, (const uint8_t *)i + d->columns[k].offset, d->columns[k].width);
    if (d->load == LOAD_ITEMS && !(has_parts(i) && i->flags & WIRE_FIXED))
        for (unsigned k = 0; k < d->n_columns; k++)
            if (d->columns[k].offset == offsetof(struct wire_item, size)) {
                uint32_t size = le32((uint32_t)item_body(i));

                memcpy(out + d->columns[k].at, &size, 4);
                break;
            }
    return out + stride;
}

void item_read(const struct wire_message *d, const uint8_t *record, uint32_t stride, struct wire_item *i)
{
    for (unsigned k = 0; k < d->n_columns && d->columns[k].at + d->columns[k].width <= stride; k++)
        copy_le((uint8_t *)i + d->columns[k].offset, record + d->columns[k].at, d->columns[k].width);
}

void item_load(const struct wire_item *i, size_t *lens, size_t *body)
{
    *lens = 0;
    *body = i->size;
    if (!has_parts(i))
        return;
    if (i->flags & WIRE_FIXED)
        *body = (size_t)i->count * i->size;
    else
        *lens = (size_t)i->count * 4;
}

const char *item_wrong(const struct wire_message *d, const struct wire_item *i)
{
    if (i->first > UINT64_MAX - i->count)
        return "first + count is beyond 64 bits";
    if (d == &wire_messages[WIRE_HOLDING] && (i->end < i->first || i->end - i->first < i->count))
        return "first + count is behind end";
    if (d->load != LOAD_ITEMS)
        return NULL;
    if (d == &wire_messages[WIRE_OUTPUT] && (i->count != 1 || i->seq == 0 || !(i->flags & WIRE_FIXED) || i->stream < 1 ||
                                              i->stream > 2))
        return "a piece of output has count 1, flag FIXED, stream 1 or 2, and a seq from 1 on";
    if (i->count == 0)
        return "count is 0";
    if (i->count > WIRE_BATCH_TASKS && i->kind == WIRE_OK)      /* one document, or none, can stand for any number */
        return "count is above the limit of 32768 tasks in an item";
    if (i->flags & ~d->flags)
        return "a flag is set that this message does not have";
    if (i->kind > 31 || !(d->kinds >> i->kind & 1))
        return "its kind is not one of this message's";
    if (i->kind == WIRE_OK && i->flags & WIRE_FIXED && i->size > WIRE_TASK_MAX)
        return "one task is larger than the limit of 1052672 bytes";
    return NULL;
}

void wire_item_cut(const struct wire_item *i, uint32_t n, struct wire_item *head, struct wire_item *rest)
{
    struct wire_item a = *i, b = *i;

    assert(n <= i->count);
    a.count = n;
    b.first += n;
    b.count -= n;
    a.sum_ns = i->count ? (uint64_t)((unsigned __int128)i->sum_ns * n / i->count) : 0;
    b.sum_ns -= a.sum_ns;
    if (has_parts(i) && (i->flags & WIRE_FIXED || i->lens.size)) {      /* else a range without its tasks' bytes, as in CANCEL */
        struct run all = { .first = i->first, .count = i->count, .size = i->size, .flags = (uint16_t)i->flags,
                           .tries = i->tries, .crashes = i->crashes, .lens = i->lens, .body = i->body };
        struct run front = run_part(&all, 0, n), behind = run_part(&all, n, i->count - n);

        run_to_item(&front, &a);
        run_to_item(&behind, &b);
    }
    *head = a;
    *rest = b;
}
