/* SPDX-License-Identifier: MPL-2.0
 * output.h - what task processes print, on its way to the caller.
 */
#ifndef EXEC_OUTPUT_H
#define EXEC_OUTPUT_H

#include "exec/objects.h"

void exec_output_init(struct output *o, struct exec_template *t, struct exec_proc *p);
int exec_output_pipe(struct exec *x, struct source *s, int *ret_write, struct err *e);
void exec_output_read(struct exec *x, struct source *s, bool last); /* last: all of it, whether there is room or not */
void exec_output_resume(struct exec *x, struct source *s);          /* there may be room again */
void exec_output_settle(struct exec_proc *p);                       /* its first result is about to be pulled */
void exec_output_close(struct exec *x, struct output *o);
#endif
