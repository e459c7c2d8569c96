/* SPDX-License-Identifier: MPL-2.0
 * ring.h - the shared memory between an owner and one task process: a ring of tasks, a ring of job specifications, a ring of
 * results, and a page of control words. Both sides' code; knows no processes and no sockets.
 *
 *   tasks     the owner appends records of consecutive tasks and raises `limit`; the process claims by compare-and-swap on the word
 *             {next, limit}; the owner takes back by lowering limit. A record is only read by the process after it has claimed a
 *             task of it, so the owner may overwrite what it has taken back. A record's space is free again when all results are
 *             read.
 *   jobs      specifications; read before any task that was claimed later.
 *   results   in the order of the tasks. A record counts up `done` with every finished task of a block and is published at its end,
 *             so what was finished before a crash can be read from the unfinished record.
 *
 * An owner that may lose the right to its tasks writes until when it has it: it may be stopped while its processes are not. A
 * process looks at that before it claims, and between the tasks of a claim when they last.
 *
 * The process is hostile: the owner trusts nothing here that it has not checked after copying. Each ring is mapped twice, back to
 * back, so records never wrap. The memory is sealed against shrinking.
 */
#ifndef EXEC_RING_H
#define EXEC_RING_H

#include "base/err.h"
#include "exec/mark.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_MAGIC 0x42464b31u
#define RING_TASKS 2621440u             /* room for two tasks of WIRE_TASK_MAX */
#define RING_RESULTS 2621440u
#define RING_JOBS 1048576u
#define RING_ALIGN 16u
#define RING_FLUSH 65536u               /* bytes of results after which a block's record is published */
#define RING_FRAMES 48
#define RING_OVERFLOW 0x0f10            /* the stack was full */
#define RING_ROUND(n) (((n) + (RING_ALIGN - 1)) & ~(uint64_t)(RING_ALIGN - 1))

#define RING_ALWAYS 0u                  /* as new memory is, and as owners leave it that know no such word */

enum ring_state { RING_NEW, RING_READY, RING_INIT_FAILED, RING_STOPPED, RING_BROKEN };
enum ring_want { RING_QUIET, RING_NEXT, RING_LOW };
enum ring_sleep { RING_AWAKE, RING_IDLE, RING_NO_ROOM, RING_EXPIRED };

struct ring_frame { uint64_t pc, offset; uint32_t path; uint32_t reserved; };    /* path: into paths, 0: unknown */

struct ring_obituary {                  /* written by the process in its last moments, completed by its template */
    _Atomic int32_t signal;             /* last written by the process; 0: none */
    int32_t sig_code;                   /* of siginfo, or RING_OVERFLOW */
    uint64_t address;
    int32_t n_frames;
    uint32_t paths_used;
    struct ring_frame frames[RING_FRAMES];
    char paths[8192];
    char function[256], where[512], backtrace[8192];
};

struct ring_control {
    uint32_t magic, version;
    _Alignas(64) _Atomic uint64_t word;             /* next | limit << 32 */
    _Atomic uint64_t until;                         /* owner: from then on (clock_coarse) no task is begun; RING_ALWAYS: whenever */
    _Alignas(64) _Atomic uint64_t job_head;         /* owner */
    _Atomic uint64_t result_tail;                   /* owner */
    _Atomic uint32_t want, low;                     /* owner sets, process clears */
    _Atomic uint32_t stop;                          /* owner */
    _Atomic uint32_t attentive[2];                  /* owner: mark the end of every task on stdout, stderr */
    uint8_t nonce[MARK_NONCE];                      /* owner, before the process is there */
    _Alignas(64) _Atomic uint64_t job_tail;         /* process */
    _Atomic uint64_t result_head;                   /* process */
    _Atomic uint32_t sleeping;                      /* process sets, owner clears; the futex */
    _Atomic uint32_t state;                         /* enum ring_state */
    _Alignas(64) _Atomic uint64_t current;          /* process: seq << 1 | running */
    _Atomic uint64_t block_ns;                      /* process: when the claimed block began */
    _Atomic uint32_t block_first;
    int32_t init_code;
    char init_text[1024];
    struct ring_obituary obituary;
};

struct ring_task { /* header of a record of tasks; lens (if not fixed) and body behind it, both 16-byte aligned */
    uint32_t bytes, job, first;
    _Atomic uint32_t count;
    uint32_t claim, flags, size, tries;
    uint64_t index, id;
    uint64_t body_at;                   /* from the start of the record */
    uint64_t reserved;
};

struct ring_job { uint32_t bytes, job, size, reserved; };   /* size 0: forget it */

struct ring_result {                    /* header of a record of results; body behind it */
    uint32_t bytes, first;
    _Atomic uint32_t done;
    uint32_t kind;                      /* WIRE_OK, WIRE_OUTCOME */
    uint32_t fixed, size;               /* fixed: bytes of each; else done is 1 and size the bytes of it */
    uint64_t ns;
};

struct ring_cursor { uint64_t pos; uint32_t off, size; };
static inline void ring_advance(struct ring_cursor *c, uint32_t n)
{
    c->pos += n;
    c->off += n;
    if (c->off >= c->size)
        c->off -= c->size;
}

struct ring {
    struct ring_control *control;
    uint8_t *tasks, *jobs, *results;    /* each mapped twice */
    uint8_t *map;
    size_t map_size;
    int fd;                        /* owned; -1 after exec_ring_forget_fd */
};

/* Owner: makes, seals and maps it. */
int exec_ring_new(struct ring *r, struct err *e);
/* Process, template: maps what came as fd (kept by the caller). control_only: just the first pages. */
int exec_ring_open(struct ring *r, int fd, bool control_only, struct err *e);
void exec_ring_close(struct ring *r);
void exec_ring_forget_fd(struct ring *r);

void exec_ring_wake(struct ring_control *c);                /* of the process, if it sleeps */
/* Sleeps until woken if *word still means what it meant; may wake for nothing. The caller has set sleeping and checked again. */
void exec_ring_sleep(struct ring_control *c, uint32_t how);
#endif
