/* SPDX-License-Identifier: MPL-2.0
 * objects.h - the structs that the files of this folder share. Nobody else includes it. What a file offers is in a header of its
 * own, which only files above it include.
 */
#ifndef LIBCLIENT_TASK_OBJECTS_H
#define LIBCLIENT_TASK_OBJECTS_H

#include "base/buf.h"
#include "task/print.h"
#include "wire/wire.h"
#include "bfork.h"

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

#endif
