/* SPDX-License-Identifier: MPL-2.0
 * pending.h - what is pushed into a process's ring and has no result yet.
 */
#ifndef EXEC_PENDING_H
#define EXEC_PENDING_H

#include "exec/objects.h"
#include "exec/tasks.h"

static inline struct pushed *pushed_at(const struct exec_proc *p, uint32_t k)
{
    return &p->pushed[(p->pushed_first + k) & (p->pushed_cap - 1)];
}

bool exec_proc_has_result(const struct exec_proc *p);
void exec_pushed_finished(struct exec_proc *p);                     /* the first record in `pushed` */
void exec_proc_violates(struct exec_proc *p, const char *what);     /* it did what it must not: the next step kills it */
#endif
