/* SPDX-License-Identifier: MPL-2.0
 * notify.h - what a service manager is told; nothing without one.
 */
#ifndef BROKER_NOTIFY_H
#define BROKER_NOTIFY_H

void bsh_notify_ready(void);
void bsh_notify_reloading(void);
void bsh_notify_stopping(void);

#endif
