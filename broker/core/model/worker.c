/* SPDX-License-Identifier: MPL-2.0
 * worker.c - sessions of workers: found by key and instance, made, freed; what one says before all that it holds is looked at.
 */
#include "model.h"

void brk_worker_free(struct broker *b, struct worker *w)
{
    struct account *a = w->account;

    if (a)
        brk_account_release(a, sizeof(*w));
    assert(list_empty(&w->shelves));
    map_free(&w->known_map);
    map_free(&w->lane_map);
    map_free(&w->shelf_map);
    brk_mem_free(b, w, sizeof(*w));
    brk_account_unref(a);
}

struct worker *brk_worker_find(struct broker *b, const uint8_t *key, struct wire_bin instance)
{
    for (KEYED_EACH(&b->worker_map, brk_keyed_hash(b, key, instance.p), k)) {
        struct worker *w = LIST_ENTRY(k, struct worker, by_name);
        if (!memcmp(w->instance, instance.p, WIRE_ID) && !memcmp(w->key, key, WIRE_KEY))
            return w;
    }
    return NULL;
}

/* Of the workers with this key. */
static struct account *worker_account(struct broker *b, const uint8_t *key)
{
    for (LIST_EACH(&b->workers, n)) {
        struct worker *w = LIST_ENTRY(n, struct worker, node);
        if (!memcmp(w->key, key, WIRE_KEY))
            return brk_account_ref(w->account);
    }
    return brk_account_new(b->account);
}

struct worker *brk_worker_new(struct broker *b, struct peer *p, const struct wire_hello *h)
{
    struct worker *w = brk_mem_new(b, sizeof(*w));

    if (!w || !(w->account = worker_account(b, p->key))) {
        brk_mem_free(b, w, sizeof(*w));
        return NULL;
    }
    if (brk_keyed_put(&b->worker_map, &w->by_name, brk_keyed_hash(b, p->key, h->instance.p)) < 0) {
        brk_account_unref(w->account);
        brk_mem_free(b, w, sizeof(*w));
        return NULL;
    }
    brk_account_charge(w->account, sizeof(*w));
    memcpy(w->key, p->key, WIRE_KEY);
    memcpy(w->instance, h->instance.p, WIRE_ID);
    w->since = b->now;
    map_init_keyed(&w->known_map, &b->hash);
    map_init_keyed(&w->lane_map, &b->hash);
    map_init_keyed(&w->shelf_map, &b->hash);
    list_init(&w->shelves);
    list_init(&w->lanes);
    list_init(&w->attempts);
    list_init(&w->finished);
    list_init(&w->told);
    list_init(&w->behind);
    list_init(&w->to_send);
    list_init(&w->recalls);
    list_init(&w->closing);
    list_init(&w->known);
    list_init(&w->forget);
    list_init(&w->grants);
    list_init(&w->taken);
    list_push_back(&b->workers, &w->node);
    return w;
}

void brk_behind_free(struct broker *b, struct account *a, struct behind *m)
{
    for (uint32_t i = 0; i < m->m.n_items; i++) {
        slice_unref(&m->items[i].lens);
        slice_unref(&m->items[i].body);
    }
    brk_mem_free_for(b, a, m, sizeof(*m) + m->m.n_items * sizeof(m->items[0]));
}

/* 0, BFORK_EQUOTA or BFORK_ENOMEM. */
int brk_behind_new(struct broker *b, struct worker *w, const struct wire_msg *m, struct behind **ret)
{
    size_t size = sizeof(struct behind) + m->n_items * sizeof(m->items[0]), bytes = 0;
    struct behind *k;
    int rc = 0;

    for (uint32_t i = 0; i < m->n_items; i++)
        bytes += wire_item_bytes(&m->items[i]);
    if (brk_account_takes_foreign(b, w, size + bytes) < 0)
        return BFORK_EQUOTA;
    if (!(k = brk_mem_new_for(b, w->account, size)))
        return BFORK_ENOMEM;
    /* of the head only what is of numbers: a host's name, or a body, lies in a frame that is gone by then */
    k->m = (struct wire_msg){ .type = m->type, .items = k->items, .n_items = m->n_items };
    if (m->type == WIRE_WORKER_STATE)
        k->m.u.worker_state = m->u.worker_state;
    for (uint32_t i = 0; i < m->n_items; i++) {
        k->items[i] = m->items[i];
        k->items[i].lens = k->items[i].body = slice_none();
    }
    for (uint32_t i = 0; i < m->n_items && rc == 0; i++)
        if ((rc = brk_bytes_keep(b, w->account, m->items[i].lens, &k->items[i].lens)) == 0)
            rc = brk_bytes_keep(b, w->account, m->items[i].body, &k->items[i].body);
    if (rc < 0)
        brk_behind_free(b, w->account, k);
    else
        *ret = k;
    return rc;
}

void brk_worker_behind_forget(struct broker *b, struct worker *w)
{
    struct list_node *n;

    while ((n = list_pop(&w->behind)))
        brk_behind_free(b, w->account, LIST_ENTRY(n, struct behind, node));
}
