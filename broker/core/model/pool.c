/* SPDX-License-Identifier: MPL-2.0
 * pool.c - pools: made from their specification, told of, freed once empty.
 */
#include "model.h"

#include <stdio.h>

int brk_pool_new(struct broker *b, struct client *c, const struct wire_pool_open *o, struct pool **ret, struct refusal *r)
{
    struct account *a = c->owner->account;
    struct pool *p = brk_mem_new_for(b, a, sizeof(*p));
    struct wire_pool_spec spec;
    struct err e = { 0 };
    int rc;

    if (!p || map_reserve(&c->pools, 1) < 0 || map_reserve(&b->numbers, 1) < 0 ||
        !(p->spec = brk_bytes_copy(a, o->spec.p, o->spec.n))) {
        brk_mem_free_for(b, a, p, sizeof(*p));
        return brk_refuse(r, BFORK_ENOMEM, NULL, "the broker is out of memory");
    }
    if ((rc = wire_pool_spec_decode(p->spec->data, p->spec->size, &spec, &e)) < 0)
        rc = brk_refuse(r, rc, "spec", "POOL_OPEN %u: %s", o->pool, e.text);
    else
        rc = brk_refuse_pool_spec(&spec, r);
    if (rc < 0) {
        buf_unref(&p->spec);
        brk_mem_free_for(b, a, p, sizeof(*p));
        return rc;
    }
    if (spec.program.n == WIRE_DIGEST) {
        memcpy(p->program, spec.program.p, WIRE_DIGEST);
        p->has_program = true;
    }
    brk_account_charge(a, 2 * MAP_COST);
    brk_needs_init(p, spec.needs);
    p->client = c;
    p->owner = c->owner;
    p->handle = o->pool;
    p->number = brk_number_new(b, p);
    memcpy(p->digest, o->digest.p, WIRE_DIGEST);
    brk_copy_text(p->name, sizeof(p->name), o->name.n ? o->name : spec.program_name);
    list_init(&p->jobs);
    list_init(&p->lanes);
    list_init(&p->open);
    list_push_back(&b->pools, &p->node);
    list_push_back(&c->pool_list, &p->in_client);
    list_push_back(&c->owner->pools, &p->in_owner);
    list_push_back(&b->offers, &p->offer);
    map_put(&c->pools, p->handle, p);
    *ret = p;
    return 0;
}

bool brk_pool_say(struct broker *b, struct pool *p, uint32_t request)
{
    struct wire_msg *m = brk_effect_send(b, p->client->peer, WIRE_POOL_STATE);
    bool full = p->owner->full && !p->offered && p->state != POOL_FAILED;
    bool why = p->code < 0 && (p->code != BFORK_EAGAIN || !p->offered);
    const char *from = full ? p->owner->why : why ? p->text : "";
    char *text, lacks[160];
    size_t size;

    if (!m)
        return false;
    if (!*from && p->lacks) {
        snprintf(lacks, sizeof(lacks), "jobs of it wait for a worker with features 0x%llx, which none has: start bfork-worker of a "
                 "later release", (unsigned long long)p->lacks);
        from = lacks;
    }
    size = strlen(from);
    m->request = request;
    m->u.pool_state = (struct wire_pool_state){ .pool = p->handle, .slots = p->offered,
                                                .code = p->state == POOL_FAILED ? p->code : 0 };
    if (size && (text = brk_effect_bytes(b, size + 1))) {
        memcpy(text, from, size + 1);
        m->u.pool_state.text = (struct wire_str){ text, (uint32_t)size };
    }
    return true;
}

static void pool_gone(struct broker *b, struct pool *p)
{
    struct list_node *n;

    b->grants_dirty |= p->slots > 0;
    while ((n = list_first(&p->lanes)))
        brk_lane_forget(b, LIST_ENTRY(n, struct lane, in_pool));
    if (list_in(&p->work))
        list_remove(&b->work, &p->work);
    if (list_in(&p->thirst))
        list_remove(&b->thirsty, &p->thirst);
    if (list_in(&p->news))
        list_remove(&p->client->states, &p->news);
    list_remove(&b->pools, &p->node);
    list_remove(&p->client->pool_list, &p->in_client);
    list_remove(&p->owner->pools, &p->in_owner);
    brk_pool_idle(p);
    if (list_in(&p->doubtful))
        list_remove(&b->doubtful, &p->doubtful);
    list_remove(&b->offers, &p->offer);
    if (b->n_stale > b->offers.count)
        b->n_stale = b->offers.count;
    brk_chore_forget(b, p->owner, &p->end);
    if (!p->ending) {
        map_take(&p->client->pools, p->handle);
        brk_handle_gone(p->client, true, p->handle, p->digest);
    }
    buf_unref(&p->spec);
    brk_number_free(b, p->number);
    brk_account_release(p->owner->account, 2 * MAP_COST);
    brk_chores_room(b, p->owner);
    brk_mem_free_for(b, p->owner->account, p, sizeof(*p));
}

/* The jobs are gone already. */
void brk_pool_free(struct broker *b, struct pool *p)
{
    assert(list_empty(&p->jobs));
    pool_gone(b, p);
}
