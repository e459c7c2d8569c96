/* SPDX-License-Identifier: MPL-2.0
 * command.h - a task that is a command.
 */
#ifndef LIBCLIENT_TASK_COMMAND_H
#define LIBCLIENT_TASK_COMMAND_H

#include "task/objects.h"

int task_command_run(bfork_task *t);
#endif
