/* SPDX-License-Identifier: MPL-2.0
 * image.h - a program in memory that nobody can change: a memfd, hashed while it is filled, sealed when its SHA-256 is right. It is
 * what is executed; a file of the same name may say anything afterwards.
 */
#ifndef BLOB_IMAGE_H
#define BLOB_IMAGE_H

#include "base/err.h"
#include "wire/wire.h"

struct image;

/* name: shown in /proc (maps, exe). BFORK_REFUSED: this host forbids to execute such memory, and how to change that. */
int blob_image_new(const char *name, struct image **ret, struct err *e);
void blob_image_free(struct image **i);
int blob_image_add(struct image *i, const void *bytes, size_t size, struct err *e);
/* Adds at most `most` bytes from where fd stands. Returns how many, 0 at its end, or a negative status. */
int64_t blob_image_add_file(struct image *i, int fd, size_t most, struct err *e);
/* BFORK_EPROTOCOL: these are not the bytes of that digest. Afterwards nothing can be added or changed. */
int blob_image_seal(struct image *i, const uint8_t digest[WIRE_DIGEST], struct err *e);
int blob_image_fd(const struct image *i);       /* sealed: to be executed; close-on-exec, the image's own */
uint64_t blob_image_size(const struct image *i);

#endif
