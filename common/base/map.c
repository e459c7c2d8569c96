/* SPDX-License-Identifier: MPL-2.0
 * map.c - hash map from u64 to pointer: linear probing, backward-shift removal, capacity a power of two, at most 3/4 full. Never
 * keeps tombstones, never owns a value. Invariant: no empty cell lies between a key's home and its cell.
 */
#include "base/map.h"

#include "base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MAP_LEAST 16u

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ull;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

void map_init(struct map *m)
{
    m->cells = NULL;
    m->capacity = m->count = 0;
}

void map_free(struct map *m)
{
    free(m->cells);
    map_init(m);
}

/* The cell of key, or the empty one where it belongs. Only with capacity > 0. */
static size_t find(const struct map *m, uint64_t key)
{
    size_t mask = m->capacity - 1, i = (size_t)mix(key) & mask;

    while (m->cells[i].value && m->cells[i].key != key)
        i = (i + 1) & mask;
    return i;
}

void *map_get(const struct map *m, uint64_t key)
{
    return m->capacity ? m->cells[find(m, key)].value : NULL;
}

int map_reserve(struct map *m, size_t more)
{
    size_t capacity = m->capacity ? m->capacity : MAP_LEAST;
    struct map bigger = { NULL, 0, m->count };

    if (more > SIZE_MAX / 64 - m->count)
        return BASE_ENOMEM;
    while (capacity - capacity / 4 < m->count + more)
        capacity *= 2;
    if (capacity == m->capacity)
        return 0;
    if (!(bigger.cells = calloc(capacity, sizeof(*bigger.cells))))
        return BASE_ENOMEM;
    bigger.capacity = capacity;
    for (size_t i = 0; i < m->capacity; i++)
        if (m->cells[i].value)
            bigger.cells[find(&bigger, m->cells[i].key)] = m->cells[i];
    free(m->cells);
    *m = bigger;
    return 0;
}

int map_put(struct map *m, uint64_t key, void *value)
{
    int rc;
    size_t i;

    assert(value);
    if (!m->capacity && (rc = map_reserve(m, 1)) < 0)
        return rc;
    i = find(m, key);
    if (!m->cells[i].value) {
        if ((rc = map_reserve(m, 1)) < 0)
            return rc;
        i = find(m, key);
        m->count++;
    }
    m->cells[i] = (struct map_cell){ key, value };
    return 0;
}

void *map_take(struct map *m, uint64_t key)
{
    size_t mask = m->capacity - 1, hole, i, home;
    void *value;

    if (!m->capacity)
        return NULL;
    hole = find(m, key);
    if (!(value = m->cells[hole].value))
        return NULL;
    for (i = (hole + 1) & mask; m->cells[i].value; i = (i + 1) & mask) {
        home = (size_t)mix(m->cells[i].key) & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->cells[hole] = m->cells[i];
            hole = i;
        }
    }
    m->cells[hole] = (struct map_cell){ 0, NULL };
    m->count--;
    return value;
}

int map_next(const struct map *m, size_t *i, uint64_t *key, void **value)
{
    for (; *i < m->capacity; ++*i)
        if (m->cells[*i].value) {
            *key = m->cells[*i].key;
            *value = m->cells[*i].value;
            ++*i;
            return 1;
        }
    return 0;
}

uint64_t map_hash_bytes(const void *p, size_t n)
{
    const uint8_t *b = p;
    uint64_t h = 0x9e3779b97f4a7c15ull ^ n, word;

    for (; n >= 8; n -= 8, b += 8) {
        memcpy(&word, b, 8);
        h = mix(h ^ word);
    }
    word = 0;
    if (n)
        memcpy(&word, b, n);
    return mix(h ^ word);
}
