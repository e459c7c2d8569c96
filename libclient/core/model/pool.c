/* SPDX-License-Identifier: MPL-2.0
 * pool.c - pools: made, known to be gone here while the broker may still have them, freed.
 */
#include "model.h"

#include <stdlib.h>
#include <string.h>

int session_pool_open(struct session *s, int32_t processes, struct buf *spec, const uint8_t digest[WIRE_DIGEST], const char *name,
                      void *user, struct session_pool **ret)
{
    struct session_pool *p = calloc(1, sizeof(*p));
    char *copy = strdup(name ? name : "");
    if (!p || !copy) {
        free(p);
        free(copy);
        buf_unref(&spec);
        return BFORK_ENOMEM;
    }
    p->s = s;
    p->user = user;
    p->handle = ++s->next_handle;
    p->processes = processes;
    p->spec = spec;
    memcpy(p->digest, digest, WIRE_DIGEST);
    p->name = copy;
    list_push_back(&s->pools, &p->node);
    *ret = p;
    return 0;
}

/* Its close is said on the next connection, or once more if it may have been lost with this one: until the broker knows, its tasks
 * run and count against the quota. Of very many, the oldest are left to the broker, which drops what is not opened again. */
void ses_pool_gone(struct session_pool *p)
{
    struct session *s = p->s;
    if (p->refused || p->epoch != s->epoch) {
        ses_pool_free(p);
        return;
    }
    list_remove(&s->pools, &p->node);
    buf_unref(&p->spec);
    free(p->name);
    p->name = NULL;
    list_push_back(&s->closed, &p->node);
    p = LIST_ENTRY(list_first(&s->closed), struct session_pool, node);
    if (s->closed.count > SESSION_CLOSED && !p->closing) {
        list_remove(&s->closed, &p->node);
        ses_pool_free(p);
    }
}

/* Tasks that went out behind a close, or a ping, have been read. */
void ses_pool_heard(struct session *s, const struct wire_msg *m)
{
    uint64_t asked = m->type == WIRE_PONG && m->u.ping.stamp > UINT32_MAX ? m->u.ping.stamp : 0;
    for (LIST_EACH_SAFE(&s->closed, n, after)) {
        struct session_pool *p = LIST_ENTRY(n, struct session_pool, node);
        if (p->closing || (s->out_acked <= p->closed_out && asked <= p->closed_at))
            break;
        list_remove(&s->closed, n);
        ses_pool_free(p);
    }
}

void ses_pool_free(struct session_pool *p)
{
    if (list_in(&p->node))
        list_remove(&p->s->pools, &p->node);
    buf_unref(&p->spec);
    free(p->name);
    free(p->refused);
    free(p);
}
