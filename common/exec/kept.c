/* SPDX-License-Identifier: MPL-2.0
 * kept.c - the owner's side of its keepers (keeper/keeper.c): starts them with their templates, hears how templates end, orders the
 * end of everything below, and does a keeper's work where a task has killed it. A worker is a subreaper with a guard besides.
 */
#include "exec/kept.h"
#include "exec/source.h"
#include "exec/spawn.h"
#include "exec/sweep.h"
#include "base/clock.h"
#include "bfork.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t reap_keeper(pid_t pid)
{
    pid_t rc;

    do
        rc = waitpid(pid, NULL, 0);
    while (rc < 0 && errno == EINTR);
    return rc;
}

int exec_kept_guard(struct exec *x, struct err *e)
{
    static char *const env[] = { NULL };
    uint64_t token[2];
    int pair[2];

    if (getrandom(token, sizeof(token), 0) != sizeof(token))
        return err_errno(e, BFORK_ENOMEM, errno, "no random numbers for the mark of task processes");
    snprintf(x->mark, sizeof(x->mark), "BFORK_KEPT=%016llx%016llx", (unsigned long long)token[0], (unsigned long long)token[1]);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return err_errno(e, BFORK_ENOTSUP, errno, "the worker cannot be made the reaper of what its tasks start");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_errno(e, BFORK_ENOMEM, errno, "no descriptors for the worker's guard");
    char *argv[] = { (char *)(uintptr_t)"bfork-keeper", (char *)(uintptr_t)"x", x->mark, NULL };
    struct spawn s = { x->keeper, argv, env, -1, -1, -1, pair[1], -1, true };
    int error = exec_spawn_process(&s, &x->guard);

    close(pair[1]);
    x->guard_leash = pair[0];
    return error ? err_errno(e, BFORK_EINVAL, error, "cannot start %s, a part of Broadfork: install it again", x->keeper) : 0;
}

int exec_kept_spawn(struct exec_template *t, char *const *argv, char *const *env, int socket, int out, int err)
{
    int pair[2], rc;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return errno;
    t->leash.fd = pair[0];
    if ((rc = -exec_watch(t->x, &t->leash)) == 0) {
        struct spawn s = { t->x->keeper, argv, env, out, err, socket, pair[1], t->program_path ? -1 : t->program_fd,
                           t->x->config.hide_secrets };
        rc = t->fork_server < 0 ? exec_spawn_process(&s, &t->keeper)
                                : exec_spawn_forked(t->fork_server, socket, out, err, pair[1], &t->keeper);
    }
    close(pair[1]);
    if (rc)
        exec_unwatch(t->x, &t->leash);
    return rc;
}

void exec_kept_end(struct exec_template *t)
{
    if (t->leash.fd >= 0)
        shutdown(t->leash.fd, SHUT_WR);
}

/* A task has killed the keeper. Templates and task processes die with it; what they had started is a worker's child now, all of
 * whose children but keepers and the guard are such. */
static void do_its_work(struct exec *x)
{
    size_t n = 1 + x->templates.count + x->ending.count + x->graves_t.count;
    pid_t *keep = x->mark[0] ? malloc(n * sizeof(*keep)) : NULL;

    n = 0;
    if (!keep)
        return;
    keep[n++] = x->guard;
    for (LIST_EACH(&x->templates, k))
        keep[n++] = LIST_ENTRY(k, struct exec_template, node)->keeper;
    for (LIST_EACH(&x->ending, k))
        keep[n++] = LIST_ENTRY(k, struct exec_template, node)->keeper;
    for (LIST_EACH(&x->graves_t, k))
        keep[n++] = LIST_ENTRY(k, struct exec_template, node)->keeper;
    exec_sweep_children(keep, n);
    free(keep);
}

static void ended(struct exec_template *t)
{
    exec_unwatch(t->x, &t->leash);
    if (t->keeper > 0)
        reap_keeper(t->keeper);             /* its descriptors are closed: it is ending */
    t->keeper = -1;
    if (t->told)
        return;
    /* What is left of the groups of its task processes, in a user's program. The template may have said any number. */
    for (LIST_EACH(&t->procs, n)) {
        struct exec_proc *p = LIST_ENTRY(n, struct exec_proc, node);
        if (p->below && p->state != PROC_DEAD)
            kill(-p->pid, SIGKILL);
    }
    do_its_work(t->x);
}

bool exec_kept_hear(struct exec_template *t)
{
    struct packet p;
    int fds[PACKET_FDS], rc = 0;

    while (t->leash.fd >= 0 && (rc = exec_packet_recv(t->leash.fd, &p, fds, false)) > 0) {
        for (int i = 0; i < PACKET_FDS; i++)
            if (fds[i] >= 0)
                close(fds[i]);
        if (p.type == PACKET_FORKED)
            t->pid = p.pid;
        else if (p.type == PACKET_FAILED)
            t->exec_error = p.code > 0 ? p.code : ENOENT;
        else if (p.type == PACKET_DIED)
            t->wait_status = p.status;
        t->told |= p.type == PACKET_FAILED || p.type == PACKET_DIED;
    }
    if (t->leash.fd >= 0 && rc == -EAGAIN)
        return false;
    if (t->leash.fd >= 0)
        ended(t);
    return true;
}

bool exec_kept_wait(struct exec_template *t, uint64_t until)
{
    while (!exec_kept_hear(t)) {
        uint64_t now = clock_now();
        struct pollfd f = { t->leash.fd, POLLIN, 0 };

        if (now >= until)
            return false;
        poll(&f, 1, clock_poll_ms(now, until));
    }
    return true;
}

void exec_kept_leave(struct exec *x)
{
    uint64_t until = clock_now() + 2 * CLOCK_SEC;

    for (LIST_EACH(&x->ending, n))
        if (!exec_kept_wait(LIST_ENTRY(n, struct exec_template, node), until))
            exec_unwatch(x, &LIST_ENTRY(n, struct exec_template, node)->leash);     /* it goes on, and ends by itself */
    if (x->guard_leash >= 0)
        close(x->guard_leash);
    if (x->guard > 0)
        reap_keeper(x->guard);
    x->guard_leash = x->guard = -1;
}
