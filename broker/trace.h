/* SPDX-License-Identifier: MPL-2.0
 * trace.h - every message that passes the broker's sockets, for those who debug a peer (--trace).
 */
#ifndef BROKER_TRACE_H
#define BROKER_TRACE_H

#include "shell.h"

int bsh_trace_open(struct shell *s, struct err *e);     /* if it is wanted */
void bsh_trace_received(struct shell *s, const struct flow_peer *p, const struct wire_msg *m);
void bsh_trace_unread(struct shell *s, const struct flow_peer *p, size_t size, const char *why);

#endif
