/* SPDX-License-Identifier: MPL-2.0
 * print.h - who takes what a streamed command writes.
 */
#ifndef LIBCLIENT_TASK_PRINT_H
#define LIBCLIENT_TASK_PRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a streamed command of task index has written. False: nobody takes more, the command is to be ended. */
typedef bool task_print(void *ctx, uint64_t index, int stream, const void *bytes, size_t size);
#endif
