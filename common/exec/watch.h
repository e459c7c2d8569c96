/* SPDX-License-Identifier: MPL-2.0
 * watch.h - the control words of rings.
 */
#ifndef EXEC_WATCH_H
#define EXEC_WATCH_H

#include "exec/objects.h"

uint64_t exec_watch_until(const struct exec *x);                    /* as it is in the rings */
void exec_watch_words(struct exec_proc *p);
#endif
