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

#endif
