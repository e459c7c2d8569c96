/* SPDX-License-Identifier: MPL-2.0
 * command.c - a command with placeholders, and the commands made from it. Pure: never runs or looks up anything.
 *
 * A word is a list of pieces: text, or one part of one argument. Parsing is done once; filling allocates only the result.
 */
#include "command.h"

#include "words.h"

#include <bfork.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum part { PART_TEXT, PART_WHOLE, PART_NO_EXTENSION, PART_BASE, PART_DIRECTORY, PART_STEM, PART_NUMBER };

struct piece {
    enum part part;
    size_t source;              /* of an argument, from 1; 0: all of them */
    size_t from, size;          /* of text, in command.text */
};

struct word { size_t first, n; };       /* pieces */

struct command {
    char *text;
    struct piece *pieces;
    struct word *words;
    size_t n_pieces, n_words, sources;
    bool shell, quote, seen;    /* quote: arguments go into a script; seen: there is a placeholder */
};

static const struct { const char *name; enum part part; } parts[] = {
    { "", PART_WHOLE }, { ".", PART_NO_EXTENSION }, { "/", PART_BASE }, { "//", PART_DIRECTORY }, { "/.", PART_STEM },
};

/* Reads the placeholder at p, if there is one: its length, or 0; or a negative status. */
static int placeholder(const char *p, size_t sources, struct piece *ret, struct err *e)
{
    const char *q = p + 1, *end;
    size_t source = 0;

    if (*p != '{' || !(end = strchr(q, '}')) || end - p > 12)
        return 0;
    if (strncmp(p, "{#}", 3) == 0) {
        *ret = (struct piece){ .part = PART_NUMBER };
        return 3;
    }
    if (strncmp(p, "{%}", 3) == 0)
        return err_set(e, BFORK_EINVAL, "{%%} (the job slot) is not known before a task runs; use {#}, the task's number, or -I to "
                       "choose another placeholder");
    bool positional = *q >= '0' && *q <= '9';
    while (*q >= '0' && *q <= '9')
        source = source * 10 + (size_t)(*q++ - '0');
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strlen(parts[i].name) != (size_t)(end - q) || strncmp(q, parts[i].name, (size_t)(end - q)) != 0)
            continue;
        if (positional && (source == 0 || source > sources))
            return err_set(e, BFORK_EINVAL, "%.*s asks for argument %zu, but there %s %zu source%s of arguments; use -I to choose "
                           "another placeholder if this is meant literally", (int)(end - p + 1), p, source,
                           sources == 1 ? "is" : "are", sources,
                           sources == 1 ? "" : "s");
        *ret = (struct piece){ .part = parts[i].part, .source = source };
        return (int)(end - p + 1);
    }
    return 0;
}

static void add_text(struct command *c, struct word *w, size_t at)
{
    if (w->n > 0 && c->pieces[c->n_pieces - 1].part == PART_TEXT) {
        c->pieces[c->n_pieces - 1].size++;
        return;
    }
    c->pieces[c->n_pieces++] = (struct piece){ .part = PART_TEXT, .from = at, .size = 1 };
    w->n++;
}

/* Cuts text[from..] up to its NUL into pieces of one word. */
static int add_word(struct command *c, size_t from, const char *replace, struct err *e)
{
    struct word *w = &c->words[c->n_words++];

    *w = (struct word){ .first = c->n_pieces };
    for (size_t at = from; c->text[at];) {
        struct piece p = { .part = PART_WHOLE };
        int n = 0;
        if (replace)
            n = strncmp(c->text + at, replace, strlen(replace)) == 0 ? (int)strlen(replace) : 0;
        else
            n = placeholder(c->text + at, c->sources, &p, e);
        if (n < 0)
            return n;
        if (n == 0) {
            add_text(c, w, at++);
            continue;
        }
        c->pieces[c->n_pieces++] = p;
        w->n++;
        c->seen = true;
        at += (size_t)n;
    }
    return 0;
}

static int parse_words(struct command *c, char *const *words, size_t n, const char *replace, struct err *e)
{
    size_t at = 0;
    int rc;

    for (size_t i = 0; i < n; i++) {
        size_t size = strlen(words[i]);
        memcpy(c->text + at, words[i], size);
        if (!c->shell) {
            if ((rc = add_word(c, at, replace, e)) < 0)
                return rc;
        } else if (i + 1 < n) {
            c->text[at + size] = ' ';
        }
        at += size + 1;
    }
    if (c->shell && (rc = add_word(c, 0, replace, e)) < 0)
        return rc;
    if (c->seen)
        return 0;
    if (!c->shell) {
        c->words[c->n_words++] = (struct word){ .first = c->n_pieces, .n = 1 };
        c->pieces[c->n_pieces++] = (struct piece){ .part = PART_WHOLE };
        return 0;
    }
    if (n > 0) {
        c->text[at - 1] = ' ';
        add_text(c, &c->words[0], at - 1);
    }
    c->pieces[c->n_pieces++] = (struct piece){ .part = PART_WHOLE };
    c->words[0].n++;
    return 0;
}

int cli_command_new(char *const *words, size_t n, size_t sources, bool shell, const char *replace, struct command **ret,
                    struct err *e)
{
    struct command *c;
    size_t size = 2;
    int rc = BFORK_ENOMEM;

    *ret = NULL;
    if (replace && !*replace)
        return err_set(e, BFORK_EINVAL, "the placeholder is empty: give -I some text, such as -I FILE");
    if (n == 0 && !shell)
        return err_set(e, BFORK_EINVAL, "there is no command to run; give one, or --shell if every line of input is a command by "
                       "itself");
    for (size_t i = 0; i < n; i++)
        size += strlen(words[i]) + 1;
    if (!(c = calloc(1, sizeof(*c))))
        return err_set(e, rc, "out of memory");
    c->shell = shell;
    c->quote = shell && n > 0;          /* without words the argument is the script */
    c->sources = sources;
    c->text = calloc(1, size);
    c->pieces = calloc(size, sizeof(*c->pieces));       /* a piece takes one byte at least, but for the last */
    c->words = calloc(n + 1, sizeof(*c->words));
    if (!c->text || !c->pieces || !c->words)
        err_set(e, rc, "out of memory");
    else
        rc = parse_words(c, words, n, replace, e);
    if (rc < 0)
        cli_command_free(&c);
    *ret = c;
    return rc;
}

void cli_command_free(struct command **c)
{
    if (!*c)
        return;
    free((*c)->text);
    free((*c)->pieces);
    free((*c)->words);
    free(*c);
    *c = NULL;
}

/* The stretch of arg that a part means. */
static void cut(enum part part, const char *arg, const char **ret, size_t *ret_size)
{
    const char *slash = strrchr(arg, '/'), *base = slash ? slash + 1 : arg, *end = arg + strlen(arg), *dot = strrchr(base, '.');
    const char *stem_end = dot && dot[1] ? dot : end;

    *ret = part == PART_BASE || part == PART_STEM ? base : arg;
    if (part == PART_NO_EXTENSION || part == PART_STEM)
        end = stem_end;
    if (part == PART_DIRECTORY) {
        while (slash > arg && slash[-1] == '/')
            slash--;
        if (!slash)
            *ret = ".";
        end = !slash ? *ret + 1 : slash == arg ? arg + 1 : slash;
    }
    *ret_size = (size_t)(end - *ret);
}

static void put_part(FILE *to, const struct command *c, enum part part, const char *arg)
{
    const char *p;
    size_t n;

    cut(part, arg, &p, &n);
    if (!c->quote) {
        fwrite(p, 1, n, to);
        return;
    }
    char *word = strndup(p, n);
    if (word)
        cli_words_quote(to, word);
    free(word);
}

static void put_piece(FILE *to, const struct command *c, const struct piece *p, const char *const *args, uint64_t number)
{
    if (p->part == PART_TEXT) {
        fwrite(c->text + p->from, 1, p->size, to);
    } else if (p->part == PART_NUMBER) {
        fprintf(to, "%llu", (unsigned long long)number);
    } else if (p->source > 0) {
        put_part(to, c, p->part, args[p->source - 1]);
    } else {
        for (size_t i = 0; i < c->sources; i++) {
            if (i > 0)
                fputc(' ', to);
            put_part(to, c, p->part, args[i]);
        }
    }
}

/* All words of the result end to end, each with its NUL; *ret_n of them. */
static void expand_words(FILE *to, const struct command *c, const char *const *args, uint64_t number, size_t *ret_n)
{
    *ret_n = 0;
    for (size_t i = 0; i < c->n_words; i++) {
        const struct word *w = &c->words[i];
        const struct piece *p = &c->pieces[w->first];
        bool spread = !c->shell && w->n == 1 && p->part != PART_TEXT && p->part != PART_NUMBER && p->source == 0;
        for (size_t k = 0; spread && k < c->sources; k++) {
            put_part(to, c, p->part, args[k]);
            fputc('\0', to);
            *ret_n += 1;
        }
        if (spread)
            continue;
        for (size_t k = 0; k < w->n; k++)
            put_piece(to, c, &p[k], args, number);
        fputc('\0', to);
        *ret_n += 1;
    }
}

char **cli_command_fill(const struct command *c, const char *const *args, uint64_t number)
{
    char *text = NULL, **argv = NULL;
    size_t size = 0, n = 0;
    FILE *to = open_memstream(&text, &size);

    if (!to)
        return NULL;
    if (c->shell) {
        fwrite("/bin/sh\0-c", 1, 11, to);
        n = 2;
    }
    size_t more;
    expand_words(to, c, args, number, &more);
    n += more;
    if (fclose(to) == 0 && text)
        argv = calloc(n + 2, sizeof(*argv));
    if (!argv) {
        free(text);
        return NULL;
    }
    argv++;                     /* argv[-1]: the block to free, also when there are no words */
    argv[-1] = text;
    for (size_t i = 0; i < n; i++) {
        argv[i] = text;
        text += strlen(text) + 1;
    }
    return argv;
}

void cli_command_argv_free(char **argv)
{
    if (!argv)
        return;
    free(argv[-1]);
    free(argv - 1);
}

int cli_command_split(char **argv, size_t argc, struct command_split *ret, struct err *e)
{
    struct command_source *s = NULL;

    *ret = (struct command_split){ .words = argv };
    for (size_t i = 0; i < argc; i++) {
        bool list = strcmp(argv[i], ":::") == 0, file = strcmp(argv[i], "::::") == 0;
        if (strcmp(argv[i], ":::+") == 0 || strcmp(argv[i], "::::+") == 0)
            return err_set(e, BFORK_EINVAL, "%s (linked sources) is not supported: make the pairs in a file and use {} of its "
                           "lines", argv[i]);
        if (list || file) {
            if (ret->n_sources == COMMAND_SOURCES_MAX)
                return err_set(e, BFORK_EINVAL, "more than %u sources of arguments", COMMAND_SOURCES_MAX);
            s = &ret->sources[ret->n_sources++];
            *s = (struct command_source){ .is_file = file, .words = argv + i + 1 };
        } else if (s) {
            s->n++;
        } else {
            ret->n++;
        }
    }
    for (size_t i = 0; i < ret->n_sources; i++)
        if (ret->sources[i].is_file && ret->sources[i].n == 0)
            return err_set(e, BFORK_EINVAL, ":::: needs the name of a file with arguments, one a line");
    return 0;
}
