/* SPDX-License-Identifier: MPL-2.0
 * pieces.c - see pieces.h.
 */
#include "blob/pieces.h"

#include <string.h>

void blob_pieces_init(struct blob_pieces *p, uint64_t now, uint32_t piece_max)
{
    memset(p, 0, sizeof(*p));
    p->most = piece_max;
    p->moved_at = now;
}

void blob_pieces_cut(struct blob_pieces *p, uint64_t now)
{
    p->in_flight = 0;
    p->asked = p->got;
    p->moved_at = now;
    p->moved = p->got;
}

bool blob_pieces_next(struct blob_pieces *p, uint64_t now, uint64_t *ret_offset, uint32_t *ret_size)
{
    uint64_t left = p->size - p->asked;

    if (p->in_flight == BLOB_IN_FLIGHT || (p->known ? p->asked >= p->size : p->in_flight > 0))
        return false;
    if (p->in_flight == 0) {        /* the first: silence begins to count */
        p->moved_at = now;
        p->moved = p->got;
    }
    *ret_offset = p->asked;
    *ret_size = p->known && left < p->most ? (uint32_t)left : p->most;
    p->flight[p->in_flight].offset = *ret_offset;
    p->flight[p->in_flight++].size = *ret_size;
    p->asked += *ret_size;
    return true;
}

/* The length it was asked for with; 0: it was not. */
static uint32_t land(struct blob_pieces *p, uint64_t offset)
{
    for (uint32_t i = 0; i < p->in_flight; i++)
        if (p->flight[i].offset == offset) {
            uint32_t size = p->flight[i].size;

            p->flight[i] = p->flight[--p->in_flight];
            return size;
        }
    return 0;
}

enum blob_verdict blob_pieces_got(struct blob_pieces *p, uint64_t now, uint64_t offset, uint64_t size, uint64_t total)
{
    enum blob_verdict verdict = BLOB_DROP;
    uint32_t asked = land(p, offset);

    if (!asked)
        return BLOB_DROP;
    if (!p->known) {
        p->known = true;
        p->size = total;
    }
    if (total != p->size || size > asked || size > p->size - offset)
        return BLOB_WRONG;
    if (offset == p->got) {
        if (size == 0 && p->size > p->got)
            return BLOB_WRONG;
        p->got += size;
        if (size < asked && p->got < p->size)
            p->most = size > BLOB_PIECE_MIN ? (uint32_t)size : BLOB_PIECE_MIN;
        if (p->got - p->moved >= BLOB_STALL_BYTES || p->got == p->size) {
            p->moved = p->got;
            p->moved_at = now;
        }
        verdict = BLOB_TAKE;
    }
    if (p->in_flight == 0)
        p->asked = p->got;
    return verdict;
}

bool blob_pieces_complete(const struct blob_pieces *p)
{
    return p->known && p->got == p->size;
}

bool blob_pieces_stalled(const struct blob_pieces *p, uint64_t now, uint64_t limit)
{
    return p->in_flight > 0 && now - p->moved_at > limit;
}
