/* SPDX-License-Identifier: MPL-2.0
 * end.c - clients, pools and jobs that end: what goes takes along what it has, a little in each turn.
 *
 * What is ending is found by nobody from then on, and counts as leaving in the sums of its owner until it is gone.
 */
#include "rules.h"

/* Takes one thing of a job that ends; false: it has nothing left. */
static bool reap_one(struct broker *b, struct job *j)
{
    struct list_node *n = list_first(&j->queue);
    struct range *r = n ? LIST_ENTRY(n, struct range, node) : j->held.count ? HELD_RANGE(j->held.root) : NULL;

    uint32_t one = 1;

    b->steps++;
    if ((n = list_first(&j->cancels)) || (n = list_first(&j->awaiting))) {
        struct cancel *k = LIST_ENTRY(n, struct cancel, in_job);
        if ((n = list_first(&k->asks)))
            brk_ask_free(b, LIST_ENTRY(n, struct ask, in_cancel));
        else
            brk_cancel_free(b, k);
    } else if (r) {
        brk_range_out(b, j, r);
        brk_range_free(b, j, r);
    } else if ((n = list_first(&j->live))) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, in_job);
        if (!brk_attempt_strip(b, a))
            brk_attempt_close(b, a, WIRE_WHY_GONE);
    } else if ((n = list_pop(&j->outcomes))) {
        struct outcome *o = LIST_ENTRY(n, struct outcome, node);
        bool sent = !j->unsent || o->seq < j->unsent->seq;
        if (o == j->unsent)
            j->unsent = list_first(&j->outcomes) ? LIST_ENTRY(list_first(&j->outcomes), struct outcome, node) : NULL;
        interval_take(&j->index, &o->at);
        brk_outcome_costs(b, j, -(int64_t)outcome_cost(o), sent ? -(int64_t)outcome_cost(o) : 0);
        brk_outcome_free(b, j, o);
    } else if ((n = list_first(&j->finished))) {
        brk_attempt_close(b, LIST_ENTRY(n, struct attempt, in_job), WIRE_WHY_GONE);
    } else if ((n = list_first(&j->replays))) {
        brk_replay_drop(b, j, n);
    } else if (!list_empty(&j->said)) {
        brk_said_drop(b, &j->said, &one);
    } else {
        return brk_counts_drop(b, j);
    }
    return true;
}

void brk_job_forget(struct broker *b, struct job *j)
{
    struct list_node *n;

    while ((n = list_pop(&j->known))) {
        struct known *k = LIST_ENTRY(n, struct known, in_job);
        map_take(&k->worker->known_map, k->number);
        brk_shelf_drop_known(b, k);
        k->job = NULL;
        list_remove(&k->worker->known, &k->in_worker);
        list_push_back(&k->worker->forget, &k->in_worker);
        brk_worker_dirty(b, k->worker);
    }
}

static void unbind(struct job *j)
{
    struct client *c = j->client;

    brk_need_leave(j);
    if (j->pool)
        list_remove(&j->pool->jobs, &j->in_pool);
    if (!c)
        return;
    if (list_in(&j->sending))
        list_remove(&c->sending, &j->sending);
    list_remove(&c->job_list, &j->in_client);
    if (map_get(&c->jobs, j->handle) != j)
        return;                     /* while it was ending, the client has used the handle again */
    map_take(&c->jobs, j->handle);
    brk_handle_gone(c, false, j->handle, j->id);
}

bool brk_job_reap(struct broker *b, struct job *j, uint32_t *budget)
{
    struct client *c = j->client;
    struct owner *o = j->owner;

    do {                                /* all that it has goes before the job, as it points to it */
        if (!*budget)
            return false;
        --*budget;
    } while (reap_one(b, j));
    brk_ended_add(b, j);
    brk_job_forget(b, j);
    unbind(j);
    brk_job_unhash(b, j);
    brk_number_free(b, j->number);
    list_remove(&b->all_jobs, &j->in_all);
    list_remove(&o->jobs, &j->in_owner);
    if (interval_in(&j->parked))
        interval_take(&b->parked, &j->parked);
    brk_chore_forget(b, j->owner, &j->ack);
    brk_chore_forget(b, j->owner, &j->end);
    brk_chore_forget(b, j->owner, &j->bind);
    brk_chore_forget(b, j->owner, &j->cancel);
    if (list_in(&j->stopped))
        list_remove(&o->stopped, &j->stopped);
    brk_chore_forget(b, j->owner, &j->replay);
    brk_chore_forget(b, j->owner, &j->room);
    run_arena_done(&j->arena);
    buf_unref(&j->spec_bytes);
    brk_account_release(o->account, 3 * MAP_COST);
    brk_mem_free_for(b, o->account, j, sizeof(*j));
    brk_chores_room(b, o);
    brk_owner_unref(b, o);
    if (c)
        brk_outcome_freed(b, c);
    return true;
}

void brk_job_end(struct broker *b, struct job *j)
{
    int64_t tasks = (int64_t)job_tasks_pending(j), bytes = (int64_t)j->n_bytes;

    if (j->state == JOB_ENDING)
        return;
    /* The same sums, of whoever has it, and then of what is leaving: which of them it is in hangs on its state. */
    brk_job_pending_above(b, j, -tasks, -bytes);
    brk_job_move(j, JOB_ON_END);
    brk_job_pending_above(b, j, tasks, bytes);
    if (!brk_job_reap(b, j, brk_chore_budget(b, j->owner)))
        brk_chore_add(b, j->owner, &j->end, CHORE_JOB_END);
}

void brk_job_maybe_end(struct broker *b, struct job *j)
{
    if (j->state == JOB_CLOSED && !j->put_off && list_empty(&j->replays) && !job_tasks_pending(j) && list_empty(&j->outcomes))
        brk_job_end(b, j);
}

void brk_pool_close(struct broker *b, struct pool *p)
{
    struct client *c = p->client;

    /* Its jobs end as well: nobody would acknowledge outcomes of theirs, they would fill the client's window for ever. */
    map_take(&c->pools, p->handle);
    brk_handle_gone(c, true, p->handle, p->digest);
    p->ending = true;
    c->n_tasks -= p->all_tasks;
    c->n_bytes -= p->all_bytes;
    p->owner->n_tasks -= p->all_tasks;
    p->owner->n_bytes -= p->all_bytes;
    p->owner->leaving_tasks += p->all_tasks;
    p->owner->leaving_bytes += p->all_bytes;
    if (list_in(&p->news))
        list_remove(&c->states, &p->news);
    b->grants_dirty |= p->slots || p->n_tasks;
    brk_chore_add(b, p->owner, &p->end, CHORE_POOL_END);
}

bool brk_pool_end_some(struct broker *b, struct pool *p, uint32_t *budget)
{
    struct list_node *n;

    while ((n = list_first(&p->jobs)))
        if (!brk_job_reap(b, LIST_ENTRY(n, struct job, in_pool), budget))
            return false;
    brk_pool_free(b, p);
    return true;
}

bool brk_client_end_some(struct broker *b, struct client *c, uint32_t *budget)
{
    struct list_node *n;

    if (!brk_said_drop(b, &c->said, budget))
        return false;               /* first: workers go on with what others wait for */
    while ((n = list_first(&c->job_list)))
        if (!brk_job_reap(b, LIST_ENTRY(n, struct job, in_client), budget))
            return false;
    for (; (n = list_first(&c->pool_list)); --*budget) {
        if (!*budget)
            return false;
        brk_pool_free(b, LIST_ENTRY(n, struct pool, in_client));
    }
    if (!brk_said_drop(b, &c->said, budget))
        return false;               /* what came while it ended */
    brk_client_free(b, c);
    return true;
}

void brk_client_end(struct broker *b, struct client *c)
{
    struct owner *o = c->owner;

    if (!brk_client_move(c, CLIENT_ON_END))
        return;
    brk_client_timer(b, c, 0);
    if (c->peer)
        c->peer->client = NULL;
    c->peer = NULL;
    if (list_in(&c->dirty))
        list_remove(&b->dirty_clients, &c->dirty);
    o->n_tasks -= c->n_tasks;
    o->n_bytes -= c->n_bytes;
    o->leaving_tasks += c->n_tasks;
    o->leaving_bytes += c->n_bytes;
    c->paused = true;
    brk_keyed_take(&b->client_map, &c->by_name);
    brk_chore_forget(b, o, &c->away);
    brk_chore_forget(b, o, &c->said_ack);
    b->grants_dirty = true;
    brk_chore_add(b, o, &c->end, CHORE_CLIENT_END);
}
