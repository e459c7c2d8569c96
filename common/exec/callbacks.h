/* SPDX-License-Identifier: MPL-2.0
 * callbacks.h - what the caller of exec.h gives, and what it is told.
 */
#ifndef EXEC_CALLBACKS_H
#define EXEC_CALLBACKS_H

#include "base/err.h"
#include "wire/wire.h"

#include <sys/types.h>

struct exec;
struct exec_template;
struct exec_proc;

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
    /* Pull what it has finished inside this callback: the handle is gone afterwards. o is lent; pid 0: it never was. in_task: the
     * first task then without a result was running; the others had not begun. */
    void (*proc_died)(void *ctx, void *user, const struct wire_outcome *o);
    /* user: of the process, or of the template. Comes before the result of the task can be pulled. The bytes are lent by what has
     * printed them, so its template must not be stopped inside this callback, nor inside the next one. */
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
#endif
