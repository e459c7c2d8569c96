/* SPDX-License-Identifier: MPL-2.0
 * refuse.c - pools and jobs that the broker has refused. They are gone there; here all that is unsettled, and all that is added
 * later, is settled as REFUSED with the broker's text. The session goes on.
 */
#include "rules.h"

#include <stdlib.h>
#include <string.h>

/* NULL: out of memory, tried again at the next flush. */
static struct buf *refusal_document(struct wire_str text)
{
    const struct wire_outcome o = { .kind = BFORK_REFUSED, .message = text };

    return wire_outcome_encode(&o);
}

bool ses_refuse_rest(struct session_job *j)
{
    struct session *s = j->s;
    struct wire_str text = j->refused ? WIRE_STR(j->refused) : WIRE_STR(j->pool->refused);
    struct buf *doc = j->unsettled ? refusal_document(text) : NULL;

    if (j->unsettled && !doc) {
        s->starved = true;
        return false;
    }
    for (uint64_t at = 0; j->unsettled;) {
        uint64_t from = ses_bits_next(&j->settled, at, j->next, false);
        struct batch *b;
        while (j->source_n && from >= j->source_next)
            if (!ses_batch_cut(j)) {
                s->starved = true;
                buf_unref(&doc);
                return false;
            }
        b = ses_batch_find(j, from);
        ses_batch_close(b);
        at = run_end(&b->run);
        ses_settle_tell(j, &(struct wire_item){ .job = j->handle, .first = from, .count = (uint32_t)(at - from),
                                                 .kind = WIRE_OUTCOME,
                                                 .size = (uint32_t)doc->size, .body = slice_of(doc, 0, doc->size) });
    }
    buf_unref(&doc);
    j->sent = j->next;
    return true;
}

static char *copy_reason(struct wire_str text)
{
    return text.n ? strndup(text.p, text.n) : strdup("the broker gave no reason");
}

void ses_refuse_job(struct session *s, uint32_t handle, struct wire_str text)
{
    struct session_job *j = map_get(&s->handles, handle);

    if (!j || ses_job_is_refused(j))
        return;
    if (!(j->refused = copy_reason(text))) {
        ses_effect_reconnect(s, "out of memory for a refusal");            /* and hear it again */
        return;
    }
    ses_job_move(j, JOB_REFUSED);
    j->seq_acked = j->seq;
    ses_job_dirty(j);
}

void ses_refuse_pool(struct session *s, struct session_pool *p, struct wire_str text)
{
    if (p->refused)
        return;
    if (!(p->refused = copy_reason(text))) {
        ses_effect_reconnect(s, "out of memory for a refusal");
        return;
    }
    for (LIST_EACH(&s->jobs, n)) {
        struct session_job *j = LIST_ENTRY(n, struct session_job, node);
        if (j->pool != p)
            continue;
        ses_job_move(j, JOB_REFUSED);
        j->seq_acked = j->seq;
        ses_job_dirty(j);
    }
}

void ses_refuse_task(struct session_job *j, uint64_t index, const char *text)
{
    const struct wire_outcome o = { .kind = BFORK_REFUSED, .message = WIRE_STR(text) };
    struct buf *doc = wire_outcome_encode(&o);
    if (!doc) {
        j->s->starved = true;
        return;
    }
    struct wire_item item = { .job = j->handle, .first = index, .count = 1, .kind = WIRE_OUTCOME, .size = (uint32_t)doc->size,
                              .body = slice_of(doc, 0, doc->size) };
    ses_settle_tell(j, &item);
    buf_unref(&doc);
    ses_job_dirty(j);
}
