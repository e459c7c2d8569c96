/* SPDX-License-Identifier: MPL-2.0
 * owner.h - a small owner for tests: one exec, everything its callbacks say in one struct, and waits that end with an event or a
 * time limit far away.
 */
#ifndef TEST_EXEC_OWNER_H
#define TEST_EXEC_OWNER_H

#include "exec/exec.h"
#include "tasks.h"

struct owner {
    struct exec *x;
    struct exec_template *t;
    int ready, failed, procs_ready, died;       /* counts of callbacks */
    int settled;                                /* processes ready, and those that died before */
    int fail_code;
    char fail_stage[32], fail_text[2048];
    struct wire_outcome death;                   /* the last one; texts below */
    char message[2048], function[256], where[512], backtrace[8192], tail[8192], stage[64];
    uint64_t out_bytes, err_bytes;
    int cuts;
    struct exec_print print;                    /* the last one */
    void (*on_print)(struct owner *o, const struct exec_print *k);
    bool no_room;                               /* for output */
    uint32_t done;                              /* for on_print: results pulled so far */
    char out[4096], err[4096];
    struct exec_proc *dying;                    /* pulled from in its death */
    struct wire_item harvested;                 /* what was pulled then */
    uint8_t harvest[65536];
};

struct pool {
    const char *program;
    bfork_task_fn *preload, *initializer, *finalizer;
    const void *args, *argv;
    uint32_t n_args, n_argv;
    uint64_t start_limit_ms;
    bool hide_secrets, adopt;
    uint64_t output_limit;
};

void owner_open(struct owner *o, const struct pool *pool);          /* exec, and the template started, not waited for */
void owner_close(struct owner *o);
void owner_until(struct owner *o, const int *count, int at_least);  /* steps until *count is there; aborts the test after 20 s */
void owner_turn(struct owner *o);                                  /* one step, after something has happened */
struct exec_proc *owner_proc(struct owner *o);                      /* one process, ready */
/* Job specifications for functions of this program. */
void owner_job(struct exec_proc *p, uint32_t job, void (*fn)(void), uint32_t in_size, uint32_t out_size);
void owner_job_named(struct exec_proc *p, uint32_t job, const char *object, const char *symbol);
void owner_job_command(struct exec_proc *p, uint32_t job, bool streamed);
/* Pushes n tasks that all have the same body. */
void owner_push(struct exec_proc *p, uint32_t job, const void *body, uint32_t size, uint32_t n, uint32_t claim);
bool owner_pull(struct owner *o, struct exec_proc *p, struct wire_item *item); /* waits for one item; false: the process died */
void owner_outcome(const struct wire_item *item, struct wire_outcome *ret);
int owner_int(const struct wire_item *item);                        /* the result: an array with one int */
uint32_t pack_int(uint8_t *to, int x);                              /* [x] */
#endif
