/* SPDX-License-Identifier: MPL-2.0
 * instance.c - see instance.h. The broker requeues at once what the instance that is replaced has held; the lock makes sure that it
 * is not running any more.
 */
#include "instance.h"

#include "base/folder.h"
#include "bfork.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* A shortage may be over in a moment: then it is worth another try. */
int wsh_instance_mkdir(const char *dir, struct err *e)
{
    int rc = folder_make(dir, BFORK_EINVAL, e);

    if (rc < 0 && err_passes(errno))
        rc = BFORK_EAGAIN;
    if (e && rc < 0)
        e->code = rc;
    return rc;
}

static bool parse_id(const char *hex, uint8_t id[WIRE_ID])
{
    for (size_t k = 0; k < WIRE_ID; k++) {
        unsigned v;

        if (sscanf(hex + 2 * k, "%2x", &v) != 1)
            return false;
        id[k] = (uint8_t)v;
    }
    return true;
}

int wsh_instance_open(const char *dir, struct instance *i, struct err *e)
{
    char path[PATH_MAX], hex[2 * WIRE_ID + 2] = "";
    int rc = wsh_instance_mkdir(dir, e);
    ssize_t n;

    memset(i, 0, sizeof(*i));
    i->fd = -1;
    if (rc < 0)
        return rc;
    if (snprintf(path, sizeof(path), "%s/instance", dir) >= (int)sizeof(path))
        return err_set(e, BFORK_EINVAL, "the path is too long: %s", dir);
    if ((i->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) < 0)
        return err_errno(e, BFORK_EINVAL, errno, "cannot write the state directory %s", dir);
    if (flock(i->fd, LOCK_EX | LOCK_NB) != 0) {
        rc = errno == EWOULDBLOCK ? err_set(e, BFORK_ESTATE, "another bfork-worker uses %s: give each its own --state-dir", dir)
                                  : err_errno(e, BFORK_EINVAL, errno, "cannot lock %s", path);
        wsh_instance_close(i);
        return rc;
    }
    n = pread(i->fd, hex, 2 * WIRE_ID, 0);
    i->has_replaces = n == 2 * WIRE_ID && parse_id(hex, i->replaces);
    if (getrandom(i->id, sizeof(i->id), 0) != sizeof(i->id)) {
        rc = err_errno(e, BFORK_ENOMEM, errno, "no random numbers");
        wsh_instance_close(i);
        return rc;
    }
    for (size_t k = 0; k < WIRE_ID; k++)
        snprintf(hex + 2 * k, 3, "%02x", i->id[k]);
    hex[2 * WIRE_ID] = '\n';
    if (pwrite(i->fd, hex, 2 * WIRE_ID + 1, 0) != 2 * WIRE_ID + 1 || ftruncate(i->fd, 2 * WIRE_ID + 1) != 0) {
        rc = err_errno(e, BFORK_EINVAL, errno, "cannot write %s", path);
        wsh_instance_close(i);
        return rc;
    }
    return 0;
}

void wsh_instance_close(struct instance *i)
{
    if (i->fd >= 0)
        close(i->fd);
    i->fd = -1;
}
