/* SPDX-License-Identifier: MPL-2.0
 * bfork.h - Python's multiprocessing, concurrent.futures and joblib for C, on this machine or on many hosts.
 *
 *     static int square(const int *in, int *out, bfork_task *task) { *out = *in * *in; return 0; }
 *     ...
 *     bfork_init(&argc, &argv);                            first line of main: in a task process it never returns
 *     bfork_pool *pool = bfork_pool_new(NULL, 5, NULL);    five processes of this machine, or of the cluster BFORK_PROFILE names
 *     if (bfork_map(pool, square, in, out, n) != 0)
 *         bfork_die("square");
 *     bfork_pool_free(&pool);
 *
 * +------------------------------------------------------------------------------------------------------------------------------+
 * | What main does after bfork_init does not happen in task processes: a global set there is as the program starts with in them.   |
 * | Give tasks what they need: arguments, options.context, pool options.preload and .initializer. On this machine only, the pool   |
 * | option start = BFORK_START_FORK makes tasks of the program's memory as it is.                                                  |
 * +------------------------------------------------------------------------------------------------------------------------------+
 *
 * Rules that hold for everything below
 *   names     bfork_verb(...) is a typed macro (C++: a template) of bfork_typed.h; bfork_noun_verb() is the exported function,
 *             its twin for other languages. Only functions are ABI.
 *   errors    int: 0, BFORK_END, or a negative bfork_status; its text: bfork_last_error(), per thread, until the thread's next
 *             failing call. Success, _free and _close leave it alone. A constructor never returns NULL: it returns a handle that
 *             has failed, and every use of it returns that failure (out of memory: a static one). Any function given a handle
 *             may return BFORK_EINVAL (it is NULL), BFORK_EFORKED (made before fork() in the parent), BFORK_ENOMEM, or what its
 *             session or pool failed with: BFORK_EKEY, BFORK_EUNREACHABLE, BFORK_EDENIED, BFORK_EPROTOCOL, BFORK_EQUOTA; these
 *             are not repeated below.
 *   lifetime  X_new/X_free(&x) (NULL-safe, sets NULL); handles keep what they need alive, so they may be freed in any order.
 *             "lent" pointers live until the object they came from is freed. Inputs are copied before a call returns unless
 *             "borrowed".
 *   options   NULL = all defaults, every field 0 = its default; flags and reserved must be 0 (checked). Use designated
 *             initialisers.
 *   threads   every function may be called from any thread; _free must be the last use. bfork_task: only while its function
 *             runs, in its thread.
 *   callbacks progress and output run in a thread that is inside a call of the library, or in the library's own; never under a
 *             lock.
 *   time      timeout_ms: 0 polls, BFORK_FOREVER waits. *_limit_ms in options: 0 = no limit. Clocks are monotonic.
 *   signals   the library installs no handler, but bfork_init takes SIGINT where nobody has it: calls that block then return
 *             BFORK_EINTR (later ones work), a second SIGINT within one of them ends the program, and so does one while no call
 *             blocks. Task processes inherit neither handlers nor blocked signals.
 *   files     descriptors are close-on-exec; stdin of a task is empty.
 *   output    what a task writes to stdout and stderr comes to the session's output function: all of it, in whole lines (but for
 *             the last of a task, and lines longer than 64 KiB), in order on each stream, before the task's future is done. Tasks
 *             that print wait while it is not taken; so output must not wait for tasks itself. A call with from->kind set is a line
 *             of the library's: BFORK_ETOOBIG, the rest is over the worker's limit (1 GiB) and lost; BFORK_LOST, something is
 *             lost; BFORK_EAGAIN, the task runs again, and what it printed before may come again. Without a function it is written
 *             to stdout and stderr, and two tasks never share a line. What is in stdio's buffers of a task that is killed is lost.
 *   stderr    a call that waits for a cluster says there what is missing when its pools had no slot for two seconds, once each time
 *             (no connection, no worker, all busy), and goes on waiting. Before its first task "serial:" names the variables of the
 *             program and its libraries that main has changed since bfork_init. On this machine a pool with room for fewer processes than asked for says so
 *             and why, and that its template was started again. Nothing of this with the session's flag BFORK_QUIET.
 *   reserved for later: bfork_{job,process,pipe,connection,listener,queue,lock,rlock,semaphore,condition,event,barrier,value
 *             ,array, manager,dict,list,set,namespace,actor,memory,blob}_*
 */
#ifndef BFORK_H
#define BFORK_H

#if defined(__cplusplus) && __cplusplus < 201103L
#error "bfork.h needs C++11 or later: compile with -std=c++11"
#elif !defined(__cplusplus) && defined(__STRICT_ANSI__) && (!defined(__STDC_VERSION__) || __STDC_VERSION__ < 199901L)
#error "bfork.h needs C11: compile with -std=c11"
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#if defined(_WIN32)
#define BFORK_API __declspec(dllimport)
#else
#define BFORK_API __attribute__((visibility("default")))
#endif
#if defined(__GNUC__)
#define BFORK_CHECK __attribute__((warn_unused_result))     /* ignoring this result is a bug */
#define BFORK_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define BFORK_CHECK
#define BFORK_PRINTF(f, a)
#endif

#define BFORK_VERSION 0x000100          /* of this header: major << 16 | minor << 8 | patch */
#define BFORK_FOREVER (-1)              /* timeout_ms */
#define BFORK_IF_QUEUED (-1)            /* grace_ms: cancel only what has not begun */
#define BFORK_ALL     (-1)              /* processes: all usable cores or slots; -2: all but one; 0 is refused */

#ifdef __cplusplus
extern "C" {
#endif

/* ---- words ---------------------------------------------------------------------------------------------------------------------- */

typedef struct bfork_session bfork_session;   /* a local engine, or one authenticated connection to a broker */
typedef struct bfork_pool    bfork_pool;      /* a number of slots of a session, with a template and defaults */
typedef struct bfork_future  bfork_future;    /* the outcome of one submission: one task, or all tasks of an asynchronous map */
typedef struct bfork_stream  bfork_stream;    /* futures as they finish: as_completed */
typedef struct bfork_task    bfork_task;      /* the task side's view of the running task */

typedef struct bfork_bytes { const void *data; size_t size; } bfork_bytes;

enum bfork_status {
    BFORK_OK = 0,
    BFORK_END = 1,              /* no more items: a stream says it; not an error */
    /* outcomes of a task */
    BFORK_FAILED = -1,          /* returned non-zero or raised; error->code is its own code */
    BFORK_CRASHED = -2,         /* killed by a signal: error->signal, ->backtrace */
    BFORK_EXITED = -3,          /* called exit(); error->code */
    BFORK_OVERTIME = -4,        /* passed run_limit_ms */
    BFORK_OVERMEMORY = -5,      /* killed for its memory */
    BFORK_CANCELLED = -6,
    BFORK_LOST = -7,            /* its worker was lost and no attempt is left */
    BFORK_REFUSED = -8,         /* could never run: resources, rights, program, quota */
    BFORK_UNKNOWN = -9,         /* at most once was asked for, and it may have run */
    BFORK_MISMATCH = -10,       /* values sent and values asked for differ: the text shows both */
    /* failures of a call */
    BFORK_EINVAL = -32, BFORK_ETIMEDOUT = -33, BFORK_EAGAIN = -34, BFORK_ENOMEM = -35, BFORK_ECLOSED = -36, BFORK_ESTATE = -37,
    BFORK_EINTR = -39, BFORK_ETOOBIG = -40, BFORK_EQUOTA = -41, BFORK_ENOTSUP = -42,
    BFORK_ENOINIT = -43,        /* the function is in an executable whose main has not called bfork_init */
    BFORK_EFORKED = -44,        /* a handle made before fork() was used in the child */
    BFORK_ETHREADS = -45,       /* BFORK_START_FORK while other threads run */
    BFORK_EKEY = -46,           /* key or profile file missing, readable by others, or malformed */
    BFORK_EUNREACHABLE = -47, BFORK_EDENIED = -48, BFORK_EPROTOCOL = -49
};

/* What went wrong, as data. Made by the library and only read by callers: it may grow at its end; never copy it by value. */
typedef struct bfork_error {
    int32_t     kind;           /* enum bfork_status */
    int32_t     code;           /* the task's own code or exit status */
    int32_t     signal;         /* of a crash */
    int32_t     attempt;        /* from 1 */
    uint64_t    task;           /* id */
    uint64_t    index;          /* position in its map */
    int64_t     pid;
    int64_t     duration_us;
    const char *message;        /* one line: what, to what, what to do; never NULL, nor are the following */
    const char *function, *where, *host, *backtrace, *output;   /* symbol, file:line (object+offset), host, lines, tail of stderr */
} bfork_error;

typedef struct bfork_progress { uint64_t total, queued, running, done, failed; double per_second, seconds_left; } bfork_progress;

typedef struct bfork_task_info {            /* read-only, grows at its end */
    uint64_t    id, index, seed;            /* seed: same for the same job seed and index, on any host and attempt */
    int32_t     attempt, depth, slot, cpus;
    int64_t     client_pid;
    const char *client_host, *host, *job, *function;    /* function: its symbol, as submitted */
} bfork_task_info;

/* Task functions: 0 = done, anything else = failed; a bfork_status < 0 passes this thread's last error on. They run in task processes
 * and must be plain functions (static is fine). *out is zeroed at entry and reaches the caller's array only if the task succeeds. */
typedef int  bfork_task_fn(bfork_task *task);                                   /* arguments by bfork_args */
typedef int  bfork_map_fn(const void *in, void *out, bfork_task *task);         /* write it with your own types: const T *, U * */
typedef int  bfork_each_fn(const void *in, bfork_task *task);                   /* each: const T *; results by bfork_return */
typedef int  bfork_string_fn(const char *in, bfork_task *task);                 /* each, over strings */
typedef int  bfork_bytes_fn(bfork_bytes in, bfork_task *task);                  /* each, over byte strings */
/* Callbacks: run in the client. */
typedef void bfork_progress_fn(void *data, const bfork_progress *progress);
typedef void bfork_output_fn(void *data, const bfork_error *from, int fd, const void *bytes, size_t size);

/* ---- values: what travels (exactly what MessagePack can say, so any language can read it) ---------------------------------------- */

enum { BFORK_NIL, BFORK_BOOL, BFORK_INT, BFORK_UINT, BFORK_REAL, BFORK_STR, BFORK_BIN,                 /* in a bfork_arg */
       BFORK_I16 = 16, BFORK_U16, BFORK_I32, BFORK_U32, BFORK_I64, BFORK_U64, BFORK_F32, BFORK_F64, BFORK_FIXED, BFORK_ANY };

typedef struct bfork_arg {      /* a value on its way in; layout frozen */
    int32_t type, reserved;
    union { int64_t i; uint64_t u; double f; const void *p; } v;
    size_t size;                /* of STR and BIN */
} bfork_arg;

typedef struct bfork_ref {      /* where a value on its way out is to be put; layout frozen */
    int32_t type, reserved;
    void *p;
    size_t size;                /* of FIXED: exactly so many bytes */
} bfork_ref;

/* ---- options ---------------------------------------------------------------------------------------------------------------------- */

enum { BFORK_START_SPAWN,       /* as on any host: the program anew, main up to bfork_init, then forked for each process */
       BFORK_START_FORK,        /* this machine only: the caller's memory as it is now, with every global; BFORK_ETHREADS if other threads
                                   of the program run, BFORK_ENOTSUP on a cluster */
       BFORK_START_EXEC };      /* the program anew for each process, without fork: for runtimes with threads; not yet: BFORK_ENOTSUP */
enum { BFORK_WAIT, BFORK_REFUSE };              /* when_full: submit blocks | its future fails with BFORK_EAGAIN */
enum { BFORK_RETRY_DEFAULT = 0, BFORK_RETRY_NEVER = -1 };   /* never: at most once; in doubt the outcome is BFORK_UNKNOWN */

enum { BFORK_QUIET = 1 << 4 };                  /* session: the library says nothing on stderr: see "stderr" at the top */

typedef struct bfork_session_options {
    const char      *client_key;        /* file with the client's secret key; default: the profile's */
    const char      *name;              /* shown by bfork status; default: the program's name */
    bfork_output_fn *output;            /* what tasks print: whole lines, in order for each task; default: to stdout and stderr */
    void            *output_data;
    int64_t          connect_limit_ms;  /* of trying, default 10000: then work fails with BFORK_EUNREACHABLE */
    uint32_t         flags, reserved32;
    uint64_t         max_output_bytes;  /* printed and not yet taken by output; then tasks that print wait. Default 16 MiB. In a
                                           cluster 256 KiB for each worker */
    uint64_t         reserved[9];
} bfork_session_options;

typedef struct bfork_pool_options {
    bfork_task_fn   *preload;           /* once per host, in the template: what it loads all task processes share; must start no thread */
    bfork_task_fn   *initializer;       /* once per task process, before its first task; failing three times in a row fails the pool */
    bfork_task_fn   *finalizer;         /* once per task process that ends in an orderly way */
    const bfork_arg *args;              /* for these three, by bfork_args; see BFORK_ARGS */
    size_t           nargs;
    uint32_t         max_tasks;         /* per task process (tasks, not chunks), then a fresh one; default: no limit */
    uint32_t         flags;
    int64_t          close_limit_ms;    /* bfork_pool_free: drain so long, then terminate; default: no limit */
    uint64_t         max_queued;        /* tasks submitted and not done, at most; default 4 Mi */
    uint64_t         max_queued_bytes;  /* of their arguments; default 1 GiB */
    const char      *name;              /* shown by bfork status */
    const char *const *env;             /* "NAME=value", NULL-ended: put into the environment of the task processes */
    uint32_t         start;             /* BFORK_START_* */
    uint32_t         reserved32;
    const char      *cwd;               /* directory of the task processes, from /, where they run: a host without it runs none of them;
                                           default: the worker's, and on this machine the program's */
    uint64_t         reserved[18];
} bfork_pool_options;

typedef struct bfork_options {          /* of one submission */
    uint32_t    chunk;                  /* of a map or each: tasks that travel together; default: by measured duration */
    int32_t     retries;                /* how often a task that failed runs again; BFORK_RETRY_NEVER. Default 0. A task whose worker is
                                           lost runs up to 3 times in any case but NEVER; one that crashes, once */
    int64_t     run_limit_ms;           /* of each task; then its process is killed: BFORK_OVERTIME. "serial:" cannot, and says so */
    int32_t     when_full;              /* the pool's queue is full: BFORK_WAIT, BFORK_REFUSE */
    uint32_t    flags;
    const char *name;                   /* of the job, shown by bfork status and in bfork_task_info */
    uint64_t    seed;                   /* for bfork_task_info.seed */
    bfork_bytes context;                /* sent once to each host, not with each task: bfork_task_context; less than 256 KiB */
    bfork_progress_fn *progress;        /* of a map or each: called about ten times a second while it is waited for, and once when that ends */
    void       *progress_data;
    int32_t    *status;                 /* of a map or each: n outcomes (enum bfork_status), borrowed like out. BFORK_END: none yet. Those that
                                           never get one of their own get the map's: of the session's failure, BFORK_CANCELLED … */
    uint64_t    reserved[16];
} bfork_options;

typedef struct bfork_function {         /* what to run; exactly one of the three */
    const char *object, *symbol;        /* a function of a shared object: "./tasks.so", "square"; the path is meant where it runs */
    const char *const *argv;            /* a command, NULL-ended. Result (int, bytes, bytes): exit status (128 + signal, 127 not found,
                                           126 not executable), stdout, stderr */
    void (*fn)(void);                   /* a bfork_task_fn or bfork_map_fn of this program or of a shared object it has loaded */
    uint64_t reserved[4];
} bfork_function;

/* ---- program, errors ------------------------------------------------------------------------------------------------------------- */

/**
 * Makes this program one whose functions can run in task processes. Call it as the first line of main, before threads, output and
 * arguments: the library starts the program anew for its templates, and there this call never returns. Arguments are not changed
 * (NULLs are allowed). What main does afterwards task processes do not see: no global, no open file. Not needed for programs that
 * only run commands or functions of shared objects.   Threads: main, once.
 */
BFORK_API void bfork_init(int *argc, char ***argv);

/** Version of the library, as BFORK_VERSION. */
BFORK_API uint32_t bfork_version(void);

/** Cores this process may use: the least of online, affinity mask and cgroup quota (v1 and v2, rounded up); at least 1. */
BFORK_API int bfork_cpu_count(void);

/** This thread's last failure. Never NULL; kind 0 if there was none. Lent until the thread's next failing call. */
BFORK_API const bfork_error *bfork_last_error(void);

/**
 * The full report as text for people: one line, then backtrace and the end of stderr if there are any.
 * @param e    NULL: the last error
 * @return what snprintf returns: the length without cutting; buf is always NUL-ended if size > 0
 */
BFORK_API size_t bfork_error_text(const bfork_error *e, char *buf, size_t size);

/** "ok", "crashed", "over time" … for any status; static. */
BFORK_API const char *bfork_status_name(int status);

/** Prints "what: " and the last error to stderr and calls exit(1), or exit(130) if that was an interrupt. */
BFORK_API void bfork_die(const char *what);

/** A bfork_progress_fn: one line on stderr, drawn anew; nothing if stderr is no terminal. */
BFORK_API void bfork_bar(void *unused, const bfork_progress *p);

/* ---- session --------------------------------------------------------------------------------------------------------------------- */

/**
 * Where work goes.
 *
 * @param profile   "local:" = this machine, no daemon; "serial:" = the calling process, one task at a time, for the debugger; a name =
 *                  ~/.config/broadfork/NAME.conf; a path with a slash = that file; "tcp://host:port" with options.client_key, a file that
 *                  names the broker's key. NULL = the environment variable BFORK_PROFILE, or else "local:". Nothing else is read from
 *                  the environment but HOME.
 * @return never NULL; a failed one says BFORK_EINVAL, BFORK_EKEY (profile or key: missing, readable by others, malformed), BFORK_ENOTSUP
 *         (libbfork-remote is missing; or this is a task: tasks cannot have sessions yet). Does not block and does not wait for the broker: if that is not reached within connect_limit_ms,
 *         or refuses the key, work fails with BFORK_EUNREACHABLE, BFORK_EDENIED. A connection lost later is made again, for two
 *         minutes; what was outstanding goes on.
 */
BFORK_API bfork_session *bfork_session_new(const char *profile, const bfork_session_options *o);

/** Why the session has failed; NULL while it is well. Lent. */
BFORK_API const bfork_error *bfork_session_error(bfork_session *s);

/** Makes the calls that block on this session now return BFORK_EINTR; later ones work. May be called from a signal handler. */
BFORK_API void bfork_session_interrupt(bfork_session *s);

/** Gives the handle up; the session ends with its last pool and future. Does not block for work. */
BFORK_API void bfork_session_free(bfork_session **s);

/* ---- pool ------------------------------------------------------------------------------------------------------------------------ */

/**
 * Processes that run tasks of this program. Never blocks: they start with the first work.
 *
 * @param s          NULL: the default session (BFORK_PROFILE or this machine), shared by all pools made so, gone with the last of them
 * @param processes  how many tasks run at a time at most: > 0, or BFORK_ALL (all usable cores, or all slots of the cluster), -2 all but
 *                   one, …; a cluster may have fewer, and then gives what it has
 * @return never NULL; a failed one says BFORK_EINVAL (processes 0, bad options), BFORK_ETHREADS, BFORK_ENOTSUP (options.start; or this
 *         is a task: tasks cannot have pools yet) or its session's failure
 */
BFORK_API bfork_pool *bfork_pool_new(bfork_session *s, int processes, const bfork_pool_options *o);

/** Why the pool or its session has failed; NULL while it is well. Lent. */
BFORK_API const bfork_error *bfork_pool_error(bfork_pool *p);

/** Its session, lent. */
BFORK_API bfork_session *bfork_pool_session(bfork_pool *p);

/** Slots it has now (0 if that is not known yet: see bfork_pool_wait); < 0: a failure. */
BFORK_API int bfork_pool_size(bfork_pool *p);

/**
 * Waits until the pool has so many slots. On this machine it has them at once; on a cluster, workers may still have to join (a
 * call that waits for the first of them for more than two seconds says so on stderr).
 * @return 0; BFORK_ETIMEDOUT, BFORK_EINTR, BFORK_ECLOSED; or why the pool cannot run: BFORK_REFUSED …
 */
BFORK_API BFORK_CHECK int bfork_pool_wait(bfork_pool *p, int slots, int timeout_ms);

/** Could it run this? 0; BFORK_ENOINIT: fn is in this program, whose main has not called bfork_init; BFORK_EINVAL: no plain function. */
BFORK_API BFORK_CHECK int bfork_pool_check(bfork_pool *p, const bfork_function *f);

/** No new work; what was submitted goes on. Idempotent, does not block. */
BFORK_API void bfork_pool_close(bfork_pool *p);

/**
 * bfork_future_cancel of all it has; the pool stays open. With BFORK_IF_QUEUED nothing more of it begins, and the call returns when
 * that is known.
 * @return how many tasks that is (BFORK_IF_QUEUED: how many will not run), at most INT_MAX; BFORK_ENOTSUP: another grace_ms;
 *         BFORK_EINTR and failures of the session with BFORK_IF_QUEUED
 */
BFORK_API BFORK_CHECK int bfork_pool_cancel(bfork_pool *p, int grace_ms);

/** Closes, cancels what is queued, kills what runs: every future gets its outcome. Idempotent, does not block. */
BFORK_API void bfork_pool_terminate(bfork_pool *p);

/**
 * After close or terminate: waits until every future has its outcome.
 * @return 0; BFORK_ETIMEDOUT, BFORK_EINTR (call it again to go on); BFORK_ESTATE: the pool is still open
 */
BFORK_API BFORK_CHECK int bfork_pool_join(bfork_pool *p, int timeout_ms);

/** Closes, joins (options.close_limit_ms, then terminates; an interrupt terminates at once), ends the processes, frees. */
BFORK_API void bfork_pool_free(bfork_pool **p);

/**
 * Submits one task and gets a future for its outcome; bfork_submit(pool, fn, values …) writes args for you. Blocks only while the
 * pool's queue is full (options.when_full).
 *
 * @param fn    a plain function of this program or of a loaded shared object; static is fine. The pointer itself names it, here and on
 *              every host
 * @param args  n values, copied before return; together at most 1 MiB
 * @return a future, never NULL, freed with bfork_future_free; one that has failed says why: BFORK_EINVAL (fn, a value, options),
 *         BFORK_ETOOBIG, BFORK_EAGAIN (queue full and BFORK_REFUSE), BFORK_ECLOSED, BFORK_ENOINIT, BFORK_EINTR
 * Outcomes: BFORK_FAILED, CRASHED, EXITED, OVERTIME, OVERMEMORY, CANCELLED, LOST, REFUSED, UNKNOWN, MISMATCH.
 */
BFORK_API BFORK_CHECK bfork_future *bfork_pool_submit(bfork_pool *p, bfork_task_fn *fn, const bfork_options *o, const bfork_arg *args,
                                                      size_t n);

/**
 * The same for a command, a function of a shared object, or callers that have their arguments as MessagePack.
 * @param msgpack  one MessagePack array, copied; NULL: no arguments; ignored with argv
 */
BFORK_API BFORK_CHECK bfork_future *bfork_pool_submit_raw(bfork_pool *p, const bfork_function *f, const bfork_options *o,
                                                          const void *msgpack, size_t size);

/**
 * Calls fn for each of n elements and waits; bfork_map(pool, fn, in, out, n) takes the sizes from the types. Results are in input order.
 * All elements run even if some fail; out[i] is written only where element i succeeded.
 *
 * @param in, out  arrays of n elements of in_size and out_size bytes (each at most 1 MiB), borrowed until the call returns. Pointers
 *                 cannot travel: strings and values of differing sizes go by bfork_each
 * @return 0; or the outcome of the lowest index that failed (options.status: of each); BFORK_EINVAL, BFORK_ETOOBIG, BFORK_ECLOSED,
 *         BFORK_ENOINIT; BFORK_EINTR: what was left is cancelled, the arrays are the caller's again
 */
BFORK_API BFORK_CHECK int bfork_pool_map(bfork_pool *p, bfork_map_fn *fn, const void *in, size_t in_size, void *out, size_t out_size,
                                         size_t n, const bfork_options *o);

/** The same without waiting: the future is done when all elements are. in and out are borrowed until it is done or freed. */
BFORK_API BFORK_CHECK bfork_future *bfork_pool_map_async(bfork_pool *p, bfork_map_fn *fn, const void *in, size_t in_size, void *out,
                                                         size_t out_size, size_t n, const bfork_options *o);

/**
 * bfork_each(pool, fn, in, n): calls fn for each element without waiting; an element returns nothing, or values of any size by
 * bfork_return. By the type of in: strings (NUL-ended), byte strings, or elements of one size without pointers, each at most 1 MiB.
 * bfork_take(bfork_each(…)) waits; bfork_result_at reads. in is copied. Does not block.
 * @return a future of n elements; its outcome is that of the lowest index that failed, options.status and bfork_future_error_at tell
 *         of each. One that has failed: BFORK_EINVAL (fn, in or a string is NULL, in_size is 0), BFORK_ETOOBIG, BFORK_ECLOSED,
 *         BFORK_ENOINIT
 */
BFORK_API BFORK_CHECK bfork_future *bfork_pool_each(bfork_pool *p, bfork_each_fn *fn, const void *in, size_t in_size, size_t n,
                                                    const bfork_options *o);
BFORK_API BFORK_CHECK bfork_future *bfork_pool_each_string(bfork_pool *p, bfork_string_fn *fn, const char *const *in, size_t n,
                                                           const bfork_options *o);
BFORK_API BFORK_CHECK bfork_future *bfork_pool_each_bytes(bfork_pool *p, bfork_bytes_fn *fn, const bfork_bytes *in, size_t n,
                                                          const bfork_options *o);

/* ---- future ---------------------------------------------------------------------------------------------------------------------- */

enum { BFORK_PENDING = 0, BFORK_DONE = 2 };

/** BFORK_PENDING (queued or running) or BFORK_DONE (however it ended). Does not block, and does not drive anything. */
BFORK_API int bfork_future_state(const bfork_future *f);

/** Waits until it is done. 0: it is, however it ended; BFORK_ETIMEDOUT (it goes on), BFORK_EINTR. */
BFORK_API BFORK_CHECK int bfork_future_wait(bfork_future *f, int timeout_ms);

/**
 * Waits and reads what the task returned; bfork_result(f, &x, &y) writes refs for you. May be called again.
 * @param refs  n places; strings and bytes put there are lent until f is freed. On any failure they are zeroed
 * @return 0; the outcome if the task ended otherwise (bfork_last_error, bfork_future_error); BFORK_MISMATCH: it returned other values;
 *         BFORK_EINTR. With n = 0: did it succeed?
 */
BFORK_API BFORK_CHECK int bfork_future_result(bfork_future *f, const bfork_ref *refs, size_t n);

/** The same with a limit: bfork_result_within(f, ms, &x); BFORK_ETIMEDOUT: it goes on. */
BFORK_API BFORK_CHECK int bfork_future_result_within(bfork_future *f, int timeout_ms, const bfork_ref *refs, size_t n);

/**
 * Of bfork_each: waits for element index and reads what it returned; bfork_result_at(f, index, &x). Of one task: its result, at 0.
 * @return as bfork_future_result, of that element; BFORK_EINVAL: there is no such element, or f is a map's, whose results are in out
 */
BFORK_API BFORK_CHECK int bfork_future_result_at(bfork_future *f, size_t index, const bfork_ref *refs, size_t n);

/** result and free in one, also on failure: bfork_take(f, &x). Strings and bytes are lent until this thread's next take of values. */
BFORK_API BFORK_CHECK int bfork_future_take(bfork_future *f, const bfork_ref *refs, size_t n);

/** Waits for n futures and frees them (sets NULLs): 0, or that of the first in the array that did not succeed. */
BFORK_API BFORK_CHECK int bfork_future_gather(bfork_future **f, size_t n);

/** bfork_future_result as MessagePack, lent until f is freed. */
BFORK_API BFORK_CHECK int bfork_future_result_raw(bfork_future *f, const void **msgpack, size_t *size);

/** Why it did not succeed; NULL: not done, or well. Lent. A failed call (BFORK_EINTR …) is not the future's error. */
BFORK_API const bfork_error *bfork_future_error(bfork_future *f);

/** Of a map or bfork_each: the error of one index; NULL: it is well, or one of more than 1000 that failed (the lowest is always kept). Lent. */
BFORK_API const bfork_error *bfork_future_error_at(bfork_future *f, size_t index);

/** Its number among the submits of its function. */
BFORK_API uint64_t bfork_future_index(const bfork_future *f);

/** What was given to bfork_stream_add with it. */
BFORK_API void *bfork_future_data(const bfork_future *f);

/**
 * Cancels: a queued task does not run, a running one is killed; either way it soon has an outcome, BFORK_CANCELLED unless it was done
 * before. A map: all its elements that are not done.
 * @param grace_ms  0: killed. BFORK_IF_QUEUED: only what no task process has begun; the call returns when that is known. If a worker is
 *                  lost, or passes its lease, while it is asked, what had begun there and would run again is cancelled as well
 * @return 0: asked for (BFORK_IF_QUEUED: it will not run; of a map: something of it); BFORK_ESTATE: it is done (or runs) already;
 *         BFORK_ENOTSUP: another grace_ms; BFORK_EINTR and failures of the session with BFORK_IF_QUEUED
 */
BFORK_API int bfork_future_cancel(bfork_future *f, int grace_ms);

/** One more handle on it, to be freed as well. */
BFORK_API bfork_future *bfork_future_ref(bfork_future *f);

/** Gives the handle up. Does not cancel a submitted task; does cancel a map, whose arrays are the caller's again, and bfork_each. */
BFORK_API void bfork_future_free(bfork_future **f);

/* ---- stream: the futures that are put in come out finished ------------------------------------------------------------------------- */

BFORK_API bfork_stream *bfork_stream_new(void);

/** Takes the future over, also a failed one. A future is in one stream. data: for bfork_future_data. */
BFORK_API void bfork_stream_add(bfork_stream *s, bfork_future *f, void *data);

/**
 * The next future that is done, in order of completion, waiting for it. Several threads may take from one stream.
 * @param f  the caller frees it. NULL unless 0 is returned
 * @return 0; BFORK_END: the stream is empty; BFORK_ETIMEDOUT: nothing yet; BFORK_EINTR
 */
BFORK_API BFORK_CHECK int bfork_stream_next(bfork_stream *s, int timeout_ms, bfork_future **f);

/** Futures in it, done or not. */
BFORK_API size_t bfork_stream_left(const bfork_stream *s);

/** Frees it and the futures still in it; their tasks go on. */
BFORK_API void bfork_stream_free(bfork_stream **s);

/* ---- the task side: only in a task function, with its task -------------------------------------------------------------------------- */

/**
 * Reads the arguments; bfork_args(task, &x, &y) writes refs for you. Strings and bytes are lent for the task's duration.
 * @return 0; BFORK_MISMATCH: other values were sent: refs are zeroed and the task has failed so, whatever it returns
 */
BFORK_API BFORK_CHECK int bfork_task_args(bfork_task *t, const bfork_ref *refs, size_t n);

/** The arguments as MessagePack (of a map: the element), lent. */
BFORK_API const void *bfork_task_args_raw(bfork_task *t, size_t *size);

/** options.context, lent, aligned for any type; NULL and 0: none was given. */
BFORK_API const void *bfork_task_context(bfork_task *t, size_t *size);

/** Sets the result, copied; the last one counts. At most 1 MiB. 0; or the task has failed: BFORK_EINVAL, BFORK_ETOOBIG, BFORK_ENOMEM. */
BFORK_API int bfork_task_return(bfork_task *t, const bfork_arg *args, size_t n);
BFORK_API int bfork_task_return_raw(bfork_task *t, const void *msgpack, size_t size);

/** The task has failed, with this code and message (copied). Always returns BFORK_FAILED: `return bfork_raise(…)`. */
BFORK_API int bfork_task_raise(bfork_task *t, int code, const char *message);
BFORK_API int bfork_raise(bfork_task *t, int code, const char *format, ...) BFORK_PRINTF(3, 4);   /* the only variadic function */

/** Memory that lives as long as the task. NULL: out of memory. */
BFORK_API void *bfork_task_alloc(bfork_task *t, size_t size);

/** Which task, which attempt, where. Lent for the task's duration. */
BFORK_API const bfork_task_info *bfork_task_self(const bfork_task *t);

#ifdef __cplusplus
}
#endif

static inline bfork_bytes bfork_bytes_of(const void *data, size_t size) { bfork_bytes b; b.data = data; b.size = size; return b; }
#define bfork_pod(object)  bfork_bytes_of(&(object), sizeof(object))   /* a struct without pointers, as bytes */
#define bfork_into(object) bfork_ref_fixed(&(object), sizeof(object))  /* and back: the size must be the same */

static inline void bfork_report(FILE *stream, const bfork_error *e)    /* NULL: the last error; inline: FILE never crosses the library */
{
    char text[4096];
    bfork_error_text(e, text, sizeof(text));
    fputs(text, stream);
}

#include "bfork_typed.h"    /* bfork_submit, _map, _each, _args, _return, _result, _take …: begins with a table of them */
#endif
