/* SPDX-License-Identifier: MPL-2.0
 * orders.h - what an administrator and a signal can both order.
 */
#ifndef BROKER_ORDERS_H
#define BROKER_ORDERS_H

#include "shell.h"

void bsh_shell_drain(struct shell *s, uint64_t now);
void bsh_shell_reload(struct shell *s, uint64_t now);   /* allow files; cuts who is gone from them */
int bsh_shell_reload_checked(struct shell *s, uint64_t now, struct err *e);

#endif
