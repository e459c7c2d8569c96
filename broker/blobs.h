/* SPDX-License-Identifier: MPL-2.0
 * blobs.h - programs on their way from clients to workers: pulled from a client once, checked against their SHA-256, kept in
 * files, served.
 *
 * Nothing is served that was not verified, nothing to a worker whose pools do not name it. Bounds: one upload for a digest
 * however many wait, fetches of each owner and of all, disk space (oldest first), waiting requests of a worker for an owner. A
 * client that is silent, slow or wrong is passed over; what it says about the size of a blob counts for nobody else. Knows no
 * sockets: it talks through struct blobs_ops.
 */
#ifndef BROKER_BLOBS_H
#define BROKER_BLOBS_H

#include "base/err.h"
#include "wire/wire.h"

struct blobs;

struct blobs_ops {
    int (*send)(void *ctx, uint64_t peer, const struct wire_msg *m);
    bool (*has_room)(void *ctx, uint64_t peer);         /* may a piece be sent to this worker now? */
    /* The owner behind `after` (NULL: the first) of a pool that this worker was given and that names the blob; false: no more. */
    bool (*owner)(void *ctx, uint64_t worker, const uint8_t digest[WIRE_DIGEST], const uint8_t *after, uint8_t ret[WIRE_KEY]);
    /* A client that names it, and its key; 0: no more. */
    uint64_t (*source)(void *ctx, const uint8_t digest[WIRE_DIGEST], uint64_t after, uint8_t ret_key[WIRE_KEY]);
    void *ctx;
};

/* Files lie in dir, which is made if missing and locked: one broker for one directory. Old files are removed. BFORK_ESTATE: in use.
 */
int bsh_blobs_new(const char *dir, uint64_t bound, const struct blobs_ops *ops, struct blobs **ret, struct err *e);
void bsh_blobs_free(struct blobs **b);

void bsh_blobs_get(struct blobs *b, uint64_t now, uint64_t worker, const struct wire_msg *m);   /* BLOB_GET */
void bsh_blobs_piece(struct blobs *b, uint64_t now, uint64_t client, const struct wire_msg *m); /* BLOB_PIECE */
void bsh_blobs_none(struct blobs *b, uint64_t client, const struct wire_msg *m);  /* BLOB_NONE */
void bsh_blobs_lost(struct blobs *b, uint64_t now, uint64_t peer);
/* Once a turn, after everything else: asks for and serves pieces, a bounded number. */
void bsh_blobs_step(struct blobs *b, uint64_t now);
uint64_t bsh_blobs_deadline(const struct blobs *b, uint64_t now);         /* CLOCK_NEVER: nothing to do */

struct blobs_counters { uint64_t files, bytes, fetching, uploads, pieces_served, refused, bad_pieces; };
void bsh_blobs_counters(const struct blobs *b, struct blobs_counters *ret);

#endif
