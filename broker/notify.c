/* SPDX-License-Identifier: MPL-2.0
 * notify.c - tells systemd how far the broker is; does nothing where there is none.
 */
#include "shell.h"

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>

void notify_ready(void) { sd_notify(0, "READY=1\nSTATUS=serving"); }
void notify_reloading(void) { sd_notify(0, "RELOADING=1"); }
void notify_stopping(void) { sd_notify(0, "STOPPING=1\nSTATUS=finishing running work"); }
#else
void notify_ready(void) { }
void notify_reloading(void) { }
void notify_stopping(void) { }
#endif
