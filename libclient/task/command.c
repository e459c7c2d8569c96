/* SPDX-License-Identifier: MPL-2.0
 * command.c - a task that is a command: its arguments are argv, its result is [exit status, stdout, stderr] (126: not executable,
 * 127: not found, 128 + n: killed by signal n). Reads to the end of both pipes or until the command itself has ended, whichever is
 * first: what it leaves in the background is killed with it.
 *
 * Of a streamed job the command has the task's own stdout and stderr: what it writes goes the way of everything that tasks print,
 * is held up there when nobody takes it, and is there also if the command is killed. Its result has the exit status alone. Where
 * no task process is between (serial), both pipes are read, and told at once.
 */
#include "task/command.h"
#include "task/fail.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define CAPTURE_MAX (WIRE_TASK_MAX - 512u)      /* stdout and stderr together */
#define PIPE_READS 16                           /* of 64 KiB: what a pipe holds at most (pipe-max-size) */

struct capture { int fd; uint8_t *data; size_t size, capacity; bool cut; bfork_task *told; int stream; };
struct words { const uint8_t *p, *end; };

static bool take_number(struct words *w, unsigned bytes, uint32_t *ret)
{
    *ret = 0;
    if ((size_t)(w->end - w->p) < bytes)
        return false;
    while (bytes--)
        *ret = *ret << 8 | *w->p++;
    return true;
}

static bool take_array(struct words *w, uint32_t *n)
{
    if (w->p == w->end)
        return false;
    uint8_t b = *w->p++;
    if ((b & 0xf0) == 0x90) {
        *n = b & 15;
        return true;
    }
    return b == 0xdc ? take_number(w, 2, n) : b == 0xdd ? take_number(w, 4, n) : false;
}

static bool take_word(struct words *w, const uint8_t **p, uint32_t *n)
{
    if (w->p == w->end)
        return false;
    uint8_t b = *w->p++;
    bool ok = true;
    if ((b & 0xe0) == 0xa0)
        *n = b & 31;
    else if (b == 0xd9 || b == 0xc4)
        ok = take_number(w, 1, n);
    else if (b == 0xda || b == 0xc5)
        ok = take_number(w, 2, n);
    else if (b == 0xdb || b == 0xc6)
        ok = take_number(w, 4, n);
    else
        ok = false;
    if (!ok || (size_t)(w->end - w->p) < *n)
        return false;
    *p = w->p;
    w->p += *n;
    return true;
}

/* NULL: not an array of strings, none, or no memory. */
static char **make_argv(bfork_task *t)
{
    struct words w = { t->args, t->args + t->args_size };
    uint32_t n, len;
    const uint8_t *p;
    char **argv;

    if (!take_array(&w, &n) || n == 0 || n > t->args_size || !(argv = task_arena(t, (n + 1) * sizeof(*argv))))
        return NULL;
    for (uint32_t i = 0; i < n; i++) {
        if (!take_word(&w, &p, &len) || memchr(p, 0, len) || !(argv[i] = task_arena(t, len + 1)))
            return NULL;
        memcpy(argv[i], p, len);
        argv[i][len] = '\0';
    }
    argv[n] = NULL;
    return argv;
}

static int start_command(char **argv, int out, int err, pid_t *pid)
{
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t at;
    sigset_t none, dfl;
    int rc;

    sigemptyset(&none);
    sigfillset(&dfl);
    posix_spawn_file_actions_init(&fa);
    posix_spawnattr_init(&at);
    posix_spawn_file_actions_adddup2(&fa, out, 1);
    posix_spawn_file_actions_adddup2(&fa, err, 2);
    posix_spawnattr_setpgroup(&at, 0);
    posix_spawnattr_setsigmask(&at, &none);
    posix_spawnattr_setsigdefault(&at, &dfl);
    posix_spawnattr_setflags(&at, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    rc = posix_spawnp(pid, argv[0], &fa, &at, argv, environ);
    posix_spawnattr_destroy(&at);
    posix_spawn_file_actions_destroy(&fa);
    return rc;
}

/* False: whoever takes it takes no more. */
static bool tell_capture(const struct capture *c, const uint8_t *bytes, size_t n)
{
    return c->told->print(c->told->print_ctx, c->told->index, c->stream, bytes, n);
}

static void keep_bytes(struct capture *c, const struct capture *other, const uint8_t *bytes, size_t n)
{
    if (c->told) {
        c->cut |= !c->cut && !tell_capture(c, bytes, n);
        return;
    }
    size_t left = CAPTURE_MAX - c->size - other->size;

    if (n > left) {
        n = left;
        c->cut = true;
    }
    if (c->size + n > c->capacity) {
        size_t capacity = c->capacity ? 2 * c->capacity : 65536;
        while (capacity < c->size + n)
            capacity *= 2;
        uint8_t *bigger = realloc(c->data, capacity);
        if (!bigger) {
            c->cut = true;
            return;
        }
        c->data = bigger;
        c->capacity = capacity;
    }
    if (n)
        memcpy(c->data + c->size, bytes, n);
    c->size += n;
}

/* Reads what is there: as much as a pipe can hold, so that one who writes for ever does not keep us. */
static void drain_pipe(struct capture *c, const struct capture *other)
{
    uint8_t bytes[65536];
    ssize_t n;

    for (int reads = 0; c->fd >= 0 && reads < PIPE_READS; reads++) {
        n = read(c->fd, bytes, sizeof(bytes));
        if (n > 0) {
            keep_bytes(c, other, bytes, (size_t)n);
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            close(c->fd);
            c->fd = -1;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

static int collect_output(pid_t pid, struct capture *out, struct capture *err)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), status = 0;
    struct pollfd f[3] = { { .events = POLLIN }, { .events = POLLIN }, { .fd = pidfd, .events = POLLIN } };
    bool ended = false;

    while (!ended && (out->fd >= 0 || err->fd >= 0)) {
        f[0].fd = out->fd;
        f[1].fd = err->fd;
        if (poll(f, 3, -1) < 0 && errno != EINTR)
            break;
        if (f[0].revents)
            drain_pipe(out, err);
        if (f[1].revents)
            drain_pipe(err, out);
        ended = pidfd >= 0 && f[2].revents;
        if (out->told && (out->cut || err->cut))
            kill(-pid, SIGKILL);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    drain_pipe(out, err);
    drain_pipe(err, out);
    if (pidfd >= 0)
        close(pidfd);
    kill(-pid, SIGKILL);                /* what it left in its group; the rest is swept after the task */
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int make_pipe(struct capture *c)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    c->fd = fds[0];
    return fds[1];
}

/* One that could not be started: its exit status; these words are ours, not the command's. */
static int not_started(int error, const char *name, char *why, size_t size)
{
    snprintf(why, size, "%.150s: %s\n", name, error == ENOENT ? "command not found" : strerror(error));
    text_clean(why, strlen(why), true);
    return error == ENOENT ? 127 : 126;
}

/* The command has our own stdout and stderr; what it has done to them is undone. Its exit status. */
static int run_printing(bfork_task *t, char **argv)
{
    struct capture none = { .fd = -1 };
    char why[256];
    pid_t pid;
    int rc;

    for (int fd = 1; fd <= 2; fd++) {
        int flags = fcntl(fd, F_GETFL);
        if (flags >= 0 && flags & O_NONBLOCK)       /* the last one's: this one would lose what it writes */
            fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    }
    t->printed = true;
    rc = start_command(argv, 1, 2, &pid);
    if (rc == 0)
        return collect_output(pid, &none, &none);
    rc = not_started(rc, argv[0], why, sizeof(why));
    for (size_t n = strlen(why), at = 0; at < n;) {
        ssize_t put = write(2, why + at, n - at);
        if (put < 0 && errno != EINTR)
            break;                      /* there is nowhere to say it, but in the status */
        at += put > 0 ? (size_t)put : 0;
    }
    return rc;
}

/* Its exit status, or < 0: the task has failed. */
static int run_reading(bfork_task *t, char **argv, struct capture *out, struct capture *err)
{
    char why[256];
    int w1 = make_pipe(out), w2 = w1 < 0 ? -1 : make_pipe(err), rc = EMFILE;
    pid_t pid;

    if (w2 >= 0)
        rc = start_command(argv, w1, w2, &pid);
    if (w1 >= 0)
        close(w1);
    if (w2 < 0)
        return task_fail(t, BFORK_REFUSED, errno, "cannot start %.200s: no more descriptors", argv[0]);
    close(w2);
    if (rc == 0)
        return collect_output(pid, out, err);
    rc = not_started(rc, argv[0], why, sizeof(why));
    keep_bytes(err, out, (const uint8_t *)why, strlen(why));
    return rc;
}

static void capture_end(struct capture *c)
{
    if (c->fd >= 0)
        close(c->fd);
    if (c->capacity > 262144) {
        free(c->data);
        c->data = NULL;
        c->capacity = 0;
    }
}

int task_command_run(bfork_task *t)
{
    static struct capture out, err;     /* their memory is kept for the next command */
    char **argv = make_argv(t);
    bool streamed = t->job->spec.streamed;
    int status, rc;

    if (!argv)
        return task_fail(t, BFORK_MISMATCH, 0,
                         "a command's arguments must be an array of at least one string, without NUL bytes in them");
    out.fd = err.fd = -1;
    out.size = err.size = 0;
    out.cut = err.cut = false;
    out.told = err.told = streamed ? t : NULL;
    out.stream = 1;
    err.stream = 2;
    rc = status = streamed && !t->print ? run_printing(t, argv) : run_reading(t, argv, &out, &err);
    if (!streamed && (out.cut || err.cut))      /* a result is whole, or there is none */
        rc = task_fail(t, BFORK_FAILED, BFORK_ETOOBIG, "%.200s wrote more than the %u bytes that the result of a command takes "
                       "(its exit status was %d): let it write to a file", argv[0], CAPTURE_MAX, status);
    if (rc >= 0)
        rc = bfork_task_return(t, (const bfork_arg[]){ bfork_arg_int(status), bfork_arg_bin(bfork_bytes_of(out.data, out.size)),
                                                      bfork_arg_bin(bfork_bytes_of(err.data, err.size)) }, 3);
    capture_end(&out);
    capture_end(&err);
    return rc;
}
