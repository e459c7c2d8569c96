/* SPDX-License-Identifier: MPL-2.0
 * lines.c - lines of a file or pipe, one at a time. The descriptor is never made non-blocking: it may be shared with other
 * programs.
 */
#include "lines.h"

#include <bfork.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE 65536u
#define COUNT_MAX (64ll << 20)      /* larger files are not counted beforehand */

struct lines {
    int fd;
    char delimiter, *data, *name;
    size_t start, seen, end, room;  /* data[start..end) is not used up, data[start..seen) has no delimiter */
    uint64_t number;                /* of the line taken last, from 1 */
    bool at_end;
};

int cli_lines_open(const char *path, char delimiter, struct lines **ret, struct err *e)
{
    struct lines *l = calloc(1, sizeof(*l));
    bool is_stdin = strcmp(path, "-") == 0;

    *ret = NULL;
    if (!l || !(l->name = strdup(is_stdin ? "standard input" : path))) {
        free(l);
        return err_set(e, BFORK_ENOMEM, "out of memory");
    }
    l->delimiter = delimiter;
    l->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (l->fd < 0) {
        int rc = err_errno(e, BFORK_EINVAL, errno, "cannot read %s", path);
        cli_lines_close(&l);
        return rc;
    }
    *ret = l;
    return 0;
}

void cli_lines_close(struct lines **l)
{
    if (!*l)
        return;
    if ((*l)->fd > STDIN_FILENO)
        close((*l)->fd);
    free((*l)->data);
    free((*l)->name);
    free(*l);
    *l = NULL;
}

/* The next line out of what has been read; *ret_size: without its end. */
static bool take_line(struct lines *l, char **ret_line, size_t *ret_size)
{
    char *found = l->seen < l->end ? memchr(l->data + l->seen, l->delimiter, l->end - l->seen) : NULL;

    l->seen = l->end;
    if (!found && !(l->at_end && l->start < l->end))
        return false;
    *ret_line = l->data + l->start;
    if (!found)
        found = l->data + l->end;       /* the last line without an end; there is room for one byte more */
    *found = '\0';
    *ret_size = (size_t)(found - *ret_line);
    l->number++;
    l->start = (size_t)(found - l->data) + 1;
    if (l->start > l->end)
        l->start = l->end;
    l->seen = l->start;
    return true;
}

static int grow_buffer(struct lines *l, struct err *e)
{
    if (l->start > 0) {
        memmove(l->data, l->data + l->start, l->end - l->start);
        l->end -= l->start;
        l->seen -= l->start;
        l->start = 0;
    }
    if (l->end >= LINES_MAX)
        return err_set(e, BFORK_ETOOBIG, "%s has a line longer than 1 MiB; put such arguments into files and pass their names",
                       l->name);
    if (l->room - l->end > PIECE / 2)
        return 0;
    size_t room = l->room ? 2 * l->room : PIECE;
    char *data = realloc(l->data, room + 1);
    if (!data)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    l->data = data;
    l->room = room;
    return 0;
}

int cli_lines_next(struct lines *l, int timeout_ms, char **ret_line, struct err *e)
{
    for (;;) {
        struct pollfd p = { .fd = l->fd, .events = POLLIN };
        size_t size;
        ssize_t n;
        int rc;

        if (take_line(l, ret_line, &size)) {
            if (strlen(*ret_line) == size)
                return 0;
            return err_set(e, BFORK_EINVAL, "%s, line %llu has a NUL byte, which no argument can have; if arguments end with NUL "
                           "bytes: --null", l->name, (unsigned long long)l->number);
        }
        if (l->at_end)
            return BFORK_END;
        if ((rc = grow_buffer(l, e)) < 0)
            return rc;
        rc = poll(&p, 1, timeout_ms);
        if (rc == 0)
            return BFORK_ETIMEDOUT;
        n = rc < 0 ? -1 : read(l->fd, l->data + l->end, l->room - l->end);
        if (n < 0 && errno == EINTR)
            return BFORK_EINTR;
        if (n < 0 && errno == EBADF && l->fd == STDIN_FILENO)
            return err_set(e, BFORK_EINVAL, "cannot read standard input: it is closed; give arguments behind :::, or "
                           "</dev/null for none");
        if (n < 0)
            return err_errno(e, BFORK_EINVAL, errno, "cannot read %s", l->name);
        l->end += (size_t)n;
        l->at_end = n == 0;
    }
}

bool cli_lines_count(const struct lines *l, uint64_t *ret)
{
    struct stat st;
    char piece[PIECE];
    off_t at = lseek(l->fd, 0, SEEK_CUR), from = at;
    char last = l->delimiter;
    ssize_t n;

    if (at < 0 || fstat(l->fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size - at > COUNT_MAX || l->end > 0)
        return false;
    *ret = 0;
    while ((n = pread(l->fd, piece, sizeof(piece), at)) > 0) {
        const char *p = piece, *end = piece + n;
        while ((p = memchr(p, l->delimiter, (size_t)(end - p)))) {
            ++*ret;
            p++;
        }
        last = end[-1];
        at += n;
    }
    *ret += at > from && last != l->delimiter;
    return n == 0;
}
