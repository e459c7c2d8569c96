/* SPDX-License-Identifier: MPL-2.0
 * run.h - one call of a task's function.
 */
#ifndef LIBCLIENT_TASK_RUN_H
#define LIBCLIENT_TASK_RUN_H

#include "task/objects.h"

extern bool task_process;                                   /* this process is a template or task process, or forked from one */

int task_call(struct bfork_task *t);                        /* of every kind but a map: runs its function, in the form it has */
void task_begin(struct bfork_task *t, struct task_job *j);
void task_end(struct bfork_task *t);                        /* frees what it has allocated */
#endif
