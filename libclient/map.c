/* SPDX-License-Identifier: MPL-2.0
 * map.c - the future of a function over a C array, until it is done: results go straight into the caller's array, in input order;
 * errors are kept for each index, the lowest one for sure (elements.c).
 *
 * Once the future is done, or given up, neither array is touched again: they are the caller's.
 */
#include "work.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

static void finish_map(struct job *j, struct bfork_future *f)
{
    struct map_state *m = f->map;
    if (m->failed && !f->error)
        f->error = m->lowest_error ? bfs_error_clone(m->lowest_error) : NULL;
    if (m->failed && !f->error)
        f->error = (bfork_error *)(uintptr_t)bfs_error_no_memory();
    f->kind = f->error ? f->error->kind : BFORK_OK;
    if (m->settled < m->n)
        bfs_elements_rest(m, f->kind);
    j->future = NULL;
    j->left--;
    j->pool->pending--;
    bfs_future_mark_done(f);
    if (bfs_future_drop(f))
        atomic_fetch_sub(&j->pool->s->refs, 1);     /* never the last: the pool has one */
    bfs_job_forget(j);
}

static void take_results(struct map_state *m, const struct wire_item *item)
{
    if (!(item->flags & WIRE_FIXED) || item->size != m->out_size) {
        const struct wire_outcome o = { .kind = BFORK_EPROTOCOL, .message = WIRE_STR("a result of another size came back") };
        bfs_elements_fail(m, item->first, item->count, &o);
        return;
    }
    if (m->out_size)
        memcpy((uint8_t *)m->out + item->first * m->out_size, item->body.data, (size_t)item->count * m->out_size);
    if (m->status)
        memset(m->status + item->first, 0, item->count * sizeof(*m->status));
}

void bfs_map_outcomes(struct job *j, const struct wire_item *item)
{
    struct bfork_future *f = j->future;
    struct map_state *m = f->map;
    struct wire_outcome o;
    struct err e;
    if (item->kind == WIRE_OK && m->each) {
        bfs_elements_results(m, item);
    } else if (item->kind == WIRE_OK) {
        take_results(m, item);
    } else {
        if (wire_outcome_decode(item->body.data, item->body.size, &o, &e) != 0)
            o = (struct wire_outcome){ .kind = BFORK_EPROTOCOL, .message = WIRE_STR("an outcome that cannot be read came back") };
        if (o.function.n == 0 && j->symbol)
            o.function = WIRE_STR(j->symbol);
        bfs_elements_fail(m, item->first, item->count, &o);
    }
    m->settled += item->count;
    for (uint32_t i = 0; m->each && i < item->count; i++)
        m->each[item->first + i].settled = true;
    if (m->each && m->settled < m->n)
        f->s->stirred = true;               /* somebody may wait for one element */
    if (m->settled == m->n)
        finish_map(j, f);
}

void bfs_map_fail_rest(struct bfork_future *f, const bfork_error *e)
{
    f->error = bfs_error_clone(e);
    f->map->failed += f->map->n - f->map->settled;
    finish_map(f->job, f);
}

void bfs_map_abandon(struct bfork_future *f)
{
    struct job *j = f->job;
    struct session_job *core = j->core;
    bool copied = f->map->each != NULL;
    f->error = bfs_error_new(BFORK_CANCELLED, "the future was freed before the map was done");
    f->map->failed++;
    finish_map(j, f);                       /* forgets the job: what follows is told to nobody */
    if (copied)
        session_cancel(core, 0, UINT64_MAX);
    else
        session_job_abandon(core);          /* the array is the caller's again */
}

struct bfork_future *bfs_map_future(bfork_pool *p, void *out, size_t out_size, size_t n, const bfork_options *o)
{
    struct map_state *m = calloc(1, sizeof(*m));
    struct bfork_future *f = m ? bfs_future_new(p->s) : NULL;
    if (!f) {
        free(m);
        return NULL;
    }
    *m = (struct map_state){ .out = out,
                             .out_size = out_size,
                             .n = n,
                             .lowest = UINT64_MAX,
                             .status = o ? o->status : NULL,
                             .progress = o ? o->progress : NULL,
                             .progress_data = o ? o->progress_data : NULL,
                             .started = clock_now() };
    for (size_t i = 0; m->status && i < n; i++)
        m->status[i] = NOT_YET;
    f->map = m;
    return f;
}

void bfs_map_adopt(struct job *j, struct bfork_future *f)
{
    f->job = j;
    atomic_fetch_add(&f->refs, 1);
    j->future = f;
    j->left++;
    j->pool->pending++;
}
