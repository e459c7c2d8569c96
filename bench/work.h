/* SPDX-License-Identifier: MPL-2.0
 * work - our workloads: each measures once a call, in the pool it is given, and fails the whole program if a single result is
 * wrong. */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include <bfork.h>
#include <stdlib.h>
#include <sys/types.h>

enum { WORK_PROCESSES = 2, WORK_TASK = 100, WORK_BIG = 1 << 20, WORK_PIDS = 8 };

struct work {
    bfork_pool *pool;
    unsigned long size;             /* the parameter: bytes, microseconds */
    size_t n;                       /* the second: how many tasks */
    pid_t pids[WORK_PIDS];          /* whose memory is measured; 0-ended */
    const char *pid_names[WORK_PIDS];
    const char *placement;          /* of the client and its task process: see contest_place */
};

int work_same(bfork_task *task);                            /* returns its one argument, bytes */
bfork_future *work_submit(bfork_pool *pool, size_t number); /* work_same with the payload of that number, 100 bytes */
void work_check(bfork_future *f, size_t number);            /* the same 100 bytes came back */
bfork_future *work_next(bfork_stream *s);                   /* or the end of the program */

/* work_speed.c */
double work_map(void *work);            /* elements/s of size 8 or 100, returned as they are */
double work_single(void *work);         /* tasks/s */
double work_rtt(void *work);            /* microseconds, p50 */
double work_echo(void *work);           /* MB/s, 64 values of 1 MiB there and back, four in flight, results copied out */
double work_commands(void *work);       /* commands/s */
/* work_cost.c */
double work_efficiency(void *work);     /* ideal time / real time of tasks that are busy for size microseconds */
double work_start(void *work);          /* milliseconds from a new pool until each of its two processes has returned a result */
double work_process(void *work);        /* microseconds a task where each has a new process */
double work_queued(void *work);         /* bytes of pids for each task that is queued by submit */
double work_queued_map(void *work);     /* the same, queued by map_async */
double work_depth(void *work);          /* see work_cost.c: cost of a task of 1,000,000 queued / of 1,000 queued */
double work_forever(void *work);        /* memory of pids after 10 million finished tasks / after 10 thousand: the worst; notes */

#endif
