/* SPDX-License-Identifier: MPL-2.0
 * lines.h - lines of a file or pipe, one at a time, without waiting longer than asked and with memory for one line.
 */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define LINES_MAX 1048576u          /* bytes of a line */

struct lines;

/* path "-": standard input. delimiter: '\n' or '\0'. 0 or BFORK_EINVAL with text. */
int cli_lines_open(const char *path, char delimiter, struct lines **ret, struct err *e);
void cli_lines_close(struct lines **l);
/* 0: *ret_line, lent until the next call | BFORK_END | BFORK_ETIMEDOUT | BFORK_EINTR | BFORK_EINVAL, BFORK_ETOOBIG, BFORK_ENOMEM
 * with text. */
int cli_lines_next(struct lines *l, int timeout_ms, char **ret_line, struct err *e);
/* How many lines a regular file has left, without moving in it; false: not known without reading on. */
bool cli_lines_count(const struct lines *l, uint64_t *ret);
#endif
