/* SPDX-License-Identifier: MPL-2.0
 * keep.h - what a keeper does, whether it is bfork-keeper or a copy of a program (BFORK_START_FORK): see keeper/keeper.c.
 */
#ifndef EXEC_KEEP_H
#define EXEC_KEEP_H

#include <stdbool.h>
#include <sys/types.h>

struct keeper { int leash, signals, owner; };

/* This process, whose parent is the owner, becomes a keeper: all signals are blocked. 0, or errno. */
int exec_keep_open(struct keeper *k, int leash);
/* In its child, the template to be: dies with the keeper, has no signals blocked. 0, or errno. */
int exec_keep_child(pid_t keeper);
/* Tells the owner, keeps until the template or the owner ends, kills everything below and ends. error: errno of what failed
 * instead. */
void exec_keep_run(struct keeper *k, pid_t template, int error) __attribute__((noreturn));

int exec_keep_owner(void);              /* a descriptor that is readable when the parent has ended; -1: the kernel has none */
bool exec_keep_is_over(int leash);      /* its other end is closed, or shut down */
#endif
