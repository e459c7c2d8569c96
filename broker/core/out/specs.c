/* SPDX-License-Identifier: MPL-2.0
 * specs.c - specifications on their way to a worker: they are in no window of the envelope, so PING and PONG tell how many bytes
 * are.
 */
#include "out.h"

#define SPECS_MAX (4u << 20)            /* bytes of specifications on the way to a worker */
#define SPECS_STAMP 0x59ec000000000001ull

/* Specifications are in no window of the envelope: so many bytes of them may be on the way, as PING and PONG tell. */
bool brk_specs_fit(struct worker *w, const struct buf *spec)
{
    if (!w->specs || w->specs + spec->size <= SPECS_MAX)
        return true;
    w->specs_full = true;
    return false;
}

void brk_specs_mark(struct broker *b, struct worker *w)
{
    struct wire_msg *m;

    if (w->specs <= SPECS_MAX / 2 || w->specs_marked)
        return;
    if (!(m = brk_effect_send(b, w->peer, WIRE_PING))) {
        b->again = true;
        brk_worker_dirty(b, w);
        return;
    }
    m->u.ping.stamp = SPECS_STAMP;
    w->specs_marked = w->specs;
}

void brk_specs_pong(struct broker *b, struct worker *w, uint64_t stamp)
{
    if (stamp != SPECS_STAMP)
        return;
    w->specs -= w->specs_marked;
    w->specs_marked = 0;
    brk_worker_dirty(b, w);
}
