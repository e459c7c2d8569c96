/* SPDX-License-Identifier: MPL-2.0
 * map_output.c - what tasks of bfork map write: kept until they have ended, then written in one piece; progress bar and summary.
 */
#include "map.h"

#include "base/clock.h"
#include "core/record.h"
#include "core/words.h"

#include <errno.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DRAW_NS (100 * CLOCK_MS)
#define SAMPLE_NS (500 * CLOCK_MS)

static void put_tag(const struct map *m, const struct map_task *t, FILE *to)
{
    for (size_t i = 0; i < cli_tuples_width(m->tuples); i++)
        fprintf(to, "%s%s", i > 0 ? " " : "", t->args[i]);
    fputc('\t', to);
}

void cli_mapcmd_output_clear(struct map_task *t)
{
    struct map *m = t->map;

    pthread_mutex_lock(&m->lock);
    cli_spool_clear(&m->spools, &t->out);
    cli_spool_clear(&m->spools, &t->err);
    t->not_whole.kind = 0;
    pthread_mutex_unlock(&m->lock);
}

static void take_output_bytes(struct map *m, struct map_task *t, const bfork_error *from, int fd, const void *bytes, size_t size)
{
    if (from->kind == BFORK_EAGAIN) {   /* it runs again: only the last attempt counts */
        cli_spool_clear(&m->spools, &t->out);
        cli_spool_clear(&m->spools, &t->err);
        t->not_whole.kind = 0;
    } else if (from->kind) {
        snprintf(t->why, sizeof(t->why), "%.*s", (int)strcspn(from->message, "\n"), from->message);
        t->not_whole = *from;
        t->not_whole.message = t->why;
        t->not_whole.function = t->not_whole.where = t->not_whole.host = t->not_whole.backtrace = t->not_whole.output = "";
    } else if (!m->spool_error.code && cli_spool_add(&m->spools, fd == 2 ? &t->err : &t->out, bytes, size, &m->spool_error) < 0) {
        bfork_session_interrupt(m->session);
    }
}

void cli_mapcmd_output(void *task, const bfork_error *from, int fd, const void *bytes, size_t size)
{
    struct map_task *t = task;
    struct map *m = t->map;

    pthread_mutex_lock(&m->lock);
    if (!m->deaf)
        take_output_bytes(m, t, from, fd, bytes, size);
    pthread_mutex_unlock(&m->lock);
}

/* Output on its way from a spool: to a stream, with tags in front of lines; or to memory. */
struct put { struct map *m; const struct map_task *t; FILE *to; bool in_line; char *at; };

static void note_lost(struct map *m, int number)
{
    if (!m->lost)
        m->lost = number ? number : EIO;
}

int cli_mapcmd_flush(struct map *m, struct err *e)
{
    if (fflush(stdout) != 0)
        note_lost(m, errno);
    if (!ferror(stdout))
        return 0;
    note_lost(m, EIO);
    clearerr(stdout);                       /* it is told once, here */
    __fpurge(stdout);
    return err_set(e, BFORK_EINVAL, "cannot write to standard output: %s; the map was ended", strerror(m->lost));
}

static int print_bytes(void *ctx, const char *p, size_t size)
{
    struct put *o = ctx;
    const char *end = p + size;

    if (!o->m->options->tag)
        fwrite(p, 1, size, o->to);
    while (p < end && o->m->options->tag) {
        const char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline ? newline + 1 : end;
        if (!o->in_line)
            put_tag(o->m, o->t, o->to);
        fwrite(p, 1, (size_t)(stop - p), o->to);
        o->in_line = !newline;
        p = stop;
    }
    if (!ferror(o->to))
        return 0;
    note_lost(o->m, errno);
    return BFORK_END;                       /* whoever called looks at it, too */
}

static int put_spool(struct map *m, const struct map_task *t, const struct spool *s, FILE *to, struct err *e)
{
    struct put o = { .m = m, .t = t, .to = to };
    int rc = cli_spool_each(&m->spools, s, print_bytes, &o, e);

    if (o.in_line)
        fputc('\n', to);
    return rc < 0 ? rc : 0;
}

static int append_line(void *ctx, const char *bytes, size_t size)
{
    struct put *o = ctx;

    memcpy(o->at, bytes, size);
    o->at += size;
    return 0;
}

static int load_spooled(struct map *m, const struct spool *s, bfork_bytes *ret, struct err *e)
{
    char *p = malloc(s->size ? s->size : 1);
    struct put o = { .at = p };

    if (!p)
        return err_set(e, BFORK_ENOMEM, "out of memory: --json needs all that a command wrote at once, %llu bytes",
                       (unsigned long long)s->size);
    *ret = bfork_bytes_of(p, s->size);
    return cli_spool_each(&m->spools, s, append_line, &o, e);
}

static int put_json(struct map *m, const struct map_task *t, struct err *e)
{
    char **argv = cli_command_fill(m->command, t->args, t->number);
    struct record r = {
        .number = t->number, .args = t->args, .n_args = cli_tuples_width(m->tuples), .argv = argv, .status = t->status,
        .signal = t->signal, .tries = t->tries, .error = t->error,
    };
    int rc = argv ? load_spooled(m, &t->out, &r.out, e) : err_set(e, BFORK_ENOMEM, "out of memory");

    if (rc == 0)
        rc = load_spooled(m, &t->err, &r.err, e);
    if (rc == 0 && cli_record_print(&r, stdout) < 0)
        rc = err_set(e, BFORK_ENOMEM, "out of memory");
    free((void *)(uintptr_t)r.out.data);
    free((void *)(uintptr_t)r.err.data);
    cli_command_argv_free(argv);
    return rc;
}

static void put_error(const struct map *m, const struct map_task *t)
{
    char text[4096];
    bfork_error e = *t->error;

    e.index = t->number;                /* tasks of a map count from 1, wherever they are named */
    bfork_error_text(&e, text, sizeof(text));
    text[strcspn(text, "\n") + (strchr(text, '\n') != NULL)] = '\0';
    text[strcspn(text, "\n")] = '\0';
    cli_error(m->call, 0, "task %llu: %s", (unsigned long long)t->number, text);
}

int cli_mapcmd_put(struct map *m, const struct map_task *t, struct err *e)
{
    int rc;

    if (m->options->json) {
        if (isatty(STDOUT_FILENO))
            cli_mapcmd_progress_clear(m);
        return put_json(m, t, e);
    }
    if (t->out.size > 0 || t->err.size > 0 || t->error)
        cli_mapcmd_progress_clear(m);
    rc = put_spool(m, t, &t->out, stdout, e);
    if (rc == 0 && t->err.size > 0) {
        if ((rc = cli_mapcmd_flush(m, e)) < 0)
            return rc;
        clearerr(stderr);                   /* only what tasks wrote counts */
        rc = put_spool(m, t, &t->err, stderr, e);
        if (rc == 0 && ferror(stderr))
            rc = err_set(e, BFORK_EINVAL, "cannot write to standard error: %s; the map was ended", strerror(m->lost));
    }
    if (rc == 0 && t->error)
        put_error(m, t);
    return rc;
}

static void put_command(const struct map *m, const char *const *args, uint64_t number, FILE *to)
{
    char **argv = cli_command_fill(m->command, args, number);

    for (size_t i = 0; argv && argv[i]; i++) {
        if (i > 0)
            fputc(' ', to);
        cli_words_quote(to, argv[i]);
    }
    cli_command_argv_free(argv);
}

void cli_mapcmd_dry_run(const struct map *m, const char *const *args, uint64_t number)
{
    put_command(m, args, number, stdout);
    putchar('\n');
}

/* Has the name of the program what only a shell understands? */
static bool is_script(const struct map *m, const struct map_task *t)
{
    char **argv = cli_command_fill(m->command, t->args, t->number);
    bool is = argv && argv[0] && strpbrk(argv[0], " \t\n|&;<>$`") != NULL;

    cli_command_argv_free(argv);
    return is;
}

void cli_mapcmd_note_failure(struct map *m, const struct map_task *t)
{
    FILE *to;

    if ((m->first_failed && t->number > m->first_failed) || !(to = fmemopen(m->first_failure, sizeof(m->first_failure) - 1, "w")))
        return;
    m->first_failed = t->number;
    m->first_is_script = t->status == 127 && !m->options->shell && is_script(m, t);
    if (t->error)
        fprintf(to, "task %llu, %s: ", (unsigned long long)t->number, bfork_status_name(t->error->kind));
    else if (t->signal)
        fprintf(to, "task %llu, signal %d: ", (unsigned long long)t->number, t->signal);
    else
        fprintf(to, "task %llu, exit status %d: ", (unsigned long long)t->number, t->status);
    put_command(m, t->args, t->number, to);
    fclose(to);
}

void cli_mapcmd_summary(struct map *m)
{
    const char *advice = ". Commands start without a shell, the first word names the program; for a script: --shell";
    char x[BAR_TEXT], y[BAR_TEXT];

    if (m->counts.failed == 0 || m->options->quiet)
        return;
    cli_error(m->call, 0, "%s of %s tasks failed; the first: %s%s", cli_bar_number(m->counts.failed, x),
              cli_bar_number(m->counts.done, y),
              m->first_failure, m->first_is_script ? advice : "");
}

void cli_mapcmd_progress_start(struct map *m)
{
    m->progress.on = !m->options->no_bar && isatty(STDERR_FILENO);
    m->progress.started = m->progress.sampled = m->progress.drawn = clock_now();
    m->progress.rates[0].at = m->progress.started;
    m->progress.n_rates = 1;
    if (!m->counts.total_known)
        m->counts.total_known = cli_tuples_total(m->tuples, &m->counts.total);
}

/* Tasks a second over the last samples. */
static double recent_rate(struct map *m, uint64_t now)
{
    struct map_progress *p = &m->progress;
    unsigned oldest = p->n_rates < MAP_RATES ? 0 : p->n_rates % MAP_RATES;
    double span = (double)(now - p->rates[oldest].at) / 1e9;
    double value = span > 0.2 ? (double)(m->counts.done - p->rates[oldest].done) / span : -1;

    if (now - p->sampled >= SAMPLE_NS) {
        p->sampled = now;
        p->rates[p->n_rates % MAP_RATES].at = now;
        p->rates[p->n_rates++ % MAP_RATES].done = m->counts.done;
    }
    return value;
}

void cli_mapcmd_progress_draw(struct map *m, bool now)
{
    struct map_progress *p = &m->progress;
    struct winsize size = { 0 };
    char line[256];
    uint64_t at;

    if (!p->on || ((at = clock_now()) - p->drawn < DRAW_NS && !now))
        return;
    p->drawn = at;
    struct bar b = {
        .done = m->counts.done, .failed = m->counts.failed, .total = m->counts.total, .total_known = m->counts.total_known,
        .per_second = recent_rate(m, at),
    };
    ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
    cli_bar_render(&b, size.ws_col > 1 ? size.ws_col - 1u : 79u, line, sizeof(line));
    fflush(stdout);
    fprintf(stderr, "\r%s\033[K", line);
    p->shown = true;
}

void cli_mapcmd_progress_clear(struct map *m)
{
    if (!m->progress.shown)
        return;
    fputs("\r\033[K", stderr);
    m->progress.shown = false;
}
