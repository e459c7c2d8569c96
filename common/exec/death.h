/* SPDX-License-Identifier: MPL-2.0
 * death.h - how a task process ended.
 */
#ifndef EXEC_DEATH_H
#define EXEC_DEATH_H

#include "exec/objects.h"

void exec_death_report(struct exec_proc *p, const struct packet *obituary);     /* calls proc_died */
uint64_t exec_death_oom_count(void);
#endif
