/* SPDX-License-Identifier: MPL-2.0
 * cache.h - a directory of programs: files named by the SHA-256 that their bytes had, bounded by size, least recently used go
 * first. Nothing is executed from it, and nobody believes what is in it without hashing it.
 */
#ifndef WORKER_CACHE_H
#define WORKER_CACHE_H

#include "base/err.h"
#include "wire/wire.h"

#include <limits.h>

struct cache { char dir[PATH_MAX]; uint64_t bound, bytes; };

/* For reading; -1: there is none that only we may write, or it is larger than the bound. */
int wsh_cache_open(const struct cache *c, const char *hex, uint64_t *ret_size);
void wsh_cache_touch(const struct cache *c, const char *hex);
void wsh_cache_remove(const struct cache *c, const char *hex);
/* Removes old files until size more bytes are within the bound. name: for the text. Makes the directories. */
int wsh_cache_room(struct cache *c, uint64_t size, const char *name, struct err *e);
/* A part is DIR/tmp/hex until it is committed. Errors name the directory. */
int wsh_cache_create_part(struct cache *c, const char *hex, int *ret_fd, struct err *e);
int wsh_cache_write_part(const struct cache *c, int fd, const void *p, size_t n, uint64_t at, struct err *e);
int wsh_cache_commit_part(struct cache *c, const char *hex, int *fd, struct err *e);    /* closes it; 0600, under its name */
void wsh_cache_drop_part(const struct cache *c, const char *hex);

#endif
