/* SPDX-License-Identifier: MPL-2.0
 * image.c - see image.h.
 */
#include "blob/image.h"

#include "bfork.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U            /* Linux 6.3 */
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020          /* Linux 6.3: the execute bits stay as they are */
#endif

struct image { int fd; uint64_t size; EVP_MD_CTX *sha; };

static int open_memory(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

    if (fd < 0 && errno == EINVAL)          /* an older kernel: executable unless it is said otherwise */
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd;
}

int blob_image_new(const char *name, struct image **ret, struct err *e)
{
    const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
    struct image *i = calloc(1, sizeof(*i));
    char shown[128];
    int bad;

    *ret = NULL;
    if (!i)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    snprintf(shown, sizeof(shown), "%s", base[0] ? base : "program");
    i->fd = open_memory(shown);
    bad = i->fd < 0 ? errno : 0;
    i->sha = EVP_MD_CTX_new();
    if (!bad && i->sha && EVP_DigestInit_ex(i->sha, EVP_sha256(), NULL) == 1 && fchmod(i->fd, 0700) == 0) {
        *ret = i;
        return 0;
    }
    blob_image_free(&i);
    if (bad == EACCES || bad == EPERM)
        return err_set(e, BFORK_REFUSED,
                       "this host forbids to execute programs from memory (vm.memfd_noexec is 2), as the worker does: "
                       "set it to 0 or 1, sysctl -w vm.memfd_noexec=1");
    return bad ? err_errno(e, BFORK_ENOMEM, bad, "no memory file for %.200s", shown) : err_set(e, BFORK_ENOMEM, "out of memory");
}

void blob_image_free(struct image **pi)
{
    struct image *i = *pi;

    if (!i)
        return;
    *pi = NULL;
    if (i->fd >= 0)
        close(i->fd);
    EVP_MD_CTX_free(i->sha);
    free(i);
}

int blob_image_add(struct image *i, const void *bytes, size_t size, struct err *e)
{
    if (EVP_DigestUpdate(i->sha, bytes, size) != 1)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    for (size_t done = 0; done < size;) {
        ssize_t n = write(i->fd, (const uint8_t *)bytes + done, size - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_errno(e, BFORK_ENOMEM, n < 0 ? errno : ENOSPC, "no memory for a program of more than %llu bytes",
                             (unsigned long long)i->size);
        done += (size_t)n;
        i->size += (uint64_t)n;
    }
    return 0;
}

int64_t blob_image_add_file(struct image *i, int fd, size_t most, struct err *e)
{
    static uint8_t bytes[1 << 18];
    int64_t all = 0;

    while (most > 0) {
        ssize_t n = read(fd, bytes, most < sizeof(bytes) ? most : sizeof(bytes));
        int rc;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, BFORK_REFUSED, errno, "cannot read a cached program");
        if (n == 0)
            break;
        if ((rc = blob_image_add(i, bytes, (size_t)n, e)) < 0)
            return rc;
        all += n;
        most -= (size_t)n;
    }
    return all;
}

int blob_image_seal(struct image *i, const uint8_t digest[WIRE_DIGEST], struct err *e)
{
    const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    uint8_t found[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (EVP_DigestFinal_ex(i->sha, found, &n) != 1 || n != WIRE_DIGEST || memcmp(found, digest, WIRE_DIGEST) != 0)
        return err_set(e, BFORK_EPROTOCOL, "the bytes have another SHA-256");
    if (fcntl(i->fd, F_ADD_SEALS, seals | F_SEAL_EXEC) != 0 && fcntl(i->fd, F_ADD_SEALS, seals) != 0)
        return err_errno(e, BFORK_REFUSED, errno, "a program in memory cannot be sealed");
    return 0;
}

int blob_image_fd(const struct image *i)
{
    return i->fd;
}

uint64_t blob_image_size(const struct image *i)
{
    return i->size;
}
