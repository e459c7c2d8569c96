/* SPDX-License-Identifier: MPL-2.0
 * printer.c - messages for people, by the tables. Never allocates; long strings and bytes are shortened; control characters are
 * escaped, so a peer cannot write into a terminal.
 */
#include "wire/fields.h"

#include <inttypes.h>

#define SHOWN_ITEMS_TRACE 4u

static void print_column(const struct wire_column *c, const struct wire_item *i, struct print *p)
{
    const uint8_t *at = (const uint8_t *)i + c->offset;
    uint64_t v64;
    uint32_t v32;
    uint16_t v16;

    print_text(p, " %s=", c->name);
    switch (c->width) {
    case 1: print_text(p, "%u", *at); break;
    case 2: memcpy(&v16, at, 2); print_text(p, "%u", v16); break;
    case 4: memcpy(&v32, at, 4); print_text(p, "%" PRIu32, v32); break;
    case 8: memcpy(&v64, at, 8); print_text(p, "%" PRIu64, v64); break;
    default: (c->secret ? print_private : print_hex)(p, at, c->width); break;
    }
}

static void print_item(const struct wire_message *d, const struct wire_item *i, struct print *p)
{
    print_text(p, " {");
    for (unsigned k = 0; k < d->n_columns; k++)
        print_column(&d->columns[k], i, p);
    if (i->lens.size) {
        print_text(p, " lengths=");
        for (uint32_t k = 0; k < i->count && k < 8; k++)
            print_text(p, "%s%" PRIu32, k ? "," : "", le32_at(i->lens.data + 4 * (size_t)k));
        print_text(p, i->count > 8 ? ",…" : "");
    }
    if (i->body.size) {
        print_text(p, " body=");
        print_private(p, i->body.data, i->body.size);
    }
    print_text(p, " }");
}

static void print_by_table(const struct wire_msg *m, struct print *p)
{
    const struct wire_message *d = wire_message_of(m->type);

    if (p->size)
        p->out[0] = 0;
    if (!d) {
        print_text(p, "message of unknown type %u", m->type);
        return;
    }
    print_text(p, "%s", d->name);
    if (m->channel)
        print_text(p, " channel=%" PRIu32, m->channel);
    if (m->request)
        print_text(p, " request=%" PRIu32, m->request);
    if (m->ack)
        print_text(p, " ack=%" PRIu64, m->ack);
    fields_print(&d->head, &m->u, p);
    if (d->load == LOAD_RECORDS || d->load == LOAD_ITEMS)
        for (uint32_t k = 0; k < m->n_items; k++) {
            if (p->trace && k == SHOWN_ITEMS_TRACE) {
                print_text(p, " and %" PRIu32 " more", m->n_items - k);
                break;
            }
            print_item(d, &m->items[k], p);
        }
    if (d->load == LOAD_BODY && m->body.size) {
        print_text(p, " body=");
        print_private(p, m->body.data, m->body.size);
    }
}

size_t wire_print(const struct wire_msg *m, char *out, size_t size)
{
    struct print p = { out, size, 0, false };

    print_by_table(m, &p);
    return p.n;
}

size_t wire_print_trace(const struct wire_msg *m, char *out, size_t size)
{
    struct print p = { out, size, 0, true };

    print_by_table(m, &p);
    return p.n;
}
