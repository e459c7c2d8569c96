/* SPDX-License-Identifier: MPL-2.0
 * api.c - the functions of bfork.h that a running task calls. Each failure is also the task's failure: the first one that is not
 * repaired by a later success is what its outcome says.
 */
#include "task/fail.h"
#include "wire/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int bfork_task_args(bfork_task *t, const bfork_ref *refs, size_t n)
{
    struct err e = { 0 };

    if (t->job->spec.kind == WIRE_JOB_MAP)
        return task_fail(t, BFORK_MISMATCH, 0, "%s is the function of a map: its argument is *in, and bfork_args reads those of "
                         "bfork_submit", task_job_name(t->job));
    int rc = value_unpack(t->args, t->args_size, refs, n, task_arena, t, &e);
    if (rc == 0)
        return 0;
    return task_fail(t, rc == BFORK_ENOMEM ? rc : BFORK_MISMATCH, 0, "%s: %s", task_job_name(t->job), e.text);
}

const void *bfork_task_args_raw(bfork_task *t, size_t *size)
{
    if (size)
        *size = t->args_size;
    return t->args;
}

const void *bfork_task_context(bfork_task *t, size_t *size)
{
    if (size)
        *size = t->job->spec.context.n;
    return t->job->spec.context.p;
}

static uint8_t *result_room(bfork_task *t, size_t size)
{
    if (t->job->spec.kind == WIRE_JOB_MAP) {
        task_fail(t, BFORK_EINVAL, 0, "%s is the function of a map: it returns through *out, not by bfork_return",
                  task_job_name(t->job));
        return NULL;
    }
    if (size > WIRE_TASK_MAX) {
        task_fail(t, BFORK_FAILED, BFORK_ETOOBIG,
                  "the result of %s has %zu bytes, the limit is %u: return less, or write it to a file", task_job_name(t->job),
                  size, WIRE_TASK_MAX);
        return NULL;
    }
    t->result = t->room(t->room_ctx, size);
    if (!t->result)
        task_fail(t, BFORK_ENOMEM, 0, "out of memory for a result of %zu bytes", size);
    return t->result;
}

int bfork_task_return(bfork_task *t, const bfork_arg *args, size_t n)
{
    struct err e = { 0 };
    size_t size = value_size(args, n, &e);

    if (size == 0)
        return task_fail(t, BFORK_FAILED, e.code, "the result of %s cannot travel: %s", task_job_name(t->job), e.text);
    if (!result_room(t, size))
        return t->fail_kind;
    value_pack(args, n, t->result);
    t->result_size = size;
    t->returned = true;
    return 0;
}

int bfork_task_return_raw(bfork_task *t, const void *msgpack, size_t size)
{
    if (!value_is_sound(msgpack, size))
        return task_fail(t, BFORK_FAILED, BFORK_EINVAL, "the result of %s is not one well-formed MessagePack value",
                         task_job_name(t->job));
    if (!result_room(t, size))
        return t->fail_kind;
    memcpy(t->result, msgpack, size);
    t->result_size = size;
    t->returned = true;
    return 0;
}

int bfork_task_raise(bfork_task *t, int code, const char *message)
{
    return task_fail(t, BFORK_FAILED, code, "%s", message ? message : "");
}

int bfork_raise(bfork_task *t, int code, const char *format, ...)
{
    va_list va;

    t->fail_kind = BFORK_FAILED;
    t->fail_code = code;
    va_start(va, format);
    vsnprintf(t->fail_text, sizeof(t->fail_text), format, va);
    va_end(va);
    return BFORK_FAILED;
}

void *bfork_task_alloc(bfork_task *t, size_t size) { return task_arena(t, size ? size : 1); }

/* splitmix64: the same for the same seed and index, wherever it runs. */
static uint64_t seed_of(uint64_t seed, uint64_t index)
{
    uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

const bfork_task_info *bfork_task_self(const bfork_task *task)
{
    static char host[256];
    struct bfork_task *t = (struct bfork_task *)(uintptr_t)task;    /* the info is filled when asked for */

    if (!host[0] && gethostname(host, sizeof(host) - 1) < 0)
        snprintf(host, sizeof(host), "?");
    t->info.id = t->id;
    t->info.index = t->index;
    t->info.seed = seed_of(t->job->spec.seed, t->index);
    t->info.attempt = (int32_t)t->tries + 1;
    t->info.slot = t->slot;
    t->info.cpus = 1;
    t->info.client_pid = t->job->spec.client_pid;
    t->info.client_host = t->job->client_host;
    t->info.host = host;
    t->info.job = t->job->job_name;
    t->info.function = task_job_name(t->job);
    return &t->info;
}
