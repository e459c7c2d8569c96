/* SPDX-License-Identifier: MPL-2.0 */
/* link.h - one connection to a broker: key file, CURVE, monitor (chapter 2 of docs/protocol.md). */
#ifndef INTEROP_LINK_H
#define INTEROP_LINK_H

#include "wire.h"

#include <czmq.h>

struct link { zsock_t *socket; zactor_t *monitor; bool up, ended, refused; };

/* Opens a socket towards the broker with the key of a zcert file. */
void link_open(struct link *link, const char *key_file, const char *endpoint);
const char *link_endpoint(const char *key_file, int port);      /* of the broker, so many ports after that of clients */
void link_close(struct link *link);
/* Waits for the handshake; false: it failed or the limit passed. */
bool link_ready(struct link *link, int limit_ms);
/* The next message as it came, NULL: none within the limit, or the connection has ended and nothing is left (link->ended). */
zframe_t *link_receive(struct link *link, int limit_ms);
/* Something that was received is still to be read. */
bool link_left(struct link *link);
/* Takes the bytes; false: there is nobody to send to. */
bool link_send(struct link *link, buffer *bytes);
/* Ends the program with a message. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
