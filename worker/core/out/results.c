/* SPDX-License-Identifier: MPL-2.0
 * results.c - records become RESULTS within the broker's window, at most one message a turn.
 */
#include "out/out.h"

#include <string.h>

#define RESULTS_LENS 131072u            /* bytes of lengths, as RESULTS_BODY */

void wrk_results_resend(struct worker *w)
{
    for (LIST_EACH(&w->attempts, n)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, all);

        a->unsent = a->head;
        if (a->unsent && !list_in(&a->out))
            list_push_back(&w->out, &a->out);
    }
}

static void fill_result(struct worker *w, struct wire_item *i, const struct attempt *a, const struct record *r)
{
    memset(i, 0, sizeof(*i));
    i->id = a->id;
    i->job = a->job->bound ? a->job->handle : 0;
    run_to_item(&r->run, i);
    i->kind = r->kind;
    i->tries = a->run.tries;
    i->crashes = a->run.crashes;
    i->pid = r->pid;
    i->sum_ns = r->sum_ns;
    wrk_effect_keep(w, r->run.lens);
    wrk_effect_keep(w, r->run.body);
}

/* Puts records of a into the message until nothing is left (true) or it or the window is full. */
static bool put_records(struct worker *w, struct attempt *a, uint32_t *n, size_t *body, size_t *lens)
{
    for (struct record *r; (r = a->unsent);) {
        uint64_t on_way = w->out_bytes - w->out_acked + *body + *lens, size = run_bytes(&r->run);

        if (wrk_said_blocks(a, r))
            return true;            /* wrk_said_flush brings it back when the output is sent */
        if (*n == RESULTS_ITEMS || (*n && (*body + r->run.body.size > RESULTS_BODY || *lens + r->run.lens.size > RESULTS_LENS))) {
            w->again = true;
            return false;
        }
        if (on_way && on_way + size > w->window)
            return false;               /* the broker's ack brings us back */
        fill_result(w, &w->items[(*n)++], a, r);
        *body += r->run.body.size;
        *lens += r->run.lens.size;
        a->unsent = r->next;
    }
    return true;
}

void wrk_results_flush(struct worker *w)
{
    uint32_t n = 0;
    size_t body = 0, lens = 0;

    if (w->link != LINK_UP || w->items_used || list_empty(&w->out))
        return;
    for (struct list_node *o; (o = list_first(&w->out));) {
        struct attempt *a = LIST_ENTRY(o, struct attempt, out);

        if (!put_records(w, a, &n, &body, &lens))
            break;
        list_remove(&w->out, &a->out);
    }
    if (!n)
        return;
    struct wire_msg *m = wrk_link_send(w, WIRE_RESULTS);

    m->items = w->items;
    m->n_items = n;
    w->items_used = true;
    w->out_bytes += body + lens;
}
