/* SPDX-License-Identifier: MPL-2.0
 * lane.c - one lane for each granted pool: granted, shrunk, forgotten, started again, failed, kept warm, evicted.
 *
 * COLD -> STARTING -> READY. A template that ends, or cannot be started for want of something that may be there in a moment, is
 * started again after a pause (BACKOFF -> STARTING); its tasks wait, and those that it was running are run again, LOST_STARTS times
 * in all. Only when that was of no use TEMPLATE_STARTS times without a result, or the program itself cannot run, the pool fails
 * here (FAILED).
 *
 * A lane without slots and attempts is idle: its template stays until more than idle_lanes of them are there, the longest idle goes
 * first. A lane whose pool the broker forgot is unbound and is found again by (digest of the specification, owner).
 *
 * A lane that nothing runs or waits in is quiet, with slots or without: it yields when its program's memory is needed by another
 * one. If it has slots it goes as a lane does for whose program there is no room: the broker hears "not now" (POOL_FAILED with
 * EAGAIN), takes the slots back, and grants others, here or elsewhere, when there is work. No death of its template is counted.
 */
#include "internal.h"

#include "bfork.h"
#include "wire/times.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void wrk_lane_dirty(struct worker *w, struct lane *l)
{
    if (!list_in(&l->dirty))
        list_push_back(&w->dirty, &l->dirty);
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

static struct lane *lane_new(struct worker *w, const struct wire_grant *g)
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
    do
        l->id = ++w->last_lane;
    while (l->id == 0 || map_get(&w->by_lane, l->id));
    map_put(&w->by_lane, l->id, l);
    list_push_back(&w->lanes, &l->all);
    l->idle_since = w->now;
    return l;
}

static void forget_procs(struct worker *w, struct lane *l)
{
    for (struct list_node *n; (n = list_first(&l->procs));) {
        struct proc *p = LIST_ENTRY(n, struct proc, in_lane);

        for (struct list_node *m; (m = list_last(&p->attempts));) {
            struct attempt *a = LIST_ENTRY(m, struct attempt, node);

            wrk_attempt_unpush(a, a->next);
            wrk_proc_detach(p, a);
            if (a->dead)
                wrk_attempt_free(w, a);
            else
                wrk_attempt_queue_front(w, a);
        }
        wrk_proc_forget(w, p);
    }
}

/* The template and its processes go; attempts stay in the queue, which is the caller's business. */
static void lane_stop(struct worker *w, struct lane *l)
{
    if (l->state == LANE_STARTING || l->state == LANE_READY)
        wrk_effect_add(w, WORKER_LANE_STOP)->lane = l->id;
    l->state = LANE_COLD;
    forget_procs(w, l);
}

static void jobs_unbind(struct worker *w, struct lane *l)
{
    for (uint32_t k = 0; k < l->n_jobs; k++)
        if (l->jobs[k])
            wrk_job_unbind(w, l->jobs[k]);
}

static void lane_unbind(struct worker *w, struct lane *l)
{
    if (l->bound)
        map_take(&w->by_pool, l->pool);
    l->bound = false;
    jobs_unbind(w, l);
}

void wrk_lane_free(struct worker *w, struct lane *l)
{
    lane_stop(w, l);
    for (LIST_EACH_SAFE(&w->attempts, n, after)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, all);

        if (l->n_attempts && a->job->lane == l)
            wrk_attempt_free(w, a);
    }
    lane_unbind(w, l);
    wrk_said_leave(w, l);
    map_take(&w->by_lane, l->id);
    list_remove(&w->lanes, &l->all);
    if (list_in(&l->dirty))
        list_remove(&w->dirty, &l->dirty);
    buf_unref(&l->spec);
    free(l->jobs);
    free(l);
}

static bool lane_idle(const struct lane *l)
{
    return l->slots == 0 && l->n_attempts == 0;
}

/* Its processes run their finalizers; one that takes too long is not waited for. */
static bool lane_is_over(const struct worker *w, const struct lane *l)
{
    bool stopping = false;

    for (LIST_EACH(&l->procs, n))
        stopping |= LIST_ENTRY(n, struct proc, in_lane)->state == PROC_STOPPING;
    return stopping && w->now - l->idle_since < STOP_NS;
}

/* Warm templates beyond idle_lanes, and lanes that nobody can find any more. */
void wrk_lane_evict(struct worker *w)
{
    w->evict = false;
    for (;;) {
        struct lane *oldest = NULL;
        uint32_t warm = 0;

        for (LIST_EACH_SAFE(&w->lanes, n, after)) {
            struct lane *l = LIST_ENTRY(n, struct lane, all);

            if (!lane_idle(l))
                continue;
            if (!l->bound && l->state != LANE_READY) {
                wrk_lane_free(w, l);
                continue;
            }
            if (l->state != LANE_READY && l->state != LANE_STARTING)
                continue;
            warm++;
            if (!lane_is_over(w, l) && (!oldest || l->idle_since < oldest->idle_since))
                oldest = l;
        }
        if (warm <= w->config.idle_lanes || !oldest)    /* the end of a process calls here again */
            return;
        if (oldest->bound)
            lane_stop(w, oldest);
        else
            wrk_lane_free(w, oldest);
    }
}

static void became_idle(struct worker *w, struct lane *l)
{
    l->idle_since = w->now;
    w->evict = true;
    if (l->stale)
        lane_unbind(w, l);
}

void wrk_lane_released(struct worker *w, struct lane *l)
{
    if (!l->bound && l->slots) {
        l->slots = 0;       /* kept for work of an earlier epoch only */
        w->staff = true;
    }
    if (lane_idle(l))
        became_idle(w, l);
}

static void start_lane(struct worker *w, struct lane *l)
{
    struct worker_effect *e = wrk_effect_add(w, WORKER_LANE_START);

    l->state = LANE_STARTING;
    l->bad_starts = 0;
    l->scarce = 0;
    l->tell_failed = false;
    e->lane = l->id;
    e->spec = wire_bin_of(l->spec->data, l->spec->size);
    e->owner = wire_bin_of(l->owner, WIRE_KEY);
    e->digest = wire_bin_of(l->digest, WIRE_DIGEST);
    wrk_effect_keep(w, slice_of(l->spec, 0, l->spec->size));
}

/* Processes beyond the grant finish what they have begun and are fed no more. */
static void park_processes(struct worker *w, struct lane *l)
{
    uint32_t over = l->busy > l->slots ? l->busy - l->slots : 0;

    for (LIST_EACH(&l->procs, n)) {
        struct proc *p = LIST_ENTRY(n, struct proc, in_lane);
        bool was = p->parked;

        if (p->state != PROC_READY || list_empty(&p->attempts))
            continue;
        p->parked = over > 0;
        over -= over > 0;
        if (p->parked && !was)
            wrk_proc_retract(w, p, p->pending);
        if (p->state == PROC_READY)
            wrk_proc_place(p);
    }
}

/* Its specification asks for what this release does not know: that is told by name, and nothing of the pool runs here. The lane is
 * there for what the broker has sent before it hears so. */
static void lane_refuse(struct worker *w, struct lane *l)
{
    char why[sizeof(l->fail_text)];

    memcpy(why, l->fail_text, sizeof(why));
    wrk_lane_fail(w, l, l->unfit, "pool_spec", why);
}

static void set_slots(struct worker *w, struct lane *l, uint32_t slots)
{
    bool was_idle = lane_idle(l), stands = l->state != LANE_COLD && l->state != LANE_FAILED;

    l->slots = slots;
    if (slots && !stands && l->unfit)
        lane_refuse(w, l);
    else if (slots && !stands)
        start_lane(w, l);
    park_processes(w, l);
    w->staff = true;
    wrk_lane_dirty(w, l);
    if (lane_idle(l) && !was_idle)
        became_idle(w, l);
}

void wrk_lane_unbind_all(struct worker *w)
{
    for (LIST_EACH_SAFE(&w->lanes, n, after)) {
        struct lane *l = LIST_ENTRY(n, struct lane, all);

        lane_unbind(w, l);
        if (l->n_attempts == 0 && l->slots) {
            l->slots = 0;
            l->idle_since = w->now;
            w->staff = true;
        }
    }
    w->evict = true;
}

void wrk_lane_stale_all(struct worker *w)
{
    for (LIST_EACH(&w->lanes, n)) {
        struct lane *l = LIST_ENTRY(n, struct lane, all);

        l->stale = true;
        jobs_unbind(w, l);
        wrk_lane_dirty(w, l);
    }
}

/* The broker may have given up its pool meanwhile, and would not say so. */
void wrk_lane_unbind_idle(struct worker *w)
{
    for (LIST_EACH(&w->lanes, n)) {
        struct lane *l = LIST_ENTRY(n, struct lane, all);

        if (l->bound && lane_idle(l))
            lane_unbind(w, l);
    }
    w->evict = true;
}

void wrk_lane_expire(struct worker *w, struct lane *l)
{
    if (!l->stale || !l->slots || l->busy || !list_empty(&l->queue))
        return;
    set_slots(w, l, 0);
    w->again = true;
}

static bool has_strangers(const struct lane *l)
{
    for (uint32_t k = 0; k < l->n_jobs; k++)
        if (l->jobs[k] && !l->jobs[k]->bound)
            return true;
    return false;
}

/* A job that was not described on this connection may be of another pool: this lane was found by digest and owner, which pools may
 * have in common. The broker looks for what runs and waits of it where that pool has slots, and would not ask for it when there are
 * none here. So what has not begun goes back, and what runs goes on until the broker closes it. */
static void strangers_leave(struct worker *w, struct lane *l)
{
    if (!has_strangers(l))
        return;
    for (LIST_EACH_SAFE(&w->attempts, n, after)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, all);

        if (a->job->lane == l && !a->job->bound)
            wrk_attempt_hand_back(w, a);
    }
}

/* The pool is no more: nothing of it is wanted. Its processes end in an orderly way, its template stays warm for the next one. */
static void lane_forget(struct worker *w, struct lane *l)
{
    for (LIST_EACH_SAFE(&w->attempts, n, after)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, all);

        if (a->job->lane == l && a->job->bound)
            wrk_attempt_kill(w, a);
    }
    strangers_leave(w, l);
    for (LIST_EACH(&l->procs, n)) {
        struct proc *p = LIST_ENTRY(n, struct proc, in_lane);

        if (list_empty(&p->attempts))
            wrk_proc_stop(w, p);
    }
    lane_unbind(w, l);
    l->slots = 0;
    if (lane_idle(l))
        became_idle(w, l);
}

static struct lane *find_unbound_lane(const struct worker *w, const struct wire_grant *g)
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

void wrk_lane_grant(struct worker *w, const struct wire_grant *g)
{
    struct lane *l = map_get(&w->by_pool, g->pool);

    if (g->slots == 0 && g->spec.n == 0) {
        if (l)
            lane_forget(w, l);
        return;
    }
    if (l && g->digest.n == WIRE_DIGEST && memcmp(l->digest, g->digest.p, WIRE_DIGEST) != 0) {
        lane_forget(w, l);      /* the handle was given to another pool */
        l = NULL;
    }
    if (!l) {
        if (!g->slots)          /* forgotten: nothing is kept, and the specification is not there */
            return;
        if (!(l = find_unbound_lane(w, g)) && !(l = lane_new(w, g)))
            return;
        if (map_put(&w->by_pool, g->pool, l) < 0) {
            wrk_link_drop(w, "out of memory");
            return;
        }
        wrk_said_leave(w, l);
        l->bound = true;
        l->pool = g->pool;
    }
    l->stale = false;
    set_slots(w, l, g->slots);
    if (!g->slots)
        strangers_leave(w, l);
}

void worker_lane_ready(struct worker *w, uint64_t now, worker_lane lane)
{
    struct lane *l = map_get(&w->by_lane, lane);

    w->now = now;
    if (!l || l->state != LANE_STARTING)
        return;
    l->state = LANE_READY;
    w->staff = true;
}

void wrk_lane_tell(struct worker *w, struct lane *l)
{
    if (w->link != LINK_UP || !l->bound)
        return;
    struct wire_str stage = wrk_effect_str(w, l->fail_stage), text = wrk_effect_str(w, l->fail_text);
    struct wire_msg *m = wrk_link_send(w, WIRE_POOL_FAILED);

    m->u.pool_failed = (struct wire_pool_failed){ l->pool, l->fail_code, stage, text };
    l->tell_failed = false;
}

/* Is the task `next` run again? It was running when its template ended. */
static bool may_run_again(struct attempt *a)
{
    if (a->job->at_most_once)
        return false;
    if (a->lost && a->lost_at != a->next)
        a->lost = 0;
    a->lost_at = a->next;
    if (a->lost + a->tries + 1 >= LOST_STARTS)
        return false;
    a->lost++;
    return true;
}

/* A process whose template is gone is gone too; what it was running may have begun and says so. */
static void lose_running(struct worker *w, struct lane *l)
{
    for (LIST_EACH(&l->procs, n)) {
        struct proc *p = LIST_ENTRY(n, struct proc, in_lane);
        struct list_node *m = list_first(&p->attempts);
        struct attempt *a = m ? LIST_ENTRY(m, struct attempt, node) : NULL;
        struct wire_outcome o = { .kind = BFORK_LOST, .message = WIRE_STR("the template of its task process ended") };

        if (!p->pending || !a || a->dead || may_run_again(a))
            continue;
        if (a->job->at_most_once)
            o.kind = BFORK_UNKNOWN;
        o.index = a->next;
        o.stage = WIRE_STR(l->fail_stage);
        if (!wrk_record_outcome(w, a, &o)) {
            wrk_attempt_lost(w, a);
            continue;
        }
        a->next++;
        p->pending--;
    }
}

/* It ends here, the broker hears why, and its tasks go back. */
static void lane_leave(struct worker *w, struct lane *l, int32_t code, const char *stage, const char *text)
{
    l->fail_code = code;
    snprintf(l->fail_stage, sizeof(l->fail_stage), "%s", stage);
    snprintf(l->fail_text, sizeof(l->fail_text), "%s", text);
    lose_running(w, l);
    lane_stop(w, l);
    l->state = LANE_FAILED;
    l->tell_failed = true;
    w->staff = true;
    for (LIST_EACH_SAFE(&l->queue, n, after)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, node);

        if (a->next == a->end)
            wrk_attempt_finish(w, a);
        else
            wrk_attempt_return(w, a, a->next);
    }
    wrk_lane_tell(w, l);
    if (!l->bound)
        wrk_lane_released(w, l);
}

void wrk_lane_fail(struct worker *w, struct lane *l, int32_t code, const char *stage, const char *text)
{
    wrk_effect_log_of(w, l->owner, LOG_ERROR_, "a pool cannot run here (%s): %s", stage, text);
    l->deaths = 0;
    lane_leave(w, l, code, stage, text);
}

void worker_lane_not_now(struct worker *w, uint64_t now, worker_lane lane, const char *stage, const char *text)
{
    struct lane *l = map_get(&w->by_lane, lane);

    w->now = now;
    if (!l || l->state != LANE_STARTING)
        return;
    wrk_effect_log_of(w, l->owner, LOG_INFO_, "a pool cannot run here now (%s): %s", stage, text);
    lane_leave(w, l, BFORK_EAGAIN, stage, text);
}

uint64_t worker_lane_quiet(const struct worker *w, worker_lane lane)
{
    const struct lane *l = map_get(&w->by_lane, lane);

    if (!l || l->busy || !list_empty(&l->queue) || lane_is_over(w, l) || (l->state == LANE_STARTING && l->slots))
        return CLOCK_NEVER;
    return l->idle_since;
}

void worker_lane_yield(struct worker *w, uint64_t now, worker_lane lane, const char *text)
{
    struct lane *l = map_get(&w->by_lane, lane);

    w->now = now;
    if (!l || worker_lane_quiet(w, lane) == CLOCK_NEVER || (l->state != LANE_READY && l->state != LANE_STARTING))
        return;
    w->again = true;                    /* what is to be stopped is performed soon */
    if (l->slots)
        lane_leave(w, l, BFORK_EAGAIN, "fetch", text);
    else if (l->bound || l->n_attempts)
        lane_stop(w, l);
    else
        wrk_lane_free(w, l);
}

static void back_off_until(struct worker *w, struct lane *l)
{
    uint64_t pause = TIME_TEMPLATE_FIRST_MS * CLOCK_MS;

    for (uint32_t k = 1; k < l->deaths && pause < TIME_TEMPLATE_MOST_MS * CLOCK_MS; k++)
        pause *= 2;
    l->again_at = w->now + (pause < TIME_TEMPLATE_MOST_MS * CLOCK_MS ? pause : TIME_TEMPLATE_MOST_MS * CLOCK_MS);
    if (l->again_at < w->backoff_at)
        w->backoff_at = l->again_at;
}

static void lane_back_off(struct worker *w, struct lane *l, const char *stage, const char *text)
{
    char said[512];

    if (++l->deaths >= TEMPLATE_STARTS) {
        snprintf(said, sizeof(said), "its template was started %u times without a result: %.400s", l->deaths, text);
        wrk_lane_fail(w, l, BFORK_REFUSED, stage, said);
        return;
    }
    snprintf(l->fail_stage, sizeof(l->fail_stage), "%s", stage);
    lose_running(w, l);
    lane_stop(w, l);
    for (LIST_EACH_SAFE(&l->queue, n, after))           /* the lost task was the attempt's last */
        if (LIST_ENTRY(n, struct attempt, node)->next == LIST_ENTRY(n, struct attempt, node)->end)
            wrk_attempt_finish(w, LIST_ENTRY(n, struct attempt, node));
    l->state = LANE_BACKOFF;
    back_off_until(w, l);
    wrk_effect_log(w, LOG_WARNING_, "%s: its pool is started again here in %u ms", text,
                   (unsigned)((l->again_at - w->now) / CLOCK_MS));
    if (lane_idle(l))
        became_idle(w, l);
}

/* Templates whose pause is over are started again, if somebody still wants them. */
void wrk_lane_tick(struct worker *w)
{
    w->backoff_at = CLOCK_NEVER;
    for (LIST_EACH(&w->lanes, n)) {
        struct lane *l = LIST_ENTRY(n, struct lane, all);

        if (l->state != LANE_BACKOFF)
            continue;
        if (l->again_at > w->now)
            w->backoff_at = l->again_at < w->backoff_at ? l->again_at : w->backoff_at;
        else if (lane_idle(l))
            l->state = LANE_COLD;
        else
            start_lane(w, l);
    }
}

void worker_lane_failed(struct worker *w, uint64_t now, worker_lane lane, int32_t code, const char *stage, const char *text)
{
    struct lane *l = map_get(&w->by_lane, lane);

    w->now = now;
    if (!l || (l->state != LANE_STARTING && l->state != LANE_READY))
        return;
    if (l->state == LANE_READY || code == BFORK_EAGAIN || code == BFORK_ENOMEM)
        lane_back_off(w, l, stage, text);
    else
        wrk_lane_fail(w, l, code, stage, text);
}
