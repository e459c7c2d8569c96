/* SPDX-License-Identifier: MPL-2.0
 * blobs_internal.h - what blobs.c (decisions) and blob_files.c (files) share. Invariants: counters.bytes is the sum of all
 * `stored`; b->in_flight the sum of all in_flight; a READY blob has a complete, verified file and got == total.
 */
#ifndef BROKER_BLOBS_INTERNAL_H
#define BROKER_BLOBS_INTERNAL_H

#include "blobs.h"

#include "base/list.h"

#include <openssl/evp.h>

#define PIECES_IN_FLIGHT 4u         /* towards one client for one blob */
#define ALL_IN_FLIGHT 32u           /* towards all clients */
#define FETCHING_MAX 256u
#define FILES_MAX 4096u
#define WAITS_MAX 64u               /* requests of one worker */
#define SERVE_TURN 8                /* pieces served in one turn */
#define ROUNDS_MAX 2u               /* times that all clients were tried */
#define SOURCE_LIMIT (60 * CLOCK_SEC)   /* a client that does not answer for this long is passed over */
#define WAIT_LIMIT (15 * CLOCK_SEC)     /* while no client has it */

enum blob_state { BLOB_FETCHING, BLOB_READY };

struct blob_wait { struct list_node node; uint64_t worker, offset; uint32_t channel, request, size; };

struct blob {
    struct list_node node;          /* b->all, used last first */
    uint8_t digest[WIRE_DIGEST];
    enum blob_state state;
    struct list waiting;
    uint64_t source;                /* the client it comes from; 0: none now */
    uint64_t began, heard, asked, got, total, stored;
    bool total_known;
    uint32_t in_flight, rounds;
    int fd;                         /* while it is written; else -1 */
    EVP_MD_CTX *sha;
};

struct blobs {
    struct list all;
    struct blobs_ops ops;
    uint64_t bound;
    uint32_t in_flight;
    bool work, blocked;
    int folder_fd, lock_fd;
    struct blobs_counters counters;
};

int blob_folder_open(struct blobs *b, const char *dir, struct err *e);
void blob_folder_close(struct blobs *b);
int blob_file_append(struct blobs *b, struct blob *x, const void *data, size_t size, struct err *e);
void blob_file_close(struct blob *x);
void blob_file_drop(struct blobs *b, struct blob *x);
int blob_file_read(struct blobs *b, struct blob *x, uint64_t offset, size_t size, struct buf **ret, struct err *e);

#endif
