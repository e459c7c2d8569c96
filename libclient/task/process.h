/* SPDX-License-Identifier: MPL-2.0
 * process.h - what a task process does.
 */
#ifndef LIBCLIENT_TASK_PROCESS_H
#define LIBCLIENT_TASK_PROCESS_H

#include "wire/wire.h"

#include <stdbool.h>
#include <sys/types.h>

struct process_start {
    uint32_t id;
    int ring, event, out, err;
    const struct wire_pool_spec *spec;
    const char *work_dir;
    bool solo;
    pid_t parent;
};

void task_process_main(const struct process_start *s) __attribute__((noreturn));
#endif
