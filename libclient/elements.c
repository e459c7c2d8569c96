/* SPDX-License-Identifier: MPL-2.0
 * elements.c - what is known of the elements of a map, or of each: how many have an outcome, the errors, and the results that are
 * not in the caller's array. Small ones are copied into blocks, big ones pin the message they came in.
 */
#include "work.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

#define MAP_ERRORS 1000u            /* errors kept for bfork_future_error_at */
#define BLOCK 65536u
#define COPY_MAX 16384u             /* results up to this are copied rather than pin the message they came in */

bfork_arg bfs_elements_arg(const struct each_input *in, size_t i)
{
    if (in->strings)
        return bfork_arg_str(in->strings[i]);
    return bfork_arg_bin(in->bytes ? in->bytes[i] : bfork_bytes_of((const char *)in->in + i * in->size, in->size));
}

struct each_block { struct each_block *next; size_t used, size; uint8_t data[]; };

static bool copy_result(struct map_state *m, struct each_result *r, struct slice result)
{
    struct each_block *b = m->blocks;
    if (!b || b->size - b->used < result.size) {
        size_t size = result.size > BLOCK ? result.size : BLOCK;
        if (!(b = malloc(sizeof(*b) + size)))
            return false;
        *b = (struct each_block){ m->blocks, 0, size };
        m->blocks = b;
    }
    r->data = memcpy(b->data + b->used, result.data, result.size);
    b->used += result.size;
    return true;
}

bool bfs_elements_keep(struct map_state *m, uint64_t index, struct slice result)
{
    struct each_result *r = &m->each[index];
    r->size = (uint32_t)result.size;
    if (result.size == 0)
        return true;
    if (!result.buf || result.size <= COPY_MAX)
        return copy_result(m, r, result);
    r->buf = buf_ref(result.buf);
    r->data = result.data;
    return true;
}

static void keep_error(struct map_state *m, uint64_t index, uint32_t count, const struct wire_outcome *o)
{
    if (index >= m->lowest && m->n_errors >= MAP_ERRORS)
        return;
    struct kept_error *k = malloc(sizeof(*k));
    bfork_error *e = bfs_error_new_outcome(o);
    if (!k || !e) {
        free(k);
        free(e);
        return;
    }
    e->index = index;
    *k = (struct kept_error){ .next = m->errors, .index = index, .count = count, .error = e };
    m->errors = k;
    m->n_errors++;
    if (index < m->lowest) {
        m->lowest = index;
        m->lowest_error = e;
    }
}

void bfs_elements_fail(struct map_state *m, uint64_t first, uint32_t count, const struct wire_outcome *o)
{
    keep_error(m, first, count, o);
    for (uint32_t i = 0; m->status && i < count; i++)
        m->status[first + i] = o->kind;
    for (uint32_t i = 0; m->each && i < count; i++)
        m->each[first + i].kind = (int16_t)o->kind;
    m->failed += count;
}

void bfs_elements_rest(struct map_state *m, int kind)
{
    for (uint64_t i = 0; m->status && i < m->n; i++)
        if (m->status[i] == NOT_YET)
            m->status[i] = kind;
}

void bfs_elements_results(struct map_state *m, const struct wire_item *item)
{
    static const struct wire_outcome no_memory = { .kind = BFORK_ENOMEM, .message = { "out of memory for a result", 26 } };
    size_t at = 0;
    for (uint32_t k = 0; k < item->count; k++) {
        size_t size = wire_len_at(item, k);
        if (!bfs_elements_keep(m, item->first + k, slice_part(item->body, at, size)))
            bfs_elements_fail(m, item->first + k, 1, &no_memory);
        else if (m->status)
            m->status[item->first + k] = 0;
        at += size;
    }
}

static void free_results(struct map_state *m)
{
    for (uint64_t i = 0; m->each && i < m->n; i++)
        buf_unref(&m->each[i].buf);
    for (struct each_block *b = m->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(m->each);
}

void bfs_elements_free(struct map_state *m)
{
    if (!m)
        return;
    for (struct kept_error *k = m->errors, *next; k; k = next) {
        next = k->next;
        free(k->error);
        free(k);
    }
    free_results(m);
    free(m);
}

void bfs_elements_progress(const struct map_state *m, bfork_progress *p)
{
    double seconds = (double)(clock_now() - m->started) / 1e9;
    *p = (bfork_progress){ .total = m->n, .queued = m->n - m->settled, .done = m->settled - m->failed, .failed = m->failed };
    p->per_second = seconds > 0 ? (double)m->settled / seconds : 0;
    p->seconds_left = p->per_second > 0 ? (double)(m->n - m->settled) / p->per_second : -1;
}
