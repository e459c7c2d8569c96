/* SPDX-License-Identifier: MPL-2.0
 * frame.h - from a message of ours to ZeroMQ's, and from what was received to a buf.
 */
#ifndef NET_FRAME_H
#define NET_FRAME_H

#include "base/buf.h"
#include "wire/wire.h"

#include <zmq.h>

/* Encodes m into a new message. */
int net_encode(zmq_msg_t *msg, const struct wire_msg *m);
/* A buf around msg, which it takes over. NULL: out of memory; msg is untouched. */
struct buf *net_buf_of(zmq_msg_t *msg);

#endif
