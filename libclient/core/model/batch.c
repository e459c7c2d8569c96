/* SPDX-License-Identifier: MPL-2.0
 * batch.c - the batches that hold the tasks of a job: found, cut from a map, closed, freed. job.c settles them, task.c fills them.
 */
#include "model.h"

#include <stdlib.h>

void ses_batch_free(struct session_job *j, struct batch *b)
{
    if (j->hint == b)
        j->hint = NULL;
    j->s->bytes_held -= b->bytes;
    list_remove(&j->batches, &b->node);
    buf_unref(&b->grow_body);
    buf_unref(&b->grow_lens);
    slice_unref(&b->body);
    slice_unref(&b->lens);
    free(b);
}

uint64_t ses_batch_bytes(const struct batch *b, uint64_t first, uint64_t count)
{
    if (b->fixed)
        return count * b->size;
    const struct wire_item i = { .lens = b->open ? slice_borrow(b->grow_lens->data, b->grow_lens->size) : b->lens };
    uint64_t bytes = 4 * count;
    for (uint64_t k = first - b->first; count--; k++)
        bytes += wire_len_at(&i, (uint32_t)k);
    return bytes;
}

void ses_batch_close(struct batch *b)
{
    if (!b->open)
        return;
    b->open = false;
    b->body = slice_of(b->grow_body, 0, b->grow_body->size);
    b->grow_body = NULL;
    if (b->grow_lens)
        b->lens = slice_of(b->grow_lens, 0, b->grow_lens->size);
    b->grow_lens = NULL;
}

/* The next batch of a map. NULL: out of memory (tried again at the next flush). */
struct batch *ses_batch_cut(struct session_job *j)
{
    uint64_t n = j->source_size ? WIRE_BATCH / j->source_size : WIRE_BATCH_TASKS, left = j->source_n - j->source_next;
    n = n == 0 ? 1 : n > WIRE_BATCH_TASKS ? WIRE_BATCH_TASKS : n;
    n = n < left ? n : left;
    struct batch *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    b->first = j->source_next;
    b->count = b->left = (uint32_t)n;
    b->fixed = true;
    b->size = j->source_size;
    b->body = slice_ref(slice_part(j->source, (size_t)(b->first * b->size), (size_t)(n * b->size)));
    b->bytes = n * b->size;
    j->s->bytes_held += b->bytes;
    j->source_next += n;
    list_push_back(&j->batches, &b->node);
    return b;
}

struct batch *ses_batch_find(struct session_job *j, uint64_t index)
{
    struct list_node *n = j->hint ? &j->hint->node : list_first(&j->batches);
    if (j->hint && j->hint->first > index)
        n = list_first(&j->batches);
    for (; n && n != &j->batches.head; n = n->next) {
        struct batch *b = LIST_ENTRY(n, struct batch, node);
        if (index < b->first)
            return NULL;
        if (index < b->first + b->count)
            return j->hint = b;
    }
    return NULL;
}
