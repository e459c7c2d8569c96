/* SPDX-License-Identifier: MPL-2.0
 * need.c - the jobs of a pool by what they need of a worker: which can run where, and whose turn it is.
 *
 * A job waits for workers that it can run on, and no other job of its pool with it. A pool tells NEEDS_MAX different needs apart;
 * jobs of further ones share the last, and need what they need together. Jobs take turns across needs: each carries the turn in
 * which it came to the end of its list, and the earliest of those that a worker can run is next there. Invariant: a job of a pool
 * is counted in one need, and its need has all features that its specification names.
 */
#include "model.h"

#define NEEDS_EACH(p, k) struct need *k = (p)->need; k < (p)->need + NEEDS_MAX; k++

void brk_needs_init(struct pool *p, uint64_t features)
{
    p->needs = features;
    for (NEEDS_EACH(p, k))
        list_init(&k->ready);
}

void brk_need_join(struct broker *b, struct job *j)
{
    struct pool *p = j->pool;
    uint64_t features = p->needs | j->spec.needs;
    struct need *to = NULL;

    for (NEEDS_EACH(p, k)) {
        if (k->n_jobs && k->features == features) {
            to = k;
            break;
        }
        if (!k->n_jobs && !to)
            to = k;
    }
    if (!to)
        to = &p->need[NEEDS_MAX - 1];
    to->features = to->n_jobs ? to->features | features : features;
    to->n_jobs++;
    j->need = to;
    if (to->features != features)
        brk_pool_changed(b, p);
}

void brk_need_leave(struct job *j)
{
    if (!j->need)
        return;
    if (list_in(&j->ready))
        list_remove(&j->need->ready, &j->ready);
    j->need->n_jobs--;
    j->need = NULL;
}

/* Tasks of a job that is open on the client's present connection; those that were counted on an earlier one are of none now. */
void brk_need_opened(struct pool *p, struct need *k, int64_t n)
{
    if (k->opened != p->client->attached)
        k->n_opened = 0;                /* a cut does not go over all its pools: they notice when they count next */
    k->opened = p->client->attached;
    k->n_opened += (uint64_t)n;
}

uint64_t brk_need_due(const struct pool *p, const struct need *k)
{
    if (!p->client->peer)
        return k->n_tasks;
    return k->opened == p->client->attached ? k->n_opened : 0;
}

/* Of all its needs. */
static uint64_t tasks_due(const struct pool *p)
{
    uint64_t sum = 0;

    for (const struct need *k = p->need; k < p->need + NEEDS_MAX; k++)
        sum += brk_need_due(p, k);
    return sum;
}

bool brk_pool_is_picky(const struct pool *p)
{
    uint64_t features = p->needs;

    for (const struct need *k = p->need; k < p->need + NEEDS_MAX; k++)
        features |= k->n_jobs ? k->features : 0;
    return features;
}

bool brk_pool_runs_at(const struct pool *p, const struct worker *w)
{
    bool due = false;

    for (const struct need *k = p->need; k < p->need + NEEDS_MAX; k++) {
        if (!brk_need_due(p, k))
            continue;
        if (worker_has(w, k->features))
            return true;
        due = true;
    }
    return !due && worker_has(w, p->needs);
}

static bool somebody_has(const struct broker *b, uint64_t features)
{
    for (LIST_EACH(&b->workers, n)) {
        const struct worker *w = LIST_ENTRY(n, struct worker, node);
        if (w->state == WORKER_READY && worker_has(w, features))
            return true;
    }
    return false;
}

uint64_t brk_pool_tasks_somewhere(const struct broker *b, const struct pool *p, uint64_t *ret_lacks)
{
    uint64_t sum = 0;

    *ret_lacks = 0;
    for (const struct need *k = p->need; k < p->need + NEEDS_MAX; k++) {
        uint64_t due = brk_need_due(p, k);
        if (due && k->features && !somebody_has(b, k->features))
            *ret_lacks = k->features;
        else
            sum += due;
    }
    return sum;
}

uint64_t brk_need_reach(const struct pool *p, const struct need *k)
{
    uint64_t sum = 0;

    for (LIST_EACH(&p->lanes, n)) {
        const struct lane *l = LIST_ENTRY(n, struct lane, in_pool);
        sum += worker_has(l->worker, k->features) ? lane_usable(l) : 0;
    }
    return sum;
}

struct need *brk_need_poorest(struct pool *p, uint32_t *tried)
{
    struct need *first = NULL, *least = NULL;
    uint64_t least_reach = 0;
    uint32_t left = 0;

    for (NEEDS_EACH(p, k))
        if (brk_need_due(p, k) && !(*tried & 1u << (k - p->need)) && !left++)
            first = k;
    for (struct need *k = first; left > 1 && k < p->need + NEEDS_MAX; k++) {
        uint64_t reach;
        if (!brk_need_due(p, k) || *tried & 1u << (k - p->need))
            continue;
        reach = brk_need_reach(p, k);
        if (!least || reach < least_reach) {
            least = k;
            least_reach = reach;
        }
    }
    least = least ? least : first;
    if (least)
        *tried |= 1u << (least - p->need);
    return least;
}

/* ---- what is ready ----------------------------------------------------------------------------------------------------------- */

size_t brk_pool_ready(const struct pool *p)
{
    size_t n = 0;

    for (const struct need *k = p->need; k < p->need + NEEDS_MAX; k++)
        n += k->ready.count;
    return n;
}

bool brk_pool_ready_at(const struct pool *p, const struct worker *w)
{
    for (const struct need *k = p->need; k < p->need + NEEDS_MAX; k++)
        if (!list_empty(&k->ready) && worker_has(w, k->features))
            return true;
    return false;
}

void brk_job_takes_turn(struct job *j)
{
    j->turn = j->pool->turns++;
    list_push_back(&j->need->ready, &j->ready);
}

struct job *brk_job_of_turn(struct pool *p, const struct worker *w)
{
    struct job *first = NULL;

    for (NEEDS_EACH(p, k)) {
        struct list_node *n = worker_has(w, k->features) ? list_first(&k->ready) : NULL;
        struct job *j = n ? LIST_ENTRY(n, struct job, ready) : NULL;
        if (j && (!first || j->turn < first->turn))
            first = j;
    }
    return first;
}

uint32_t brk_needs_at(const struct pool *p, const struct worker *w)
{
    uint32_t set = 0;

    for (const struct need *k = p->need; k < p->need + NEEDS_MAX; k++)
        set |= k->n_jobs && worker_has(w, k->features) ? 1u << (k - p->need) : 0;
    return set;
}

bool brk_pool_claims(const struct pool *p)
{
    return tasks_due(p) && !pool_is_paused(p) && !client_is_dormant(p->client) && !p->ending;
}
