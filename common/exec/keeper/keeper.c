/* SPDX-License-Identifier: MPL-2.0
 * keeper.c - bfork-keeper: the process between an owner and one template. It is a subreaper, so all that the template's task
 * processes start stays below it, whatever sessions and groups it makes; and when the template or the owner ends, however they end,
 * it kills everything below and leaves when nothing is left. It starts the template once and takes no part in the start of task
 * processes.
 *
 *   owner --exec--> keeper --exec--> template --fork--> task process --> what tasks start
 *
 *     bfork-keeper s|g PROGRAM ARGV0 [ARG…]     s, g: the template leads a session of its own, or a process group
 *     bfork-keeper x ENTRY                      the guard of a worker, see below
 *
 * Descriptors: 0 /dev/null, 1 and 2 the template's output, 3 its socket, 4 the leash (SOCK_SEQPACKET to the owner), 5 the program
 * if PROGRAM is "", else /dev/null. On the leash, struct packet: FORKED (pid of the template), or FAILED (errno of its exec); DIED
 * (its wait status). The end of the leash, which the owner may cause by a shutdown, is the order to end; the keeper's own end says
 * that nothing is left.
 *
 *     state     | template ends        | leash ends, or the owner's process | exec fails
 *     STARTING  |                      |                                    | tells, leaves
 *     KEEPING   | tells DIED -> ENDING | -> ENDING                          |
 *     ENDING    | tells DIED           | =                                  |
 *     ENDING kills until no child is left, then the process ends.
 *
 * What if … is killed with SIGKILL, by a task for instance:
 *     a task process  its template sweeps what it had started (it is a subreaper too)
 *     the template    task processes get SIGKILL (PR_SET_PDEATHSIG); what they had started comes here and is killed
 *     the owner       the leash ends, and its process too if another process holds a copy of the leash: everything is killed
 *     the keeper      the template gets SIGKILL (PR_SET_PDEATHSIG), its task processes with it; what they had started comes to
 *                     the worker, a subreaper, which kills all children that are not its keepers. In the local engine, where the
 *                     owner is a user's program whose children are not ours, what left its process group then stays
 *     keeper, worker  the worker's guard, a child of it that is no ancestor of any task, sees its end and kills every process
 *                     that has the worker's mark in its environment. A task that has cleared that too and kills the whole chain
 *                     of its parents escapes: against intent only other users, name spaces or the unit's cgroup help
 *                     (KillMode=mixed: when the worker has ended, all else in it is killed)
 */
#include "exec/keep.h"
#include "exec/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SOCKET = 3, LEASH = 4, PROGRAM = 5 };

extern char **environ;

/* In the child, which shares our memory until its exec: errno of what failed. */
static int exec_program(char **argv, pid_t keeper)
{
    int error = exec_keep_child(keeper);

    if (error)
        return error;
    if (argv[1][0] == 's' ? setsid() < 0 : setpgid(0, 0) < 0)
        return errno;
    fcntl(LEASH, F_SETFD, FD_CLOEXEC);
    fcntl(PROGRAM, F_SETFD, FD_CLOEXEC);
    if (argv[2][0])
        execve(argv[2], argv + 3, environ);
    else
        syscall(SYS_execveat, PROGRAM, "", argv + 3, environ, AT_EMPTY_PATH);
    return errno;
}

static pid_t start_kept(char **argv, int *ret_error)
{
    volatile int failed = 0;
    pid_t keeper = getpid(), pid = vfork();

    if (pid == 0) {
        failed = exec_program(argv, keeper);
        _exit(127);
    }
    *ret_error = pid < 0 ? errno : failed;
    return pid;
}

/* The owner reads the end of the template's output and of its socket only when nobody here has them. */
static void let_go(void)
{
    for (int fd = 1; fd <= PROGRAM; fd++)
        if (fd != LEASH)
            dup2(0, fd);
}

/* Not an ancestor of any task. Until two looks find nothing, as a process may start another while we look. */
static int guard(const char *entry)
{
    struct pollfd f[2] = { { LEASH, POLLIN, 0 }, { exec_keep_owner(), POLLIN, 0 } };
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_NAME, "bfork:guard");
    while (!f[1].revents && !(f[0].revents && exec_keep_is_over(LEASH)))
        if (poll(f, 2, -1) < 0 && errno != EINTR)
            break;
    for (int empty = 0; empty < 2; empty = exec_sweep_marked(entry) ? 0 : empty + 1)
        poll(NULL, 0, 20);
    return 0;
}

int main(int argc, char **argv)
{
    struct keeper k;
    pid_t template = -1;
    int error;

    if (argc < 3 || (argv[1][0] != 'x' && argc < 4)) {
        fprintf(stderr, "bfork-keeper: a part of Broadfork, started by its workers and libraries\n");
        return 2;
    }
    if (argv[1][0] == 'x')
        return guard(argv[2]);
    if ((error = exec_keep_open(&k, LEASH)) == 0)
        template = start_kept(argv, &error);
    let_go();
    exec_keep_run(&k, template, error);
}
