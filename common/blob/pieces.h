/* SPDX-License-Identifier: MPL-2.0
 * pieces.h - which bytes of a blob are asked for next, and which of those that come are taken. Pure: no sockets, files or clock.
 *
 * Pieces are asked for in order, a few at a time, and taken in order. One that is shorter than it was asked for leaves a gap:
 * what comes behind it is dropped, and the blob is asked on from the gap in pieces of that length. Only what was asked for is
 * looked at. A sender has to move BLOB_STALL_BYTES (or all that is left) within the limit, else it is stalled: few bytes now and
 * then are silence.
 */
#ifndef BLOB_PIECES_H
#define BLOB_PIECES_H

#include <stdbool.h>
#include <stdint.h>

#define BLOB_IN_FLIGHT 4u
#define BLOB_STALL_BYTES 65536u
#define BLOB_PIECE_MIN 4096u        /* what is asked for at least, however short the pieces are that come */

struct blob_pieces {
    bool known;                     /* the size; it comes with the first piece */
    uint64_t size;
    uint64_t asked, got;            /* bytes from the start */
    uint32_t most;                  /* to ask for at once */
    uint32_t in_flight;
    struct { uint64_t offset; uint32_t size; } flight[BLOB_IN_FLIGHT];
    uint64_t moved_at, moved;       /* when it was last seen to move, and how far it was then */
};

enum blob_verdict {
    BLOB_TAKE,                      /* the next bytes */
    BLOB_DROP,                      /* not asked for, or behind a gap */
    BLOB_WRONG                      /* cannot be a piece of this blob: give its sender up, or begin anew */
};

void blob_pieces_init(struct blob_pieces *p, uint64_t now, uint32_t piece_max);
/* The connection was cut: nothing is on the way any more. */
void blob_pieces_cut(struct blob_pieces *p, uint64_t now);
/* false: nothing to ask for now. true: it counts as asked for. */
bool blob_pieces_next(struct blob_pieces *p, uint64_t now, uint64_t *ret_offset, uint32_t *ret_size);
enum blob_verdict blob_pieces_got(struct blob_pieces *p, uint64_t now, uint64_t offset, uint64_t size, uint64_t total);
bool blob_pieces_complete(const struct blob_pieces *p);
/* Something is on the way, and it has not moved for the limit. */
bool blob_pieces_stalled(const struct blob_pieces *p, uint64_t now, uint64_t limit);

#endif
