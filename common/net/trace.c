/* SPDX-License-Identifier: MPL-2.0
 * trace.c - see trace.h. One write() for each line; a trace that cannot be written any more ends, with a line in the log, and
 * nothing else is hindered. It never follows a link, so that nobody who may write into a folder chooses what a daemon overwrites.
 */
#include "trace.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "bfork.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TRACE_LINE 2048u
#define OLD ".old"

struct net_trace {
    char file[PATH_MAX], old[PATH_MAX];
    int fd;                     /* < 0: it has ended */
    bool is_file;
    uint64_t size, most;
    uint64_t until;             /* end of the second in which `lines` were written, and `left_out` were not */
    unsigned lines, left_out;
};

static int open_file(struct net_trace *t, int more, struct err *e)
{
    struct stat st;

    t->fd = open(t->file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | more, 0600);
    if (t->fd < 0)
        return err_errno(e, BFORK_EINVAL, errno, "cannot write the trace %s", t->file);
    if (fstat(t->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(t->fd);
        t->fd = -1;
        return err_set(e, BFORK_EINVAL, "the trace %s is not a file", t->file);
    }
    t->size = (uint64_t)st.st_size;
    return 0;
}

int net_trace_open(const char *file, uint64_t most, struct net_trace **ret, struct err *e)
{
    struct net_trace *t = calloc(1, sizeof(*t));
    int rc = 0;

    if (!t)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    t->fd = STDERR_FILENO;
    t->most = most;
    t->is_file = strcmp(file, "-") != 0;
    if (strlen(file) + sizeof(OLD) > sizeof(t->file))
        rc = err_set(e, BFORK_EINVAL, "the path of the trace is too long");
    else if (t->is_file) {
        snprintf(t->file, sizeof(t->file), "%s", file);
        snprintf(t->old, sizeof(t->old), "%s" OLD, file);
        rc = open_file(t, 0, e);
    }
    if (rc < 0) {
        free(t);
        return rc;
    }
    *ret = t;
    return 0;
}

static void end_trace(struct net_trace *t, const char *text)
{
    log_line(LOG_ERROR_, "event=trace_ended text=\"%s\"", text);
    if (t->is_file && t->fd >= 0)
        close(t->fd);
    t->fd = -1;
}

void net_trace_close(struct net_trace **t)
{
    if (!*t)
        return;
    if ((*t)->is_file && (*t)->fd >= 0)
        close((*t)->fd);
    free(*t);
    *t = NULL;
}

/* May a line of so many bytes be written now? A file that is full begins anew. */
static bool make_room(struct net_trace *t, size_t size)
{
    struct err e = { 0, "" };
    uint64_t now;

    if (t->is_file) {
        if (t->size + size <= t->most)
            return true;
        close(t->fd);
        t->fd = -1;
        if (rename(t->file, t->old) != 0)
            err_errno(&e, BFORK_EINVAL, errno, "cannot rename the trace %s", t->file);
        else
            open_file(t, O_EXCL, &e);
        if (t->fd < 0)
            end_trace(t, e.text);
        return t->fd >= 0;
    }
    now = clock_now();
    if (now >= t->until) {
        t->until = now + CLOCK_SEC;
        t->lines = 0;
    }
    if (t->lines >= NET_TRACE_LINES) {
        t->left_out++;
        return false;
    }
    t->lines++;
    return true;
}

/* The beginning of a line: when, in which direction, who. */
static size_t begin_line(char line[TRACE_LINE], const char *direction, const char *who)
{
    struct timespec now;
    struct tm tm;
    char stamp[32];

    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &tm);
    strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &tm);
    return (size_t)snprintf(line, TRACE_LINE / 4, "%s.%06d %s %.300s: ", stamp, (int)(now.tv_nsec / 1000), direction, who);
}

/* line: n bytes of at most TRACE_LINE - 64. */
static void write_line(struct net_trace *t, char line[TRACE_LINE], size_t n)
{
    text_clean(line, n, false);
    if (!make_room(t, n + 64))
        return;
    if (t->left_out)
        n += (size_t)snprintf(line + n, 63, " (%u messages before were left out)", t->left_out);
    t->left_out = 0;
    line[n++] = '\n';
    for (size_t done = 0; done < n;) {
        ssize_t wrote = write(t->fd, line + done, n - done);

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0) {
            if (t->is_file)
                end_trace(t, strerror(errno));
            return;
        }
        done += (size_t)wrote;
    }
    t->size += n;
}

void net_trace_message(struct net_trace *t, bool to, const char *who, const struct wire_msg *m)
{
    char line[TRACE_LINE];
    size_t n, room;

    if (!t || t->fd < 0)
        return;
    n = begin_line(line, to ? "to" : "from", who);
    room = TRACE_LINE - 64 - n;
    if (wire_print_trace(m, line + n, room) >= room)
        memcpy(line + TRACE_LINE - 64 - 5, " ...", 5);
    write_line(t, line, n + strlen(line + n));
}

void net_trace_unread(struct net_trace *t, const char *who, size_t size, const char *why)
{
    char line[TRACE_LINE];
    size_t n;

    if (!t || t->fd < 0)
        return;
    n = begin_line(line, "from", who);
    snprintf(line + n, TRACE_LINE - 64 - n, "%zu bytes that are no message: %s", size, why);
    write_line(t, line, n + strlen(line + n));
}
