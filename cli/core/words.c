/* SPDX-License-Identifier: MPL-2.0
 * words.c - quoting for a POSIX shell. Never allocates.
 */
#include "words.h"

#include <string.h>

void cli_words_quote(FILE *to, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+:,./-";

    if (*word && word[strspn(word, plain)] == '\0') {
        fputs(word, to);
        return;
    }
    fputc('\'', to);
    for (const char *p = word; *p; p++)
        if (*p == '\'')
            fputs("'\\''", to);
        else
            fputc(*p, to);
    fputc('\'', to);
}
