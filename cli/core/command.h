/* SPDX-License-Identifier: MPL-2.0
 * command.h - a command with placeholders, and the commands made from it, one for each tuple of arguments.
 *
 *   {}   the argument            {.}   without its extension     {/}   without its directory
 *   {//} its directory           {/.}  without either            {#}   the number of the task, from 1
 *   {2}  {2.} {2/} {2//} {2/.}   the same of the argument from the second source
 *
 * With several sources a word that is just {} becomes one word for each argument; within a word they are joined by blanks. A
 * command without any placeholder gets {} as its last word. Anything else in braces is left as it is.
 */
#ifndef CLI_CORE_COMMAND_H
#define CLI_CORE_COMMAND_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct command;

/* words: the command as typed (copied). sources: arguments in a tuple. shell: the words, joined by blanks, are a script for
 * /bin/sh and arguments are quoted in it. replace: the only placeholder, in place of all of the above; NULL: those.
 * 0, BFORK_EINVAL with text, BFORK_ENOMEM. */
int cli_command_new(char *const *words, size_t n, size_t sources, bool shell, const char *replace, struct command **ret,
                    struct err *e);
void cli_command_free(struct command **c);

/* The argv for one tuple: NULL-ended, freed by cli_command_argv_free. NULL: out of memory. */
char **cli_command_fill(const struct command *c, const char *const *args, uint64_t number);
void cli_command_argv_free(char **argv);

/* Words behind the options: which of them are the command, and the sources behind ::: and ::::. */
struct command_source {
    bool is_file;           /* words are names of files, one argument a line */
    char **words;           /* lent: they point into the caller's argv */
    size_t n;
};
#define COMMAND_SOURCES_MAX 16u
struct command_split {
    char **words;
    size_t n;
    struct command_source sources[COMMAND_SOURCES_MAX];
    size_t n_sources;
};
int cli_command_split(char **argv, size_t argc, struct command_split *ret, struct err *e);
#endif
