/* SPDX-License-Identifier: MPL-2.0
 * notify.c - tells systemd how far the broker is; does nothing where there is none.
 */
#include "notify.h"

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>

void bsh_notify_ready(void) { sd_notify(0, "READY=1\nSTATUS=serving"); }
void bsh_notify_reloading(void) { sd_notify(0, "RELOADING=1"); }
void bsh_notify_stopping(void) { sd_notify(0, "STOPPING=1\nSTATUS=finishing running work"); }
#else
void bsh_notify_ready(void) { }
void bsh_notify_reloading(void) { }
void bsh_notify_stopping(void) { }
#endif
