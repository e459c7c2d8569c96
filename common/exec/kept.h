/* SPDX-License-Identifier: MPL-2.0
 * kept.h - the owner's side of its keepers.
 */
#ifndef EXEC_KEPT_H
#define EXEC_KEPT_H

#include "exec/objects.h"

int exec_kept_guard(struct exec *x, struct err *e);                 /* makes this process a worker: subreaper, mark, guard */
void exec_kept_leave(struct exec *x);                               /* waits for keepers that still kill, but not for ever */
int exec_kept_spawn(struct exec_template *t, char *const *argv, char *const *env, int socket, int out, int err); /* errno */
void exec_kept_end(struct exec_template *t);                        /* the order to kill everything below the keeper */
bool exec_kept_hear(struct exec_template *t); /* what the leash says; true: the keeper has ended, and is reaped */
bool exec_kept_wait(struct exec_template *t, uint64_t until);       /* the same, but waits */
#endif
