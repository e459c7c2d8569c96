/* SPDX-License-Identifier: MPL-2.0
 * map.h - hash map from u64 to pointer (open addressing). Iteration order is not meaningful and must not decide anything.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_cell { uint64_t key; void *value; };     /* value NULL: empty */
struct map { struct map_cell *cells; size_t capacity, count; };

void map_init(struct map *m);                       /* allocates nothing */
void map_free(struct map *m);                       /* not the values */
void *map_get(const struct map *m, uint64_t key);   /* NULL: not there */
int map_reserve(struct map *m, size_t more);        /* after 0, that many puts of new keys cannot fail; else BASE_ENOMEM */
int map_put(struct map *m, uint64_t key, void *value);  /* replaces; 0 or BASE_ENOMEM */
void *map_take(struct map *m, uint64_t key);        /* removes and returns; NULL: not there */
/* for (size_t i = 0; map_next(m, &i, &key, &value);) … ; no change to the map inside */
int map_next(const struct map *m, size_t *i, uint64_t *key, void **value);
uint64_t map_hash_bytes(const void *p, size_t n);   /* for keys made of bytes; compare the bytes as well */
#endif
