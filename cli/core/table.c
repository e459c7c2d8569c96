/* SPDX-License-Identifier: MPL-2.0
 * table.c - rows and columns as text. Widths count characters of UTF-8, not bytes.
 */
#include "table.h"

#include "base/text.h"

#include <bfork.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct table {
    char align[TABLE_COLUMNS_MAX + 1];
    size_t columns, n, room;
    char **cells;
    size_t widths[TABLE_COLUMNS_MAX];
    bool failed;
};

struct table *cli_table_new(const char *align)
{
    struct table *t = calloc(1, sizeof(*t));

    if (t) {
        t->columns = strlen(align) < TABLE_COLUMNS_MAX ? strlen(align) : TABLE_COLUMNS_MAX;
        memcpy(t->align, align, t->columns);
    }
    return t;
}

void cli_table_free(struct table **t)
{
    if (!*t)
        return;
    for (size_t i = 0; i < (*t)->n; i++)
        free((*t)->cells[i]);
    free((*t)->cells);
    free(*t);
    *t = NULL;
}

static size_t width(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

void cli_table_cell(struct table *t, const char *text)
{
    char *copy;

    if (t->n == t->room) {
        size_t room = t->room ? 2 * t->room : 64;
        char **cells = realloc(t->cells, room * sizeof(*cells));
        if (!cells) {
            t->failed = true;
            return;
        }
        t->cells = cells;
        t->room = room;
    }
    if (!(copy = strdup(text))) {
        t->failed = true;
        return;
    }
    text_clean(copy, strlen(copy), false);
    size_t w = width(copy), column = t->n % t->columns;
    if (w > t->widths[column])
        t->widths[column] = w;
    t->cells[t->n++] = copy;
}

int cli_table_print(const struct table *t, FILE *to)
{
    if (t->failed)
        return BFORK_ENOMEM;
    for (size_t i = 0; i < t->n; i++) {
        size_t column = i % t->columns;
        bool last = column + 1 == t->columns || i + 1 == t->n;
        int pad = (int)(t->widths[column] - width(t->cells[i]));
        if (t->align[column] == 'r')
            fprintf(to, "%*s%s", pad, "", t->cells[i]);
        else
            fprintf(to, "%s%*s", t->cells[i], last ? 0 : pad, "");
        fputs(last ? "\n" : "  ", to);
    }
    return 0;
}
