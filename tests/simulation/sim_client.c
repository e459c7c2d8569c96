/* SPDX-License-Identifier: MPL-2.0
 * sim_client.c - clients in the simulated world: a session core each, a pool, some jobs; what comes back is counted and compared.
 */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

struct sim_job *job_of_tag(struct sim *s, uint32_t tag)
{
    struct sim_job *j = tag / SIM_JOBS < SIM_CLIENTS ? &s->clients[tag / SIM_JOBS].jobs[tag % SIM_JOBS] : NULL;
    if (!j || !j->starts) {
        sim_fail(s, "there is no job %u", tag);
        return &s->clients[0].jobs[0];
    }
    return j;
}

uint64_t task_value(uint32_t tag, uint64_t index)
{
    return index * 0x9e3779b97f4a7c15ull + tag;
}

enum sim_task task_kind(const struct sim_job *j, uint64_t index)
{
    uint64_t h = task_value(j->tag, index) >> 13;
    return h % 97 == 0 ? TASK_CRASHES : h % 31 == 0 ? TASK_FAILS : TASK_OK;
}

static void on_outcomes(void *ctx, void *user, const struct wire_item *item)
{
    struct sim_client *c = ctx;
    struct sim_job *j = user;
    struct wire_outcome o = { .kind = 0 };
    struct err e;
    if (item->kind != WIRE_OK && wire_outcome_decode(item->body.data, item->body.size, &o, &e) != 0)
        sim_fail(c->s, "an outcome does not decode: %s", e.text);
    for (uint32_t k = 0; k < item->count; k++) {
        uint64_t i = item->first + k, result;
        if (i >= j->n) {
            sim_fail(c->s, "job %u: an outcome of task %llu, which there is not", j->tag, (unsigned long long)i);
            return;
        }
        if (item->kind == WIRE_OK) {
            memcpy(&result, item->body.data + 8 * (size_t)k, 8);
            if (item->body.size != 8 * (size_t)item->count || result != task_value(j->tag, i) * 3 + 1)
                sim_fail(c->s, "job %u: task %llu has another's result", j->tag, (unsigned long long)i);
        }
        if (j->dropped)
            sim_fail(c->s, "job %u: an outcome of task %llu after its pool was closed", j->tag, (unsigned long long)i);
        for (int k2 = 0; k2 < 2 && item->kind == WIRE_OK && j->starts[i] == 1; k2++)
            if (j->said[i][k2].heard != j->said[i][k2].printed)
                sim_fail(c->s, "job %u: the result of task %llu is here, and %llu of %llu bytes of what it printed to stream %d",
                         j->tag, (unsigned long long)i, (unsigned long long)j->said[i][k2].heard,
                         (unsigned long long)j->said[i][k2].printed, k2 + 1);
        j->outcomes[i]++;
        j->kinds[i] = (int8_t)o.kind;
        j->settled++;
    }
}

static void on_pool_state(void *ctx, void *user, uint32_t slots, int32_t code, struct wire_str text)
{
    struct sim_client *c = ctx;
    (void)user, (void)slots;
    if (code < 0)
        sim_fail(c->s, "c%d: its pool failed: %.*s", c->number, (int)text.n, text.p);
}

/* Its program takes the piece that it has had for longest. */
static void take_print(struct sim *s, void *what, uint64_t a, uint64_t b)
{
    struct sim_client *c = what;

    (void)a, (void)b;
    if (c->dead || !c->core || c->n_taken == c->n_printed)
        return;
    if (c->stalled_until > s->now) {
        sim_at(s, c->stalled_until + 1, take_print, c, 0, 0, NULL);
        return;
    }
    uint32_t k = c->n_taken++ % SIM_PRINTED;
    session_output_taken(c->core, &(struct session_print){ .job = c->printed[k].job, .turn = c->printed[k].turn,
                                                           .seq = c->printed[k].seq });
    client_perform(s, c);
}

/* Some programs take output at once, others when they come to it. */
static bool on_output(void *ctx, void *user, const struct session_print *k)
{
    struct sim_client *c = ctx;
    uint32_t at = c->n_printed % SIM_PRINTED;
    struct sim_job *j = user;

    if (k->index >= j->n || k->lost || k->cut) {
        sim_fail(c->s, "job %u: output of task %llu with a gap of %llu bytes", j->tag, (unsigned long long)k->index,
                 (unsigned long long)k->lost);
        return false;
    }
    for (int i = 0; k->again && i < 2; i++)
        j->said[k->index][i].heard = 0;
    j->said[k->index][k->stream == 2].heard += k->bytes.size;
    if (c->s->seed % 4 < 2 || c->n_printed - c->n_taken == SIM_PRINTED)
        return false;
    c->n_printed++;
    c->printed[at].job = k->job;
    c->printed[at].turn = k->turn;
    c->printed[at].seq = k->seq;
    sim_at(c->s, c->s->now + sim_random(c->s, 20 * CLOCK_MS), take_print, c, 0, 0, NULL);
    return true;
}

static void on_answer(void *ctx, uint32_t request, int32_t code, struct wire_str text)
{
    (void)ctx, (void)request, (void)code, (void)text;
}

static void on_failed(void *ctx, int32_t code, struct wire_str text)
{
    struct sim_client *c = ctx;
    sim_fail(c->s, "c%d: its session failed: %d: %.*s", c->number, (int)code, (int)text.n, text.p);
}

static void on_cancelled(void *ctx, void *user, uint64_t cancelled)
{
    struct sim_client *c = ctx;
    struct sim_job *j = user;
    c->answered++;
    sim_trace(c->s, "c%d is told that %llu of job %u will not run", c->number, (unsigned long long)cancelled, j->tag);
    if (cancelled > j->n)
        sim_fail(c->s, "job %u: %llu of %u tasks are said to be cancelled", j->tag, (unsigned long long)cancelled, j->n);
    for (uint32_t i = 0; i < j->n && c->answered == c->asked; i++)
        j->cancelled[i] |= j->cancelled[i] & 2 && !j->starts[i] ? 4 : 0;
}

static const struct session_ops ops = { on_outcomes, on_pool_state, on_output, on_answer, on_failed, on_cancelled };

/* A program that stalls does nothing. */
static bool later(struct sim *s, struct sim_client *c, void (*run)(struct sim *, void *, uint64_t, uint64_t), uint64_t a)
{
    if (c->stalled_until <= s->now)
        return false;
    sim_at(s, c->stalled_until + 1, run, c, a, 0, NULL);
    return true;
}

static void add_some(struct sim *s, void *what, uint64_t number, uint64_t b)
{
    struct sim_client *c = what;
    struct sim_job *j = &c->jobs[number];
    uint32_t n = 1 + (uint32_t)sim_random(s, 40);
    (void)b;
    if (c->dead || j->dropped || later(s, c, add_some, number))
        return;
    for (; n && j->added < j->n; n--, j->added++) {
        uint64_t value = task_value(j->tag, j->added), index;
        if (session_task_add(j->core, &value, 8, &index) != 0 || index != j->added)
            sim_fail(s, "job %u: task %u got index %llu", j->tag, j->added, (unsigned long long)index);
    }
    if (j->added == j->n)
        session_job_close(j->core);
    else
        sim_at(s, s->now + sim_random(s, 40 * CLOCK_MS), add_some, c, number, 0, NULL);
    client_perform(s, c);
}

static void open_job(struct sim *s, struct sim_client *c, int number)
{
    struct sim_job *j = &c->jobs[number];
    *j = (struct sim_job){ .client = c, .tag = (uint32_t)(c->number * SIM_JOBS + number), .map = sim_chance(s, 500),
                           .at_most_once = sim_chance(s, 250), .n = 1 + (uint32_t)sim_random(s, sim_chance(s, 60) ? 1500 : 130) };
    if (s->slow_reader)
        j->n = c->number == 0 ? 2500 : 200;
    uint32_t name = j->tag + 0x20202020u;
    const struct wire_fn fn = { .kind = WIRE_FN_OFFSET, .offset = 64 };
    struct buf *fn_doc = wire_fn_encode(&fn);
    const struct wire_job_spec spec = { .kind = j->map ? WIRE_JOB_MAP : WIRE_JOB_TASKS,
                                        .fn = wire_bin_of(fn_doc->data, fn_doc->size),
                                        .in_size = 8,
                                        .out_size = 8,
                                        .retries = j->at_most_once ? -1 : 0,
                                        .name = { (const char *)&name, 4 },
                                        .total = j->map ? j->n : 0 };
    j->outcomes = calloc(j->n, 1);
    j->starts = calloc(j->n, sizeof(*j->starts));
    j->kinds = calloc(j->n, 1);
    j->said = calloc(j->n, sizeof(*j->said));
    j->in = calloc(j->n, 8);
    if (!j->outcomes || !j->starts || !j->kinds || !j->said || !j->in)
        abort();
    j->cancelled = calloc(j->n, 1);
    j->pool = (int)sim_random(s, (uint64_t)c->n_pools);
    if (!j->cancelled || session_job_open(c->pools[j->pool], wire_job_spec_encode(&spec), j->at_most_once, j, &j->core) != 0)
        abort();
    buf_unref(&fn_doc);
    if (!j->map) {
        sim_at(s, s->now + sim_random(s, 100 * CLOCK_MS), add_some, c, (uint64_t)number, 0, NULL);
        return;
    }
    for (uint32_t i = 0; i < j->n; i++)
        j->in[i] = task_value(j->tag, i);
    struct buf *array = buf_wrap(j->in, 8 * (size_t)j->n, buf_free_struct, NULL);
    if (session_map_add(j->core, slice_of(array, 0, 8 * (size_t)j->n), 8, j->n) != 0)
        abort();
    array->size = 8 * (size_t)j->n;
    buf_unref(&array);
    session_job_close(j->core);
}

static void reconnect(struct sim *s, void *what, uint64_t a, uint64_t b);

static void disconnect(struct sim *s, struct sim_client *c, uint64_t wait)
{
    c->here.conn = c->there.conn = 0;
    if (c->reconnecting)
        return;
    c->reconnecting = true;
    sim_at(s, s->now + wait, reconnect, c, 0, 0, NULL);
}

static void at_broker(struct sim *s, void *what, uint64_t conn, uint64_t frame)
{
    struct sim_client *c = what;
    uint8_t key[WIRE_KEY];
    if (!s->broker || !net_delivers(s, conn) || broker_later(s, at_broker, what, conn, frame))
        return;
    struct wire_msg m = net_open(s, (struct buf *)(uintptr_t)frame);
    memset(key, 'a' + c->number % 2, sizeof(key));
    sim_trace(s, "broker < c%d  %s %u", c->number, wire_type_name(m.type), m.n_items);
    sim_trace_items(s, &m);
    broker_recv(s->broker, s->now, conn, WIRE_CLIENT, key, &m);
    broker_drains(s);
}

static void tick(struct sim *s, void *what, uint64_t a, uint64_t b)
{
    struct sim_client *c = what;
    (void)a, (void)b;
    if (c->dead || s->now < c->tick_at || later(s, c, tick, 0))
        return;
    c->tick_at = 0;
    session_tick(c->core, s->now);
    client_perform(s, c);
}

void client_perform(struct sim *s, struct sim_client *c)
{
    bool more = true;
    if (c->dead || c->stalled_until > s->now)
        return;
    while (more) {
        size_t n;
        more = session_flush(c->core, s->now);
        const char *broken = session_check(c->core);
        if (broken)
            sim_fail(s, "c%d: %s", c->number, broken);
        const struct session_effect *e = session_effects(c->core, &n);
        for (size_t i = 0; i < n; i++) {
            if (e[i].type == SESSION_SEND && c->there.conn)
                net_send(s, c->here.conn, &c->there, &e[i].msg, at_broker, c);
            else if (e[i].type == SESSION_RECONNECT) {
                sim_trace(s, "c%d gives its connection up: %s", c->number, e[i].text);
                net_cut_client(s, c);
                disconnect(s, c, sim_random(s, 200 * CLOCK_MS));
                session_disconnected(c->core, s->now);
                more = false;
                break;
            }
        }
        session_effects_done(c->core);
    }
    uint64_t at = session_deadline(c->core);
    if (at == CLOCK_NEVER || (c->tick_at > s->now && c->tick_at <= at))
        return;
    c->tick_at = at > s->now ? at : s->now + 100000;
    sim_at(s, c->tick_at, tick, c, 0, 0, NULL);
}

static void reconnect(struct sim *s, void *what, uint64_t a, uint64_t b)
{
    struct sim_client *c = what;
    (void)a, (void)b;
    if (c->dead || later(s, c, reconnect, 0))
        return;
    if (c->away_until > s->now) {
        sim_at(s, c->away_until, reconnect, c, 0, 0, NULL);
        return;
    }
    c->reconnecting = false;
    if (!s->broker) {
        disconnect(s, c, 10 * CLOCK_MS + sim_random(s, 500 * CLOCK_MS));
        return;
    }
    c->here.conn = c->there.conn = net_connect(s);
    sim_trace(s, "c%d connects: %llu", c->number, (unsigned long long)c->here.conn);
    session_connected(c->core, s->now);
    client_perform(s, c);
}

void client_connection_lost(struct sim *s, struct sim_client *c)
{
    sim_trace(s, "c%d notices that its connection is cut", c->number);
    disconnect(s, c, sim_chance(s, 60) && !s->healed ? sim_random(s, 12 * CLOCK_SEC) : sim_random(s, 900 * CLOCK_MS));
    session_disconnected(c->core, s->now);
    client_perform(s, c);
}

static void cancel_some(struct sim *s, struct sim_client *c, struct sim_job *j, uint32_t first, uint32_t count, bool queued)
{
    uint32_t known = j->map ? j->n : j->added, request = 0;
    uint64_t here;
    sim_trace(s, "c%d cancels %u+%u of job %u%s", c->number, first, count, j->tag, queued ? " if they have not begun" : "");
    for (uint32_t i = first; i < first + count && i < known; i++)
        j->cancelled[i] |= queued ? 2 : 1;
    if (queued ? session_cancel_queued(j->core, first, count, j, &here, &request) : session_cancel(j->core, first, count))
        sim_fail(s, "job %u: a cancel found no memory", j->tag);
    s->report.cancels_asked++;
    c->asked += request != 0;
}

/* Tasks on both sides of one that runs, if there is one, and of the same attempt, likely: that one goes on. */
static void cancel_around(struct sim *s, struct sim_client *c, struct sim_job *j, uint32_t known)
{
    uint32_t first = 0;
    while (first < known && (j->outcomes[first] || !j->starts[first]))
        first++;
    if (first == known)
        first = (uint32_t)sim_random(s, known);
    cancel_some(s, c, j, first ? first - 1 : 0, 1, false);
    if (j->settled < j->n && first + 1 < known)
        cancel_some(s, c, j, first + 1, 1 + (uint32_t)sim_random(s, 3), false);
}

/* What was said has left, and is cut, or the broker dies: it is on its way. */
static void lose_it(struct sim *s, struct sim_client *c)
{
    if (s->healed || !sim_chance(s, 200))
        return;
    if (s->faults & FAULT_BROKER && sim_chance(s, 300))
        broker_crash(s, 0);
    else if (s->faults & FAULT_CUT)
        net_cut_client(s, c);
}

/* The program takes some of its wishes back: a range of tasks, those around one that runs, what has not begun, or a whole pool. It
 * goes on for a while after healing, since a broker that was started again holds what is replayed. */
static void change_mind(struct sim *s, void *what, uint64_t a, uint64_t b)
{
    struct sim_client *c = what;
    (void)a, (void)b;
    if (c->dead || s->now > s->faults_until + 8 * CLOCK_SEC || later(s, c, change_mind, 0))
        return;
    struct sim_job *j = &c->jobs[sim_random(s, (uint64_t)c->n_jobs)];
    if (c->n_pools == 2 && !s->healed && sim_chance(s, 100)) {
        c->n_pools = 1;
        for (int i = 0; i < c->n_jobs; i++)
            c->jobs[i].dropped = c->jobs[i].dropped || c->jobs[i].pool == 1;
        sim_trace(s, "c%d closes its second pool", c->number);
        session_pool_close(c->pools[1]);
    } else if (!j->dropped && j->settled < j->n && (j->map || j->added)) {
        uint32_t known = j->map ? j->n : j->added, first = (uint32_t)sim_random(s, known);
        uint32_t count = 1 + (uint32_t)sim_random(s, sim_chance(s, 300) ? known : 10);
        bool two = sim_chance(s, 400), queued = !two && sim_chance(s, 400);
        if (two)
            cancel_around(s, c, j, known);
        else
            cancel_some(s, c, j, first, count, queued);
    }
    client_perform(s, c);
    lose_it(s, c);
    sim_at(s, s->now + sim_random(s, 600 * CLOCK_MS), change_mind, c, 0, 0, NULL);
}

static void leave(struct sim *s, void *what, uint64_t pools_closed, uint64_t b)
{
    struct sim_client *c = what;
    (void)b;
    if (c->dead || later(s, c, leave, pools_closed))
        return;
    if (!session_is_up(c->core) || !c->there.conn) {
        sim_at(s, s->now + 100 * CLOCK_MS, leave, c, pools_closed, 0, NULL);
        return;
    }
    for (int i = 0; i < c->n_pools; i++)
        session_pool_close(c->pools[i]);
    c->n_pools = 0;
    session_bye(c->core);
    client_perform(s, c);
    struct session_counters n;
    session_counters(c->core, &n);
    if (n.bytes_held || session_unsettled(c->core) || n.settled != n.tasks)
        sim_fail(s, "c%d has closed its pools and holds %llu bytes, %llu tasks", c->number, (unsigned long long)n.bytes_held,
                 (unsigned long long)session_unsettled(c->core));
    c->dead = true;
}

void client_leave(struct sim *s, struct sim_client *c)
{
    if (!c->leaving)
        leave(s, c, 0, 0);
    c->leaving = true;
}

void client_crash(struct sim *s, struct sim_client *c)
{
    if (c->dead)
        return;
    sim_trace(s, "c%d is killed", c->number);
    s->report.client_deaths++;
    for (int i = 0; i < c->n_jobs; i++)
        c->jobs[i].dropped = true;
    net_cut_client(s, c);
    c->here.conn = 0;
    c->dead = true;
}

void client_start(struct sim *s, struct sim_client *c)
{
    struct session_config config = { .seed = sim_random(s, UINT64_MAX), .name = "sim", .host = "sim", .software = "sim", .pid = 1,
                                     .role = WIRE_CLIENT, .window_bytes = s->window_small };
    uint8_t digest[WIRE_DIGEST];
    for (size_t i = 0; i < WIRE_ID; i++)
        config.instance[i] = (uint8_t)sim_random(s, 256);
    if (s->slow_reader && c->number == 0)
        config.window_bytes = 3000;
    if (session_new(&config, &ops, c, &c->core) != 0)
        abort();
    c->n_pools = 1 + (int)sim_random(s, SIM_POOLS);
    for (int i = 0; i < c->n_pools; i++) {
        const struct wire_pool_spec spec = { .arch = WIRE_STR("sim"), .max_tasks = sim_chance(s, 300) ? 5 : 0 };
        memset(digest, 2 * c->number + (spec.max_tasks != 0), sizeof(digest));      /* of equal specifications */
        if (session_pool_open(c->core, sim_chance(s, 500) ? -1 : 1 + (int)sim_random(s, 6), wire_pool_spec_encode(&spec), digest,
                              "p", c, &c->pools[i]) != 0)
            abort();
    }
    c->n_jobs = 1 + (int)sim_random(s, SIM_JOBS);
    for (int i = 0; i < c->n_jobs; i++)
        open_job(s, c, i);
    disconnect(s, c, sim_random(s, 100 * CLOCK_MS));
    if (s->cancels)
        sim_at(s, s->now + sim_random(s, 1500 * CLOCK_MS), change_mind, c, 0, 0, NULL);
    if (s->slow_reader && c->number == 0)
        c->stalled_until = s->now + 60 * CLOCK_SEC;
}
