/* SPDX-License-Identifier: MPL-2.0
 * map.h - the state of one bfork map: map.c reads options, map_tasks.c submits and collects, map_output.c writes.
 *
 * Invariants: at most `window` tasks are in flight; with --keep-order at most MAP_SPAN tasks lie between the next one to print and
 * the newest; finished output that waits for its turn is at most MAP_HELD bytes before no more is submitted. So memory does not
 * depend on how long the input is.
 */
#ifndef CLI_MAP_H
#define CLI_MAP_H

#include "cli.h"
#include "core/bar.h"
#include "core/command.h"
#include "core/halt.h"
#include "tuples.h"

#define MAP_SPAN 65536u
#define MAP_HELD (64u << 20)
#define MAP_RATES 32u

struct map_options {
    struct cli_common common;
    const char *jobs, *halt, *arg_file, *replace;
    int64_t time_limit_ms, retries;
    bool keep_order, tag, null, bar, progress, no_bar, json, dry_run, shell, quiet;
};

struct map_task {
    struct map_task *prev, *next;   /* in flight or held */
    uint64_t number;                /* from 1 */
    unsigned tries;
    bfork_future *future;           /* in flight: lent by the stream; done: ours */
    bool done;
    int status;                     /* exit status, or what stands for it */
    int signal;
    const bfork_error *error;       /* lent by future; NULL: it has an exit status */
    bfork_bytes out, err;           /* lent by future */
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
    size_t held;                    /* bytes of output in `ordered` */
    struct halt_counts counts;
    bool ended, halted, starved;    /* input has ended; --halt was reached; input had nothing ready */
    struct map_progress progress;
    uint64_t first_failed;          /* number of the first task that failed; 0: none yet */
    char first_failure[512];        /* about it */
};

/* Runs everything; the exit status. */
int mapcmd_work(struct map *m);

/* One finished task to stdout and stderr, or as JSON. 0, or BFORK_ENOMEM. */
int mapcmd_put(struct map *m, const struct map_task *t);
void mapcmd_note_failure(struct map *m, const struct map_task *t);
void mapcmd_summary(struct map *m);
void mapcmd_dry_run(const struct map *m, const char *const *args, uint64_t number);
void mapcmd_progress_start(struct map *m);
void mapcmd_progress_draw(struct map *m, bool now);
void mapcmd_progress_clear(struct map *m);

#endif
