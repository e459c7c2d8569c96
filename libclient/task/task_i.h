/* SPDX-License-Identifier: MPL-2.0
 * task_i.h - what the files of this folder share. Nobody else includes it.
 */
#ifndef LIBCLIENT_TASK_TASK_I_H
#define LIBCLIENT_TASK_TASK_I_H

#include "base/buf.h"
#include "exec/packets.h"
#include "exec/ring.h"
#include "exec/sweep.h"
#include "task/task.h"

#include <sys/types.h>

struct task_job {
    uint32_t handle;
    struct buf *doc;                    /* owned: the encoded specification */
    struct wire_job_spec spec;          /* points into doc, but for its context */
    void *context;                      /* owned: the context, at an address that any struct may have */
    struct wire_fn fn;                  /* likewise */
    union {
        bfork_task_fn *task;
        bfork_map_fn *map;
        bfork_each_fn *each;
        bfork_string_fn *string;
        bfork_bytes_fn *bytes;
        void (*any)(void);
    } call;
    bool command;
    struct err unusable;                /* code != 0: it cannot be called, and why */
    char name[256];                     /* of the function; "" until task_job_name */
    char job_name[256], client_host[256];
};

struct arena_block { struct arena_block *next; size_t used, size; _Alignas(16) uint8_t data[]; };

struct bfork_task {
    struct task_job *job;
    const uint8_t *args;
    size_t args_size;
    uint64_t id, index;
    uint32_t tries;
    /* where a result of so many bytes is to be written; NULL: no memory */
    uint8_t *(*room)(void *ctx, size_t size);
    void *room_ctx;
    uint8_t *result;
    size_t result_size;
    bool returned;
    bool printed;                       /* past stdio: by a command */
    task_print *print;                  /* takes what a streamed command writes; NULL: our stdout and stderr do */
    void *print_ctx;
    int fail_kind, fail_code;           /* kind 0: it has not failed */
    char fail_text[1024];
    struct arena_block *arena;
    bfork_task_info info;
    int32_t slot;
};

struct task_runner {
    struct bfork_task task;
    uint8_t *buffer;                    /* results in serial mode */
    size_t capacity;
    struct wire_outcome outcome;
    char message[1200];
    struct task_job *once;              /* of task_run_once */
};

/* fail.c */
void *task_arena(void *task, size_t size);
const char *task_job_name(struct task_job *j);
int task_fail(struct bfork_task *t, int kind, int code, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* After a function returned rc: has it failed? Then *o is filled; its strings live in message and the job. */
bool task_failed(struct bfork_task *t, int rc, struct wire_outcome *o, char *message, size_t size);

/* find.c */
void task_find(struct task_job *j);                         /* the function of its specification; or why it cannot be called */

/* run.c */
extern bool task_process;                                   /* this process is a template or task process, or forked from one */
int task_call(struct bfork_task *t);                        /* of every kind but a map: runs its function, in the form it has */
void task_begin(struct bfork_task *t, struct task_job *j);
void task_end(struct bfork_task *t);                        /* frees what it has allocated */

/* command.c */
int task_command_run(bfork_task *t);

/* crash.c */
void task_crash_warm_up(void);                              /* in the template */
void task_crash_install(struct ring_obituary *o);           /* in the task process */
void task_crash_names(struct ring_obituary *o);             /* in a child of the template: from symbol tables */

/* template.c, process.c */
int task_threads(void);                                     /* of this process */
struct process_start {
    uint32_t id;
    int ring, event, out, err;
    const struct wire_pool_spec *spec;
    const char *work_dir;
    bool solo;
    pid_t parent;
};
void task_template_main(int socket, bool forked) __attribute__((noreturn)); /* forked: from the caller, not started anew */
void task_process_main(const struct process_start *s) __attribute__((noreturn));

#endif
