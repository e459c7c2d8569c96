/* SPDX-License-Identifier: MPL-2.0
 * near.c - which known word a person meant who typed another one. Never allocates.
 */
#include "base/near.h"

#include "base/least.h"

#include <string.h>

#define LONGEST 63u

size_t near_distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b), rows[3][LONGEST + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];

    if (na > LONGEST || nb > LONGEST)
        return LONGEST + 1;
    for (size_t j = 0; j <= nb; j++)
        last[j] = j;
    for (size_t i = 1; i <= na; i++) {
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            row[j] = least(least(last[j], row[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        size_t *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return last[nb];
}

const char *near_word(const char *word, const char *const *list, size_t n)
{
    const char *best = NULL;
    size_t best_distance = strlen(word) < 4 ? 2 : 3;    /* must be below this */

    for (size_t i = 0; i < n; i++) {
        size_t d = near_distance(word, list[i]);
        if (d < best_distance && d < strlen(list[i])) {
            best = list[i];
            best_distance = d;
        }
    }
    for (size_t i = 0; !best && *word && i < n; i++)
        if (strncmp(list[i], word, strlen(word)) == 0)
            best = list[i];
    return best;
}
