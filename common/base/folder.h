/* SPDX-License-Identifier: MPL-2.0
 * folder.h - directories, with all that is missing above them.
 */
#ifndef BASE_FOLDER_H
#define BASE_FOLDER_H

#include "base/err.h"

/* Makes the directory, and those above it that are not there, for this user alone (0700). One that is there is left as it is. 0, or
 * code, and errno says why. */
int folder_make(const char *path, int code, struct err *e);
/* The same of those above it only, open to everybody to pass through (0755, whatever the umask). */
int folder_make_above(const char *path, int code, struct err *e);
#endif
