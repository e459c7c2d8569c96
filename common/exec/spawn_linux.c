/* SPDX-License-Identifier: MPL-2.0
 * spawn_linux.c - vfork and exec of a keeper (keeper/keeper.c) with exactly six descriptors: /dev/null, stdout, stderr, the
 * template's socket as number 3, the leash as 4, the program as 5; /dev/null where there is none. The caller's memory is never
 * copied, its other threads are never in the child, and none of its descriptors, blocked signals or handlers reach the program.
 */
#include "exec/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4u
#endif

#define GIVEN 5                         /* descriptors 1 to 5 */

static void close_others(void)
{
    if (syscall(SYS_close_range, (unsigned)GIVEN + 1, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    for (int i = GIVEN + 1, n = (int)sysconf(_SC_OPEN_MAX); i < n && i < 65536; i++)
        fcntl(i, F_SETFD, FD_CLOEXEC);
}

/* In the child, which shares the parent's memory: system calls only. Returns errno of what failed. */
static int become(const struct spawn *s)
{
    struct sigaction dfl = { .sa_handler = SIG_DFL };
    sigset_t none;
    const int given[GIVEN] = { s->out, s->err, s->socket, s->leash, s->program_fd };
    int null, high[GIVEN];

    for (int i = 1; i < 65; i++)
        if (i != SIGKILL && i != SIGSTOP)
            sigaction(i, &dfl, NULL);
    if (s->session ? setsid() < 0 : setpgid(0, 0) < 0)
        return errno;
    if ((null = open("/dev/null", O_RDONLY)) < 0)
        return errno;
    for (int i = 0; i < GIVEN; i++)
        if ((high[i] = fcntl(given[i] >= 0 ? given[i] : null, F_DUPFD, GIVEN + 1)) < 0)
            return errno;
    if (dup2(null, 0) < 0)
        return errno;
    for (int i = 0; i < GIVEN; i++)
        if (dup2(high[i], i + 1) < 0)
            return errno;
    close_others();
    if (s->session)
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(s->path, s->argv, s->env);
    return errno;
}

int exec_spawn_process(const struct spawn *s, pid_t *ret_pid)
{
    volatile int failed = 0;
    sigset_t all, old;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pid_t pid = vfork();
    if (pid == 0) {
        failed = become(s);
        _exit(127);
    }
    int error = pid < 0 ? errno : failed;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (pid > 0 && error)
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    *ret_pid = error ? -1 : pid;
    return error;
}
