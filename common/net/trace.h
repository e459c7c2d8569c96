/* SPDX-License-Identifier: MPL-2.0
 * trace.h - for those who debug a peer: a line for each message that a daemon sends and is sent,
 *
 *     2026-11-22 21:02:46.475123 from client 3 "alice": PING channel=1 stamp=7
 *
 * Tasks, results, specifications and tickets are only counted. Peers decide how much there is to write, so it is bounded: a file
 * takes so many bytes, then it becomes FILE.old (what was that is gone) and begins anew; on stderr there are so many lines in a
 * second.
 */
#ifndef NET_TRACE_H
#define NET_TRACE_H

#include "base/err.h"
#include "wire/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_TRACE_MOST (64u << 20)      /* bytes of one file */
#define NET_TRACE_LINES 100u            /* in a second, on stderr */

struct net_trace;

/* file: "-" is stderr. An existing one is gone on with. 0; BFORK_EINVAL: it cannot be written, or is no file. */
int net_trace_open(const char *file, uint64_t most, struct net_trace **ret, struct err *e);
void net_trace_close(struct net_trace **t);
/* to: was it sent to `who`, or did it come from there? t may be NULL: nothing happens. */
void net_trace_message(struct net_trace *t, bool to, const char *who, const struct wire_msg *m);
/* It came from `who` and is no message. */
void net_trace_unread(struct net_trace *t, const char *who, size_t size, const char *why);

#endif
