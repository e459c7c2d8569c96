/* SPDX-License-Identifier: MPL-2.0
 * world.h - a worker core with make-believe task processes, and a text trace of what it does. Every step ends with worker_check.
 */
#ifndef TEST_WORKER_WORLD_H
#define TEST_WORKER_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "bfork.h"
#include "worker.h"

#define PROCS 4096
#define RING 64

struct fake_task { uint32_t job; uint64_t index; uint32_t size; };
struct fake_proc {
    bool exists, ready, killed, stopping;
    worker_lane lane;
    struct fake_task ring[RING];
    uint32_t n, begun, room;        /* begun: of the first, cannot be taken back */
    uint64_t limit, given;
};

struct world {
    struct worker *w;
    uint64_t now;
    struct fake_proc procs[PROCS];  /* by number */
    worker_proc last_proc;
    char trace[65536];
    size_t used;
    uint8_t owner;                  /* of pools granted from now on; 0: 7 */
    bool quiet, auto_ready;         /* auto_ready: lanes and processes are ready as soon as they are started */
    /* what a broker would have got */
    void (*on_send)(struct world *x, const struct wire_msg *m);
    void *ctx;
    uint32_t reconnects, stopped, logs, limited;    /* limited: of the log lines, those that are said once a second */
};

void world_init(struct world *x, uint32_t slots);
void world_done(struct world *x);
/* One turn: flush, effects into the trace, check. */
void turn(struct world *x);
void welcome(struct world *x, uint64_t epoch, bool resumed);
void online(struct world *x, uint64_t epoch);           /* connected, welcomed; trace emptied */
void grant(struct world *x, uint32_t pool, uint32_t slots, const char *program, uint32_t max_tasks);
void forget_pool(struct world *x, uint32_t pool);
void open_job(struct world *x, uint32_t job, uint32_t pool, uint8_t id, uint64_t run_limit_ms, int32_t retries);
void forget_job(struct world *x, uint32_t job);
void chunk(struct world *x, uint64_t attempt, uint32_t job, uint64_t first, uint32_t count);
void recall(struct world *x, uint64_t attempt, uint64_t first, uint32_t count, enum wire_why why);
void close_attempt(struct world *x, uint64_t attempt, enum wire_why why);
void lane_ready(struct world *x, worker_lane lane);
void ready(struct world *x, worker_proc proc);
/* The process has run n tasks, each took ns. */
void ran(struct world *x, worker_proc proc, uint32_t n, uint64_t ns);
void died(struct world *x, worker_proc proc, int kind, bool in_task);
void died_violating(struct world *x, worker_proc proc);
void message(struct world *x, struct wire_msg *m);
void advance(struct world *x, uint64_t ms);
void clear(struct world *x);                            /* the trace */
void expect(struct world *x, const char *text, const char *file, int line);
#define EXPECT(x, t) expect(x, t, __FILE__, __LINE__)
#endif
