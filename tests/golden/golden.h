/* SPDX-License-Identifier: MPL-2.0
 * golden.h - files of hexadecimal bytes with comments.
 */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of GOLDEN_DIR/name.hex; -1: cannot be read. comment (if not NULL): its lines that begin with '#', without that. */
long golden_read(const char *name, uint8_t *out, size_t room, char *comment, size_t comment_room);
/* The text such a file has. */
void golden_text(const char *comment, const uint8_t *p, size_t n, char *out, size_t room);

#endif
