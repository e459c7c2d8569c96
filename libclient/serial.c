/* SPDX-License-Identifier: MPL-2.0
 * serial.c - "serial:": tasks run in the calling process, in the call that submits them, for the debugger. Same arguments, results,
 * errors and order as elsewhere; what cannot be the same is that a crash is the program's own, and that time limits do not apply,
 * which is said.
 */
#include "work.h"

#include "base/clock.h"
#include "task/task.h"
#include "wire/value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int run_serial_hook(struct bfork_pool *p, bfork_task_fn *fn)
{
    const bfork_function f = { .fn = (void (*)(void))fn };
    const struct known_function *known;
    const struct wire_outcome *o;
    if (!fn)
        return 0;
    pthread_mutex_lock(&p->s->lock);
    int rc = bfs_function_of(p->s, &f, &known);
    pthread_mutex_unlock(&p->s->lock);
    if (rc != 0)
        return rc;
    const struct wire_bin args = p->spec_args ? wire_bin_of(p->spec_args->data, p->spec_args->size) : (struct wire_bin){ NULL, 0 };
    if (task_run_once(p->runner, wire_bin_of(known->doc->data, known->doc->size), args, &o))
        return 0;
    bfork_error *e = bfs_error_new_outcome(o);
    rc = bfs_error_again(e ? e : bfs_error_no_memory());
    free(e);
    return rc;
}

/* Once, before the first task: what tasks find changed here they would not find in processes of their own. */
static void warn_of_globals(struct bfork_pool *p)
{
    static _Atomic bool looked;
    const void *const handles[] = { p, p->s, NULL };
    char names[1024];
    if (p->s->quiet || p->options.start == BFORK_START_FORK || atomic_exchange(&looked, true))
        return;
    if (task_globals_changed(names, sizeof(names), handles))
        fprintf(stderr, "%s: serial: the program has changed these variables since bfork_init: %s. Task processes have them as the "
                "program starts with: if tasks use them, results differ from this; give them as arguments, options.context or in a "
                "preload\n",
                program_invocation_short_name, names);
}

/* Once, before the first task with a limit: nobody is there who could end it. */
static void warn_of_limit(const struct bfork_pool *p, const struct job_shape *shape)
{
    static _Atomic bool told;
    if (p->s->quiet || !shape->options || !shape->options->run_limit_ms || atomic_exchange(&told, true))
        return;
    fprintf(stderr, "%s: serial: time limits (run_limit_ms, --time-limit) do not apply: tasks run in this process, and are not "
            "ended\n", program_invocation_short_name);
}

/* What a task process does before its first task. */
static int start_serial(struct bfork_pool *p)
{
    struct err e;
    if (p->started)
        return p->start_error ? bfs_error_again(p->start_error) : 0;
    p->started = true;
    warn_of_globals(p);
    int rc = task_runner_new(&p->runner, &e);
    if (rc != 0)
        bfs_error_from(&e);
    if (rc == 0)
        rc = run_serial_hook(p, p->options.preload);
    if (rc == 0)
        rc = run_serial_hook(p, p->options.initializer);
    if (rc != 0 && !(p->start_error = bfs_error_clone(bfork_last_error())))
        p->start_error = (bfork_error *)(uintptr_t)bfs_error_no_memory();
    return rc;
}

/* The job as a task process would see it; under the pool's serial lock. */
static int begin_serial(struct bfork_pool *p, const struct job_shape *shape, struct task_job **ret, const char **ret_symbol)
{
    struct wire_job_spec spec;
    struct buf *doc;
    const struct known_function *known;
    struct err e;
    int rc = start_serial(p);
    if (rc != 0)
        return rc;
    warn_of_limit(p, shape);
    pthread_mutex_lock(&p->s->lock);
    rc = bfs_job_spec(p->s, shape, &spec, &known);
    pthread_mutex_unlock(&p->s->lock);
    if (rc != 0)
        return rc;
    *ret_symbol = known->symbol;
    if (!(doc = wire_job_spec_encode(&spec)))
        return bfs_error_set(BFORK_ETOOBIG, "the context is too large: with the rest of the options at most %u bytes travel",
                             WIRE_SPEC_MAX);
    rc = task_job_new(doc->data, doc->size, ret, &e);
    buf_unref(&doc);
    return rc == 0 ? 0 : bfs_error_from(&e);
}

static struct wire_outcome with_symbol(const struct wire_outcome *o, uint64_t index, const char *symbol)
{
    struct wire_outcome named_ = *o;
    named_.index = index;
    named_.attempt = 1;
    if (named_.function.n == 0)
        named_.function = WIRE_STR(symbol);
    return named_;
}

/* A streamed command here: told under the pool's lock, as it is the command line's only, which calls nothing from there. */
struct serial_print { struct bfork_pool *p; struct bfork_future *f; bfork_internal_output_fn *told; struct interruptible wait; };

static bool print(void *ctx, uint64_t index, int stream, const void *bytes, size_t size)
{
    const struct serial_print *sp = ctx;
    const bfork_error from = { .index = index, .pid = getpid(), .attempt = 1, .message = "", .function = "", .where = "",
                               .host = "", .backtrace = "", .output = "" };
    sp->told(sp->f->data_of_user, &from, stream, bytes, size);
    return !bfs_interrupt_came(sp->p->s, &sp->wait);
}

void bfs_serial_submit(struct bfork_pool *p, struct bfork_future *f, const struct job_shape *shape, const uint8_t *args,
                       size_t size)
{
    struct task_job *j = NULL;
    struct slice result;
    const struct wire_outcome *o;
    const char *symbol;
    pthread_mutex_lock(&p->s->lock);
    int rc = bfs_job_index(p, shape, &f->index);
    pthread_mutex_unlock(&p->s->lock);
    pthread_mutex_lock(&p->serial_lock);
    struct serial_print sp = { p, f, shape->told, bfs_interrupt_begin(p->s) };
    if (rc == 0 && (rc = begin_serial(p, shape, &j, &symbol)) == 0)
        task_runner_print(p->runner, shape->told ? print : NULL, &sp);
    if (rc != 0) {
        bfs_future_settle_error(f, bfs_error_clone(bfork_last_error()));
    } else if (task_run(p->runner, j, f->index, f->index, 0, args, size, NULL, &result, &o)) {
        result.buf = NULL;                  /* lent until the next run: copied */
        bfs_future_settle_ok(f, result);
    } else {
        const struct wire_outcome full = with_symbol(o, f->index, symbol);
        bfs_future_settle_error(f, bfs_error_new_outcome(&full));
    }
    task_job_free(&j);
    bfs_interrupt_end(&sp.wait);
    pthread_mutex_unlock(&p->serial_lock);
}

/* The elements of a map or of each, one after another. */
struct serial_map { struct bfork_pool *p; struct bfork_future *f; struct task_job *j; const char *symbol; uint8_t *scratch; };

static void note_element(struct serial_map *sm, uint64_t i, bool well, struct slice result, const struct wire_outcome *o)
{
    static const struct wire_outcome no_memory = { .kind = BFORK_ENOMEM, .message = { "out of memory for a result", 26 } };
    struct map_state *m = sm->f->map;
    result.buf = NULL;                      /* lent until the next run: copied */
    if (well && m->each && !bfs_elements_keep(m, i, result)) {
        well = false;
        o = &no_memory;
    }
    if (!well) {
        const struct wire_outcome full = with_symbol(o, i, sm->symbol);
        bfs_elements_fail(m, i, 1, &full);
    } else {
        if (m->out_size)
            memcpy((uint8_t *)m->out + i * m->out_size, sm->scratch, m->out_size);
        if (m->status)
            m->status[i] = 0;
    }
    if (m->each)
        m->each[i].settled = true;
    m->settled++;
}

static void map_element(struct serial_map *sm, uint64_t i, const uint8_t *in, size_t in_size)
{
    struct slice result = { NULL, NULL, 0 };
    const struct wire_outcome *o = NULL;
    memset(sm->scratch, 0, sm->f->map->out_size);
    bool well = task_run(sm->p->runner, sm->j, i, i, 0, in + i * in_size, in_size, sm->scratch, &result, &o);
    note_element(sm, i, well, result, o);
}

static void each_element(struct serial_map *sm, uint64_t i, const struct each_input *in)
{
    static const struct wire_outcome no_memory = { .kind = BFORK_ENOMEM, .message = { "out of memory for arguments", 27 } };
    struct slice result = { NULL, NULL, 0 };
    const struct wire_outcome *o = &no_memory;
    struct err e;
    const bfork_arg a = bfs_elements_arg(in, i);
    size_t size = value_size(&a, 1, &e);
    uint8_t *args = malloc(size);
    bool well = false;
    if (args) {
        value_pack(&a, 1, args);
        well = task_run(sm->p->runner, sm->j, i, i, 0, args, size, NULL, &result, &o);
    }
    note_element(sm, i, well, result, o);
    free(args);
}

static void tell_progress(struct serial_map *sm, uint64_t *told)
{
    struct map_state *m = sm->f->map;
    bfork_progress now;
    if (!m->progress || (m->settled != m->n && clock_now() - *told <= 100 * CLOCK_MS))
        return;
    bfs_elements_progress(m, &now);
    pthread_mutex_unlock(&sm->p->serial_lock);      /* a callback never runs under a lock */
    m->told = m->settled == m->n;
    m->progress(m->progress_data, &now);
    pthread_mutex_lock(&sm->p->serial_lock);
    *told = clock_now();
}

static void run_elements(struct serial_map *sm, const struct job_shape *shape, const void *in, const struct each_input *each)
{
    struct map_state *m = sm->f->map;
    uint64_t told = 0;
    const struct interruptible wait = bfs_interrupt_begin(sm->p->s);
    for (uint64_t i = 0; i < m->n && !bfs_interrupt_came(sm->p->s, &wait); i++) {
        if (each)
            each_element(sm, i, each);
        else
            map_element(sm, i, in, shape->in_size);
        tell_progress(sm, &told);
    }
    bfs_interrupt_end(&wait);
    if (m->settled < m->n) {
        bfs_error_set(BFORK_EINTR, "interrupted after %llu of %llu elements", (unsigned long long)m->settled,
                      (unsigned long long)m->n);
        sm->f->error = bfs_error_clone(bfork_last_error());
        m->failed += m->n - m->settled;
        bfs_elements_rest(m, BFORK_CANCELLED);
    } else if (m->failed) {
        sm->f->error = m->lowest_error ? bfs_error_clone(m->lowest_error) : NULL;
    }
    if (m->failed && !sm->f->error)
        sm->f->error = (bfork_error *)(uintptr_t)bfs_error_no_memory();
}

static void run_serial_map(struct bfork_pool *p, struct bfork_future *f, const struct job_shape *shape, const void *in,
                           const struct each_input *each)
{
    struct map_state *m = f->map;
    struct serial_map sm = { .p = p, .f = f, .scratch = malloc(m->out_size ? m->out_size : 1) };
    pthread_mutex_lock(&p->serial_lock);
    if (!sm.scratch || begin_serial(p, shape, &sm.j, &sm.symbol) != 0) {
        f->error = bfs_error_clone(sm.scratch ? bfork_last_error() : bfs_error_no_memory());
        if (!f->error)
            f->error = (bfork_error *)(uintptr_t)bfs_error_no_memory();
        bfs_elements_rest(m, f->error->kind);
    } else {
        run_elements(&sm, shape, in, each);
    }
    f->kind = f->error ? f->error->kind : BFORK_OK;
    task_job_free(&sm.j);
    pthread_mutex_unlock(&p->serial_lock);
    free(sm.scratch);
    bfs_future_mark_done(f);
}

void bfs_serial_map(struct bfork_pool *p, struct bfork_future *f, const struct job_shape *shape, const void *in)
{
    run_serial_map(p, f, shape, in, NULL);
}

void bfs_serial_each(struct bfork_pool *p, struct bfork_future *f, const struct job_shape *shape, const struct each_input *in)
{
    run_serial_map(p, f, shape, NULL, in);
}

void bfs_serial_pool_free(struct bfork_pool *p)
{
    if (p->started && !p->start_error)
        run_serial_hook(p, p->options.finalizer);
    task_runner_free(&p->runner);
    if (p->start_error != bfs_error_no_memory())
        free(p->start_error);
}
