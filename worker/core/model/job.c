/* SPDX-License-Identifier: MPL-2.0
 * job.c - jobs of a lane: opened by JOB_SPEC, forgotten by JOB_FORGET and with each connection, kept while an attempt needs them.
 * The specification of one that is forgotten goes when nothing of it is to be run any more.
 */
#include "model/model.h"

#include "bfork.h"

#include <stdlib.h>
#include <string.h>

static uint32_t job_number(struct lane *l)
{
    uint32_t k = l->free_hint;

    while (k < l->n_jobs && l->jobs[k])
        k++;
    if (k == l->n_jobs) {
        uint32_t n = l->n_jobs ? l->n_jobs * 2 : 8;
        struct job **p = realloc(l->jobs, n * sizeof(*p));

        if (!p)
            return UINT32_MAX;
        memset(p + l->n_jobs, 0, (n - l->n_jobs) * sizeof(*p));
        l->jobs = p;
        l->n_jobs = n;
    }
    return k;
}

static void free_spec_job(struct worker *w, struct job *j)
{
    struct lane *l = j->lane;

    (void)w;
    l->jobs[j->number] = NULL;
    if (j->number < l->free_hint)
        l->free_hint = j->number;
    buf_unref(&j->spec);
    free(j->refused);
    free(j);
}

/* What a newer release has asked for is never run as if it had not been asked. */
static int job_read(const struct buf *bytes, struct wire_job_spec *spec, struct err *e)
{
    int rc = wire_job_spec_decode(bytes->data, bytes->size, spec, e);

    if (rc == 0 && spec->needs & ~WIRE_FEATURES)
        rc = err_set(e, BFORK_ENOTSUP, "job_spec: field needs asks for features 0x%llx, which this worker does not have",
                     (unsigned long long)(spec->needs & ~WIRE_FEATURES));
    return rc;
}

static bool job_keep(struct job *j, struct wire_bin spec)
{
    if (!(j->spec = buf_new(spec.n ? spec.n : 1)))
        return false;
    memcpy(j->spec->data, spec.p, spec.n);
    j->spec->size = spec.n;
    return true;
}

/* NULL: out of memory or a specification that is none, then e says so. */
static struct job *job_new(struct worker *w, struct lane *l, const struct wire_job_to_worker *m, struct err *e)
{
    struct wire_job_spec spec;
    uint32_t number = job_number(l);
    struct job *j = number == UINT32_MAX ? NULL : calloc(1, sizeof(*j));

    if (!j || !job_keep(j, m->spec)) {
        free(j);
        err_set(e, BASE_ENOMEM, "out of memory");
        return NULL;
    }
    int rc = job_read(j->spec, &spec, e);

    if (rc < 0 && (rc != BFORK_ENOTSUP || !(j->refused = strdup(e->text)))) {
        buf_unref(&j->spec);
        free(j);
        return NULL;
    }
    if (rc < 0) {
        memset(&spec, 0, sizeof(spec));
        wrk_effect_log_of(w, l->owner, LOG_ERROR_, "tasks of a job are refused: %s", e->text);
    }
    j->number = number;
    j->serial = ++w->serial;
    j->lane = l;
    j->run_limit_ms = spec.run_limit_ms;
    j->at_most_once = spec.retries < 0;
    memcpy(j->id, m->id.p, WIRE_ID);
    l->jobs[number] = j;
    l->free_hint = number + 1;
    return j;
}

static struct job *find_unbound_job(const struct lane *l, const uint8_t id[WIRE_ID])
{
    for (uint32_t k = 0; k < l->n_jobs; k++)
        if (l->jobs[k] && !l->jobs[k]->bound && memcmp(l->jobs[k]->id, id, WIRE_ID) == 0)
            return l->jobs[k];
    return NULL;
}

void wrk_job_open(struct worker *w, const struct wire_job_to_worker *m)
{
    struct lane *l = map_get(&w->by_pool, m->pool);
    struct job *j = map_get(&w->by_job, m->job);
    struct err e = { 0 };

    if (!l || m->id.n != WIRE_ID) {
        wrk_link_drop(w, "the broker described a job of a pool that was not granted");
        return;
    }
    if (j && memcmp(j->id, m->id.p, WIRE_ID) == 0 && j->lane == l)
        return;
    if (j)
        wrk_job_unbind(w, j);
    if (!(j = find_unbound_job(l, m->id.p)) && !(j = job_new(w, l, m, &e))) {
        wrk_link_drop(w, e.text);
        return;
    }
    if ((!j->spec && !job_keep(j, m->spec)) || map_put(&w->by_job, m->job, j) < 0) {
        if (!j->refs)
            free_spec_job(w, j);
        else
            wrk_job_rests(j);
        wrk_link_drop(w, "out of memory");
        return;
    }
    j->bound = true;
    j->handle = m->job;
}

void wrk_job_rests(struct job *j)
{
    if (!j->bound && !j->unfinished)
        buf_unref(&j->spec);
}

void wrk_job_unbind(struct worker *w, struct job *j)
{
    if (!j->bound)
        return;
    j->bound = false;
    map_take(&w->by_job, j->handle);
    if (!j->refs)
        free_spec_job(w, j);
    else
        wrk_job_rests(j);
}

void wrk_job_forget(struct worker *w, uint32_t handle)
{
    struct job *j = map_get(&w->by_job, handle);

    if (j)
        wrk_job_unbind(w, j);
}

void wrk_job_unref(struct worker *w, struct job *j)
{
    if (--j->refs == 0 && !j->bound)
        free_spec_job(w, j);
}
