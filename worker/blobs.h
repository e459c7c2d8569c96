/* SPDX-License-Identifier: MPL-2.0
 * blobs.h - programs: read from the cache or pulled from the broker in pieces, hashed once, and kept in memory that nobody can
 * change.
 *
 * What is executed is always such a sealed memfd, never a file: tasks have the worker's user id and may write its cache. A
 * cached file saves fetching and nothing else; one with other bytes than its name says is removed, and the program is fetched
 * again. A cache that is full is no reason not to run a program; one that cannot be written at all refuses it by name.
 *
 * Bounds: fetches of each owner and of all (those that do not move hold nobody up), disk space and memory (what is used least
 * recently goes first; memory never while a lane uses it). Sizes are believed of who said them: the broker, and each lane for
 * itself. Knows no sockets and no core: it talks through struct blobs_ops.
 *
 * Room in memory: a program that lanes use goes too when all of them are quiet, that which has been so for longest first; they are
 * told to yield. While owners compete, each has a right to an equal share: an owner who would exceed it waits behind those who
 * were turned away and hold less. For whom there is no room, the answer is failed with EAGAIN, "not now".
 */
#ifndef WORKER_BLOBS_H
#define WORKER_BLOBS_H

#include "base/err.h"
#include "wire/wire.h"

struct blobs;

struct blobs_ops {
    void (*send)(void *ctx, const struct wire_msg *m);                  /* BLOB_GET */
    bool (*wanted)(void *ctx, uint32_t lane);                           /* does it still exist? */
    uint64_t (*quiet)(void *ctx, uint32_t lane);                        /* since when it has nothing to do; CLOCK_NEVER: it has */
    void (*yield)(void *ctx, uint32_t lane, const char *text);          /* a quiet one is to end; not wanted from now on */
    void (*ready)(void *ctx, uint32_t lane, int fd);                    /* to be executed; valid during the call */
    void (*failed)(void *ctx, uint32_t lane, int code, const char *stage, const char *text);
    void *ctx;
};

struct blobs_wish {
    const uint8_t *digest, *owner;  /* WIRE_DIGEST and WIRE_KEY bytes */
    uint64_t size;                  /* as the lane's client says; 0: it does not */
    const char *name;               /* for texts and for /proc */
};

/* dir is made when it is first needed. bound: bytes in it; memory: bytes of programs in memory. */
int wsh_blobs_new(const char *dir, uint64_t bound, uint64_t memory, const struct blobs_ops *ops, struct blobs **ret, struct err *e);
void wsh_blobs_free(struct blobs **b);

/* Answers with ready or failed, from inside or later. Calls neither quiet nor yield. */
void wsh_blobs_want(struct blobs *b, uint32_t lane, const struct blobs_wish *w);
void wsh_blobs_message(struct blobs *b, uint64_t now, const struct wire_msg *m); /* BLOB_PIECE, BLOB_NONE */
void wsh_blobs_online(struct blobs *b, uint64_t now, bool online);      /* what was asked for is asked for again when it is true */
void wsh_blobs_step(struct blobs *b, uint64_t now);                     /* once a turn: reads files, asks for pieces */
uint64_t wsh_blobs_deadline(const struct blobs *b);
uint64_t wsh_blobs_memory(const struct blobs *b);                       /* of programs in memory, whole or not yet */

#endif
