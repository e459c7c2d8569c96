/* SPDX-License-Identifier: MPL-2.0
 * spawn.h - starts keepers: by their program (spawn_linux.c), or by a program's fork server (spawn_forked.c).
 */
#ifndef EXEC_SPAWN_H
#define EXEC_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

struct spawn { const char *path; char *const *argv, *const *env; int out, err, socket, leash, program_fd; bool session; };

int exec_spawn_process(const struct spawn *s, pid_t *ret_pid);                                  /* 0, or errno of what failed */
int exec_spawn_forked(int server, int socket, int out, int err, int leash, pid_t *ret_keeper);  /* the same */
#endif
