/* SPDX-License-Identifier: MPL-2.0
 * map_output.c - what bfork map writes: the output of each task in one piece, the progress bar, the summary.
 */
#include "map.h"

#include "base/clock.h"
#include "core/record.h"
#include "core/words.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DRAW_NS (100 * CLOCK_MS)
#define SAMPLE_NS (500 * CLOCK_MS)

static void put_tag(const struct map *m, const struct map_task *t, FILE *to)
{
    for (size_t i = 0; i < tuples_width(m->tuples); i++)
        fprintf(to, "%s%s", i > 0 ? " " : "", t->args[i]);
    fputc('\t', to);
}

static void put_bytes(const struct map *m, const struct map_task *t, bfork_bytes b, FILE *to)
{
    const char *p = b.data, *end = p + b.size;

    if (!m->options->tag) {
        fwrite(p, 1, b.size, to);
        return;
    }
    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline ? newline + 1 : end;
        put_tag(m, t, to);
        fwrite(p, 1, (size_t)(stop - p), to);
        if (!newline)
            fputc('\n', to);
        p = stop;
    }
}

static int put_json(const struct map *m, const struct map_task *t)
{
    char **argv = command_fill(m->command, t->args, t->number);
    struct record r = {
        .number = t->number, .args = t->args, .n_args = tuples_width(m->tuples), .argv = argv, .status = t->status,
        .signal = t->signal,
        .tries = t->tries, .out = t->out, .err = t->err, .error = t->error,
    };
    int rc = argv ? record_print(&r, stdout) : BFORK_ENOMEM;

    command_argv_free(argv);
    return rc;
}

int mapcmd_put(struct map *m, const struct map_task *t)
{
    char text[4096];

    if (m->options->json) {
        if (isatty(STDOUT_FILENO))
            mapcmd_progress_clear(m);
        return put_json(m, t);
    }
    if (t->out.size > 0 || t->err.size > 0 || t->error)
        mapcmd_progress_clear(m);
    put_bytes(m, t, t->out, stdout);
    if (t->err.size > 0) {
        fflush(stdout);
        put_bytes(m, t, t->err, stderr);
    }
    if (t->error) {
        bfork_error_text(t->error, text, sizeof(text));
        text[strcspn(text, "\n") + (strchr(text, '\n') != NULL)] = '\0';
        text[strcspn(text, "\n")] = '\0';
        cli_error(m->call, 0, "task %llu: %s", (unsigned long long)t->number, text);
    }
    return 0;
}

static void put_command(const struct map *m, const char *const *args, uint64_t number, FILE *to)
{
    char **argv = command_fill(m->command, args, number);

    for (size_t i = 0; argv && argv[i]; i++) {
        if (i > 0)
            fputc(' ', to);
        words_quote(to, argv[i]);
    }
    command_argv_free(argv);
}

void mapcmd_dry_run(const struct map *m, const char *const *args, uint64_t number)
{
    put_command(m, args, number, stdout);
    putchar('\n');
}

void mapcmd_note_failure(struct map *m, const struct map_task *t)
{
    FILE *to;

    if ((m->first_failed && t->number > m->first_failed) || !(to = fmemopen(m->first_failure, sizeof(m->first_failure) - 1, "w")))
        return;
    m->first_failed = t->number;
    if (t->error)
        fprintf(to, "task %llu, %s: ", (unsigned long long)t->number, bfork_status_name(t->error->kind));
    else if (t->signal)
        fprintf(to, "task %llu, signal %d: ", (unsigned long long)t->number, t->signal);
    else
        fprintf(to, "task %llu, exit status %d: ", (unsigned long long)t->number, t->status);
    put_command(m, t->args, t->number, to);
    fclose(to);
}

void mapcmd_summary(struct map *m)
{
    char x[BAR_TEXT], y[BAR_TEXT];

    if (m->counts.failed == 0 || m->options->quiet)
        return;
    cli_error(m->call, 0, "%s of %s tasks failed; the first: %s", bar_number(m->counts.failed, x), bar_number(m->counts.done, y),
              m->first_failure);
}

void mapcmd_progress_start(struct map *m)
{
    m->progress.on = !m->options->no_bar && isatty(STDERR_FILENO);
    m->progress.started = m->progress.sampled = m->progress.drawn = clock_now();
    m->progress.rates[0].at = m->progress.started;
    m->progress.n_rates = 1;
    if (!m->counts.total_known)
        m->counts.total_known = tuples_total(m->tuples, &m->counts.total);
}

/* Tasks a second over the last samples. */
static double rate(struct map *m, uint64_t now)
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

void mapcmd_progress_draw(struct map *m, bool now)
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
        .per_second = rate(m, at),
    };
    ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
    bar_render(&b, size.ws_col > 1 ? size.ws_col - 1u : 79u, line, sizeof(line));
    fflush(stdout);
    fprintf(stderr, "\r%s\033[K", line);
    p->shown = true;
}

void mapcmd_progress_clear(struct map *m)
{
    if (!m->progress.shown)
        return;
    fputs("\r\033[K", stderr);
    m->progress.shown = false;
}
