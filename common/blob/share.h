/* SPDX-License-Identifier: MPL-2.0
 * share.h - a number of places, shared between owners so that no owner can keep another out. Pure.
 *
 * An owner has at most `per_owner` places. All together have at most `all`, but for the first place of each owner: that one there
 * always is. So what waits for an owner's own slow or absent blobs never waits for anybody else's.
 */
#ifndef BLOB_SHARE_H
#define BLOB_SHARE_H

#include "base/list.h"
#include "wire/wire.h"

struct blob_share { struct list owners; uint32_t all, per_owner, taken; };

void blob_share_init(struct blob_share *s, uint32_t all, uint32_t per_owner);
void blob_share_done(struct blob_share *s);
bool blob_share_take(struct blob_share *s, const uint8_t owner[WIRE_KEY]);      /* false: wait (or out of memory) */
void blob_share_give(struct blob_share *s, const uint8_t owner[WIRE_KEY]);      /* one that was taken */
uint32_t blob_share_of(const struct blob_share *s, const uint8_t owner[WIRE_KEY]);

#endif
