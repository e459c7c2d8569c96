/* SPDX-License-Identifier: MPL-2.0
 * account.c - the limits of what the broker holds for a key: says whether there is room for each thing that a peer asks us to
 * keep, and if not, what the limit is and what is held. The files that take it in ask here first.
 *
 * Requests (pools, jobs, tasks) have three quarters of an owner's account; the last is for what comes of them: outcomes, of which
 * no more are fetched when they fill it. Whoever has a session may always resume it.
 */
#include "model.h"

static unsigned long long llu(uint64_t v) { return v; }

uint64_t brk_account_held(const struct account *a)
{
    return atomic_load_explicit(&a->bytes, memory_order_relaxed) + a->objects + a->away;
}

uint64_t brk_account_outcomes_max(const struct broker *b) { return b->c.owner_memory / 4; }

uint64_t brk_account_requests_max(uint64_t memory) { return memory - memory / 4; }

static uint64_t requests_max(const struct broker *b) { return brk_account_requests_max(b->c.owner_memory); }

static int over(const struct broker *b, const struct owner *o, uint64_t more, uint64_t most, struct refusal *r)
{
    uint64_t held = brk_account_held(o->account);

    if (held <= most && more <= most - held)
        return 0;
    return brk_refuse(r, BFORK_EQUOTA, NULL,
                      "the broker holds %llu bytes for this key, and this would be %llu more; it takes requests up to %llu: close "
                      "pools and jobs, fetch outcomes, or raise owner-memory (%llu) there", llu(held), llu(more), llu(most),
                      llu(b->c.owner_memory));
}

int brk_account_takes_session(const struct broker *b, const struct owner *o, struct refusal *r)
{
    if (o->n_sessions >= b->c.sessions_max)
        return brk_refuse(r, BFORK_EQUOTA, NULL, "this key has %u sessions already, which is the limit; end others", o->n_sessions);
    return over(b, o, sizeof(struct client), b->c.owner_memory, r);
}

int brk_account_takes_pool(const struct broker *b, const struct client *c, uint32_t handle, size_t spec, struct refusal *r)
{
    if (c->pool_list.count >= b->c.pools_max)
        return brk_refuse(r, BFORK_EQUOTA, "pool", "POOL_OPEN %u: this session has %zu pools, which is the limit; close others",
                          handle,
                          c->pool_list.count);
    return over(b, c->owner, sizeof(struct pool) + spec, requests_max(b), r);
}

int brk_account_takes_job(const struct broker *b, const struct client *c, uint32_t handle, size_t spec, struct refusal *r)
{
    if (c->job_list.count >= b->c.jobs_max)
        return brk_refuse(r, BFORK_EQUOTA, "job", "JOB_OPEN %u: this session has %zu jobs, which is the limit; close others",
                          handle,
                          c->job_list.count);
    return over(b, c->owner, sizeof(struct job) + spec, requests_max(b), r);
}

int brk_account_takes_tasks(const struct broker *b, const struct owner *o, uint64_t more, struct refusal *r)
{
    return over(b, o, more, requests_max(b), r);
}

int brk_account_takes_cancel(const struct broker *b, const struct owner *o)
{
    return brk_account_held(o->account) > b->c.owner_memory ? BFORK_EQUOTA : 0;
}

int brk_account_takes_parked(const struct broker *b, const struct owner *o)
{
    return brk_account_held(o->account) > b->c.owner_memory ? BFORK_EQUOTA : 0;
}

int brk_account_takes_foreign(const struct broker *b, const struct worker *w, uint64_t more)
{
    return brk_account_held(w->account) + more > b->c.worker_memory ? BFORK_EQUOTA : 0;
}
