/* SPDX-License-Identifier: MPL-2.0
 * task.c - tasks as they are added: written into the open batch of their job, or a map as the array that its batches are cut from.
 */
#include "model.h"

#include "wire/cursor.h"

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
    b->open = true;
    b->run = (struct run){ .first = j->next, .size = (uint32_t)size, .flags = WIRE_FIXED, .body = slice_of(body, 0, 0) };
    list_push_back(&j->batches, &b->node);
    return b;
}

/* From here on this batch has a column of lengths. */
static int batch_unfix(struct session *s, struct batch *b)
{
    struct run *r = &b->run;
    struct buf *lens = buf_new(4 * ((size_t)r->count + 16));
    if (!lens)
        return BFORK_ENOMEM;
    for (uint32_t i = 0; i < r->count; i++)
        le32_put(lens->data + 4 * (size_t)i, r->size);
    lens->size = 4 * (size_t)r->count;
    r->lens = slice_of(lens, 0, lens->size);
    r->size = (uint32_t)r->body.size;
    r->flags = 0;
    b->bytes += lens->size;
    s->bytes_held += lens->size;
    return 0;
}

static bool is_fixed_batch(const struct batch *b) { return b->run.flags & WIRE_FIXED; }

/* The last n bytes of a column that has room for them behind it; its buffer may have moved. */
static uint8_t *column_grow(struct slice *s, size_t n)
{
    s->data = s->buf->data;
    s->buf->size += n;
    s->size += n;
    return s->buf->data + s->size - n;
}

uint8_t *session_task_reserve(struct session_job *j, size_t size, uint64_t *ret_index)
{
    struct session *s = j->s;
    assert(!j->closed && size <= WIRE_TASK_MAX && !j->source.size);
    struct list_node *last = list_last(&j->batches);
    struct batch *b = last ? LIST_ENTRY(last, struct batch, node) : NULL;
    if (b && b->open && (b->run.body.size + size > WIRE_BATCH || b->run.count >= WIRE_BATCH_TASKS))
        ses_batch_close(b);
    if (ses_bits_reserve(&j->settled, j->next + 1) != 0)
        return NULL;
    if (!b || !b->open) {
        if (!(b = batch_open(j, size)))
            return NULL;
    } else if (is_fixed_batch(b) && b->run.size != size && batch_unfix(s, b) != 0) {
        return NULL;
    }
    if ((!is_fixed_batch(b) && buf_reserve(&b->run.lens.buf, 4) != 0) || buf_reserve(&b->run.body.buf, size) != 0) {
        if (b->run.count == 0)
            ses_batch_free(j, b);
        return NULL;
    }
    uint8_t *at = column_grow(&b->run.body, size);
    uint64_t bytes = size;
    if (!is_fixed_batch(b)) {
        le32_put(column_grow(&b->run.lens, 4), (uint32_t)size);
        b->run.size = (uint32_t)b->run.body.size;
        bytes += 4;
    }
    b->bytes += bytes;
    s->bytes_held += bytes;
    b->run.count++;
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
