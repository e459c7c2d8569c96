/* SPDX-License-Identifier: MPL-2.0
 * job.c - JOB_OPEN, JOB_CLOSE: a job is new, opened again, or one that a worker has brought after a restart.
 */
#include "in.h"

/* A parked or new job becomes the client's. The maps have room. */
static void bind(struct broker *b, struct job *j, struct client *c, struct pool *p, uint32_t handle)
{
    j->client = c;
    j->pool = p;
    j->handle = handle;
    j->attached = c->attached;
    brk_job_move(j, JOB_ON_OPEN);
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
    /* First what it has received, so that only the rest is sent again. */
    brk_outcome_ack(b, j, m->u.job_open.acked);
    j->pool->attached = c->attached;
    if (!again) {
        brk_pool_opened(b, j);
        brk_outcome_resend(b, j);
    }
    brk_job_move(j, JOB_ON_REOPEN);
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
    if (made && !(j = brk_job_new(b, c->owner, o->id.p)))
        return brk_refuse(r, BFORK_ENOMEM, NULL, "the broker is out of memory");
    if (map_reserve(&c->jobs, 1) < 0)
        rc = brk_refuse(r, BFORK_ENOMEM, NULL, "the broker is out of memory");
    else
        rc = job_set_spec(j, o, r);
    if (rc < 0) {
        if (made)
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

int brk_job_take_close(struct broker *b, struct client *c, uint32_t handle, struct refusal *r)
{
    struct job *j = brk_job_of(c, handle);

    if (j && job_mute(j))
        return brk_refuse(r, BFORK_ESTATE, "job", "JOB_CLOSE of job %u, which was not opened again in this connection", handle);
    if (!j && !handle_may_be_gone(c, false, handle))
        return brk_refuse(r, BFORK_ESTATE, "job", "JOB_CLOSE of job %u, which is not open", handle);
    if (!j)
        return 0;
    if (j->put_off && j->room_told && j->state == JOB_CLOSED)
        j->put_off = false;         /* nothing is left to be sent */
    brk_job_move(j, JOB_ON_CLOSE);
    brk_job_maybe_end(b, j);
    return 0;
}
