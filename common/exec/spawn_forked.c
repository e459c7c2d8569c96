/* SPDX-License-Identifier: MPL-2.0
 * spawn_forked.c - a template from the program's fork server: a process that holds the program's memory as it was when the
 * pool was made, and forks it for whoever asks: a keeper, which forks the template. The keeper is the owner's own child, not the
 * server's.
 */
#include "exec/packets.h"
#include "exec/spawn.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define ANSWER_MS 10000             /* a fork of a large program takes milliseconds */

int exec_spawn_forked(int server, int socket, int out, int err, int leash, pid_t *ret_keeper)
{
    struct packet p = { .type = PACKET_FORK, .value = PACKET_VERSION };
    struct pollfd f = { .fd = server, .events = POLLIN };
    int fds[PACKET_FDS] = { socket, out, err, leash }, got[PACKET_FDS];
    int rc = exec_packet_send(server, &p, fds, 4, true);

    if (rc < 0)
        return -rc;
    do
        rc = poll(&f, 1, ANSWER_MS);
    while (rc < 0 && errno == EINTR);
    if (rc <= 0)
        return rc ? errno : ETIMEDOUT;
    rc = exec_packet_recv(server, &p, got, false);
    for (int i = 0; i < PACKET_FDS && rc > 0; i++)
        if (got[i] >= 0)
            close(got[i]);              /* nothing is accepted from there */
    if (rc <= 0)
        return rc ? -rc : ECONNRESET;
    if (p.type != PACKET_FORKED || p.pid <= 0)
        return p.code > 0 ? p.code : EPROTO;
    *ret_keeper = p.pid;
    return 0;
}
