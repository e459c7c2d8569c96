/* SPDX-License-Identifier: MPL-2.0
 * orders.h - SPAWN and KILL, on their way to a template.
 */
#ifndef EXEC_ORDERS_H
#define EXEC_ORDERS_H

#include "exec/objects.h"

/* Who is asked for it: its own template, or the one that it is forked from. */
static inline struct exec_template *template_of_proc(const struct exec_proc *p) { return p->solo ? p->solo : p->t; }

void exec_proc_due(struct exec_proc *p, bool first);                /* there is something to say about it: SPAWN, or else KILL */
void exec_proc_undue(struct exec_proc *p);
void exec_template_flush(struct exec_template *t);                  /* sends what is due, as far as the socket takes it */
#endif
