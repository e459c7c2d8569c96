/* SPDX-License-Identifier: MPL-2.0
 * map.c - a function over a C array: results go straight into the caller's array, in input order; errors are kept for each index,
 * the lowest one for sure.
 */
#include "client.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

#define MAP_ERRORS 1000u            /* errors kept for bfork_future_error_at */
#define NOT_YET BFORK_END           /* status of an element without an outcome: no outcome is this one */

void bfs_map_keep_error(struct map_state *m, uint64_t index, uint32_t count, const struct wire_outcome *o)
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

void bfs_map_status_rest(struct map_state *m, int kind)
{
    for (uint64_t i = 0; m->status && i < m->n; i++)
        if (m->status[i] == NOT_YET)
            m->status[i] = kind;
}

static void finish_map(struct job *j, struct bfork_future *f)
{
    struct map_state *m = f->map;
    if (m->failed && !f->error)
        f->error = m->lowest_error ? bfs_error_clone(m->lowest_error) : NULL;
    if (m->failed && !f->error)
        f->error = (bfork_error *)(uintptr_t)bfs_error_no_memory();
    f->kind = f->error ? f->error->kind : BFORK_OK;
    if (m->settled < m->n)
        bfs_map_status_rest(m, f->kind);
    j->future = NULL;
    j->left--;
    j->pool->pending--;
    bfs_future_mark_done(f);
    if (bfs_future_drop(f))
        atomic_fetch_sub(&j->pool->s->refs, 1);     /* never the last: the pool has one */
    bfs_job_forget(j);
}

void bfs_map_fail_elements(struct map_state *m, uint64_t first, uint32_t count, const struct wire_outcome *o)
{
    bfs_map_keep_error(m, first, count, o);
    for (uint32_t i = 0; m->status && i < count; i++)
        m->status[first + i] = o->kind;
    for (uint32_t i = 0; m->each && i < count; i++)
        m->each[first + i].kind = (int16_t)o->kind;
    m->failed += count;
}

static void take_results(struct map_state *m, const struct wire_item *item)
{
    if (!(item->flags & WIRE_FIXED) || item->size != m->out_size) {
        const struct wire_outcome o = { .kind = BFORK_EPROTOCOL, .message = WIRE_STR("a result of another size came back") };
        bfs_map_fail_elements(m, item->first, item->count, &o);
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
        bfs_each_results(m, item);
    } else if (item->kind == WIRE_OK) {
        take_results(m, item);
    } else {
        if (wire_outcome_decode(item->body.data, item->body.size, &o, &e) != 0)
            o = (struct wire_outcome){ .kind = BFORK_EPROTOCOL, .message = WIRE_STR("an outcome that cannot be read came back") };
        if (o.function.n == 0 && j->symbol)
            o.function = WIRE_STR(j->symbol);
        bfs_map_fail_elements(m, item->first, item->count, &o);
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

void bfs_map_state_free(struct map_state *m)
{
    if (!m)
        return;
    for (struct kept_error *k = m->errors, *next; k; k = next) {
        next = k->next;
        free(k->error);
        free(k);
    }
    bfs_each_free(m);
    free(m);
}

void bfs_map_read_progress(const struct map_state *m, bfork_progress *p)
{
    double seconds = (double)(clock_now() - m->started) / 1e9;
    *p = (bfork_progress){ .total = m->n, .queued = m->n - m->settled, .done = m->settled - m->failed, .failed = m->failed };
    p->per_second = seconds > 0 ? (double)m->settled / seconds : 0;
    p->seconds_left = p->per_second > 0 ? (double)(m->n - m->settled) / p->per_second : -1;
}

const bfork_error *bfork_future_error_at(bfork_future *f, size_t index)
{
    if (!f || !f->map || atomic_load_explicit(&f->state, memory_order_acquire) != BFORK_DONE)
        return f && !f->map && index == 0 ? bfork_future_error(f) : NULL;
    for (const struct kept_error *k = f->map->errors; k; k = k->next)
        if (index >= k->index && index - k->index < k->count)
            return k->error;
    return NULL;
}

static int map_check(bfork_pool *p, bfork_map_fn *fn, size_t n, const void *in, size_t in_size, const void *out, size_t out_size,
                     const bfork_options *o)
{
    int rc = bfs_pool_begin(p, o);
    if (rc != 0)
        return rc;
    if (!fn)
        return bfs_error_set(BFORK_EINVAL, "map: the function is NULL");
    if (n && ((!in && in_size) || (!out && out_size)))
        return bfs_error_set(BFORK_EINVAL, "map: an array is NULL");
    size_t most = in_size > out_size ? in_size : out_size;
    if (n > PTRDIFF_MAX / (most ? most : 1))
        return bfs_error_set(BFORK_EINVAL, "map: no array has %zu elements of %zu bytes: is the number negative?", n, most);
    if (in_size > WIRE_TASK_MAX || out_size > WIRE_TASK_MAX)
        return bfs_error_set(BFORK_ETOOBIG, "map: an element has %zu bytes; at most %u travel", most, WIRE_TASK_MAX);
    return 0;
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

/* Gives the map of f to the session. */
static int map_start(bfork_pool *p, struct bfork_future *f, const struct job_shape *shape, const void *in)
{
    struct job *j = NULL;
    if (p->s->error)
        return bfs_error_again(p->s->error);
    size_t size = (size_t)(shape->in_size * shape->total);
    struct buf *array = buf_wrap((void *)(uintptr_t)in, size, buf_free_struct, NULL);
    int rc = array ? bfs_job_find(p, shape, &j) : bfs_error_set(BFORK_ENOMEM, "out of memory");
    if (rc != 0 || !j) {
        buf_unref(&array);
        return rc;
    }
    if (session_map_add(j->core, (struct slice){ array, in, size }, shape->in_size, shape->total) == 0) {
        bfs_map_adopt(j, f);
    } else {
        rc = bfs_error_set(BFORK_ENOMEM, "out of memory");
    }
    buf_unref(&array);
    bfs_job_close(j);
    if (rc != 0)
        bfs_job_forget(j);
    else
        bfs_drive_kick(p->s, true);
    return rc;
}

bfork_future *bfork_pool_map_async(bfork_pool *p, bfork_map_fn *fn, const void *in, size_t in_size, void *out, size_t out_size,
                                   size_t n, const bfork_options *o)
{
    int rc = map_check(p, fn, n, in, in_size, out, out_size, o);
    if (rc != 0)
        return bfs_future_failed(rc);
    struct bfork_session *s = p->s;
    const struct job_shape shape = { .function.fn = (void (*)(void))fn, .options = o, .in_size = (uint32_t)in_size,
                                     .out_size = (uint32_t)out_size, .kind = WIRE_JOB_MAP, .map = true, .total = n };
    pthread_mutex_lock(&s->lock);
    struct bfork_future *f = bfs_map_future(p, out, out_size, n, o);
    if (f && n == 0) {
        atomic_store(&f->state, BFORK_DONE);
        f->map->told = true;                /* there is nothing to tell */
    } else if (f && s->kind != KIND_SERIAL && map_start(p, f, &shape, in) != 0) {
        bfs_map_status_rest(f->map, bfork_last_error()->kind);
        bfs_future_settle_error(f, bfs_error_clone(bfork_last_error()));
    }
    pthread_mutex_unlock(&s->lock);
    if (!f)
        return bfs_future_failed(bfs_error_set(BFORK_ENOMEM, "out of memory"));
    if (n && s->kind == KIND_SERIAL)
        bfs_serial_map(p, f, &shape, in);
    return f;
}

int bfork_pool_map(bfork_pool *p, bfork_map_fn *fn, const void *in, size_t in_size, void *out, size_t out_size, size_t n,
                   const bfork_options *o)
{
    bfork_future *f = bfork_pool_map_async(p, fn, in, in_size, out, out_size, n, o);
    int rc = bfork_future_result(f, NULL, 0);
    bfork_future_free(&f);                  /* interrupted: what is left is cancelled, the arrays are the caller's again */
    return rc;
}
