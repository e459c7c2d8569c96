/* SPDX-License-Identifier: MPL-2.0
 * internal.h - calls of libbfork for our own command line only: not in the public header, may change with every version.
 */
#ifndef LIBCLIENT_INTERNAL_H
#define LIBCLIENT_INTERNAL_H

#include "bfork.h"

/* A session on the administrators' endpoint (the profile's admin key). */
BFORK_API bfork_session *bfork_internal_admin_session(const char *profile, const bfork_session_options *o);
/* what: "summary", "workers", "jobs". *ret_json is freed by the caller. 0 or < 0 with the last error set. */
BFORK_API int bfork_internal_status(bfork_session *s, const char *what, char **ret_json, int timeout_ms);
/* verb: "reload", "revoke", "drain", "stop", "status". */
BFORK_API int bfork_internal_admin(bfork_session *s, const char *verb, const char *argument, char **ret_json, int timeout_ms);
BFORK_API int bfork_internal_ping(bfork_session *s, int timeout_ms, uint64_t *ret_ns);

/* What a command has written to fd (1, 2), as it comes; task is what it was submitted with. from->kind not 0: bytes are a line of
 * the library's, see "output" in bfork.h: BFORK_EAGAIN, the command runs again, and what came before does not count; BFORK_ETOOBIG
 * and BFORK_LOST, it is not whole. Told before the future is done, and not after it. */
typedef void bfork_internal_output_fn(void *task, const bfork_error *from, int fd, const void *bytes, size_t size);
/* bfork_pool_submit_raw of a command, whose output goes to a function whatever its size; stdout and stderr of its result are empty.
 * It is the data of its future. In a serial session a command ends when the session is interrupted. */
BFORK_API bfork_future *bfork_internal_command(bfork_pool *p, const char *const *argv, const bfork_options *o,
                                               bfork_internal_output_fn *output, void *task);

#endif
