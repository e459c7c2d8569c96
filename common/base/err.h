/* SPDX-License-Identifier: MPL-2.0
 * err.h - how functions fail inside: an int, 0 or a negative bfork_status (bfork.h), and one line of text for a person.
 *
 * The text says what happened, to what, and what to do. struct err is the last parameter; NULL is allowed everywhere.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

#define BASE_ENOMEM (-35)           /* BFORK_ENOMEM; base does not include the public header, a test compares them */

struct err { int code; char text[512]; };

/* Sets code and text (cut at the end of the buffer); returns code. */
int err_set(struct err *e, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Is this errno a shortage that may be over in a moment (descriptors, processes, memory, disk space)? */
bool err_passes(int errnum);
/* Puts "text: " in front of what is there. */
int err_prefix(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* As err_set, with ": " and the text of errnum behind. */
int err_errno(struct err *e, int code, int errnum, const char *format, ...) __attribute__((format(printf, 4, 5)));
#endif
