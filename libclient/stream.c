/* SPDX-License-Identifier: MPL-2.0
 * stream.c - futures in the order they finish.
 *
 * A future in a stream is in `pending` until it is done, then in `ready`, in order of completion. Both lists are guarded by the
 * stream's lock, taken inside a session's lock when a future is settled; the stream never takes a session's lock while it holds its
 * own.
 */
#include "client.h"

#include "base/clock.h"

#include <stdlib.h>

static struct bfork_stream no_memory_stream = { .failed = true };

bfork_stream *bfork_stream_new(void)
{
    struct bfork_stream *st = calloc(1, sizeof(*st));
    if (!st) {
        error_set(BFORK_ENOMEM, "out of memory");
        return &no_memory_stream;
    }
    pthread_mutex_init(&st->lock, NULL);
    list_init(&st->ready);
    list_init(&st->pending);
    return st;
}

void stream_ready(struct bfork_future *f)
{
    struct bfork_stream *st = f->stream;
    pthread_mutex_lock(&st->lock);
    if (list_in(&f->node))
        list_remove(&st->pending, &f->node);
    list_push_back(&st->ready, &f->node);
    pthread_mutex_unlock(&st->lock);
}

void bfork_stream_add(bfork_stream *st, bfork_future *f, void *data)
{
    if (!st || !f || st->failed) {
        bfork_future_free(&f);
        return;
    }
    if (future_is_static(f)) {              /* out of memory: cannot be in a list twice, so it stays a failure of its own */
        f = calloc(1, sizeof(*f));
        if (!f)
            return;
        atomic_init(&f->refs, 1);
        f->kind = BFORK_ENOMEM;
        atomic_store(&f->state, BFORK_DONE);
    }
    struct bfork_session *s = f->s;
    if (s)
        pthread_mutex_lock(&s->lock);
    pthread_mutex_lock(&st->lock);
    f->data_of_user = data;
    f->stream = st;
    if (s)
        st->s = s;
    list_push_back(atomic_load(&f->state) == BFORK_DONE ? &st->ready : &st->pending, &f->node);
    pthread_mutex_unlock(&st->lock);
    if (s)
        pthread_mutex_unlock(&s->lock);
}

static struct bfork_future *take(struct bfork_stream *st)
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

/* A session some pending future belongs to, with a reference. */
static struct bfork_session *someone(struct bfork_stream *st, bool *ret_several)
{
    struct bfork_session *s = NULL;
    *ret_several = false;
    if (!list_empty(&st->pending)) {
        s = LIST_ENTRY(list_first(&st->pending), struct bfork_future, node)->s;
        *ret_several = LIST_ENTRY(list_last(&st->pending), struct bfork_future, node)->s != s;
        session_ref(s);
    }
    return s;
}

int bfork_stream_next(bfork_stream *st, int timeout_ms, bfork_future **ret)
{
    *ret = NULL;
    if (!st)
        return error_set(BFORK_EINVAL, "bfork_stream_next: the stream is NULL");
    if (st->failed)
        return error_set(BFORK_ENOMEM, "out of memory when the stream was made");
    uint64_t deadline = drive_deadline(timeout_ms);
    for (;;) {
        bool several;
        pthread_mutex_lock(&st->lock);
        if ((*ret = take(st))) {
            pthread_mutex_unlock(&st->lock);
            return 0;
        }
        struct bfork_session *s = someone(st, &several);
        pthread_mutex_unlock(&st->lock);
        if (!s)
            return BFORK_END;
        int rc = session_usable(s);
        if (rc == BFORK_EFORKED)
            return rc;                      /* and s is not ours to unref */
        uint64_t now = clock_now(), step = now + 5 * CLOCK_MS;
        pthread_mutex_lock(&s->lock);       /* with several sessions each is driven in turn: their helpers do the rest */
        rc = drive_wait(s, has_ready, st, LINK_NEXT, several && step < deadline ? step : deadline, NULL, NULL);
        pthread_mutex_unlock(&s->lock);
        session_unref(s);
        if (rc == BFORK_ETIMEDOUT && several && clock_now() < deadline)
            continue;
        if (rc != 0)
            return rc;
    }
}

size_t bfork_stream_left(const bfork_stream *st)
{
    struct bfork_stream *mutable = (struct bfork_stream *)(uintptr_t)st;
    if (!st || st->failed)
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
    if (!st || st->failed)
        return;
    for (;;) {
        bool several;
        pthread_mutex_lock(&st->lock);
        struct bfork_future *f = take(st);
        struct bfork_session *s = f ? NULL : someone(st, &several);
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
            session_unref(s);
        }
        bfork_future_free(&f);
    }
    pthread_mutex_destroy(&st->lock);
    free(st);
}
