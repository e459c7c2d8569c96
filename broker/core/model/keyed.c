/* SPDX-License-Identifier: MPL-2.0
 * keyed.c - owners and sessions found by the bytes that name them: a map keyed with a secret, and a chain for what collides all the
 * same. The caller compares the bytes.
 */
#include "model.h"

uint64_t brk_keyed_hash(const struct broker *b, const uint8_t *key, const uint8_t *instance)
{
    uint8_t name[WIRE_KEY + WIRE_ID] = { 0 };

    memcpy(name, key, WIRE_KEY);
    if (instance)
        memcpy(name + WIRE_KEY, instance, WIRE_ID);
    return map_hash_keyed(&b->hash, name, sizeof(name));
}

int brk_keyed_put(struct map *m, struct keyed *k, uint64_t hash)
{
    struct keyed *first = map_get(m, hash);

    k->hash = hash;
    k->next = first;
    return map_put(m, hash, k);
}

void brk_keyed_take(struct map *m, struct keyed *k)
{
    struct keyed *at = map_get(m, k->hash);

    if (at == k && k->next)
        map_put(m, k->hash, k->next);       /* the cell is there: cannot fail */
    else if (at == k)
        map_take(m, k->hash);
    else {
        while (at->next != k)
            at = at->next;
        at->next = k->next;
    }
}
