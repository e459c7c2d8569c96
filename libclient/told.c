/* SPDX-License-Identifier: MPL-2.0
 * told.c - what the core tells of jobs, passed on to the futures that wait for it; and what becomes of them when the session has
 * failed.
 *
 * Called with the lock, and but for bfs_told_failure and bfs_told_end from inside the core: nothing here waits, or calls the
 * program.
 */
#include "work.h"

#include <stdlib.h>

static bfork_error *job_error(const struct job *j, const struct wire_outcome *o, uint64_t index)
{
    struct wire_outcome named = *o;
    named.index = index;
    if (named.function.n == 0 && j->symbol)
        named.function = WIRE_STR(j->symbol);
    return bfs_error_new_outcome(&named);
}

void bfs_told_outcomes(void *ctx, void *user, const struct wire_item *item)
{
    struct job *j = user;
    struct bfork_session *s = j->pool->s;
    struct wire_outcome o = { .kind = 0 };
    struct err e;
    (void)ctx;
    if (j->map) {
        if (j->future)
            bfs_map_outcomes(j, item);
        return;
    }
    if (item->kind != WIRE_OK && wire_outcome_decode(item->body.data, item->body.size, &o, &e) != 0)
        o = (struct wire_outcome){ .kind = BFORK_EPROTOCOL, .message = WIRE_STR("an outcome that cannot be read came back") };
    size_t at = 0;
    for (uint32_t k = 0; k < item->count; k++) {
        struct bfork_future *f = bfs_job_take(j, item->first + k);
        size_t size = item->kind == WIRE_OK ? wire_len_at(item, k) : 0;
        if (f && item->kind == WIRE_OK)
            bfs_future_settle_ok(f, slice_part(item->body, at, size));
        else if (f)
            bfs_future_settle_error(f, job_error(j, &o, item->first + k));
        if (f && bfs_future_drop(f))
            atomic_fetch_sub(&s->refs, 1);  /* never the last: the pool has one */
        at += size;
    }
    if (j->closed && j->left == 0)
        bfs_job_forget(j);
}

void bfs_told_end(struct job *j, const bfork_error *e)
{
    if (j->map) {
        if (j->future)
            bfs_map_fail_rest(j->future, e);
        return;
    }
    while (j->base < j->next) {
        struct bfork_future *f = bfs_job_take(j, j->base);
        bfs_future_settle_error(f, bfs_error_clone(e));
        if (bfs_future_drop(f))
            atomic_fetch_sub(&j->pool->s->refs, 1);
    }
    bfs_job_forget(j);
}

void bfs_told_failure(struct bfork_session *s)
{
    s->failing = false;
    s->stirred = true;
    for (LIST_EACH(&s->pools, pn)) {
        struct bfork_pool *p = LIST_ENTRY(pn, struct bfork_pool, node);
        for (LIST_EACH_SAFE(&p->jobs, jn, after))
            bfs_told_end(LIST_ENTRY(jn, struct job, node), s->error);
    }
}

void bfs_told_cancelled(void *user, uint64_t cancelled)
{
    struct queued *q = user;
    q->cancelled += cancelled;
    q->open--;
}
