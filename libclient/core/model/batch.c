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
    run_done(&b->run);
    free(b);
}

uint64_t ses_batch_bytes(const struct batch *b, uint64_t first, uint64_t count)
{
    struct run part = run_part(&b->run, (uint32_t)(first - b->run.first), (uint32_t)count);

    return run_bytes(&part);
}

void ses_batch_close(struct batch *b)
{
    b->open = false;
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
    b->run = (struct run){ .first = j->source_next, .count = (uint32_t)n, .size = j->source_size, .flags = WIRE_FIXED };
    b->bytes = n * j->source_size;
    b->run.body = slice_ref(slice_part(j->source, (size_t)(j->source_next * j->source_size), (size_t)b->bytes));
    b->left = (uint32_t)n;
    j->s->bytes_held += b->bytes;
    j->source_next += n;
    list_push_back(&j->batches, &b->node);
    return b;
}

struct batch *ses_batch_find(struct session_job *j, uint64_t index)
{
    struct list_node *n = j->hint ? &j->hint->node : list_first(&j->batches);
    if (j->hint && j->hint->run.first > index)
        n = list_first(&j->batches);
    for (; n && n != &j->batches.head; n = n->next) {
        struct batch *b = LIST_ENTRY(n, struct batch, node);
        if (index < b->run.first)
            return NULL;
        if (index < run_end(&b->run))
            return j->hint = b;
    }
    return NULL;
}
