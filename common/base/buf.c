/* SPDX-License-Identifier: MPL-2.0
 * buf.c - reference-counted bytes. A buf made by buf_new is one allocation: the struct, then its data, 16-byte aligned. Never
 * shrinks, never copies but in buf_append and buf_reserve. Invariant: size <= capacity; whoever sees refs fall to 0 releases.
 */
#include "base/buf.h"

#include "base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BUF_HEAD ((sizeof(struct buf) + 15u) & ~(size_t)15u)
#define BUF_LEAST 64u

struct buf *buf_new(size_t capacity)
{
    struct buf *b;

    if (capacity > SIZE_MAX - BUF_HEAD || !(b = malloc(BUF_HEAD + capacity)))
        return NULL;
    atomic_init(&b->refs, 1);
    b->data = (uint8_t *)b + BUF_HEAD;
    b->size = 0;
    b->capacity = capacity;
    b->release = NULL;
    b->owner = NULL;
    return b;
}

struct buf *buf_wrap(void *data, size_t size, void (*release)(struct buf *b), void *owner)
{
    struct buf *b = malloc(sizeof(*b));

    if (!b)
        return NULL;
    atomic_init(&b->refs, 1);
    b->data = data;
    b->size = b->capacity = size;
    b->release = release;
    b->owner = owner;
    return b;
}

void buf_free_struct(struct buf *b)
{
    free(b);
}

int buf_reserve(struct buf **b, size_t more)
{
    struct buf *old = *b, *now;
    size_t want;

    if (more <= old->capacity - old->size)
        return 0;
    assert(!old->release && atomic_load_explicit(&old->refs, memory_order_relaxed) == 1);
    if (more > SIZE_MAX / 4 || old->size > SIZE_MAX / 4)
        return BASE_ENOMEM;
    want = old->size + more;
    if (want < old->capacity * 2)
        want = old->capacity * 2;
    if (want < BUF_LEAST)
        want = BUF_LEAST;
    if (!(now = realloc(old, BUF_HEAD + want)))
        return BASE_ENOMEM;
    now->data = (uint8_t *)now + BUF_HEAD;
    now->capacity = want;
    *b = now;
    return 0;
}

int buf_append(struct buf **b, const void *data, size_t size)
{
    int rc = buf_reserve(b, size);

    if (rc < 0)
        return rc;
    if (size)
        memcpy((*b)->data + (*b)->size, data, size);
    (*b)->size += size;
    return 0;
}

void buf_unref(struct buf **b)
{
    struct buf *old = *b;

    *b = NULL;
    if (!old || atomic_fetch_sub_explicit(&old->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (old->release)
        old->release(old);
    else
        free(old);
}
