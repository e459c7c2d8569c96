/* SPDX-License-Identifier: MPL-2.0
 * exec_liar.c - a program that speaks for itself on its template's socket, and does not keep to what templates may say. Its first
 * argument says how it lies about the first process that it is asked for.
 */
#include "bfork.h"
#include "exec/packets.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int socket_fd, threads;

static void say(enum packet_type type, uint32_t id, int pid, int status, int code)
{
    struct packet p = { .type = type, .id = id, .pid = pid, .status = status, .code = code };

    p.value = type == PACKET_READY ? threads : 0;
    exec_packet_send(socket_fd, &p, NULL, 0, true);
}

/* A process of its own, as the owner expects one. */
static pid_t child(uint32_t id)
{
    pid_t pid = fork();

    if (pid == 0) {
        pause();
        _exit(0);
    }
    say(PACKET_FORKED, id, pid, 0, 0);
    return pid;
}

static void lie(const char *how, const char *of, uint32_t id)
{
    if (strcmp(how, "code 0") == 0)
        say(PACKET_DIED, id, 0, 0, 0);
    else if (strcmp(how, "code cancelled") == 0)
        say(PACKET_DIED, id, 0, 0, BFORK_CANCELLED);
    else if (strcmp(how, "code least") == 0)
        say(PACKET_DIED, id, 0, 0, INT_MIN);
    else if (strcmp(how, "code above") == 0)
        say(PACKET_DIED, id, -7, 0, 7);
    else if (strcmp(how, "end without beginning") == 0)
        say(PACKET_DIED, id, 1234567, 0, 0);
    else if (strcmp(how, "pid") == 0)
        say(PACKET_FORKED, id, -5, 0, 0);
    else if (strcmp(how, "pid 1") == 0)
        say(PACKET_FORKED, id, 1, 0, 0);
    else if (strcmp(how, "bystander") == 0)
        say(PACKET_FORKED, id, (int)strtol(of, NULL, 10), 0, 0);
    else if (strcmp(how, "never ran") == 0)
        say(PACKET_DIED, id, child(id) * 0, 0, BFORK_EAGAIN);
    else if (strcmp(how, "another's end") == 0)
        say(PACKET_DIED, id, child(id) + 1, SIGKILL, 0);
    else if (strcmp(how, "stopped") == 0)
        say(PACKET_DIED, id, child(id), SIGSTOP << 8 | 0x7f, 0);
    else if (strcmp(how, "twice") == 0)
        say(PACKET_FORKED, id, child(id), 0, 0);
}

/* It has threads, so each of its processes is a template of its own, which says nothing: it speaks for the first of them, as
 * soon as that has been asked for. */
static void speak_for_another(const char *how, bool solo)
{
    struct packet p;
    int fds[PACKET_FDS];

    if (solo) {
        while (exec_packet_recv(socket_fd, &p, fds, true) > 0)
            if (p.type == PACKET_SPAWN)
                close(creat("asked", 0600));
        exit(0);
    }
    while (access("asked", F_OK) != 0)
        usleep(1000);
    if (strcmp(how, "another's fork") == 0)
        say(PACKET_FORKED, 1, getpid(), 0, 0);
    else
        say(PACKET_DIED, 1, 0, 0, BFORK_EAGAIN);
}

int main(int argc, char **argv)
{
    const char *fd = getenv(TASK_FD_VARIABLE), *how = argc > 1 ? argv[1] : "";
    bool another = strcmp(how, "another's fork") == 0 || strcmp(how, "another's failure") == 0;
    struct packet_setup setup = { .version = 0 };
    struct packet p;
    int fds[PACKET_FDS];

    socket_fd = fd ? atoi(fd) : -1;
    say(PACKET_HELLO, 0, 0, 0, 0);
    if (exec_packet_recv(socket_fd, &p, fds, true) <= 0)
        return 1;
    if (pread(fds[0], &setup, sizeof(setup), 0) != (ssize_t)sizeof(setup))
        return 1;
    threads = another && !setup.solo ? 2 : 0;
    if (strcmp(how, "failed least") == 0 || strcmp(how, "failed above") == 0)
        say(PACKET_FAILED, 0, 0, 0, strcmp(how, "failed least") == 0 ? INT_MIN : 5);
    say(PACKET_READY, 0, 0, 0, 0);
    say((enum packet_type)77, 0, 0, 0, 0);      /* of a later version: no lie */
    if (another)
        speak_for_another(how, setup.solo);
    while (exec_packet_recv(socket_fd, &p, fds, true) > 0) {
        for (int k = 0; k < PACKET_FDS; k++)
            if (fds[k] >= 0)
                close(fds[k]);
        if (p.type != PACKET_SPAWN)
            continue;
        say(PACKET_DIED, p.id + 1000, 0, 0, 99);        /* of nobody: it may have been on the way */
        lie(how, argc > 2 ? argv[2] : "", p.id);
        if (how[0] == 0)
            say(PACKET_DIED, p.id, 0, 0, BFORK_EAGAIN);
    }
    return 0;
}
