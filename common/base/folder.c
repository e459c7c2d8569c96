/* SPDX-License-Identifier: MPL-2.0
 * folder.c - see folder.h.
 */
#include "base/folder.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

static int make_one(const char *path, bool open, int code, struct err *e)
{
    struct stat st;
    int failed = mkdir(path, open ? 0755 : 0700) < 0 ? errno : 0;

    /* Some file systems look at the right to make it before they look whether it is there. */
    if (failed == EEXIST || (failed && stat(path, &st) == 0 && S_ISDIR(st.st_mode)))
        return 0;
    if (!failed && open && chmod(path, 0755) < 0)
        failed = errno;
    if (!failed)
        return 0;
    err_errno(e, code, failed, "cannot make the directory %.300s", path);
    errno = failed;
    return code;
}

static int make_above(const char *dir, bool open, int code, struct err *e)
{
    char path[PATH_MAX];
    int rc = 0;

    if (snprintf(path, sizeof(path), "%s", dir) >= (int)sizeof(path)) {
        errno = ENAMETOOLONG;
        return err_set(e, code, "the name of the directory is too long: %.300s", dir);
    }
    for (char *p = path + 1; path[0] && *p && rc == 0; p++)
        if (*p == '/') {
            *p = '\0';
            rc = make_one(path, open, code, e);
            *p = '/';
        }
    return rc;
}

int folder_make(const char *path, int code, struct err *e)
{
    int rc = make_above(path, false, code, e);

    return rc < 0 ? rc : make_one(path, false, code, e);
}

int folder_make_above(const char *path, int code, struct err *e) { return make_above(path, true, code, e); }
