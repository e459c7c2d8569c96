/* SPDX-License-Identifier: MPL-2.0
 * submit.c - one task in, one future out. Arguments are written straight into the session's batch.
 */
#include "drive.h"

#include "base/clock.h"
#include "wire/value.h"

#include <stdlib.h>
#include <string.h>

struct room { struct bfork_pool *p; size_t size; };

static bool queue_has_room(void *arg)
{
    const struct room *r = arg;
    const struct bfork_pool *p = r->p;
    return p->pending == 0 || (p->pending < p->max_queued && p->queued_bytes + r->size <= p->max_queued_bytes) || p->error ||
           p->s->error || p->closed;
}

/* Waits for room in the pool's queue, or refuses. */
static int wait_for_queue(struct bfork_pool *p, size_t size, const bfork_options *o)
{
    struct room r = { p, size };
    if (queue_has_room(&r))
        return 0;
    bool refuse = o && o->when_full == BFORK_REFUSE;
    if (refuse && bfs_drive_try(p->s, queue_has_room, &r, LINK_NEXT, bfs_drive_deadline(0), NULL, NULL) != 0)
        return bfs_error_set(BFORK_EAGAIN, "the pool's queue is full: %llu tasks, %llu bytes are waiting",
                             (unsigned long long)p->pending, (unsigned long long)p->queued_bytes);
    int rc = refuse ? 0 : bfs_drive_wait(p->s, queue_has_room, &r, LINK_LOW, CLOCK_NEVER, NULL, NULL);
    return rc == 0 && p->closed ? bfs_error_set(BFORK_ECLOSED, "the pool was closed while waiting for room in its queue") : rc;
}

/* Room for one task of this size; then *ret_at is to be filled before the lock is given up. */
static int reserve_task(struct bfork_pool *p, const struct job_shape *shape, size_t size, struct bfork_future **ret,
                        uint8_t **ret_at)
{
    struct bfork_session *s = p->s;
    struct job *j;
    uint64_t index;
    int rc = wait_for_queue(p, size, shape->options);
    if (rc == 0 && s->error)
        rc = bfs_error_again(s->error);
    if (rc == 0)
        rc = bfs_job_find(p, shape, &j);
    if (rc != 0)
        return rc;
    struct bfork_future *f = bfs_job_reserve(j) == 0 ? bfs_future_new(s) : NULL;
    uint8_t *at = f ? session_task_reserve(j->core, size, &index) : NULL;
    if (!at) {
        if (f && bfs_future_drop(f))
            atomic_fetch_sub(&s->refs, 1);
        return bfs_error_set(BFORK_ENOMEM, "out of memory");
    }
    f->bytes = size;
    f->data_of_user = shape->task;
    bfs_job_put(j, f, index);
    *ret = f;
    *ret_at = at;
    return 0;
}

static bfork_future *submit_values(bfork_pool *p, const struct job_shape *shape, size_t size, const void *raw,
                                   const bfork_arg *args,
                                   size_t n)
{
    struct bfork_session *s = p->s;
    struct bfork_future *f = NULL;
    uint8_t *at = NULL;
    if (s->kind == KIND_SERIAL) {
        pthread_mutex_lock(&s->lock);
        f = bfs_future_new(s);
        pthread_mutex_unlock(&s->lock);
        uint8_t *copy = malloc(size ? size : 1);
        if (!f || !copy) {
            free(copy);
            bfork_future_free(&f);
            return bfs_future_failed(bfs_error_set(BFORK_ENOMEM, "out of memory"));
        }
        if (raw)
            memcpy(copy, raw, size);
        else
            value_pack(args, n, copy);
        f->data_of_user = shape->task;
        bfs_serial_submit(p, f, shape, copy, size);
        free(copy);
        return f;
    }
    pthread_mutex_lock(&s->lock);
    int rc = reserve_task(p, shape, size, &f, &at);
    if (rc == 0 && at) {
        if (raw)
            memcpy(at, raw, size);
        else
            value_pack(args, n, at);
        bfs_drive_kick(s, false);
    }
    pthread_mutex_unlock(&s->lock);
    return rc == 0 ? f : bfs_future_failed(rc);
}

static int too_big(size_t size)
{
    return bfs_error_set(BFORK_ETOOBIG, "the arguments have %zu bytes; at most %u travel with a task", size, WIRE_TASK_MAX);
}

bfork_future *bfork_pool_submit(bfork_pool *p, bfork_task_fn *fn, const bfork_options *o, const bfork_arg *args, size_t n)
{
    const struct job_shape shape = { .function.fn = (void (*)(void))fn, .options = o };
    struct err e;
    int rc = bfs_pool_begin(p, o);
    if (rc == 0 && !fn)
        rc = bfs_error_set(BFORK_EINVAL, "submit: the function is NULL");
    size_t size = rc == 0 ? value_size(args, n, &e) : 0;
    if (rc == 0 && size == 0)
        rc = bfs_error_from(&e);
    else if (size > WIRE_TASK_MAX)
        rc = too_big(size);
    return rc == 0 ? submit_values(p, &shape, size, NULL, args, n) : bfs_future_failed(rc);
}

static bfork_future *submit_argv(bfork_pool *p, const struct job_shape *shape, const char *const *argv)
{
    bfork_arg few[64], *words = few;
    struct err e;
    size_t n = 0;
    while (argv[n])
        n++;
    if (n == 0)
        return bfs_future_failed(bfs_error_set(BFORK_EINVAL, "submit: the command has no words"));
    if (n > 64 && !(words = malloc(n * sizeof(*words))))
        return bfs_future_failed(bfs_error_set(BFORK_ENOMEM, "out of memory"));
    for (size_t i = 0; i < n; i++)
        words[i] = bfork_arg_str(argv[i]);
    size_t size = value_size(words, n, &e);
    int rc = size == 0 ? bfs_error_from(&e) : size > WIRE_TASK_MAX ? too_big(size) : 0;
    bfork_future *f = rc == 0 ? submit_values(p, shape, size, NULL, words, n) : bfs_future_failed(rc);
    if (words != few)
        free(words);
    return f;
}

bfork_future *bfork_pool_submit_raw(bfork_pool *p, const bfork_function *fn, const bfork_options *o, const void *msgpack,
                                    size_t size)
{
    static const uint8_t none[1] = { 0x90 };
    int rc = bfs_pool_begin(p, o);
    if (rc == 0 && (!fn || !!fn->fn + !!fn->argv + (fn->object && fn->symbol) != 1))
        rc = bfs_error_set(BFORK_EINVAL, "submit_raw: the function must have exactly one of fn, argv, object and symbol");
    if (rc != 0 || !fn)
        return bfs_future_failed(rc);
    const struct job_shape shape = { .function = *fn, .options = o };
    if (fn->argv)
        return submit_argv(p, &shape, fn->argv);
    if (!msgpack || size == 0) {
        msgpack = none;
        size = 1;
    }
    if (size > WIRE_TASK_MAX)
        return bfs_future_failed(too_big(size));
    if (!value_is_sound(msgpack, size) || ((const uint8_t *)msgpack)[0] < 0x90 ||
        (((const uint8_t *)msgpack)[0] > 0x9f && ((const uint8_t *)msgpack)[0] != 0xdc && ((const uint8_t *)msgpack)[0] != 0xdd))
        return bfs_future_failed(bfs_error_set(BFORK_EINVAL, "submit_raw: the arguments are not one MessagePack array"));
    return submit_values(p, &shape, size, msgpack, NULL, 0);
}

bfork_future *bfork_internal_command(bfork_pool *p, const char *const *argv, const bfork_options *o,
                                     bfork_internal_output_fn *output, void *task)
{
    const struct job_shape shape = { .function.argv = argv, .options = o, .told = output, .task = task };
    int rc = bfs_pool_begin(p, o);
    return rc == 0 ? submit_argv(p, &shape, argv) : bfs_future_failed(rc);
}
