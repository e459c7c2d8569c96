/* SPDX-License-Identifier: MPL-2.0
 * api_future.c - futures as the program has them: waited for, read, freed.
 *
 * A future that is done is read without the session's lock: nothing in it changes any more, but for the strings it lends, which
 * stay with it until it is freed. Errors of a map's elements are the exception: they are read under the lock while the map goes
 * on.
 */
#include "drive.h"

#include "base/clock.h"
#include "wire/value.h"

#include <stdlib.h>
#include <string.h>

static bool is_done(void *arg)
{
    const struct bfork_future *f = arg;
    return atomic_load_explicit(&f->state, memory_order_acquire) == BFORK_DONE;
}

static void map_progress(void *arg)
{
    struct bfork_future *f = arg;
    struct map_state *m = f->map;
    bfork_progress p;
    pthread_mutex_lock(&f->s->lock);
    bfs_elements_progress(m, &p);
    pthread_mutex_unlock(&f->s->lock);
    m->progress(m->progress_data, &p);
}

int bfork_future_wait(bfork_future *f, int timeout_ms)
{
    if (!f)
        return bfs_error_set(BFORK_EINVAL, "bfork_future_wait: the future is NULL");
    if (f->s && f->s->fork_guard && !*f->s->fork_guard)
        return bfs_session_usable(f->s);    /* says that it is the parent's */
    bool progress = f->map && f->map->progress && !atomic_load(&f->map->told);
    if (!is_done(f)) {
        struct bfork_session *s = f->s;
        pthread_mutex_lock(&s->lock);
        int rc =
            bfs_drive_wait(s, is_done, f, f->map ? LINK_LOW : LINK_NEXT, bfs_drive_deadline(timeout_ms),
                           progress ? map_progress : NULL, f);
        pthread_mutex_unlock(&s->lock);
        if (rc != 0)
            return rc;
    }
    if (progress && !atomic_exchange(&f->map->told, true))
        map_progress(f);                    /* the last word, once: all done */
    return 0;
}

static void *lend(void *ctx, size_t size)
{
    struct bfork_future *f = ctx;
    struct string *t = malloc(sizeof(*t) + size);
    if (!t)
        return NULL;
    if (f->s)
        pthread_mutex_lock(&f->s->lock);
    t->next = f->strings;
    f->strings = t;
    if (f->s)
        pthread_mutex_unlock(&f->s->lock);
    return t->text;
}

/* The outcome as a call's result: 0, or < 0 with this thread's last error. */
static int status_of(bfork_future *f)
{
    if (f->kind == BFORK_OK)
        return 0;
    return bfs_error_again(f->error ? f->error : bfs_error_no_memory());
}

static void zero_refs(const bfork_ref *refs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        static const struct { int32_t type; size_t size; } sizes[] = {
            { BFORK_BOOL, sizeof(bool) }, { BFORK_I16, 2 }, { BFORK_U16, 2 }, { BFORK_I32, 4 }, { BFORK_U32, 4 }, { BFORK_I64, 8 },
            { BFORK_U64, 8 }, { BFORK_F32, 4 }, { BFORK_F64, 8 }, { BFORK_STR, sizeof(char *) }, { BFORK_BIN, sizeof(bfork_bytes) },
            { BFORK_ANY, sizeof(bfork_arg) } };
        size_t size = refs[i].type == BFORK_FIXED ? refs[i].size : 0;
        for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++)
            if (sizes[k].type == refs[i].type)
                size = sizes[k].size;
        if (refs[i].p && size)
            memset(refs[i].p, 0, size);
    }
}

/* What a task returned, into refs; strings by `lend` with ctx. */
static int unpack(const uint8_t *data, size_t size, const bfork_ref *refs, size_t n, void *(*lends)(void *, size_t), void *ctx)
{
    static const uint8_t empty[1] = { 0x90 };   /* a task that returned nothing: an array of none */
    struct err e;
    if (n == 0)
        return 0;
    return value_unpack(size ? data : empty, size ? size : 1, refs, n, lends, ctx, &e) == 0 ? 0 : bfs_error_from(&e);
}

/* Waits; 0: it is well, and its result can be read into n places. */
static int result_is_ready(bfork_future *f, int timeout_ms, const bfork_ref *refs, size_t n)
{
    int rc = bfork_future_wait(f, timeout_ms);
    if (rc == 0)
        rc = status_of(f);
    if (rc == 0 && n && f->map)
        rc = f->map->each ? bfs_error_set(BFORK_EINVAL,
                                          "this future holds the results of %llu elements: read each by bfork_result_at",
                                          (unsigned long long)f->map->n)
                          : bfs_error_set(BFORK_EINVAL, "the results of a map are in its array, not in its future");
    if (rc != 0)
        zero_refs(refs, n);
    return rc;
}

int bfork_future_result_within(bfork_future *f, int timeout_ms, const bfork_ref *refs, size_t n)
{
    int rc = result_is_ready(f, timeout_ms, refs, n);
    return rc == 0 ? unpack(f->data, f->size, refs, n, lend, f) : rc;
}

int bfork_future_result(bfork_future *f, const bfork_ref *refs, size_t n)
{
    return bfork_future_result_within(f, BFORK_FOREVER, refs, n);
}

/* ---- one element of many ----------------------------------------------------------------------------------------------------- */

struct element { bfork_future *f; size_t index; };

static bool element_is_done(void *arg)
{
    const struct element *e = arg;
    return is_done(e->f) || e->f->map->each[e->index].settled;
}

/* How the element ended: as its own report, or the future's, says. */
static int element_outcome(bfork_future *f, size_t index)
{
    const struct map_state *m = f->map;
    const struct each_result *r = &m->each[index];
    if (!r->settled)
        return status_of(f);
    if (r->kind == BFORK_OK)
        return 0;
    int rc = BFORK_OK;
    pthread_mutex_lock(&f->s->lock);            /* errors of other elements may be on their way */
    for (const struct kept_error *k = m->errors; k && rc == 0; k = k->next)
        if (index >= k->index && index - k->index < k->count)
            rc = bfs_error_again(k->error);
    pthread_mutex_unlock(&f->s->lock);
    return rc ? rc : bfs_error_set(r->kind, "element %zu: %s; more than 1000 failed, and this report was not kept", index,
                                   bfork_status_name(r->kind));
}

int bfork_future_result_at(bfork_future *f, size_t index, const bfork_ref *refs, size_t n)
{
    if (f && !f->map)
        return index == 0 ? bfork_future_result(f, refs, n)
                          : bfs_error_set(BFORK_EINVAL, "bfork_result_at: the future is of one task, and has no element %zu",
                                          index);
    if (!f || !f->map->each || index >= f->map->n) {
        zero_refs(refs, n);
        if (!f)
            return bfs_error_set(BFORK_EINVAL, "bfork_result_at: the future is NULL");
        if (!f->map->each)
            return bfs_error_set(BFORK_EINVAL, "bfork_result_at: the results of a map are in its array, not in its future");
        return bfs_error_set(BFORK_EINVAL, "bfork_result_at: there is no element %zu among %llu", index,
                             (unsigned long long)f->map->n);
    }
    struct element e = { f, index };
    int rc = is_done(f) ? 0 : bfs_session_usable(f->s);
    if (rc == 0 && !is_done(f)) {
        pthread_mutex_lock(&f->s->lock);
        rc = bfs_drive_wait(f->s, element_is_done, &e, LINK_NEXT, CLOCK_NEVER, NULL, NULL);
        pthread_mutex_unlock(&f->s->lock);
    }
    if (rc == 0)
        rc = element_outcome(f, index);
    if (rc != 0) {
        zero_refs(refs, n);
        return rc;
    }
    return unpack(f->map->each[index].data, f->map->each[index].size, refs, n, lend, f);
}

/* ---- result and free in one -------------------------------------------------------------------------------------------------- */

/* What bfork_take has lent to this thread: until its next take. */
struct taken { uint8_t *data; struct string *strings; };
static _Thread_local struct taken *taken;
static pthread_key_t taken_key;

static void taken_clear(void *arg)
{
    struct taken *t = arg;
    for (struct string *at = t->strings, *next; at; at = next) {
        next = at->next;
        free(at);
    }
    free(t->data);
    *t = (struct taken){ NULL, NULL };
}

static void taken_free(void *arg)
{
    taken_clear(arg);
    free(arg);
}

static void taken_key_make(void)
{
    pthread_key_create(&taken_key, taken_free);
}

static void *lend_taken(void *ctx, size_t size)
{
    struct taken *t = ctx;
    struct string *s = malloc(sizeof(*s) + size);
    if (!s)
        return NULL;
    s->next = t->strings;
    t->strings = s;
    return s->text;
}

static int take_result(bfork_future *f, const bfork_ref *refs, size_t n)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (n == 0)
        return 0;
    pthread_once(&once, taken_key_make);
    if (!taken && (taken = calloc(1, sizeof(*taken))))
        pthread_setspecific(taken_key, taken);
    uint8_t *copy = malloc(f->size ? f->size : 1);
    if (!taken || !copy) {
        free(copy);
        zero_refs(refs, n);
        return bfs_error_set(BFORK_ENOMEM, "out of memory");
    }
    taken_clear(taken);
    if (f->size)
        memcpy(copy, f->data, f->size);
    taken->data = copy;                         /* bytes are lent from it */
    return unpack(copy, f->size, refs, n, lend_taken, taken);
}

int bfork_future_take(bfork_future *f, const bfork_ref *refs, size_t n)
{
    int rc = result_is_ready(f, BFORK_FOREVER, refs, n);
    if (rc == 0)
        rc = take_result(f, refs, n);
    bfork_future_free(&f);
    return rc;
}

int bfork_future_gather(bfork_future **f, size_t n)
{
    const bfork_error *first = NULL;
    bfork_error *kept = NULL;
    for (size_t i = 0; i < n; i++) {
        int rc = bfork_future_result(f[i], NULL, 0);
        if (rc != 0 && !first) {
            kept = bfs_error_clone(bfork_last_error());
            first = kept ? kept : bfs_error_no_memory();
        }
        bfork_future_free(&f[i]);
    }
    int rc = first ? bfs_error_again(first) : 0;
    free(kept);
    return rc;
}

int bfork_future_result_raw(bfork_future *f, const void **msgpack, size_t *size)
{
    int rc = bfork_future_wait(f, BFORK_FOREVER);
    if (rc == 0)
        rc = status_of(f);
    *msgpack = rc == 0 ? f->data : NULL;
    *size = rc == 0 ? f->size : 0;
    return rc;
}

int bfork_future_state(const bfork_future *f)
{
    return f ? (int)atomic_load_explicit(&f->state, memory_order_acquire) : BFORK_DONE;
}

const bfork_error *bfork_future_error(bfork_future *f)
{
    if (!f || !is_done(f) || f->kind == BFORK_OK)
        return NULL;
    return f->error ? f->error : bfs_error_no_memory();
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

uint64_t bfork_future_index(const bfork_future *f)
{
    return f ? f->index : 0;
}

void *bfork_future_data(const bfork_future *f)
{
    return f ? f->data_of_user : NULL;
}

bfork_future *bfork_future_ref(bfork_future *f)
{
    if (f && !bfs_future_is_static(f))
        atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

void bfork_future_free(bfork_future **fp)
{
    bfork_future *f = *fp;
    *fp = NULL;
    if (!f || bfs_future_is_static(f))
        return;
    struct bfork_session *s = f->s;
    if (!s) {
        bfs_future_drop(f);
        return;
    }
    if (!*s->fork_guard)
        return;                             /* the parent's */
    pthread_mutex_lock(&s->lock);
    if (f->map && !is_done(f) && f->job && atomic_load(&f->refs) == 2) {
        bfs_map_abandon(f);                 /* out is the caller's again */
        bfs_drive_kick(s, true);
    }
    bool last = bfs_future_drop(f);
    pthread_mutex_unlock(&s->lock);
    if (last)
        bfs_session_unref(s);
}
