/* SPDX-License-Identifier: MPL-2.0
 * print.h - a string that grows in a buffer of fixed size, as snprintf does. Long strings and bytes are shortened; control
 * characters are escaped, so a peer cannot write into a terminal. Private to common/wire.
 */
#ifndef WIRE_PRINT_H
#define WIRE_PRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct print {
    char *out;
    size_t size, n;
    bool trace;     /* texts are longer, and of what belongs to users or proves something there is only the size */
};
void print_text(struct print *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
void print_quoted_part(struct print *p, const char *s, size_t n, size_t shown);     /* "…", at most `shown` bytes of it */
void print_quoted(struct print *p, const char *s, size_t n);        /* shortened */
void print_hex(struct print *p, const uint8_t *b, size_t n);        /* <n bytes: 0102…>, shortened */
void print_private(struct print *p, const uint8_t *b, size_t n);    /* the same; in a trace <n bytes> */

#endif
