/* SPDX-License-Identifier: MPL-2.0
 * loop.h - the broker runs.
 */
#ifndef BROKER_LOOP_H
#define BROKER_LOOP_H

#include "shell.h"

int bsh_shell_run(struct shell *s, int signal_fd);      /* until the end; the exit code */

#endif
