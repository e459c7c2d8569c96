/* SPDX-License-Identifier: MPL-2.0
 * conf.h - options of a program by one table: from flags, from environment variables, from a file; and the help text made from it.
 *
 * A file is lines of "name = value", "#" starts a comment. A flag wins over the environment, that over the file, that over the
 * default. An unknown or repeated name, a value out of range or with rubbish behind it is an error that names file and line, flag
 * or variable, and what would be right.
 */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum conf_type {
    CONF_FLAG,          /* bool; "--name", in files and variables yes/no/1/0/true/false */
    CONF_INT,           /* int64_t */
    CONF_SIZE,          /* uint64_t bytes; "64", "64K", "64KiB", "1 GiB" */
    CONF_MS,            /* int64_t ms; "250ms", "5s", "2m", "1h"; a bare number is seconds */
    CONF_STR,           /* const char *; kept by conf until conf_free */
    CONF_LIST           /* struct conf_list: may be given several times */
};

struct conf_list { const char **items; size_t n; };

struct conf_option {
    const char *name;           /* "worker-endpoint": --worker-endpoint, worker-endpoint = …, PREFIX_WORKER_ENDPOINT */
    char letter;                /* 'e' for -e; 0: none */
    enum conf_type type;
    size_t offset;              /* in the program's struct of options */
    const char *fallback;       /* as text; NULL: false, 0, NULL */
    int64_t min, max;           /* of INT, SIZE, MS; both 0: no limits */
    const char *argument;       /* "ENDPOINT", for the help */
    const char *help;           /* one line; NULL: not shown */
    unsigned flags;             /* CONF_NO_FILE, CONF_NO_ENV, CONF_NO_FLAG */
};
#define CONF_NO_FILE 1u
#define CONF_NO_ENV 2u
#define CONF_NO_FLAG 4u
#define CONF_ELSEWHERE 8u        /* a flag of a similar program: refused, and help says what to do instead; not shown */

struct conf;            /* keeps the strings */

/* Options must point to a zeroed struct. Each source may be read once, in any order; precedence is by kind of source.
 * 0 or BFORK_EINVAL (for files also BFORK_EKEY if it cannot be read). */
int conf_new(const struct conf_option *table, size_t n, void *options, struct conf **ret);
void conf_free(struct conf **c);
/* Parses flags up to the first word that is none (or behind "--"); *ret_index: that word. stop_at_word false: words may be mixed
 * with flags and are moved to the end. */
int conf_flags(struct conf *c, int argc, char **argv, bool stop_at_word, int *ret_index, struct err *e);
int conf_environment(struct conf *c, const char *prefix, struct err *e);
int conf_file(struct conf *c, const char *path, bool may_be_missing, struct err *e);
int conf_finish(struct conf *c, struct err *e);                 /* applies precedence and defaults, checks ranges */
void conf_help(const struct conf_option *table, size_t n, FILE *to);      /* the options' part of --help, 80 columns */
/* Where the value of an option came from: "flag --x", "variable Y", "FILE:LINE", "default" (for --check-config). */
const char *conf_origin(const struct conf *c, size_t index);
void conf_print(const struct conf *c, FILE *to);                /* name = value   # origin */

#endif
