/* SPDX-License-Identifier: MPL-2.0
 * task.h - what runs tasks: in a task process, and, for the library's serial mode, in the calling process.
 *
 * No ZeroMQ, no keys, no threads of its own.
 */
#ifndef LIBCLIENT_TASK_TASK_H
#define LIBCLIENT_TASK_TASK_H

#include "task/print.h"
#include "wire/wire.h"
#include "bfork.h"

#include <sys/types.h>

/* Has main of this program called bfork_init? */
bool task_inited(void);
/* Is this process meant to be a template (its owner waits for bfork_init), although bfork_init has not been called? Then it tells
 * the owner so and never returns. The library calls it first wherever a session or pool is made: a program without bfork_init would
 * start itself again and again. */
void task_refuse_stray(void);
/* Is this a template or task process, or, in serial mode, a thread that runs a task? Sessions and pools are refused there: tasks
 * that submit tasks need an engine that knows of both. */
bool task_is_inside(void);
/* Called from the SIGINT handler that bfork_init installs if nobody else has SIGINT; NULL, or returning false: the default action.
 */
extern bool (*volatile task_on_interrupt)(void);

/* In bfork_init: the program's variables as they are now. Later: the names of those that have changed, and have another value than
 * one of the handles (NULL-ended); false: none, or it cannot be told. */
void task_globals_note(void);
bool task_globals_changed(char *text, size_t size, const void *const *handles);

/* Threads of the library itself: they do not stand in the way of a fork. */
extern _Atomic int task_own_threads;

/* A process that has the caller's memory as it is now and forks templates from it (see fork.c); exec_template_spec.fork_server is
 * its socket. 0; BFORK_ETHREADS: other threads run; BFORK_ENOMEM. */
struct task_server { int socket; pid_t pid; };
int task_fork_server(struct task_server *ret, struct err *e);
void task_server_end(struct task_server *s);

struct task_job;        /* a decoded job specification with its function found */
struct task_runner;     /* runs tasks in this process, one at a time */

/* Fails only for memory and malformed specifications; a function that cannot be found is the outcome of each of its tasks. */
int task_job_new(const void *spec, size_t size, struct task_job **ret, struct err *e);
void task_job_free(struct task_job **j);

int task_runner_new(struct task_runner **ret, struct err *e);
/* Who takes it from now on; NULL, as at first: it goes to this process's stdout and stderr. */
void task_runner_print(struct task_runner *r, task_print *print, void *ctx);
void task_runner_free(struct task_runner **r);
/* One task. in: an element of a map, or the MessagePack array of arguments. out: for a map, out_size zeroed bytes.
 * true: well; *ret: the result (lent until the next run; of a map: out). false: *ret_outcome says how it ended (lent likewise). */
bool task_run(struct task_runner *r, struct task_job *j, uint64_t id, uint64_t index, uint32_t tries, const void *in,
              size_t in_size, void *out, struct slice *ret, const struct wire_outcome **ret_outcome);
/* The initializer or finalizer of a pool (struct wire_fn, encoded) with args; the same returns. */
bool task_run_once(struct task_runner *r, struct wire_bin fn, struct wire_bin args, const struct wire_outcome **ret_outcome);

#endif
