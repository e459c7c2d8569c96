/* SPDX-License-Identifier: MPL-2.0
 * sim_worker.c - workers in the simulated world: a worker core each, and task processes that take some time for each task.
 */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

static struct sim_proc *proc_of(struct sim_worker *w, worker_proc id)
{
    for (int i = 0; i < SIM_PROCS; i++)
        if (w->procs[i].id == id)
            return &w->procs[i];
    return NULL;
}

/* ---- what a task process does ------------------------------------------------------------------------------------------------ */

static void step_proc(struct sim *s, struct sim_worker *w, struct sim_proc *p);

/* Results may not be handed to a core that stalls: its shell does not run. */
static bool later(struct sim *s, struct sim_worker *w, void (*run)(struct sim *, void *, uint64_t, uint64_t), uint64_t a,
                  uint64_t b)
{
    if (w->stalled_until <= s->now)
        return false;
    sim_at(s, w->stalled_until + 1, run, w, a, b, NULL);
    return true;
}

static void tell_result(struct sim *s, struct sim_worker *w, const struct sim_proc *p, const struct sim_job *j, uint64_t index,
                        uint64_t value)
{
    uint64_t result = value * 3 + 1;
    struct wire_item item = { .kind = WIRE_OK, .count = 1, .flags = WIRE_FIXED, .size = 8, .sum_ns = 100000, .pid = 7,
                              .body = slice_borrow(&result, 8) };
    const struct wire_outcome o = { .kind = BFORK_FAILED, .code = 3, .message = WIRE_STR("as it was told to") };
    struct buf *doc = NULL;
    if (task_kind(j, index) == TASK_FAILS) {
        doc = wire_outcome_encode(&o);
        item.kind = WIRE_OUTCOME;
        item.flags = 0;
        item.size = (uint32_t)doc->size;
        item.body = slice_of(doc, 0, doc->size);
    }
    worker_proc_results(w->core, s->now, p->id, &item);
    buf_unref(&doc);
}

static void print_piece(struct sim *s, struct sim_worker *w, struct sim_proc *p, uint32_t ahead, int stream, uint32_t tag,
                        uint64_t index)
{
    static const char text[50000];
    uint64_t most = (s->output_window ? s->output_window : WIRE_OUTPUT_WINDOW) / 6;
    uint32_t size = (uint32_t)(1 + sim_random(s, most < sizeof(text) ? most : sizeof(text)));

    job_of_tag(s, tag)->said[index][stream == 2].printed += size;
    worker_output(w->core, s->now, p->id, ahead, &(struct worker_print){ .stream = stream, .pid = 7, .bytes = text, .size = size });
}

/* Some of what tasks that have ended have printed to stderr: as much as one look at its pipe brings, or all. */
static void read_errs(struct sim *s, struct sim_worker *w, struct sim_proc *p, bool all)
{
    for (uint32_t k = 0; k < p->n_untold; k++) {
        for (; p->untold[k].errs; p->untold[k].errs--) {
            if (!all && sim_chance(s, 100))
                return;
            print_piece(s, w, p, k, 2, p->untold[k].tag, p->untold[k].index);
        }
    }
}

/* Whether there is room is asked before each look at a pipe, which may bring a lot. True: it waits until more is read. */
static bool task_prints(struct sim *s, struct sim_worker *w, struct sim_proc *p)
{
    uint64_t incarnation = p->incarnation;

    while (p->prints) {
        if (!worker_output_room(w->core, p->id))
            return true;
        do {
            p->prints--;
            if (sim_chance(s, 500))
                p->errs++;
            else
                print_piece(s, w, p, p->n_untold, 1, p->ring[p->head].tag, p->ring[p->head].index);
        } while (p->prints && sim_chance(s, 500));
        if (sim_chance(s, 300))
            read_errs(s, w, p, false);
        worker_perform(s, w);
        if (!w->core || p->incarnation != incarnation || !p->id)
            return false;
        if (p->prints && sim_chance(s, 500))
            return true;
    }
    return false;
}

/* All that has ended is read: first what was printed to stderr, then the results. last: the process is dead, there is no
 * back-pressure. False: it waits for room, or the process is gone. */
static bool read_untold(struct sim *s, struct sim_worker *w, struct sim_proc *p, bool last)
{
    uint64_t incarnation = p->incarnation;

    if (!last && !worker_output_room(w->core, p->id))
        return false;
    read_errs(s, w, p, last || sim_chance(s, 800));
    for (uint32_t k = 0; k < p->n_untold; k++)
        if (p->untold[k].errs) {
            worker_perform(s, w);
            return false;
        }
    for (uint32_t k = 0, n = p->n_untold; k < n; k++) {
        tell_result(s, w, p, job_of_tag(s, p->untold[k].tag), p->untold[k].index, p->untold[k].value);
        if (!w->core || p->incarnation != incarnation || !p->id)
            return false;
    }
    p->n_untold = 0;
    return true;
}

/* What is read of a process that is dead: all. False: it is gone from here, too. */
bool process_last_words(struct sim *s, struct sim_worker *w, struct sim_proc *p) { return read_untold(s, w, p, true); }

static void untold_read(struct sim *s, void *what, uint64_t incarnation, uint64_t slot)
{
    struct sim_worker *w = what;
    struct sim_proc *p = &w->procs[slot];

    if (!w->core || p->incarnation != incarnation || !p->id || !p->reading || later(s, w, untold_read, incarnation, slot))
        return;
    worker_proc id = p->id;
    if (!read_untold(s, w, p, false)) {
        if (w->core && p->incarnation == incarnation && p->id)
            sim_at(s, s->now + CLOCK_MS / 10 + sim_random(s, 5 * CLOCK_MS), untold_read, w, incarnation, slot, NULL);
        return;
    }
    p->reading = false;
    step_proc(s, w, p);
    if (p->id == id && p->count == SIM_RING / 2)
        worker_proc_room(w->core, s->now, id);
    worker_perform(s, w);
}

static void task_ends(struct sim *s, void *what, uint64_t incarnation, uint64_t slot)
{
    struct sim_worker *w = what;
    struct sim_proc *p = &w->procs[slot];
    if (!w->core || p->incarnation != incarnation || !p->id || !p->busy || later(s, w, task_ends, incarnation, slot))
        return;
    if (task_prints(s, w, p)) {
        if (p->incarnation == incarnation && p->id)
            sim_at(s, s->now + CLOCK_MS / 10 + sim_random(s, 5 * CLOCK_MS), task_ends, w, incarnation, slot, NULL);
        return;
    }
    if (!w->core || p->incarnation != incarnation || !p->id || !p->busy)
        return;
    uint32_t at = p->head;
    const struct sim_job *j = job_of_tag(s, p->ring[at].tag);
    uint64_t index = p->ring[at].index, value = p->ring[at].value;
    worker_proc id = p->id;
    if (task_kind(j, index) == TASK_CRASHES) {
        const struct wire_outcome o = {
            .kind = BFORK_CRASHED, .signal = 11, .pid = 7, .in_task = true, .message = WIRE_STR("SIGSEGV")
        };
        if (!process_last_words(s, w, p))
            return;
        for (; p->errs; p->errs--)
            print_piece(s, w, p, 0, 2, p->ring[at].tag, index);
        memset(p, 0, sizeof(*p));
        worker_proc_died(w->core, s->now, id, &o);
        worker_perform(s, w);
        return;
    }
    uint32_t k = p->n_untold++;
    p->untold[k].tag = p->ring[at].tag;
    p->untold[k].index = index;
    p->untold[k].value = value;
    p->untold[k].errs = p->errs;
    p->errs = 0;
    p->head = (p->head + 1) % SIM_RING;
    p->count--;
    p->busy = false;
    if (p->n_untold < SIM_UNTOLD && p->count && s->printing && sim_chance(s, 700)) {
        step_proc(s, w, p);                 /* it has begun the next before its owner looks */
        return;
    }
    p->reading = true;
    untold_read(s, w, incarnation, slot);
}

static void stop_ends(struct sim *s, void *what, uint64_t incarnation, uint64_t slot)
{
    struct sim_worker *w = what;
    struct sim_proc *p = &w->procs[slot];
    const struct wire_outcome o = { .kind = 0 };
    if (!w->core || p->incarnation != incarnation || !p->id || p->count || later(s, w, stop_ends, incarnation, slot))
        return;
    worker_proc id = p->id;
    memset(p, 0, sizeof(*p));
    worker_proc_died(w->core, s->now, id, &o);
    worker_perform(s, w);
}

static void step_proc(struct sim *s, struct sim_worker *w, struct sim_proc *p)
{
    uint64_t slot = (uint64_t)(p - w->procs);
    if (!p->ready || p->busy || p->reading)
        return;
    if (p->count == 0) {
        if (p->stopping)
            sim_at(s, s->now + sim_random(s, CLOCK_MS), stop_ends, w, p->incarnation, slot, NULL);
        return;
    }
    struct sim_job *j = job_of_tag(s, p->ring[p->head].tag);
    uint64_t index = p->ring[p->head].index;
    p->busy = true;
    p->prints = sim_chance(s, s->printing) ? 1 + (uint32_t)sim_random(s, 12) : 0;
    p->errs = 0;
    memset(j->said[index], 0, sizeof(j->said[index]));
    if (j->outcomes[index] && j->kinds[index] == BFORK_CANCELLED && !j->starts[index] && s->now >= w->unaware_until)
        sim_fail(s, "job %u task %llu was told to be cancelled, and begins after that", j->tag, (unsigned long long)index);
    if (j->cancelled[index] & 4 && !s->faults)
        sim_fail(s, "job %u task %llu had not begun when its cancel was answered, and begins", j->tag, (unsigned long long)index);
    j->starts[index]++;
    sim_trace(s, "w%d begins task %llu of job %u%s", w->number, (unsigned long long)index, j->tag,
              j->starts[index] > 1 ? " again" : "");
    uint64_t takes = s->cancels && sim_chance(s, 10) ? sim_random(s, 5 * CLOCK_SEC)     /* others wait behind it */
                     : sim_chance(s, 10)             ? sim_random(s, 300 * CLOCK_MS)
                                                     : sim_random(s, CLOCK_MS);
    sim_at(s, s->now + takes, task_ends, w, p->incarnation, slot, NULL);
}

/* ---- worker_ops -------------------------------------------------------------------------------------------------------------- */

static uint32_t op_push(void *ctx, worker_proc id, uint32_t job, const struct wire_item *item)
{
    struct sim_worker *w = ctx;
    struct sim_proc *p = proc_of(w, id);
    uint32_t n = 0;
    if (!p || !p->ready || p->stopping || p->dead) {
        sim_fail(w->s, "w%d: tasks for process %u, which takes none", w->number, id);
        return 0;
    }
    for (; n < item->count && p->count < SIM_RING; n++) {
        uint32_t at = (p->head + p->count++) % SIM_RING;
        p->ring[at].job = job;
        p->ring[at].tag = p->job_tags[job % 256];
        p->ring[at].index = item->first + n;
        memcpy(&p->ring[at].value, item->body.data + 8 * (size_t)n, 8);
        if (p->ring[at].value != task_value(p->ring[at].tag, item->first + n))
            sim_fail(w->s, "w%d: task %llu of job %u came with arguments of %lld", w->number, (unsigned long long)(item->first + n),
                     p->ring[at].tag, (long long)((p->ring[at].value - p->ring[at].tag) * 0xf1de83e19937733dull));
    }
    step_proc(w->s, w, p);
    return n;
}

static int op_push_job(void *ctx, worker_proc id, uint32_t job, const struct wire_bin spec)
{
    struct sim_worker *w = ctx;
    struct wire_job_spec d;
    struct err e;
    struct sim_proc *p = proc_of(w, id);
    if (!p || job >= 256) {
        sim_fail(w->s, "w%d: job %u for process %u, which there is not", w->number, job, id);
        return BFORK_EINVAL;
    }
    if (wire_job_spec_decode(spec.p, spec.n, &d, &e) != 0 || d.name.n != 4)
        sim_fail(w->s, "w%d: a job's specification was changed on its way", w->number);
    else
        memcpy(&p->job_tags[job], d.name.p, 4);
    p->job_tags[job] -= 0x20202020u;  /* names are printable */
    return 0;
}

static uint32_t op_retract(void *ctx, worker_proc id, uint32_t max)
{
    struct sim_worker *w = ctx;
    struct sim_proc *p = proc_of(w, id);
    uint32_t n = p ? p->count - p->busy : 0;
    n = n < max ? n : max;
    if (p)
        p->count -= n;
    return n;
}

static const struct worker_ops ops = { op_push, op_push_job, op_retract };

/* ---- effects ----------------------------------------------------------------------------------------------------------------- */

static void lane_ready(struct sim *s, void *what, uint64_t lane, uint64_t life)
{
    struct sim_worker *w = what;
    if (!w->core || w->life != life || later(s, w, lane_ready, lane, life))
        return;
    if (w->unsuitable) {
        s->report.unsuitable++;
        worker_lane_failed(w->core, s->now, (worker_lane)lane, BFORK_REFUSED, "start", "this worker lacks a library");
    } else {
        worker_lane_ready(w->core, s->now, (worker_lane)lane);
    }
    worker_perform(s, w);
}

static void proc_ready(struct sim *s, void *what, uint64_t incarnation, uint64_t slot)
{
    struct sim_worker *w = what;
    struct sim_proc *p = &w->procs[slot];
    if (!w->core || p->incarnation != incarnation || !p->id || later(s, w, proc_ready, incarnation, slot))
        return;
    p->ready = true;
    worker_proc_ready(w->core, s->now, p->id);
    worker_perform(s, w);
    if (p->incarnation == incarnation)
        step_proc(s, w, p);
}

static void proc_start(struct sim *s, struct sim_worker *w, worker_lane lane, worker_proc id)
{
    struct sim_proc *p = proc_of(w, 0);
    if (!p || proc_of(w, id)) {
        sim_fail(s, "w%d: process %u is started, but there are %s", w->number, id, p ? "two of it" : "too many");
        return;
    }
    uint32_t slot = (uint32_t)(p - w->procs);
    *p = (struct sim_proc){ .id = id, .lane = lane, .incarnation = ++s->order };
    sim_at(s, s->now + 100000 + sim_random(s, 3 * CLOCK_MS), proc_ready, w, p->incarnation, slot, NULL);
}

static void proc_killed(struct sim *s, void *what, uint64_t incarnation, uint64_t slot)
{
    struct sim_worker *w = what;
    struct sim_proc *p = &w->procs[slot];
    if (!w->core || p->incarnation != incarnation || !p->id || later(s, w, proc_killed, incarnation, slot))
        return;
    const struct wire_outcome o = {
        .kind = BFORK_CANCELLED, .signal = 9, .pid = 7, .in_task = p->busy, .message = WIRE_STR("killed")
    };
    worker_proc id = p->id;
    if (!process_last_words(s, w, p))
        return;
    memset(p, 0, sizeof(*p));
    worker_proc_died(w->core, s->now, id, &o);
    worker_perform(s, w);
}

static void reconnect(struct sim *s, void *what, uint64_t life, uint64_t b);

/* When it tries again says the daemon's own code. */
static void disconnect(struct sim *s, struct sim_worker *w)
{
    w->here.conn = w->there.conn = 0;
    if (w->reconnecting)
        return;
    w->reconnecting = true;
    net_retry_failed(&w->retry, s->now, worker_lease_end(w->core) != 0, sim_random(s, UINT64_MAX));
    sim_at(s, w->retry.next, reconnect, w, w->life, 0, NULL);
}

static void perform_process(struct sim *s, struct sim_worker *w, const struct worker_effect *e)
{
    struct sim_proc *p = e->proc ? proc_of(w, e->proc) : NULL;
    switch (e->type) {
    case WORKER_LANE_START:
        sim_at(s, s->now + 200000 + sim_random(s, 5 * CLOCK_MS), lane_ready, w, e->lane, w->life, NULL);
        break;
    case WORKER_LANE_STOP:
        for (int i = 0; i < SIM_PROCS; i++)
            if (w->procs[i].id && w->procs[i].lane == e->lane)
                memset(&w->procs[i], 0, sizeof(w->procs[i]));
        break;
    case WORKER_PROC_START:
        proc_start(s, w, e->lane, e->proc);
        break;
    case WORKER_PROC_KILL:
        if (p && !p->dead) {
            p->dead = true;
            p->ready = false;
            sim_at(s, s->now + sim_random(s, CLOCK_MS), proc_killed, w, p->incarnation, (uint64_t)(p - w->procs), NULL);
        }
        break;
    case WORKER_PROC_STOP:
        if (p && !p->stopping) {
            p->stopping = true;
            step_proc(s, w, p);
        }
        break;
    default:
        break;
    }
}

static void at_broker(struct sim *s, void *what, uint64_t conn, uint64_t frame)
{
    struct sim_worker *w = what;
    uint8_t key[WIRE_KEY];
    if (!s->broker || !net_delivers(s, conn) || broker_later(s, at_broker, what, conn, frame))
        return;
    struct wire_msg m = net_open(s, (struct buf *)(uintptr_t)frame);
    memset(key, 'W', sizeof(key));          /* scaled containers share a key */
    sim_trace(s, "broker < w%d  %s %u", w->number, wire_type_name(m.type), m.n_items);
    sim_trace_items(s, &m);
    broker_recv(s->broker, s->now, conn, WIRE_WORKER, key, &m);
    broker_drains(s);
}

static void tick(struct sim *s, void *what, uint64_t life, uint64_t b);

static void schedule(struct sim *s, struct sim_worker *w)
{
    uint64_t at = worker_deadline(w->core);
    if (at == CLOCK_NEVER)
        return;
    if (at <= s->now)
        at = s->now + 100000;
    if (at < w->stalled_until)
        at = w->stalled_until;
    if (w->tick_at > s->now && w->tick_at <= at)
        return;
    w->tick_at = at;
    sim_at(s, at, tick, w, w->life, 0, NULL);
}

static void tick(struct sim *s, void *what, uint64_t life, uint64_t b)
{
    struct sim_worker *w = what;
    (void)b;
    if (!w->core || w->life != life || s->now < w->tick_at)
        return;
    w->tick_at = 0;
    if (w->stalled_until > s->now) {
        schedule(s, w);
        return;
    }
    worker_tick(w->core, s->now);
    worker_perform(s, w);
}

static void start_again(struct sim *s, void *what, uint64_t life, uint64_t b)
{
    struct sim_worker *w = what;
    (void)b;
    if (!w->core && w->life == life)
        worker_start(s, w, sim_chance(s, 500));
}

static void gone(struct sim *s, struct sim_worker *w)
{
    w->life++;
    w->here.conn = 0;
    worker_free(&w->core);
    memset(w->procs, 0, sizeof(w->procs));
    sim_at(s, s->now + 1 + sim_random(s, 1500 * CLOCK_MS), start_again, w, w->life, 0, NULL);
}

void worker_perform(struct sim *s, struct sim_worker *w)
{
    size_t n;
    bool stopped = false;
    if (!w->core || w->stalled_until > s->now)
        return;
    worker_flush(w->core, s->now);
    const char *broken = worker_check(w->core);
    if (broken)
        sim_fail(s, "w%d: %s", w->number, broken);
    const struct worker_effect *e = worker_effects(w->core, &n);
    for (size_t i = 0; i < n; i++) {
        if (e[i].type == WORKER_SEND && w->there.conn)
            net_send(s, w->here.conn, &w->there, &e[i].msg, at_broker, w);
        else if (e[i].type == WORKER_RECONNECT) {
            net_cut_worker(s, w);
            disconnect(s, w);
        } else if (e[i].type == WORKER_LOG) {
            sim_trace(s, "w%d: %s", w->number, e[i].text);
            if (strstr(e[i].text, "OUTPUT beyond"))
                sim_fail(s, "w%d has sent what the broker does not take: %s", w->number, e[i].text);
        } else if (e[i].type == WORKER_REFUSED)
            sim_fail(s, "w%d was refused: %s", w->number, e[i].text);
        else if (e[i].type == WORKER_STOPPED)
            stopped = true;
        else
            perform_process(s, w, &e[i]);
    }
    worker_effects_done(w->core);
    if (stopped) {
        sim_trace(s, "w%d has drained", w->number);
        net_cut_worker(s, w);
        gone(s, w);
        return;
    }
    schedule(s, w);
}

/* A try without an answer is given up after a while, as the daemon does. */
static void stuck(struct sim *s, void *what, uint64_t life, uint64_t conn)
{
    struct sim_worker *w = what;
    if (!w->core || w->life != life || w->here.conn != conn || !net_retry_stuck(&w->retry, s->now))
        return;
    if (w->stalled_until > s->now)
        sim_at(s, w->stalled_until + 1, stuck, w, life, conn, NULL);
    else
        worker_connection_lost(s, w);
}

static void reconnect(struct sim *s, void *what, uint64_t life, uint64_t b)
{
    struct sim_worker *w = what;
    (void)b;
    if (!w->core || w->life != life)
        return;
    if (w->stalled_until > s->now) {
        sim_at(s, w->stalled_until + 1, reconnect, w, life, 0, NULL);
        return;
    }
    w->reconnecting = false;
    net_retry_try(&w->retry, s->now, worker_lease_end(w->core));
    if (!s->broker) {
        disconnect(s, w);               /* refused */
        return;
    }
    w->here.conn = w->there.conn = net_connect(s);
    sim_trace(s, "w%d connects: %llu", w->number, (unsigned long long)w->here.conn);
    if (w->retry.limit != CLOCK_NEVER)
        sim_at(s, w->retry.limit, stuck, w, life, w->here.conn, NULL);
    worker_connected(w->core, s->now);
    worker_perform(s, w);
}

void worker_connection_lost(struct sim *s, struct sim_worker *w)
{
    if (!w->core)
        return;
    sim_trace(s, "w%d notices that its connection is cut", w->number);
    disconnect(s, w);
    worker_disconnected(w->core, s->now, "cut");
    worker_perform(s, w);
}

void worker_start(struct sim *s, struct sim_worker *w, bool replaces)
{
    struct worker_config config = {
        .name = w->name, .host = w->name, .software = "sim", .arch = "sim", .resources = "cpus=2", .pid = 7
    };
    strcpy(w->name, "w0");
    w->name[1] = (char)('0' + w->number);
    config.window_bytes = s->window_small / 2;
    config.output_window = s->output_window ? s->output_window : WIRE_OUTPUT_WINDOW;
    config.slots = w->slots = 1 + (uint32_t)sim_random(s, 4);
    memcpy(config.replaces, w->instance, WIRE_ID);
    config.has_replaces = replaces;
    for (size_t i = 0; i < WIRE_ID; i++)
        w->instance[i] = (uint8_t)sim_random(s, 256);
    memcpy(config.instance, w->instance, WIRE_ID);
    if (worker_new(&config, &ops, w, &w->core) != 0)
        abort();
    w->life++;
    w->tick_at = w->stalled_until = 0;
    w->reconnecting = w->draining = false;
    sim_trace(s, "w%d starts with %u slots%s", w->number, w->slots, replaces ? ", replacing its predecessor" : "");
    w->retry = (struct retry){ 0 };
    w->reconnecting = true;
    sim_at(s, s->now + sim_random(s, 100 * CLOCK_MS), reconnect, w, w->life, 0, NULL);
}

void worker_crash(struct sim *s, struct sim_worker *w)
{
    if (!w->core)
        return;
    sim_trace(s, "w%d is killed", w->number);
    s->report.worker_deaths++;
    net_cut_worker(s, w);
    gone(s, w);
}

/* kill -9 of the template of a pool: its processes go with it, and nobody reports them. */
void worker_template_dies(struct sim *s, struct sim_worker *w)
{
    worker_lane lane = 0;
    if (!w->core || w->stalled_until > s->now)
        return;
    for (size_t i = 0; i < SIM_PROCS && !lane; i++)
        lane = w->procs[i].id && w->procs[i].ready ? w->procs[i].lane : 0;
    if (!lane)
        return;
    sim_trace(s, "w%d template of lane %u dies", w->number, lane);
    for (size_t i = 0; i < SIM_PROCS; i++) {
        if (!w->core || !w->procs[i].id || w->procs[i].lane != lane)
            continue;
        process_last_words(s, w, &w->procs[i]);
        memset(&w->procs[i], 0, sizeof(w->procs[i]));
    }
    if (!w->core)
        return;
    worker_lane_failed(w->core, s->now, lane, BFORK_CRASHED, "template", "the template was killed");
    worker_perform(s, w);
}
