/* SPDX-License-Identifier: MPL-2.0
 * sweep.h - finds, kills and reaps what tasks have left behind. A process that is a subreaper (PR_SET_CHILD_SUBREAPER) gets
 * everything that is started below it as a child sooner or later, whatever sessions and groups it makes.
 */
#ifndef EXEC_SWEEP_H
#define EXEC_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

bool exec_sweep_has_children(void);
pid_t exec_sweep_parent(pid_t pid);     /* of any process; -1: there is none of that number (any more) */
/* At most max of this process's children; how many. */
size_t exec_sweep_list(pid_t *pids, size_t max);
/* Kills and reaps all children that are not in keep, and theirs as they come; true: none is left, false: after two seconds there
 * still are (a process in the kernel's uninterruptible sleep). Allocates nothing. */
bool exec_sweep_children(const pid_t *keep, size_t n_keep);
/* Everything below this process, until there is nothing. */
void exec_sweep_all(void);
/* Every process of this machine whose environment has such an entry ("NAME=value"), except this one; how many there were. */
size_t exec_sweep_marked(const char *entry);
#endif
