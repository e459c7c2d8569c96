/* SPDX-License-Identifier: MPL-2.0
 * table.h - rows and columns as text: the first row is the heading, columns are as wide as their widest cell, two blanks between.
 */
#ifndef CLI_CORE_TABLE_H
#define CLI_CORE_TABLE_H

#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 16u

struct table;

/* align: one letter a column, 'l' or 'r'. NULL: out of memory. */
struct table *cli_table_new(const char *align);
void cli_table_free(struct table **t);
/* The next cell, copied; what could steer a terminal becomes '?'. A failed allocation shows in cli_table_print. */
void cli_table_cell(struct table *t, const char *text);
/* 0 or BFORK_ENOMEM, and then nothing was printed. */
int cli_table_print(const struct table *t, FILE *to);
#endif
