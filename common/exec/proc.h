/* SPDX-License-Identifier: MPL-2.0
 * proc.h - what the caller of exec.h may want of a task process.
 */
#ifndef EXEC_PROC_H
#define EXEC_PROC_H

#include "exec/callbacks.h"

/* SIGKILL to it and all it has started; proc_died says `kind` (a bfork_status). */
void exec_proc_kill(struct exec_proc *p, int kind);
void exec_proc_stop(struct exec_proc *p);           /* runs the finalizer and ends once its ring is empty; then proc_died, kind 0 */
void exec_proc_limit(struct exec_proc *p, uint64_t run_limit_ms);   /* of tasks pushed from now on; 0: none */
pid_t exec_proc_pid(const struct exec_proc *p);
#endif
