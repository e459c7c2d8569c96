/* SPDX-License-Identifier: MPL-2.0
 * share.c - see share.h. Owners are listed while they have a place; there are never more of them than places.
 */
#include "blob/share.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct holder { struct list_node node; uint8_t key[WIRE_KEY]; uint32_t n; };

void blob_share_init(struct blob_share *s, uint32_t all, uint32_t per_owner)
{
    list_init(&s->owners);
    s->all = all;
    s->per_owner = per_owner;
    s->taken = 0;
}

void blob_share_done(struct blob_share *s)
{
    for (struct list_node *n; (n = list_pop(&s->owners));)
        free(LIST_ENTRY(n, struct holder, node));
    s->taken = 0;
}

static struct holder *find_holder(const struct blob_share *s, const uint8_t owner[WIRE_KEY])
{
    for (LIST_EACH(&s->owners, n)) {
        struct holder *h = LIST_ENTRY(n, struct holder, node);

        if (memcmp(h->key, owner, WIRE_KEY) == 0)
            return h;
    }
    return NULL;
}

bool blob_share_take(struct blob_share *s, const uint8_t owner[WIRE_KEY])
{
    struct holder *h = find_holder(s, owner);

    if (h && (h->n >= s->per_owner || s->taken >= s->all))
        return false;
    if (!h) {
        if (!(h = calloc(1, sizeof(*h))))
            return false;
        memcpy(h->key, owner, WIRE_KEY);
        list_push_back(&s->owners, &h->node);
    }
    h->n++;
    s->taken++;
    return true;
}

void blob_share_give(struct blob_share *s, const uint8_t owner[WIRE_KEY])
{
    struct holder *h = find_holder(s, owner);

    assert(h && "a place is given back once, by who has it");
    s->taken--;
    if (--h->n == 0) {
        list_remove(&s->owners, &h->node);
        free(h);
    }
}

uint32_t blob_share_of(const struct blob_share *s, const uint8_t owner[WIRE_KEY])
{
    const struct holder *h = find_holder(s, owner);

    return h ? h->n : 0;
}
