/* SPDX-License-Identifier: MPL-2.0
 * bits.c - one bit for each task of a job, forgotten from the front once all are set.
 */
#include "model.h"

#include <stdlib.h>
#include <string.h>

int ses_bits_reserve(struct bits *b, uint64_t end)
{
    if (end <= b->base + b->n * 64)
        return 0;
    size_t need = (size_t)((end - b->base + 63) / 64);
    if (need > b->capacity) {
        size_t capacity = b->capacity ? b->capacity : 4;
        while (capacity < need)
            capacity *= 2;
        uint64_t *words = realloc(b->words, capacity * sizeof(*words));
        if (!words)
            return BFORK_ENOMEM;
        b->words = words;
        b->capacity = capacity;
    }
    memset(b->words + b->n, 0, (need - b->n) * sizeof(*b->words));
    b->n = need;
    return 0;
}

bool ses_bits_get(const struct bits *b, uint64_t i)
{
    if (i < b->base)
        return true;
    uint64_t k = i - b->base;
    return k / 64 < b->n && (b->words[k / 64] >> (k % 64) & 1);
}

void ses_bits_set(struct bits *b, uint64_t first, uint64_t count)
{
    uint64_t k = first - b->base, end = k + count;
    while (k < end) {
        uint64_t word = k / 64, from = k % 64, n = 64 - from < end - k ? 64 - from : end - k;
        uint64_t mask = n == 64 ? UINT64_MAX : ((1ull << n) - 1) << from;
        b->words[word] |= mask;
        k += n;
    }
}

uint64_t ses_bits_next(const struct bits *b, uint64_t from, uint64_t end, bool value)
{
    if (from < b->base) {
        if (value)
            return from;
        from = b->base < end ? b->base : end;
    }
    while (from < end) {
        uint64_t k = from - b->base, word = k / 64 < b->n ? b->words[k / 64] : 0;
        uint64_t hit = (value ? word : ~word) >> (k % 64);
        if (hit) {
            uint64_t at = from + (uint64_t)__builtin_ctzll(hit);
            return at < end ? at : end;
        }
        from += 64 - k % 64;
    }
    return end;
}

void ses_bits_drop(struct bits *b, uint64_t below)
{
    size_t words = below > b->base ? (size_t)((below - b->base) / 64) : 0;
    if (!b->n || (words < 64 && words < b->n))      /* moving is for when it pays */
        return;
    if (words > b->n)
        words = b->n;
    memmove(b->words, b->words + words, (b->n - words) * sizeof(*b->words));
    b->n -= words;
    b->base += words * 64;
}
