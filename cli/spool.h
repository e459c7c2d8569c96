/* SPDX-License-Identifier: MPL-2.0
 * spool.h - what commands have written, kept until it is their turn: in memory up to a bound for all together, then in a file that
 * has no name any more ($TMPDIR, or /tmp). Blocks of the file are used again, so it is as large as what was kept at a time.
 *
 * Not thread-safe: the caller serializes.
 */
#ifndef CLI_SPOOL_H
#define CLI_SPOOL_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define SPOOL_BLOCK 262144u             /* bytes of one spool in memory, and of a block of the file */
#define SPOOL_MEMORY (32u << 20)        /* of all spools together, but for 512 bytes of each */

struct spools {                         /* zeroed: none */
    int fd;                             /* of the file; 0: there is none */
    uint64_t blocks;                    /* so many were used at a time */
    uint64_t *free_blocks;
    size_t n_free, free_cap;
    size_t memory;                      /* capacity of all buffers */
};

struct spool_part { uint64_t block; uint32_t size; };

struct spool {                          /* zeroed: empty */
    uint64_t size;
    struct spool_part *parts;           /* in the file; then comes what is in memory */
    size_t n_parts, parts_cap;
    char *bytes;
    size_t used, cap;
};

/* 0, or < 0 with a text: no memory, no room in the directory. What was added before stays. */
int cli_spool_add(struct spools *all, struct spool *s, const void *bytes, size_t size, struct err *e);
/* Everything, in order, in pieces. 0, or what put has returned, or < 0 with a text. */
int cli_spool_each(struct spools *all, const struct spool *s, int (*put)(void *ctx, const char *bytes, size_t size), void *ctx,
                   struct err *e);
void cli_spool_clear(struct spools *all, struct spool *s);
void cli_spools_free(struct spools *all); /* all its spools are cleared */

#endif
