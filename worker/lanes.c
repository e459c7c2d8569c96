/* SPDX-License-Identifier: MPL-2.0
 * lanes.c - see lanes.h: the lanes and task processes of a worker's slots. Never decides what runs where: that is the core's.
 * Failures to start something are kept and told to the core by the next step, so the core's effects are never changed while they
 * are performed.
 */
#include "lanes.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "base/pace.h"
#include "bfork.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLAIM_NS 75000u             /* what a process takes at once */
#define CLAIM_MAX 32768u
#define LOST_MAX 64
#define BULK_NS 1000000u            /* rings with more expected work than this are looked at when they are half empty */

enum thing_kind { THING_LANE, THING_PROC };

struct thing { enum thing_kind kind; };     /* first member of what exec gives back in its callbacks */

struct job_info { uint64_t digest, mean_ns; bool one; };

/* Lanes and processes are twofold: in the core, which decides about them, and here, where they exist as a template and as a process
 * of the system. Both sides know them by the core's numbers. */
struct real_lane {
    struct thing thing;
    worker_lane id;
    struct buf *spec;               /* owned */
    struct exec_template *t;        /* NULL: program not there yet, or failed */
    struct job_info *jobs;          /* by the core's numbers */
    uint32_t n_jobs;
    struct err failure;             /* for the next step */
    char stage[32];
    bool not_now;                   /* the failure may be over soon: the broker tries again */
    struct list_node failed;
};

struct real_proc {
    struct thing thing;
    worker_proc id;
    struct real_lane *lane;
    struct exec_proc *p;            /* NULL: it could not be started */
    uint64_t mean_ns;               /* of the job pushed last */
    struct list_node busy;          /* while results are to come */
    struct list_node failed;
    struct err failure;
};

struct lanes {
    struct lanes_config config;
    struct exec *exec;
    struct worker *worker;
    struct map lanes, procs;
    struct list busy, failed_lanes, failed_procs;
    uint64_t now;
    bool told;
    uint32_t n_lost;
    struct { worker_lane lane; worker_proc proc; } lost[LOST_MAX];      /* no memory to start them: the next step says so */
};

/* ---- callbacks of exec ----------------------------------------------------------------------- */

static struct real_lane *lane_of(void *user)
{
    struct thing *t = user;

    return t->kind == THING_LANE ? (struct real_lane *)user : ((struct real_proc *)user)->lane;
}

static void measure_proc(struct real_proc *p, const struct wire_item *i)
{
    struct job_info *j = i->job < p->lane->n_jobs ? &p->lane->jobs[i->job] : NULL;

    if (!j || !i->sum_ns)
        return;
    p->mean_ns = j->mean_ns = pace_add(j->mean_ns, i->sum_ns, i->count);
}

static void pull(struct lanes *s, struct real_proc *p)
{
    struct wire_item i;

    for (;;) {
        memset(&i, 0, sizeof(i));
        if (!exec_pull(p->p, &i))
            break;
        measure_proc(p, &i);
        s->told = true;
        worker_proc_results(s->worker, s->now, p->id, &i);
    }
    if (list_in(&p->busy) && exec_pending(p->p) == 0)
        list_remove(&s->busy, &p->busy);
}

static void on_template_ready(void *ctx, void *user)
{
    struct lanes *s = ctx;

    s->told = true;
    worker_lane_ready(s->worker, s->now, lane_of(user)->id);
}

static void on_template_failed(void *ctx, void *user, int code, const char *stage, const char *text)
{
    struct lanes *s = ctx;
    struct real_lane *l = lane_of(user);

    uint64_t key;
    void *value;

    for (size_t i = 0; map_next(&s->procs, &i, &key, &value);) {     /* its processes go with it, and nobody reports them */
        struct real_proc *p = value;

        if (p->lane != l || !p->p)
            continue;
        pull(s, p);
        if (list_in(&p->busy))
            list_remove(&s->busy, &p->busy);
        p->p = NULL;
    }
    l->t = NULL;
    s->told = true;
    worker_lane_failed(s->worker, s->now, l->id, code, stage, text);
}

static void on_proc_ready(void *ctx, void *user)
{
    struct lanes *s = ctx;

    s->told = true;
    worker_proc_ready(s->worker, s->now, ((struct real_proc *)user)->id);
}

static void proc_drop(struct lanes *s, struct real_proc *p)
{
    if (list_in(&p->busy))
        list_remove(&s->busy, &p->busy);
    if (list_in(&p->failed))
        list_remove(&s->failed_procs, &p->failed);
    map_take(&s->procs, p->id);
    free(p);
}

static struct wire_str str(const char *text)
{
    size_t n = strlen(text);

    return (struct wire_str){ text, n < WIRE_TEXT_MAX ? (uint32_t)n : WIRE_TEXT_MAX };
}

static void on_proc_died(void *ctx, void *user, const struct wire_outcome *o)
{
    struct lanes *s = ctx;
    struct real_proc *p = user;

    pull(s, p);
    s->told = true;
    worker_proc_died(s->worker, s->now, p->id, o);
    proc_drop(s, p);
}

static void pass_output(void *ctx, void *user, const struct exec_print *k)
{
    struct lanes *s = ctx;
    const struct thing *t = user;
    const struct real_proc *p = t->kind == THING_PROC ? user : NULL;
    struct worker_print out = { .stream = k->stream, .bytes = k->bytes, .size = k->size, .cut = k->cut, .limit = k->limit,
                                .pid = p && p->p ? (uint32_t)exec_proc_pid(p->p) : 0 };

    s->told = true;
    if (p && k->in_task && worker_output(s->worker, s->now, p->id, k->ahead, &out))
        return;
    if (s->config.output && k->size)
        s->config.output(s->config.ctx, out.pid, k->stream, k->bytes, k->size);
}

static bool on_output_room(void *ctx, void *user)
{
    const struct lanes *s = ctx;
    const struct thing *t = user;

    return t->kind != THING_PROC || worker_output_room(s->worker, ((const struct real_proc *)user)->id);
}

/* ---- what the core asks at once -------------------------------------------------------------- */

static uint32_t claim_for(const struct job_info *j, uint32_t count)
{
    uint64_t n = j && !j->one && j->mean_ns ? CLAIM_NS / j->mean_ns : 1;

    if (n > CLAIM_MAX)
        n = CLAIM_MAX;
    if (n > count)
        n = count;
    return n ? (uint32_t)n : 1;
}

static uint32_t op_push(void *ctx, worker_proc proc, uint32_t job, const struct wire_item *item)
{
    struct lanes *s = ctx;
    struct real_proc *p = map_get(&s->procs, proc);
    const struct job_info *j;
    uint32_t n;

    if (!p || !p->p)
        return 0;
    j = job < p->lane->n_jobs ? &p->lane->jobs[job] : NULL;
    p->mean_ns = j ? j->mean_ns : 0;
    n = exec_push(p->p, job, item, claim_for(j, item->count), false);
    if (n && !list_in(&p->busy))
        list_push_back(&s->busy, &p->busy);
    return n;
}

/* What is known about a job is forgotten when its number goes to another one. */
static int note_job(struct real_lane *l, uint32_t job, struct wire_bin spec)
{
    struct wire_job_spec decoded;
    uint64_t digest = map_hash_bytes(spec.p, spec.n);

    if (job >= l->n_jobs) {
        uint32_t n = job + 16;
        struct job_info *p = realloc(l->jobs, n * sizeof(*p));

        if (!p)
            return BASE_ENOMEM;
        memset(p + l->n_jobs, 0, (n - l->n_jobs) * sizeof(*p));
        l->jobs = p;
        l->n_jobs = n;
    }
    if (l->jobs[job].digest == digest)
        return 0;
    if (wire_job_spec_decode(spec.p, spec.n, &decoded, NULL) < 0)
        return BFORK_EPROTOCOL;
    l->jobs[job] = (struct job_info){ digest, 0, decoded.retries < 0 };
    return 0;
}

static int op_push_job(void *ctx, worker_proc proc, uint32_t job, struct wire_bin spec)
{
    struct lanes *s = ctx;
    struct real_proc *p = map_get(&s->procs, proc);
    int rc;

    if (!p || !p->p)
        return BFORK_EAGAIN;
    if ((rc = note_job(p->lane, job, spec)) < 0)
        return rc;
    return exec_push_job(p->p, job, spec.p, spec.n);
}

static uint32_t op_retract(void *ctx, worker_proc proc, uint32_t max)
{
    struct lanes *s = ctx;
    struct real_proc *p = map_get(&s->procs, proc);

    return p && p->p ? exec_retract(p->p, max) : 0;
}

const struct worker_ops *lanes_ops(void)
{
    static const struct worker_ops ops = { op_push, op_push_job, op_retract };

    return &ops;
}

/* ---- creation -------------------------------------------------------------------------------- */

int lanes_new(const struct lanes_config *c, struct lanes **ret, struct err *e)
{
    static const struct exec_callbacks callbacks = { on_template_ready, on_template_failed, on_proc_ready, on_proc_died,
                                                     pass_output, on_output_room };
    struct lanes *s = calloc(1, sizeof(*s));
    struct exec_config xc = { .callbacks = &callbacks, .ctx = s, .runner = c->runner, .symbols = c->symbols,
        .output_limit = c->output_limit, .hide_secrets = c->hide_secrets, .adopt = c->adopt, .work_dir = c->work_dir };
    int rc;

    *ret = NULL;
    if (!s)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    s->config = *c;
    s->config.runner = s->config.symbols = s->config.work_dir = NULL;   /* exec has copies */
    list_init(&s->busy);
    list_init(&s->failed_lanes);
    list_init(&s->failed_procs);
    if ((rc = exec_new(&xc, &s->exec, e)) < 0) {
        free(s);
        return rc;
    }
    s->now = clock_now();
    *ret = s;
    return 0;
}

void lanes_attach(struct lanes *s, struct worker *w)
{
    s->worker = w;
}

static void lane_drop(struct lanes *s, struct real_lane *l)
{
    if (l->t)
        exec_template_stop(l->t);
    for (;;) {                      /* processes of the lane: exec says nothing more about them */
        struct real_proc *found = NULL;
        uint64_t key;
        void *value;

        for (size_t i = 0; !found && map_next(&s->procs, &i, &key, &value);)
            if (((struct real_proc *)value)->lane == l)
                found = value;
        if (!found)
            break;
        proc_drop(s, found);
    }
    if (list_in(&l->failed))
        list_remove(&s->failed_lanes, &l->failed);
    map_take(&s->lanes, l->id);
    buf_unref(&l->spec);
    free(l->jobs);
    free(l);
}

void lanes_free(struct lanes **ps)
{
    struct lanes *s = *ps;
    uint64_t key;
    void *value;

    if (!s)
        return;
    *ps = NULL;
    for (size_t i = 0; map_next(&s->lanes, &i, &key, &value); i = 0)
        lane_drop(s, value);
    exec_free(&s->exec);
    map_free(&s->lanes);
    map_free(&s->procs);
    free(s);
}

/* ---- effects --------------------------------------------------------------------------------- */

static void lane_failed(struct lanes *s, struct real_lane *l, const char *stage)
{
    snprintf(l->stage, sizeof(l->stage), "%s", stage);
    if (!list_in(&l->failed))
        list_push_back(&s->failed_lanes, &l->failed);
}

static void start_lane_exec(struct lanes *s, worker_lane lane, struct exec_template_spec x)
{
    struct real_lane *l = map_get(&s->lanes, lane);

    x.start_limit_ms = s->config.start_limit_ms;
    if (!l || l->t || list_in(&l->failed))
        return;
    if (wire_pool_spec_decode(l->spec->data, l->spec->size, &x.spec, &l->failure) < 0 ||
        exec_template_start(s->exec, &x, &l->thing, &l->t, &l->failure) < 0) {
        l->t = NULL;
        lane_failed(s, l, "exec");
    }
}

void lanes_program(struct lanes *s, worker_lane lane, const char *path, int fd, const char *library_path)
{
    start_lane_exec(s, lane, (struct exec_template_spec){ .program_fd = path ? -1 : fd, .program_path = path,
                                                                .library_path = library_path });
}

void lanes_fork(struct lanes *s, worker_lane lane, int server)
{
    start_lane_exec(s, lane, (struct exec_template_spec){ .program_fd = -1, .fork_server = server });
}

void lanes_no_program(struct lanes *s, worker_lane lane, int code, const char *stage, const char *text)
{
    struct real_lane *l = map_get(&s->lanes, lane);

    if (!l || l->t)
        return;
    err_set(&l->failure, code, "%s", text);
    l->not_now = code == BFORK_EAGAIN || code == BFORK_ENOMEM;
    lane_failed(s, l, stage);
}

bool lanes_known(const struct lanes *s, worker_lane lane)
{
    return map_get(&s->lanes, lane) != NULL;
}

static void proc_lost(struct lanes *s, worker_lane lane, worker_proc proc)
{
    if (s->n_lost == LOST_MAX)
        return;
    s->lost[s->n_lost].lane = lane;
    s->lost[s->n_lost++].proc = proc;
}

static void start_lane_template(struct lanes *s, const struct worker_effect *e)
{
    struct real_lane *l = map_get(&s->lanes, e->lane);
    struct wire_pool_spec spec = { 0 };

    if (l)
        lane_drop(s, l);            /* it had failed; the core tries again */
    if (!(l = calloc(1, sizeof(*l))) || !(l->spec = buf_new(e->spec.n ? e->spec.n : 1)) || map_put(&s->lanes, e->lane, l) < 0) {
        if (l)
            buf_unref(&l->spec);
        free(l);
        proc_lost(s, e->lane, 0);
        return;
    }
    l->thing.kind = THING_LANE;
    l->id = e->lane;
    memcpy(l->spec->data, e->spec.p, e->spec.n);
    l->spec->size = e->spec.n;
    if (wire_pool_spec_decode(l->spec->data, l->spec->size, &spec, &l->failure) < 0)
        lane_failed(s, l, "spec");
    else if (spec.program.n == 0)
        lanes_program(s, l->id, NULL, -1, NULL);
    else if (s->config.resolve)
        s->config.resolve(s->config.ctx, l->id, e->owner, &spec);
    else
        lanes_no_program(s, l->id, BFORK_REFUSED, "fetch",
                         "programs are not run here, only functions of shared objects and commands");
}

static void proc_start(struct lanes *s, const struct worker_effect *e)
{
    struct real_lane *l = map_get(&s->lanes, e->lane);
    struct real_proc *p = calloc(1, sizeof(*p));

    if (!p || !l || map_put(&s->procs, e->proc, p) < 0) {
        free(p);
        proc_lost(s, e->lane, e->proc);
        return;
    }
    p->thing.kind = THING_PROC;
    p->id = e->proc;
    p->lane = l;
    if (l->t ? exec_proc_start(l->t, &p->thing, &p->p, &p->failure) < 0
             : err_set(&p->failure, BFORK_EXITED, "its template has ended") < 0) {
        if (l->t)
            p->failure.code = BFORK_EAGAIN;     /* memory or descriptors */
        p->p = NULL;
        list_push_back(&s->failed_procs, &p->failed);
    }
}

bool lanes_perform(struct lanes *s, uint64_t now, const struct worker_effect *e)
{
    struct real_lane *l = map_get(&s->lanes, e->lane);
    struct real_proc *p = map_get(&s->procs, e->proc);

    s->now = now;
    switch (e->type) {
    case WORKER_LANE_START:
        start_lane_template(s, e);
        return true;
    case WORKER_LANE_STOP:
        if (l)
            lane_drop(s, l);
        return true;
    case WORKER_PROC_START:
        proc_start(s, e);
        return true;
    case WORKER_PROC_KILL:
        if (p && p->p)
            exec_proc_kill(p->p, BFORK_CANCELLED);
        return true;
    case WORKER_PROC_STOP:
        if (p && p->p)
            exec_proc_stop(p->p);
        return true;
    case WORKER_PROC_LIMIT:
        if (p && p->p)
            exec_proc_limit(p->p, e->run_limit_ms);
        return true;
    case WORKER_SEND:
    case WORKER_RECONNECT:
    case WORKER_LOG:
    case WORKER_STOPPED:
    case WORKER_REFUSED:
        break;
    }
    return false;
}

/* ---- the turn -------------------------------------------------------------------------------- */

static void tell_failures(struct lanes *s)
{
    struct wire_outcome none = { .kind = BFORK_EAGAIN, .message = WIRE_STR("out of memory"), .stage = WIRE_STR("exec") };

    for (; s->n_lost; s->n_lost--) {
        worker_lane lane = s->lost[s->n_lost - 1].lane;
        worker_proc proc = s->lost[s->n_lost - 1].proc;

        if (proc)
            worker_proc_died(s->worker, s->now, proc, &none);
        else
            worker_lane_failed(s->worker, s->now, lane, BFORK_ENOMEM, "exec", "out of memory");
    }
    for (struct list_node *n; (n = list_pop(&s->failed_lanes));) {
        struct real_lane *l = LIST_ENTRY(n, struct real_lane, failed);

        if (l->not_now)
            worker_lane_not_now(s->worker, s->now, l->id, l->stage, l->failure.text);
        else
            worker_lane_failed(s->worker, s->now, l->id, l->failure.code, l->stage, l->failure.text);
    }
    for (struct list_node *n; (n = list_first(&s->failed_procs));) {
        struct real_proc *p = LIST_ENTRY(n, struct real_proc, failed);
        struct wire_outcome o = { .kind = p->failure.code, .message = str(p->failure.text), .stage = str("exec") };

        worker_proc_died(s->worker, s->now, p->id, &o);
        proc_drop(s, p);
    }
}

bool lanes_step(struct lanes *s, uint64_t now)
{
    s->now = now;
    s->told = lanes_deadline(s) == 0;
    tell_failures(s);
    exec_step(s->exec, now);
    for (LIST_EACH_SAFE(&s->busy, n, after))
        pull(s, LIST_ENTRY(n, struct real_proc, busy));
    return s->told;
}

void lanes_valid_until(struct lanes *s, uint64_t until)
{
    exec_valid_until(s->exec, until);
}

int lanes_fd(const struct lanes *s)
{
    return exec_fd(s->exec);
}

uint64_t lanes_deadline(const struct lanes *s)
{
    if (s->n_lost || !list_empty(&s->failed_lanes) || !list_empty(&s->failed_procs))
        return 0;
    return exec_deadline(s->exec);
}

enum exec_want lanes_want(const struct lanes *s)
{
    if (list_empty(&s->busy))
        return EXEC_NOTHING;
    for (LIST_EACH(&s->busy, n)) {
        const struct real_proc *p = LIST_ENTRY(n, struct real_proc, busy);

        if (!p->mean_ns || p->mean_ns > BULK_NS / 8 || exec_pending(p->p) * p->mean_ns < BULK_NS)
            return EXEC_NEXT;
    }
    return EXEC_LOW;
}

bool lanes_arm(struct lanes *s, enum exec_want want)
{
    return exec_arm(s->exec, want);
}
