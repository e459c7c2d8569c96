/* SPDX-License-Identifier: MPL-2.0
 * api_map.c - maps as the program begins them.
 */
#include "drive.h"

#include <stdlib.h>

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
        f->map->told = true;                /* there is nothing to tell */
        bfs_future_mark_done(f);
    } else if (f && s->kind != KIND_SERIAL && map_start(p, f, &shape, in) != 0) {
        bfs_elements_rest(f->map, bfork_last_error()->kind);
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
