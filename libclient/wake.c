/* SPDX-License-Identifier: MPL-2.0
 * wake.c - who sleeps, and what wakes them: callers who wait for something of their own, and the driver on the link's descriptor.
 * Nothing here pumps the link: who is woken does.
 */
#include "client.h"

#include <unistd.h>

void bfs_wake_waiters(struct bfork_session *s, const struct waiter *me)
{
    for (LIST_EACH(&s->waiters, n)) {
        struct waiter *w = LIST_ENTRY(n, struct waiter, node);
        if ((!me || w != me) && w->done(w->arg))
            pthread_cond_signal(&w->cond);
    }
}

void bfs_wake_driver(struct bfork_session *s)
{
    uint64_t one = 1;
    ssize_t put = write(s->wake_fd, &one, sizeof(one));
    (void)put;                              /* full: it is awake */
}

void bfs_wake_poke(struct bfork_session *s)
{
    atomic_store(&s->poked, true);
    bfs_wake_driver(s);
}

/* Whoever holds no token and is about to be busy elsewhere: somebody else who waits may drive. */
void bfs_wake_next(struct bfork_session *s)
{
    if (!s->driven && !list_empty(&s->waiters))
        pthread_cond_signal(&LIST_ENTRY(list_first(&s->waiters), struct waiter, node)->cond);
}

void bfs_wake_look(struct bfork_session *s)
{
    if (!list_empty(&s->waiters))
        bfs_wake_waiters(s, NULL);
    if (s->sleeper) {
        s->sleeper->call = CALL_NOW;        /* room for output is told to the link by the next pump */
        bfs_wake_driver(s);
    }
}
