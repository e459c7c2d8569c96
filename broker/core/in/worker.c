/* SPDX-License-Identifier: MPL-2.0
 * worker.c - WORKER_STATE: how many slots a worker has, whether it drains.
 */
#include "in.h"

void brk_worker_stands(struct broker *b, struct worker *w, const struct wire_worker_state *s)
{
    w->busy = s->busy;
    if (s->draining && brk_worker_move(w, WORKER_ON_DRAIN)) {
        for (LIST_EACH(&w->lanes, n))
            if (LIST_ENTRY(n, struct lane, in_worker)->pool)
                brk_lane_slots(b, LIST_ENTRY(n, struct lane, in_worker), 0);
        for (LIST_EACH_SAFE(&w->attempts, n, after)) {
            struct attempt *a = LIST_ENTRY(n, struct attempt, in_worker);
            brk_attempt_recall(b, a, a->next, WIRE_WHY_DRAIN);
        }
        brk_grant_workers_changed(b);
    } else if (w->state == WORKER_READY && s->slots && s->slots != w->slots) {
        for (LIST_EACH(&w->lanes, n)) {
            struct lane *l = LIST_ENTRY(n, struct lane, in_worker);
            if (w->granted > s->slots && l->pool)
                brk_lane_slots(b, l, l->slots > w->granted - s->slots ? l->slots - (w->granted - s->slots) : 0);
        }
        w->slots = s->slots;
        brk_grant_workers_changed(b);
    }
}
