/* SPDX-License-Identifier: MPL-2.0
 * find.h - the function that a job specification names.
 */
#ifndef LIBCLIENT_TASK_FIND_H
#define LIBCLIENT_TASK_FIND_H

#include "task/objects.h"

void task_find(struct task_job *j);                         /* or why it cannot be called */
#endif
