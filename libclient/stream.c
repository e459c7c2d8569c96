/* SPDX-License-Identifier: MPL-2.0
 * stream.c - futures in the order they finish.
 *
 * A future in a stream is in `pending` until it is done, then in `ready`, in order of completion. Both lists are guarded by the
 * stream's lock, taken inside a session's lock when a future is settled; the stream never takes a session's lock while it holds its
 * own.
 */
#include "drive.h"

#include <stdlib.h>

static struct bfork_stream no_memory_stream = { .failed = true };

bfork_stream *bfork_stream_new(void)
{
    struct bfork_stream *st = calloc(1, sizeof(*st));
    if (!st) {
        bfs_error_set(BFORK_ENOMEM, "out of memory");
        return &no_memory_stream;
    }
    st->fork_guard = bfs_guard_new();
    if (!st->fork_guard) {
        free(st);
        bfs_error_set(BFORK_ENOMEM, "no memory page for a stream");
        return &no_memory_stream;
    }
    pthread_mutex_init(&st->lock, NULL);
    list_init(&st->ready);
    list_init(&st->pending);
    list_init(&st->takers);
    return st;
}

void bfork_stream_add(bfork_stream *st, bfork_future *f, void *data)
{
    if (!st || !f || st->failed || !*st->fork_guard) {
        bfork_future_free(&f);
        return;
    }
    if (bfs_future_is_static(f)) {          /* out of memory: cannot be in a list twice, so it stays a failure of its own */
        f = bfs_future_lone(BFORK_ENOMEM, NULL);
        if (!f)
            return;
    }
    struct bfork_session *s = f->s;
    if (s)
        pthread_mutex_lock(&s->lock);
    pthread_mutex_lock(&st->lock);
    f->data_of_user = data;
    f->stream = st;
    bool done = atomic_load(&f->state) == BFORK_DONE;
    list_push_back(done ? &st->ready : &st->pending, &f->node);
    if (done)
        bfs_ready_tell(st, NULL);
    pthread_mutex_unlock(&st->lock);
    if (s)
        pthread_mutex_unlock(&s->lock);
}

static struct bfork_future *take_finished(struct bfork_stream *st)
{
    struct list_node *n = list_pop(&st->ready);
    if (!n)
        return NULL;
    struct bfork_future *f = LIST_ENTRY(n, struct bfork_future, node);
    f->stream = NULL;
    return f;
}

static bool has_ready(void *arg)
{
    struct bfork_stream *st = arg;
    pthread_mutex_lock(&st->lock);
    bool yes = !list_empty(&st->ready) || list_empty(&st->pending);
    pthread_mutex_unlock(&st->lock);
    return yes;
}

/* The session of the first pending future, with a reference; NULL: nothing is pending. */
static struct bfork_session *someone(struct bfork_stream *st)
{
    if (list_empty(&st->pending))
        return NULL;
    struct bfork_session *s = LIST_ENTRY(list_first(&st->pending), struct bfork_future, node)->s;
    bfs_session_ref(s);
    return s;
}

/* Drives one session until something is ready; the helpers of the others do the rest and poke this one. */
static int wait_ready(struct bfork_stream *st, struct taker *me, uint64_t deadline)
{
    pthread_mutex_lock(&me->s->lock);
    int rc = bfs_drive_wait(me->s, has_ready, st, LINK_NEXT, deadline, NULL, NULL);
    pthread_mutex_unlock(&me->s->lock);
    pthread_mutex_lock(&st->lock);
    list_remove(&st->takers, &me->node);
    pthread_mutex_unlock(&st->lock);
    bfs_session_unref(me->s);
    return rc;
}

int bfork_stream_next(bfork_stream *st, int timeout_ms, bfork_future **ret)
{
    *ret = NULL;
    if (!st)
        return bfs_error_set(BFORK_EINVAL, "bfork_stream_next: the stream is NULL");
    if (st->failed)
        return bfs_error_set(BFORK_ENOMEM, "out of memory when the stream was made");
    if (!*st->fork_guard)
        return bfs_error_set(BFORK_EFORKED, "this stream was made before fork(); a child needs its own");
    uint64_t deadline = bfs_drive_deadline(timeout_ms);
    for (;;) {
        struct taker me = { .s = NULL };
        pthread_mutex_lock(&st->lock);
        if ((*ret = take_finished(st))) {
            pthread_mutex_unlock(&st->lock);
            return 0;
        }
        if ((me.s = someone(st)))
            list_push_back(&st->takers, &me.node);
        pthread_mutex_unlock(&st->lock);
        if (!me.s)
            return BFORK_END;
        int rc = wait_ready(st, &me, deadline);
        if (rc != 0)
            return rc;
    }
}

size_t bfork_stream_left(const bfork_stream *st)
{
    struct bfork_stream *mutable = (struct bfork_stream *)(uintptr_t)st;
    if (!st || st->failed || !*st->fork_guard)
        return 0;
    pthread_mutex_lock(&mutable->lock);
    size_t n = st->ready.count + st->pending.count;
    pthread_mutex_unlock(&mutable->lock);
    return n;
}

/* Futures still pending go on by themselves; they only lose their stream. The sessions' locks come first, so one future at a time.
 */
void bfork_stream_free(bfork_stream **stp)
{
    struct bfork_stream *st = *stp;
    *stp = NULL;
    if (!st || st->failed || !*st->fork_guard)
        return;
    for (;;) {
        pthread_mutex_lock(&st->lock);
        struct bfork_future *f = take_finished(st);
        struct bfork_session *s = f ? NULL : someone(st);
        pthread_mutex_unlock(&st->lock);
        if (!f && !s)
            break;
        if (s) {
            pthread_mutex_lock(&s->lock);   /* nothing of s can become ready now */
            pthread_mutex_lock(&st->lock);
            for (LIST_EACH(&st->pending, n)) {
                struct bfork_future *g = LIST_ENTRY(n, struct bfork_future, node);
                if (g->s != s)
                    continue;
                list_remove(&st->pending, &g->node);
                g->stream = NULL;
                f = g;
                break;
            }
            pthread_mutex_unlock(&st->lock);
            pthread_mutex_unlock(&s->lock);
            bfs_session_unref(s);
        }
        bfork_future_free(&f);
    }
    pthread_mutex_destroy(&st->lock);
    bfs_guard_free(st->fork_guard);
    free(st);
}
