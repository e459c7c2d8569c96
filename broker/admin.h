/* SPDX-License-Identifier: MPL-2.0
 * admin.h - an ADMIN message.
 */
#ifndef BROKER_ADMIN_H
#define BROKER_ADMIN_H

#include "shell.h"

void bsh_shell_admin(struct shell *s, uint64_t now, struct flow_peer *p, const struct wire_msg *m);

#endif
