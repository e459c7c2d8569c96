/* SPDX-License-Identifier: MPL-2.0
 * spawn_linux.c - vfork and exec of a program with exactly four descriptors: /dev/null, stdout, stderr and its socket as number 3.
 * The caller's memory is never copied, its other threads are never in the child, and none of its descriptors, blocked signals or
 * handlers reach the program.
 */
#include "exec/exec_i.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4u
#endif

static void close_others(int keep)
{
    if (keep > 4) {
        if (syscall(SYS_close_range, 4u, (unsigned)keep - 1, CLOSE_RANGE_CLOEXEC) == 0
            && syscall(SYS_close_range, (unsigned)keep + 1, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
            return;
    } else if (syscall(SYS_close_range, 4u, ~0u, CLOSE_RANGE_CLOEXEC) == 0) {
        return;
    }
    for (int i = 4, n = (int)sysconf(_SC_OPEN_MAX); i < n && i < 65536; i++)
        fcntl(i, F_SETFD, FD_CLOEXEC);
}

/* In the child, which shares the parent's memory: system calls only. Returns errno of what failed. */
static int become(const struct spawn *s)
{
    struct sigaction dfl = { .sa_handler = SIG_DFL };
    sigset_t none;
    int null, high[3];

    for (int i = 1; i < 65; i++)
        if (i != SIGKILL && i != SIGSTOP)
            sigaction(i, &dfl, NULL);
    if (s->die_with_us)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (s->session ? setsid() < 0 : setpgid(0, 0) < 0)
        return errno;
    if ((null = open("/dev/null", O_RDONLY)) < 0)
        return errno;
    if ((high[0] = fcntl(s->out, F_DUPFD, 4)) < 0 || (high[1] = fcntl(s->err, F_DUPFD, 4)) < 0
        || (high[2] = fcntl(s->socket, F_DUPFD, 4)) < 0)
        return errno;
    if (dup2(null, 0) < 0 || dup2(high[0], 1) < 0 || dup2(high[1], 2) < 0 || dup2(high[2], 3) < 0)
        return errno;
    fcntl(3, F_SETFD, 0);
    close_others(s->program_fd);
    if (s->session)
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (s->path)
        execve(s->path, s->argv, s->env);
    else
        syscall(SYS_execveat, s->program_fd, "", s->argv, s->env, AT_EMPTY_PATH);
    return errno;
}

int spawn_process(const struct spawn *s, pid_t *ret_pid)
{
    volatile int failed = 0;
    struct spawn mine = *s;
    sigset_t all, old;

    if (mine.program_fd >= 0 && mine.program_fd <= 4) {     /* not where the child puts its own */
        mine.program_fd = fcntl(mine.program_fd, F_DUPFD_CLOEXEC, 10);
        if (mine.program_fd < 0)
            return errno;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pid_t pid = vfork();
    if (pid == 0) {
        failed = become(&mine);
        _exit(127);
    }
    int error = pid < 0 ? errno : failed;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (mine.program_fd != s->program_fd)
        close(mine.program_fd);
    *ret_pid = pid;
    return error;
}
