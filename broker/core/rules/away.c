/* SPDX-License-Identifier: MPL-2.0
 * away.c - clients without a connection: detached, then dormant, then gone; and what one that is back has not opened again.
 */
#include "rules.h"

#include "wire/times.h"

static uint64_t soonest(const struct broker *b)
{
    return (b->c.detach_ms < TIME_CLOSED_MS ? b->c.detach_ms : TIME_CLOSED_MS) * CLOCK_MS;
}

void brk_client_away(struct broker *b, struct client *c)
{
    if (!brk_client_away_some(b, c, brk_chore_budget(b, c->owner)))
        brk_chore_add(b, c->owner, &c->away, CHORE_CLIENT_AWAY);
}

void brk_client_detach(struct broker *b, struct client *c)
{
    c->peer->client = NULL;
    c->peer = NULL;
    c->detached_at = b->now;
    brk_client_move(c, CLIENT_ON_CUT);
    brk_client_timer(b, c, b->now + soonest(b));
    if (list_in(&c->dirty))
        list_remove(&b->dirty_clients, &c->dirty);
    c->attached++;
    c->mute_pools = c->mute_jobs = 0;           /* what it opens again in its next connection goes on */
    list_append(&c->unsure, &c->assigning);
    list_append(&c->unsure, &c->told);
    brk_client_pause(b, c);
    brk_client_away(b, c);
}

/* What its pool had there has gone back: nothing that is on its way is for a lane that is gone. What a worker has brought since is
 * for one that stays. */
static bool leave_workers(struct broker *b, struct pool *p, uint32_t *budget)
{
    for (LIST_EACH_SAFE(&p->lanes, n, after)) {
        struct lane *l = LIST_ENTRY(n, struct lane, in_pool);
        struct list_node *k;
        b->steps++;
        for (; list_empty(&l->live) && *budget && (k = list_pop(&l->kept)); --*budget) {
            LIST_ENTRY(k, struct attempt, in_lane)->kept = NULL;
            b->steps++;
        }
        if (!*budget)
            return false;
        if (!list_empty(&l->live))
            continue;
        --*budget;
        brk_lane_forget(b, l);
    }
    return true;
}

/* All that its processes had goes back. */
static bool asleep(struct broker *b, struct client *c, uint32_t *budget)
{
    struct list_node *n, *k;

    for (; c->away_jobs && (n = list_first(&c->job_list)); c->away_jobs--) {
        struct job *j = LIST_ENTRY(n, struct job, in_client);
        while ((k = list_first(&j->live))) {
            struct attempt *a = LIST_ENTRY(k, struct attempt, in_job);
            if (!*budget)
                return false;
            budget_take(budget, attempt_places(a));
            b->steps++;
            brk_attempt_requeue(b, a, job_once(j), "its processes were ended: the client was gone",
                                attempt_is_sent(a) ? WIRE_WHY_FENCED : 0);
        }
        if (!*budget)
            return false;
        --*budget;
        brk_job_forget(b, j);   /* with the pool, see leave_workers */
        list_remove(&c->job_list, n);
        list_push_back(&c->job_list, n);
    }
    c->away_jobs = 0;
    for (; c->away_pools && (n = list_first(&c->pool_list)); c->away_pools--, --*budget) {
        if (!leave_workers(b, LIST_ENTRY(n, struct pool, in_client), budget) || !*budget)
            return false;
        b->steps++;
        list_remove(&c->pool_list, n);
        list_push_back(&c->pool_list, n);
    }
    c->away_pools = 0;
    if (c->state == CLIENT_WAKING) {
        brk_client_move(c, CLIENT_ON_AWAKE);
        b->grants_dirty = true;
    }
    return true;
}

/* Pools and jobs that the client has finished with while that, or a last acknowledgement, was lost with a connection. */
static bool drop_mute(struct broker *b, struct client *c, uint32_t *budget)
{
    struct list_node *n;

    for (; c->mute_pools && (n = list_first(&c->pool_list)); c->mute_pools--, --*budget) {
        struct pool *p = LIST_ENTRY(n, struct pool, in_client);
        if (!*budget)
            return false;
        b->steps++;
        list_remove(&c->pool_list, n);
        list_push_back(&c->pool_list, n);
        if (!p->ending && p->attached != c->attached)
            brk_pool_close(b, p);
    }
    c->mute_pools = 0;
    for (; c->mute_jobs && (n = list_first(&c->job_list)); c->mute_jobs--, --*budget) {
        struct job *j = LIST_ENTRY(n, struct job, in_client);
        if (!*budget)
            return false;
        b->steps++;
        list_remove(&c->job_list, n);
        list_push_back(&c->job_list, n);
        if (job_mute(j))
            brk_job_end(b, j);
    }
    c->mute_jobs = 0;
    return true;
}

/* What it was told of and has not confirmed goes back at once; when it is dormant, all that its processes had. When it has been
 * back for long enough, what it has not opened again ends. One after the other: each goes around the same lists. */
bool brk_client_away_some(struct broker *b, struct client *c, uint32_t *budget)
{
    struct list_node *n;

    for (; (n = list_first(&c->unsure)); --*budget) {
        if (!*budget)
            return false;
        b->steps++;
        brk_attempt_requeue(b, LIST_ENTRY(n, struct attempt, out), false, NULL, 0);
    }
    return (!client_is_dormant(c) || asleep(b, c, budget)) && drop_mute(b, c, budget);
}

/* Its connection was closed and it has not come back: its processes end, what they ran goes back to its jobs. Session and outcomes
 * wait for it as before. */
void brk_client_dormant(struct broker *b, struct client *c)
{
    brk_client_move(c, CLIENT_ON_SLEEP);
    c->away_jobs = c->job_list.count;
    c->away_pools = c->pool_list.count;
    brk_effect_log_session(b, c->owner->key, LOG_INFO_, "client %s has not come back: its processes end, its work waits for it",
                           c->name);
    b->grants_dirty = true;
    brk_client_away(b, c);
}

/* Whoever connects again and again without resuming does not pile up sessions. */
void brk_detached_limit(struct broker *b, struct owner *o)
{
    struct client *oldest = NULL;

    if (o->n_detached <= b->c.detached_max)
        return;
    for (LIST_EACH(&b->clients, n)) {
        struct client *c = LIST_ENTRY(n, struct client, node);
        if (c->owner == o && client_is_gone(c) && (!oldest || c->detached_at < oldest->detached_at))
            oldest = c;
    }
    assert(oldest);
    brk_effect_log_session(b, o->key, LOG_WARNING_, "the jobs of %s end: more than %u sessions of its key are disconnected",
                           oldest->name, b->c.detached_max);
    brk_client_end(b, oldest);
}
