/* SPDX-License-Identifier: MPL-2.0
 * owner.c - owners: whoever has a key, found by it. One is there as long as it has a session or a job.
 */
#include "model.h"

struct owner *brk_owner_find(const struct broker *b, const uint8_t *key)
{
    for (KEYED_EACH(&b->owner_map, brk_keyed_hash(b, key, NULL), k))
        if (!memcmp(LIST_ENTRY(k, struct owner, by_key)->key, key, WIRE_KEY))
            return LIST_ENTRY(k, struct owner, by_key);
    return NULL;
}

struct owner *brk_owner_get(struct broker *b, const uint8_t *key)
{
    uint64_t least = UINT64_MAX;
    struct owner *o = brk_owner_find(b, key);

    if (o) {
        o->refs++;
        return o;
    }
    for (LIST_EACH(&b->owners, n))      /* as many as keys that may connect */
        least = LIST_ENTRY(n, struct owner, node)->used_ns < least ? LIST_ENTRY(n, struct owner, node)->used_ns : least;
    if (!(o = brk_mem_new(b, sizeof(*o))) || !(o->account = brk_account_new(b->account))) {
        brk_mem_free(b, o, sizeof(*o));
        return NULL;
    }
    if (brk_keyed_put(&b->owner_map, &o->by_key, brk_keyed_hash(b, key, NULL)) < 0) {
        brk_account_unref(o->account);
        brk_mem_free(b, o, sizeof(*o));
        return NULL;
    }
    brk_account_charge(o->account, sizeof(*o));
    memcpy(o->key, key, WIRE_KEY);
    o->refs = 1;
    o->used_ns = list_empty(&b->owners) ? 0 : least;
    list_init(&o->chores);
    list_init(&o->waiting);
    o->round = 1;
    list_init(&o->pools);
    list_init(&o->stopped);
    list_init(&o->active);
    list_init(&o->later);
    list_init(&o->jobs);
    list_push_back(&b->owners, &o->node);
    return o;
}

void brk_owner_unref(struct broker *b, struct owner *o)
{
    if (!o || --o->refs)
        return;
    list_remove(&b->owners, &o->node);
    brk_keyed_take(&b->owner_map, &o->by_key);
    brk_chore_forget(b, o, &o->wake);
    brk_account_release(o->account, sizeof(*o));
    brk_account_unref(o->account);
    brk_mem_free(b, o, sizeof(*o));
}
