/* SPDX-License-Identifier: MPL-2.0
 * objects.h - the structs behind exec.h, which the owner's files in this folder share. Nobody else includes it. What a file offers
 * is in a header of its own, which only files above it include.
 *
 * Lifetimes: everything that a callback may end is only marked `gone` and freed at the end of the step (exec_sweep), or by the next
 * one. Descriptors in the epoll set carry a struct source inside the object they belong to.
 */
#ifndef EXEC_OBJECTS_H
#define EXEC_OBJECTS_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "exec/callbacks.h"
#include "exec/mark.h"
#include "exec/packets.h"
#include "exec/ring.h"

#define TAIL_SIZE 4096u                 /* of stderr, for death reports */
#define PULL_MERGE 262144u              /* bytes of results merged into one item */
#define PULL_TASKS 8192u
#define PULL_OWN 65536u                 /* results of one record from which on they have a buffer of their own */
#define PULL_ROOM (PULL_MERGE + PULL_OWN)
#define CHECK_NS (200 * CLOCK_MS)       /* between two looks at the control words of processes that have tasks: watch.c */

enum source_kind { SOURCE_EVENT, SOURCE_SOCKET, SOURCE_LEASH, SOURCE_OUT, SOURCE_ERR };

#define OUTPUT_LINE 65536u              /* a longer line is told in parts */

struct source {
    int fd;
    enum source_kind kind;
    struct exec_template *t;
    struct exec_proc *p;
    /* of pipes: see output.c */
    bool more, parked;                  /* more: not read to the end; parked: not watched, as there is no room */
    bool marked, guessing, sure;        /* sure: what is kept was printed by task `since` */
    uint32_t last_mark, since, blanks, patience, guess, guess_n, guess_read;
    uint32_t n_kept, cap;
    uint64_t ran_at;                    /* if sure: exec_proc.snapshot when `since` was last seen running */
    bool counting, cut;
    uint32_t seq;                       /* if counting: the task whose bytes were told last, and how many; else nobody's */
    uint64_t bytes;
    uint8_t *kept;                      /* owned: read and not told yet */
};

struct output {                         /* one process's stdout and stderr */
    struct source out, err;
    char tail[TAIL_SIZE];               /* the end of what task tail_seq has written to stderr */
    uint32_t tail_used, tail_seq;
};

/* See states.c. */
enum template_state { TEMPLATE_STARTING, TEMPLATE_READY, TEMPLATE_FAILED, TEMPLATE_GONE, TEMPLATE_STATES };

struct exec_template {
    struct list_node node;
    struct exec *x;
    void *user;
    enum template_state state;
    pid_t keeper;                       /* our child; -1: there is none (any more) */
    pid_t pid;                          /* as the keeper says it */
    struct source socket, leash;
    struct output output;
    struct list procs;
    struct list due;                    /* processes to be forked, or killed, as soon as the socket takes it */
    uint32_t asked;                     /* SPAWNs without an answer: at most PACKET_SPAWNS */
    bool blocked;                       /* the socket is full: its next room is waited for */
    uint64_t deadline;                  /* of the start */
    bool hello, silent;                 /* silent: stopped by the caller, no callbacks */
    bool told;                          /* the keeper has said how the template ended */
    int exec_error;                     /* errno of its exec */
    bool over;                          /* its socket has ended: its keeper is waited for, until deadline */
    bool buried;                        /* in x->ending */
    int wait_status;
    int program_fd, fork_server;        /* owned; -1 */
    char *program_path, *library_path;  /* owned */
    struct buf *spec;                   /* owned: encoded pool specification */
    struct wire_pool_spec decoded;      /* points into spec */
    uint64_t start_limit_ms;
    char name[256];                     /* for texts */
    struct err failure;                 /* decided before the next step: reported by it */
    char failure_stage[16];
    bool threads;                       /* preload started threads: one exec for each process */
    struct exec_proc *solo;             /* this template is the process of that slot; hidden from the caller */
};

/* See states.c. DEAD: its end is being told, what it has finished may be pulled. */
enum proc_state { PROC_FORKING, PROC_STARTING, PROC_READY, PROC_STOPPING, PROC_DEAD, PROC_GONE, PROC_STATES };

struct pushed {                         /* a record in the task ring, as the owner wrote it */
    uint32_t first, count, done, job, bytes, off;
    uint64_t run_limit_ns;
};

struct proc_job { bool map; uint32_t out_size; };

struct exec_proc {
    struct list_node node;
    struct exec *x;
    struct exec_template *t;
    struct exec_template *solo;         /* owned through x's list; NULL: forked from t */
    void *user;
    enum proc_state state;
    uint32_t id;
    pid_t pid;
    bool below;                         /* pid was seen to be of a child of its template, or of that itself: nobody else's */
    struct list_node due;               /* of its template */
    bool asked;                         /* SPAWN is sent; before, it has neither ring nor descriptors */
    bool answered;
    bool unborn;                        /* for want of descriptors or memory */
    bool stop_early;                    /* told to stop before it was asked for */
    struct ring ring;
    struct output output;
    struct ring_cursor task, job, result;   /* where the owner writes, writes, reads */
    uint64_t visible, snapshot;         /* results up to here may be pulled: what their tasks printed has been read */
    uint8_t nonce[MARK_NONCE];
    uint64_t job_tail_seen, task_freed;
    uint32_t held;                      /* bytes of the last record finished: not free yet */
    uint32_t claim;                     /* of the last push: short tasks are claimed by many */
    uint32_t limit, expected;           /* one past the last pushed; next one whose result will come */
    struct pushed *pushed;              /* ring buffer of records, power of two */
    uint32_t pushed_first, pushed_n, pushed_cap;
    struct map jobs;                    /* handle -> struct proc_job */
    uint64_t run_limit_ns;
    uint32_t limited;                   /* pushed records with a limit */
    uint64_t seen_current, seen_at, sample_at;  /* watchdog */
    uint32_t next_seen, low_set;        /* control words as last believed, as set */
    bool stop_asked, stuck;             /* stuck: at the last look it slept although tasks it has claimed have no results */
    uint32_t denied;                    /* at so many looks it had claimed tasks, was awake, and did not say which of them runs */
    int kill_kind;                      /* why we killed it */
    bool violated;                      /* it wrote what it must not */
    struct err violation;
    bool harvested;                     /* the unfinished record has been read */
    uint8_t *pull;                      /* private copy of what exec_pull returned */
    struct buf *own;                    /* the last results that were large */
    uint8_t *lens;                      /* PULL_TASKS * 4 */
    uint32_t armed_low;
};

struct exec {
    struct exec_config config;
    char *runner, *symbols, *keeper, *work_dir;     /* owned */
    char mark[64];                      /* in the environment of all that a worker starts; "": not a worker */
    pid_t guard;                        /* of a worker; -1 */
    int guard_leash;
    struct list ending;                 /* templates that are gone, but for their keepers */
    struct list templates;
    int epoll, event;
    struct source event_source;
    uint32_t next_id;
    uint64_t oom_kills;
    uint32_t changes;                   /* of the lists of templates and processes: loops start again */
    struct list graves_t, graves_p;
    uint64_t until;                     /* of exec_valid_until */
    uint64_t check_at;                  /* then the control words of processes that have tasks are looked at */
    uint64_t now;
};
#endif
