/* SPDX-License-Identifier: MPL-2.0
 * task.c - tasks as they are added: written into the open batch of their job, or a map as the array that its batches are cut from.
 */
#include "model.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct batch *batch_open(struct session_job *j, size_t size)
{
    struct batch *b = calloc(1, sizeof(*b));
    struct buf *body = buf_new(size < 192 ? 256 : size + 64);
    if (!b || !body) {
        free(b);
        buf_unref(&body);
        return NULL;
    }
    b->first = j->next;
    b->open = b->fixed = true;
    b->size = (uint32_t)size;
    b->grow_body = body;
    list_push_back(&j->batches, &b->node);
    return b;
}

static void put_u32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}

/* From here on this batch has a column of lengths. */
static int batch_unfix(struct session *s, struct batch *b)
{
    struct buf *lens = buf_new(4 * ((size_t)b->count + 16));
    if (!lens)
        return BFORK_ENOMEM;
    for (uint32_t i = 0; i < b->count; i++)
        put_u32(lens->data + 4 * (size_t)i, b->size);
    lens->size = 4 * (size_t)b->count;
    b->grow_lens = lens;
    b->fixed = false;
    b->bytes += lens->size;
    s->bytes_held += lens->size;
    return 0;
}

uint8_t *session_task_reserve(struct session_job *j, size_t size, uint64_t *ret_index)
{
    struct session *s = j->s;
    assert(!j->closed && size <= WIRE_TASK_MAX && !j->source.size);
    struct list_node *last = list_last(&j->batches);
    struct batch *b = last ? LIST_ENTRY(last, struct batch, node) : NULL;
    if (b && b->open && (b->grow_body->size + size > WIRE_BATCH || b->count >= WIRE_BATCH_TASKS))
        ses_batch_close(b);
    if (ses_bits_reserve(&j->settled, j->next + 1) != 0)
        return NULL;
    if (!b || !b->open) {
        if (!(b = batch_open(j, size)))
            return NULL;
    } else if (b->fixed && b->size != size && batch_unfix(s, b) != 0) {
        return NULL;
    }
    if ((!b->fixed && buf_reserve(&b->grow_lens, 4) != 0) || buf_reserve(&b->grow_body, size) != 0) {
        if (b->count == 0)
            ses_batch_free(j, b);
        return NULL;
    }
    uint8_t *at = b->grow_body->data + b->grow_body->size;
    b->grow_body->size += size;
    uint64_t bytes = size;
    if (!b->fixed) {
        put_u32(b->grow_lens->data + b->grow_lens->size, (uint32_t)size);
        b->grow_lens->size += 4;
        bytes += 4;
    }
    b->bytes += bytes;
    s->bytes_held += bytes;
    b->count++;
    b->left++;
    *ret_index = j->next++;
    j->unsettled++;
    s->unsettled++;
    s->tasks++;
    ses_job_dirty(j);
    return at;
}

int session_task_add(struct session_job *j, const void *args, size_t size, uint64_t *ret_index)
{
    uint8_t *at = session_task_reserve(j, size, ret_index);
    if (!at)
        return BFORK_ENOMEM;
    if (size)
        memcpy(at, args, size);
    return 0;
}

int session_map_add(struct session_job *j, struct slice in, uint32_t size, uint64_t n)
{
    assert(!j->closed && j->next == 0);
    int rc = ses_bits_reserve(&j->settled, n);
    if (rc != 0)
        return rc;
    j->source = slice_ref(in);
    j->source_size = size;
    j->source_n = n;
    j->next = n;
    j->unsettled += n;
    j->s->unsettled += n;
    j->s->tasks += n;
    ses_job_dirty(j);
    return 0;
}
