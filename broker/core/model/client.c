/* SPDX-License-Identifier: MPL-2.0
 * client.c - sessions of clients: found by key and instance, made, freed; their timers; the handles that they have used.
 */
#include "model.h"

void brk_copy_text(char *to, size_t size, struct wire_str s)
{
    size_t n = s.n < size - 1 ? s.n : size - 1;

    if (n)
        memcpy(to, s.p, n);
    to[n] = 0;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)to[i] < 32 || to[i] == 127)
            to[i] = '?';
}

void brk_handle_gone(struct client *c, bool pool, uint32_t handle, const uint8_t *name)
{
    struct gone *g = &c->gone[c->n_gone++ % GONE_MAX];

    g->pool = pool;
    g->handle = handle;
    c->top[pool] = handle > c->top[pool] ? handle : c->top[pool];
    if (name)
        memcpy(g->name, name, WIRE_ID);
    else
        memset(g->name, 0, WIRE_ID);
}

const uint8_t *brk_handle_was(const struct client *c, bool pool, uint32_t handle)
{
    uint32_t n = c->n_gone < GONE_MAX ? c->n_gone : GONE_MAX;

    for (uint32_t i = 1; i <= n; i++) {                 /* the newest first */
        const struct gone *g = &c->gone[(c->n_gone - i) % GONE_MAX];
        if (g->handle == handle && g->pool == pool)
            return g->name;
    }
    return NULL;
}

/* When a tick looks at it next; 0: not. */
void brk_client_timer(struct broker *b, struct client *c, uint64_t at)
{
    if (interval_in(&c->timer))
        interval_take(&b->timers, &c->timer);
    if (!at)
        return;
    c->timer = (struct interval){ .first = at };
    interval_put_time(&b->timers, &c->timer);
    if (at < b->tick_at)
        b->tick_at = at;
}

void brk_client_free(struct broker *b, struct client *c)
{
    struct owner *o = c->owner;

    assert(list_empty(&c->said));
    brk_chore_forget(b, o, &c->end);
    list_remove(&b->clients, &c->node);
    map_free(&c->jobs);
    map_free(&c->pools);
    o->n_sessions--;
    brk_mem_free_for(b, o->account, c, sizeof(*c));
    brk_chores_room(b, o);
    brk_owner_unref(b, o);
}

struct client *brk_client_find(struct broker *b, const uint8_t *key, struct wire_bin instance)
{
    for (KEYED_EACH(&b->client_map, brk_keyed_hash(b, key, instance.p), k)) {
        struct client *c = LIST_ENTRY(k, struct client, by_name);
        if (!memcmp(c->instance, instance.p, WIRE_ID) && !memcmp(c->owner->key, key, WIRE_KEY))
            return c;
    }
    return NULL;
}

struct client *brk_client_new(struct broker *b, struct peer *p, const struct wire_hello *h, struct refusal *r)
{
    struct owner *o = brk_owner_get(b, p->key);
    struct client *c = NULL;

    if (!o)
        brk_refuse(r, BFORK_ENOMEM, NULL, "the broker is out of memory");
    else if (brk_account_takes_session(b, o, r) == 0 && !(c = brk_mem_new_for(b, o->account, sizeof(*c))))
        brk_refuse(r, BFORK_ENOMEM, NULL, "the broker is out of memory");
    if (!c) {
        brk_owner_unref(b, o);
        return NULL;
    }
    if (brk_keyed_put(&b->client_map, &c->by_name, brk_keyed_hash(b, p->key, h->instance.p)) < 0) {
        brk_refuse(r, BFORK_ENOMEM, NULL, "the broker is out of memory");
        brk_mem_free_for(b, o->account, c, sizeof(*c));
        brk_owner_unref(b, o);
        return NULL;
    }
    c->owner = o;
    o->n_sessions++;
    map_init_keyed(&c->pools, &b->hash);
    map_init_keyed(&c->jobs, &b->hash);
    memcpy(c->instance, h->instance.p, WIRE_ID);
    c->since = b->now;
    brk_copy_text(c->name, sizeof(c->name), h->name);
    brk_copy_text(c->host, sizeof(c->host), h->host);
    c->pid = h->pid;
    list_init(&c->pool_list);
    list_init(&c->job_list);
    list_init(&c->sending);
    list_init(&c->assigning);
    list_init(&c->told);
    list_init(&c->unsure);
    list_init(&c->states);
    list_init(&c->said);
    list_push_back(&b->clients, &c->node);
    return c;
}
