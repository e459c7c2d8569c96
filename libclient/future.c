/* SPDX-License-Identifier: MPL-2.0
 * future.c - futures: made under the session's lock from its slabs, settled by whoever drives, read without a lock once they are
 * done.
 *
 * A future that could not even be made (no session, no memory) is still a handle: one on the heap without a session, or the static
 * one for "out of memory". Its state is DONE from the start.
 */
#include "work.h"

#include "base/moves.h"

#include <stdlib.h>
#include <string.h>

#define SLAB 64                     /* futures allocated together */
#define COPY_MAX 16384u             /* results up to this are copied rather than pin the message they came in */

struct slab { struct slab *next; struct bfork_future futures[SLAB]; };

static struct bfork_future no_memory_future = { .refs = 1, .state = BFORK_DONE, .kind = BFORK_ENOMEM };

/* What tells of a future's end tells it once: a second end is a fault of ours. */
enum future_event { FUTURE_SETTLED, FUTURE_EVENTS };
static const char *const future_states[] = { "pending", "running", "done" };
static const char *const future_events[] = { "settled" };
static const uint8_t future_cells[BFORK_DONE + 1][FUTURE_EVENTS] = { [BFORK_PENDING] = { [FUTURE_SETTLED] = TO(BFORK_DONE) } };
static const struct moves future_moves = MOVES("a future", future_states, future_events, future_cells);

/* Whoever sees the new state without the lock sees all that was written before. */
static void move_future(struct bfork_future *f, enum future_event event)
{
    unsigned to;

    if (moves_next(&future_moves, atomic_load_explicit(&f->state, memory_order_relaxed), event, &to))
        atomic_store_explicit(&f->state, to, memory_order_release);
}

bool bfs_future_is_static(const struct bfork_future *f)
{
    return f == &no_memory_future;
}

struct bfork_future *bfs_future_new(struct bfork_session *s)
{
    struct bfork_future *f = s->free_futures;
    if (!f) {
        struct slab *slab = calloc(1, sizeof(*slab));
        if (!slab)
            return NULL;
        slab->next = s->slabs;
        s->slabs = slab;
        for (int i = 0; i < SLAB; i++) {
            slab->futures[i].node.next = (struct list_node *)(void *)s->free_futures;
            s->free_futures = &slab->futures[i];
        }
        f = s->free_futures;
    }
    s->free_futures = (struct bfork_future *)(void *)f->node.next;
    memset(f, 0, offsetof(struct bfork_future, small));
    f->error = NULL;
    f->strings = NULL;
    f->map = NULL;
    f->stream = NULL;
    f->node = (struct list_node){ NULL, NULL };
    f->data_of_user = NULL;
    f->bytes = 0;
    atomic_init(&f->refs, 1);
    f->s = s;
    bfs_session_ref(s);
    return f;
}

struct bfork_future *bfs_future_lone(int kind, bfork_error *e)
{
    struct bfork_future *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    atomic_init(&f->refs, 1);
    f->kind = kind;
    f->error = e;
    move_future(f, FUTURE_SETTLED);
    return f;
}

struct bfork_future *bfs_future_failed(int kind)
{
    bfork_error *e = bfs_error_clone(bfork_last_error());
    struct bfork_future *f = e ? bfs_future_lone(kind, e) : NULL;
    if (f)
        return f;
    free(e);
    return &no_memory_future;
}

void bfs_future_slabs_free(struct bfork_session *s)
{
    for (struct slab *at = s->slabs, *next; at; at = next) {
        next = at->next;
        free(at);
    }
}

static void free_contents(struct bfork_future *f)
{
    buf_unref(&f->buf);
    free(f->own);
    if (f->error != bfs_error_no_memory())
        free(f->error);
    for (struct string *at = f->strings, *next; at; at = next) {
        next = at->next;
        free(at);
    }
    bfs_elements_free(f->map);
}

bool bfs_future_drop(struct bfork_future *f)
{
    if (bfs_future_is_static(f) || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
        return false;
    struct bfork_session *s = f->s;
    free_contents(f);
    if (!s) {
        free(f);
        return false;
    }
    f->node.next = (struct list_node *)(void *)s->free_futures;
    s->free_futures = f;
    return true;
}

void bfs_future_mark_done(struct bfork_future *f)
{
    f->job = NULL;
    move_future(f, FUTURE_SETTLED);
    if (f->s->kind != KIND_SERIAL)
        f->s->stirred = true;
    if (f->stream)
        bfs_ready_future(f);
}

void bfs_future_settle_ok(struct bfork_future *f, struct slice result)
{
    f->size = (uint32_t)result.size;
    f->data = result.data;
    if (result.size <= FUTURE_INLINE) {
        if (result.size)
            memcpy(f->small, result.data, result.size);
        f->data = f->small;
    } else if (result.buf && (result.size > COPY_MAX || result.size > result.buf->capacity / 2)) {
        f->buf = buf_ref(result.buf);
    } else {
        f->own = malloc(result.size);
        if (!f->own) {
            bfs_future_settle_error(f, NULL);
            return;
        }
        memcpy(f->own, result.data, result.size);
        f->data = f->own;
    }
    bfs_future_mark_done(f);
}

void bfs_future_settle_error(struct bfork_future *f, bfork_error *e)
{
    f->error = e ? e : (bfork_error *)(uintptr_t)bfs_error_no_memory();
    f->kind = f->error->kind;
    bfs_future_mark_done(f);
}
