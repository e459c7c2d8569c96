/* SPDX-License-Identifier: MPL-2.0
 * crash.h - the last words of a task process.
 */
#ifndef LIBCLIENT_TASK_CRASH_H
#define LIBCLIENT_TASK_CRASH_H

#include "exec/ring.h"

void task_crash_warm_up(void);                              /* in the template */
void task_crash_install(struct ring_obituary *o);           /* in the task process */
void task_crash_names(struct ring_obituary *o);             /* in a child of the template: from symbol tables */
#endif
