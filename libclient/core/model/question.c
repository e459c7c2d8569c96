/* SPDX-License-Identifier: MPL-2.0
 * question.c - what the broker was asked and has not answered, and what it has promised; the rules say when that is.
 */
#include "model.h"

#include <stdlib.h>
#include <string.h>

void ses_question_job_goes(struct session_job *j)
{
    if (list_in(&j->cancels))
        list_remove(&j->s->cancels, &j->cancels);
    for (LIST_EACH_SAFE(&j->s->promises, n, after))
        if (LIST_ENTRY(n, struct question, node)->job == j->handle) {
            list_remove(&j->s->promises, n);
            free(LIST_ENTRY(n, struct question, node));
        }
    free(j->cancelled.words);
    free(j->told.words);
}

void ses_question_sent(struct question *q)
{
    if (!q->asked)
        q->seen = 0;                            /* what was cancelled before it was ever asked, somebody else has asked for */
    if (!q->on_this)
        q->seen_first = q->seen;
    q->on_this = q->sent = true;
    q->again = q->asked;
    q->asked = true;
    q->seen_before = q->seen;
}

void ses_question_cut(struct question *q)
{
    q->on_this = q->sent = false;
    q->told = 0;
    memset(q->earlier, 0, sizeof(q->earlier));
}

void ses_question_promises(struct session *s)
{
    for (struct list_node *n; (n = list_pop(&s->promises));) {
        ses_question_cut(LIST_ENTRY(n, struct question, node));
        list_push_back(&s->questions, n);
    }
}
