/* SPDX-License-Identifier: MPL-2.0
 * run.c - job specifications as functions, one call of one, and what its return means. Where results go is the caller's business
 * (bfork_task.room). A task has failed if it returned non-zero, raised, or a call of the library said so.
 */
#include "task/task_i.h"
#include "exec/object.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool task_process;
static _Thread_local unsigned running;      /* in serial mode: tasks of this thread */

bool task_is_inside(void) { return task_process || running; }

/* ---- jobs ---- */

static void copy_str(char *to, size_t size, struct wire_str s)
{
    snprintf(to, size, "%.*s", (int)s.n, s.p ? s.p : "");
}

static void find_function(struct task_job *j)
{
    struct err *e = &j->unusable;

    if (wire_fn_decode(j->spec.fn.p, j->spec.fn.n, &j->fn, e) < 0)
        return;
    copy_str(j->name, sizeof(j->name), j->fn.symbol);
    if (j->fn.kind == WIRE_FN_COMMAND) {
        j->command = true;
        j->call.task = task_command_run;
        if (j->spec.kind != WIRE_JOB_TASKS)
            err_set(e, BFORK_REFUSED, "a command cannot be mapped over an array of elements");
    } else if (j->spec.streamed) {
        err_set(e, BFORK_REFUSED, "job_spec.streamed is for commands: what functions print is never in their results");
    } else {
        exec_object_resolve(&j->fn, &j->call.any, e);
    }
}

int task_job_new(const void *spec, size_t size, struct task_job **ret, struct err *e)
{
    struct task_job *j = calloc(1, sizeof(*j));
    int rc;

    if (!j || !(j->doc = buf_new(size ? size : 1))) {
        free(j);
        return err_set(e, BFORK_ENOMEM, "out of memory");
    }
    memcpy(j->doc->data, spec, size);
    j->doc->size = size;
    if ((rc = wire_job_spec_decode(j->doc->data, size, &j->spec, e)) < 0) {
        task_job_free(&j);
        return rc;
    }
    if (j->spec.context.n && !(j->context = malloc(j->spec.context.n))) {
        task_job_free(&j);
        return err_set(e, BFORK_ENOMEM, "out of memory");
    }
    if (j->context)
        j->spec.context.p = memcpy(j->context, j->spec.context.p, j->spec.context.n);
    copy_str(j->job_name, sizeof(j->job_name), j->spec.name);
    copy_str(j->client_host, sizeof(j->client_host), j->spec.client_host);
    find_function(j);
    *ret = j;
    return 0;
}

void task_job_free(struct task_job **j)
{
    if (!*j)
        return;
    buf_unref(&(*j)->doc);
    free((*j)->context);
    free(*j);
    *j = NULL;
}

/* As submitted, or from the symbol table of this very file; only asked for when somebody wants to read it. */
const char *task_job_name(struct task_job *j)
{
    if (!j->name[0]) {
        if (j->command)
            snprintf(j->name, sizeof(j->name), "command");
        else if (!j->call.any || !exec_object_symbol((void *)(uintptr_t)j->call.any, j->name, sizeof(j->name)))
            snprintf(j->name, sizeof(j->name), "the function at offset %#llx", (unsigned long long)j->fn.offset);
    }
    return j->name;
}

/* ---- one task ---- */

void *task_arena(void *task, size_t size)
{
    struct bfork_task *t = task;
    struct arena_block *b = t->arena;

    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + 15) & ~(size_t)15;
    if (!b || b->size - b->used < size) {
        size_t room = size > 65536 ? size : 65536;
        if (!(b = malloc(sizeof(*b) + room)))
            return NULL;
        *b = (struct arena_block){ t->arena, 0, room };
        t->arena = b;
    }
    b->used += size;
    return b->data + b->used - size;
}

void task_begin(struct bfork_task *t, struct task_job *j)
{
    t->job = j;
    t->returned = false;
    t->result = NULL;
    t->result_size = 0;
    t->fail_kind = 0;
}

/* One block of the usual size stays for the next task. */
void task_end(struct bfork_task *t)
{
    struct arena_block *b;

    while ((b = t->arena) && (b->next || b->size > 65536)) {
        t->arena = b->next;
        free(b);
    }
    if (b)
        b->used = 0;
}

/* An element of bytes, at an address that any type may have. */
static int call_each(struct bfork_task *t, bfork_bytes element)
{
    const struct task_job *j = t->job;
    void *aligned;

    if (element.size != j->spec.in_size)
        return task_fail(t, BFORK_MISMATCH, 0, "an element has %zu bytes, not %u", element.size, j->spec.in_size);
    if (!(aligned = task_arena(t, element.size ? element.size : 1)))
        return task_fail(t, BFORK_ENOMEM, 0, "out of memory for an element of %zu bytes", element.size);
    return j->call.each(element.size ? memcpy(aligned, element.data, element.size) : aligned, t);
}

int task_call(struct bfork_task *t)
{
    const struct task_job *j = t->job;
    bfork_bytes bytes = { NULL, 0 };
    const char *string = NULL;

    switch (j->spec.kind) {
    case WIRE_JOB_EACH:
        return bfork_task_args(t, (const bfork_ref[]){ bfork_ref_bytes(&bytes) }, 1) ? BFORK_FAILED : call_each(t, bytes);
    case WIRE_JOB_EACH_BYTES:
        return bfork_task_args(t, (const bfork_ref[]){ bfork_ref_bytes(&bytes) }, 1) ? BFORK_FAILED : j->call.bytes(bytes, t);
    case WIRE_JOB_EACH_STRING:
        if (bfork_task_args(t, (const bfork_ref[]){ bfork_ref_str(&string) }, 1))
            return BFORK_FAILED;
        return string ? j->call.string(string, t) : task_fail(t, BFORK_MISMATCH, 0, "an element is nil, not a string");
    default:
        return j->call.task(t);
    }
}

int task_fail(struct bfork_task *t, int kind, int code, const char *format, ...)
{
    va_list va;

    t->fail_kind = kind;
    t->fail_code = code;
    va_start(va, format);
    vsnprintf(t->fail_text, sizeof(t->fail_text), format, va);
    va_end(va);
    return kind;
}

bool task_failed(struct bfork_task *t, int rc, struct wire_outcome *o, char *message, size_t size)
{
    const char *name;

    if (rc == 0 && !t->fail_kind)
        return false;
    memset(o, 0, sizeof(*o));
    name = task_job_name(t->job);
    o->kind = BFORK_FAILED;
    o->code = rc;
    if (t->fail_kind) {
        bool outcome = t->fail_kind <= BFORK_FAILED && t->fail_kind >= BFORK_MISMATCH;      /* or a failure of a call: no outcome */
        o->kind = outcome ? t->fail_kind : BFORK_FAILED;
        o->code = outcome ? t->fail_code : t->fail_kind;
        snprintf(message, size, "%s", t->fail_text);
    } else {
        const bfork_error *last = rc < 0 ? bfork_last_error() : NULL;
        if (last && last->kind == rc && rc != BFORK_FAILED) {
            o->code = last->code ? last->code : rc;
            snprintf(message, size, "%s: %s", name, last->message);
        } else {
            snprintf(message, size, "%s returned %d", name, rc);
        }
    }
    o->index = t->index;
    o->attempt = t->tries + 1;
    o->message = WIRE_STR(message);
    o->function = WIRE_STR(name);
    return true;
}

/* ---- in the calling process ---- */

static uint8_t *buffer_room(void *ctx, size_t size)
{
    struct task_runner *r = ctx;
    uint8_t *bigger;

    if (size > r->capacity) {
        if (!(bigger = realloc(r->buffer, size)))
            return NULL;
        r->buffer = bigger;
        r->capacity = size;
    }
    return r->buffer;
}

int task_runner_new(struct task_runner **ret, struct err *e)
{
    struct task_runner *r = calloc(1, sizeof(*r));

    if (!r || !buffer_room(r, 4096)) {
        free(r);
        return err_set(e, BFORK_ENOMEM, "out of memory");
    }
    r->task.room = buffer_room;
    r->task.room_ctx = r;
    *ret = r;
    return 0;
}

void task_runner_print(struct task_runner *r, task_print *print, void *ctx)
{
    r->task.print = print;
    r->task.print_ctx = ctx;
}

void task_runner_free(struct task_runner **r)
{
    struct arena_block *b;

    if (!*r)
        return;
    while ((b = (*r)->task.arena)) {
        (*r)->task.arena = b->next;
        free(b);
    }
    task_job_free(&(*r)->once);
    free((*r)->buffer);
    free(*r);
    *r = NULL;
}

static bool refuse_function(struct task_runner *r, struct task_job *j, const struct wire_outcome **ret_outcome)
{
    task_fail(&r->task, BFORK_REFUSED, 0, "%s", j->unusable.text);
    task_failed(&r->task, -1, &r->outcome, r->message, sizeof(r->message));
    r->outcome.stage = WIRE_STR("load");
    *ret_outcome = &r->outcome;
    return false;
}

bool task_run(struct task_runner *r, struct task_job *j, uint64_t id, uint64_t index, uint32_t tries, const void *in,
              size_t in_size, void *out, struct slice *ret, const struct wire_outcome **ret_outcome)
{
    static const uint8_t nothing[1] = { 0x90 };     /* an empty array */
    struct bfork_task *t = &r->task;
    int rc;

    task_end(t);
    task_begin(t, j);
    t->id = id;
    t->index = index;
    t->tries = tries;
    t->args = in;
    t->args_size = in_size;
    if (j->unusable.code)
        return refuse_function(r, j, ret_outcome);
    running++;
    if (j->spec.kind == WIRE_JOB_MAP) {
        rc = in_size == j->spec.in_size
                 ? j->call.map(in, out, t)
                 : task_fail(t, BFORK_MISMATCH, 0, "an element has %zu bytes, not %u", in_size, j->spec.in_size);
        *ret = slice_borrow(out, j->spec.out_size);
    } else {
        rc = task_call(t);
        *ret = t->returned ? slice_borrow(t->result, t->result_size) : slice_borrow(nothing, 1);
    }
    running--;
    if (!task_failed(t, rc, &r->outcome, r->message, sizeof(r->message)))
        return true;
    *ret_outcome = &r->outcome;
    return false;
}

bool task_run_once(struct task_runner *r, struct wire_bin fn, struct wire_bin args, const struct wire_outcome **ret_outcome)
{
    struct task_job *j = calloc(1, sizeof(*j));
    static const uint8_t nothing[1] = { 0x90 };
    struct slice result;

    task_job_free(&r->once);
    if (!j) {
        r->outcome = (struct wire_outcome){ .kind = BFORK_ENOMEM, .message = WIRE_STR("out of memory") };
        *ret_outcome = &r->outcome;
        return false;
    }
    r->once = j;                        /* its name may be in the outcome */
    j->spec.kind = WIRE_JOB_TASKS;
    j->spec.fn = fn;
    find_function(j);
    return task_run(r, j, 0, 0, 0, args.n ? args.p : nothing, args.n ? args.n : 1, NULL, &result, ret_outcome);
}
