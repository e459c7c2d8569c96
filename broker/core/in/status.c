/* SPDX-License-Identifier: MPL-2.0
 * status.c - STATUS_GET: a question for the shell, which waits until that answers (status.c of the core).
 */
#include "in.h"

#define STATUS_MAX 4u               /* questions of one peer that wait */

void brk_status_get(struct broker *b, struct peer *p, const struct wire_msg *m)
{
    bool room = b->status.count < 1024 && p->n_status < STATUS_MAX;
    struct status_request *s = room ? brk_mem_new_for(b, p->account, sizeof(*s)) : NULL;

    if (!s) {
        struct refusal r;
        brk_refuse(&r, BFORK_EAGAIN, NULL, "too many questions for the status wait already; ask again");
        brk_request_refused(b, p, m->request, &r);
        return;
    }
    p->n_status++;
    s->account = brk_account_ref(p->account);
    s->peer = p->id;
    s->request = m->request;
    brk_copy_text(s->what, sizeof(s->what), m->u.status_get.what);
    list_push_back(&b->status, &s->node);
}
