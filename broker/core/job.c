/* SPDX-License-Identifier: MPL-2.0
 * job.c - jobs: opened, parked, given tasks, forgotten; and their sums.
 *
 * A job is found by (owner, id): another owner's job does not exist. brk_job_pending is the only writer of the sums that quotas and
 * pools are built on.
 */
#include "state.h"

static uint64_t job_hash(const struct broker *b, const uint8_t *id) { return map_hash_keyed(&b->hash, id, WIRE_ID); }

struct job *brk_job_find(struct broker *b, struct owner *o, const uint8_t *id)
{
    struct job *j = map_get(&b->jobs, job_hash(b, id));

    while (j && (j->owner != o || memcmp(j->id, id, WIRE_ID) || job_is_ending(j))) {
        j = j->same_hash;
        b->steps++;
    }
    return j;
}

struct job *brk_job_of(struct client *c, uint32_t handle)
{
    struct job *j = map_get(&c->jobs, handle);

    return j && !job_is_ending(j) ? j : NULL;
}

struct job *brk_job_new(struct broker *b, struct owner *o, const uint8_t *id)
{
    struct job *j = brk_mem_new_for(b, o->account, sizeof(*j));

    if (!j)
        return NULL;
    if (map_reserve(&b->jobs, 1) < 0 || map_reserve(&b->numbers, 1) < 0) {
        brk_mem_free_for(b, o->account, j, sizeof(*j));
        return NULL;
    }
    brk_account_charge(o->account, 3 * MAP_COST);
    memcpy(j->id, id, WIRE_ID);
    j->owner = o;
    o->refs++;
    j->number = brk_number_new(b, j);
    j->since = b->now;
    list_init(&j->queue);
    intervals_init(&j->held, b->ranks += 2, &b->steps);
    intervals_init(&j->lost, b->ranks += 2, &b->steps);
    intervals_init(&j->index, b->ranks += 2, &b->steps);
    list_init(&j->live);
    list_init(&j->finished);
    list_init(&j->outcomes);
    list_init(&j->known);
    list_init(&j->said);
    list_init(&j->cancels);
    list_init(&j->awaiting);
    intervals_init(&j->cancelling, b->ranks += 2, &b->steps);
    list_init(&j->replays);
    j->same_hash = map_get(&b->jobs, job_hash(b, id));
    map_put(&b->jobs, job_hash(b, id), j);
    list_push_back(&b->all_jobs, &j->in_all);
    list_push_back(&o->jobs, &j->in_owner);
    return j;
}

void brk_job_park(struct broker *b, struct job *j, uint64_t until)
{
    j->parked = (struct interval){ .first = until };
    interval_put_time(&b->parked, &j->parked);
    if (until < b->tick_at)
        b->tick_at = until;
}

void brk_job_unhash(struct broker *b, struct job *j)
{
    struct job *at = map_get(&b->jobs, job_hash(b, j->id));

    if (at == j) {
        if (j->same_hash)
            map_put(&b->jobs, job_hash(b, j->id), j->same_hash);
        else
            map_take(&b->jobs, job_hash(b, j->id));
        return;
    }
    while (at->same_hash != j)
        at = at->same_hash;
    at->same_hash = j->same_hash;
}

/* The sums of whoever has the job: what is ending has left those above it already, and counts as leaving. */
void brk_job_pending_above(struct broker *b, struct job *j, int64_t all, int64_t bytes)
{
    struct pool *p = j->pool;
    struct client *c = j->client;
    struct owner *o = j->owner;

    if (!j->ending && p) {
        p->all_tasks += (uint64_t)all;
        p->all_bytes += (uint64_t)bytes;
    }
    if (!j->ending && !(p && p->ending) && c) {
        c->n_tasks += (uint64_t)all;
        c->n_bytes += (uint64_t)bytes;
    }
    if (job_is_ending(j)) {
        o->leaving_tasks += (uint64_t)all;
        o->leaving_bytes += (uint64_t)bytes;
    } else {
        o->n_tasks += (uint64_t)all;
        o->n_bytes += (uint64_t)bytes;
    }
    if (all < 0 || bytes < 0)
        brk_chores_room(b, o);
}

void brk_job_pending(struct broker *b, struct job *j, int64_t queued, int64_t held, int64_t live, int64_t bytes)
{
    j->n_queued += (uint64_t)queued;
    j->n_held += (uint64_t)held;
    j->n_live += (uint64_t)live;
    j->n_bytes += (uint64_t)bytes;
    b->n.queued += (uint64_t)(queued + held);
    b->n.running += (uint64_t)live;
    j->owner->queued += (uint64_t)(queued + held);
    j->owner->running += (uint64_t)live;
    brk_job_pending_above(b, j, queued + held + live, bytes);
    if (j->pool)
        brk_pool_tasks(b, j, queued + live);
    if (queued > 0)
        brk_job_ready(b, j);
}

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
        brk_tasks_drop(b, j, n);
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

    do {
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
    buf_unref(&j->slab);
    buf_unref(&j->lens_slab);
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

    if (j->ending)
        return;
    brk_job_pending_above(b, j, -tasks, -bytes);
    j->ending = true;
    brk_job_pending_above(b, j, tasks, bytes);
    if (!brk_job_reap(b, j, brk_chore_budget(b, j->owner)))
        brk_chore_add(b, j->owner, &j->end, CHORE_JOB_END);
}

void brk_job_maybe_end(struct broker *b, struct job *j)
{
    if (j->closed && !j->put_off && list_empty(&j->replays) && !job_tasks_pending(j) && list_empty(&j->outcomes))
        brk_job_end(b, j);
}

/* Its output from before goes to its client. Attempts that were adopted before are the first. */
bool brk_job_bind_some(struct broker *b, struct job *j, uint32_t *budget)
{
    struct list_node *n;

    if (job_is_ending(j))
        return true;
    if (!brk_said_bind(b, j, budget))
        return false;
    if (j->to_tell && !brk_counts_tell_some(b, j, budget))
        return false;
    for (size_t left = j->live.count; left-- && (n = list_first(&j->live)); --*budget) {
        if (LIST_ENTRY(n, struct attempt, in_job)->lane)
            break;
        if (!*budget)
            return false;
        b->steps++;
        list_remove(&j->live, n);
        list_push_back(&j->live, n);
        brk_attempt_bind(b, LIST_ENTRY(n, struct attempt, in_job));
    }
    return true;
}

void brk_job_bind(struct broker *b, struct job *j)
{
    if (!brk_job_bind_some(b, j, brk_chore_budget(b, j->owner)))
        brk_chore_add(b, j->owner, &j->bind, CHORE_JOB_BIND);
}

/* A parked or new job becomes the client's. The maps have room. */
static void bind(struct broker *b, struct job *j, struct client *c, struct pool *p, uint32_t handle)
{
    j->client = c;
    j->pool = p;
    j->handle = handle;
    j->attached = c->attached;
    if (interval_in(&j->parked))
        interval_take(&b->parked, &j->parked);
    brk_need_join(b, j);
    map_put(&c->jobs, handle, j);
    list_push_back(&c->job_list, &j->in_client);
    list_push_back(&p->jobs, &j->in_pool);
    c->n_tasks += job_tasks_pending(j);
    c->n_bytes += j->n_bytes;
    p->all_tasks += job_tasks_pending(j);
    p->all_bytes += j->n_bytes;
    c->unacked += j->cost;
    brk_pool_tasks(b, j, (int64_t)(j->n_queued + j->n_live));
    c->adopted |= !list_empty(&j->live);
    brk_job_bind(b, j);
    brk_job_ready(b, j);
}

static int job_set_spec(struct job *j, const struct wire_job_open *o, struct refusal *r)
{
    struct buf *bytes = brk_bytes_copy(j->owner->account, o->spec.p, o->spec.n);
    struct wire_job_spec spec;
    struct err e = { 0 };
    int rc;

    if (!bytes)
        return brk_refuse(r, BFORK_ENOMEM, NULL, "the broker is out of memory");
    if ((rc = wire_job_spec_decode(bytes->data, bytes->size, &spec, &e)) < 0)
        rc = brk_refuse(r, rc, "spec", "JOB_OPEN %u: %s", o->job, e.text);
    else
        rc = brk_refuse_job_spec(&spec, r);
    if (rc < 0) {
        buf_unref(&bytes);
        return rc;
    }
    buf_unref(&j->spec_bytes);
    j->spec_bytes = bytes;
    j->spec = spec;
    j->total = j->spec.total;
    return 0;
}

static void tell_state(struct broker *b, struct client *c, struct job *j, uint32_t request)
{
    struct wire_msg *m = brk_effect_send(b, c->peer, WIRE_JOB_STATE);

    j->next_told = j->next;
    if (m) {
        m->request = request;
        m->u.job_state = (struct wire_job_state){ .job = j->handle, .next = j->next };
    } else {
        brk_peer_no_memory(b, c->peer);
    }
}

static int check_acked(const struct wire_job_open *o, uint64_t sent, struct refusal *r)
{
    return o->acked <= sent ? 0 : brk_refuse(r, BFORK_EINVAL, "acked",
                                             "JOB_OPEN %u: acked is %llu, but only %llu outcomes were sent",
                                             o->job, (unsigned long long)o->acked, (unsigned long long)sent);
}

/* It is open, or was before the connection was cut: is it opened as the same job? */
static int check_same(const struct job *j, const struct wire_job_open *o, struct refusal *r)
{
    if (memcmp(j->id, o->id.p, WIRE_ID))
        return brk_refuse(r, BFORK_ESTATE, "job", "JOB_OPEN %u: the handle is another job's; take a new handle", o->job);
    if (j->pool->handle != o->pool)
        return brk_refuse(r, BFORK_ESTATE, "pool", "JOB_OPEN %u: the job is open in pool %u, not in %u", o->job, j->pool->handle,
                          o->pool);
    if (j->spec_bytes->size != o->spec.n || memcmp(j->spec_bytes->data, o->spec.p, o->spec.n))
        return brk_refuse(r, BFORK_ESTATE, "spec", "JOB_OPEN %u: the job is open with another specification", o->job);
    return check_acked(o, j->sent_seq, r);
}

static void reopen(struct broker *b, struct client *c, struct job *j, const struct wire_msg *m)
{
    bool again = j->attached == c->attached;    /* opened twice on one connection: what was sent is on its way already */

    j->opening++;
    j->put_off = false;
    brk_outcome_ack(b, j, m->u.job_open.acked);
    j->pool->attached = c->attached;
    if (!again) {
        brk_pool_opened(b, j);
        brk_outcome_resend(b, j);
    }
    j->closed = false;
    tell_state(b, c, j, m->request);
    if (!again) {
        j->to_tell = j->live.count;
        brk_job_bind(b, j);
    }
    brk_job_ready(b, j);
    if (j->pool)
        brk_pool_wake(b, j->pool);
}

/* A new job, or one that a worker has brought after a restart. */
static int open_new(struct broker *b, struct client *c, struct pool *p, struct job *j, const struct wire_msg *m, struct refusal *r)
{
    const struct wire_job_open *o = &m->u.job_open;
    bool made = !j;
    int rc;

    if (made && b->draining)
        return brk_refuse(r, BFORK_ECLOSED, NULL, "the broker is shutting down and takes no new jobs");
    if ((rc = check_acked(o, made ? 0 : j->sent_seq, r)) < 0 || (rc = brk_account_takes_job(b, c, o->job, o->spec.n, r)) < 0)
        return rc;
    if (made)
        j = brk_job_new(b, c->owner, o->id.p);
    if (!j || map_reserve(&c->jobs, 1) < 0)
        rc = brk_refuse(r, BFORK_ENOMEM, NULL, "the broker is out of memory");
    else
        rc = job_set_spec(j, o, r);
    if (rc < 0) {
        if (j && made)
            brk_job_end(b, j);
        return rc;
    }
    bind(b, j, c, p, o->job);
    tell_state(b, c, j, m->request);
    brk_outcome_resend(b, j);
    return 0;
}

int brk_job_open(struct broker *b, struct client *c, const struct wire_msg *m, struct refusal *r)
{
    const struct wire_job_open *o = &m->u.job_open;
    struct job *j = brk_job_of(c, o->job);
    struct pool *p = map_get(&c->pools, o->pool);
    const struct job *ending = j ? NULL : map_get(&c->jobs, o->job);
    const uint8_t *was = j ? NULL : ending ? ending->id : brk_handle_was(c, false, o->job);
    int rc;

    if (o->id.n != WIRE_ID)
        return brk_refuse(r, BFORK_EINVAL, "id", "JOB_OPEN %u: id does not have %u bytes", o->job, WIRE_ID);
    if (j) {
        if ((rc = check_same(j, o, r)) == 0)
            reopen(b, c, j, m);
        return rc;
    }
    if (was && memcmp(was, o->id.p, WIRE_ID))
        return brk_refuse(r, BFORK_ESTATE, "job", "JOB_OPEN %u: the handle was another job's; take a new one", o->job);
    if (!p)
        return brk_refuse(r, BFORK_ESTATE, "pool", "JOB_OPEN %u: pool %u is not open", o->job, o->pool);
    if ((j = brk_job_find(b, c->owner, o->id.p)) && j->client)
        return brk_refuse(r, BFORK_ESTATE, "id", "JOB_OPEN %u: this job is open in another session, or under another handle",
                          o->job);
    return open_new(b, c, p, j, m, r);
}

/* Held ranges of j whose time has come are queued; at most once and perhaps begun: nobody has reported them, so they are unknown.
 * False: not all that are due. */
static bool release_held(struct broker *b, struct job *j, uint32_t *budget)
{
    struct interval *v;

    while ((v = interval_first(&j->held)) && v->first <= b->now) {
        struct range *r = HELD_RANGE(v);
        if (!*budget || brk_reserve(b, 4, 4) < 0)
            return false;
        --*budget;
        b->steps++;
        brk_cancel_wake(b, j);
        brk_range_out(b, j, r);
        if (r->s.flags & WIRE_MAYBE_STARTED && job_once(j)) {
            brk_outcome_text(b, j, r->s.first, r->s.count, r->s.tries + 1u, BFORK_UNKNOWN, OUTCOME_UNREPORTED);
            brk_range_free(b, j, r);
        } else {
            brk_range_queue(b, j, r, false);
        }
    }
    return true;
}

void brk_job_release_held(struct broker *b, uint64_t *next)
{
    uint32_t budget = TURN_STEPS;

    for (LIST_EACH_SAFE(&b->holders, n, after)) {
        struct job *j = LIST_ENTRY(n, struct job, holder);
        struct interval *v;
        if (!release_held(b, j, &budget)) {
            *next = b->now;
            if (list_in(&j->holder)) {          /* the others are first in the next turn */
                list_remove(&b->holders, n);
                list_push_back(&b->holders, n);
            }
            return;
        }
        if ((v = interval_first(&j->held)) && v->first < *next)
            *next = v->first;
    }
}
