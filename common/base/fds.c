/* SPDX-License-Identifier: MPL-2.0
 * fds.c - see fds.h. A program that is started with a closed standard input would else read its input from a socket of ours,
 * or write its errors into one.
 */
#include "base/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void fds_reserve(void)
{
    int kept = errno, fd;

    /* The lowest free number is what open gives: a number over 2 says that those below are taken. */
    for (int i = 0; i < 3; i++)
        if (fcntl(i, F_GETFD) < 0 && (fd = open("/", O_PATH | O_CLOEXEC)) > 2) {
            close(fd);
            break;
        }
    errno = kept;
}
