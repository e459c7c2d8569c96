/* SPDX-License-Identifier: MPL-2.0
 * blobs.h - programs, pulled from the broker in pieces, checked against their SHA-256, kept in files named by it.
 *
 * Nothing is run that was not verified by this start of the daemon. Bounds: pieces in flight, disk space (least recently used go
 * first, those of live lanes never). Knows no sockets and no core: it talks through struct blobs_ops.
 */
#ifndef WORKER_BLOBS_H
#define WORKER_BLOBS_H

#include "base/err.h"
#include "wire/wire.h"

struct blobs;

struct blobs_ops {
    void (*send)(void *ctx, const struct wire_msg *m);                  /* BLOB_GET */
    bool (*wanted)(void *ctx, uint32_t lane);                           /* does it still exist? */
    void (*ready)(void *ctx, uint32_t lane, const char *path);
    void (*failed)(void *ctx, uint32_t lane, int code, const char *stage, const char *text);
    void *ctx;
};

/* dir is made when it is first needed. */
int blobs_new(const char *dir, uint64_t bound, const struct blobs_ops *ops, struct blobs **ret, struct err *e);
void blobs_free(struct blobs **b);

/* Answers with ready or failed, from inside or later. size 0: not known. name: for texts. */
void blobs_want(struct blobs *b, uint32_t lane, const uint8_t digest[WIRE_DIGEST], uint64_t size, const char *name);
void blobs_message(struct blobs *b, const struct wire_msg *m);          /* BLOB_PIECE, BLOB_NONE */
void blobs_online(struct blobs *b, bool online);                        /* what was asked for is asked for again when it is true */
void blobs_step(struct blobs *b);                                       /* once a turn: asks for pieces */
uint64_t blobs_bytes(const struct blobs *b);                            /* of files in dir, as far as known */

#endif
