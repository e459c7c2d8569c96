/* SPDX-License-Identifier: MPL-2.0
 * lane.c - lanes as objects: one for each granted pool, made, found, bound to a handle of the broker, idle.
 *
 * A lane without slots and attempts is idle. A lane whose pool the broker forgot is unbound and is found again by (digest of the
 * specification, owner). Which lanes start and end is decided above.
 */
#include "model/model.h"

#include "base/moves.h"
#include "bfork.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STOP_NS (2 * CLOCK_SEC)         /* lanes whose processes are told to end are left alone so long */

static const char *const lane_states[] = { "COLD", "STARTING", "READY", "BACKOFF", "FAILED", "GONE" };
static const char *const lane_events[] = { "START", "CAME_UP", "PAUSE", "REST", "FAIL", "STOP", "END" };

/* What a template says may come when it has been told to stop. COLD and FAILED fail with a specification that cannot be run here:
 * that is known without a template. */
static const uint8_t lane_cells[LANE_STATES][LANE_EVENTS] = {
    [LANE_COLD] = { [LANE_START] = TO(LANE_STARTING), [LANE_CAME_UP] = MOVES_LATE, [LANE_FAIL] = TO(LANE_FAILED),
                    [LANE_END] = TO(LANE_GONE) },
    [LANE_STARTING] = { [LANE_CAME_UP] = TO(LANE_READY), [LANE_PAUSE] = TO(LANE_BACKOFF), [LANE_FAIL] = TO(LANE_FAILED),
                        [LANE_STOP] = TO(LANE_COLD), [LANE_END] = TO(LANE_GONE) },
    [LANE_READY] = { [LANE_CAME_UP] = MOVES_LATE, [LANE_PAUSE] = TO(LANE_BACKOFF), [LANE_FAIL] = TO(LANE_FAILED),
                     [LANE_STOP] = TO(LANE_COLD), [LANE_END] = TO(LANE_GONE) },
    [LANE_BACKOFF] = { [LANE_START] = TO(LANE_STARTING), [LANE_CAME_UP] = MOVES_LATE, [LANE_REST] = TO(LANE_COLD),
                       [LANE_END] = TO(LANE_GONE) },
    [LANE_FAILED] = { [LANE_START] = TO(LANE_STARTING), [LANE_CAME_UP] = MOVES_LATE, [LANE_FAIL] = TO(LANE_FAILED),
                      [LANE_END] = TO(LANE_GONE) },
};
static const struct moves lane_moves = MOVES("a lane", lane_states, lane_events, lane_cells);

bool wrk_lane_move(struct lane *l, enum lane_event event)
{
    unsigned to;

    if (!moves_next(&lane_moves, l->state, event, &to))
        return false;
    l->state = to;
    return true;
}

void wrk_lane_dirty(struct worker *w, struct lane *l)
{
    if (!list_in(&l->dirty))
        list_push_back(&w->dirty, &l->dirty);
}

void wrk_lanes_dirty(struct worker *w)
{
    for (LIST_EACH(&w->lanes, n))
        wrk_lane_dirty(w, LIST_ENTRY(n, struct lane, all));
}

uint32_t wrk_lanes_busy(const struct worker *w)
{
    uint32_t busy = 0;

    for (LIST_EACH(&w->lanes, n))
        busy += LIST_ENTRY(n, struct lane, all)->busy;
    return busy;
}

static int spec_read(const struct wire_grant *g, struct wire_pool_spec *spec, struct err *e)
{
    int rc;

    if (g->digest.n != WIRE_DIGEST || g->owner.n != WIRE_KEY)
        return err_set(e, BFORK_EPROTOCOL, "the broker granted a pool without saying which");
    if ((rc = wire_pool_spec_decode(g->spec.p, g->spec.n, spec, e)) < 0)
        return rc;
    if (spec->needs & ~WIRE_FEATURES)
        return err_set(e, BFORK_ENOTSUP, "pool_spec: field needs asks for features 0x%llx, which this worker does not have",
                       (unsigned long long)(spec->needs & ~WIRE_FEATURES));
    return 0;
}

/* Now, not when they are due: a finalizer is due when all tasks have run. The broker passes them on unread. */
static int hooks_read(const struct wire_pool_spec *s, struct err *e)
{
    const struct { const char *field; struct wire_bin fn; } hooks[] = {
        { "preload", s->preload }, { "initializer", s->initializer }, { "finalizer", s->finalizer },
    };

    for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
        struct wire_fn fn;
        struct err why = { 0 };
        if (!hooks[i].fn.n)
            continue;
        if (wire_fn_decode(hooks[i].fn.p, hooks[i].fn.n, &fn, &why) < 0)
            return err_set(e, why.code, "pool_spec: field %s: %s", hooks[i].field, why.text);
        if (fn.kind == WIRE_FN_COMMAND)
            return err_set(e, BFORK_EINVAL, "pool_spec: field %s: a command (kind %u) runs tasks only; name a function",
                           hooks[i].field, WIRE_FN_COMMAND);
    }
    return 0;
}

struct lane *wrk_lane_new(struct worker *w, const struct wire_grant *g)
{
    struct wire_pool_spec spec = { 0 };
    struct err e = { 0 };
    struct lane *l;
    int rc;

    if ((rc = spec_read(g, &spec, &e)) < 0 && rc != BFORK_ENOTSUP) {
        wrk_link_drop(w, e.text);
        return NULL;
    }
    if (rc == 0)
        rc = hooks_read(&spec, &e);
    if (!(l = calloc(1, sizeof(*l))) || !(l->spec = buf_new(g->spec.n ? g->spec.n : 1)) || map_reserve(&w->by_lane, 1) < 0) {
        if (l)
            buf_unref(&l->spec);
        free(l);
        wrk_link_drop(w, "out of memory");
        return NULL;
    }
    memcpy(l->spec->data, g->spec.p, g->spec.n);
    l->spec->size = g->spec.n;
    memcpy(l->digest, g->digest.p, WIRE_DIGEST);
    memcpy(l->owner, g->owner.p, WIRE_KEY);
    l->max_tasks = spec.max_tasks;
    l->unfit = rc;
    snprintf(l->fail_text, sizeof(l->fail_text), "%s", e.text);
    list_init(&l->procs);
    list_init(&l->idle);
    list_init(&l->hungry);
    list_init(&l->partial);
    list_init(&l->queue);
    l->id = wrk_number_next(&w->by_lane, &w->last_lane);
    map_put(&w->by_lane, l->id, l);
    list_push_back(&w->lanes, &l->all);
    l->idle_since = w->now;
    return l;
}

void wrk_lane_unbind_jobs(struct worker *w, struct lane *l)
{
    for (uint32_t k = 0; k < l->n_jobs; k++)
        if (l->jobs[k])
            wrk_job_unbind(w, l->jobs[k]);
}

void wrk_lane_unbind(struct worker *w, struct lane *l)
{
    if (l->bound)
        map_take(&w->by_pool, l->pool);
    l->bound = false;
    wrk_lane_unbind_jobs(w, l);
}

bool wrk_lane_idle(const struct lane *l)
{
    return l->slots == 0 && l->n_attempts == 0;
}

/* Its processes run their finalizers; one that takes too long is not waited for. */
bool wrk_lane_is_over(const struct worker *w, const struct lane *l)
{
    bool stopping = false;

    for (LIST_EACH(&l->procs, n))
        stopping |= wrk_proc_is_stopping(LIST_ENTRY(n, struct proc, in_lane));
    return stopping && w->now - l->idle_since < STOP_NS;
}

void wrk_lane_became_idle(struct worker *w, struct lane *l)
{
    l->idle_since = w->now;
    w->evict = true;
    if (l->stale)
        wrk_lane_unbind(w, l);
}

void wrk_lane_released(struct worker *w, struct lane *l)
{
    if (!l->bound && l->slots) {
        l->slots = 0;       /* kept for work of an earlier epoch only */
        w->staff = true;
    }
    if (wrk_lane_idle(l))
        wrk_lane_became_idle(w, l);
}

struct lane *wrk_lane_find_unbound(const struct worker *w, const struct wire_grant *g)
{
    if (g->digest.n != WIRE_DIGEST || g->owner.n != WIRE_KEY)
        return NULL;
    for (LIST_EACH(&w->lanes, n)) {
        struct lane *l = LIST_ENTRY(n, struct lane, all);

        if (!l->bound && memcmp(l->digest, g->digest.p, WIRE_DIGEST) == 0 && memcmp(l->owner, g->owner.p, WIRE_KEY) == 0)
            return l;
    }
    return NULL;
}
