/* SPDX-License-Identifier: MPL-2.0
 * from_client.c - the door for messages of clients: each is handed to its file in in/, and what that refuses is told.
 */
#include "core.h"

void brk_client_recv(struct broker *b, struct peer *p, const struct wire_msg *m)
{
    struct client *c = p->client;
    struct refusal r;

    switch (m->type) {
    case WIRE_POOL_OPEN:
        if (brk_pool_open(b, c, m, &r) < 0)
            brk_pool_refused(b, c, m->request, m->u.pool_open.pool, &r);
        break;
    case WIRE_POOL_CLOSE:
        if (brk_pool_take_close(b, c, m->u.pool_ref.pool, &r) < 0)
            brk_pool_refused(b, c, m->request, m->u.pool_ref.pool, &r);
        break;
    case WIRE_JOB_OPEN:
        if (brk_job_open(b, c, m, &r) < 0)
            brk_job_refused(b, c, m->request, m->u.job_open.job, &r);
        break;
    case WIRE_JOB_CLOSE:
        if (brk_job_take_close(b, c, m->u.job_ref.job, &r) < 0)
            brk_job_refused(b, c, m->request, m->u.job_ref.job, &r);
        break;
    case WIRE_TASKS: brk_tasks_take(b, c, m); break;
    case WIRE_CANCEL: brk_cancel_tasks(b, c, m); break;
    case WIRE_TASKS_LOOK: brk_look_tasks(b, c, m); break;
    case WIRE_OUTCOMES_ACK: brk_outcome_acks(b, c, m); break;
    case WIRE_ASSIGNED_OK: brk_attempt_assigned(b, c, m); break;
    case WIRE_OUTPUT_ACK: brk_said_ack(b, c, m->u.output_ack.seq); break;
    default: break;     /* blobs are the shell's */
    }
}
