/* SPDX-License-Identifier: MPL-2.0
 * cancel.c - CANCEL: which tasks of which job are not wanted any more (rules/cancel.c).
 */
#include "in.h"

/* Up to where there is anything of the job. */
static uint64_t job_last(const struct job *j)
{
    assert(j);
    const struct interval *v = interval_last(&j->index);

    return v && v->end > j->next ? v->end : j->next;
}

void brk_cancel_tasks(struct broker *b, struct client *c, const struct wire_msg *m)
{
    struct refusal many;

    if (m->request && m->n_items != 1) {
        brk_refuse(&many, BFORK_EINVAL, NULL, "CANCEL with a request and %u records: it is answered for one", m->n_items);
        brk_request_refused(b, c->peer, m->request, &many);
        return;
    }
    for (uint32_t i = 0; i < m->n_items && c->peer; i++) {
        const struct wire_item *it = &m->items[i];
        struct job *j = brk_job_of(c, it->job);
        struct cancel k = { .range = { .first = it->first, .end = it->first + it->count }, .peer = c->peer->id,
                            .request = m->request, .only_queued = it->why == WIRE_WHY_QUEUED };
        struct refusal r;
        int rc = 0;
        if (!j && handle_may_be_gone(c, false, it->job)) {      /* it has crossed with the job's end */
            brk_cancel_answer(b, &k);
            continue;
        }
        if (!j)
            rc = brk_refuse(&r, BFORK_ESTATE, "job", "CANCEL for job %u, which is not open", it->job);
        else if (it->why != WIRE_WHY_CANCEL && it->why != WIRE_WHY_QUEUED)
            rc = brk_refuse(&r, BFORK_EINVAL, "why",
                            "CANCEL for job %u: why is %u; it is %u (all of them) or %u (those that have not begun)", it->job,
                            it->why, WIRE_WHY_CANCEL, WIRE_WHY_QUEUED);
        if (rc < 0) {
            brk_job_refused(b, c, m->request, it->job, &r);
            continue;
        }
        if (!it->count)
            k.range.end = job_last(j) > it->first ? job_last(j) : it->first;
        if (k.range.end < k.range.first || k.range.end > UINT64_MAX / 2) {
            brk_refuse(&r, BFORK_EINVAL, "first", "CANCEL for job %u: indexes from %llu beyond 2^63", it->job,
                       (unsigned long long)it->first);
            brk_job_refused(b, c, m->request, it->job, &r);
        } else if (brk_cancel_begin(b, j, k) < 0) {
            brk_session_break(b, c->peer);      /* what is not answered or settled is said again on the next connection */
            return;
        }
    }
}
