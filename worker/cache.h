/* SPDX-License-Identifier: MPL-2.0
 * cache.h - the directory of verified programs: files named by the SHA-256 of their bytes, bounded by size, least recently used go
 * first.
 */
#ifndef WORKER_CACHE_H
#define WORKER_CACHE_H

#include "base/err.h"
#include "wire/wire.h"

#include <limits.h>

struct cache { char dir[PATH_MAX]; uint64_t bound, bytes; };

void cache_path(const struct cache *c, const char *hex, char path[PATH_MAX]);
bool cache_has(const struct cache *c, const char *hex);
bool cache_verify(const struct cache *c, const char *hex,
                  const uint8_t digest[WIRE_DIGEST]); /* reads it all; a wrong one is removed */
void cache_touch(const struct cache *c, const char *hex);
/* Removes old files until size more bytes are within the bound. in_use: these stay. name: for the text. Makes the directories. */
int cache_room(struct cache *c, uint64_t size, const char *name, bool (*in_use)(void *ctx, const char *hex), void *ctx,
               struct err *e);
/* A part is DIR/tmp/hex until it is committed. Errors name the directory. */
int cache_create_part(struct cache *c, const char *hex, int *ret_fd, struct err *e);
int cache_write_part(const struct cache *c, int fd, const void *p, size_t n, uint64_t at, struct err *e);
int cache_commit_part(struct cache *c, const char *hex, int *fd, struct err *e);        /* closes it; 0700, under its name */
void cache_drop_part(const struct cache *c, const char *hex);

#endif
