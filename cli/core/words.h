/* SPDX-License-Identifier: MPL-2.0
 * words.h - words a person typed: the nearest known one, and quoting for a POSIX shell.
 */
#ifndef CLI_CORE_WORDS_H
#define CLI_CORE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* How many single-letter mistakes (insert, delete, change, swap neighbours) lie between a and b; words over 63 bytes are far
 * apart. */
size_t words_distance(const char *a, const char *b);
/* The one of n words that `word` was probably meant to be; NULL: none is near. */
const char *words_nearest(const char *word, const char *const *list, size_t n);
/* Writes word so that a POSIX shell reads it back as one word. */
void words_quote(FILE *to, const char *word);
#endif
