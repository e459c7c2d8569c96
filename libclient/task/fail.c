/* SPDX-License-Identifier: MPL-2.0
 * fail.c - how a task says that it has failed, and what its function's return means. A task has failed if it returned non-zero,
 * raised, or a call of the library said so. Also what every other file needs for its texts: memory of the task, names of functions.
 */
#include "task/fail.h"
#include "exec/object.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
