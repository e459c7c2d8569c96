/* SPDX-License-Identifier: MPL-2.0
 * map.h - the state of one bfork map: map.c reads options, map_tasks.c submits and collects, map_output.c writes.
 *
 * Invariants: at most `window` tasks are in flight; with --keep-order at most MAP_SPAN tasks lie between the next one to print and
 * the newest; finished output that waits for its turn is at most MAP_HELD bytes before no more is submitted. So memory does not
 * depend on how long the input is, nor, as output is spooled, on how much tasks write.
 *
 * The library tells output from whichever thread drives it: spools, and what is set there, are under the lock.
 */
#ifndef CLI_MAP_H
#define CLI_MAP_H

#include "cli.h"
#include "core/bar.h"
#include "core/command.h"
#include "core/halt.h"
#include "spool.h"
#include "tuples.h"

#include <pthread.h>

#define MAP_SPAN 65536u
#define MAP_HELD (64u << 20)
#define MAP_RATES 32u

struct map_options {
    struct cli_common common;
    const char *jobs, *halt, *arg_file, *replace, *cwd;
    int64_t time_limit_ms, retries;
    bool keep_order, tag, null, bar, progress, no_bar, json, dry_run, shell, quiet;
};

struct map_task {
    struct map_task *prev, *next;   /* in flight or held */
    struct map *map;
    uint64_t number;                /* from 1 */
    unsigned tries;
    bfork_future *future;           /* in flight: lent by the stream; done: ours */
    bool done;
    int status;                     /* exit status, or what stands for it */
    int signal;
    const bfork_error *error;       /* lent by future, or &not_whole; NULL: it has an exit status */
    struct spool out, err;
    bfork_error not_whole;          /* kind not 0: some of its output is lost, and why */
    char why[256];                  /* its message */
    const char **args;              /* the map's width; they and their strings lie behind this struct */
};

struct map_progress {
    bool on, shown;
    uint64_t started, drawn, sampled;   /* ns */
    struct { uint64_t at, done; } rates[MAP_RATES];
    unsigned n_rates;
};

struct map {
    const struct cli_call *call;
    const struct map_options *options;
    struct command *command;
    struct tuples *tuples;
    struct halt halt;
    bfork_session *session;
    bfork_pool *pool;
    bfork_stream *stream;
    struct map_task tasks;          /* list head */
    struct map_task **ordered;      /* with --keep-order: done ones by number % MAP_SPAN */
    uint64_t submitted, next_print, in_flight;
    uint64_t held;                  /* bytes of output in `ordered` */
    pthread_mutex_t lock;           /* of spools */
    struct spools spools;
    struct err spool_error;         /* code not 0: output cannot be kept, the map ends */
    bool deaf;                      /* it has ended: tasks may be gone */
    struct halt_counts counts;
    bool ended, halted, starved;    /* input has ended; --halt was reached; input had nothing ready */
    struct map_progress progress;
    uint64_t first_failed;          /* number of the first task that failed; 0: none yet */
    char first_failure[512];        /* about it */
    bool first_is_script;           /* it was not found, and looks like one for a shell */
    int lost;                       /* errno of what could not be written */
};

/* Runs everything; the exit status. Tasks are left that output may still be told of, until the session is gone. */
int cli_mapcmd_work(struct map *m);
void cli_mapcmd_task_free(struct map_task *t);

/* What a task writes, as it comes: see bfork_internal_command. */
void cli_mapcmd_output(void *task, const bfork_error *from, int fd, const void *bytes, size_t size);
void cli_mapcmd_output_clear(struct map_task *t); /* of an attempt that does not count, or written */
/* One finished task to stdout and stderr, or as JSON. 0, or < 0 with text in e. */
int cli_mapcmd_put(struct map *m, const struct map_task *t, struct err *e);
/* Writes what waits in stdio. 0, or < 0 with text in e: something could not be written, now or earlier. */
int cli_mapcmd_flush(struct map *m, struct err *e);
void cli_mapcmd_note_failure(struct map *m, const struct map_task *t);
void cli_mapcmd_summary(struct map *m);
void cli_mapcmd_dry_run(const struct map *m, const char *const *args, uint64_t number);
void cli_mapcmd_progress_start(struct map *m);
void cli_mapcmd_progress_draw(struct map *m, bool now);
void cli_mapcmd_progress_clear(struct map *m);

#endif
