/* SPDX-License-Identifier: MPL-2.0
 * packets.h - what an owner and a template say to each other on their socketpair (SOCK_SEQPACKET, one struct a packet, text cut to
 * its length). The library on the other side may be of another version: the first packet either way carries one.
 *
 *   owner: SETUP (+ memfd) ; then SPAWN (+ ring, eventfd, stdout, stderr) and KILL
 *   template: HELLO (in bfork_init) ; then READY or FAILED ; then for each SPAWN FORKED or DIED, and DIED at the end
 */
#ifndef EXEC_PACKETS_H
#define EXEC_PACKETS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_VERSION 1
#define PACKET_TEXT 3000
#define PACKET_FDS 4
#define TASK_FD_VARIABLE "BFORK_TASK_FD"

enum packet_type {
    PACKET_HELLO = 1,
    PACKET_SETUP,
    PACKET_READY,
    PACKET_FAILED,
    PACKET_SPAWN,
    PACKET_FORKED,
    PACKET_KILL,
    PACKET_DIED
};

struct packet {
    uint32_t type, id;                  /* id: of the task process, given by the owner */
    int32_t pid, status, code, value; /* DIED: status of waitpid; FAILED, DIED without a pid: code, errno. READY: value = threads */
    uint64_t maxrss_kb;
    char stage[16];
    char text[PACKET_TEXT];
};

struct packet_setup {                   /* what is in SETUP's memfd */
    uint32_t version, spec_size;        /* the encoded wire_pool_spec is behind this struct */
    uint32_t hide_secrets, solo;        /* solo: become the task process of the first SPAWN instead of forking it */
    char symbols[1024];                 /* path of bfork-symbols; "": none */
    char work_dir[1024];                /* "": stay */
};

/* 0, or -errno. Descriptors are not closed. */
int packet_send(int fd, const struct packet *p, const int *fds, int n_fds);
/* 1: one packet; 0: end of file; -errno (-EAGAIN). Received descriptors are close-on-exec; the rest of fds is -1. */
int packet_recv(int fd, struct packet *p, int fds[PACKET_FDS], bool wait);
#endif
