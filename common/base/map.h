/* SPDX-License-Identifier: MPL-2.0
 * map.h - hash map from u64 to pointer (open addressing). Iteration order is not meaningful and must not decide anything. It
 * grows a few cells with each put: no call costs what the map holds.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_cell { uint64_t key; void *value; };     /* value NULL: empty */
/* For maps whose keys come from peers: with a key nobody knows, keys that collide cannot be chosen (SipHash-1-3, Aumasson,
 * Bernstein 2012). Shared by the maps of one core; `probes` counts the cells they have looked at. */
struct hash_key { uint64_t k[2]; uint64_t probes; };
struct map_table { struct map_cell *cells; size_t capacity; };
/* moved: the cells of `old` before it are empty. */
struct map { struct map_table now, old; size_t moved, count; struct hash_key *key; };

void map_init(struct map *m);                       /* allocates nothing; only for keys of our own making */
void map_init_keyed(struct map *m, struct hash_key *key);       /* key outlives m */
void map_free(struct map *m);                       /* not the values */
uint64_t map_memory(const struct map *m);           /* bytes of its tables */
void *map_get(const struct map *m, uint64_t key);   /* NULL: not there */
void **map_at(const struct map *m, uint64_t key);   /* where its value is, until the map changes; NULL: not there */
int map_reserve(struct map *m, size_t more);        /* after 0, that many puts of new keys cannot fail; else BASE_ENOMEM */
int map_put(struct map *m, uint64_t key, void *value);  /* replaces; 0 or BASE_ENOMEM */
void *map_take(struct map *m, uint64_t key);        /* removes and returns; NULL: not there */
/* for (size_t i = 0; map_next(m, &i, &key, &value);) … ; no change to the map inside */
int map_next(const struct map *m, size_t *i, uint64_t *key, void **value);
uint64_t map_hash_bytes(const void *p, size_t n);   /* for keys made of bytes; compare the bytes as well */
uint64_t map_hash_keyed(const struct hash_key *key, const void *p, size_t n);   /* the same for bytes that come from peers */
#endif
