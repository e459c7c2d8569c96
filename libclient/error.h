/* SPDX-License-Identifier: MPL-2.0
 * error.h - this thread's last error (bfork_last_error), and errors owned by futures.
 */
#ifndef LIBCLIENT_ERROR_H
#define LIBCLIENT_ERROR_H

#include "base/err.h"
#include "wire/wire.h"
#include "bfork.h"

/* Sets this thread's last error and returns kind (an enum bfork_status < 0). */
int bfs_error_set(int kind, const char *format, ...) __attribute__((format(printf, 2, 3)));
#ifdef __clang_analyzer__           /* it does not look into other files: what is returned is the kind, and not 0 */
#define bfs_error_set(kind, ...) (bfs_error_set(kind, __VA_ARGS__), (kind))
#endif
int bfs_error_from(const struct err *e);        /* from an inside error; returns its code */
int bfs_error_again(const bfork_error *e);      /* makes e (of a future, a handle) this thread's last error; returns its kind */

/* An error of its own on the heap, all strings in one allocation. NULL: out of memory. Freed with free(). */
bfork_error *bfs_error_new(int kind, const char *message);
bfork_error *bfs_error_new_outcome(const struct wire_outcome *o);
bfork_error *bfs_error_clone(const bfork_error *e);
const bfork_error *bfs_error_no_memory(void);   /* static */

#endif
