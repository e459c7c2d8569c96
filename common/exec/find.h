/* SPDX-License-Identifier: MPL-2.0
 * find.h - where the programs of ours lie that are started beside a user's program.
 */
#ifndef EXEC_FIND_H
#define EXEC_FIND_H

#include <stddef.h>

/* An installed helper, or the build tree's: its path, written into path, whether it is there or not. */
const char *exec_find(const char *name, char *path, size_t size);
#endif
