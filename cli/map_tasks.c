/* SPDX-License-Identifier: MPL-2.0
 * map_tasks.c - the loop of bfork map: read arguments, submit up to the window, collect what is finished. Never holds more than the
 * window and, with --keep-order, what waits for its turn.
 */
#include "map.h"

#include "internal.h"

#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_LEAST 64u
#define WINDOW_MOST 4096u
#define WINDOW_PER_SLOT 16u
#define WAIT_MS 1000                /* longest wait: a signal between two calls is seen after it */
#define WAIT_INPUT_MS 200
#define WAIT_STARVED_MS 20          /* input may come while tasks run */
#define WAIT_BAR_MS 100

static uint64_t window(const struct map *m)
{
    int slots = bfork_pool_size(m->pool);
    uint64_t w = slots > 0 ? (uint64_t)slots * WINDOW_PER_SLOT : 0;

    return w < WINDOW_LEAST ? WINDOW_LEAST : w > WINDOW_MOST ? WINDOW_MOST : w;
}

static struct map_task *task_new(struct map *m, const char *const *args)
{
    size_t width = cli_tuples_width(m->tuples), size = 0;
    struct map_task *t;

    for (size_t i = 0; i < width; i++)
        size += strlen(args[i]) + 1;
    t = calloc(1, sizeof(*t) + width * sizeof(t->args[0]) + size);
    if (!t)
        return NULL;
    t->args = (const char **)(t + 1);
    char *text = (char *)&t->args[width];
    for (size_t i = 0; i < width; i++) {
        t->args[i] = text;
        text = stpcpy(text, args[i]) + 1;
    }
    t->map = m;
    t->next = &m->tasks;
    t->prev = m->tasks.prev;
    t->prev->next = t->next->prev = t;
    return t;
}

void cli_mapcmd_task_free(struct map_task *t)
{
    t->prev->next = t->next;
    t->next->prev = t->prev;
    if (t->done)
        bfork_future_free(&t->future);
    cli_mapcmd_output_clear(t);
    free(t);
}

static int submit_map_task(struct map *m, struct map_task *t)
{
    char **argv = cli_command_fill(m->command, t->args, t->number);
    bfork_options o = { .run_limit_ms = m->options->time_limit_ms };

    if (!argv)
        return BFORK_ENOMEM;
    t->tries++;
    t->future = bfork_internal_command(m->pool, (const char *const *)argv, &o, cli_mapcmd_output, t);
    cli_command_argv_free(argv);
    bfork_stream_add(m->stream, t->future, t);
    m->in_flight++;
    return 0;
}

/* Submits while there is input and room. 0, or a negative status with text in e. */
static int feed(struct map *m, struct err *e)
{
    uint64_t most = window(m);

    m->starved = false;
    while (!m->ended && !m->halted && m->in_flight < most && m->held < MAP_HELD &&
           (!m->ordered || m->submitted + 1 - m->next_print < MAP_SPAN)) {
        const char *const *args;
        int rc = cli_tuples_next(m->tuples, m->in_flight > 0 ? 0 : WAIT_INPUT_MS, &args, e);
        if (rc == BFORK_END) {
            m->ended = true;
            m->counts.total = m->submitted;
            m->counts.total_known = true;
        } else if (rc == BFORK_ETIMEDOUT || rc == BFORK_EINTR) {
            m->starved = true;
            return 0;
        } else if (rc < 0) {
            return rc;
        } else {
            struct map_task *t = task_new(m, args);
            if (!t)
                return err_set(e, BFORK_ENOMEM, "out of memory");
            t->number = ++m->submitted;
            if (submit_map_task(m, t) < 0)
                return err_set(e, BFORK_ENOMEM, "out of memory");
        }
    }
    return 0;
}

static void take_outcome(struct map_task *t, bfork_future *f)
{
    bfork_bytes out, err;           /* empty: see cli_mapcmd_output */

    t->future = f;
    t->done = true;
    t->signal = 0;
    t->error = NULL;
    if (bfork_result(f, &t->status, &out, &err) == 0) {
        if (t->status > 128 && t->status <= 128 + 64)
            t->signal = t->status - 128;
        if (!t->not_whole.kind)
            return;
        t->error = &t->not_whole;
        t->status = CLI_CLUSTER;
        return;
    }
    t->error = bfork_future_error(f);
    if (!t->error)
        t->error = bfork_last_error();
    t->signal = t->error->kind == BFORK_CRASHED ? t->error->signal : 0;
    t->status = t->signal ? 128 + t->signal : t->error->kind == BFORK_OVERTIME ? 124 : CLI_CLUSTER;
}

/* Stops submitting. Now: what runs is ended, too; soon: it may end by itself, what is queued does not begin. 0, or a negative
 * status with text in e. */
static int halt(struct map *m, struct err *e)
{
    m->halted = true;
    if (m->halt.when == HALT_NOW) {
        bfork_pool_terminate(m->pool);
        return 0;
    }
    int n = bfork_pool_cancel(m->pool, BFORK_IF_QUEUED);
    if (n >= 0 || (n == BFORK_EINTR && cli_signal))     /* a signal ends all anyway */
        return 0;
    return err_set(e, n, "what is queued could not be cancelled, the map was ended: %s", bfork_last_error()->message);
}

static int put_and_free(struct map *m, struct map_task *t, struct err *e)
{
    int rc = cli_mapcmd_put(m, t, e);

    cli_mapcmd_task_free(t);
    return rc;
}

/* t is done, for good. 0, or a negative status with text in e. */
static int finish_task(struct map *m, struct map_task *t, struct err *e)
{
    int rc = 0, halted = 0;

    m->counts.done++;
    if (t->status != 0) {
        m->counts.failed++;
        m->counts.last_failed_status = t->status;
        cli_mapcmd_note_failure(m, t);
    }
    if (!m->halted && cli_halt_reached(&m->halt, &m->counts))
        halted = halt(m, e);
    if (!m->ordered) {
        rc = put_and_free(m, t, e);
    } else {
        m->ordered[t->number % MAP_SPAN] = t;
        m->held += t->out.size + t->err.size;
    }
    while (rc == 0 && m->ordered && (t = m->ordered[m->next_print % MAP_SPAN])) {
        m->ordered[m->next_print++ % MAP_SPAN] = NULL;
        m->held -= t->out.size + t->err.size;
        rc = put_and_free(m, t, e);
    }
    return rc < 0 ? rc : halted;
}

/* Output that cannot be kept ends the map: 0, or a negative status with text in e. */
static int spool_failed(struct map *m, struct err *e)
{
    pthread_mutex_lock(&m->lock);
    int rc = m->spool_error.code;
    if (rc < 0)
        *e = m->spool_error;
    pthread_mutex_unlock(&m->lock);
    return rc;
}

/* One future out of the stream. 0, or a negative status with text in e. */
static int collect_task(struct map *m, bfork_future *f, struct err *e)
{
    struct map_task *t = bfork_future_data(f);
    const bfork_error *gone;

    m->in_flight--;
    take_outcome(t, f);
    int rc = spool_failed(m, e);
    if (rc < 0)
        return rc;
    if (t->error && (gone = bfork_pool_error(m->pool)) && !m->halted) {
        char text[sizeof(e->text)];
        cli_error_text(gone, text, sizeof(text));
        return err_set(e, gone->kind, "%s", text);
    }
    if (t->error && t->error->kind == BFORK_CANCELLED && m->halted)
        return 0;                       /* it goes with the map: something of its output may still be on the way */
    if (t->status != 0 && (int64_t)t->tries <= m->options->retries && !m->halted) {
        bfork_future_free(&t->future);
        t->done = false;
        cli_mapcmd_output_clear(t);
        return submit_map_task(m, t) < 0 ? err_set(e, BFORK_ENOMEM, "out of memory") : 0;
    }
    rc = finish_task(m, t, e);
    if (rc < 0)
        return rc;
    return ferror(stdout) ? cli_mapcmd_flush(m, e) : 0;
}

/* The next finished future; flushes what was written before it waits. */
static int next(struct map *m, bfork_future **f, struct err *e)
{
    int wait = m->starved ? WAIT_STARVED_MS : m->progress.on ? WAIT_BAR_MS : WAIT_MS;
    int rc = BFORK_ETIMEDOUT;

    if (__fpending(stdout) > 0) {
        rc = bfork_stream_next(m->stream, 0, f);
        if (rc == BFORK_ETIMEDOUT && cli_mapcmd_flush(m, e) < 0)
            return e->code;
    }
    return rc == BFORK_ETIMEDOUT ? bfork_stream_next(m->stream, wait, f) : rc;
}

static int map_turn(struct map *m, struct err *e)
{
    bfork_future *f;
    int rc = feed(m, e);

    cli_mapcmd_progress_draw(m, false);
    if (rc < 0 || (rc = spool_failed(m, e)) < 0)
        return rc;
    if (m->in_flight == 0) {
        rc = cli_mapcmd_flush(m, e);
        return rc < 0 ? rc : m->ended || m->halted ? BFORK_END : 0;
    }
    rc = next(m, &f, e);
    if (rc == 0)
        return collect_task(m, f, e);
    if (rc < 0 && m->lost)
        return rc;
    if (rc == BFORK_ETIMEDOUT || rc == BFORK_EINTR)
        return 0;
    return err_set(e, rc < 0 ? rc : BFORK_ESTATE, "%s", bfork_last_error()->message);
}

/* After a stop: with --keep-order what is done behind a gap is printed all the same, in order. */
static int put_held(struct map *m, struct err *e)
{
    int rc = 0;

    for (uint64_t i = 0; m->ordered && i < MAP_SPAN; i++) {
        struct map_task *t = m->ordered[(m->next_print + i) % MAP_SPAN];
        m->ordered[(m->next_print + i) % MAP_SPAN] = NULL;
        if (t && rc == 0)
            rc = cli_mapcmd_put(m, t, e);
        if (t)
            cli_mapcmd_task_free(t);
    }
    return rc;
}

static int end_interrupted(struct map *m)
{
    char what[128], x[BAR_TEXT], y[BAR_TEXT], z[BAR_TEXT];

    snprintf(what, sizeof(what), "%s done, %s of them failed, %s cancelled", cli_bar_number(m->counts.done, x),
             cli_bar_number(m->counts.failed, y),
             cli_bar_number(m->in_flight, z));
    bfork_pool_terminate(m->pool);
    return cli_interrupted(m->call, what);
}

int cli_mapcmd_work(struct map *m)
{
    struct err e = { 0 }, also = { 0 };
    int rc = 0, status;

    cli_mapcmd_progress_start(m);
    while (!cli_signal && (rc = map_turn(m, &e)) == 0)
        ;
    if (rc < 0 && !m->lost)
        put_held(m, &also);             /* told below, behind the first */
    else if (rc >= 0 && put_held(m, &e) < 0)
        rc = e.code;
    cli_mapcmd_progress_draw(m, true);
    fflush(stdout);
    if (m->progress.shown)
        fputc('\n', stderr);
    m->progress.on = m->progress.shown = false;
    if (cli_signal) {
        status = end_interrupted(m);
    } else if (rc < 0) {
        bfork_pool_terminate(m->pool);
        status = cli_error(m->call, CLI_MAP_ERROR, "%s", e.text);
        if (also.code && strcmp(also.text, e.text) != 0)
            cli_error(m->call, CLI_MAP_ERROR, "%s", also.text);
    } else {
        cli_mapcmd_summary(m);
        status = cli_halt_exit_status(&m->halt, &m->counts);
    }
    pthread_mutex_lock(&m->lock);
    m->deaf = true;
    pthread_mutex_unlock(&m->lock);
    for (struct map_task *t = m->tasks.next; t != &m->tasks; t = t->next)
        if (t->done)
            bfork_future_free(&t->future);
    return status;
}
