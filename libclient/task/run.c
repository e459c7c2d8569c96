/* SPDX-License-Identifier: MPL-2.0
 * run.c - one call of a task's function, and tasks in the calling process. Where results go is the caller's business
 * (bfork_task.room).
 */
#include "task/fail.h"
#include "task/find.h"
#include "task/run.h"
#include "task/task.h"

#include <stdlib.h>
#include <string.h>

bool task_process;
static _Thread_local unsigned running;      /* in serial mode: tasks of this thread */

bool task_is_inside(void) { return task_process || running; }

/* ---- one task ---- */

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
    task_find(j);
    return task_run(r, j, 0, 0, 0, args.n ? args.p : nothing, args.n ? args.n : 1, NULL, &result, ret_outcome);
}
