/* SPDX-License-Identifier: MPL-2.0
 * watchdog.h - the limits of running tasks.
 */
#ifndef EXEC_WATCHDOG_H
#define EXEC_WATCHDOG_H

#include "exec/objects.h"

void exec_watchdog_step(struct exec_proc *p, uint64_t now);
#endif
