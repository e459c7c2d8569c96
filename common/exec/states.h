/* SPDX-License-Identifier: MPL-2.0
 * states.h - what happens to templates and task processes, as their owner sees it.
 */
#ifndef EXEC_STATES_H
#define EXEC_STATES_H

#include "exec/objects.h"

/* UP: it says that it is ready; FAIL: its failure is about to be told; LEAVE: out of every list. */
enum template_event { TEMPLATE_UP, TEMPLATE_FAIL, TEMPLATE_LEAVE, TEMPLATE_EVENTS };

/* FORKED: its template says so; UP: its ring says that it is ready; STOP, KILL: it is to; DIE: its end is about to be told; LEAVE:
 * out of every list. */
enum proc_event { PROC_FORKED, PROC_UP, PROC_STOP, PROC_KILL, PROC_DIE, PROC_LEAVE, PROC_EVENTS };

/* The only writers of the states. False: it comes too late. */
bool exec_template_move(struct exec_template *t, enum template_event event);
bool exec_proc_move(struct exec_proc *p, enum proc_event event);
#endif
