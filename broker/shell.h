/* SPDX-License-Identifier: MPL-2.0
 * shell.h - the running broker: sockets, files and signals around the core. Internal to bfork-broker.
 *
 * One thread. A turn: take in what came (bounded in number and time), tell the core, let it flush, perform its effects in order,
 * then blobs; sleep only if nothing is left. The shell decides nothing about tasks.
 */
#ifndef BROKER_SHELL_H
#define BROKER_SHELL_H

#include "auth.h"
#include "blobs.h"
#include "core/broker.h"
#include "flow.h"
#include "options.h"

#define SHELL_TURN 256                  /* messages of one listener in one turn, */
#define SHELL_TURN_NS (5 * CLOCK_MS)    /* and how long they may take: answers leave at the end of a turn */
#define SHELL_PIECES_AHEAD 4194304u     /* bytes of blobs on the way to one worker */

struct shell_counters { uint64_t messages, malformed, stalls, overrun, reloads, most_in_turn; };  /* most_in_turn: messages */

struct shell {
    const struct options *options;
    const struct paths *paths;
    struct auth *auth;
    struct net *net;
    struct net_listener *listeners[AUTH_ROLES];
    struct broker *core;
    struct blobs *blobs;
    struct flow flow;
    struct wire_item *items;            /* WIRE_ITEMS_MAX */
    uint64_t epoch, started, last_turn, drain_until;    /* drain_until 0: not draining */
    bool stop;
    int status;                         /* exit code */
    struct shell_counters counters;
};

/* loop.c */
int bsh_shell_run(struct shell *s, int signal_fd);      /* until the end; the exit code */
int bsh_shell_send(struct shell *s, uint64_t peer, const struct wire_msg *m);
void bsh_shell_drain(struct shell *s, uint64_t now);
void bsh_shell_reload(struct shell *s, uint64_t now);   /* allow files; cuts who is gone from them */
int bsh_shell_reload_checked(struct shell *s, uint64_t now, struct err *e);

/* input.c: one message of a peer. */
void bsh_shell_take(struct shell *s, uint64_t now, struct flow_peer *p, struct buf *frame);

/* admin.c: an ADMIN message. */
void bsh_shell_admin(struct shell *s, uint64_t now, struct flow_peer *p, const struct wire_msg *m);

/* status.c */
/* Of a client's key: its name in the allow file, or else the key, written into text. */
const char *bsh_shell_key_name(const struct shell *s, const uint8_t key[32], char text[NET_KEY_TEXT]);
bool bsh_shell_status_known(const char *what, struct err *e);  /* is there such a status? */
/* A JSON text the caller frees; NULL: out of memory. what: "summary", "workers", "jobs"; owner: the key that asks sees its own jobs
 * and counters; NULL: all. */
char *bsh_shell_status(struct shell *s, uint64_t now, const char *what, const uint8_t *owner);

/* notify.c: what a service manager is told; nothing without one. */
void bsh_notify_ready(void);
void bsh_notify_reloading(void);
void bsh_notify_stopping(void);

#endif
