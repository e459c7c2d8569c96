/* SPDX-License-Identifier: MPL-2.0
 * cancel.c - cancels and their asks: a cancel of what has not begun has an ask at each attempt whose worker has such tasks; it is
 * answered when all of them are.
 *
 * Only the worker knows what its processes have begun. It gives back the rest and says so (RECALLED); its loss or the end of the
 * attempt answers as well. Until then the cancel waits and has an ask at the attempt for the tasks it names: what of them comes
 * back to the queue, for whatever reason, is cancelled instead; what an answer leaves with the worker goes on. Of an adopted
 * attempt the arguments may still be on their way from the client, and would come behind the answer: it is asked when they are
 * there.
 *
 * Which tasks are cancelled is decided in rules/cancel.c. Invariants: an attempt with asks is sent, and has a RECALL due or
 * unanswered; it has no more than ASKS_MOST of them, and keeps ranges and outcomes in reserve for each, since each may cut what
 * comes back.
 */
#include "model.h"

#define ASK_ROOM 4u                 /* none is needed yet, as one is counted with n_cancels; as for a cancel (CANCEL_ROOM) */
#define ASKS_MOST 16u               /* further cancels wait until these are answered */

void brk_ask_free(struct broker *b, struct ask *q)
{
    struct attempt *a = q->attempt;

    list_remove(&a->asks, &q->in_attempt);
    list_remove(&q->cancel->asks, &q->in_cancel);
    brk_mem_free_for(b, a->account, q, sizeof(*q));
    brk_account_release(a->account, CANCELLED_RESERVE);
    b->n_cancels--;
    b->steps++;
}

static void ask_is_due(struct broker *b, struct attempt *a, uint64_t first)
{
    if ((a->ask_due || a->ask_open) && first >= a->ask_first)
        return;                     /* what was asked covers it */
    a->ask_first = first;
    a->ask_due = true;
    brk_attempt_recall_due(b, a);
}

enum asked brk_attempt_ask(struct broker *b, struct attempt *a, struct cancel *k, uint64_t first, uint64_t end)
{
    struct ask *q;

    if (!(a->worker->features & WIRE_FEATURE_RECALLED) || brk_account_takes_cancel(b, a->job->owner) < 0)
        return ASK_NOT;
    for (LIST_EACH(&a->asks, n))
        if (LIST_ENTRY(n, struct ask, in_attempt)->cancel == k)
            return ASK_MADE;
    if (a->asks.count == ASKS_MOST) {
        a->ask_wanted = true;
        return ASK_LATER;
    }
    if (!(q = brk_mem_new_for(b, a->account, sizeof(*q))))
        return ASK_NO_MEMORY;
    b->n_cancels++;
    if (brk_reserve(b, ASK_ROOM, ASK_ROOM) < 0) {
        b->n_cancels--;
        brk_mem_free_for(b, a->account, q, sizeof(*q));
        return ASK_NO_MEMORY;
    }
    brk_account_charge(a->account, CANCELLED_RESERVE);
    *q = (struct ask){ .attempt = a, .cancel = k, .first = first, .end = end, .again = k->again };
    list_push_back(&a->asks, &q->in_attempt);
    list_push_back(&k->asks, &q->in_cancel);
    ask_is_due(b, a, first);
    return ASK_MADE;
}

bool brk_asks_have(const struct attempt *a, uint64_t index, uint64_t *ret_until)
{
    *ret_until = UINT64_MAX;
    for (LIST_EACH(&a->asks, n)) {
        const struct ask *q = LIST_ENTRY(n, struct ask, in_attempt);
        if (q->first <= index && index < q->end) {
            *ret_until = q->end;
            return true;
        }
        if (q->first > index && q->first < *ret_until)
            *ret_until = q->first;
    }
    return false;
}

static uint64_t both(uint64_t first, uint64_t end, uint64_t from, uint64_t to)
{
    first = first > from ? first : from;
    end = end < to ? end : to;
    return first < end ? end - first : 0;
}

void brk_asks_cancelled(struct attempt *a, uint64_t first, uint64_t end)
{
    for (LIST_EACH(&a->asks, n)) {
        struct ask *q = LIST_ENTRY(n, struct ask, in_attempt);
        q->cancelled += both(q->first, q->end, first, end);
    }
}

/* The answer to an ask, so many of which run: the ask is gone, and the cancel may be. */
static void cancel_told(struct broker *b, struct ask *q, uint64_t running)
{
    struct cancel *k = q->cancel;

    if (q->again) {
        brk_cancel_count(k, q->cancelled);
    } else {
        k->cancelled += q->cancelled;
        k->running += running;
        k->done += q->end - q->first - q->cancelled - running;
    }
    brk_ask_free(b, q);
    if (k->awaits && k->held_from == CANCEL_NOTHING && list_empty(&k->asks))
        brk_cancel_free(b, k);
}

void brk_asks_end(struct broker *b, struct attempt *a)
{
    struct job *j = a->job;

    if (list_empty(&a->asks))
        return;
    for (struct list_node *n; (n = list_first(&a->asks));) {
        struct ask *q = LIST_ENTRY(n, struct ask, in_attempt);
        cancel_told(b, q, both(q->first, q->end, a->next, a->end));
    }
    a->ask_due = false;
    if (a->ask_wanted)
        brk_cancel_wake(b, j);
    a->ask_wanted = false;
}

void brk_asks_again(struct broker *b, struct attempt *a)
{
    a->ask_due = false;
    a->ask_open = 0;
    if (!list_empty(&a->asks))
        ask_is_due(b, a, a->ask_first);
}

void brk_cancel_answer(struct broker *b, const struct cancel *k)
{
    struct peer *p = k->request ? map_get(&b->peers, k->peer) : NULL;
    struct wire_msg *m;

    if (!p || p->state != PEER_READY)
        return;
    if (!(m = brk_effect_send(b, p, WIRE_CANCELLED))) {
        brk_peer_no_memory(b, p);    /* asks again on its next connection */
        return;
    }
    m->request = k->request;
    m->u.cancelled = (struct wire_cancelled){ .cancelled = k->cancelled, .running = k->running + k->held, .done = k->done };
}

/* Who has asked is told what has come of it. */
void brk_cancel_free(struct broker *b, struct cancel *k)
{
    struct job *j = k->job;

    assert(list_empty(&k->asks));
    brk_cancel_answer(b, k);
    if (interval_in(&k->range))
        interval_take(&j->cancelling, &k->range);
    list_remove(k->awaits ? &j->awaiting : &j->cancels, &k->in_job);
    brk_mem_free_for(b, j->owner->account, k, sizeof(*k));
}

/* n tasks that will not run: some of them may have been counted when it passed first. */
void brk_cancel_count(struct cancel *k, uint64_t n)
{
    uint64_t held = n < k->held ? n : k->held, running = k->again && n - held < k->running ? n - held : k->again ? k->running : 0;

    k->cancelled += n;
    k->held -= held;
    k->running -= running;
}
