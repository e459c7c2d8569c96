/* SPDX-License-Identifier: MPL-2.0
 * keep_linux.c - see keep.h. Allocates nothing.
 */
#include "exec/keep.h"
#include "exec/packets.h"
#include "exec/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int exec_keep_owner(void)
{
    return (int)syscall(SYS_pidfd_open, getppid(), 0);      /* close-on-exec */
}

int exec_keep_open(struct keeper *k, int leash)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_NAME, "bfork:keeper");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    *k = (struct keeper){ leash, signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK), exec_keep_owner() };
    return k->signals < 0 ? errno : 0;
}

int exec_keep_child(pid_t keeper)
{
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != keeper)
        return ESRCH;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    return 0;
}

/* true: it was the template that ended, its status is told. */
static bool reap_below(const struct keeper *k, pid_t template)
{
    struct packet p = { .type = PACKET_DIED, .pid = template };
    bool ended = false;
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0)
        if (pid == template) {
            p.status = status;
            exec_packet_send(k->leash, &p, NULL, 0, false);
            ended = true;
        }
    return ended;
}

bool exec_keep_is_over(int leash)
{
    struct packet p;
    int fds[PACKET_FDS];
    int rc = exec_packet_recv(leash, &p, fds, false);

    return rc <= 0 && rc != -EAGAIN;
}

static void keep_watch(const struct keeper *k, pid_t template)
{
    struct pollfd f[3] = { { k->leash, POLLIN, 0 }, { k->signals, POLLIN, 0 }, { k->owner, POLLIN, 0 } };
    struct signalfd_siginfo info;

    for (;;) {
        if (poll(f, 3, -1) < 0 && errno != EINTR)
            return;
        if (f[1].revents) {
            while (read(k->signals, &info, sizeof(info)) > 0)
                continue;
            if (reap_below(k, template))
                return;
        }
        if (f[2].revents || (f[0].revents && exec_keep_is_over(k->leash)))
            break;
    }
    kill(template, SIGKILL);            /* it alone first, so that its status can be told; the rest is ours then */
    for (siginfo_t si; !reap_below(k, template) && waitid(P_PID, (id_t)template, &si, WEXITED | WNOWAIT) == 0;)
        continue;
}

void exec_keep_run(struct keeper *k, pid_t template, int error)
{
    struct packet p = { .type = error ? PACKET_FAILED : PACKET_FORKED, .pid = template, .code = error };

    exec_packet_send(k->leash, &p, NULL, 0, true);
    if (!error)
        keep_watch(k, template);
    exec_sweep_all();
    _exit(0);
}
