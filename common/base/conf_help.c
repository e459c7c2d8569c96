/* SPDX-License-Identifier: MPL-2.0
 * conf_help.c - the options' part of --help, from the table, in 80 columns. Data in, text out.
 */
#include "base/conf.h"

#include <string.h>

#define HELP_WIDTH 80
#define HELP_COLUMN 30

static int print_flag(const struct conf_option *o, char *out, size_t size)
{
    char letter[8] = "    ";

    if (o->letter)
        snprintf(letter, sizeof(letter), "-%c, ", o->letter);
    if (o->type == CONF_FLAG)
        return snprintf(out, size, "  %s--%s", letter, o->name);
    return snprintf(out, size, "  %s--%s %s", letter, o->name, o->argument ? o->argument : "VALUE");
}

/* Words of text from column at on; further lines begin in HELP_COLUMN. */
static void print_wrapped(const char *text, int at, FILE *to)
{
    while (*text) {
        int size = (int)strcspn(text, " ");

        if (at > HELP_COLUMN && at + 1 + size > HELP_WIDTH) {
            fprintf(to, "\n%*s", HELP_COLUMN, "");
            at = HELP_COLUMN;
        }
        at += fprintf(to, "%s%.*s", at > HELP_COLUMN ? " " : "", size, text);
        text += size;
        text += strspn(text, " ");
    }
    fputc('\n', to);
}

void conf_help(const struct conf_option *table, size_t n, FILE *to)
{
    char flag[256], text[1024];

    for (size_t i = 0; i < n; i++) {
        const struct conf_option *o = &table[i];
        int size;

        if (!o->help || o->flags & (CONF_NO_FLAG | CONF_ELSEWHERE))
            continue;
        size = print_flag(o, flag, sizeof(flag));
        if (o->fallback && o->type != CONF_FLAG && *o->fallback)
            snprintf(text, sizeof(text), "%s (default: %s)", o->help, o->fallback);
        else
            snprintf(text, sizeof(text), "%s", o->help);
        if (size > HELP_COLUMN - 2)
            fprintf(to, "%s\n%*s", flag, HELP_COLUMN, "");
        else
            fprintf(to, "%-*s", HELP_COLUMN, flag);
        print_wrapped(text, HELP_COLUMN, to);
    }
}
