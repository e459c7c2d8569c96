/* SPDX-License-Identifier: MPL-2.0
 * map.c - hash map from u64 to pointer: linear probing, backward-shift removal, capacity a power of two, at most 3/4 full. Never
 * keeps tombstones, never owns a value. Without a hash_key whoever chooses the numbers can make them collide. Invariant: no empty
 * cell lies between a key's home and its cell.
 *
 * A map that grows keeps its old table, and each new key takes the keys of some old cells along: one that holds a million is not
 * moved in one call, which took 50 ms. A key is in one table only; new keys go into the new one. The old table is empty long
 * before the new one is full: it has half as many cells, and a put clears MAP_STEP of them.
 */
#include "base/map.h"

#include "base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MAP_LEAST 16u
#define MAP_STEP 8u

static uint64_t mix_key(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ull;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

/* Every lookup in a core makes five of these rounds: calls of them would cost more than they do. */
#define INLINE static inline __attribute__((always_inline, no_instrument_function))      /* never called, so not counted as calls */

INLINE uint64_t rotate_left(uint64_t x, int n) { return x << n | x >> (64 - n); }

INLINE void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate_left(v[1], 13) ^ v[0];
    v[0] = rotate_left(v[0], 32);
    v[2] += v[3];
    v[3] = rotate_left(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate_left(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate_left(v[1], 17) ^ v[2];
    v[2] = rotate_left(v[2], 32);
}

INLINE void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

INLINE uint64_t sip_hash(const struct hash_key *key, const void *p, size_t n)
{
    uint64_t v[4] = { key->k[0] ^ 0x736f6d6570736575ull, key->k[1] ^ 0x646f72616e646f6dull, key->k[0] ^ 0x6c7967656e657261ull,
                      key->k[1] ^ 0x7465646279746573ull };
    const uint8_t *b = p;
    uint64_t word, last = (uint64_t)n << 56;

    for (; n >= 8; n -= 8, b += 8) {
        word = 0;
        for (int i = 7; i >= 0; i--)
            word = word << 8 | b[i];
        sip_word(v, word);
    }
    while (n--)
        last |= (uint64_t)b[n] << (8 * n);
    sip_word(v, last);
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t map_hash_keyed(const struct hash_key *key, const void *p, size_t n) { return sip_hash(key, p, n); }

static uint64_t hash(const struct map *m, uint64_t key)
{
    return m->key ? sip_hash(m->key, &key, sizeof(key)) : mix_key(key);
}

void map_init(struct map *m) { map_init_keyed(m, NULL); }

void map_init_keyed(struct map *m, struct hash_key *key) { *m = (struct map){ .key = key }; }

void map_free(struct map *m)
{
    free(m->now.cells);
    free(m->old.cells);
    map_init_keyed(m, m->key);
}

uint64_t map_memory(const struct map *m) { return (m->now.capacity + m->old.capacity) * sizeof(struct map_cell); }

/* The cell of key, or the empty one where it belongs. Only with capacity > 0. */
static size_t find_cell(const struct map *m, const struct map_table *t, uint64_t key)
{
    size_t mask = t->capacity - 1, home = (size_t)hash(m, key) & mask, i = home;

    while (t->cells[i].value && t->cells[i].key != key)
        i = (i + 1) & mask;
    if (m->key)
        m->key->probes += 1 + ((i - home) & mask);
    return i;
}

/* NULL: it is in no table. */
static struct map_cell *cell_of(const struct map *m, const struct map_table *t, uint64_t key)
{
    struct map_cell *c = t->capacity ? &t->cells[find_cell(m, t, key)] : NULL;

    return c && c->value ? c : NULL;
}

void **map_at(const struct map *m, uint64_t key)
{
    struct map_cell *c = cell_of(m, &m->now, key);

    if (!c && m->old.cells)
        c = cell_of(m, &m->old, key);
    return c ? &c->value : NULL;
}

void *map_get(const struct map *m, uint64_t key)
{
    void **at = map_at(m, key);

    return at ? *at : NULL;
}

/* Keys behind the hole move up, so that none has an empty cell before it. */
static void empty(const struct map *m, struct map_table *t, size_t hole)
{
    size_t mask = t->capacity - 1, i, home;

    for (i = (hole + 1) & mask; t->cells[i].value; i = (i + 1) & mask) {
        home = (size_t)hash(m, t->cells[i].key) & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            t->cells[hole] = t->cells[i];
            hole = i;
        }
    }
    t->cells[hole] = (struct map_cell){ 0, NULL };
}

/* Looks at n cells of the old table; the keys in them go into the new one. A table without keys ends. */
static void move(struct map *m, size_t n)
{
    while (n-- && m->moved < m->old.capacity) {
        struct map_cell c = m->old.cells[m->moved];
        if (c.value) {
            m->now.cells[find_cell(m, &m->now, c.key)] = c;
            empty(m, &m->old, m->moved);            /* another key may be here now: it is next */
        } else {
            m->moved++;
        }
    }
    if (m->moved < m->old.capacity)
        return;
    free(m->old.cells);
    m->old = (struct map_table){ NULL, 0 };
    m->moved = 0;
}

int map_reserve(struct map *m, size_t more)
{
    size_t capacity = m->now.capacity ? m->now.capacity : MAP_LEAST;
    struct map_cell *cells;

    if (more > SIZE_MAX / 64 - m->count)
        return BASE_ENOMEM;
    while (capacity - capacity / 4 < m->count + more)
        capacity *= 2;
    if (capacity == m->now.capacity)
        return 0;
    if (!(cells = calloc(capacity, sizeof(*cells))))
        return BASE_ENOMEM;
    if (m->old.cells)
        move(m, SIZE_MAX);              /* only if so much is reserved at once that this is little of it */
    m->old = m->now;
    m->now = (struct map_table){ cells, capacity };
    if (m->count == 0)
        m->moved = m->old.capacity;     /* nothing is to be moved */
    move(m, 0);
    return 0;
}

int map_put(struct map *m, uint64_t key, void *value)
{
    void **at = map_at(m, key);
    int rc;

    assert(value);
    if (at) {
        *at = value;
        return 0;
    }
    if ((rc = map_reserve(m, 1)) < 0)
        return rc;
    m->now.cells[find_cell(m, &m->now, key)] = (struct map_cell){ key, value };
    m->count++;
    if (m->old.cells)
        move(m, MAP_STEP);
    return 0;
}

void *map_take(struct map *m, uint64_t key)
{
    struct map_table *t = &m->now;
    struct map_cell *c = cell_of(m, t, key);

    if (!c && m->old.cells)
        c = cell_of(m, t = &m->old, key);
    if (!c)
        return NULL;
    void *value = c->value;
    empty(m, t, (size_t)(c - t->cells));
    m->count--;
    return value;
}

int map_next(const struct map *m, size_t *i, uint64_t *key, void **value)
{
    for (; *i < m->now.capacity + m->old.capacity; ++*i) {
        const struct map_cell *c = *i < m->now.capacity ? &m->now.cells[*i] : &m->old.cells[*i - m->now.capacity];
        if (c->value) {
            *key = c->key;
            *value = c->value;
            ++*i;
            return 1;
        }
    }
    return 0;
}

uint64_t map_hash_bytes(const void *p, size_t n)
{
    const uint8_t *b = p;
    uint64_t h = 0x9e3779b97f4a7c15ull ^ n, word;

    for (; n >= 8; n -= 8, b += 8) {
        memcpy(&word, b, 8);
        h = mix_key(h ^ word);
    }
    word = 0;
    if (n)
        memcpy(&word, b, n);
    return mix_key(h ^ word);
}
