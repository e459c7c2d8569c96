/* SPDX-License-Identifier: MPL-2.0
 * end.h - the ends of processes and templates, told and not.
 */
#ifndef EXEC_END_H
#define EXEC_END_H

#include "exec/objects.h"

void exec_proc_last_words(struct exec_proc *p);                     /* all output is read, all results are visible */
void exec_proc_dead(struct exec_proc *p, const struct packet *obituary); /* packet_type DIED; tells the caller */
void exec_proc_unlink(struct exec_proc *p);                         /* to the graves */
void exec_proc_free(struct exec_proc *p);
void exec_template_gone(struct exec_template *t);                   /* to the graves, with its processes */
#endif
