/* SPDX-License-Identifier: MPL-2.0
 * near.h - which known word a person meant who typed another one.
 */
#ifndef BASE_NEAR_H
#define BASE_NEAR_H

#include <stddef.h>

/* How many single-letter mistakes (insert, delete, change, swap neighbours) lie between a and b; words over 63 bytes are far
 * apart. */
size_t near_distance(const char *a, const char *b);
/* The one of n words that `word` was probably meant to be; NULL: none is near. */
const char *near_word(const char *word, const char *const *list, size_t n);

#endif
