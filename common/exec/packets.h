/* SPDX-License-Identifier: MPL-2.0
 * packets.h - what an owner and a template say to each other on their socketpair (SOCK_SEQPACKET, one struct a packet, text cut to
 * its length). The library on the other side may be of another version: the first packet either way carries one.
 *
 *   owner: SETUP (+ memfd) ; then SPAWN (+ ring, eventfd, stdout, stderr) and KILL
 *   owner to the program's fork server, if it has one: FORK (+ socket, stdout, stderr, leash); it answers FORKED or DIED
 *   template: HELLO (in bfork_init) ; then READY or FAILED ; then for each SPAWN FORKED or DIED, and DIED at the end
 *
 * Neither waits for the other to read: what a socket does not take now is kept (by the owner as the processes that are due, by the
 * template as a queue) and sent when it takes more. The owner leaves at most PACKET_SPAWNS SPAWNs unanswered, so that what it keeps
 * holds no descriptors; the template takes no order while it has more than PACKET_QUEUE answers to send.
 */
#ifndef EXEC_PACKETS_H
#define EXEC_PACKETS_H

#include "wire/wire_limits.h"

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_VERSION 1
#define PACKET_TEXT 3000
#define PACKET_FDS 4
#define PACKET_SPAWNS 16u
#define PACKET_QUEUE 64u
#define TASK_FD_VARIABLE "BFORK_TASK_FD"

enum packet_type {
    PACKET_HELLO = 1,
    PACKET_SETUP,
    PACKET_READY,
    PACKET_FAILED,
    PACKET_SPAWN,
    PACKET_FORKED,
    PACKET_KILL,
    PACKET_DIED,
    PACKET_FORK
};

struct packet {
    uint32_t type, id;                  /* id: of the task process, given by the owner */
    /* DIED: pid of FORKED, status of waitpid; or, instead of FORKED, no pid and EAGAIN. FAILED: code. READY: value = threads */
    int32_t pid, status, code, value;
    uint64_t maxrss_kb;
    char stage[16];
    char text[PACKET_TEXT];
};

struct packet_setup {                   /* what is in SETUP's memfd */
    uint32_t version, spec_size;        /* the encoded wire_pool_spec is behind this struct */
    uint32_t hide_secrets, solo;        /* solo: become the task process of the first SPAWN instead of forking it */
    char symbols[1024];                 /* path of bfork-symbols; "": none */
    char work_dir[WIRE_CWD_MAX + 1];    /* "": stay */
};

/* 0, or -errno. Descriptors are not closed. wait: only for those who have nobody that waits for them (a template before READY);
 * else -EAGAIN says that the peer is behind. */
int exec_packet_send(int fd, const struct packet *p, const int *fds, int n_fds, bool wait);
/* 1: one packet; 0: end of file; -errno (-EAGAIN). Received descriptors are close-on-exec; the rest of fds is -1. */
int exec_packet_recv(int fd, struct packet *p, int fds[PACKET_FDS], bool wait);
#endif
