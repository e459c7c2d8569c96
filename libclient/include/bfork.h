/* SPDX-License-Identifier: MPL-2.0
 * bfork.h - Python's multiprocessing, concurrent.futures and joblib for C, on this machine or on many hosts.
 *
 * Rules that hold for everything below
 *   names     bfork_verb(...) is a typed macro (C++: a template); bfork_noun_verb() is the exported function. Only functions are ABI.
 *   errors    int: 0, BFORK_END, or a negative bfork_status; its text: bfork_last_error(), per thread, until the thread's next failing call.
 *             Success, _free and _close leave it alone. A constructor never returns NULL: it returns a handle that has failed, and
 *             every use of it returns that failure (out of memory: a static one).
 *   lifetime  X_new/X_free(&x) (NULL-safe, sets NULL); handles keep what they need alive, so they may be freed in any order.
 *             "lent" pointers live until the object they came from is freed. Inputs are copied before a call returns unless "borrowed".
 *   options   NULL = all defaults, every field 0 = its default; reserved must be 0 (checked). Use designated initialisers.
 *   threads   every function may be called from any thread; _free must be the last use. bfork_task: only while its function runs.
 *   callbacks producer, sink, progress: in the calling thread, inside the call. Done-callbacks: only inside bfork_session_dispatch and
 *             bfork_pool_join, or in the library's one thread if the session asks for it. In a callback a call that would block
 *             returns BFORK_EDEADLK, and free does not wait.
 *   time      timeout_ms: 0 polls, BFORK_FOREVER waits. *_limit_ms in options: 0 = no limit.
 *   reserved for later: bfork_{job,process,pipe,connection,listener,queue,lock,rlock,semaphore,condition,event,barrier,value,array,
 *             manager,dict,list,set,namespace,actor,memory,blob}_*                                                                  */
#ifndef BFORK_H
#define BFORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#if defined(_WIN32)
#define BFORK_API __declspec(dllimport)
typedef uintptr_t bfork_fd;
#else
#define BFORK_API __attribute__((visibility("default")))
typedef int bfork_fd;
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
#define BFORK_ALL     (-1)              /* processes: all usable cores or slots; -2: all but one; 0 is refused */

#ifdef __cplusplus
extern "C" {
#endif

/* ---- words ---------------------------------------------------------------------------------------------------------------------- */

typedef struct bfork_session bfork_session;   /* a local engine, or one authenticated connection to a broker */
typedef struct bfork_pool    bfork_pool;      /* a number of slots of a session, with a template and defaults */
typedef struct bfork_future  bfork_future;    /* the outcome of one submission: one task, or all tasks of an asynchronous map */
typedef struct bfork_stream  bfork_stream;    /* futures as they finish (or in order): as_completed, imap, Parallel */
typedef struct bfork_task    bfork_task;      /* the task side's view of the running task */

typedef struct bfork_bytes { const void *data; size_t size; } bfork_bytes;

enum bfork_status {
    BFORK_OK = 0,
    BFORK_END = 1,              /* no more items: a producer says it, a stream says it; not an error */
    /* outcomes of a task */
    BFORK_FAILED = -1,          /* returned non-zero or raised; error->code is its own code */
    BFORK_CRASHED = -2,         /* killed by a signal: error->signal, ->backtrace */
    BFORK_EXITED = -3,          /* called exit(); error->code */
    BFORK_OVERTIME = -4,        /* passed run_limit_ms, queue_limit_ms or total_limit_ms */
    BFORK_OVERMEMORY = -5,      /* killed for its memory */
    BFORK_CANCELLED = -6,
    BFORK_LOST = -7,            /* its worker was lost and no attempt is left */
    BFORK_REFUSED = -8,         /* could never run: resources, rights, program, quota */
    BFORK_UNKNOWN = -9,         /* at most once was asked for, and it may have run */
    BFORK_MISMATCH = -10,       /* values sent and values asked for differ: the text shows both */
    /* failures of a call */
    BFORK_EINVAL = -32, BFORK_ETIMEDOUT = -33, BFORK_EAGAIN = -34, BFORK_ENOMEM = -35, BFORK_ECLOSED = -36, BFORK_ESTATE = -37,
    BFORK_EDEADLK = -38, BFORK_EINTR = -39, BFORK_ETOOBIG = -40, BFORK_EQUOTA = -41, BFORK_ENOTSUP = -42,
    BFORK_ENOINIT = -43,        /* the function is in an executable whose main has not called bfork_init */
    BFORK_EFORKED = -44,        /* a handle made before fork() was used in the child */
    BFORK_EKEY = -46,           /* key or profile file missing, readable by others, or malformed */
    BFORK_EUNREACHABLE = -47, BFORK_EDENIED = -48, BFORK_EPROTOCOL = -49
};

/* What went wrong, as data. Made by the library and only read by callers: it may grow at its end; never copy it by value. */
typedef struct bfork_error {
    int32_t     kind;           /* enum bfork_status */
    int32_t     code;           /* the task's own code or exit status */
    int32_t     signal;         /* of a crash */
    int32_t     attempt;        /* from 1 */
    uint64_t    task;           /* id, for bfork explain */
    uint64_t    index;          /* position in its map */
    int64_t     pid;
    int64_t     duration_us;
    const char *message;        /* one line: what, to what, what to do; never NULL, nor are the following */
    const char *function, *where, *host, *backtrace, *output;   /* symbol, file:line, host, lines, tail of stderr */
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
/* Callbacks: run in the client. */
typedef void bfork_progress_fn(void *data, const bfork_progress *progress);
typedef void bfork_output_fn(void *data, const bfork_error *from, int fd, const void *bytes, size_t size);

/* ---- values: what travels (exactly what MessagePack can say, so any language can read it) ---------------------------------------- */

enum { BFORK_NIL, BFORK_BOOL, BFORK_INT, BFORK_UINT, BFORK_REAL, BFORK_STR, BFORK_BIN, BFORK_FUTURE,    /* in a bfork_arg */
       BFORK_I16 = 16, BFORK_U16, BFORK_I32, BFORK_U32, BFORK_I64, BFORK_U64, BFORK_F32, BFORK_F64, BFORK_FIXED, BFORK_ANY };

typedef struct bfork_arg {      /* a value on its way in; layout frozen */
    int32_t type, reserved;
    union { int64_t i; uint64_t u; double f; const void *p; bfork_future *future; } v;
    size_t size;                /* of STR and BIN */
} bfork_arg;

typedef struct bfork_ref {      /* where a value on its way out is to be put; layout frozen */
    int32_t type, reserved;
    void *p;
    size_t size;                /* of FIXED: exactly so many bytes */
} bfork_ref;

/* ---- options ---------------------------------------------------------------------------------------------------------------------- */

enum { BFORK_WAIT, BFORK_REFUSE };              /* when_full: submit blocks | its future fails with BFORK_EAGAIN */
enum { BFORK_RETRY_DEFAULT = 0, BFORK_RETRY_NEVER = -1 };   /* never: at most once; in doubt the outcome is BFORK_UNKNOWN */

typedef struct bfork_session_options {
    const char      *client_key;                /* file; default: the profile's */
    const char      *name;                      /* shown by bfork status */
    bfork_output_fn *output; void *output_data; /* what tasks print; default: to stdout and stderr */
    int64_t          connect_limit_ms;          /* default 10000: then work fails with BFORK_EUNREACHABLE */
    uint32_t         flags, reserved32;
    uint64_t         reserved[10];
} bfork_session_options;

typedef struct bfork_pool_options {
    bfork_task_fn   *preload;                   /* once per host, in the template: what it loads all task processes share */
    bfork_task_fn   *initializer, *finalizer;   /* once per task process */
    const bfork_arg *args; size_t nargs;        /* for these three, by bfork_args; see BFORK_ARGS */
    uint32_t         max_tasks;                 /* per task process, then a fresh one */
    uint32_t         flags;
    int64_t          close_limit_ms;            /* bfork_pool_free: drain so long, then terminate; default: no limit */
    uint64_t         max_queued, max_queued_bytes;
    const char      *name;
    const char *const *env;                     /* "NAME=value", NULL-ended */
    uint64_t         reserved[20];
} bfork_pool_options;

typedef struct bfork_options {                  /* of one submission */
    uint32_t chunk;                             /* of a map: tasks a chunk; default: by measured duration */
    int32_t  retries;                           /* how often a failed task runs again; BFORK_RETRY_* */
    int64_t  run_limit_ms;                      /* of each task; then it is killed: BFORK_OVERTIME */
    int32_t  when_full;                         /* BFORK_WAIT, BFORK_REFUSE */
    uint32_t flags;
    const char *name;
    uint64_t seed;
    bfork_bytes context;                        /* sent once per host, not per task: bfork_task_context */
    bfork_progress_fn *progress; void *progress_data;
    int32_t *status;                            /* of a map: n outcomes, borrowed like out */
    uint64_t reserved[16];
} bfork_options;

typedef struct bfork_function {                 /* what to run, when there is no C function pointer; one of the three */
    const char *object, *symbol;                /* "./tasks.so", "square" */
    const char *const *argv;                    /* a command; result: exit status, stdout, stderr */
    void (*fn)(void);                           /* a bfork_task_fn of this program */
    uint64_t reserved[4];
} bfork_function;

/* ---- program, errors ------------------------------------------------------------------------------------------------------------- */

BFORK_API void bfork_init(int *argc, char ***argv);             /* first line of main; never returns in a task process; NULLs allowed */
BFORK_API uint32_t bfork_version(void);                         /* of the library */
BFORK_API int bfork_cpu_count(void);                            /* affinity and cgroup quota respected */
BFORK_API const bfork_error *bfork_last_error(void);            /* of this thread's last failing call; never NULL */
BFORK_API size_t bfork_error_text(const bfork_error *e, char *buf, size_t size);        /* the full report; NULL: the last error; as snprintf */
BFORK_API const char *bfork_status_name(int status);            /* "crashed"; static */
BFORK_API void bfork_die(const char *what);                     /* prints what and the last error, exits 1 (130 if interrupted) */
BFORK_API void bfork_bar(void *unused, const bfork_progress *p);/* a bfork_progress_fn: a bar on stderr if that is a terminal */

/* ---- session --------------------------------------------------------------------------------------------------------------------- */

BFORK_API bfork_session *bfork_session_new(const char *profile, const bfork_session_options *o);   /* NULL: BFORK_PROFILE or "local:" */
BFORK_API const bfork_error *bfork_session_error(bfork_session *s);     /* NULL while it is well; lent */
BFORK_API void bfork_session_interrupt(bfork_session *s);               /* from a signal handler: blocking calls return BFORK_EINTR */
BFORK_API void bfork_session_free(bfork_session **s);

/* ---- pool ------------------------------------------------------------------------------------------------------------------------ */

BFORK_API bfork_pool *bfork_pool_new(bfork_session *s, int processes, const bfork_pool_options *o);    /* NULL: the default session; never blocks */
BFORK_API const bfork_error *bfork_pool_error(bfork_pool *p);           /* NULL while it is well; lent */
BFORK_API bfork_session *bfork_pool_session(bfork_pool *p);             /* lent */
BFORK_API int bfork_pool_size(bfork_pool *p);                           /* slots it has now */
BFORK_API BFORK_CHECK int bfork_pool_wait(bfork_pool *p, int slots, int timeout_ms);   /* until it has so many slots */
BFORK_API BFORK_CHECK int bfork_pool_check(bfork_pool *p, const bfork_function *f);    /* could it run this? 0, BFORK_ENOINIT, BFORK_REFUSED … */
BFORK_API void bfork_pool_close(bfork_pool *p);                         /* no new work */
BFORK_API void bfork_pool_terminate(bfork_pool *p);                     /* close, drop what is queued, kill what runs */
BFORK_API BFORK_CHECK int bfork_pool_join(bfork_pool *p, int timeout_ms);   /* after close or terminate: until all is done and called back */
BFORK_API void bfork_pool_free(bfork_pool **p);                         /* close, join (close_limit_ms), free */

BFORK_API BFORK_CHECK bfork_future *bfork_pool_submit(bfork_pool *p, bfork_task_fn *fn, const bfork_options *o, const bfork_arg *args, size_t n);
BFORK_API BFORK_CHECK bfork_future *bfork_pool_submit_raw(bfork_pool *p, const bfork_function *f, const bfork_options *o, const void *msgpack, size_t size);
BFORK_API BFORK_CHECK int bfork_pool_map(bfork_pool *p, bfork_map_fn *fn, const void *in, size_t in_size, void *out, size_t out_size, size_t n, const bfork_options *o);
BFORK_API BFORK_CHECK bfork_future *bfork_pool_map_async(bfork_pool *p, bfork_map_fn *fn, const void *in, size_t in_size, void *out, size_t out_size, size_t n, const bfork_options *o);   /* in, out borrowed until done or freed */

/* ---- future ---------------------------------------------------------------------------------------------------------------------- */

enum { BFORK_PENDING, BFORK_RUNNING, BFORK_DONE };

BFORK_API int bfork_future_state(const bfork_future *f);
BFORK_API BFORK_CHECK int bfork_future_wait(bfork_future *f, int timeout_ms);           /* 0: it is done, however it ended */
BFORK_API BFORK_CHECK int bfork_future_result(bfork_future *f, const bfork_ref *refs, size_t n);    /* waits; 0 or the outcome; lent; zeros on failure */
BFORK_API BFORK_CHECK int bfork_future_result_raw(bfork_future *f, const void **msgpack, size_t *size);
BFORK_API const bfork_error *bfork_future_error(bfork_future *f);                       /* NULL: not done, or well; lent */
BFORK_API const bfork_error *bfork_future_error_at(bfork_future *f, size_t index);      /* of a map */
BFORK_API uint64_t bfork_future_index(const bfork_future *f);                           /* in its map or stream */
BFORK_API void *bfork_future_data(const bfork_future *f);                               /* as given to bfork_stream_add */
BFORK_API int bfork_future_cancel(bfork_future *f, int grace_ms);                       /* running: flag, TERM after grace, KILL; < 0: only if queued */
BFORK_API bfork_future *bfork_future_ref(bfork_future *f);
BFORK_API void bfork_future_free(bfork_future **f);                                     /* does not cancel; afterwards out is never touched */

/* ---- stream: the futures that are put in come out finished ------------------------------------------------------------------------- */


BFORK_API bfork_stream *bfork_stream_new(void);
BFORK_API void bfork_stream_add(bfork_stream *s, bfork_future *f, void *data);          /* takes f over; a future is in one stream */
BFORK_API BFORK_CHECK int bfork_stream_next(bfork_stream *s, int timeout_ms, bfork_future **f);    /* 0: caller frees *f | BFORK_END | BFORK_ETIMEDOUT */
BFORK_API size_t bfork_stream_left(const bfork_stream *s);                              /* futures in it */
BFORK_API void bfork_stream_free(bfork_stream **s);                                     /* does not cancel; stops its producer */

/* ---- the task side --------------------------------------------------------------------------------------------------------------- */

BFORK_API BFORK_CHECK int bfork_task_args(bfork_task *t, const bfork_ref *refs, size_t n);   /* on mismatch: zeros, and the task has failed */
BFORK_API const void *bfork_task_args_raw(bfork_task *t, size_t *size);
BFORK_API const void *bfork_task_context(bfork_task *t, size_t *size);                  /* options.context */
BFORK_API int bfork_task_return(bfork_task *t, const bfork_arg *args, size_t n);        /* 0, or the task has failed and why */
BFORK_API int bfork_task_return_raw(bfork_task *t, const void *msgpack, size_t size);
BFORK_API int bfork_task_raise(bfork_task *t, int code, const char *message);           /* returns BFORK_FAILED */
BFORK_API int bfork_raise(bfork_task *t, int code, const char *format, ...) BFORK_PRINTF(3, 4);   /* the only variadic function */
BFORK_API void *bfork_task_alloc(bfork_task *t, size_t size);           /* lives as long as the task; bytes in it are returned without a copy */
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

#include "bfork_typed.h"    /* bfork_submit, _map, _imap, _reduce, _args, _return, _result, _put */
#endif
