/* SPDX-License-Identifier: MPL-2.0
 * template.h - what templates say, and how they end.
 */
#ifndef EXEC_TEMPLATE_H
#define EXEC_TEMPLATE_H

#include "exec/objects.h"

void exec_template_fail(struct exec_template *t, const char *stage, int code, const char *text);    /* the next step reports it */
void exec_template_unstarted(struct exec_template *t, int error);   /* the same; errno of its exec, or of its fork */
void exec_template_packet(struct exec_template *t);
void exec_template_leash(struct exec_template *t);
void exec_template_step(struct exec_template *t);
#endif
