/* SPDX-License-Identifier: MPL-2.0
 * notify.c - tells systemd how far the worker is; does nothing where there is none.
 */
#include "shell.h"

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>

void wsh_notify_ready(const char *status)
{
    sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void wsh_notify_stopping(void)
{
    sd_notify(0, "STOPPING=1\nSTATUS=finishing running tasks");
}
#else
void wsh_notify_ready(const char *status)
{
    (void)status;
}

void wsh_notify_stopping(void)
{
}
#endif
