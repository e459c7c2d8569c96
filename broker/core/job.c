/* SPDX-License-Identifier: MPL-2.0
 * job.c - jobs: opened, parked, given tasks, cancelled, forgotten; and their sums.
 *
 * A job is found by (owner, id): another owner's job does not exist. job_pending is the only writer of the sums that quotas and
 * pools are built on.
 */
#include "state.h"

static uint64_t job_hash(const uint8_t *id) { return map_hash_bytes(id, WIRE_ID); }

struct job *job_find(struct broker *b, struct owner *o, const uint8_t *id)
{
    struct job *j = map_get(&b->jobs, job_hash(id));

    while (j && (j->owner != o || memcmp(j->id, id, WIRE_ID)))
        j = j->same_hash;
    return j;
}

struct job *job_new(struct broker *b, struct owner *o, const uint8_t *id)
{
    struct job *j = mem_new(b, sizeof(*j));

    if (!j)
        return NULL;
    if (map_reserve(&b->jobs, 1) < 0) {
        mem_free(b, j, sizeof(*j));
        return NULL;
    }
    memcpy(j->id, id, WIRE_ID);
    j->owner = o;
    o->refs++;
    j->number = b->next_number++;
    j->since = b->now;
    list_init(&j->queue);
    list_init(&j->held);
    list_init(&j->live);
    list_init(&j->finished);
    list_init(&j->outcomes);
    list_init(&j->known);
    list_init(&j->cancels);
    j->same_hash = map_get(&b->jobs, job_hash(id));
    map_put(&b->jobs, job_hash(id), j);
    list_push_back(&b->all_jobs, &j->in_all);
    return j;
}

static void unhash(struct broker *b, struct job *j)
{
    struct job *at = map_get(&b->jobs, job_hash(j->id));

    if (at == j) {
        if (j->same_hash)
            map_put(&b->jobs, job_hash(j->id), j->same_hash);
        else
            map_take(&b->jobs, job_hash(j->id));
        return;
    }
    while (at->same_hash != j)
        at = at->same_hash;
    at->same_hash = j->same_hash;
}

void job_pending(struct broker *b, struct job *j, int64_t queued, int64_t held, int64_t live, int64_t bytes)
{
    int64_t all = queued + held + live;

    j->n_queued += (uint64_t)queued;
    j->n_held += (uint64_t)held;
    j->n_live += (uint64_t)live;
    j->n_bytes += (uint64_t)bytes;
    b->n.queued += (uint64_t)(queued + held);
    b->n.running += (uint64_t)live;
    j->owner->n_tasks += (uint64_t)all;
    j->owner->n_bytes += (uint64_t)bytes;
    if (j->client) {
        j->client->n_tasks += (uint64_t)all;
        j->client->n_bytes += (uint64_t)bytes;
    }
    if (j->pool)
        pool_tasks(b, j->pool, queued + live);
    if (queued > 0)
        job_ready(b, j);
}

/* Queued and held tasks disappear. */
static void drop_waiting(struct broker *b, struct job *j)
{
    struct list *lists[] = { &j->queue, &j->held };
    struct list_node *n;

    for (int i = 0; i < 2; i++)
        while ((n = list_pop(lists[i]))) {
            struct range *r = LIST_ENTRY(n, struct range, node);
            int64_t count = r->s.count;
            job_pending(b, j, i ? 0 : -count, i ? -count : 0, 0, -(int64_t)span_bytes(&r->s));
            range_free(b, r);
        }
    if (list_in(&j->ready))
        list_remove(&j->pool->ready, &j->ready);
    if (list_in(&j->holder))
        list_remove(&b->holders, &j->holder);
}

static void forget(struct broker *b, struct job *j)
{
    struct list_node *n;

    while ((n = list_pop(&j->known))) {
        struct known *k = LIST_ENTRY(n, struct known, in_job);
        map_take(&k->worker->known_map, k->number);
        k->job = NULL;
        list_remove(&k->worker->known, &k->in_worker);
        list_push_back(&k->worker->forget, &k->in_worker);
        worker_dirty(b, k->worker);
    }
}

static void unbind(struct job *j)
{
    struct client *c = j->client;

    if (list_in(&j->ready))
        list_remove(&j->pool->ready, &j->ready);
    if (j->pool)
        list_remove(&j->pool->jobs, &j->in_pool);
    if (!c)
        return;
    if (list_in(&j->sending))
        list_remove(&c->sending, &j->sending);
    list_remove(&c->job_list, &j->in_client);
    map_take(&c->jobs, j->handle);
}

void job_free(struct broker *b, struct job *j)
{
    struct list_node *n;

    drop_waiting(b, j);
    while ((n = list_first(&j->live)))
        attempt_close(b, LIST_ENTRY(n, struct attempt, in_job), WIRE_WHY_GONE);
    j->unsent = NULL;
    while ((n = list_pop(&j->outcomes))) {
        struct outcome *o = LIST_ENTRY(n, struct outcome, node);
        if (j->client) {
            j->client->unacked -= outcome_cost(o);
            if (o->seq <= j->sent_seq)
                j->client->sent_unacked -= outcome_cost(o);
        }
        outcome_free(b, o);
    }
    while ((n = list_first(&j->finished)))
        attempt_close(b, LIST_ENTRY(n, struct attempt, in_job), WIRE_WHY_GONE);
    if (j->client)
        outcome_freed(b, j->client);
    forget(b, j);
    unbind(j);
    unhash(b, j);
    list_remove(&b->all_jobs, &j->in_all);
    buf_unref(&j->slab);
    buf_unref(&j->lens_slab);
    buf_unref(&j->spec_bytes);
    owner_unref(b, j->owner);
    mem_free(b, j, sizeof(*j));
}

void job_maybe_end(struct broker *b, struct job *j)
{
    if (j->closed && !job_tasks_pending(j) && list_empty(&j->outcomes))
        job_free(b, j);
}

/* A parked or new job becomes the client's. The maps have room. */
static void bind(struct broker *b, struct job *j, struct client *c, struct pool *p, uint32_t handle)
{
    j->client = c;
    j->pool = p;
    j->handle = handle;
    map_put(&c->jobs, handle, j);
    list_push_back(&c->job_list, &j->in_client);
    list_push_back(&p->jobs, &j->in_pool);
    c->n_tasks += job_tasks_pending(j);
    c->n_bytes += j->n_bytes;
    for (LIST_EACH(&j->outcomes, n))
        c->unacked += outcome_cost(LIST_ENTRY(n, struct outcome, node));
    pool_tasks(b, p, (int64_t)(j->n_queued + j->n_live));
    for (LIST_EACH(&j->live, n))
        attempt_bind(b, LIST_ENTRY(n, struct attempt, in_job));
    job_ready(b, j);
}

static int job_set_spec(struct broker *b, struct job *j, struct wire_bin spec, struct err *e)
{
    struct buf *bytes = bytes_copy(b, spec.p, spec.n);
    int rc;

    if (!bytes)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    if ((rc = wire_job_spec_decode(bytes->data, bytes->size, &j->spec, e)) < 0) {
        buf_unref(&bytes);
        return rc;
    }
    buf_unref(&j->spec_bytes);
    j->spec_bytes = bytes;
    j->total = j->spec.total;
    return 0;
}

static void tell_state(struct broker *b, struct client *c, struct job *j)
{
    struct wire_msg *m = effect_send(b, c->peer, WIRE_JOB_STATE);

    if (m)
        m->u.job_state = (struct wire_job_state){ j->handle, j->next };
    else
        peer_cut(b, c->peer, "out of memory");
}

static void reopen(struct broker *b, struct client *c, struct job *j, const struct wire_job_open *o)
{
    if (o->acked <= j->sent_seq) {
        uint64_t acked = o->acked;
        outcome_ack(b, j, acked);
    }
    j->mute = false;
    outcome_resend(b, j);
    j->closed = false;
    tell_state(b, c, j);
    if (j->pool)
        pool_wake(b, j->pool);
}

void job_open(struct broker *b, struct client *c, const struct wire_msg *m)
{
    const struct wire_job_open *o = &m->u.job_open;
    struct job *j = map_get(&c->jobs, o->job);
    struct pool *p = map_get(&c->pools, o->pool);
    bool made = false;
    struct err e = { 0 };
    int rc;

    if (o->id.n != WIRE_ID || !o->job)
        session_fail(b, c->peer, BFORK_EPROTOCOL, "JOB_OPEN without an id of 16 bytes and a handle");
    else if (j && memcmp(j->id, o->id.p, WIRE_ID))
        session_fail(b, c->peer, BFORK_EPROTOCOL, "JOB_OPEN of handle %u, which is another job", o->job);
    else if (j)
        reopen(b, c, j, o);
    else if (!p)
        session_fail(b, c->peer, BFORK_EPROTOCOL, "JOB_OPEN for pool %u, which is not open", o->pool);
    else if ((j = job_find(b, c->owner, o->id.p)) && j->client)
        session_fail(b, c->peer, BFORK_ESTATE, "this job is open in another session");
    else {
        if (!j) {
            made = true;
            if (b->draining) {
                session_fail(b, c->peer, BFORK_ECLOSED, "the broker is shutting down and takes no new jobs");
                return;
            }
            j = job_new(b, c->owner, o->id.p);
        }
        rc = !j || map_reserve(&c->jobs, 1) < 0 ? BFORK_ENOMEM : job_set_spec(b, j, o->spec, &e);
        if (rc < 0) {
            if (j && made)
                job_free(b, j);
            session_fail(b, c->peer, rc, "JOB_OPEN: %s", e.text[0] ? e.text : "out of memory");
            return;
        }
        bind(b, j, c, p, o->job);
        tell_state(b, c, j);
        outcome_resend(b, j);
    }
}

static void refuse_over_quota(struct broker *b, struct client *c)
{
    const struct owner *o = c->owner;

    if (c->n_tasks > b->c.quota_tasks || c->n_bytes > b->c.quota_bytes)
        session_fail(b, c->peer, BFORK_EQUOTA,
                     "%llu tasks with %llu bytes are queued or running; this broker allows a session %llu and %llu",
                     (unsigned long long)c->n_tasks, (unsigned long long)c->n_bytes, (unsigned long long)b->c.quota_tasks,
                     (unsigned long long)b->c.quota_bytes);
    else if (o->n_tasks > b->c.owner_quota_tasks || o->n_bytes > b->c.owner_quota_bytes)
        session_fail(b, c->peer, BFORK_EQUOTA,
                     "all clients with this key have %llu tasks with %llu bytes queued or running; this broker allows a key %llu "
                     "and %llu: submit when others are done, or raise owner-quota-tasks and owner-quota-bytes there",
                     (unsigned long long)o->n_tasks, (unsigned long long)o->n_bytes, (unsigned long long)b->c.owner_quota_tasks,
                     (unsigned long long)b->c.owner_quota_bytes);
    else
        return;
    b->n.refused++;
}

/* One item of TASKS: what is new of it is queued, held, or settled at once when the pool cannot run. */
static int take(struct broker *b, struct job *j, const struct wire_item *item)
{
    struct wire_item it = *item, head;
    uint64_t count = it.count;
    int rc;

    if (it.first < j->next) {
        uint64_t n = j->next - it.first < it.count ? j->next - it.first : it.count;
        b->n.duplicates += n;
        if (n == it.count)
            return 0;
        wire_item_cut(item, (uint32_t)n, &head, &it);
        count = it.count;
    }
    if (it.flags & WIRE_REPLAY)
        rc = adopt_replay(b, j, &it);
    else
        rc = range_accept(b, j, &it, false, 0);
    if (rc < 0)
        return rc;
    b->n.tasks_accepted += count;
    j->next = it.first + it.count;
    if (j->pool && j->pool->failed)
        pool_refuse(b, j->pool, j);
    return 0;
}

void job_tasks(struct broker *b, struct client *c, const struct wire_msg *m)
{
    for (uint32_t i = 0; i < m->n_items; i++) {
        const struct wire_item *it = &m->items[i];
        struct job *j = map_get(&c->jobs, it->job);
        int rc;
        if (!j || !it->count || it->first + it->count < it->first || it->first + it->count > UINT64_MAX / 2) {
            session_fail(b, c->peer, BFORK_EPROTOCOL, "TASKS for job %u: %s", it->job,
                         j ? "no tasks, or indexes out of range" : "it is not open");
            return;
        }
        if (j->closed) {
            session_fail(b, c->peer, BFORK_EPROTOCOL, "TASKS for job %u, which was closed", it->job);
            return;
        }
        if (reserve(b, 12 + 2 * j->live.count, 12 + j->queue.count * (j->pool && j->pool->failed)) < 0 ||
            (rc = take(b, j, it)) < 0) {
            session_fail(b, c->peer, BFORK_ENOMEM, "the broker is out of memory");
            return;
        }
    }
    refuse_over_quota(b, c);
}

bool job_is_cancelled(const struct job *j, uint64_t index, uint64_t *ret_until)
{
    *ret_until = UINT64_MAX;
    for (LIST_EACH(&j->cancels, n)) {
        const struct interval *v = LIST_ENTRY(n, struct interval, node);
        if (index >= v->first && index < v->end) {
            *ret_until = v->end;
            return true;
        }
        if (v->first > index && v->first < *ret_until)
            *ret_until = v->first;
    }
    return false;
}

/* Remembers that [first, end) is cancelled, for what attempts may still give back. */
static int remember(struct broker *b, struct job *j, uint64_t first, uint64_t end)
{
    struct interval *v;

    for (LIST_EACH_SAFE(&j->cancels, n, after)) {
        v = LIST_ENTRY(n, struct interval, node);
        if (first > v->end || end < v->first)
            continue;
        first = v->first < first ? v->first : first;
        end = v->end > end ? v->end : end;
        list_remove(&j->cancels, n);
        mem_free(b, v, sizeof(*v));
    }
    if (!(v = mem_new(b, sizeof(*v))))
        return BFORK_ENOMEM;
    *v = (struct interval){ .first = first, .end = end };
    list_push_back(&j->cancels, &v->node);
    return 0;
}

/* Settles what of r lies in [first, end); pieces outside stay where r was. */
static void cancel_range(struct broker *b, struct job *j, struct list *l, struct range *r, uint64_t first, uint64_t end, bool held)
{
    uint64_t lo = r->s.first > first ? r->s.first : first, hi = r->s.first + r->s.count;
    struct span head;

    hi = hi < end ? hi : end;
    if (lo >= hi)
        return;
    if (lo > r->s.first) {
        struct range *before;
        span_cut(&r->s, (uint32_t)(lo - r->s.first), &head);
        before = range_of(b, &head);
        before->due = r->due;
        list_insert_before(l, &r->node, &before->node);
    }
    span_cut(&r->s, (uint32_t)(hi - lo), &head);
    job_pending(b, j, held ? 0 : -(int64_t)(hi - lo), held ? -(int64_t)(hi - lo) : 0, 0, -(int64_t)span_bytes(&head));
    outcome_text(b, j, lo, hi - lo, head.tries, BFORK_CANCELLED, NULL);
    span_done(&head);
    if (!r->s.count) {
        list_remove(l, &r->node);
        range_free(b, r);
    }
}

static int cancel(struct broker *b, struct job *j, uint64_t first, uint64_t end)
{
    bool touched = false;

    if (reserve(b, 12, 12 + j->queue.count + j->held.count + j->live.count) < 0)
        return BFORK_ENOMEM;
    for (LIST_EACH_SAFE(&j->queue, n, after))
        cancel_range(b, j, &j->queue, LIST_ENTRY(n, struct range, node), first, end, false);
    for (LIST_EACH_SAFE(&j->held, n, after))
        cancel_range(b, j, &j->held, LIST_ENTRY(n, struct range, node), first, end, true);
    if (list_empty(&j->queue) && list_in(&j->ready))
        list_remove(&j->pool->ready, &j->ready);
    if (list_empty(&j->held) && list_in(&j->holder))
        list_remove(&b->holders, &j->holder);
    for (LIST_EACH(&j->live, n)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, in_job);
        touched = touched || (a->next < end && a->end > first);
    }
    if (touched && remember(b, j, first, end) < 0)
        return BFORK_ENOMEM;
    for (LIST_EACH_SAFE(&j->live, n, after)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, in_job);
        if (a->next < end && a->end > first)
            attempt_recall(b, a, first, WIRE_WHY_CANCEL);
    }
    return 0;
}

void job_cancel(struct broker *b, struct client *c, const struct wire_msg *m)
{
    for (uint32_t i = 0; i < m->n_items; i++) {
        const struct wire_item *it = &m->items[i];
        struct job *j = map_get(&c->jobs, it->job);
        uint64_t end = it->count ? it->first + it->count : UINT64_MAX;
        if (!j)
            continue;
        if (end < it->first || cancel(b, j, it->first, end) < 0) {
            session_fail(b, c->peer, BFORK_EPROTOCOL, "CANCEL of indexes out of range, or the broker is out of memory");
            return;
        }
    }
}

/* Held ranges whose time has come are queued; at most once and perhaps begun: nobody has reported them, so they are unknown. */
void job_release_held(struct broker *b, uint64_t *next)
{
    for (LIST_EACH_SAFE(&b->holders, n, after)) {
        struct job *j = LIST_ENTRY(n, struct job, holder);
        struct list_node *k;
        while ((k = list_first(&j->held)) && LIST_ENTRY(k, struct range, node)->due <= b->now) {
            struct range *r = LIST_ENTRY(k, struct range, node);
            bool unknown = r->s.flags & WIRE_MAYBE_STARTED && job_once(j);
            if (reserve(b, 4, 4 + (j->pool && j->pool->failed ? j->queue.count + 1 : 0)) < 0)
                break;
            list_remove(&j->held, k);
            job_pending(b, j, 0, -(int64_t)r->s.count, 0, -(int64_t)span_bytes(&r->s));
            if (unknown) {
                outcome_text(b, j, r->s.first, r->s.count, r->s.tries + 1u, BFORK_UNKNOWN, NULL);
                range_free(b, r);
            } else {
                range_queue(b, j, r, false);
            }
        }
        if (j->pool && j->pool->failed)
            pool_refuse(b, j->pool, j);
        if (!(k = list_first(&j->held)))
            list_remove(&b->holders, n);
        else if (LIST_ENTRY(k, struct range, node)->due < *next)
            *next = LIST_ENTRY(k, struct range, node)->due;
    }
}
