/* SPDX-License-Identifier: MPL-2.0
 * spool.c - see spool.h. A spool's buffer grows to a block; a full one goes to the file, and so does a part of one when all
 * together have too much.
 */
#include "spool.h"

#include <bfork.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAST 512u                      /* bytes of a buffer at first */

static const char *directory(void)
{
    const char *dir = getenv("TMPDIR");

    return dir && *dir ? dir : "/tmp";
}

static int spool_error(struct err *e, const char *what, int error)
{
    return err_set(e, BFORK_EINVAL, "cannot %s what commands print in %.200s: %s; make room there, or set TMPDIR to another "
                   "directory", what, directory(), strerror(error));
}

static int no_memory(struct err *e) { return err_set(e, BFORK_ENOMEM, "out of memory for what commands print"); }

static int make_file(struct spools *all, struct err *e)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/bfork-XXXXXX", directory()) >= (int)sizeof(path))
        return spool_error(e, "keep", ENAMETOOLONG);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return spool_error(e, "keep", errno);
    unlink(path);
    all->fd = fd;
    return 0;
}

static int block_take(struct spools *all, uint64_t *ret, struct err *e)
{
    int rc = all->fd ? 0 : make_file(all, e);

    if (rc < 0)
        return rc;
    if (all->n_free) {
        *ret = all->free_blocks[--all->n_free];
        return 0;
    }
    if (all->blocks == all->free_cap) { /* so that giving back never fails */
        size_t cap = all->free_cap ? 2 * all->free_cap : 64;
        uint64_t *bigger = realloc(all->free_blocks, cap * sizeof(*bigger));
        if (!bigger)
            return no_memory(e);
        all->free_blocks = bigger;
        all->free_cap = cap;
    }
    *ret = all->blocks++;
    return 0;
}

static int write_block(const struct spools *all, uint64_t block, const char *bytes, size_t size, struct err *e)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = pwrite(all->fd, bytes + at, size - at, (off_t)(block * SPOOL_BLOCK + at));
        if (n < 0 && errno != EINTR)
            return spool_error(e, "keep", errno);
        at += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static void buffer_free(struct spools *all, struct spool *s)
{
    all->memory -= s->cap;
    free(s->bytes);
    s->bytes = NULL;
    s->used = s->cap = 0;
}

/* What is in memory goes to the file. */
static int spill(struct spools *all, struct spool *s, struct err *e)
{
    uint64_t block = 0;
    int rc;

    if (s->n_parts == s->parts_cap) {
        size_t cap = s->parts_cap ? 2 * s->parts_cap : 4;
        struct spool_part *bigger = realloc(s->parts, cap * sizeof(*bigger));
        if (!bigger)
            return no_memory(e);
        s->parts = bigger;
        s->parts_cap = cap;
    }
    if ((rc = block_take(all, &block, e)) < 0)
        return rc;
    if ((rc = write_block(all, block, s->bytes, s->used, e)) < 0) {
        all->free_blocks[all->n_free++] = block;
        return rc;
    }
    s->parts[s->n_parts++] = (struct spool_part){ block, (uint32_t)s->used };
    s->used = 0;
    return 0;
}

static int grow(struct spools *all, struct spool *s, size_t need, struct err *e)
{
    size_t cap = s->cap ? s->cap : LEAST;

    while (cap < need)
        cap *= 2;
    if (cap == s->cap)
        return 0;
    char *bigger = realloc(s->bytes, cap);
    if (!bigger)
        return no_memory(e);
    all->memory += cap - s->cap;
    s->bytes = bigger;
    s->cap = cap;
    return 0;
}

int cli_spool_add(struct spools *all, struct spool *s, const void *bytes, size_t size, struct err *e)
{
    const char *p = bytes;

    for (size_t n; size; p += n, size -= n) {
        int rc = s->used == SPOOL_BLOCK ? spill(all, s, e) : 0;
        n = SPOOL_BLOCK - s->used < size ? SPOOL_BLOCK - s->used : size;
        if (rc < 0 || (rc = grow(all, s, s->used + n, e)) < 0)
            return rc;
        memcpy(s->bytes + s->used, p, n);
        s->used += n;
        s->size += n;
    }
    if (all->memory <= SPOOL_MEMORY || s->cap <= LEAST)
        return 0;
    int rc = spill(all, s, e);
    if (rc == 0)
        buffer_free(all, s);
    return rc;
}

int cli_spool_each(struct spools *all, const struct spool *s, int (*put)(void *ctx, const char *bytes, size_t size), void *ctx,
                   struct err *e)
{
    char *block = s->n_parts ? malloc(SPOOL_BLOCK) : NULL;
    int rc = s->n_parts && !block ? no_memory(e) : 0;

    for (size_t i = 0; i < s->n_parts && rc == 0; i++) {
        const struct spool_part *part = &s->parts[i];
        for (size_t at = 0; at < part->size && rc == 0;) {
            ssize_t n = pread(all->fd, block + at, part->size - at, (off_t)(part->block * SPOOL_BLOCK + at));
            if (n == 0 || (n < 0 && errno != EINTR))
                rc = spool_error(e, "read", n < 0 ? errno : ENODATA);
            at += n > 0 ? (size_t)n : 0;
        }
        if (rc == 0)
            rc = put(ctx, block, part->size);
    }
    free(block);
    return rc == 0 && s->used ? put(ctx, s->bytes, s->used) : rc;
}

void cli_spool_clear(struct spools *all, struct spool *s)
{
    for (size_t i = 0; i < s->n_parts; i++)
        all->free_blocks[all->n_free++] = s->parts[i].block;
    buffer_free(all, s);
    free(s->parts);
    *s = (struct spool){ 0 };
}

void cli_spools_free(struct spools *all)
{
    if (all->fd)
        close(all->fd);
    free(all->free_blocks);
    *all = (struct spools){ 0 };
}
