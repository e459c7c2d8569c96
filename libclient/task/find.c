/* SPDX-License-Identifier: MPL-2.0
 * find.c - job specifications as functions of this program, or as commands. One that cannot be found is the outcome of each task.
 */
#include "task/command.h"
#include "task/find.h"
#include "task/task.h"
#include "exec/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void copy_str(char *to, size_t size, struct wire_str s)
{
    snprintf(to, size, "%.*s", (int)s.n, s.p ? s.p : "");
}

void task_find(struct task_job *j)
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

void task_job_free(struct task_job **j)
{
    if (!*j)
        return;
    buf_unref(&(*j)->doc);
    free((*j)->context);
    free(*j);
    *j = NULL;
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
    task_find(j);
    *ret = j;
    return 0;
}
