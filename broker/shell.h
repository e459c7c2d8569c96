/* SPDX-License-Identifier: MPL-2.0
 * shell.h - the running broker: sockets, files and signals around the core. Internal to bfork-broker. What each file offers is in a
 * header of its own, which those above it include: notify, trace, status, orders, admin, input, loop.
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
    struct net_trace *trace;            /* NULL: none is wanted */
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

#endif
