/* SPDX-License-Identifier: MPL-2.0
 * acks.c - what clients confirm: OUTCOMES_ACK, ASSIGNED_OK, OUTPUT_ACK.
 */
#include "in.h"

static int check_ack(const struct client *c, const struct job *j, const struct wire_item *it, struct refusal *r)
{
    if (!j && !handle_may_be_gone(c, false, it->job))
        return brk_refuse(r, BFORK_ESTATE, "job", "OUTCOMES_ACK for job %u, which is not open", it->job);
    if (j && it->id > j->sent_seq)
        return brk_refuse(r, BFORK_EINVAL, "seq", "OUTCOMES_ACK for job %u up to %llu, but only %llu were sent", it->job,
                          (unsigned long long)it->id, (unsigned long long)j->sent_seq);
    return 0;
}

void brk_outcome_acks(struct broker *b, struct client *c, const struct wire_msg *m)
{
    for (uint32_t i = 0; i < m->n_items && c->peer; i++) {
        struct job *j = brk_job_of(c, m->items[i].job);
        struct refusal r;
        if (check_ack(c, j, &m->items[i], &r) < 0) {
            brk_job_refused(b, c, m->request, m->items[i].job, &r);
        } else if (j) {
            brk_outcome_ack(b, j, m->items[i].id);
            brk_job_maybe_end(b, j);
        }
    }
}

void brk_attempt_assigned(struct broker *b, struct client *c, const struct wire_msg *m)
{
    for (uint32_t i = 0; i < m->n_items; i++) {
        struct attempt *a = map_get(&b->attempts, m->items[i].id);
        if (!a || a->job->client != c || a->state != ATTEMPT_ASSIGNING || brk_attempt_offers(a) != &c->told ||
            job_is_ending(a->job))
            continue;
        list_remove(&c->told, &a->out);
        brk_attempt_move(a, ATTEMPT_ON_CONFIRM);
        b->steps++;
        if (worker_is_away(a->worker)) {
            brk_attempt_requeue(b, a, false, NULL, 0);  /* it has not left, and its worker is not there */
            continue;
        }
        list_push_back(&a->worker->to_send, &a->out);
        brk_worker_dirty(b, a->worker);
    }
}

void brk_said_ack(struct broker *b, struct client *c, uint64_t seq)
{
    if (seq > c->said_sent) {
        brk_session_fail(b, c->peer, BFORK_EPROTOCOL, "OUTPUT_ACK up to %llu, but only %llu were sent", (unsigned long long)seq,
                         (unsigned long long)c->said_sent);
        return;
    }
    c->said_acked = seq > c->said_acked ? seq : c->said_acked;
    if (!brk_said_ack_some(b, c, brk_chore_budget(b, c->owner)))
        brk_chore_add(b, c->owner, &c->said_ack, CHORE_SAID_ACK);
}
