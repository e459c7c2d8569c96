/* SPDX-License-Identifier: MPL-2.0
 * tasks.h - what the caller of exec.h puts into a task process and takes out of it.
 */
#ifndef EXEC_TASKS_H
#define EXEC_TASKS_H

#include "exec/callbacks.h"

/* Hand over: copies into the ring as many tasks of item as fit and returns how many. Wakes the process unless `more` promises
 * another push or an exec_kick before the caller waits. claim: tasks it may claim at once, by their expected duration; 0: 1.
 * exec_push_job: 0, BFORK_EAGAIN (no room now), or another negative status; size 0 makes it forget the job. */
int exec_push_job(struct exec_proc *p, uint32_t job, const void *spec, size_t size);
uint32_t exec_push(struct exec_proc *p, uint32_t job, const struct wire_item *item, uint32_t claim, bool more);
void exec_kick(struct exec_proc *p);
uint32_t exec_retract(struct exec_proc *p, uint32_t max);       /* takes back what is not claimed, from the end */
uint32_t exec_pending(const struct exec_proc *p);               /* pushed, without a result yet */

/* Results in order of the pushes, as far as they were there at the last exec_step: what their tasks printed has been told by it.
 * Fills kind, count, flags, size, sum_ns, pid, lens, body; slices point into private memory of p, checked, valid until the next
 * exec_pull or exec_step of p; a body that is large has a buffer, of which a reference can be taken. false: nothing there. Tasks in
 * one item: consecutive and alike. */
bool exec_pull(struct exec_proc *p, struct wire_item *item);
#endif
