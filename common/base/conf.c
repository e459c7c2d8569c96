/* SPDX-License-Identifier: MPL-2.0
 * conf.c - options of a program: collected as text from flags, environment and file, then applied in one go. Never prints but where
 * asked to, never exits. Invariant: before conf_finish the program's struct is untouched; after its failure too.
 */
#include "base/conf_value.h"

#include "base/near.h"
#include "bfork.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum source { FROM_FLAGS, FROM_ENVIRONMENT, FROM_FILE, FROM_FALLBACK, SOURCES };

struct entry { char *text, *origin; };
struct entries { struct entry *e; size_t n; };

struct setting {
    struct entries from[SOURCES];   /* FALLBACK stays empty: the table has it */
    enum source used;
    const char **list;              /* what a conf_list points to */
};

struct conf {
    const struct conf_option *table;
    size_t n;
    void *options;
    struct setting *settings;
};

int conf_new(const struct conf_option *table, size_t n, void *options, struct conf **ret)
{
    struct conf *c = calloc(1, sizeof(*c));

    if (!c || !(c->settings = calloc(n + 1, sizeof(*c->settings)))) {
        free(c);
        return BFORK_ENOMEM;
    }
    c->table = table;
    c->n = n;
    c->options = options;
    for (size_t i = 0; i < n; i++)
        c->settings[i].used = FROM_FALLBACK;
    *ret = c;
    return 0;
}

void conf_free(struct conf **c)
{
    if (!*c)
        return;
    for (size_t i = 0; i < (*c)->n; i++) {
        for (int s = 0; s < SOURCES; s++) {
            struct entries *from = &(*c)->settings[i].from[s];

            for (size_t k = 0; k < from->n; k++) {
                free(from->e[k].text);
                free(from->e[k].origin);
            }
            free(from->e);
        }
        free((*c)->settings[i].list);
    }
    free((*c)->settings);
    free(*c);
    *c = NULL;
}

/* Keeps text as a value of option i; origin: "flag --x", "variable Y", "FILE:LINE". */
static int add_value(struct conf *c, size_t i, enum source s, const char *text, size_t size, const char *origin, struct err *e)
{
    struct entries *from = &c->settings[i].from[s];
    struct entry one, *more;
    union conf_value ignored;
    int rc;

    if (from->n && c->table[i].type != CONF_LIST)
        return err_set(e, BFORK_EINVAL, "%s: %s is given twice (first: %s): give it once", origin, c->table[i].name,
                       from->e[0].origin);
    if (!(more = realloc(from->e, (from->n + 1) * sizeof(*more))))
        return err_set(e, BFORK_ENOMEM, "out of memory for options");
    from->e = more;
    one.text = strndup(text, size);
    one.origin = strdup(origin);
    if (!one.text || !one.origin) {
        free(one.text);
        free(one.origin);
        return err_set(e, BFORK_ENOMEM, "out of memory for options");
    }
    from->e[from->n++] = one;
    if ((rc = conf_value_parse(&c->table[i], one.text, &ignored, e)) < 0)
        return err_prefix(e, "%s: %s", origin, c->table[i].name);
    return 0;
}

static size_t find_option(const struct conf *c, const char *name, size_t size, unsigned without)
{
    for (size_t i = 0; i < c->n; i++)
        if (!(c->table[i].flags & without) && strlen(c->table[i].name) == size && memcmp(c->table[i].name, name, size) == 0)
            return i;
    return c->n;
}

/* ---- flags ------------------------------------------------------------------------------------------------------------------- */

struct words { int argc, at; char **argv; };

/* The value of option i: behind the sign, or the next word. */
static int flag_value(struct conf *c, size_t i, struct words *w, const char *attached, const char *origin, struct err *e)
{
    if (!attached && c->table[i].type == CONF_FLAG)
        attached = "yes";
    if (!attached) {
        if (w->at + 1 >= w->argc)
            return err_set(e, BFORK_EINVAL, "%s needs a value: %s %s", origin, origin + strlen("flag "),
                           c->table[i].argument ? c->table[i].argument : "VALUE");
        attached = w->argv[++w->at];
    }
    return add_value(c, i, FROM_FLAGS, attached, strlen(attached), origin, e);
}

/* The text for a flag that is refused by name. */
static int elsewhere(const struct conf_option *o, const char *flag, struct err *e)
{
    return err_set(e, BFORK_EINVAL, "%s: %s", flag, o->help);
}

/* What was probably meant: flags that are shown. */
static int no_flag(const struct conf *c, const char *word, size_t size, struct err *e)
{
    char wanted[64];
    const char *near = NULL, *list[128];
    size_t n = 0;

    for (size_t i = 0; i < c->n && n < sizeof(list) / sizeof(list[0]); i++)
        if (!(c->table[i].flags & (CONF_NO_FLAG | CONF_ELSEWHERE)) && c->table[i].help)
            list[n++] = c->table[i].name;
    if (size < sizeof(wanted)) {
        memcpy(wanted, word, size);
        wanted[size] = '\0';
        near = near_word(wanted, list, n);
    }
    if (near)
        return err_set(e, BFORK_EINVAL, "there is no flag --%.*s; did you mean --%s?", (int)size, word, near);
    return err_set(e, BFORK_EINVAL, "there is no flag --%.*s: see --help", (int)size, word);
}

static int long_flag(struct conf *c, struct words *w, struct err *e)
{
    const char *word = w->argv[w->at] + 2, *sign = strchr(word, '=');
    size_t size = sign ? (size_t)(sign - word) : strlen(word), i = find_option(c, word, size, CONF_NO_FLAG);
    char origin[128];

    if (i == c->n)
        return no_flag(c, word, size, e);
    snprintf(origin, sizeof(origin), "flag --%s", c->table[i].name);
    if (c->table[i].flags & CONF_ELSEWHERE)
        return elsewhere(&c->table[i], origin + strlen("flag "), e);
    return flag_value(c, i, w, sign ? sign + 1 : NULL, origin, e);
}

/* "-v", "-vq", "-p 7", "-p7" */
static int short_flags(struct conf *c, struct words *w, struct err *e)
{
    char origin[16];
    int rc;

    for (const char *p = w->argv[w->at] + 1; *p; p++) {
        size_t i = 0;

        while (i < c->n && (c->table[i].letter != *p || c->table[i].flags & CONF_NO_FLAG))
            i++;
        if (i == c->n)
            return err_set(e, BFORK_EINVAL, "there is no flag -%c: see --help", *p);
        snprintf(origin, sizeof(origin), "flag -%c", *p);
        if (c->table[i].flags & CONF_ELSEWHERE)
            return elsewhere(&c->table[i], origin + strlen("flag "), e);
        if (c->table[i].type != CONF_FLAG)
            return flag_value(c, i, w, p[1] ? p + 1 : NULL, origin, e);
        if ((rc = flag_value(c, i, w, NULL, origin, e)) < 0)
            return rc;
    }
    return 0;
}

/* Moves argv[from, to) in front of argv[words, from); the words that were passed over come behind. */
static void rotate_words(char **argv, int words, int from, int to)
{
    for (; from < to; from++, words++) {
        char *moved = argv[from];

        memmove(&argv[words + 1], &argv[words], (size_t)(from - words) * sizeof(*argv));
        argv[words] = moved;
    }
}

int conf_flags(struct conf *c, int argc, char **argv, bool stop_at_word, int *ret_index, struct err *e)
{
    struct words w = { argc, 1, argv };
    int words = 1, rc;              /* argv[words, w.at) are words that are no flags */

    while (w.at < argc) {
        const char *word = argv[w.at];
        int from = w.at;
        bool ends = strcmp(word, "--") == 0;

        if (word[0] != '-' || !word[1]) {
            if (stop_at_word)
                break;
            w.at++;
            continue;
        }
        rc = ends ? 0 : word[1] == '-' ? long_flag(c, &w, e) : short_flags(c, &w, e);
        if (rc < 0)
            return rc;
        w.at++;
        rotate_words(argv, words, from, w.at);
        words += w.at - from;
        if (ends)
            break;
    }
    *ret_index = words;
    return 0;
}

/* ---- environment and file ---------------------------------------------------------------------------------------------------- */

/* A list in one variable: parts between commas. */
static int add_parts(struct conf *c, size_t i, const char *value, const char *origin, struct err *e)
{
    int rc = 0;

    while (rc == 0 && *value) {
        size_t size = strcspn(value, ",");

        if (size)
            rc = add_value(c, i, FROM_ENVIRONMENT, value, size, origin, e);
        value += size + (value[size] == ',');
    }
    return rc;
}

int conf_environment(struct conf *c, const char *prefix, struct err *e)
{
    char origin[160], *name = origin + strlen("variable ");
    const char *value;
    int rc;

    for (size_t i = 0; i < c->n; i++) {
        if (c->table[i].flags & CONF_NO_ENV)
            continue;
        snprintf(origin, sizeof(origin), "variable %s_%s", prefix, c->table[i].name);
        for (char *p = name + strlen(prefix); *p; p++)
            *p = *p == '-' ? '_' : *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
        if (!(value = getenv(name)) || !*value)
            continue;
        if (c->table[i].type == CONF_LIST)
            rc = add_parts(c, i, value, origin, e);
        else
            rc = add_value(c, i, FROM_ENVIRONMENT, value, strlen(value), origin, e);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static char *trim(char *p)
{
    size_t n;

    p += strspn(p, " \t\r\n");
    for (n = strlen(p); n > 0 && strchr(" \t\r\n", p[n - 1]); n--)
        ;
    p[n] = 0;
    return p;
}

static int file_line(struct conf *c, char *line, const char *origin, struct err *e)
{
    char *sign, *name, *value;
    size_t i;

    for (char *p = line; *p; p++)
        if (*p == '#' && (p == line || p[-1] == ' ' || p[-1] == '\t')) {
            *p = 0;
            break;
        }
    line = trim(line);
    if (!*line)
        return 0;
    if (!(sign = strchr(line, '=')))
        return err_set(e, BFORK_EINVAL, "%s: '%s' is not of the form name = value", origin, line);
    *sign = 0;
    name = trim(line);
    value = trim(sign + 1);
    if ((i = find_option(c, name, strlen(name), CONF_NO_FILE)) == c->n)
        return err_set(e, BFORK_EINVAL, "%s: there is no option '%s'", origin, name);
    if (!*value)
        return err_set(e, BFORK_EINVAL, "%s: %s has no value: give one or remove the line", origin, name);
    return add_value(c, i, FROM_FILE, value, strlen(value), origin, e);
}

int conf_file(struct conf *c, const char *path, bool may_be_missing, struct err *e)
{
    FILE *f = fopen(path, "re");
    char *line = NULL, origin[4200];
    size_t room = 0;
    int rc = 0;

    if (!f)
        return errno == ENOENT && may_be_missing ? 0
                                                 : err_errno(e, BFORK_EKEY, errno, "cannot read the configuration file %s", path);
    errno = 0;
    for (unsigned number = 1; rc == 0 && getline(&line, &room, f) >= 0; number++) {
        snprintf(origin, sizeof(origin), "%s:%u", path, number);
        rc = file_line(c, line, origin, e);
    }
    if (rc == 0 && ferror(f))
        rc = err_errno(e, BFORK_EKEY, errno, "cannot read the configuration file %s", path);
    free(line);
    fclose(f);
    return rc;
}

/* ---- the result -------------------------------------------------------------------------------------------------------------- */

static void store(void *options, const struct conf_option *o, const char *text, const struct setting *s)
{
    void *at = (char *)options + o->offset;
    union conf_value v = { 0 };

    if (text && conf_value_parse(o, text, &v, NULL) < 0)
        return;                     /* was checked in conf_finish */
    switch (o->type) {
    case CONF_FLAG: *(bool *)at = v.flag; break;
    case CONF_INT: case CONF_MS: *(int64_t *)at = v.number; break;
    case CONF_SIZE: *(uint64_t *)at = v.size; break;
    case CONF_STR: *(const char **)at = text; break;
    case CONF_LIST:
        *(struct conf_list *)at = (struct conf_list){ s->list, s->used == FROM_FALLBACK ? text != NULL : s->from[s->used].n };
        break;
    }
}

/* Which source counts, and for lists the array. */
static int settle_option(struct conf *c, size_t i, struct err *e)
{
    struct setting *s = &c->settings[i];
    const struct entries *from;
    union conf_value ignored;
    int rc;

    for (s->used = FROM_FLAGS; s->used < FROM_FALLBACK && s->from[s->used].n == 0;)
        s->used++;
    if (s->used == FROM_FALLBACK && c->table[i].fallback &&
        (rc = conf_value_parse(&c->table[i], c->table[i].fallback, &ignored, e)) < 0)
        return err_prefix(e, "default of %s", c->table[i].name);
    if (c->table[i].type != CONF_LIST)
        return 0;
    from = &s->from[s->used];
    free(s->list);
    if (!(s->list = calloc(from->n + 1, sizeof(*s->list))))
        return err_set(e, BFORK_ENOMEM, "out of memory for options");
    for (size_t k = 0; k < from->n; k++)
        s->list[k] = from->e[k].text;
    if (s->used == FROM_FALLBACK)
        s->list[0] = c->table[i].fallback;
    return 0;
}

int conf_finish(struct conf *c, struct err *e)
{
    int rc;

    for (size_t i = 0; i < c->n; i++)
        if ((rc = settle_option(c, i, e)) < 0)
            return rc;
    for (size_t i = 0; i < c->n; i++) {
        const struct setting *s = &c->settings[i];

        if (c->table[i].flags & CONF_ELSEWHERE)
            continue;                   /* has no place in the struct */
        store(c->options, &c->table[i], s->used == FROM_FALLBACK ? c->table[i].fallback : s->from[s->used].e[0].text, s);
    }
    return 0;
}

const char *conf_origin(const struct conf *c, size_t index)
{
    const struct setting *s = &c->settings[index];

    return s->used == FROM_FALLBACK ? "default" : s->from[s->used].e[0].origin;
}

void conf_print(const struct conf *c, FILE *to)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct setting *s = &c->settings[i];
        const struct entries *from = &s->from[s->used];
        const char *fallback = c->table[i].fallback;

        if (s->used == FROM_FALLBACK)
            fprintf(to, "%s = %s   # default\n", c->table[i].name, fallback ? fallback : c->table[i].type == CONF_FLAG ? "no" : "");
        for (size_t k = 0; k < from->n; k++)
            fprintf(to, "%s = %s   # %s\n", c->table[i].name, from->e[k].text, from->e[k].origin);
    }
}
