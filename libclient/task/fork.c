/* SPDX-License-Identifier: MPL-2.0
 * fork.c - BFORK_START_FORK: templates that are forked from the caller instead of starting the program anew.
 *
 * The caller forks once, when its pool is made: that child, the fork server, keeps the memory as it was then and does nothing
 * but fork templates from it, as often as the engine asks. Each is below a keeper (exec/keep.h), a copy too and a child of the
 * caller (CLONE_PARENT), as the keepers of templates that were started are. Descriptors that are close-on-exec are closed in
 * the server, as exec would have done; the others stay open, as after any fork.
 */
#include "exec/packets.h"
#include "task/run.h"
#include "task/task.h"
#include "task/template.h"

#include "bfork.h"
#include "exec/keep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

_Atomic int task_own_threads;

/* Threads of the program beside the calling one. One that has been joined may be listed for a moment. */
static int other_threads(void)
{
    int n = 1;

    for (int turn = 0; turn < 20 && n > 0; turn++) {
        if (turn)
            poll(NULL, 0, 1);
        n = task_threads() - 1 - atomic_load(&task_own_threads);
    }
    return n;
}

static void close_as_exec(int keep)
{
    DIR *d = opendir("/proc/self/fd");
    struct dirent *e;

    while (d && (e = readdir(d))) {
        int fd = (int)strtol(e->d_name, NULL, 10), flags = fcntl(fd, F_GETFD);
        if (fd > 2 && fd != keep && fd != dirfd(d) && flags >= 0 && flags & FD_CLOEXEC)
            close(fd);
    }
    if (d)
        closedir(d);
}

static void default_signals(void)
{
    struct sigaction dfl = { .sa_handler = SIG_DFL };
    sigset_t none;

    for (int i = 1; i < 65; i++)
        if (i != SIGKILL && i != SIGSTOP)
            sigaction(i, &dfl, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void __attribute__((noreturn)) become_forked(const struct keeper *k, pid_t keeper, int fds[PACKET_FDS])
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (exec_keep_child(keeper))
        _exit(127);
    close(fds[3]);
    close(k->signals);
    close(k->owner);
    setpgid(0, 0);
    if (null < 0 || dup2(null, 0) < 0 || dup2(fds[1], 1) < 0 || dup2(fds[2], 2) < 0)
        _exit(127);
    close(null);
    close(fds[1]);
    close(fds[2]);
    __fpurge(stdin);                    /* what the caller had read ahead is not for tasks */
    task_template_main(fds[0], true);
}

static void __attribute__((noreturn)) become_keeper(int server, int fds[PACKET_FDS])
{
    struct keeper k;
    int error, null = open("/dev/null", O_RDWR | O_CLOEXEC);
    pid_t template = -1, me = getpid();

    close(server);
    setpgid(0, 0);
    if ((error = exec_keep_open(&k, fds[3])) == 0) {
        template = fork();
        if (template == 0)
            become_forked(&k, me, fds);
        error = template < 0 ? errno : 0;
    }
    for (int fd = 0; fd <= 2; fd++)     /* the owner reads the end of the template's output when nobody here has it */
        if (null >= 0)
            dup2(null, fd);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    exec_keep_run(&k, template, error);
}

static void __attribute__((noreturn)) serve_forks(int server)
{
    struct packet p;
    int fds[PACKET_FDS];

    task_process = true;
    prctl(PR_SET_NAME, "bfork:server");
    default_signals();
    setpgid(0, 0);
    close_as_exec(server);
    while (exec_packet_recv(server, &p, fds, true) > 0) {
        if (p.type != PACKET_FORK || p.value != PACKET_VERSION || fds[3] < 0)
            _exit(125);                 /* not our owner */
        long pid = syscall(SYS_clone, (unsigned long)(CLONE_PARENT | SIGCHLD), 0ul, 0ul, 0ul, 0ul);
        if (pid == 0)
            become_keeper(server, fds);
        p = (struct packet){ .type = pid > 0 ? PACKET_FORKED : PACKET_DIED, .pid = (int32_t)pid, .code = pid < 0 ? errno : 0 };
        for (int i = 0; i < PACKET_FDS; i++)
            if (fds[i] >= 0)
                close(fds[i]);
        if (exec_packet_send(server, &p, NULL, 0, true) < 0)
            break;
    }
    _exit(0);
}

int task_fork_server(struct task_server *ret, struct err *e)
{
    int pair[2], others = other_threads();

    if (others > 0)
        return err_set(e, BFORK_ETHREADS,
                       "BFORK_START_FORK: %d other thread%s of the program run%s, and what they hold would be locked for ever in a "
                       "copy: make the pool before they start, or leave out the option", others, others == 1 ? "" : "s",
                       others == 1 ? "s" : "");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_errno(e, BFORK_ENOMEM, errno, "BFORK_START_FORK: no socket pair");
    fflush(NULL);                       /* or it would be printed twice */
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        serve_forks(pair[1]);
    }
    int error = errno;
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return err_errno(e, BFORK_ENOMEM, error, "BFORK_START_FORK: cannot fork");
    }
    *ret = (struct task_server){ pair[0], pid };
    return 0;
}

void task_server_end(struct task_server *s)
{
    close(s->socket);
    kill(s->pid, SIGKILL);
    while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}
