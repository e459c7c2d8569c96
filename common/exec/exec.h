/* SPDX-License-Identifier: MPL-2.0
 * exec.h - templates, the task processes forked from them, their task rings, watchdog and obituaries: the owner's side. One code
 * for bfork-worker and for the local engine. The process side is libclient/task/.
 *
 *   owner --exec--> keeper --exec--> template (the program, stopped in bfork_init; single-threaded; preload has run)
 *                                       --fork--> task process (one a slot), ring in a sealed memfd shared with the owner
 *
 * A template and its owner talk on a socketpair (SOCK_SEQPACKET; see packets.h); a task process and its owner through
 * the ring (ring.h) with a futex one way and the owner's eventfd the other. However one of them ends, all below it ends too: see
 * the table in keeper/keeper.c.
 *
 * States (states.c)   template: starting -> ready; any of them -> failed (told) -> gone, or gone at once if it is stopped
 *                     process:  forking -> starting (initializer) -> ready -> stopping; any of them -> dead (told) -> gone
 *
 * A process is asked for when its template can take it, with two descriptors here and one there while it lives. One for which there
 * are no descriptors, processes or memory dies unborn with BFORK_EAGAIN: it may be started later, and the others go on. The
 * worker's core does so, after a pause; nobody raises the program's limit of open files (RLIMIT_NOFILE).
 *
 * Nothing here blocks. Everything happens in exec_step, which calls the callbacks; call it when exec_fd is readable or
 * exec_deadline has passed. Not thread-safe: the caller serializes.
 */
#ifndef EXEC_EXEC_H
#define EXEC_EXEC_H

#include "exec/callbacks.h"
#include "exec/proc.h"
#include "exec/tasks.h"

int exec_new(const struct exec_config *c, struct exec **ret, struct err *e);
void exec_free(struct exec **x);                    /* kills everything and waits for it */
int exec_fd(const struct exec *x);                  /* level-triggered */
uint64_t exec_deadline(const struct exec *x);
void exec_step(struct exec *x, uint64_t now);

/* user: given back in the callbacks. Never fails but for memory and descriptors: other failures come as template_failed. */
int exec_template_start(struct exec *x, const struct exec_template_spec *s, void *user, struct exec_template **ret, struct err *e);
void exec_template_stop(struct exec_template *t);   /* kills its processes; no callback after this, for it and for them */

/* From this moment no task is begun, whatever is in the rings, also if the caller does not run then: 0: at once. CLOCK_NEVER, as in
 * the beginning: whenever. Processes that have stopped go on when it is put off. */
void exec_valid_until(struct exec *x, uint64_t until);

int exec_proc_start(struct exec_template *t, void *user, struct exec_proc **ret, struct err *e);

/* What the caller waits for before it sleeps on exec_fd: the next result, or that few tasks are left. Rings are armed by this, then
 * checked once more; returns true if there is something already (do not sleep). Good for one wake-up: arm again before each sleep.
 */
enum exec_want { EXEC_NOTHING, EXEC_NEXT, EXEC_LOW };
bool exec_arm(struct exec *x, enum exec_want want);

#endif
