/* SPDX-License-Identifier: MPL-2.0
 * source.h - descriptors in the owner's epoll set.
 */
#ifndef EXEC_SOURCE_H
#define EXEC_SOURCE_H

#include "exec/objects.h"

int exec_watch(struct exec *x, struct source *s);           /* 0, or -errno */
void exec_watch_room(struct exec *x, struct source *s, bool on);
void exec_unwatch(struct exec *x, struct source *s);        /* and closes it */
#endif
