/* SPDX-License-Identifier: MPL-2.0
 * each.c - a function over strings, byte strings or elements, each with a result of any size: one future holds them all.
 *
 * Elements travel as the arguments of tasks, an array of one value each; the kind of the job says in which form the function gets
 * them. Results are kept with the future (elements.c).
 */
#include "drive.h"

#include "wire/value.h"

#include <stdlib.h>
#include <string.h>

/* Everything is looked at before anything starts. */
static int check_input(const struct each_input *in, size_t n)
{
    struct err e;
    if (!in->in && !in->strings && !in->bytes && n)
        return bfs_error_set(BFORK_EINVAL, "each: the array is NULL");
    if (n > UINT32_MAX)
        return bfs_error_set(BFORK_EINVAL, "each: %zu elements; at most 2^32 - 1 in one call", n);
    for (size_t i = 0; i < n; i++) {
        const bfork_arg a = bfs_elements_arg(in, i);
        if (a.type == BFORK_NIL)
            return bfs_error_set(BFORK_EINVAL, "each: string %zu is NULL", i);
        if (a.type == BFORK_BIN && a.size && !a.v.p)
            return bfs_error_set(BFORK_EINVAL, "each: element %zu has %zu bytes and no address", i, a.size);
        size_t size = value_size(&a, 1, &e);
        if (size == 0 || size > WIRE_TASK_MAX)
            return bfs_error_set(BFORK_ETOOBIG, "each: element %zu has %zu bytes; at most %u travel with a task", i,
                                 a.type == BFORK_STR ? strlen(a.v.p) : a.size, WIRE_TASK_MAX);
    }
    return 0;
}

/* All tasks of f, copied into the session. */
static int add_elements(struct job *j, const struct each_input *in, size_t n)
{
    struct err e;
    for (size_t i = 0; i < n; i++) {
        const bfork_arg a = bfs_elements_arg(in, i);
        uint64_t index;
        uint8_t *at = session_task_reserve(j->core, value_size(&a, 1, &e), &index);
        if (!at)
            return bfs_error_set(BFORK_ENOMEM, "out of memory after %zu of %zu elements", i, n);
        value_pack(&a, 1, at);
    }
    return 0;
}

static int start_each(struct bfork_pool *p, struct bfork_future *f, const struct job_shape *shape, const struct each_input *in)
{
    struct job *j = NULL;
    if (p->s->error)
        return bfs_error_again(p->s->error);
    int rc = bfs_job_find(p, shape, &j);
    if (rc != 0 || !j)
        return rc;
    rc = add_elements(j, in, shape->total);
    struct session_job *core = j->core;
    if (rc == 0)
        bfs_map_adopt(j, f);
    bfs_job_close(j);
    if (rc != 0) {
        bfs_job_forget(j);                  /* what was added is told to nobody */
        session_cancel(core, 0, UINT64_MAX);
    }
    bfs_drive_kick(p->s, true);
    return rc;
}

static bfork_future *each(bfork_pool *p, struct job_shape *shape, const struct each_input *in, size_t n, const bfork_options *o)
{
    int rc = bfs_pool_begin(p, o);
    if (rc == 0 && !shape->function.fn)
        rc = bfs_error_set(BFORK_EINVAL, "each: the function is NULL");
    if (rc == 0)
        rc = check_input(in, n);
    if (rc != 0)
        return bfs_future_failed(rc);
    struct bfork_session *s = p->s;
    struct each_result *results = calloc(n ? n : 1, sizeof(*results));
    shape->options = o;
    shape->map = true;
    shape->total = n;
    pthread_mutex_lock(&s->lock);
    struct bfork_future *f = results ? bfs_map_future(p, NULL, 0, n, o) : NULL;
    if (f)
        f->map->each = results;
    if (f && n == 0) {
        f->map->told = true;
        bfs_future_mark_done(f);
    } else if (f && s->kind != KIND_SERIAL && start_each(p, f, shape, in) != 0) {
        bfs_elements_rest(f->map, bfork_last_error()->kind);
        bfs_future_settle_error(f, bfs_error_clone(bfork_last_error()));
    }
    pthread_mutex_unlock(&s->lock);
    if (!f) {
        free(results);
        return bfs_future_failed(bfs_error_set(BFORK_ENOMEM, "out of memory"));
    }
    if (n && s->kind == KIND_SERIAL)
        bfs_serial_each(p, f, shape, in);
    return f;
}

bfork_future *bfork_pool_each(bfork_pool *p, bfork_each_fn *fn, const void *in, size_t in_size, size_t n, const bfork_options *o)
{
    const struct each_input input = { .in = in, .size = in_size };
    if (in_size == 0 || in_size > WIRE_TASK_MAX)
        return bfs_future_failed(bfs_error_set(in_size ? BFORK_ETOOBIG : BFORK_EINVAL,
                                               "each: elements of %zu bytes; 1 to %u travel",
                                               in_size, WIRE_TASK_MAX));
    struct job_shape shape = { .function.fn = (void (*)(void))fn, .kind = WIRE_JOB_EACH, .in_size = (uint32_t)in_size };
    return each(p, &shape, &input, n, o);
}

bfork_future *bfork_pool_each_string(bfork_pool *p, bfork_string_fn *fn, const char *const *in, size_t n, const bfork_options *o)
{
    struct job_shape shape = { .function.fn = (void (*)(void))fn, .kind = WIRE_JOB_EACH_STRING };
    return each(p, &shape, &(struct each_input){ .strings = in }, n, o);
}

bfork_future *bfork_pool_each_bytes(bfork_pool *p, bfork_bytes_fn *fn, const bfork_bytes *in, size_t n, const bfork_options *o)
{
    struct job_shape shape = { .function.fn = (void (*)(void))fn, .kind = WIRE_JOB_EACH_BYTES };
    return each(p, &shape, &(struct each_input){ .bytes = in }, n, o);
}
