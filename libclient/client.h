/* SPDX-License-Identifier: MPL-2.0
 * client.h - the library's own structures: session, pool, job, future, stream; and the ground floor of its functions, which know
 * nothing of jobs and futures. Only libclient includes this.
 *
 * Floors   work.h: what there is to do, and what comes of it, with the lock and without waiting. drive.h: who waits drives;
 *          sessions and pools are made. The API's files (api_*.c, cancel.c, each.c, stream.c, submit.c) stand on that. A file
 *          includes the header of its floor, so a call upward is of a function that is not declared. In each header the files stand
 *          in an order in which they call only those before them.
 * Locks    one mutex a session; it guards the session, its core and link, its pools, jobs, futures, streams of its futures. Streams
 *          may hold futures of several sessions and have a lock of their own, taken after a session's.
 * Driving  whoever waits for something drives the session: it holds the driver's token, pumps the link, sleeps on its descriptor
 *          without the lock, pumps again. Others who wait sleep on a condition until their own thing has happened or the token is
 *          offered. A helper thread takes the token only when work is outstanding and nobody has been inside for some milliseconds.
 * Forks    a page that fork wipes tells a child that the handle is not its own.
 */
#ifndef LIBCLIENT_CLIENT_H
#define LIBCLIENT_CLIENT_H

#include "base/list.h"
#include "base/map.h"
#include "core/session.h"
#include "error.h"
#include "internal.h"
#include "link.h"

#include <pthread.h>
#include <stdatomic.h>

#define FUTURE_INLINE 40            /* bytes of a result kept in the future itself */

enum session_kind { KIND_FAILED, KIND_SERIAL, KIND_LOCAL, KIND_REMOTE };

struct waiter { struct list_node node; pthread_cond_t cond; bool (*done)(void *arg); void *arg; };

/* What a task printed, on its way to the program. */
struct output {
    struct list_node node;
    bfork_error who;                /* kind: not 0: no output of a task, but what the library says about it */
    char host[WIRE_NAME_MAX + 1];
    struct session_print piece;     /* turn 0: there is nothing to confirm */
    int stream;
    bfork_internal_output_fn *told; /* of a streamed command, and its task; NULL: the session's */
    void *task;
    size_t size;
    uint8_t bytes[];
};

/* Who wrote last to a stream, and not to the end of a line. */
struct open_line { bool open; uint32_t job; uint64_t index; int32_t attempt; };

/* The holder of the token while it sleeps, and what it is to be woken for by others who pump meanwhile. */
enum sleeper_call { CALL_NONE, CALL_GATHER, CALL_NOW };
struct sleeper { const struct waiter *me; enum link_want want; uint64_t until; enum sleeper_call call; };

enum helper_state { HELPER_NONE, HELPER_IDLE, HELPER_LINGERS, HELPER_DRIVES, HELPER_STOPS };

struct bfork_session {
    _Atomic uint32_t refs;          /* handle, pools, futures */
    enum session_kind kind;
    bfork_error *error;             /* it has failed; NULL: it is well. Static errors are not freed */
    const uint8_t *fork_guard;      /* a page holding 1; 0 after fork */
    pthread_mutex_t lock;
    struct session *core;
    struct link *link;
    bfork_output_fn *output;
    void *output_data;
    struct list pools, outputs;
    struct open_line lines[2];
    bool output_failed[2];          /* stdout, stderr cannot be written to; that has been said */
    struct bfork_future *free_futures;
    void *slabs;                    /* of futures */
    /* driving */
    bool failing;                   /* error is set, futures are not settled yet */
    bool driven;                    /* somebody holds the token */
    bool delivering;                /* outputs: by one thread at a time */
    uint32_t callers;               /* callers who want it from the helper */
    uint64_t turns;                 /* how often callers drove or submitted: the helper waits until this stands still */
    struct list waiters;
    struct sleeper *sleeper;
    bool stirred;                   /* something waited for may have come true beside the link */
    _Atomic bool poked;             /* the same, said by somebody without the lock */
    int wake_fd;                    /* eventfd: ends the driver's sleep */
    pthread_t helper;
    pthread_cond_t helper_cond;
    enum helper_state helper_state;
    _Atomic uint32_t interrupts;    /* how often bfork_session_interrupt was called */
    uint64_t pump_at;               /* until then submits are kept back */
    uint32_t kept;                  /* tasks added since the last pump */
    struct map functions;           /* address -> known_function */
    uint32_t answered;              /* request of the last answer, its code and text */
    int32_t answer_code;
    char *answer_text;
    /* work that waits for slots */
    bool quiet;                     /* BFORK_QUIET: nothing is said about it */
    bool vain_told;
    uint64_t vain_since;            /* 0: no pool waits in vain */
    uint32_t vain_request;          /* of the question why */
    char *vain_answer;
};

/* A pool's claim on slots with one specification: this program's, or the runner's for commands and objects. It is what brokers and
 * workers call a pool; opened at first use. */
struct claim {
    struct session_pool *core;
    struct bfork_pool *pool;
    uint32_t slots;
    char why[256];                  /* it has none for the time being, as a worker says; "": nothing is said */
    bfork_error *error;
};
enum { CLAIM_PROGRAM, CLAIM_RUNNER, CLAIMS };

struct bfork_pool {
    _Atomic uint32_t refs;          /* handle, jobs */
    struct bfork_session *s;
    struct list_node node;          /* in session.pools */
    bfork_error *error;
    int processes;
    _Atomic bool closed;
    struct claim claims[CLAIMS];
    struct list jobs;
    uint64_t pending;               /* futures without an outcome */
    uint32_t slots_awaited;         /* calls inside bfork_pool_wait */
    uint64_t queued_bytes;          /* of their arguments */
    uint64_t max_queued, max_queued_bytes;
    int64_t close_limit_ms;
    bfork_pool_options options;     /* functions and limits only; strings and arguments live in spec_* */
    struct wire_job_spec job_spec;  /* of its last job without name and context, and those bytes; job_doc NULL: there is none */
    struct buf *job_doc;
    struct buf *spec_args, *spec_env;
    char *spec_cwd;                     /* owned; NULL: the default */
    char *name;
    struct task_runner *runner;     /* serial sessions: what a task process has */
    bfork_error *start_error;       /* preload or initializer failed */
    bool started;
    bool forked;                    /* BFORK_START_FORK on this machine: fork_digest stands for the caller's memory */
    uint8_t fork_digest[WIRE_DIGEST];
    pthread_mutex_t serial_lock;
};

/* Tasks of one function with the same options: a stream of submits, or one map. */
struct job {
    struct list_node node;          /* in pool.jobs; most recently used first */
    struct bfork_pool *pool;
    struct session_job *core;       /* not used any more once closed and left == 0: the core forgets it then. Serial: NULL */
    struct claim *claim;
    bfork_function function;        /* strings are copies */
    bfork_options options;          /* name and context are copies */
    const char *symbol;             /* for errors; lives as long as the session */
    bool map, closed;
    bfork_internal_output_fn *told; /* commands whose output goes there; NULL: it is in their results */
    uint64_t left;                  /* futures pending */
    struct bfork_future **slots;    /* submits: futures by index & mask, from base to next */
    uint64_t base, next, mask;
    struct bfork_future *future;    /* map */
};

/* Of consecutive tasks that ended alike. */
struct kept_error { struct kept_error *next; uint64_t index; uint32_t count; bfork_error *error; };

/* What each element of bfork_each returned. */
struct each_result { const uint8_t *data; uint32_t size; bool settled; int16_t kind; struct buf *buf; };

struct map_state {
    struct each_result *each;       /* bfork_each: n of them; NULL: a map, whose results go to out */
    struct each_block *blocks;      /* holds those that are copies */
    void *out;
    size_t out_size;
    uint64_t n, settled, failed, lowest;
    int32_t *status;
    struct kept_error *errors;      /* at most MAP_ERRORS, the lowest index always among them */
    uint32_t n_errors;
    struct bfork_error *lowest_error;
    bfork_progress_fn *progress;
    void *progress_data;
    _Atomic bool told;              /* progress: its last word */
    uint64_t started;
};

struct bfork_future {
    _Atomic uint32_t refs;          /* handle(s), and one of the job until it is settled */
    _Atomic uint32_t state;         /* BFORK_PENDING, BFORK_DONE; (RUNNING is told by the task's start only where that is known) */
    struct bfork_session *s;
    struct job *job;                /* while pending */
    uint64_t index;
    int32_t kind;                   /* BFORK_OK or how it ended */
    uint32_t size;                  /* of the result */
    const uint8_t *data;
    struct buf *buf;                /* holds data; NULL: in `small` or `own` */
    uint8_t *own;
    uint8_t small[FUTURE_INLINE];
    bfork_error *error;
    void *strings;                  /* list of copies lent by bfork_result */
    struct map_state *map;
    struct bfork_stream *stream;
    struct list_node node;          /* in stream.ready or stream.pending; .next also links the free list */
    void *data_of_user;
    uint64_t bytes;                 /* counted in pool.queued_bytes */
};

struct bfork_stream {
    pthread_mutex_t lock;
    struct list ready, pending;
    struct list takers;             /* threads inside bfork_stream_next */
    const uint8_t *fork_guard;
    bool failed;
};

/* interrupt.c */
void bfs_interrupt_add(struct bfork_session *s);
void bfs_interrupt_remove(struct bfork_session *s);
/* One wait, from its begin to its end, on every path. */
struct interruptible { uint32_t process, session; };
struct interruptible bfs_interrupt_begin(const struct bfork_session *s);
bool bfs_interrupt_came(const struct bfork_session *s, const struct interruptible *w); /* since its begin */
void bfs_interrupt_end(const struct interruptible *w);

/* guard.c */
const uint8_t *bfs_guard_new(void);                 /* a page holding 1 that a forked child finds zeroed; NULL: none to be had */
void bfs_guard_free(const uint8_t *guard);

/* session.c */
struct bfork_session *bfs_session_no_memory(void);  /* a handle all the same: there was no memory for a session */
void bfs_session_ref(struct bfork_session *s);
void bfs_session_fail(struct bfork_session *s, int code, const char *text); /* with the lock: all outstanding work will fail */
int bfs_session_usable(struct bfork_session *s);    /* 0; or BFORK_EFORKED, the session's own error: last error is set */

/* function.c: with the lock. The function as a document, encoded; kept for the session's life. */
struct known_function { struct buf *doc; char *symbol; bool in_program; };
int bfs_function_of(struct bfork_session *s, const bfork_function *f, const struct known_function **ret);
void bfs_function_free_all(struct bfork_session *s);

/* wake.c */
void bfs_wake_waiters(struct bfork_session *s, const struct waiter *me); /* with the lock: whose own thing is done; but me */
void bfs_wake_driver(struct bfork_session *s);
void bfs_wake_poke(struct bfork_session *s);            /* without the lock: whoever waits looks again */
void bfs_wake_next(struct bfork_session *s);            /* with the lock, before something that may take long without it */
void bfs_wake_look(struct bfork_session *s);            /* with the lock: waiters and the driver look again */

#endif
