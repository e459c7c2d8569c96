/* SPDX-License-Identifier: MPL-2.0
 * fail.h - how a task fails, and the memory and names for its texts.
 */
#ifndef LIBCLIENT_TASK_FAIL_H
#define LIBCLIENT_TASK_FAIL_H

#include "task/objects.h"

void *task_arena(void *task, size_t size);                  /* freed by task_end; NULL: out of memory */
const char *task_job_name(struct task_job *j);
int task_fail(struct bfork_task *t, int kind, int code, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* After a function returned rc: has it failed? Then *o is filled; its strings live in message and the job. */
bool task_failed(struct bfork_task *t, int rc, struct wire_outcome *o, char *message, size_t size);
#endif
