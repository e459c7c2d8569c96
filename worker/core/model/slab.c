/* SPDX-License-Identifier: MPL-2.0
 * slab.c - small pieces of bytes end to end in common buffers, so that a task costs no allocation. Never moves or changes bytes
 * that have been handed out; a buffer that nobody refers to any more is used again.
 */
#include "model/model.h"

#include <string.h>

#define SLAB_SIZE 65536u

static bool grow_slab(struct slab *s, size_t n)
{
    if (s->buf && atomic_load_explicit(&s->buf->refs, memory_order_acquire) == 1)
        s->buf->size = 0;
    if (s->buf && s->buf->capacity - s->buf->size >= n)
        return true;
    struct buf *fresh = buf_new(SLAB_SIZE);

    if (!fresh)
        return false;
    buf_unref(&s->buf);
    s->buf = fresh;
    return true;
}

bool wrk_slab_copy(struct slab *s, struct slice from, struct slice *ret)
{
    *ret = slice_none();
    if (from.size == 0)
        return true;
    if (from.buf) {
        *ret = slice_ref(from);
        return true;
    }
    if (from.size > SLAB_SIZE / 4) {
        struct buf *own = buf_new(from.size);

        if (!own)
            return false;
        memcpy(own->data, from.data, from.size);
        own->size = from.size;
        *ret = slice_of(own, 0, from.size);
        return true;
    }
    if (!grow_slab(s, from.size))
        return false;
    memcpy(s->buf->data + s->buf->size, from.data, from.size);
    *ret = slice_of(buf_ref(s->buf), s->buf->size, from.size);
    s->buf->size += from.size;
    return true;
}

bool wrk_slab_follows(const struct slab *s, struct slice last, size_t more)
{
    return s->buf && last.buf == s->buf && last.data + last.size == s->buf->data + s->buf->size &&
           more <= SLAB_SIZE / 4 && s->buf->capacity - s->buf->size >= more;
}

void wrk_slab_done(struct slab *s)
{
    buf_unref(&s->buf);
}
