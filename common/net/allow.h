/* SPDX-License-Identifier: MPL-2.0
 * allow.h - the files that say which keys are admitted: a line a key, "Z85KEY  name"; "#" starts a comment line.
 *
 * A file that others may write, or with a line that is none, is not used at all. Changes are made under a lock and by rename, so
 * that a reader sees the old file or the new one; comments and order stay.
 */
#ifndef NET_ALLOW_H
#define NET_ALLOW_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct allow;

/* 0, or BFORK_EKEY with file and line. may_be_missing: then it allows nobody. */
int net_allow_load(const char *path, bool may_be_missing, struct allow **ret, struct err *e);
void net_allow_free(struct allow **a);
bool net_allow_contains(const struct allow *a, const uint8_t key[32]);  /* NULL: nobody */
const char *net_allow_name(const struct allow *a, const uint8_t key[32]); /* "" if it has none; NULL: not allowed */
size_t net_allow_count(const struct allow *a);
void net_allow_at(const struct allow *a, size_t i, const uint8_t **ret_key, const char **ret_name); /* ordered by key */

/* 1: added, 0: it was there already (its name stays), < 0: BFORK_EKEY, BFORK_EINVAL. Makes the file, and its folder, if missing. */
int net_allow_add(const char *path, const uint8_t key[32], const char *name, struct err *e);
/* The lines with this key, or if key is NULL with this name. How many were removed; < 0: BFORK_EKEY. */
int net_allow_remove(const char *path, const uint8_t *key, const char *name, struct err *e);

#endif
