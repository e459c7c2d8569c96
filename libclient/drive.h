/* SPDX-License-Identifier: MPL-2.0
 * drive.h - the floor above work.h: who waits drives the session; sessions and pools are made. The API's files stand on this one.
 */
#ifndef LIBCLIENT_DRIVE_H
#define LIBCLIENT_DRIVE_H

#include "work.h"

/* drive.c */
uint64_t bfs_drive_deadline(int timeout_ms);
/* With the lock. Waits until done(arg), driving or not. 0, BFORK_ETIMEDOUT, BFORK_EINTR (last error set). deadline: clock_now
 * based. progress (may be NULL) is called without the lock, about ten times a second. */
int bfs_drive_wait(struct bfork_session *s, bool (*done)(void *), void *arg, enum link_want want, uint64_t deadline,
                   void (*progress)(void *arg), void *progress_arg);
/* The same for its own use: what it returns is not this thread's last error. */
int bfs_drive_try(struct bfork_session *s, bool (*done)(void *), void *arg, enum link_want want, uint64_t deadline,
                  void (*progress)(void *arg), void *progress_arg);
void bfs_drive_kick(struct bfork_session *s, bool now); /* with the lock: a task was added; now: send at once */
void bfs_drive_stop(struct bfork_session *s);           /* ends the helper thread; without the lock */

/* open.c */
void bfs_session_unref(struct bfork_session *s);    /* the last one ends it */
struct bfork_session *bfs_session_default(void);    /* with a reference, never NULL */

/* pool.c */
bool bfs_pool_is_static(const struct bfork_pool *p);        /* there was no memory for one */
bool bfs_pool_usable(const struct bfork_pool *p);           /* it has a session of this process that was made */
/* may work be given to p? without the lock; sets the last error */
int bfs_pool_begin(struct bfork_pool *p, const bfork_options *o);
int64_t bfs_pool_cancel_all(struct bfork_pool *p);          /* with the lock: what is queued and what runs; how many, or < 0 */

#endif
