/* SPDX-License-Identifier: MPL-2.0
 * pool.c - POOL_OPEN, POOL_CLOSE. What returns int: 0, or < 0 and r says why it is refused; nothing else has changed.
 */
#include "in.h"

/* Does the digest say what it should? It is what workers tell programs apart by. */
static int check_digest(const struct broker *b, const struct wire_pool_open *o, struct refusal *r)
{
    uint8_t digest[WIRE_DIGEST];

    if (!b->c.digest)
        return 0;
    b->c.digest(b->c.digest_ctx, o->spec.p, o->spec.n, digest);
    if (!memcmp(digest, o->digest.p, WIRE_DIGEST))
        return 0;
    return brk_refuse(r, BFORK_EINVAL, "digest", "POOL_OPEN %u: digest is not the SHA-256 of spec", o->pool);
}

int brk_pool_open(struct broker *b, struct client *c, const struct wire_msg *m, struct refusal *r)
{
    const struct wire_pool_open *o = &m->u.pool_open;
    struct pool *p = map_get(&c->pools, o->pool);
    const uint8_t *was = p ? NULL : brk_handle_was(c, true, o->pool);
    int rc;

    if (!o->processes)
        return brk_refuse(r, BFORK_EINVAL, "processes", "POOL_OPEN %u: processes is 0; say how many, or -1 for all", o->pool);
    if (o->digest.n != WIRE_DIGEST)
        return brk_refuse(r, BFORK_EINVAL, "digest", "POOL_OPEN %u: digest does not have %u bytes", o->pool, WIRE_DIGEST);
    if (p && memcmp(p->digest, o->digest.p, WIRE_DIGEST))
        return brk_refuse(r, BFORK_ESTATE, "digest", "POOL_OPEN %u: the handle is open with another digest; take a new handle",
                          o->pool);
    if (was && memcmp(was, o->digest.p, WIRE_ID))
        return brk_refuse(r, BFORK_ESTATE, "pool", "POOL_OPEN %u: the handle was another pool's; take a new one", o->pool);
    if (!p && ((rc = check_digest(b, o, r)) < 0 || (rc = brk_account_takes_pool(b, c, o->pool, o->spec.n, r)) < 0 ||
               (rc = brk_pool_new(b, c, o, &p, r)) < 0))
        return rc;
    assert(p);
    if (p->wanted != o->processes)
        brk_pool_changed(b, p);
    p->wanted = o->processes;
    p->attached = c->attached;
    brk_pool_tell(b, p);
    if (m->request && !brk_pool_say(b, p, m->request))
        brk_peer_no_memory(b, c->peer);
    return 0;
}

/* A handle that was open and is not any more may cross with our news of that. */
int brk_pool_take_close(struct broker *b, struct client *c, uint32_t handle, struct refusal *r)
{
    struct pool *p = map_get(&c->pools, handle);

    if (p)
        brk_pool_close(b, p);
    else if (!handle_may_be_gone(c, true, handle))
        return brk_refuse(r, BFORK_ESTATE, "pool", "POOL_CLOSE of pool %u, which is not open", handle);
    return 0;
}
