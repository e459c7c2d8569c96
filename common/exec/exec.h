/* SPDX-License-Identifier: MPL-2.0
 * exec.h - templates, the task processes forked from them, their task rings, watchdog and obituaries: the owner's side. One code
 * for bfork-worker and for the local engine. The process side is libclient/task/.
 *
 *   owner --exec--> keeper --exec--> template (the program, stopped in bfork_init; single-threaded; preload has run)
 *                                       --fork--> task process (one a slot), ring in a sealed memfd shared with the owner
 *
 * A template and its owner talk on a socketpair (SOCK_SEQPACKET; packets in exec_packets.h); a task process and its owner through
 * the ring (ring.h) with a futex one way and the owner's eventfd the other. However one of them ends, all below it ends too: see
 * the table in keeper/keeper.c.
 *
 * States   template: starting -> ready -> stopping -> gone; starting -> failed
 *          process:  forking -> starting (initializer) -> ready <-> busy -> stopping -> gone; any -> dead (obituary)
 *
 * A process is asked for when its template can take it, with two descriptors here and one there while it lives. One for which there
 * are no descriptors, processes or memory dies unborn with BFORK_EAGAIN: it may be started later, and the others go on. The
 * worker's core does so, after a pause; nobody raises the program's limit of open files (RLIMIT_NOFILE).
 *
 * Nothing here blocks. Everything happens in exec_step, which calls the callbacks; call it when exec_fd is readable or
 * exec_deadline has passed. Not thread-safe: the caller serializes.
 */
#ifndef EXEC_EXEC_H
#define EXEC_EXEC_H

#include "base/buf.h"
#include "base/err.h"
#include "wire/wire.h"

#include <sys/types.h>

struct exec;
struct exec_template;
struct exec_proc;

struct exec_death {             /* as worker_obituary, with strings that live until the callback returns */
    int32_t kind, code, signal; /* kind: bfork_status; 0: stopped as asked */
    pid_t pid;
    bool in_task;
    bool violated;              /* it wrote over its ring: some task of those without a result did, perhaps not the first */
    uint64_t duration_us;
    const char *message, *function, *where, *backtrace, *output, *stage;    /* never NULL */
};

/* Whole lines, but for the last of a task and lines longer than 64 KiB. */
struct exec_print {
    int stream;
    const void *bytes;
    size_t size;
    bool in_task;
    uint32_t ahead;             /* in_task: the task is so many behind the first one without a result */
    bool cut;                   /* the task's limit is reached: what it prints from here on is dropped */
    uint64_t limit;             /* … which is so many bytes */
};

struct exec_callbacks {
    void (*template_ready)(void *ctx, void *user);
    /* stage: "exec", "load" (missing library …), "init" (no bfork_init), "preload", "arch"; text: a line for the user. The template
     * is gone afterwards. */
    void (*template_failed)(void *ctx, void *user, int code, const char *stage, const char *text);
    void (*proc_ready)(void *ctx, void *user);              /* its initializer has returned 0 */
    /* Pull what it has finished inside this callback: the handle is gone afterwards. in_task: the first task then without a result
     * was running; the others had not begun. */
    void (*proc_died)(void *ctx, void *user, const struct exec_death *d);
    /* user: of the process, or of the template. Comes before the result of the task can be pulled. */
    void (*output)(void *ctx, void *user, const struct exec_print *k);
    /* May output of this process be read now? While not, it is left in the pipe and its task waits. NULL: always. What a process
     * leaves when it dies is told without asking. */
    bool (*output_room)(void *ctx, void *user);
};

struct exec_config {
    const struct exec_callbacks *callbacks;
    void *ctx;
    const char *runner;         /* path of the installed runner; NULL: its configured place */
    const char *symbols;        /* path of bfork-symbols; NULL: its configured place */
    uint64_t output_limit;      /* bytes one task may print, both streams together; 0: 1 GiB. A pool's own limit may be lower */
    bool adopt;                 /* this process is a worker: it becomes a subreaper, and all its other children are tasks' */
    bool hide_secrets;          /* worker: no_new_privs, own session, no inherited environment but PATH, HOME, LANG, TZ … */
    const char *work_dir;       /* task processes start here; NULL: the owner's */
};

struct exec_template_spec {
    int program_fd;             /* of the executable, or -1: the runner; used by path if program_path is given */
    const char *program_path;
    struct wire_pool_spec spec; /* strings copied */
    int fork_server; /* > 0: templates are forked by the process at the other end of this socket (see task/fork.c), not by
                        starting a program; duplicated */
    const char *library_path;   /* put behind LD_LIBRARY_PATH; NULL: not */
    uint64_t start_limit_ms;    /* until ready; 0: 60000 */
};

int exec_new(const struct exec_config *c, struct exec **ret, struct err *e);
void exec_free(struct exec **x);                    /* kills everything and waits for it */
int exec_fd(const struct exec *x);                  /* level-triggered */
uint64_t exec_deadline(const struct exec *x);
void exec_step(struct exec *x, uint64_t now);

/* user: given back in the callbacks. Never fails but for memory and descriptors: other failures come as template_failed. */
int exec_template_start(struct exec *x, const struct exec_template_spec *s, void *user, struct exec_template **ret, struct err *e);
void exec_template_stop(struct exec_template *t);   /* kills its processes; no callback after this, for it and for them */

/* From this moment no task is begun, whatever is in the rings, also if the caller does not run then: 0: at once. CLOCK_NEVER, as in
 * the beginning: whenever. Processes that have stopped go on when it is put off. */
void exec_valid_until(struct exec *x, uint64_t until);

int exec_proc_start(struct exec_template *t, void *user, struct exec_proc **ret, struct err *e);
void exec_proc_kill(struct exec_proc *p,
                    int kind); /* SIGKILL to it and all it has started; proc_died says `kind` (a bfork_status) */
void exec_proc_stop(struct exec_proc *p);           /* runs the finalizer and ends once its ring is empty; then proc_died, kind 0 */
void exec_proc_limit(struct exec_proc *p, uint64_t run_limit_ms);   /* of tasks pushed from now on; 0: none */
pid_t exec_proc_pid(const struct exec_proc *p);

/* Hand over: copies into the ring as many tasks of item as fit and returns how many. Wakes the process unless `more` promises
 * another push or an exec_kick before the caller waits. claim: tasks it may claim at once, by their expected duration; 0: 1.
 * exec_push_job: 0, BFORK_EAGAIN (no room now), or another negative status; size 0 makes it forget the job. */
int exec_push_job(struct exec_proc *p, uint32_t job, const void *spec, size_t size);
uint32_t exec_push(struct exec_proc *p, uint32_t job, const struct wire_item *item, uint32_t claim, bool more);
void exec_kick(struct exec_proc *p);
uint32_t exec_retract(struct exec_proc *p, uint32_t max);       /* takes back what is not claimed, from the end */
uint32_t exec_pending(const struct exec_proc *p);               /* pushed, without a result yet */

/* Results in order of the pushes, as far as they were there at the last exec_step: what their tasks printed has been told by it.
 * Fills kind, count, flags, size, sum_ns, pid, lens, body; slices point into private memory of p,
 * checked, valid until the next exec_pull or exec_step of p. false: nothing there. Tasks in one item: consecutive and alike. */
bool exec_pull(struct exec_proc *p, struct wire_item *item);

/* What the caller waits for before it sleeps on exec_fd: the next result, or that few tasks are left. Rings are armed by this, then
 * checked once more; returns true if there is something already (do not sleep). Good for one wake-up: arm again before each sleep.
 */
enum exec_want { EXEC_NOTHING, EXEC_NEXT, EXEC_LOW };
bool exec_arm(struct exec *x, enum exec_want want);

#endif
