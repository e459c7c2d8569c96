/* SPDX-License-Identifier: MPL-2.0
 * init.c - bfork_init: the fork in the road. With BFORK_TASK_FD in the environment this process is a template and never returns
 * from here; else it is the application, and all that happens is that SIGINT is taken if nobody has it.
 */
#include "exec/packets.h"
#include "task/task.h"
#include "task/template.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <unistd.h>

static bool inited;
bool (*volatile task_on_interrupt)(void);

static void take_interrupt(int sig)
{
    bool (*hook)(void) = task_on_interrupt;
    int keep = errno;

    if (!hook || !hook()) {
        signal(sig, SIG_DFL);
        raise(sig);
    }
    errno = keep;
}

/* The descriptor in the variable, if it is a socket of our kind; -1: the variable is not set. */
static int owner_socket(void)
{
    const char *value = getenv(TASK_FD_VARIABLE);
    int type = 0, fd;
    socklen_t n = sizeof(type);
    char *end;

    if (!value)
        return -1;
    fd = (int)strtol(value, &end, 10);
    if (end == value || *end || fd < 0 || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) < 0 || type != SOCK_SEQPACKET) {
        fprintf(stderr, "bfork: %s=%s is not a descriptor of a Broadfork pool: unset it\n", TASK_FD_VARIABLE, value);
        _exit(126);
    }
    if (getauxval(AT_SECURE)) {
        fprintf(stderr, "bfork: a setuid, setgid or capability-bearing program cannot run as a task process\n");
        _exit(126);
    }
    return fd;
}

void bfork_init(int *argc, char ***argv)
{
    struct sigaction old, mine = { .sa_handler = take_interrupt };
    int fd = owner_socket();

    (void)argc;
    (void)argv;
    if (fd >= 0) {
        unsetenv(TASK_FD_VARIABLE);
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        inited = true;
        task_template_main(fd, false);
    }
    inited = true;
    task_globals_note();
    if (sigaction(SIGINT, NULL, &old) == 0 && !(old.sa_flags & SA_SIGINFO) && old.sa_handler == SIG_DFL) {
        sigemptyset(&mine.sa_mask);
        sigaction(SIGINT, &mine, NULL);
    }
}

bool task_inited(void) { return inited; }

void task_refuse_stray(void)
{
    struct packet p = { .type = PACKET_FAILED, .code = BFORK_ENOINIT };
    int fd;

    if (inited || (fd = owner_socket()) < 0)
        return;
    snprintf(p.stage, sizeof(p.stage), "init");
    snprintf(p.text, sizeof(p.text),
             "main of %s uses Broadfork before it calls bfork_init: make bfork_init (&argc, &argv) its first line",
             program_invocation_short_name);
    exec_packet_send(fd, &p, NULL, 0, true);
    _exit(125);
}
