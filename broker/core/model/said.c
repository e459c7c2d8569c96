/* SPDX-License-Identifier: MPL-2.0
 * said.c - what tasks have printed, on its way from workers to clients: pieces, forwarded at once, kept until the client has taken
 * them, then told to their worker, which is what keeps its window open.
 *
 * A piece is in the list of its client, or of its job while that is parked. Pieces of a task are with the client before its
 * outcome: they come from the worker before its result and are composed before outcomes. What a worker may send is bounded by
 * windows, which it names itself: it has one for each pool, and for each lane that has none yet, and only it knows which of its
 * tasks are in which lane when pools come and go. So we count what it says, and limit how many windows there can be: one for each
 * pool that it was granted on this connection, and for each attempt that it brought. What is kept is so bounded by the workers of a
 * pool; it is charged to the owner's account, and to the worker's from then on until that is told. Very many workers make it very
 * much: what is taken, given back or handed over goes on over turns.
 */
#include "model.h"

uint64_t brk_piece_cost(const struct piece *p) { return p->size + WIRE_OUTPUT_COST; }

static uint64_t used(const struct peer *p, uint32_t window) { return (uint64_t)(uintptr_t)map_get(&p->said, window); }

void brk_said_use(struct peer *p, uint32_t window, int64_t bytes)
{
    void **at = map_at(&p->said, window);
    uint64_t now = at ? (uint64_t)(uintptr_t)*at : 0;

    now = bytes < 0 && (uint64_t)-bytes > now ? 0 : now + (uint64_t)bytes;
    if (at && now)
        *at = (void *)(uintptr_t)now;
    else if (at)
        map_take(&p->said, window);
    else if (now)
        map_put(&p->said, window, (void *)(uintptr_t)now); /* there was room for it: see brk_said_take */
}

/* Has it room for so much in this window, or for one window more? */
bool brk_said_fits(const struct broker *b, const struct peer *p, uint32_t window, uint64_t more)
{
    uint64_t before = used(p, window);

    return before ? before + more <= b->c.output_window : p->said.count < p->windows;
}

static void free_piece(struct broker *b, struct piece *p)
{
    slice_unref(&p->body);
    brk_mem_free_for(b, p->account, p, sizeof(*p));
}

/* The client has it, or nobody wants it: its worker is told, if it is still there on the connection it came by. */
static void note_taken(struct broker *b, struct piece *p)
{
    struct peer *from = map_get(&b->peers, p->peer);

    slice_unref(&p->body);
    if (list_in(&p->in_attempt)) {
        if (p->from->said_hint == p)
            p->from->said_hint = NULL;          /* those before it have gone before it */
        list_remove(&p->from->said, &p->in_attempt);
    }
    if (!from || !from->worker || from->state == PEER_CUT) {
        free_piece(b, p);
        return;
    }
    brk_said_use(from, p->window, -(int64_t)brk_piece_cost(p));
    brk_account_release(p->account, sizeof(*p));
    p->account = from->worker->account;
    brk_account_charge(p->account, sizeof(*p));
    list_push_back(&from->worker->taken, &p->node);
    brk_worker_dirty(b, from->worker);
}

void brk_said_queue(struct broker *b, struct client *c, struct job *j, struct piece *p)
{
    p->job = j->handle;
    p->seq = ++c->said_seq;
    list_push_back(&c->said, &p->node);
    if (!c->unsaid && !c->said_again)
        c->unsaid = p;
    brk_client_dirty(b, c);
}

/* The job has got a client: what came before is for it. Outcomes wait for that. */
bool brk_said_bind(struct broker *b, struct job *j, uint32_t *budget)
{
    struct list_node *n;

    if (list_empty(&j->said))
        return true;
    for (; *budget && (n = list_pop(&j->said)); --*budget) {
        b->steps++;
        brk_said_queue(b, j->client, j, LIST_ENTRY(n, struct piece, node));
    }
    brk_job_sending(b, j);
    return list_empty(&j->said);
}

bool brk_said_ack_some(struct broker *b, struct client *c, uint32_t *budget)
{
    struct list_node *n;

    for (; (n = list_first(&c->said)) && LIST_ENTRY(n, struct piece, node) != c->unsaid &&
           LIST_ENTRY(n, struct piece, node)->seq <= c->said_acked; --*budget) {
        if (!*budget)
            return false;
        b->steps++;
        list_remove(&c->said, n);
        note_taken(b, LIST_ENTRY(n, struct piece, node));
    }
    if (c->said_again) {
        c->said_again = false;
        brk_said_resend(b, c);
        brk_client_dirty(b, c);         /* outcomes have waited for it */
    }
    return true;
}

void brk_said_room(struct broker *b, struct client *c)
{
    if (!c->said_held || !c->peer || c->peer->sent - c->peer->acked >= c->peer->window)
        return;
    c->said_held = false;
    brk_client_dirty(b, c);
}

/* A new connection of the client. */
void brk_said_resend(struct broker *b, struct client *c)
{
    struct list_node *n = list_first(&c->said);

    if ((c->said_again = list_in(&c->said_ack.node)))
        n = NULL;                       /* what it has acknowledged goes first */
    c->unsaid = n ? LIST_ENTRY(n, struct piece, node) : NULL;
    c->said_held = false;
    if (n)
        brk_client_dirty(b, c);
}

bool brk_said_drop(struct broker *b, struct list *pieces, uint32_t *budget)
{
    struct list_node *n;

    for (; *budget && (n = list_pop(pieces)); --*budget) {
        b->steps++;
        note_taken(b, LIST_ENTRY(n, struct piece, node));
    }
    return list_empty(pieces);
}

/* Pieces outlive their attempt. */
void brk_said_orphan(struct attempt *a)
{
    while (list_pop(&a->said))
        continue;
    a->said_hint = NULL;
}

void brk_said_forget(struct broker *b, struct worker *w)
{
    struct list_node *n;

    while ((n = list_pop(&w->taken)))
        free_piece(b, LIST_ENTRY(n, struct piece, node));
}

/* Records for OUTPUT_TAKEN, at most n; pieces that follow each other are one record. */
size_t brk_said_taken_items(struct broker *b, struct worker *w, struct wire_item *items, size_t n)
{
    size_t k = 0;

    for (struct list_node *m; (m = list_first(&w->taken));) {
        struct piece *p = LIST_ENTRY(m, struct piece, node);
        struct wire_item *last = k ? &items[k - 1] : NULL;
        if (!last || last->id != p->attempt || last->job != p->window || last->size > UINT32_MAX - brk_piece_cost(p)) {
            if (k == n)
                break;
            last = &items[k++];
            last->id = p->attempt;
            last->job = p->window;
        }
        last->seq = p->attempt_seq > last->seq ? p->attempt_seq : last->seq;
        last->size += (uint32_t)brk_piece_cost(p);
        list_remove(&w->taken, m);
        free_piece(b, p);
    }
    return k;
}
