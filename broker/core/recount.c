/* SPDX-License-Identifier: MPL-2.0
 * recount.c - everything that is held for a key, counted again and compared with its account: tests only.
 *
 * Objects must agree to the byte. Bufs that nothing refers to any more but an effect are not seen from here: the account may have
 * more of those, never less.
 */
#include "core.h"

#include <stdio.h>

struct recount { struct broker *b; struct map bufs; bool add; };

static void found(struct recount *t, struct account *a, size_t size)
{
    if (!t->add)
        a->found = a->found_bytes = 0;
    else
        a->found += brk_account_cost(size);
}

static void found_buf(struct recount *t, struct buf *s)
{
    struct account *a = s ? brk_buf_account(s) : NULL;

    if (!a || !t->add || map_get(&t->bufs, (uintptr_t)s))
        return;
    a->found_bytes += brk_buf_cost(s);
    map_put(&t->bufs, (uintptr_t)s, s);
}

static void found_run(struct recount *t, const struct run *s)
{
    found_buf(t, s->lens.buf);
    found_buf(t, s->body.buf);
}

static void found_attempt(struct recount *t, struct attempt *a)
{
    if (a->recount == 2 * t->b->recounts + t->add)
        return;
    a->recount = 2 * t->b->recounts + t->add;
    found(t, a->account, sizeof(*a));
    found(t, a->account, MAP_COST);
    found_run(t, &a->run);
    for (LIST_EACH(&a->pieces, n)) {
        found(t, a->account, sizeof(struct range));
        found_run(t, &LIST_ENTRY(n, struct range, node)->run);
    }
    for (size_t i = 0; i < a->cancels.count; i++) {
        found(t, a->account, sizeof(struct cancelled));
        found(t, a->account, CANCELLED_RESERVE);
    }
    for (size_t i = 0; i < a->asks.count; i++) {
        found(t, a->account, sizeof(struct ask));
        found(t, a->account, CANCELLED_RESERVE);
    }
}

static void found_pieces(struct recount *t, const struct list *pieces)
{
    for (LIST_EACH(pieces, n)) {
        struct piece *p = LIST_ENTRY(n, struct piece, node);
        found(t, p->account, sizeof(*p));
        found_buf(t, p->body.buf);
    }
}

static void found_job(struct recount *t, struct job *j)
{
    struct account *a = j->owner->account;

    found(t, a, sizeof(*j));
    found(t, a, 3 * MAP_COST);
    found_buf(t, j->arena.body.buf);
    found_buf(t, j->arena.lens.buf);
    found_buf(t, j->spec_bytes);
    for (LIST_EACH(&j->queue, n)) {
        found(t, a, sizeof(struct range));
        found_run(t, &LIST_ENTRY(n, struct range, node)->run);
    }
    for (HELD_EACH(j, v)) {
        found(t, a, sizeof(struct range));
        found_run(t, &HELD_RANGE(v)->run);
    }
    for (size_t i = 0; i < j->lost.count; i++)
        found(t, a, sizeof(struct range));
    for (LIST_EACH(&j->live, n))
        found_attempt(t, LIST_ENTRY(n, struct attempt, in_job));
    for (LIST_EACH(&j->finished, n))
        found_attempt(t, LIST_ENTRY(n, struct attempt, in_job));
    for (LIST_EACH(&j->outcomes, n)) {
        struct outcome *o = LIST_ENTRY(n, struct outcome, node);
        found(t, a, sizeof(*o));
        found_buf(t, o->run.lens.buf);
        found_buf(t, o->run.body.buf);
        if (o->attempt)
            found_attempt(t, o->attempt);
    }
    found_pieces(t, &j->said);
    for (size_t i = 0; i < j->cancels.count + j->awaiting.count; i++)
        found(t, a, sizeof(struct cancel));
    for (LIST_EACH(&j->replays, n)) {
        const struct replay *w = LIST_ENTRY(n, struct replay, in_job);
        found(t, a, sizeof(*w));
        found_buf(t, w->lens.buf);
        found_buf(t, w->body.buf);
    }
}

static void found_worker(struct recount *t, struct worker *w)
{
    const struct list *known[] = { &w->known, &w->forget };

    found(t, w->account, sizeof(*w));
    for (LIST_EACH(&w->behind, n)) {
        const struct behind *m = LIST_ENTRY(n, struct behind, node);
        found(t, w->account, sizeof(*m) + m->m.n_items * sizeof(m->items[0]));
        for (uint32_t i = 0; i < m->m.n_items; i++) {
            found_buf(t, m->items[i].lens.buf);
            found_buf(t, m->items[i].body.buf);
        }
    }
    for (LIST_EACH(&w->told, n)) {
        const struct holding *h = LIST_ENTRY(n, struct holding, node);
        found(t, w->account, sizeof(*h) + h->n * sizeof(h->items[0]));
    }
    found_pieces(t, &w->taken);
    for (LIST_EACH(&w->closing, n))
        found_attempt(t, LIST_ENTRY(n, struct attempt, in_worker));
    for (LIST_EACH(&w->lanes, n)) {
        found(t, LIST_ENTRY(n, struct lane, in_worker)->account, sizeof(struct lane));
        found(t, LIST_ENTRY(n, struct lane, in_worker)->account, MAP_COST);
    }
    for (LIST_EACH(&w->shelves, n)) {
        found(t, LIST_ENTRY(n, struct shelf, in_worker)->account, sizeof(struct shelf));
        found(t, LIST_ENTRY(n, struct shelf, in_worker)->account, MAP_COST);
    }
    for (int i = 0; i < 2; i++)
        for (LIST_EACH(known[i], n)) {
            found(t, LIST_ENTRY(n, struct known, in_worker)->account, sizeof(struct known));
            found(t, LIST_ENTRY(n, struct known, in_worker)->account, MAP_COST);
        }
}

static void walk(struct recount *t)
{
    struct broker *b = t->b;
    uint64_t key;
    void *p;

    for (LIST_EACH(&b->owners, n))
        found(t, LIST_ENTRY(n, struct owner, node)->account, sizeof(struct owner));
    for (LIST_EACH(&b->clients, n)) {
        found(t, LIST_ENTRY(n, struct client, node)->owner->account, sizeof(struct client));
        found_pieces(t, &LIST_ENTRY(n, struct client, node)->said);
    }
    for (LIST_EACH(&b->pools, n)) {
        found(t, LIST_ENTRY(n, struct pool, node)->owner->account, sizeof(struct pool));
        found(t, LIST_ENTRY(n, struct pool, node)->owner->account, 2 * MAP_COST);
        found_buf(t, LIST_ENTRY(n, struct pool, node)->spec);
    }
    for (LIST_EACH(&b->all_jobs, n))
        found_job(t, LIST_ENTRY(n, struct job, in_all));
    for (LIST_EACH(&b->workers, n))
        found_worker(t, LIST_ENTRY(n, struct worker, node));
    for (LIST_EACH(&b->leaving, n))
        found_worker(t, LIST_ENTRY(n, struct worker, node));
    for (size_t i = 0; map_next(&b->peers, &i, &key, &p);)
        if (((struct peer *)p)->account)
            found(t, ((struct peer *)p)->account, sizeof(struct peer) + MAP_COST);
    for (LIST_EACH(&b->status, n))
        found(t, LIST_ENTRY(n, struct status_request, node)->account, sizeof(struct status_request));
}

static bool agrees(struct broker *b, const struct account *a, const char *whose)
{
    uint64_t bytes = atomic_load_explicit(&a->bytes, memory_order_relaxed);

    if (a->found == a->objects && a->found_bytes <= bytes)
        return true;
    snprintf(b->check_text, sizeof(b->check_text), "the account of %s: objects %llu/%llu bytes %llu/%llu", whose,
             (unsigned long long)a->found, (unsigned long long)a->objects, (unsigned long long)a->found_bytes,
             (unsigned long long)bytes);
    return false;
}

static bool outcomes_agree(struct broker *b, const struct owner *o)
{
    uint64_t cost = 0, sent = 0;

    for (LIST_EACH(&b->all_jobs, n)) {
        const struct job *j = LIST_ENTRY(n, struct job, in_all);
        cost += j->owner == o ? j->cost : 0;
        sent += j->owner == o ? j->sent_cost : 0;
    }
    if (cost == o->account->outcomes && sent == o->account->away)
        return true;
    snprintf(b->check_text, sizeof(b->check_text), "the account of an owner: outcomes %llu/%llu sent %llu/%llu",
             (unsigned long long)cost, (unsigned long long)o->account->outcomes, (unsigned long long)sent,
             (unsigned long long)o->account->away);
    return false;
}

bool brk_recount_accounts(struct broker *b)
{
    struct recount t = { .b = b };
    uint32_t sessions;

    map_init(&t.bufs);
    b->recounts++;
    walk(&t);
    t.add = true;
    walk(&t);
    map_free(&t.bufs);
    for (LIST_EACH(&b->owners, n)) {
        const struct owner *o = LIST_ENTRY(n, struct owner, node);
        if (!agrees(b, o->account, "an owner") || !outcomes_agree(b, o))
            return false;
        sessions = 0;
        for (LIST_EACH(&b->clients, k))
            sessions += LIST_ENTRY(k, struct client, node)->owner == o;
        if (sessions != o->n_sessions) {
            snprintf(b->check_text, sizeof(b->check_text), "an owner has %u sessions of %u", sessions, o->n_sessions);
            return false;
        }
    }
    for (LIST_EACH(&b->workers, n))
        if (!agrees(b, LIST_ENTRY(n, struct worker, node)->account, "a worker's key"))
            return false;
    return true;
}
