/* SPDX-License-Identifier: MPL-2.0
 * words.h - quoting for a POSIX shell.
 */
#ifndef CLI_CORE_WORDS_H
#define CLI_CORE_WORDS_H

#include <stdio.h>

/* Writes word so that a POSIX shell reads it back as one word. */
void cli_words_quote(FILE *to, const char *word);
#endif
