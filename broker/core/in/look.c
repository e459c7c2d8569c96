/* SPDX-License-Identifier: MPL-2.0
 * look.c - a client whose job has not moved for a while asks which of its tasks are still here. Says so, changes nothing.
 *
 * A task without an outcome that is in no place of the job was lost on the way; the client sends it again. Each record is looked at
 * for some places, of which an answer has LOOK_ITEMS, or one for each record: it says how far that was, and the client asks on from
 * there. Of a job that is not open nothing is here. Of one whose TASKS wait for their turn, or with the client for room, nothing is
 * said: what is here is not known yet.
 */
#include "in.h"

#define LOOK_PLACES 32u
#define LOOK_ITEMS 256u             /* of an answer */

/* What is known of the tasks of a record, as items, neighbours joined; of so many places. */
static size_t look_over(struct broker *b, const struct job *j, const struct wire_item *it, struct wire_item *out, size_t places)
{
    uint64_t at = it->first, end = it->first + it->count, to;
    size_t n = 0;

    for (; at < end && places; places--, at = to) {
        const struct interval *v = interval_at(&j->index, at);
        bool here = v && v->first <= at;
        to = here ? v->end : v ? v->first : end;
        to = to < end ? to : end;
        b->steps++;
        if (n && out[n - 1].kind == !here)
            out[n - 1].count += (uint32_t)(to - at);
        else
            out[n++] = (struct wire_item){ .job = j->handle, .first = at, .count = (uint32_t)(to - at), .kind = !here };
    }
    return n;
}

void brk_look_tasks(struct broker *b, struct client *c, const struct wire_msg *m)
{
    size_t each = m->n_items ? LOOK_ITEMS / m->n_items : LOOK_PLACES, n = 0;
    struct wire_msg *answer = NULL;
    struct wire_item *out;

    each = each > LOOK_PLACES ? LOOK_PLACES : each ? each : 1;
    if ((out = brk_effect_bytes(b, (m->n_items + 1) * each * sizeof(*out))))
        answer = brk_effect_send(b, c->peer, WIRE_TASKS_SEEN);
    if (!answer) {
        brk_peer_no_memory(b, c->peer);
        return;
    }
    for (uint32_t i = 0; i < m->n_items; i++) {
        const struct wire_item *it = &m->items[i];
        const struct job *j = brk_job_of(c, it->job);
        if (!it->count || it->first + it->count < it->first)
            continue;
        if (!j)
            out[n++] = (struct wire_item){ .job = it->job, .first = it->first, .count = it->count, .kind = 1 };
        else if (!j->put_off && list_empty(&j->replays))
            n += look_over(b, j, it, out + n, each);
    }
    memset(&answer->u.records, 0, sizeof(answer->u.records));
    answer->request = m->request;
    answer->items = out;
    answer->n_items = (uint32_t)n;
}
