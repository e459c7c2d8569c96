/* SPDX-License-Identifier: MPL-2.0
 * cancel.c - cancelling a future, or all that a pool has: everything, or only what does not run.
 *
 * What has not gone out is settled here and now. For the rest the broker, or the engine of this machine, is asked: a cancel of
 * everything does not wait for that, one of what is queued returns when all answers are there.
 */
#include "drive.h"

#include "base/clock.h"

#include <limits.h>

static bool answers_are_there(void *arg)
{
    const struct queued *q = arg;
    return !q->open || q->s->error;
}

/* Asks for tasks [first, first + count) of a job. j may be gone after this. */
static int ask_queued(struct job *j, uint64_t first, uint64_t count, struct queued *q)
{
    uint64_t here;
    uint32_t request;
    int rc = session_cancel_queued(j->core, first, count, q, &here, &request);
    q->cancelled += here;
    q->open += request != 0;
    return rc == 0 ? 0 : bfs_error_set(BFORK_ENOMEM, "out of memory");
}

/* rc: what asking came to. How many will not run, or a negative status. */
static int64_t await(struct bfork_session *s, struct queued *q, int rc)
{
    bfs_drive_kick(s, true);
    if (rc == 0 && q->open)
        rc = bfs_drive_wait(s, answers_are_there, q, LINK_NEXT, CLOCK_NEVER, NULL, NULL);
    if (rc == 0 && q->open)
        rc = bfs_error_again(s->error);
    if (q->open)
        session_forget(s->core, q);
    return rc == 0 ? (int64_t)q->cancelled : rc;
}

/* With the lock. */
static int future_queued(struct bfork_session *s, struct bfork_future *f)
{
    struct queued q = { .s = s };
    int64_t n = 0;
    if (f->job && f->job->core)
        n = await(s, &q, ask_queued(f->job, f->map ? 0 : f->index, f->map ? UINT64_MAX : 1, &q));
    return n < 0 ? (int)n : n > 0 ? 0 : bfs_error_set(BFORK_ESTATE, "bfork_future_cancel: it runs or is done already");
}

static int64_t pool_queued(struct bfork_pool *p)
{
    struct queued q = { .s = p->s };
    int rc = 0;
    for (LIST_EACH_SAFE(&p->jobs, n, after)) {
        struct job *j = LIST_ENTRY(n, struct job, node);
        if (rc == 0 && j->core && j->left)
            rc = ask_queued(j, 0, UINT64_MAX, &q);
    }
    return await(p->s, &q, rc);
}

static int check_grace(const char *function, int grace_ms)
{
    if (grace_ms == 0 || grace_ms == BFORK_IF_QUEUED)
        return 0;
    return bfs_error_set(BFORK_ENOTSUP, "%s: a grace of %d ms is not supported: 0 kills a running task at once, BFORK_IF_QUEUED "
                         "leaves it alone", function, grace_ms);
}

int bfork_future_cancel(bfork_future *f, int grace_ms)
{
    if (!f)
        return bfs_error_set(BFORK_EINVAL, "bfork_future_cancel: the future is NULL");
    int rc = check_grace("bfork_future_cancel", grace_ms);
    if (rc != 0)
        return rc;
    struct bfork_session *s = f->s;
    if (bfork_future_state(f) == BFORK_DONE)
        return bfs_error_set(BFORK_ESTATE, "bfork_future_cancel: it is done already");
    if (bfs_session_usable(s) != 0)
        return bfork_last_error()->kind;
    pthread_mutex_lock(&s->lock);
    if (grace_ms == BFORK_IF_QUEUED) {
        rc = future_queued(s, f);
    } else if (f->job && f->job->core) {
        rc = session_cancel(f->job->core, f->map ? 0 : f->index, f->map ? UINT64_MAX : 1);
        rc = rc == 0 ? 0 : bfs_error_set(BFORK_ENOMEM, "out of memory");
        bfs_drive_kick(s, true);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int bfork_pool_cancel(bfork_pool *p, int grace_ms)
{
    if (!p)
        return bfs_error_set(BFORK_EINVAL, "bfork_pool_cancel: the pool is NULL");
    int rc = check_grace("bfork_pool_cancel", grace_ms);
    if (rc != 0)
        return rc;
    const bfork_error *failed = bfork_pool_error(p);
    if (failed)
        return bfs_error_again(failed);
    if (bfs_session_usable(p->s) != 0)
        return bfork_last_error()->kind;
    if (p->s->kind == KIND_SERIAL)
        return 0;                           /* whoever asks here is not in a task, and nothing waits */
    pthread_mutex_lock(&p->s->lock);
    int64_t n = grace_ms == BFORK_IF_QUEUED ? pool_queued(p) : bfs_pool_cancel_all(p);
    pthread_mutex_unlock(&p->s->lock);
    return n > INT_MAX ? INT_MAX : (int)n;
}
