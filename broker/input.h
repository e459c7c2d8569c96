/* SPDX-License-Identifier: MPL-2.0
 * input.h - one message of a peer.
 */
#ifndef BROKER_INPUT_H
#define BROKER_INPUT_H

#include "shell.h"

void bsh_shell_take(struct shell *s, uint64_t now, struct flow_peer *p, struct buf *frame);

#endif
