/* SPDX-License-Identifier: MPL-2.0
 * cache.c - see cache.h.
 */
#include "cache.h"

#include "bfork.h"
#include "instance.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void cache_path(const struct cache *c, const char *hex, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%.*s/%s", PATH_MAX - 80, c->dir, hex);
}

static void part_path(const struct cache *c, const char *hex, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%.*s/tmp/%s", PATH_MAX - 80, c->dir, hex);
}

static int cannot_write(const struct cache *c, int errnum, struct err *e)
{
    return err_errno(e, err_passes(errnum) ? BFORK_EAGAIN : BFORK_REFUSED, errnum,
                     "the worker cannot write its cache directory %.300s%s", c->dir,
                     errnum == ENOSPC || errnum == EDQUOT ? ", which is full" : "");
}

int wsh_cache_open(const struct cache *c, const char *hex, uint64_t *ret_size)
{
    char path[PATH_MAX];
    struct stat st;
    int fd;

    cache_path(c, hex, path);
    if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)) < 0)
        return -1;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 022) &&
        (uint64_t)st.st_size <= c->bound) {
        *ret_size = (uint64_t)st.st_size;
        return fd;
    }
    close(fd);
    return -1;
}

void wsh_cache_touch(const struct cache *c, const char *hex)
{
    char path[PATH_MAX];

    cache_path(c, hex, path);
    utimensat(AT_FDCWD, path, NULL, 0);     /* only the order in which files go; nothing depends on it */
}

void wsh_cache_remove(const struct cache *c, const char *hex)
{
    char path[PATH_MAX];

    cache_path(c, hex, path);
    unlink(path);
}

struct entry { char hex[2 * WIRE_DIGEST + 1]; uint64_t bytes; struct timespec used; };

static int older(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->used.tv_sec != y->used.tv_sec)
        return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    return x->used.tv_nsec < y->used.tv_nsec ? -1 : x->used.tv_nsec > y->used.tv_nsec;
}

static bool list_entries(const struct cache *c, struct entry **ret, size_t *ret_n, uint64_t *ret_bytes)
{
    DIR *d = opendir(c->dir);
    size_t n = 0, room = 0;
    bool ok = d != NULL;

    *ret = NULL;
    *ret_bytes = 0;
    for (struct dirent *f; ok && (f = readdir(d));) {
        struct stat st;

        if (strlen(f->d_name) != 2 * WIRE_DIGEST || fstatat(dirfd(d), f->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(st.st_mode))
            continue;
        if (n == room) {
            struct entry *more = realloc(*ret, (room = room ? room * 2 : 64) * sizeof(**ret));

            if (!(ok = more != NULL))
                break;
            *ret = more;
        }
        memcpy((*ret)[n].hex, f->d_name, sizeof((*ret)[n].hex));
        (*ret)[n].bytes = (uint64_t)st.st_blocks * 512;
        (*ret)[n++].used = st.st_mtim;
        *ret_bytes += (uint64_t)st.st_blocks * 512;
    }
    if (d)
        closedir(d);
    *ret_n = n;
    return ok;
}

int wsh_cache_room(struct cache *c, uint64_t size, const char *name, struct err *e)
{
    char tmp[PATH_MAX];
    struct entry *entries;
    size_t n;
    int rc;

    part_path(c, "", tmp);
    tmp[strlen(tmp) - 1] = 0;
    if ((rc = wsh_instance_mkdir(tmp, e)) < 0) {
        e->code = rc == BFORK_EAGAIN ? rc : BFORK_REFUSED;
        return err_prefix(e, "the worker's cache %.200s", c->dir);
    }
    if (size > c->bound)
        return err_set(e, BFORK_REFUSED, "%.200s has %llu bytes, more than the worker's cache may have (cache-size, %llu)", name,
                       (unsigned long long)size, (unsigned long long)c->bound);
    if (!list_entries(c, &entries, &n, &c->bytes)) {
        free(entries);
        return cannot_write(c, errno, e);
    }
    if (n)
        qsort(entries, n, sizeof(*entries), older);
    for (size_t k = 0; k < n && c->bytes + size > c->bound; k++) {
        char path[PATH_MAX];

        cache_path(c, entries[k].hex, path);
        if (unlink(path) == 0)
            c->bytes -= entries[k].bytes;
    }
    free(entries);
    if (c->bytes + size > c->bound)
        return err_set(e, BFORK_REFUSED, "no room for %.150s (%llu bytes) in the worker's cache %.150s: old programs cannot be "
                       "removed from it", name, (unsigned long long)size, c->dir);
    return 0;
}

int wsh_cache_create_part(struct cache *c, const char *hex, int *ret_fd, struct err *e)
{
    char path[PATH_MAX];

    part_path(c, hex, path);
    *ret_fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    return *ret_fd < 0 ? cannot_write(c, errno, e) : 0;
}

int wsh_cache_write_part(const struct cache *c, int fd, const void *p, size_t n, uint64_t at, struct err *e)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = pwrite(fd, (const uint8_t *)p + done, n - done, (off_t)(at + done));

        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return cannot_write(c, k < 0 ? errno : ENOSPC, e);
        done += (size_t)k;
    }
    return 0;
}

int wsh_cache_commit_part(struct cache *c, const char *hex, int *fd, struct err *e)
{
    char from[PATH_MAX], to[PATH_MAX];
    struct stat st;
    int bad = 0;

    part_path(c, hex, from);
    cache_path(c, hex, to);
    if (fstat(*fd, &st) != 0 || fchmod(*fd, 0600) != 0 || fdatasync(*fd) != 0)
        bad = errno;
    if (close(*fd) != 0 && !bad)
        bad = errno;
    *fd = -1;
    if (!bad && rename(from, to) != 0)
        bad = errno;
    if (bad) {
        unlink(from);
        return cannot_write(c, bad, e);
    }
    c->bytes += (uint64_t)st.st_blocks * 512;
    return 0;
}

void wsh_cache_drop_part(const struct cache *c, const char *hex)
{
    char path[PATH_MAX];

    part_path(c, hex, path);
    unlink(path);
}
