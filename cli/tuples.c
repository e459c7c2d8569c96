/* SPDX-License-Identifier: MPL-2.0
 * tuples.c - the arguments of one task after the other. One source of lines is read as it comes, in constant memory; several are
 * read to their ends first, and their combinations counted through like the digits of a number, the last one fastest.
 */
#include "tuples.h"

#include "lines.h"

#include <bfork.h>
#include <stdlib.h>
#include <string.h>

#define PRODUCT_MAX 100000000u      /* arguments kept for combinations */

struct list { char **items; size_t n, room, at; bool owned; };

struct tuples {
    struct lines *stream;           /* one source of lines; else lists */
    struct list lists[COMMAND_SOURCES_MAX];
    size_t width;
    const char *args[COMMAND_SOURCES_MAX];
    uint64_t total;
    bool total_known, begun, ended;
};

static int list_add(struct list *l, const char *text, struct err *e)
{
    if (l->n == l->room) {
        size_t room = l->room ? 2 * l->room : 256;
        char **items = l->n < PRODUCT_MAX ? realloc(l->items, room * sizeof(*items)) : NULL;
        if (!items)
            return err_set(e, BFORK_ENOMEM, "out of memory for the arguments to combine");
        l->items = items;
        l->room = room;
    }
    if (!(l->items[l->n] = strdup(text)))
        return err_set(e, BFORK_ENOMEM, "out of memory for the arguments to combine");
    l->n++;
    return 0;
}

static int read_files(struct list *l, const struct command_source *s, char delimiter, struct err *e)
{
    int rc = BFORK_END;

    l->owned = true;
    for (size_t i = 0; i < s->n && rc == BFORK_END; i++) {
        struct lines *lines;
        char *line;
        if ((rc = cli_lines_open(s->words[i], delimiter, &lines, e)) < 0)
            return rc;
        while ((rc = cli_lines_next(lines, -1, &line, e)) == 0 && (rc = list_add(l, line, e)) == 0)
            ;
        cli_lines_close(&lines);
    }
    if (rc == BFORK_EINTR)
        return err_set(e, rc, "interrupted");
    return rc == BFORK_END ? 0 : rc;
}

static int open_lists(struct tuples *t, const struct command_split *split, char delimiter, struct err *e)
{
    t->width = split->n_sources;
    t->total = 1;
    t->total_known = true;
    for (size_t i = 0; i < split->n_sources; i++) {
        const struct command_source *s = &split->sources[i];
        struct list *l = &t->lists[i];
        int rc = 0;
        if (s->is_file)
            rc = read_files(l, s, delimiter, e);
        else
            *l = (struct list){ .items = s->words, .n = s->n };
        if (rc < 0)
            return rc;
        if (__builtin_mul_overflow(t->total, (uint64_t)l->n, &t->total))
            return err_set(e, BFORK_EINVAL, "the combinations of these sources are too many to count");
    }
    return 0;
}

int cli_tuples_new(const struct command_split *split, const char *file, char delimiter, struct tuples **ret, struct err *e)
{
    struct tuples *t = calloc(1, sizeof(*t));
    int rc;

    *ret = NULL;
    if (!t)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    const struct command_source *only = split->n_sources == 1 && split->sources[0].is_file && split->sources[0].n == 1 ?
        split->sources : NULL;
    if (split->n_sources == 0 || only) {
        t->width = 1;
        rc = cli_lines_open(only ? only->words[0] : file, delimiter, &t->stream, e);
        t->total_known = rc == 0 && cli_lines_count(t->stream, &t->total);
    } else {
        rc = open_lists(t, split, delimiter, e);
    }
    if (rc < 0)
        cli_tuples_free(&t);
    *ret = t;
    return rc;
}

void cli_tuples_free(struct tuples **t)
{
    if (!*t)
        return;
    cli_lines_close(&(*t)->stream);
    for (size_t i = 0; i < (*t)->width; i++) {
        struct list *l = &(*t)->lists[i];
        for (size_t k = 0; l->owned && k < l->n; k++)
            free(l->items[k]);
        if (l->owned)
            free(l->items);
    }
    free(*t);
    *t = NULL;
}

size_t cli_tuples_width(const struct tuples *t)
{
    return t->width;
}

bool cli_tuples_total(const struct tuples *t, uint64_t *ret)
{
    *ret = t->total;
    return t->total_known;
}

int cli_tuples_next(struct tuples *t, int timeout_ms, const char *const **ret_args, struct err *e)
{
    char *line;
    size_t i = t->width;
    int rc;

    *ret_args = t->args;
    if (t->stream) {
        if ((rc = cli_lines_next(t->stream, timeout_ms, &line, e)) == 0)
            t->args[0] = line;
        return rc;
    }
    if (t->ended || t->total == 0)
        return BFORK_END;
    while (t->begun && i > 0 && ++t->lists[i - 1].at == t->lists[i - 1].n)
        t->lists[--i].at = 0;
    if (i == 0) {
        t->ended = true;
        return BFORK_END;
    }
    t->begun = true;
    for (size_t k = 0; k < t->width; k++)
        t->args[k] = t->lists[k].items[t->lists[k].at];
    return 0;
}
