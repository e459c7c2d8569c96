/* SPDX-License-Identifier: MPL-2.0
 * refuse.c - what is refused without ending the session: a pool, a job, a question. The refusal names field and value and answers
 * the request it belongs to; a pool or job that is refused is gone.
 *
 * What would have to be ignored is refused here, too: fields of specifications that this release has no code for.
 */
#include "state.h"

#include <stdarg.h>
#include <stdio.h>

#define REFUSALS_MAX 256u           /* of one peer, between two flushes */

int brk_refuse(struct refusal *r, int code, const char *field, const char *format, ...)
{
    va_list ap;

    r->code = code;
    r->field = field;
    va_start(ap, format);
    vsnprintf(r->text, sizeof(r->text), format, ap);
    va_end(ap);
    return code;
}

static int not_implemented(struct refusal *r, const char *map, const char *field, long long value)
{
    return brk_refuse(r, BFORK_ENOTSUP, field, "%s: field %s is %lld; this release knows no other value than 0", map, field, value);
}

int brk_refuse_pool_spec(const struct wire_pool_spec *s, struct refusal *r)
{
    if (s->max_growth)
        return not_implemented(r, "pool_spec", "max_growth", (long long)s->max_growth);
    if (s->output_limit)
        return not_implemented(r, "pool_spec", "output_limit", (long long)s->output_limit);
    if (s->resources.n && (s->resources.n != 6 || memcmp(s->resources.p, "cpus=1", 6)))
        return brk_refuse(r, BFORK_ENOTSUP, "resources",
                          "pool_spec: field resources is \"%.*s\"; in this release a slot is \"cpus=1\", or leave it out",
                          (int)(s->resources.n < 100 ? s->resources.n : 100), s->resources.p);
    if (s->cwd.n && s->cwd.p[0] != '/')
        return brk_refuse(r, BFORK_EINVAL, "cwd", "pool_spec: field cwd is \"%.*s\"; it is a path of the worker and begins with /",
                          (int)(s->cwd.n < 100 ? s->cwd.n : 100), s->cwd.p);
    return 0;
}

int brk_refuse_job_spec(const struct wire_job_spec *s, struct refusal *r)
{
    if (s->priority)
        return not_implemented(r, "job_spec", "priority", s->priority);
    if (s->queue_limit_ms)
        return not_implemented(r, "job_spec", "queue_limit_ms", (long long)s->queue_limit_ms);
    if (s->total_limit_ms)
        return not_implemented(r, "job_spec", "total_limit_ms", (long long)s->total_limit_ms);
    if (s->retries < -1)
        return brk_refuse(r, BFORK_EINVAL, "retries", "job_spec: field retries is %d; it is -1 (at most once), 0 or more",
                          s->retries);
    if (s->retry_on & ~RETRY_BITS)
        return brk_refuse(r, BFORK_EINVAL, "retry_on",
                          "job_spec: field retry_on is 0x%x; bits 1 (failed) to 5 (over memory) can be retried, others not",
                          s->retry_on);
    if (s->streamed && !(s->needs & WIRE_FEATURE_STREAM))
        return brk_refuse(r, BFORK_EINVAL, "needs",
                          "job_spec: field needs is 0x%llx; with streamed it has bit 1 (2), the feature that is",
                          (unsigned long long)s->needs);
    return 0;
}

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

/* ---- handles that were used -------------------------------------------------------------------------------------------------- */

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
