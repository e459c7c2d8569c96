/* SPDX-License-Identifier: MPL-2.0
 * ready.c - a future of a stream is done: it becomes ready, and who takes from the stream is woken.
 *
 * Called with a session's lock, and takes the stream's inside it; never the other way round (stream.c).
 */
#include "work.h"

/* Threads that drive another session than s do not see what happened there. With the stream's lock. */
void bfs_ready_tell(struct bfork_stream *st, const struct bfork_session *s)
{
    for (LIST_EACH(&st->takers, n)) {
        struct bfork_session *driven = LIST_ENTRY(n, struct taker, node)->s;
        if (driven != s)
            bfs_wake_poke(driven);
    }
}

void bfs_ready_future(struct bfork_future *f)
{
    struct bfork_stream *st = f->stream;
    pthread_mutex_lock(&st->lock);
    if (list_in(&f->node))
        list_remove(&st->pending, &f->node);
    list_push_back(&st->ready, &f->node);
    bfs_ready_tell(st, f->s);
    pthread_mutex_unlock(&st->lock);
}
