/* SPDX-License-Identifier: MPL-2.0
 * blobs_internal.h - between blob.c, room.c and blobs.c, each of which calls those before it: programs on their way and in memory,
 * and who waits for room.
 */
#ifndef WORKER_BLOBS_INTERNAL_H
#define WORKER_BLOBS_INTERNAL_H

#include "base/list.h"
#include "blob/image.h"
#include "blob/pieces.h"
#include "blob/share.h"
#include "blobs.h"
#include "cache.h"
#include "wire/times.h"

/* Of a program: see blobs.c. FILLED: all bytes are in its image, and are what its name says. RESET: nothing of it is there. */
enum blob_state { WAITING, READING, FETCHING, READY, BLOB_STATES };
enum blob_event { BLOB_READ, BLOB_FETCH, BLOB_FILLED, BLOB_RESET, BLOB_EVENTS };

/* There was no room for a program of this owner: remembered while the broker lets it wait. */
struct hunger { struct list_node node; uint8_t owner[WIRE_KEY]; uint64_t size, until; };

struct user { struct list_node node; uint32_t lane; uint8_t owner[WIRE_KEY]; uint64_t size; };

struct blob {                   /* wanted by at least one lane; or READY, and perhaps wanted again */
    struct list_node node;      /* in the order in which they were first wanted */
    uint8_t digest[WIRE_DIGEST];
    char hex[2 * WIRE_DIGEST + 1], name[256];
    struct list users;
    enum blob_state state;
    bool looked;                /* there is no good file of it */
    struct image *image;        /* while it is filled, and when it is there */
    uint64_t reserved, used;    /* bytes of the bound; when it was last wanted, by b->uses */
    int fd;                     /* READING: the cached file; FETCHING: the part, or -1: it is not cached */
    uint64_t left;              /* READING: bytes */
    struct blob_pieces pieces;
    bool moving;                /* FETCHING: has a place among FETCHES, else only among ASKED */
    uint8_t payer[WIRE_KEY];    /* the owner whose places it has */
};

struct blobs {
    struct blobs_ops ops;
    struct cache cache;
    struct list all, hungry;
    struct blob_share fetches, asked;
    uint64_t memory, memory_bound, uses, now;
    bool online, reading, uncached;     /* uncached: the last one could not be, which was told */
};

/* blob.c */
struct blob *wsh_blob_find(const struct blobs *b, const uint8_t *digest);
struct blob *wsh_blob_add(struct blobs *b, const uint8_t digest[WIRE_DIGEST], const char *name);    /* NULL: out of memory */
struct user *wsh_blob_user(struct blob *x, uint32_t lane);  /* the lane as one that uses it; NULL: out of memory */
void wsh_blob_move(struct blob *x, enum blob_event event);  /* sole writer of its state */
void wsh_blob_reset(struct blobs *b, struct blob *x);      /* back to WAITING: nothing of it is there */
void wsh_blob_drop(struct blobs *b, struct blob *x);       /* with its users */

/* room.c: size bytes of memory for x. EAGAIN: not now; REFUSED: never. Others may be dropped for it. */
int wsh_room_make(struct blobs *b, struct blob *x, uint64_t size, struct err *e);
void wsh_room_done(struct blobs *b);

#endif
