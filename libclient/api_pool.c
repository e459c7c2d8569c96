/* SPDX-License-Identifier: MPL-2.0
 * api_pool.c - pools as the program has them: how large, closed, joined, terminated, freed.
 *
 * Freeing waits for what is left, with a limit, terminates what goes on beyond it, and drops what is left then. It leaves the
 * thread's last error as it was.
 */
#include "drive.h"

#include "task/task.h"

#include <stdlib.h>

#define FINALIZERS_MS 2000          /* bfork_pool_free waits so long for them */

/* The claim that functions of this program use; the runner's, if it did not call bfork_init. */
static int first_claim(struct bfork_pool *p, struct claim **ret)
{
    return bfs_claim_open(p, task_inited() ? CLAIM_PROGRAM : CLAIM_RUNNER, ret);
}

struct slots_wanted { struct claim *claim; int slots; };

static bool has_slots(void *arg)
{
    const struct slots_wanted *w = arg;
    const struct bfork_pool *p = w->claim->pool;
    return w->claim->error || w->claim->slots >= (uint32_t)w->slots || p->s->error || p->closed;
}

int bfork_pool_wait(bfork_pool *p, int slots, int timeout_ms)
{
    struct slots_wanted w = { .slots = slots < 1 ? 1 : slots };
    int rc = bfs_pool_begin(p, NULL);
    if (rc != 0)
        return rc;
    struct bfork_session *s = p->s;
    if (s->kind == KIND_SERIAL)
        return w.slots <= 1 ? 0 : bfs_error_set(BFORK_EINVAL, "bfork_pool_wait: a serial session has one slot, never %d", slots);
    pthread_mutex_lock(&s->lock);
    rc = first_claim(p, &w.claim);
    p->slots_awaited++;
    if (rc == 0)
        rc = bfs_drive_wait(s, has_slots, &w, LINK_NEXT, bfs_drive_deadline(timeout_ms), NULL, NULL);
    p->slots_awaited--;
    if (rc == BFORK_ETIMEDOUT)
        rc = bfs_error_set(BFORK_ETIMEDOUT, "the pool has %u of %d slots after %d ms: see bfork workers", w.claim->slots, w.slots,
                           timeout_ms);
    else if (rc == 0 && w.claim->error)
        rc = bfs_error_again(w.claim->error);
    else if (rc == 0 && s->error)
        rc = bfs_error_again(s->error);
    else if (rc == 0 && p->closed)
        rc = bfs_error_set(BFORK_ECLOSED, "the pool was closed while waiting for its slots");
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static bool settled_in(void *arg)
{
    const struct bfork_pool *p = arg;
    return p->claims[CLAIM_PROGRAM].slots + p->claims[CLAIM_RUNNER].slots > 0;
}

int bfork_pool_size(bfork_pool *p)
{
    struct claim *c;
    int rc = bfs_pool_begin(p, NULL);
    if (rc != 0)
        return rc;
    struct bfork_session *s = p->s;
    if (s->kind == KIND_SERIAL)
        return 1;
    pthread_mutex_lock(&s->lock);
    rc = first_claim(p, &c);
    if (rc == 0)
        bfs_drive_try(s, settled_in, p, LINK_NEXT, bfs_drive_deadline(0), NULL, NULL);
    const struct claim *program = &p->claims[CLAIM_PROGRAM], *runner = &p->claims[CLAIM_RUNNER];
    int slots = (int)(program->slots > runner->slots ? program->slots : runner->slots);
    pthread_mutex_unlock(&s->lock);
    return rc != 0 ? rc : slots;
}

int bfork_pool_check(bfork_pool *p, const bfork_function *f)
{
    const struct known_function *known;
    int rc = bfs_pool_begin(p, NULL);
    if (rc != 0)
        return rc;
    if (!f || !!f->fn + !!f->argv + (f->object && f->symbol) != 1)
        return bfs_error_set(BFORK_EINVAL, "bfork_pool_check: the function must have exactly one of fn, argv, object and symbol");
    pthread_mutex_lock(&p->s->lock);
    rc = bfs_function_of(p->s, f, &known);
    pthread_mutex_unlock(&p->s->lock);
    return rc;
}

const bfork_error *bfork_pool_error(bfork_pool *p)
{
    if (!p) {
        bfs_error_set(BFORK_EINVAL, "the pool is NULL");
        return bfork_last_error();
    }
    if (bfs_pool_is_static(p))
        return bfs_error_no_memory();
    if (p->error)
        return p->error;
    return bfork_session_error(p->s);
}

bfork_session *bfork_pool_session(bfork_pool *p)
{
    return p ? p->s : NULL;
}

void bfork_pool_close(bfork_pool *p)
{
    if (!bfs_pool_usable(p))
        return;
    struct bfork_session *s = p->s;
    pthread_mutex_lock(&s->lock);
    p->closed = true;
    for (LIST_EACH_SAFE(&p->jobs, n, after))
        bfs_job_close(LIST_ENTRY(n, struct job, node));
    s->stirred = true;
    if (s->core)
        bfs_drive_kick(s, true);            /* also wakes those who wait for room in it */
    pthread_mutex_unlock(&s->lock);
}

void bfork_pool_terminate(bfork_pool *p)
{
    bfork_pool_close(p);
    if (!bfs_pool_usable(p))
        return;
    pthread_mutex_lock(&p->s->lock);
    bfs_pool_cancel_all(p);
    pthread_mutex_unlock(&p->s->lock);
}

static bool all_done(void *arg)
{
    return ((const struct bfork_pool *)arg)->pending == 0;
}

int bfork_pool_join(bfork_pool *p, int timeout_ms)
{
    if (!p)
        return bfs_error_set(BFORK_EINVAL, "bfork_pool_join: the pool is NULL");
    if (bfs_pool_is_static(p) || p->s->kind == KIND_FAILED)
        return 0;
    if (bfs_session_usable(p->s) != 0)
        return BFORK_EFORKED;
    if (!p->closed)
        return bfs_error_set(BFORK_ESTATE,
                             "bfork_pool_join: the pool is still open: bfork_pool_close or bfork_pool_terminate it first");
    pthread_mutex_lock(&p->s->lock);
    int rc = bfs_drive_wait(p->s, all_done, p, LINK_LOW, bfs_drive_deadline(timeout_ms), NULL, NULL);
    pthread_mutex_unlock(&p->s->lock);
    return rc;
}

/* Ends whatever is left, with the lock. */
static void drop_rest(struct bfork_pool *p)
{
    bfork_error *e = p->pending ? bfs_error_new(BFORK_CANCELLED, "the pool was freed") : NULL;
    for (LIST_EACH_SAFE(&p->jobs, n, after))
        bfs_told_end(LIST_ENTRY(n, struct job, node), e ? e : bfs_error_no_memory());
    free(e);
    for (int i = 0; i < CLAIMS; i++) {
        if (p->claims[i].core)
            session_pool_close(p->claims[i].core);
        free(p->claims[i].error);
    }
}

static bool have_ended(void *arg)
{
    const struct bfork_session *s = arg;
    return s->error || !s->link->ops->ending(s->link);
}

void bfork_pool_free(bfork_pool **pp)
{
    bfork_pool *p = *pp;
    *pp = NULL;
    if (!p || bfs_pool_is_static(p))
        return;
    struct bfork_session *s = p->s;
    if (s->kind != KIND_FAILED && !*s->fork_guard)
        return;                             /* the parent's */
    bfork_pool_close(p);
    if (bfs_pool_usable(p)) {
        int limit = p->close_limit_ms > 0 && p->close_limit_ms < INT32_MAX ? (int)p->close_limit_ms : BFORK_FOREVER;
        bfork_error *before = bfs_error_clone(bfork_last_error()); /* free leaves the thread's last error alone */
        int rc = s->kind == KIND_SERIAL ? 0 : bfork_pool_join(p, limit);
        if (rc != 0) {
            bfork_pool_terminate(p);
            rc = rc == BFORK_EINTR ? 0 : bfork_pool_join(p, 2000);
            (void)rc;                       /* what is left is dropped below */
        }
        if (before && before->kind)
            bfs_error_again(before);
        free(before);
        pthread_mutex_lock(&s->lock);
        drop_rest(p);
        list_remove(&s->pools, &p->node);
        if (s->core)
            bfs_drive_kick(s, true);
        if (s->link && p->options.finalizer)    /* the session's end would kill them */
            bfs_drive_try(s, have_ended, s, LINK_NEXT, bfs_drive_deadline(FINALIZERS_MS), NULL, NULL);
        if (p->forked && s->link)
            s->link->ops->drop_fork(s->link, p->fork_digest);
        pthread_mutex_unlock(&s->lock);
        if (s->kind == KIND_SERIAL)
            bfs_serial_pool_free(p);
    }
    if (p->error != bfs_error_no_memory())
        free(p->error);
    buf_unref(&p->job_doc);
    buf_unref(&p->spec_args);
    buf_unref(&p->spec_env);
    free(p->spec_cwd);
    pthread_mutex_destroy(&p->serial_lock);
    free(p->name);
    free(p);
    bfs_session_unref(s);
}
