/* SPDX-License-Identifier: MPL-2.0
 * ack.c - what a client has acknowledged is forgotten; on a new connection everything else is sent again.
 */
#include "rules.h"

bool brk_outcome_ack_some(struct broker *b, struct job *j, uint32_t *budget)
{
    struct list_node *n;
    bool done = true;

    if (job_has_replays(j))
        return true;        /* they are compared with what is known; see brk_tasks_take_some */
    while ((n = list_first(&j->outcomes))) {
        struct outcome *o = LIST_ENTRY(n, struct outcome, node);
        if (o->seq > j->ack_to || o == j->unsent)
            break;
        if (!*budget) {
            done = false;
            break;
        }
        --*budget;
        b->steps++;
        list_remove(&j->outcomes, n);
        interval_take(&j->index, &o->at);
        brk_outcome_costs(b, j, -(int64_t)outcome_cost(o), -(int64_t)outcome_cost(o));
        brk_outcome_free(b, j, o);
    }
    if (done && j->resend) {
        j->resend = false;
        brk_outcome_resend(b, j);
    }
    if (j->client) {
        brk_job_sending(b, j);
        brk_outcome_freed(b, j->client);
    }
    return done;
}

void brk_outcome_ack(struct broker *b, struct job *j, uint64_t seq)
{
    if (seq > j->ack_to)
        j->ack_to = seq;
    if (!brk_outcome_ack_some(b, j, brk_chore_budget(b, j->owner)))
        brk_chore_add(b, j->owner, &j->ack, CHORE_ACK);
}

/* A new connection of the client: everything it has not acknowledged goes out again. */
void brk_outcome_resend(struct broker *b, struct job *j)
{
    struct list_node *n = list_first(&j->outcomes);

    if (list_in(&j->ack.node)) {            /* what was received goes first */
        j->resend = true;
        if (list_in(&j->sending))
            list_remove(&j->client->sending, &j->sending);
        return;
    }
    brk_outcome_costs(b, j, 0, -(int64_t)j->sent_cost);
    j->unsent = n ? LIST_ENTRY(n, struct outcome, node) : NULL;
    brk_job_sending(b, j);
}
