/* SPDX-License-Identifier: MPL-2.0
 * note.c - what the next flush must look at: putting into a list, and nothing else. A note that is made twice is one.
 *
 * Nothing is decided or composed here, so that everybody may make a note whenever something changes.
 */
#include "model.h"

void brk_client_dirty(struct broker *b, struct client *c)
{
    if (c->peer && !list_in(&c->dirty))
        list_push_back(&b->dirty_clients, &c->dirty);
}

void brk_worker_dirty(struct broker *b, struct worker *w)
{
    if (w->peer && !list_in(&w->dirty))
        list_push_back(&b->dirty_workers, &w->dirty);
}

void brk_peer_dirty(struct broker *b, struct peer *p)
{
    if (!list_in(&p->dirty))
        list_push_back(&b->dirty_peers, &p->dirty);
}

void brk_pool_tell(struct broker *b, struct pool *p)
{
    if (p->ending)
        return;
    if (!list_in(&p->news))
        list_push_back(&p->client->states, &p->news);
    brk_client_dirty(b, p->client);
}

void brk_pool_work(struct broker *b, struct pool *p)
{
    if (!list_in(&p->work) && brk_pool_ready(p) && (p->state == POOL_FAILED || !list_empty(&p->open)))
        list_push_back(&b->work, &p->work);
}

void brk_lane_grant_due(struct broker *b, struct lane *l)
{
    if (!l->worker->peer || l->worker->state == WORKER_JOINING)
        return;
    if (!list_in(&l->grant))
        list_push_back(&l->worker->grants, &l->grant);
    brk_worker_dirty(b, l->worker);
}

void brk_lane_open(struct broker *b, struct lane *l)
{
    struct pool *p = l->pool;

    if (!p || !lane_usable(l) || l->failed || l->worker->state != WORKER_READY)
        return;
    if (!list_in(&l->open))
        list_push_back(&p->open, &l->open);
    if (p->n_tasks && lane_usable(l) > l->live.count && !brk_pool_ready_at(p, l->worker) && !list_in(&p->thirst))
        list_push_back(&b->thirsty, &p->thirst);
    brk_pool_work(b, p);
}

void brk_pool_wake(struct broker *b, struct pool *p)
{
    for (LIST_EACH(&p->lanes, n)) {
        b->steps++;
        brk_lane_open(b, LIST_ENTRY(n, struct lane, in_pool));
    }
    brk_pool_work(b, p);
}

void brk_job_ready(struct broker *b, struct job *j)
{
    if (!j->pool || list_empty(&j->queue))
        return;
    if (!list_in(&j->ready)) {
        bool news = j->pool->passed && list_empty(&j->need->ready);
        brk_job_takes_turn(j);
        if (news) {
            j->pool->passed = false;
            brk_pool_wake(b, j->pool);
        }
    }
    brk_pool_work(b, j->pool);
}

void brk_attempt_recall_due(struct broker *b, struct attempt *a)
{
    if (!a->recalled && a->lane)
        a->lane->n_recalled++;
    a->recalled = true;
    if (!list_in(&a->out))
        list_push_back(&a->worker->recalls, &a->out);
    brk_worker_dirty(b, a->worker);
}

void brk_attempt_recalled(struct attempt *a)
{
    if (a->recalled && a->lane)
        a->lane->n_recalled--;
    a->recalled = false;
}

void brk_cancel_wake(struct broker *b, struct job *j)
{
    if (list_empty(&j->awaiting))
        return;
    j->awake = j->awaiting.count;
    brk_chore_add(b, j->owner, &j->cancel, CHORE_CANCEL);
}

void brk_cancels_unstop(struct broker *b, struct owner *o)
{
    for (struct list_node *n; (n = list_pop(&o->stopped));)
        brk_chore_add(b, o, &LIST_ENTRY(n, struct job, stopped)->cancel, CHORE_CANCEL);
}

void brk_job_sending(struct broker *b, struct job *j)
{
    if (!j->client || !j->unsent || job_mute(j) || j->resend || !list_empty(&j->said) || job_is_ending(j))
        return;
    if (!list_in(&j->sending))
        list_push_back(&j->client->sending, &j->sending);
    brk_client_dirty(b, j->client);
}
