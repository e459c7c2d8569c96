/* SPDX-License-Identifier: MPL-2.0
 * check.c - every invariant of a session; for tests.
 */
#include "rules/rules.h"

/* Tasks of b that are sent in this epoch and not settled; their bytes are added to *bytes. */
static uint64_t sent_of(const struct session_job *j, const struct batch *b, uint64_t *bytes)
{
    uint64_t n = 0;
    for (uint64_t i = b->run.first; i < run_end(&b->run) && i < j->sent && j->epoch == j->s->epoch; i++)
        if (!ses_bits_get(&j->settled, i)) {
            *bytes += ses_batch_bytes(b, i, 1);
            n++;
        }
    return n;
}

const char *session_check(struct session *s)
{
    uint64_t bytes = 0, unsettled = 0, quota_tasks = 0, quota_bytes = 0;
    for (LIST_EACH(&s->jobs, n)) {
        struct session_job *j = LIST_ENTRY(n, struct session_job, node);
        uint64_t left = j->source_n - j->source_next, last = 0;
        for (LIST_EACH(&j->batches, bn)) {
            const struct batch *b = LIST_ENTRY(bn, struct batch, node);
            uint64_t open = 0;
            for (uint64_t i = b->run.first; i < run_end(&b->run); i++)
                open += !ses_bits_get(&j->settled, i);
            if (open != b->left || b->left == 0)
                return "a batch counts its unsettled tasks wrongly";
            if (b->run.first < last)
                return "batches are out of order";
            last = run_end(&b->run);
            left += b->left;
            bytes += b->bytes;
            quota_tasks += sent_of(j, b, &quota_bytes);
        }
        if (left != j->unsettled)
            return "a job counts its unsettled tasks wrongly";
        if (!ses_cancel_check(j))
            return "a cancel is forgotten";
        if (j->sent > j->next || j->seq_acked > j->seq)
            return "a job is ahead of itself";
        unsettled += left;
    }
    if (quota_tasks != s->quota_used_tasks || quota_bytes != s->quota_used_bytes)
        return "the quota in use is counted wrongly";
    if (bytes != s->bytes_held)
        return "bytes held are counted wrongly";
    return unsettled == s->unsettled ? NULL : "unsettled tasks are counted wrongly";
}
