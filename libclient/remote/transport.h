/* SPDX-License-Identifier: MPL-2.0
 * transport.h - what libbfork asks of libbfork-remote: an encrypted connection, digests, profiles. ZeroMQ and OpenSSL are on the
 * other side of this table only, so that programs, templates and task processes do not carry them. The two objects are of one
 * version and share struct wire_msg; bfork_remote_transport.version says so.
 */
#ifndef LIBCLIENT_REMOTE_TRANSPORT_H
#define LIBCLIENT_REMOTE_TRANSPORT_H

#include "base/err.h"
#include "wire/wire.h"

struct transport;

enum transport_state { TRANSPORT_CONNECTING, TRANSPORT_UP, TRANSPORT_DOWN };

struct transport_table {
    char version[16];
    /* Reads profile and key: BFORK_EKEY, BFORK_EINVAL with text. Nothing is connected yet. */
    int (*open)(const char *profile, const char *client_key, bool admin, struct transport **ret, struct err *e);
    void (*close)(struct transport **t);
    const char *(*endpoint)(const struct transport *t);
    int (*connect)(struct transport *t, struct err *e);     /* a new connection; the old one, if any, is dropped */
    void (*disconnect)(struct transport *t);
    enum transport_state (*state)(struct transport *t, struct err *e);
    /* 1: *m is decoded, refers to *frame (to be unreferenced by the caller) and to items; 0: nothing; < 0: what came is no message.
     */
    int (*recv)(struct transport *t, struct wire_item *items, struct wire_msg *m, struct buf **frame, struct err *e);
    int (*send)(struct transport *t, const struct wire_msg *m);     /* 0, BFORK_EAGAIN, BFORK_EUNREACHABLE */
    int (*fd)(const struct transport *t);
    bool (*ready)(struct transport *t);                     /* something to do: do not sleep */
    int (*step)(struct transport *t, struct err *e);
    void (*digest)(const void *p, size_t n, uint8_t out[WIRE_DIGEST]);
    int (*digest_file)(int fd, uint8_t out[WIRE_DIGEST], uint64_t *ret_size, struct err *e);
};

extern const struct transport_table bfork_remote_transport;

#endif
