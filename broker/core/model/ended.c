/* SPDX-License-Identifier: MPL-2.0
 * ended.c - the jobs of each key that came to their end lately. What a worker brings of such a job when it comes back after a
 * restart of the broker, and after the hold, is not wanted any more: whoever has the job was told of all its tasks.
 *
 * This outlives the owner, which goes with its last session and job: most programs end right after their jobs. A key has a place of
 * its own, so that the jobs of one push out no others. The place not used for longest goes when there are ENDED_KEYS; without
 * memory for a new one nothing is remembered, as of jobs longer ago.
 */
#include "model.h"

struct ended {
    struct list_node node;          /* b->ended, used last first */
    struct keyed by_key;            /* b->ended_map */
    uint8_t key[WIRE_KEY];
    uint8_t ids[ENDED_MAX][WIRE_ID];
    uint64_t n;                     /* so many have ended */
};

static struct ended *ended_find(const struct broker *b, const uint8_t *key)
{
    for (KEYED_EACH(&b->ended_map, brk_keyed_hash(b, key, NULL), k))
        if (!memcmp(LIST_ENTRY(k, struct ended, by_key)->key, key, WIRE_KEY))
            return LIST_ENTRY(k, struct ended, by_key);
    return NULL;
}

static void ended_drop(struct broker *b, struct ended *e)
{
    list_remove(&b->ended, &e->node);
    brk_keyed_take(&b->ended_map, &e->by_key);
    brk_mem_free(b, e, sizeof(*e));
}

static struct ended *ended_get(struct broker *b, const uint8_t *key)
{
    struct ended *e = ended_find(b, key);

    if (e) {
        list_remove(&b->ended, &e->node);
        list_push_front(&b->ended, &e->node);
        return e;
    }
    if (b->ended.count == ENDED_KEYS)
        ended_drop(b, LIST_ENTRY(list_last(&b->ended), struct ended, node));
    if (!(e = brk_mem_new(b, sizeof(*e))))
        return NULL;
    if (brk_keyed_put(&b->ended_map, &e->by_key, brk_keyed_hash(b, key, NULL)) < 0) {
        brk_mem_free(b, e, sizeof(*e));
        return NULL;
    }
    memcpy(e->key, key, WIRE_KEY);
    list_push_front(&b->ended, &e->node);
    return e;
}

void brk_ended_add(struct broker *b, const struct job *j)
{
    struct ended *e;

    if (!b->c.mac || !(e = ended_get(b, j->owner->key)))
        return;                     /* on one machine nothing comes back */
    memcpy(e->ids[e->n++ % ENDED_MAX], j->id, WIRE_ID);
}

bool brk_ended_has(const struct broker *b, const uint8_t *key, const uint8_t *id)
{
    const struct ended *e = ended_find(b, key);

    for (uint32_t i = 0; e && i < e->n && i < ENDED_MAX; i++)
        if (!memcmp(e->ids[i], id, WIRE_ID))
            return true;
    return false;
}

void brk_ended_free(struct broker *b)
{
    while (!list_empty(&b->ended))
        ended_drop(b, LIST_ENTRY(list_first(&b->ended), struct ended, node));
    map_free(&b->ended_map);
}
