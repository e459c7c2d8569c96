/* SPDX-License-Identifier: MPL-2.0
 * link.h - what joins a session to a broker: the local engine (a broker core and a worker core in this process), or a transport to
 * a broker elsewhere. A link drives the session's core: it performs its effects and brings it what comes.
 *
 * Everything here is called with the session's lock held. Nothing blocks.
 */
#ifndef LIBCLIENT_LINK_H
#define LIBCLIENT_LINK_H

#include "base/err.h"
#include "core/session.h"

struct link;

enum link_want {
    LINK_NOTHING,
    LINK_NEXT,
    LINK_LOW
}; /* what the caller waits for: any outcome; or that there is little left to do */

struct link_ops {
    /* Does all that can be done now. False: nothing happened. */
    bool (*pump)(struct link *l, uint64_t now);
    int (*fd)(struct link *l);                  /* level-triggered after arm has said false; the same for the link's life */
    uint64_t (*deadline)(struct link *l);
    bool (*arm)(struct link *l, enum link_want want);       /* before sleeping on fd; true: there is something already */
    bool (*ending)(struct link *l);             /* are task processes of this machine ending, with their finalizers? */
    void (*close)(struct link *l);
    /* Why there is no connection now, for people; "": there is one. */
    const char *(*trouble)(struct link *l);
    /* SHA-256, or on a link that leaves this machine never, any 32 bytes that tell two documents apart. */
    void (*digest)(struct link *l, const void *p, size_t n, uint8_t out[WIRE_DIGEST]);
    /* Digest and size of this process's executable, or of our runner (runner: zero bytes of digest). */
    int (*program)(struct link *l, uint8_t out[WIRE_DIGEST], uint64_t *ret_size, struct err *e);
    /* The caller's memory as it is now, as a program whose digest stands for it until it is dropped. NULL: not on this link. */
    int (*fork)(struct link *l, uint8_t out[WIRE_DIGEST], struct err *e);
    void (*drop_fork)(struct link *l, const uint8_t digest[WIRE_DIGEST]);
};

struct link { const struct link_ops *ops; };

/* What a link tells its session beside what goes through the core. */
struct link_events {
    void (*failed)(void *ctx, int code, const char *text);              /* for good: outstanding work fails */
    void (*warning)(void *ctx, const char *text);                       /* work goes on, with less than was asked for */
    /* Task processes of this machine have printed it, but no task: a preload, an initializer. */
    void (*printed)(void *ctx, uint32_t pid, int stream, const void *bytes, size_t size);
    uint64_t output_window;                     /* of tasks of this machine: bytes printed and not taken; 0: 16 MiB */
    void *ctx;
};

/* name: of the session. Each takes the core (not over). */
int bfs_local_link_open(struct session *core, const struct link_events *events, struct link **ret, struct err *e);

struct remote_setup {
    const char *profile;        /* name, path, or tcp://host:port */
    const char *client_key;     /* file, or NULL: the profile's */
    int64_t connect_limit_ms;
    bool admin;                 /* the administrators' endpoint */
};
int bfs_remote_link_open(const struct remote_setup *setup, struct session *core, const struct link_events *events,
                         struct link **ret,
                         struct err *e);

#endif
