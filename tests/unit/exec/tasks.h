/* SPDX-License-Identifier: MPL-2.0
 * tasks.h - functions that the tests run in task processes; the test program is its own task program.
 */
#ifndef TEST_EXEC_TASKS_H
#define TEST_EXEC_TASKS_H

#include <bfork.h>

struct hundred { long v[12]; int x; };          /* 104 bytes */

int task_square(bfork_task *t);         /* (int) -> (int) */
int task_echo(bfork_task *t);           /* raw */
int task_nothing(bfork_task *t);
int task_raise(bfork_task *t);
int task_return7(bfork_task *t);
int task_crash(bfork_task *t);          /* SIGSEGV in a function of a known name */
int task_abort(bfork_task *t);
int task_overflow(bfork_task *t);
int task_exit(bfork_task *t);           /* (int) */
int task_loop(bfork_task *t);
int task_flood(bfork_task *t);          /* (int megabytes) on stdout */
int task_print(bfork_task *t);
#define SAYS_LONG 100000u
int task_says(bfork_task *t);
int task_grandchild(bfork_task *t);     /* setsid, ignores SIGTERM; returns (pid) */
int task_grandchild_crash(bfork_task *t);
int task_leaves_and_waits(bfork_task *t); /* prints the pids of a grandchild in a session of its own and of a command, and waits */
int task_kills_its_ancestors(bfork_task *t);    /* (int how), out of a grandchild in a session of its own, while the task waits */
int task_fork_returns(bfork_task *t);
int task_close_all(bfork_task *t);
int task_too_big(bfork_task *t);
int task_bytes(bfork_task *t);          /* (int size) -> so many bytes */
int task_pid(bfork_task *t);            /* -> (int) */
int task_sleep_ms(bfork_task *t);       /* (int) */
int task_scribble_at(
    bfork_task *t); /* (int number, offset, size, pattern): number 3 overwrites a control word, and stays if pattern >= 100 */
enum forge { FORGE_NOT_RUNNING, FORGE_NO_ROOM, FORGE_IDLE, FORGE_BEFORE, FORGE_BEHIND, FORGE_MANY, FORGE_ONCE, FORGES,
             FORGE_LAST /* and ends */ };
int task_forge(bfork_task *t);          /* (int how): stays, and writes over what says that it runs */
int task_scribble(bfork_task *t);       /* over the control words of its ring */
int task_self(bfork_task *t);           /* -> (index, attempt, function, context) */
int task_kill9(bfork_task *t);
int preload_well(bfork_task *t);
int preload_raises(bfork_task *t);
int preload_crashes(bfork_task *t);
int preload_hangs(bfork_task *t);
int initializer_well(bfork_task *t);
int initializer_raises(bfork_task *t);
int initializer_exits(bfork_task *t);
int task_initialized(bfork_task *t);    /* -> (preloaded, initialized) */

int map_copy(const void *in, void *out, bfork_task *t);         /* struct hundred */
int map_square(const void *in, void *out, bfork_task *t);       /* int */
int map_sleep_ms(const void *in, void *out, bfork_task *t);       /* int */
int map_odd_fails(const void *in, void *out, bfork_task *t);
int map_crash_at_50(const void *in, void *out, bfork_task *t);
#endif
