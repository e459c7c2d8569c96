/* SPDX-License-Identifier: MPL-2.0
 * rewind.c - how far the broker got with a job, as it says: what it has not counts as not sent.
 */
#include "rules.h"

void ses_rewind_job(struct session_job *j, uint64_t next)
{
    struct session *s = j->s;
    for (uint64_t at = next < j->sent ? next : j->sent; at < j->sent;) {    /* their quota comes back until they are sent */
        struct batch *b;
        uint64_t from = ses_bits_next(&j->settled, at, j->sent, false), to = ses_bits_next(&j->settled, from, j->sent, true);
        if (from == j->sent || !(b = ses_batch_find(j, from)))
            break;
        to = to < run_end(&b->run) ? to : run_end(&b->run);
        s->quota_used_tasks -= to - from;
        s->quota_used_bytes -= ses_batch_bytes(b, from, to - from);
        s->sent_again += to - from;
        at = to;
    }
    if (next < j->sent)
        j->sent = next;
    ses_cancel_rewound(j);
    if (j->abandoned)
        ses_settle_untold(j, j->sent);
    ses_job_dirty(j);
}

/* The broker had no room for tasks that were sent before, and has now: it is asked how far it got, and the rest is sent again. Of a
 * job that has nothing to send any more it is told so. */
static void wait_with_job(struct session *s, struct session_job *j, uint32_t handle)
{
    struct session_effect *e;
    if (j && !ses_job_is_refused(j) && ses_job_move(j, JOB_PUT_OFF)) {
        ses_job_dirty(j);
    } else if (!j && (e = ses_effect_send(s, WIRE_JOB_CLOSE))) {
        e->msg.u.job_ref.job = handle;
    }
}

/* How far the broker got before the connection was cut; from there on tasks are sent again. */
void ses_rewind_state(struct session *s, const struct wire_job_state *w)
{
    struct session_job *j = map_get(&s->handles, w->job);
    if (!j || j->state != JOB_ASKED) {
        wait_with_job(s, j, w->job);
        return;
    }
    ses_job_move(j, JOB_ANSWERED);
    ses_rewind_job(j, w->next);
}
