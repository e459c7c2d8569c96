/* SPDX-License-Identifier: MPL-2.0
 * bind.c - a job that has got its client, or has it again: its output from before, its counts, and the lanes of what was adopted
 * for it.
 */
#include "rules.h"

/* Its output from before goes to its client. Attempts that were adopted before are the first. */
bool brk_job_bind_some(struct broker *b, struct job *j, uint32_t *budget)
{
    struct list_node *n;

    if (job_is_ending(j))
        return true;
    if (!brk_said_bind(b, j, budget))
        return false;
    if (j->to_tell && !brk_tries_tell_some(b, j, budget))
        return false;
    for (size_t left = j->live.count; left-- && (n = list_first(&j->live)); --*budget) {
        if (LIST_ENTRY(n, struct attempt, in_job)->lane)
            break;
        if (!*budget)
            return false;
        b->steps++;
        list_remove(&j->live, n);
        list_push_back(&j->live, n);
        brk_attempt_bind(b, LIST_ENTRY(n, struct attempt, in_job));
    }
    return true;
}

void brk_job_bind(struct broker *b, struct job *j)
{
    if (!brk_job_bind_some(b, j, brk_chore_budget(b, j->owner)))
        brk_chore_add(b, j->owner, &j->bind, CHORE_JOB_BIND);
}
