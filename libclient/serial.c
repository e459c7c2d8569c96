/* SPDX-License-Identifier: MPL-2.0
 * serial.c - "serial:": tasks run in the calling process, in the call that submits them, for the debugger. Same arguments, results,
 * errors and order as elsewhere; what cannot be the same is that a crash is the program's own, and that time limits do not apply.
 */
#include "client.h"

#include "base/clock.h"
#include "task/task.h"

#include <stdlib.h>
#include <string.h>

static int run_hook(struct bfork_pool *p, bfork_task_fn *fn)
{
    const bfork_function f = { .fn = (void (*)(void))fn };
    const struct known_function *known;
    const struct wire_outcome *o;
    if (!fn)
        return 0;
    pthread_mutex_lock(&p->s->lock);
    int rc = function_of(p->s, &f, &known);
    pthread_mutex_unlock(&p->s->lock);
    if (rc != 0)
        return rc;
    const struct wire_bin args = p->spec_args ? wire_bin_of(p->spec_args->data, p->spec_args->size) : (struct wire_bin){ NULL, 0 };
    if (task_run_once(p->runner, wire_bin_of(known->doc->data, known->doc->size), args, &o))
        return 0;
    bfork_error *e = error_new_outcome(o);
    rc = error_again(e ? e : error_no_memory());
    free(e);
    return rc;
}

/* What a task process does before its first task. */
static int start(struct bfork_pool *p)
{
    struct err e;
    if (p->started)
        return p->start_error ? error_again(p->start_error) : 0;
    p->started = true;
    int rc = task_runner_new(&p->runner, &e);
    if (rc != 0)
        error_from(&e);
    if (rc == 0)
        rc = run_hook(p, p->options.preload);
    if (rc == 0)
        rc = run_hook(p, p->options.initializer);
    if (rc != 0 && !(p->start_error = error_clone(bfork_last_error())))
        p->start_error = (bfork_error *)(uintptr_t)error_no_memory();
    return rc;
}

/* The job as a task process would see it; under the pool's serial lock. */
static int begin(struct bfork_pool *p, const struct job_shape *shape, struct task_job **ret, const char **ret_symbol)
{
    struct wire_job_spec spec;
    struct buf *fn, *doc;
    const struct known_function *known;
    struct err e;
    int rc = start(p);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&p->s->lock);
    rc = job_spec(p->s, shape, &spec, &fn);
    if (rc == 0)
        rc = function_of(p->s, &shape->function, &known);
    pthread_mutex_unlock(&p->s->lock);
    if (rc != 0)
        return rc;
    *ret_symbol = known->symbol;
    if (!(doc = wire_job_spec_encode(&spec)))
        return error_set(BFORK_ETOOBIG, "the context is too large: with the rest of the options at most %u bytes travel",
                         WIRE_SPEC_MAX);
    rc = task_job_new(doc->data, doc->size, ret, &e);
    buf_unref(&doc);
    return rc == 0 ? 0 : error_from(&e);
}

static struct wire_outcome named(const struct wire_outcome *o, uint64_t index, const char *symbol)
{
    struct wire_outcome named_ = *o;
    named_.index = index;
    named_.attempt = 1;
    if (named_.function.n == 0)
        named_.function = WIRE_STR(symbol);
    return named_;
}

void serial_submit(struct bfork_pool *p, struct bfork_future *f, const struct job_shape *shape, const uint8_t *args, size_t size)
{
    struct task_job *j = NULL;
    struct slice result;
    const struct wire_outcome *o;
    const char *symbol;
    pthread_mutex_lock(&p->s->lock);
    int rc = job_index(p, shape, &f->index);
    pthread_mutex_unlock(&p->s->lock);
    pthread_mutex_lock(&p->serial_lock);
    if (rc != 0 || begin(p, shape, &j, &symbol) != 0) {
        future_settle_error(f, error_clone(bfork_last_error()));
    } else if (task_run(p->runner, j, f->index, f->index, 0, args, size, NULL, &result, &o)) {
        result.buf = NULL;                  /* lent until the next run: copied */
        future_settle_ok(f, result);
    } else {
        const struct wire_outcome full = named(o, f->index, symbol);
        future_settle_error(f, error_new_outcome(&full));
    }
    task_job_free(&j);
    pthread_mutex_unlock(&p->serial_lock);
}

static void one_element(struct bfork_pool *p, struct bfork_future *f, struct task_job *j, uint64_t i, const uint8_t *in,
                        size_t in_size, uint8_t *scratch, const char *symbol)
{
    struct map_state *m = f->map;
    struct slice result;
    const struct wire_outcome *o;
    memset(scratch, 0, m->out_size);
    if (task_run(p->runner, j, i, i, 0, in + i * in_size, in_size, scratch, &result, &o)) {
        if (m->out_size)
            memcpy((uint8_t *)m->out + i * m->out_size, scratch, m->out_size);
        if (m->status)
            m->status[i] = 0;
    } else {
        const struct wire_outcome full = named(o, i, symbol);
        map_keep_error(m, i, 1, &full);
        m->failed++;
        if (m->status)
            m->status[i] = full.kind;
    }
    m->settled++;
}

void serial_map(struct bfork_pool *p, struct bfork_future *f, const struct job_shape *shape, const void *in)
{
    struct map_state *m = f->map;
    struct task_job *j = NULL;
    const char *symbol;
    uint64_t told = 0;
    uint8_t *scratch = malloc(m->out_size ? m->out_size : 1);
    pthread_mutex_lock(&p->serial_lock);
    if (!scratch || begin(p, shape, &j, &symbol) != 0) {
        f->error = error_clone(scratch ? bfork_last_error() : error_no_memory());
        if (!f->error)
            f->error = (bfork_error *)(uintptr_t)error_no_memory();
        map_status_rest(m, f->error->kind);
    } else {
        for (uint64_t i = 0; i < m->n; i++) {
            bfork_progress now;
            one_element(p, f, j, i, in, shape->in_size, scratch, symbol);
            if (m->progress && (m->settled == m->n || clock_now() - told > 100 * CLOCK_MS)) {
                map_read_progress(m, &now);
                pthread_mutex_unlock(&p->serial_lock);      /* a callback never runs under a lock */
                m->told = m->settled == m->n;
                m->progress(m->progress_data, &now);
                pthread_mutex_lock(&p->serial_lock);
                told = clock_now();
            }
        }
        if (m->failed)
            f->error = m->lowest_error ? error_clone(m->lowest_error) : NULL;
        if (m->failed && !f->error)
            f->error = (bfork_error *)(uintptr_t)error_no_memory();
    }
    f->kind = f->error ? f->error->kind : BFORK_OK;
    task_job_free(&j);
    pthread_mutex_unlock(&p->serial_lock);
    free(scratch);
    future_mark_done(f);
}

void serial_pool_free(struct bfork_pool *p)
{
    if (p->started && !p->start_error)
        run_hook(p, p->options.finalizer);
    task_runner_free(&p->runner);
    if (p->start_error != error_no_memory())
        free(p->start_error);
}
