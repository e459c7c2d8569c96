/* SPDX-License-Identifier: MPL-2.0
 * tuples.h - the arguments of one task after the other: lines of one source, or every combination of several.
 */
#ifndef CLI_TUPLES_H
#define CLI_TUPLES_H

#include "core/command.h"

struct tuples;

/* Sources of split; if there are none, the lines of `file` ("-": standard input). Strings of split are borrowed. */
int cli_tuples_new(const struct command_split *split, const char *file, char delimiter, struct tuples **ret, struct err *e);
void cli_tuples_free(struct tuples **t);
size_t cli_tuples_width(const struct tuples *t);
/* How many there will be; false: not known before the end. */
bool cli_tuples_total(const struct tuples *t, uint64_t *ret);
/* As cli_lines_next; *ret_args: cli_tuples_width strings, lent until the next call. */
int cli_tuples_next(struct tuples *t, int timeout_ms, const char *const **ret_args, struct err *e);
#endif
