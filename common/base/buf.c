/* SPDX-License-Identifier: MPL-2.0
 * buf.c - reference-counted bytes. A buf made by buf_new is one allocation: the struct, then its data, 16-byte aligned. Never
 * shrinks, never copies but in buf_append and buf_reserve. Invariant: size <= capacity; whoever sees refs fall to 0 releases.
 *
 * Large buffers of buf_new are used again: an allocator gives their pages back to the system, which maps and clears them anew for
 * the next one, and that costs more than the copy that goes into it. SPARE_PLACES of them are kept at most, for all threads of the
 * process; a sanitizer sees their bytes as freed meanwhile.
 */
#include "base/buf.h"

#include "base/err.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1          /* as gcc calls it */
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define BUF_HEAD ((sizeof(struct buf) + 15u) & ~(size_t)15u)
#define BUF_LEAST 64u
#define SPARE_PLACES 8u
#define SPARE_LEAST 65536u              /* smaller ones an allocator keeps itself */
#define SPARE_MOST 2097152u             /* a frame, or one task: larger ones are rare */

static _Atomic(struct buf *) spares[SPARE_PLACES];

static bool is_recycled(size_t capacity) { return capacity >= SPARE_LEAST && capacity <= SPARE_MOST; }

/* False: there is no place. */
static bool put_spare(struct buf *b)
{
    for (unsigned i = 0; i < SPARE_PLACES; i++) {
        struct buf *none = NULL;

        if (!atomic_load_explicit(&spares[i], memory_order_relaxed) &&
            atomic_compare_exchange_strong_explicit(&spares[i], &none, b, memory_order_release, memory_order_relaxed))
            return true;
    }
    return false;
}

static void free_spare(struct buf *b)
{
    ASAN_UNPOISON_MEMORY_REGION((uint8_t *)b + BUF_HEAD, b->capacity);
    free(b);
}

/* One with room for so much, of which less than half would be idle. NULL: there is none. */
static struct buf *take_spare(size_t capacity)
{
    for (unsigned i = 0; i < SPARE_PLACES; i++) {
        struct buf *b;

        if (!atomic_load_explicit(&spares[i], memory_order_relaxed) ||
            !(b = atomic_exchange_explicit(&spares[i], NULL, memory_order_acquire)))
            continue;
        if (b->capacity >= capacity && b->capacity / 2 < capacity)
            return b;
        if (!put_spare(b))
            free_spare(b);
    }
    return NULL;
}

struct buf *buf_new(size_t capacity)
{
    struct buf *b = is_recycled(capacity) ? take_spare(capacity) : NULL;

    if (b) {
        ASAN_UNPOISON_MEMORY_REGION((uint8_t *)b + BUF_HEAD, b->capacity);
    } else if (capacity > SIZE_MAX - BUF_HEAD || !(b = malloc(BUF_HEAD + capacity))) {
        return NULL;
    } else {
        b->capacity = capacity;
    }
    atomic_init(&b->refs, 1);
    b->data = (uint8_t *)b + BUF_HEAD;
    b->size = 0;
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
    if (old->release) {
        old->release(old);
    } else if (!is_recycled(old->capacity)) {
        free(old);
    } else {
        ASAN_POISON_MEMORY_REGION((uint8_t *)old + BUF_HEAD, old->capacity);
        if (!put_spare(old))
            free_spare(old);
    }
}
