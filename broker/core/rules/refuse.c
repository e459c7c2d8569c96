/* SPDX-License-Identifier: MPL-2.0
 * refuse.c - what is refused without ending the session: a pool, a job, a question. The refusal (model/refusal.c) names field and
 * value and answers the request it belongs to; a pool or job that is refused is gone.
 *
 * Never refuses for want of memory: that is no fault of what was asked for, so the connection is cut and the session resumes.
 */
#include "rules.h"

#define REFUSALS_MAX 256u           /* of one peer, between two flushes */

static struct wire_str copied(struct broker *b, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    char *copy = n ? brk_effect_bytes(b, n + 1) : NULL;

    if (!copy)
        return (struct wire_str){ NULL, 0 };
    memcpy(copy, text, n + 1);
    return (struct wire_str){ copy, (uint32_t)n };
}

/* Refusals are composed at once: one frame may ask for very many. */
static bool too_many(struct broker *b, struct peer *p)
{
    b->n.refused++;
    if (!p || p->state == PEER_CUT)
        return true;
    if (p->refused_turn != b->turn) {
        p->refused_turn = b->turn;
        p->refused = 0;
    }
    if (++p->refused <= REFUSALS_MAX)
        return false;
    brk_session_fail(b, p, BFORK_EQUOTA, "%u of its requests were refused in a moment", REFUSALS_MAX);
    return true;
}

static struct wire_msg *answer_request(struct broker *b, struct peer *p, enum wire_type type, uint32_t request)
{
    struct wire_msg *m = p ? brk_effect_send(b, p, type) : NULL;

    if (m)
        m->request = request;
    else if (p)
        brk_peer_no_memory(b, p);
    return m;
}

/* What has no request cannot be answered alone: an ERROR without one says that the session is over, and so it is. */
void brk_request_refused(struct broker *b, struct peer *p, uint32_t request, const struct refusal *r)
{
    if (!request) {
        brk_session_fail(b, p, r->code, "%s", r->text);
        return;
    }
    struct wire_msg *m = too_many(b, p) ? NULL : answer_request(b, p, WIRE_ERROR, request);

    if (m)
        m->u.error = (struct wire_error_head){ .code = r->code, .text = copied(b, r->text), .field = copied(b, r->field) };
}

void brk_pool_refused(struct broker *b, struct client *c, uint32_t request, uint32_t handle, const struct refusal *r)
{
    struct pool *p = map_get(&c->pools, handle);
    struct wire_msg *m;

    if (r->code == BFORK_ENOMEM) {
        brk_session_break(b, c->peer);  /* no fault of the pool's: it is opened again on the next connection */
        return;
    }
    if (p)
        brk_pool_close(b, p);
    else if (!brk_handle_was(c, true, handle))
        brk_handle_gone(c, true, handle, NULL);
    if (too_many(b, c->peer))
        return;
    brk_effect_log_of(b, c->owner->key, WIRE_KEY, LOG_WARNING_, "a pool of %s is refused: %s", c->name, r->text);
    if ((m = answer_request(b, c->peer, WIRE_POOL_STATE, request)))
        m->u.pool_state = (struct wire_pool_state){ .pool = handle, .code = r->code, .text = copied(b, r->text), .ended = true,
            .field = copied(b, r->field) };
}

void brk_job_refused(struct broker *b, struct client *c, uint32_t request, uint32_t handle, const struct refusal *r)
{
    struct job *j = brk_job_of(c, handle);
    struct wire_msg *m;

    if (r->code == BFORK_ENOMEM) {
        brk_session_break(b, c->peer);
        return;
    }
    if (!handle) {                      /* no JOB_STATE can say that */
        brk_session_fail(b, c->peer, BFORK_EPROTOCOL, "%s; handles are not 0", r->text);
        return;
    }
    if (j)
        brk_job_end(b, j);
    else if (!map_get(&c->jobs, handle) && !brk_handle_was(c, false, handle))
        brk_handle_gone(c, false, handle, NULL);
    if (too_many(b, c->peer))
        return;
    brk_effect_log_of(b, c->owner->key, WIRE_KEY, LOG_WARNING_, "a job of %s is refused: %s", c->name, r->text);
    if ((m = answer_request(b, c->peer, WIRE_JOB_STATE, request)))
        m->u.job_state = (struct wire_job_state){ .job = handle, .code = r->code, .text = copied(b, r->text),
            .field = copied(b, r->field) };
}
