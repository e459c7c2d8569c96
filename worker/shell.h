/* SPDX-License-Identifier: MPL-2.0
 * shell.h - bfork-worker around its core: the connection, the turns, signals. Decides nothing about tasks.
 */
#ifndef WORKER_SHELL_H
#define WORKER_SHELL_H

#include "blobs.h"
#include "instance.h"
#include "net/net.h"
#include "net/retry.h"
#include "options.h"
#include "lanes.h"

#include <limits.h>

#define SHELL_TURN 256              /* messages taken in a turn */

struct shell {
    const struct options *options;
    const struct settings *settings;
    char library_path[PATH_MAX];    /* the folder of the libbfork that is installed with this program; "": none */
    struct instance instance;
    struct net *net;
    struct net_trace *trace;        /* NULL: none is wanted */
    struct net_link *link;          /* NULL: none, until retry.next */
    struct lanes *lanes;
    struct worker *core;
    struct blobs *blobs;
    struct wire_item *items;
    uint64_t last_turn, slept_until, drain_until;
    struct retry retry;
    uint64_t seed;
    bool link_up, online, draining, stop;
    bool broken;                    /* to be dropped at the end of the turn */
    char why[600], said[600];       /* why; the text that was logged last about not being connected */
    int status;
};

/* An exit code. */
int wsh_shell_run(struct shell *s, int signal_fd);

/* connection.c */
void wsh_connection_step(struct shell *s, uint64_t now);    /* connects, hears about failures */
bool wsh_connection_drain(struct shell *s, uint64_t now);   /* takes messages; true: there may be more */
void wsh_connection_send(struct shell *s, const struct wire_msg *m);
void wsh_connection_break(struct shell *s, const char *why); /* at the end of the turn */
void wsh_connection_close(struct shell *s, uint64_t now);

void wsh_notify_ready(const char *status);
void wsh_notify_stopping(void);

#endif
