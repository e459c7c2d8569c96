/* SPDX-License-Identifier: MPL-2.0
 * look.c - a job of which nothing has come or gone for a while: does the broker still have what was sent? What it has not is sent
 * again.
 *
 * One question at a time, for a few jobs; a job that was found whole is asked about half as often, down to every LOOK_MOST_NS. A
 * task that the broker has no more is marked as sent before, so it is never taken twice, and one that may have begun is not run
 * again.
 */
#include "rules.h"

#define LOOK_NS (10000 * CLOCK_MS)
#define LOOK_MOST_NS (320000 * CLOCK_MS)
#define LOOK_TASKS 65536u

static bool is_still(const struct session *s, const struct session_job *j, uint64_t now)
{
    uint64_t wait = j->look_wait ? j->look_wait : LOOK_NS, since = j->moved_at > j->looked_at ? j->moved_at : j->looked_at;
    return j->state >= JOB_OPEN && j->epoch == s->epoch && !ses_job_is_refused(j) && j->unsettled &&
           (j->look_from || now >= since + wait) && ses_bits_next(&j->settled, j->look_from, j->sent, false) < j->sent;
}

void ses_look_tick(struct session *s, uint64_t now)
{
    if (s->state != SESSION_UP || now < s->look_next)
        return;
    s->look_next = now + LOOK_NS / 4;
    s->look_due = true;
}

void ses_look_send(struct session *s, uint64_t now)
{
    size_t n = 0;
    if (!s->look_due || s->look_request)
        return;
    for (LIST_EACH(&s->jobs, node)) {
        struct session_job *j = LIST_ENTRY(node, struct session_job, node);
        if (n == LOOK_JOBS)
            break;
        if (!is_still(s, j, now))
            continue;
        uint64_t from = ses_bits_next(&j->settled, j->look_from, j->sent, false), to = ses_bits_next(&j->settled, from, j->sent,
                                                                                                     true);
        s->looks[n++] = (struct wire_item){ .job = j->handle, .first = from,
                                            .count = to - from < LOOK_TASKS ? (uint32_t)(to - from) : LOOK_TASKS };
        j->looked_at = now;
    }
    struct session_effect *e = n ? ses_effect_send(s, WIRE_TASKS_LOOK) : NULL;
    s->look_due = false;
    if (!e)
        return;
    e->msg.request = s->look_request = ++s->next_request;
    e->msg.items = s->looks;
    e->msg.n_items = (uint32_t)n;
}

/* A range that the broker has, or has not. */
static void see_range(struct session *s, struct session_job *j, const struct wire_item *i)
{
    uint64_t end = i->first + i->count < j->sent ? i->first + i->count : j->sent, lost = end;
    if (i->kind && i->first < end)
        lost = ses_bits_next(&j->settled, i->first, end, false);
    j->look_from = end;
    if (lost < end) {
        j->replay = j->replay > j->sent ? j->replay : j->sent;
        ses_rewind_job(j, lost);
        j->look_from = 0;
    } else if (ses_bits_next(&j->settled, end, j->sent, false) == j->sent) { /* it has all */
        uint64_t wait = j->look_wait ? 2 * j->look_wait : 2 * LOOK_NS;
        j->look_wait = wait < LOOK_MOST_NS ? wait : LOOK_MOST_NS;
        j->look_from = 0;
    } else {
        s->look_due = true;
    }
}

void ses_look_seen(struct session *s, const struct wire_msg *m)
{
    uint32_t rewound = 0;
    if (!s->look_request || m->request != s->look_request)
        return;
    s->look_request = 0;
    for (uint32_t k = 0; k < m->n_items; k++) {
        const struct wire_item *i = &m->items[k];
        struct session_job *j = map_get(&s->handles, i->job);
        if (!j || i->job == rewound || j->epoch != s->epoch || i->first + i->count < i->first)
            continue;
        uint64_t before = j->sent;
        see_range(s, j, i);
        rewound = j->sent < before ? i->job : rewound;      /* what follows is sent again with it */
    }
}
