/* SPDX-License-Identifier: MPL-2.0
 * tasks.c - TASKS: what is new of them is queued or held; what may have come before is cut against what is known of the job.
 *
 * An item costs one search and one insertion. One that touches more places (a replay over what many attempts and outcomes answer
 * for) takes them from the turn of its owner, and when that is used up it waits, a chore of its job, and all that comes for the job
 * after it waits behind it. Until it was taken no outcome of the job is forgotten: it would be queued again what has had one.
 * When the job is opened again, what still waits has not arrived: its client is told so, and sends it again.
 *
 * Replays are tasks that were accepted once, so a limit that they pass ends no job (nor do others of a session of which a worker
 * has brought some that the client does not know of yet): they are put off. They stay with their client,
 * as all TASKS of the job that follow; when there is room, JOB_STATE asks it to open the job again and to send on. So does what
 * would wait for its turn and has no room in the owner's account meanwhile. What passes a limit while nothing else is pending is
 * let in: nobody would ever make room for it.
 */
#include "state.h"

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

static bool fits(uint64_t used, uint64_t more, uint64_t most) { return used <= most && more <= most - used; }

/* Is there room for so many tasks that were sent before, or will nothing ever make any? */
static bool replay_has_room(const struct broker *b, const struct job *j, uint64_t tasks, uint64_t bytes)
{
    const struct client *c = j->client;
    const struct owner *o = c->owner;
    const struct broker_config *l = &b->c;
    bool alone = !o->n_tasks && !o->leaving_tasks;
    struct refusal r;

    if (c->n_tasks && !(fits(c->n_tasks, tasks, l->quota_tasks) && fits(c->n_bytes, bytes, l->quota_bytes)))
        return false;
    if (!alone && !(fits(o->n_tasks, tasks, l->owner_quota_tasks) && fits(o->n_bytes, bytes, l->owner_quota_bytes) &&
                    fits(o->leaving_tasks, 0, l->owner_quota_tasks) && fits(o->leaving_bytes, 0, l->owner_quota_bytes)))
        return false;
    return (alone && !o->account->outcomes) || brk_account_takes_tasks(b, o, bytes, &r) == 0;
}

/* It is left to its client, which sends it again. */
void brk_replay_stays(struct job *j, const struct wire_item *it)
{
    uint64_t end = it->first + it->count;

    if (it->flags & WIRE_REPLAY && end > j->put_off_to)
        j->put_off_to = end;
}

void brk_replay_put_off(struct broker *b, struct job *j, const struct wire_item *it)
{
    brk_replay_stays(j, it);
    brk_effect_log_of(b, j->owner->key, WIRE_KEY, LOG_INFO_, "tasks that %s sends again wait with it until there is room",
                      j->client->name);
    j->put_off = true;
    j->room_told = false;
    brk_chore_wait(b, j->owner, &j->room, CHORE_ROOM);
}

bool brk_tasks_room(struct broker *b, struct job *j)
{
    struct wire_msg *m;

    if (job_is_ending(j) || job_mute(j) || !j->put_off || j->room_told)
        return true;
    if (!list_empty(&j->replays) || !replay_has_room(b, j, b->c.quota_tasks / 4, b->c.quota_bytes / 4)) {
        brk_chore_wait(b, j->owner, &j->room, CHORE_ROOM);
        return false;
    }
    j->room_told = true;
    if ((m = brk_effect_send(b, j->client->peer, WIRE_JOB_STATE)))
        m->u.job_state = (struct wire_job_state){ .job = j->handle, .next = j->next };
    else
        brk_peer_no_memory(b, j->client->peer);
    return true;
}

/* A part that nobody answers for. */
static int unknown(struct broker *b, struct job *j, const struct wire_item *it)
{
    if (!(it->flags & WIRE_REPLAY))
        return brk_range_accept(b, j, it, false, 0);
    if (b->now < b->hold_end)
        return brk_range_accept(b, j, it, true, b->hold_end);
    if (it->flags & WIRE_MAYBE_STARTED && job_once(j)) {
        brk_outcome_text(b, j, it->first, it->count, it->tries + 1u, BFORK_UNKNOWN, OUTCOME_UNREPORTED);
        return 0;
    }
    return brk_range_accept(b, j, it, false, 0);
}

/* Does an adopted attempt wait for the arguments of these tasks? */
static bool wants(const struct job *j, struct interval *v, const struct wire_item *it)
{
    return v->kind == PLACE_LIVE && INTERVAL_ENTRY(v, struct attempt, at)->adopted && it->first >= j->next;
}

/* A part that is known: an adopted attempt gets its arguments if this is the first time that they come. */
static int take_known(struct broker *b, struct job *j, struct interval *v, const struct wire_item *it)
{
    struct attempt *a = INTERVAL_ENTRY(v, struct attempt, at);
    struct range *r;

    if (!wants(j, v, it)) {
        b->n.duplicates += it->first < j->next ? it->count : 0;
        return 0;
    }
    if (brk_range_make(b, j, it, &r) < 0)
        return BFORK_ENOMEM;
    brk_attempt_piece(b, a, r);
    brk_attempt_bytes(a, (int64_t)span_bytes(&r->s));
    brk_job_pending(b, j, 0, 0, 0, (int64_t)span_bytes(&r->s));
    return 0;
}

static int check_tasks(const struct job *j, const struct wire_item *it, struct refusal *r)
{
    uint64_t end = it->first + it->count;

    if (!j)
        return brk_refuse(r, BFORK_ESTATE, "job", "TASKS for job %u, which is not open", it->job);
    if (job_mute(j))
        return brk_refuse(r, BFORK_ESTATE, "job", "TASKS for job %u, which was not opened again in this connection", it->job);
    if (j->closed && !(it->flags & WIRE_REPLAY))       /* what was lost on the way is sent once more */
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

bool brk_replay_lenient(const struct job *j, const struct wire_item *it)
{
    return it->flags & WIRE_REPLAY || j->client->adopted;
}

/* The front of an item, as far as one place reaches. 0, 1: it has no room; < 0: no memory. */
int brk_replay_step(struct broker *b, struct job *j, struct wire_item *it)
{
    struct interval *v = interval_at(&j->index, it->first);
    bool here = v && v->first <= it->first, again = it->first < j->next;
    uint64_t until = here ? v->end : v ? v->first : UINT64_MAX, n;
    bool skip = again && !(it->flags & WIRE_REPLAY);
    struct wire_item head = *it, tail = { .count = 0 };
    uint16_t tries = it->tries, crashes = it->crashes;
    int rc = 0;

    if (again && (skip || until > j->next))
        until = j->next;
    if (!here)
        until = brk_counts_kept(j, it->first, until, &tries, &crashes);
    n = until - it->first;
    if (n < it->count)
        wire_item_cut(it, (uint32_t)n, &head, &tail);
    head.tries = tries;
    head.crashes = crashes;
    if (skip) {
        b->n.duplicates += head.count;
    } else {
        if (brk_replay_lenient(j, it) && (!here || wants(j, v, &head)) &&
            !replay_has_room(b, j, here ? 0 : head.count, wire_item_bytes(&head)))
            return 1;
        if (brk_reserve(b, 8, 8) < 0 || (rc = here ? take_known(b, j, v, &head) : unknown(b, j, &head)) < 0)
            return BFORK_ENOMEM;
    }
    if (!again) {
        b->n.tasks_accepted += head.count;
        j->next = head.first + head.count;
        brk_counts_sent(b, j);
    }
    brk_cancel_wake(b, j);
    *it = tail;
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

void brk_tasks_drop(struct broker *b, struct job *j, struct list_node *n)
{
    struct replay *w = LIST_ENTRY(n, struct replay, in_job);

    list_remove(&j->replays, n);
    slice_unref(&w->lens);
    slice_unref(&w->body);
    brk_mem_free_for(b, j->owner->account, w, sizeof(*w));
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
        brk_tasks_drop(b, j, &w->in_job);
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
    brk_tasks_drop(b, j, &w->in_job);
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
