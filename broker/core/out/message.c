/* SPDX-License-Identifier: MPL-2.0
 * message.c - how a message of records is begun: room for it is reserved with the items, so that it cannot fail half-way.
 */
#include "out.h"

struct wire_item *brk_out_items(struct broker *b, size_t n)
{
    struct wire_item *items = NULL;

    if (brk_effect_reserve(b, n + 4) == 0 && (items = brk_effect_bytes(b, n * sizeof(*items))))
        memset(items, 0, n * sizeof(*items));
    else
        b->again = true;
    return items;
}

struct wire_msg *brk_out_message(struct broker *b, struct peer *p, enum wire_type type, struct wire_item *items, size_t n)
{
    struct wire_msg *m = brk_effect_send(b, p, type);

    assert(m);      /* reserved with the items */
    m->u.records.stride = 0;
    m->items = items;
    m->n_items = (uint32_t)n;
    return m;
}

void brk_out_hold(struct broker *b, const struct wire_item *it)
{
    brk_effect_hold(b, it->lens.buf);
    brk_effect_hold(b, it->body.buf);
}

size_t brk_out_most(size_t n) { return n < WIRE_ITEMS_MAX ? n : WIRE_ITEMS_MAX; }
