/* SPDX-License-Identifier: MPL-2.0
 * frame.c - see frame.h. Neither way copies the bytes.
 */
#include "frame.h"

#include "bfork.h"

#include <stdatomic.h>
#include <stdlib.h>

int net_encode(zmq_msg_t *msg, const struct wire_msg *m)
{
    size_t size = wire_size(m);

    if (size == 0 || size > WIRE_FRAME_MAX)
        return BFORK_ETOOBIG;
    if (zmq_msg_init_size(msg, size) != 0)
        return BFORK_ENOMEM;
    wire_encode(m, zmq_msg_data(msg));
    return 0;
}

/* The wrapper: one allocation for the buf and the message it keeps. */
struct net_frame { struct buf buf; zmq_msg_t msg; };

static void net_frame_release(struct buf *b)
{
    struct net_frame *f = (struct net_frame *)(void *)b;

    zmq_msg_close(&f->msg);
    free(f);
}

struct buf *net_buf_of(zmq_msg_t *msg)
{
    struct net_frame *f = malloc(sizeof(*f));

    if (!f)
        return NULL;
    zmq_msg_init(&f->msg);
    zmq_msg_move(&f->msg, msg);
    atomic_init(&f->buf.refs, 1);
    f->buf.data = zmq_msg_data(&f->msg);
    f->buf.size = zmq_msg_size(&f->msg);
    f->buf.capacity = f->buf.size + sizeof(*f);
    f->buf.release = net_frame_release;
    f->buf.owner = NULL;
    return &f->buf;
}
