/* SPDX-License-Identifier: MPL-2.0
 * slab.c - how arguments and results are kept: what came in a buffer stays in it, small pieces go end to end into common ones, so
 * that a task costs no allocation.
 */
#include "model/model.h"

#include <string.h>

#define SLAB_SIZE 65536u

static struct buf *slab_new(void *ctx, size_t capacity)
{
    (void)ctx;
    return buf_new(capacity);
}

static int bytes_keep(void *ctx, struct slice from, struct slice *ret)
{
    struct buf *own;

    (void)ctx;
    if (from.buf) {
        *ret = slice_ref(from);
        return 0;
    }
    if (!(own = buf_new(from.size)))
        return BASE_ENOMEM;
    memcpy(own->data, from.data, from.size);
    own->size = from.size;
    *ret = slice_of(own, 0, from.size);
    return 0;
}

const struct run_memory wrk_memory = { .room = slab_new, .keep = bytes_keep, .least = SLAB_SIZE, .most = SLAB_SIZE,
                                       .small = SLAB_SIZE / 4, .shares = true };
