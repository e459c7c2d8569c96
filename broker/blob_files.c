/* SPDX-License-Identifier: MPL-2.0
 * blob_files.c - the files of blobs, one each, named by digest, in a folder that belongs to one broker. It decides nothing. The
 * folder is a cache: it is emptied at every start, so no file is ever believed that this process did not write and verify.
 */
#include "blobs_internal.h"

#include "base/folder.h"
#include "base/log.h"
#include "bfork.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOB_SUFFIX ".blob"
#define BLOB_NAME (2 * WIRE_DIGEST + sizeof(BLOB_SUFFIX))

static void blob_name(const struct blob *x, char name[BLOB_NAME])
{
    for (size_t i = 0; i < WIRE_DIGEST; i++)
        snprintf(name + 2 * i, 3, "%02x", x->digest[i]);
    memcpy(name + (size_t)2 * WIRE_DIGEST, BLOB_SUFFIX, sizeof(BLOB_SUFFIX));
}

static void folder_empty(struct blobs *b)
{
    int fd = openat(b->folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    if (!d) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((entry = readdir(d))) {
        size_t n = strlen(entry->d_name);
        if (n == BLOB_NAME - 1 && strcmp(entry->d_name + n - strlen(BLOB_SUFFIX), BLOB_SUFFIX) == 0)
            unlinkat(b->folder_fd, entry->d_name, 0);
    }
    closedir(d);
}

int bsh_blob_folder_open(struct blobs *b, const char *dir, struct err *e)
{
    int rc = folder_make(dir, BFORK_EINVAL, e);

    if (rc < 0)
        return rc;
    b->folder_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (b->folder_fd < 0)
        return err_errno(e, BFORK_EINVAL, errno, "cannot open the state directory %s", dir);
    b->lock_fd = openat(b->folder_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (b->lock_fd < 0)
        return err_errno(e, BFORK_EINVAL, errno, "cannot write in the state directory %s", dir);
    if (flock(b->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return err_set(e, BFORK_ESTATE,
                       "the state directory %s is in use by another broker: stop that one, or name another with --state-dir", dir);
    folder_empty(b);
    return 0;
}

void bsh_blob_folder_close(struct blobs *b)
{
    if (b->lock_fd >= 0)
        close(b->lock_fd);
    if (b->folder_fd >= 0)
        close(b->folder_fd);
}

int bsh_blob_file_append(struct blobs *b, struct blob *x, const void *data, size_t size, struct err *e)
{
    const uint8_t *p = data;
    char name[BLOB_NAME];

    if (x->fd < 0) {
        blob_name(x, name);
        unlinkat(b->folder_fd, name, 0);
        x->fd = openat(b->folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (x->fd < 0)
            return err_errno(e, BFORK_EUNREACHABLE, errno, "the broker cannot keep the program");
    }
    while (size > 0) {
        ssize_t n = write(x->fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            err_errno(e, BFORK_EUNREACHABLE, n < 0 ? errno : ENOSPC, "the broker cannot keep the program");
            log_limited(LOG_WARNING_, 'b', "event=blob_write_failed text=\"%s\"", e->text);
            return BFORK_EUNREACHABLE;
        }
        p += n;
        size -= (size_t)n;
        x->stored += (uint64_t)n;
        b->counters.bytes += (uint64_t)n;
    }
    return 0;
}

void bsh_blob_file_close(struct blob *x)
{
    if (x->fd >= 0)
        close(x->fd);
    x->fd = -1;
}

void bsh_blob_file_drop(struct blobs *b, struct blob *x)
{
    char name[BLOB_NAME];

    if (x->fd < 0 && x->stored == 0)
        return;
    bsh_blob_file_close(x);
    blob_name(x, name);
    unlinkat(b->folder_fd, name, 0);
    b->counters.bytes -= x->stored;
    x->stored = 0;
}

int bsh_blob_file_read(struct blobs *b, struct blob *x, uint64_t offset, size_t size, struct buf **ret, struct err *e)
{
    char name[BLOB_NAME];
    struct buf *piece;
    int fd, failed = 0;

    if (size > x->pieces.got - offset)
        size = (size_t)(x->pieces.got - offset);
    piece = buf_new(size ? size : 1);
    if (!piece)
        return err_set(e, BFORK_ENOMEM, "the broker is out of memory");
    blob_name(x, name);
    fd = x->pieces.got ? openat(b->folder_fd, name, O_RDONLY | O_CLOEXEC) : -1;
    failed = fd < 0 && x->pieces.got ? errno : 0;
    while (!failed && piece->size < size) {
        ssize_t n = pread(fd, piece->data + piece->size, size - piece->size, (off_t)(offset + piece->size));
        if (n > 0)
            piece->size += (size_t)n;
        else if (n == 0 || errno != EINTR)
            failed = n == 0 ? EIO : errno;
    }
    if (fd >= 0)
        close(fd);
    if (failed) {
        buf_unref(&piece);
        return err_errno(e, BFORK_EUNREACHABLE, failed, "the broker cannot read the program");
    }
    *ret = piece;
    return 0;
}
