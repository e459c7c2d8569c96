/* SPDX-License-Identifier: MPL-2.0
 * blobs_internal.h - what blobs.c (decisions) and blob_files.c (files) share. Invariants: counters.bytes is the sum of all
 * `stored`; a blob has a place among `fetches` exactly while it has a source; a READY blob has a complete, verified file.
 */
#ifndef BROKER_BLOBS_INTERNAL_H
#define BROKER_BLOBS_INTERNAL_H

#include "blobs.h"

#include "base/clock.h"
#include "base/list.h"
#include "blob/pieces.h"
#include "blob/share.h"
#include "wire/times.h"

#include <openssl/evp.h>

#define FETCHES 32u                 /* blobs that come from clients at a time */
#define FETCHES_OWNER 8u
#define FILES_MAX 4096u
#define WAITS_MAX 64u               /* requests of one worker in the name of one owner */
#define SERVE_TURN 8                /* pieces served in one turn */
#define ROUNDS_MAX 2u               /* times that clients were tried: first one of each key, then all */
#define TRIES_MAX 16u               /* in the second round */
#define BAD_MAX 32u
#define SOURCE_LIMIT (TIME_BLOB_STALL_MS * CLOCK_MS)    /* a client that does not move it for this long is passed over */
#define WAIT_LIMIT (TIME_BLOB_WAIT_MS * CLOCK_MS)       /* while no client has it */

enum blob_state { BLOB_FETCHING, BLOB_READY };

struct blob_wait {
    struct list_node node;
    uint64_t worker, offset;
    uint32_t channel, request, size;
    uint8_t owner[WIRE_KEY];        /* in whose name the worker asks */
    char said[200];                 /* why a client of this owner has it not, in its words */
};

struct blob {
    struct list_node node;          /* b->all, used last first */
    uint8_t digest[WIRE_DIGEST];
    enum blob_state state;
    struct list waiting;
    uint64_t source;                /* the client it comes from; 0: none now */
    uint8_t source_key[WIRE_KEY], payer[WIRE_KEY];      /* of the source; the owner in whose place it is fetched */
    uint64_t cursor;                /* the client tried last in this round; 0: none */
    uint32_t rounds, tried;
    uint8_t bad[BAD_MAX][WIRE_KEY]; /* whose clients did not deliver it in the first round */
    uint32_t n_bad;
    char why[200];                  /* what was wrong with the last source */
    uint64_t began, stored;
    struct blob_pieces pieces;
    int fd;                         /* while it is written; else -1 */
    EVP_MD_CTX *sha;
};

struct blobs {
    struct list all;
    struct blobs_ops ops;
    uint64_t bound;
    struct blob_share fetches;
    bool work, blocked;
    int folder_fd, lock_fd;
    struct blobs_counters counters;
};

int bsh_blob_folder_open(struct blobs *b, const char *dir, struct err *e);
void bsh_blob_folder_close(struct blobs *b);
int bsh_blob_file_append(struct blobs *b, struct blob *x, const void *data, size_t size, struct err *e);
void bsh_blob_file_close(struct blob *x);
void bsh_blob_file_drop(struct blobs *b, struct blob *x);
int bsh_blob_file_read(struct blobs *b, struct blob *x, uint64_t offset, size_t size, struct buf **ret, struct err *e);

#endif
