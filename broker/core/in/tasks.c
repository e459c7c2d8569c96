/* SPDX-License-Identifier: MPL-2.0
 * tasks.c - TASKS: each item is taken in place by place (rules/replay.c), within the limits of its session and its owner.
 *
 * An item costs one search and one insertion. One that touches more places (a replay over what many attempts and outcomes answer
 * for) takes them from the turn of its owner, and when that is used up it waits, a chore of its job, and all that comes for the
 * job after it waits behind it. What would wait and has no room in the owner's account meanwhile is put off like a replay. Until
 * it was taken no outcome of the job is forgotten: it would be queued again what has had one. When the job is opened again, what
 * still waits has not arrived: its client is told so, and sends it again.
 */
#include "in.h"

#define REPLAYS_MAX (2 * WIRE_ITEMS_MAX)    /* of a job, that wait for their turn */

static int check_quota(const struct broker *b, const struct client *c, struct refusal *r)
{
    const struct owner *o = c->owner;

    if (c->n_tasks > b->c.quota_tasks || c->n_bytes > b->c.quota_bytes)
        return brk_refuse(r, BFORK_EQUOTA, c->n_tasks > b->c.quota_tasks ? "quota_tasks" : "quota_bytes",
                          "%llu tasks with %llu bytes are queued or running; this broker allows a session %llu and %llu",
                          (unsigned long long)c->n_tasks, (unsigned long long)c->n_bytes, (unsigned long long)b->c.quota_tasks,
                          (unsigned long long)b->c.quota_bytes);
    if (o->leaving_tasks > b->c.owner_quota_tasks || o->leaving_bytes > b->c.owner_quota_bytes)
        return brk_refuse(r, BFORK_EQUOTA, NULL,
                          "%llu tasks with %llu bytes of closed pools and ended sessions are still being dropped: submit more "
                          "slowly",
                          (unsigned long long)o->leaving_tasks, (unsigned long long)o->leaving_bytes);
    if (o->n_tasks > b->c.owner_quota_tasks || o->n_bytes > b->c.owner_quota_bytes)
        return brk_refuse(r, BFORK_EQUOTA, o->n_tasks > b->c.owner_quota_tasks ? "owner_quota_tasks" : "owner_quota_bytes",
                          "all clients with this key have %llu tasks with %llu bytes queued or running; this broker allows a key "
                          "%llu and %llu: submit when others are done, or raise owner-quota-tasks and owner-quota-bytes there",
                          (unsigned long long)o->n_tasks, (unsigned long long)o->n_bytes,
                          (unsigned long long)b->c.owner_quota_tasks, (unsigned long long)b->c.owner_quota_bytes);
    return brk_account_takes_tasks(b, o, 0, r);
}

static int check_tasks(const struct job *j, const struct wire_item *it, struct refusal *r)
{
    uint64_t end = it->first + it->count;

    if (!j)
        return brk_refuse(r, BFORK_ESTATE, "job", "TASKS for job %u, which is not open", it->job);
    if (job_mute(j))
        return brk_refuse(r, BFORK_ESTATE, "job", "TASKS for job %u, which was not opened again in this connection", it->job);
    if (j->state == JOB_CLOSED && !(it->flags & WIRE_REPLAY))       /* what was lost on the way is sent once more */
        return brk_refuse(r, BFORK_ESTATE, "job", "TASKS for job %u, which was closed", it->job);
    if (it->flags & WIRE_SEALED)
        return brk_refuse(r, BFORK_ENOTSUP, "flags", "TASKS for job %u: flag 8 (SEALED) is set, which this release does not know",
                          it->job);
    if (it->flags & WIRE_MAYBE_STARTED && !(it->flags & WIRE_REPLAY))
        return brk_refuse(r, BFORK_EINVAL, "flags",
                          "TASKS for job %u: flag 4 (MAYBE_STARTED) is set and flag 2 (REPLAY) is not: what may have begun comes "
                          "again",
                          it->job);
    if (!it->count || end < it->first || end > UINT64_MAX / 2)
        return brk_refuse(r, BFORK_EINVAL, "first", "TASKS for job %u: no tasks, or indexes from %llu beyond 2^63", it->job,
                          (unsigned long long)it->first);
    return 0;
}

/* What is told again after a reconnect may be known here; what comes now must lie behind everything that has come. */
static int check_order(const struct job *j, const struct wire_item *it, struct refusal *r)
{
    uint64_t end = it->first + it->count;

    if (!(it->flags & WIRE_REPLAY) && end > j->next_told && it->first < j->next && j->next > j->next_told)
        return brk_refuse(r, BFORK_EINVAL, "first", "TASKS for job %u: index %llu comes behind %llu; indexes must ascend", it->job,
                          (unsigned long long)it->first, (unsigned long long)(j->next - 1));
    return 0;
}

/* As much of an item as the budget allows, its first place without. 0: it.count is what is left; 1: the job is gone; < 0: no
 * memory. */
static int take_item(struct broker *b, struct job *j, struct wire_item *it, uint32_t request, uint32_t *budget)
{
    bool lenient = brk_replay_lenient(j, it);
    struct client *c = j->client;
    struct refusal r;
    int rc;

    while ((rc = brk_replay_step(b, j, it)) == 0 && it->count && *budget)
        --*budget;
    if (rc < 0)
        return rc;
    if (rc) {
        brk_replay_put_off(b, j, it);
        j->opening++;               /* what waits behind it is for its client to send again, too */
        it->count = 0;
    }
    if (it->count || lenient || check_quota(b, c, &r) == 0)
        return 0;
    brk_job_refused(b, c, request, j->handle, &r);
    return 1;
}

/* Is there room in the owner's account for an item that waits? Who has nothing pending has nothing that makes it wait for long. */
static bool may_wait(const struct broker *b, const struct job *j, const struct wire_item *it)
{
    const struct owner *o = j->owner;
    struct refusal r;

    return (!o->n_tasks && !o->leaving_tasks && !o->account->outcomes) ||
           brk_account_takes_tasks(b, o, brk_account_cost(sizeof(struct replay)) + wire_item_bytes(it), &r) == 0;
}

/* It waits behind the others. 0 or BFORK_ENOMEM. */
static int wait_behind(struct broker *b, struct job *j, const struct wire_item *it, uint32_t request, bool begun)
{
    struct account *a = j->owner->account;
    struct replay *w;

    if (j->replays.count >= REPLAYS_MAX || !may_wait(b, j, it)) {
        brk_replay_put_off(b, j, it);
        return 0;
    }
    if (!(w = brk_mem_new_for(b, a, sizeof(*w))))
        return BFORK_ENOMEM;
    *w = (struct replay){ .it = *it, .request = request, .opening = j->opening, .begun = begun };
    if (brk_bytes_keep(b, a, it->lens, &w->lens) < 0 || brk_bytes_keep(b, a, it->body, &w->body) < 0) {
        slice_unref(&w->lens);
        brk_mem_free_for(b, a, w, sizeof(*w));
        return BFORK_ENOMEM;
    }
    w->it.lens = w->lens;
    w->it.body = w->body;
    list_push_back(&j->replays, &w->in_job);
    brk_chore_add(b, j->owner, &j->replay, CHORE_REPLAY);
    return 0;
}

/* One item that waits, as far as the budget goes. As take_item; 2: the budget is used up. */
static int resume_replay(struct broker *b, struct job *j, struct replay *w, uint32_t *budget)
{
    struct refusal r;
    int rc;

    if (w->opening != j->opening || job_mute(j)) {
        brk_replay_stays(j, &w->it);
        brk_replay_drop(b, j, &w->in_job);
        return 0;
    }
    if (!w->begun && check_order(j, &w->it, &r) < 0) {
        brk_job_refused(b, j->client, w->request, j->handle, &r);
        return 1;
    }
    w->begun = true;
    if ((rc = take_item(b, j, &w->it, w->request, budget)) != 0)
        return rc;
    if (w->it.count)
        return 2;
    brk_replay_drop(b, j, &w->in_job);
    return 0;
}

bool brk_tasks_take_some(struct broker *b, struct job *j, uint32_t *budget)
{
    struct list_node *n;
    int rc;

    while (!job_is_ending(j) && (n = list_first(&j->replays))) {
        if (!*budget)
            return false;
        --*budget;
        if ((rc = resume_replay(b, j, LIST_ENTRY(n, struct replay, in_job), budget)) == 1)
            return true;
        if (rc)
            return false;
    }
    if (job_is_ending(j))
        return true;
    brk_chores_room(b, j->owner);
    brk_cancel_wake(b, j);
    brk_outcome_ack(b, j, j->ack_to);
    brk_job_maybe_end(b, j);
    return true;
}

static int take_new(struct broker *b, struct client *c, struct job *j, const struct wire_item *item, uint32_t request,
                    uint32_t *refused)
{
    struct wire_item it = *item;
    struct refusal r;
    int rc;

    if (j->put_off) {
        brk_replay_stays(j, &it);
        return 0;
    }
    if (!list_empty(&j->replays))
        return wait_behind(b, j, &it, request, false);
    if (check_order(j, &it, &r) < 0) {
        brk_job_refused(b, c, request, *refused = it.job, &r);
        return 0;
    }
    if ((rc = take_item(b, j, &it, request, brk_chore_budget(b, j->owner))) < 0)
        return rc;
    if (rc)
        *refused = item->job;
    else if (it.count)
        return wait_behind(b, j, &it, request, true);
    return 0;
}

void brk_tasks_take(struct broker *b, struct client *c, const struct wire_msg *m)
{
    uint32_t refused = 0;
    struct refusal r;

    for (uint32_t i = 0; i < m->n_items && c->peer; i++) {
        const struct wire_item *it = &m->items[i];
        struct job *j = brk_job_of(c, it->job);
        if (it->job && it->job == refused)
            continue;
        if (check_tasks(j, it, &r) < 0) {
            brk_job_refused(b, c, m->request, refused = it->job, &r);
        } else if (take_new(b, c, j, it, m->request, &refused) < 0) {
            brk_session_break(b, c->peer);
            return;
        }
    }
}
