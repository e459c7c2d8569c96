/* SPDX-License-Identifier: MPL-2.0
 * sim.c - virtual time, random numbers, faults, and the verdict.
 */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define END_OF_TIME (600 * CLOCK_SEC)   /* all must be settled so long after healing */
#define EVENTS_MAX 4000000ull

uint64_t sim_random(struct sim *s, uint64_t below)
{
    uint64_t z = (s->random += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return (z ^ (z >> 31)) % below;
}

bool sim_chance(struct sim *s, unsigned per_thousand)
{
    return sim_random(s, 1000) < per_thousand;
}

void sim_fail(struct sim *s, const char *format, ...)
{
    va_list ap;
    if (s->failure[0])
        return;
    va_start(ap, format);
    vsnprintf(s->failure, sizeof(s->failure), format, ap);
    va_end(ap);
}

void sim_trace(struct sim *s, const char *format, ...)
{
    va_list ap;
    if (!s->trace)
        return;
    printf("[%10.3f] ", (double)s->now / 1e6);
    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    putchar('\n');
}

void sim_trace_items(struct sim *s, const struct wire_msg *m)
{
    if (!s->trace)
        return;
    if (m->type == WIRE_GRANT)
        printf("                 pool %u slots %u%s\n", m->u.grant.pool, m->u.grant.slots,
               m->u.grant.spec.n ? " with specification" : "");
    for (uint32_t i = 0; i < m->n_items; i++) {
        const struct wire_item *it = &m->items[i];
        printf("                 #%llx job %u %llu+%u kind %u why %u flags %u\n", (unsigned long long)it->id, it->job,
               (unsigned long long)it->first, it->count, it->kind, it->why, it->flags);
    }
}

/* ---- events: a binary heap by time, then by order of creation ---------------------------------------------------------------- */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at < b->at || (a->at == b->at && a->order < b->order);
}

void sim_at(struct sim *s, uint64_t at, void (*run)(struct sim *, void *, uint64_t, uint64_t), void *what, uint64_t a, uint64_t b,
            struct buf *frame)
{
    if (s->n_heap == s->heap_capacity) {
        s->heap_capacity = s->heap_capacity ? s->heap_capacity * 2 : 1024;
        s->heap = realloc(s->heap, s->heap_capacity * sizeof(*s->heap));
        if (!s->heap)
            abort();
    }
    struct sim_event e = { at < s->now ? s->now : at, s->order++, run, what, a, b, frame };
    size_t i = s->n_heap++;
    for (; i && before(&e, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = e;
}

static struct sim_event next_event(struct sim *s)
{
    struct sim_event top = s->heap[0], e = s->heap[--s->n_heap];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < s->n_heap; i = child) {
        child += child + 1 < s->n_heap && before(&s->heap[child + 1], &s->heap[child]);
        if (!before(&s->heap[child], &e))
            break;
        s->heap[i] = s->heap[child];
    }
    s->heap[i] = e;
    return top;
}

/* ---- faults ------------------------------------------------------------------------------------------------------------------ */

static void heal(struct sim *s, void *what, uint64_t a, uint64_t b)
{
    (void)what, (void)a, (void)b;
    s->healed = true;
    sim_trace(s, "healed");
}

static void stall_worker(struct sim *s, struct sim_worker *w)
{
    uint64_t until = s->now + 100 * CLOCK_MS + sim_random(s, 9000) * CLOCK_MS;
    if (until > w->stalled_until)           /* one that stalls already wakes no sooner: its daemon is to look before its tasks */
        w->stalled_until = until;
    sim_trace(s, "w%d stalls for %llu ms", w->number, (unsigned long long)((w->stalled_until - s->now) / CLOCK_MS));
}

static void crash_process(struct sim *s, struct sim_worker *w);

static void worker_dies(struct sim *s, void *what, uint64_t a, uint64_t b)
{
    (void)a, (void)b;
    if (!s->healed)
        worker_crash(s, what);
}

/* The broker starts again, workers say what they hold, then clients send again what that is, in their own batches, and a worker
 * dies while it holds what was adopted. */
static void adopt_and_die(struct sim *s, struct sim_worker *w)
{
    if (!s->broker)
        return;
    s->report.adoptions++;
    for (int c = 0; c < s->n_clients; c++)
        s->clients[c].away_until = s->now + CLOCK_SEC + sim_random(s, 2 * CLOCK_SEC);
    broker_crash(s, 1 + sim_random(s, 100 * CLOCK_MS));
    sim_at(s, s->now + CLOCK_SEC + sim_random(s, 3 * CLOCK_SEC), worker_dies, w, 0, 0, NULL);
}

static void fault(struct sim *s, void *what, uint64_t a, uint64_t b)
{
    (void)what, (void)a, (void)b;
    if (s->healed)
        return;
    unsigned one = 1u << sim_random(s, FAULT_KINDS);
    struct sim_worker *w = &s->workers[sim_random(s, (uint64_t)s->n_workers)];
    struct sim_client *c = &s->clients[sim_random(s, (uint64_t)s->n_clients)];
    if (!(s->faults & one)) {
        /* not in this world */
    } else if (one == FAULT_CUT && sim_chance(s, 500)) {
        net_cut_worker(s, w);
    } else if (one == FAULT_CUT) {
        net_cut_client(s, c);
    } else if (one == FAULT_BROKER) {
        broker_crash(s, 0);
    } else if (one == FAULT_WORKER) {
        worker_crash(s, w);
    } else if (one == FAULT_CLIENT && sim_chance(s, 150)) {
        client_crash(s, c);
    } else if (one == FAULT_STALL && sim_chance(s, 300)) {
        c->stalled_until = s->now + 100 * CLOCK_MS + sim_random(s, 9000) * CLOCK_MS;
        sim_trace(s, "c%d does not look for a while", c->number);
    } else if (one == FAULT_STALL) {
        stall_worker(s, w);
    } else if (one == FAULT_PROCESS) {
        crash_process(s, w);
    } else if (one == FAULT_TEMPLATE) {
        worker_template_dies(s, w);
    } else if (one == FAULT_REVOKE && sim_chance(s, 200)) {
        broker_revokes(s, sim_chance(s, 800) ? 'W' : (uint8_t)('a' + sim_random(s, 2)));
    } else if (one == FAULT_ADOPTED && sim_chance(s, 300)) {
        adopt_and_die(s, w);
    } else if (one == FAULT_BROKER_STALL && sim_chance(s, 300)) {
        broker_stall(s, 100 * CLOCK_MS + sim_random(s, 9000) * CLOCK_MS);
    } else if (one == FAULT_DRAIN && w->core && !w->draining) {
        sim_trace(s, "w%d drains", w->number);
        w->draining = true;
        worker_drain(w->core, s->now);
        worker_perform(s, w);
    }
    sim_at(s, s->now + sim_random(s, 400 * CLOCK_MS), fault, NULL, 0, 0, NULL);
}

/* A process dies of something that is not the task's doing: the operator, memory. */
static void crash_process(struct sim *s, struct sim_worker *w)
{
    struct sim_proc *p = &w->procs[sim_random(s, SIM_PROCS)];
    if (!w->core || !p->id || !p->ready || p->dead)
        return;
    const struct wire_outcome o = { .kind = BFORK_CRASHED, .signal = 9, .pid = 1, .in_task = p->busy,
                                       .message = WIRE_STR("killed by a signal from outside") };
    worker_proc id = p->id;
    sim_trace(s, "w%d process %u dies", w->number, id);
    if (!process_last_words(s, w, p))
        return;
    memset(p, 0, sizeof(*p));
    worker_proc_died(w->core, s->now, id, &o);
    worker_perform(s, w);
}

/* ---- the verdict ------------------------------------------------------------------------------------------------------------- */

static bool all_settled(const struct sim *s)
{
    for (int c = 0; c < s->n_clients; c++)
        for (int j = 0; j < s->clients[c].n_jobs; j++)
            if (!s->clients[c].jobs[j].dropped && s->clients[c].jobs[j].settled < s->clients[c].jobs[j].n)
                return false;
    return true;
}

static void judge_task(struct sim *s, const struct sim_job *j, uint32_t i)
{
    struct sim_report *r = &s->report;
    int kind = j->kinds[i];
    r->attempted++;
    r->delivered += j->outcomes[i];
    r->started += j->starts[i] > 0;
    r->started_again += j->starts[i] > 1;
    r->ok += kind == BFORK_OK && j->outcomes[i];
    r->lost_outcome += kind == BFORK_LOST;
    r->unknown += kind == BFORK_UNKNOWN;
    r->failed += kind != BFORK_OK && kind != BFORK_LOST && kind != BFORK_UNKNOWN;
    r->cancelled += kind == BFORK_CANCELLED;
    r->dropped += j->dropped;
    if (j->outcomes[i] != 1 && !(j->dropped && !j->outcomes[i]))
        sim_fail(s, "job %u task %u has %u outcomes", j->tag, i, j->outcomes[i]);
    if (j->at_most_once && j->starts[i] > 1)
        sim_fail(s, "job %u task %u was to run at most once and began %u times", j->tag, i, j->starts[i]);
    if (!j->outcomes[i])
        return;
    if (kind == BFORK_OK && j->starts[i] == 0)
        sim_fail(s, "job %u task %u is well and never began", j->tag, i);
    if (kind == BFORK_CANCELLED && !j->cancelled[i])
        sim_fail(s, "job %u task %u was cancelled by nobody and ended so", j->tag, i);
    if (kind == BFORK_CANCELLED && (j->cancelled[i] & 3) == 2 && !s->faults && j->starts[i])
        sim_fail(s, "job %u task %u had begun, was to be cancelled if not, and ended so", j->tag, i);
    enum sim_task does = task_kind(j, i);
    if (does == TASK_OK && kind != BFORK_OK && kind != BFORK_LOST && kind != BFORK_UNKNOWN &&
        !(kind == BFORK_CRASHED && (s->faults & FAULT_PROCESS)) && !(kind == BFORK_CANCELLED && j->cancelled[i]))
        sim_fail(s, "job %u task %u should be well and ended as %d", j->tag, i, kind);
    if (does != TASK_OK && kind == BFORK_OK)
        sim_fail(s, "job %u task %u should have failed", j->tag, i);
    if (kind == BFORK_UNKNOWN && (!j->at_most_once || !s->faults))
        sim_fail(s, "job %u task %u is unknown, and %s", j->tag, i,
                 s->faults ? "was not to run at most once" : "nothing has happened");
    if (kind == BFORK_LOST && !(s->faults & (FAULT_WORKER | FAULT_STALL | FAULT_CUT | FAULT_DRAIN | FAULT_TEMPLATE |
                                               FAULT_REVOKE | FAULT_ADOPTED)))
        sim_fail(s, "job %u task %u was lost though no worker was", j->tag, i);
    /* With nothing but restarts of the broker, what a live worker holds never runs again. */
    if (!(s->faults & ~(unsigned)FAULT_BROKER) && !s->cancels && j->starts[i] > 1)
        sim_fail(s, "job %u task %u ran %u times though only the broker was restarted", j->tag, i, j->starts[i]);
}

static void judge(struct sim *s)
{
    for (int c = 0; c < s->n_clients; c++)
        for (int j = 0; j < s->clients[c].n_jobs; j++)
            for (uint32_t i = 0; i < s->clients[c].jobs[j].n; i++)
                judge_task(s, &s->clients[c].jobs[j], i);
    for (int c = 0; c < s->n_clients; c++) {
        struct session_counters counters;
        session_counters(s->clients[c].core, &counters);
        s->report.duplicates += counters.duplicates;
        s->report.sent_again += counters.sent_again;
    }
}

static void tear_down(struct sim *s)
{
    while (s->n_heap) {
        struct sim_event e = next_event(s);
        buf_unref(&e.frame);
    }
    for (int c = 0; c < s->n_clients; c++) {
        session_free(&s->clients[c].core);
        net_forget(&s->clients[c].here);
        for (int j = 0; j < s->clients[c].n_jobs; j++) {
            free(s->clients[c].jobs[j].outcomes);
            free(s->clients[c].jobs[j].starts);
            free(s->clients[c].jobs[j].kinds);
            free(s->clients[c].jobs[j].said);
            free(s->clients[c].jobs[j].cancelled);
            free(s->clients[c].jobs[j].in);
        }
    }
    for (int w = 0; w < s->n_workers; w++) {
        worker_free(&s->workers[w].core);
        net_forget(&s->workers[w].here);
    }
    broker_free(&s->broker);
    free(s->heap);
}

/* Names who waits for what. */
static void stuck(struct sim *s, const char *what)
{
    char text[1400];
    size_t at = 0;
    for (int c = 0; c < s->n_clients; c++)
        for (int j = 0; j < s->clients[c].n_jobs; j++) {
            const struct sim_job *job = &s->clients[c].jobs[j];
            uint32_t i = 0;
            while (i < job->n && job->outcomes[i])
                i++;
            if (i < job->n && !job->dropped && at < sizeof(text))
                at += (size_t)snprintf(text + at, sizeof(text) - at,
                                       "; c%d job %u%s%s: %u of %u settled, %u added, first without is %u (began %u times)", c,
                                       job->tag, job->map ? " map" : "", job->at_most_once ? " once" : "", job->settled, job->n,
                                       job->added, i, job->starts[i]);
        }
    for (int c = 0; c < s->n_clients && at < sizeof(text); c++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "; c%d %s unsettled %llu unsent %llu", c,
                               session_is_up(s->clients[c].core) ? "up" : "down",
                               (unsigned long long)session_unsettled(s->clients[c].core),
                               (unsigned long long)session_unsent(s->clients[c].core));
    if (s->broker && at < sizeof(text)) {
        struct broker_counters n;
        broker_counters(s->broker, &n);
        snprintf(text + at, sizeof(text) - at, "; broker queued %llu running %llu clients %llu workers %llu slots %llu",
                 (unsigned long long)n.queued, (unsigned long long)n.running, (unsigned long long)n.clients,
                 (unsigned long long)n.workers, (unsigned long long)n.slots);
    }
    at = strlen(text);
    for (int i = 0; i < s->n_workers && at < sizeof(text); i++) {
        const struct sim_worker *w = &s->workers[i];
        struct worker_counters n = { 0 };
        if (w->core)
            worker_counters(w->core, &n);
        at += (size_t)snprintf(text + at, sizeof(text) - at, "; w%d%s %u slots, holds %llu, lanes %llu procs %llu busy %llu", i,
                               !w->core ? " dead" : w->there.conn ? "" : " offline", w->slots, (unsigned long long)n.chunks,
                               (unsigned long long)n.lanes, (unsigned long long)n.procs, (unsigned long long)n.busy);
        for (int k = 0; k < SIM_PROCS && at < sizeof(text); k++)
            if (w->procs[k].id)
                at +=
                    (size_t)snprintf(text + at, sizeof(text) - at, " p%u lane %u%s%s%s%s ring %u", w->procs[k].id, w->procs[k].lane,
                                     w->procs[k].ready ? "" : " starting", w->procs[k].stopping ? " stopping" : "",
                                     w->procs[k].dead ? " dead" : "", w->procs[k].busy ? " busy" : "", w->procs[k].count);
    }
    sim_fail(s, "%s: %llu s after healing%s", what, (unsigned long long)((s->now - s->faults_until) / CLOCK_SEC),
             text);
}

static void run_until(struct sim *s, bool (*done)(const struct sim *), uint64_t end)
{
    while (s->n_heap && !s->failure[0] && !done(s) && s->heap[0].at <= end && s->report.events <= EVENTS_MAX) {
        struct sim_event e = next_event(s);
        s->now = e.at;
        s->report.events++;
        e.run(s, e.what, e.a, e.frame ? (uint64_t)(uintptr_t)e.frame : e.b);
        buf_unref(&e.frame);
    }
}

/* Whoever has asked whether tasks had begun has heard it. */
static bool all_answered(const struct sim *s)
{
    for (int c = 0; c < s->n_clients; c++)
        if (!s->clients[c].dead && s->clients[c].answered < s->clients[c].asked)
            return false;
    return true;
}

static bool settled(const struct sim *s)
{
    return s->healed && all_settled(s) && all_answered(s);
}

/* Nobody holds anything of anybody any more. */
static bool empty(const struct sim *s)
{
    struct broker_counters b;
    if (!s->broker)
        return false;
    broker_counters(s->broker, &b);
    for (int i = 0; i < s->n_workers; i++) {
        struct worker_counters n = { .chunks = 1 };
        if (s->workers[i].core)
            worker_counters(s->workers[i].core, &n);
        if (n.chunks || n.held_bytes)
            return false;
    }
    return b.clients == 0 && b.queued == 0 && b.running == 0 && broker_idle(s->broker);
}

static void close_all(struct sim *s)
{
    struct broker_counters b;
    for (int c = 0; c < s->n_clients; c++)
        client_leave(s, &s->clients[c]);
    run_until(s, empty, s->now + 200 * CLOCK_SEC);
    if (s->failure[0])
        return;
    if (!empty(s)) {
        stuck(s, "not everything was given back after the clients had left");
        return;
    }
    broker_counters(s->broker, &b);
    /* Caches of objects stay; an adopted attempt has had more of them in reserve than one that was handed out. */
    if (b.bytes > 262144 + 1000 * (s->report.attempted + b.adopted))
        sim_fail(s, "the broker has no clients and %llu bytes", (unsigned long long)b.bytes);
}

/* A client that does not read: only its own work stops. */
static void others_are_served(struct sim *s, void *what, uint64_t a, uint64_t b)
{
    uint64_t begun = 0;
    (void)what, (void)a, (void)b;
    for (int c = 1; c < s->n_clients; c++)
        for (int j = 0; j < s->clients[c].n_jobs; j++)
            if (!s->clients[c].jobs[j].dropped && s->clients[c].jobs[j].settled < s->clients[c].jobs[j].n)
                sim_fail(s, "c%d waits because c0 does not read", c);
    for (int j = 0; j < s->clients[0].n_jobs; j++)
        for (uint32_t i = 0; i < s->clients[0].jobs[j].n; i++)
            begun += s->clients[0].jobs[j].starts[i] > 0;
    if (begun > 2000)
        sim_fail(s, "c0 does not read, and %llu of its tasks were run", (unsigned long long)begun);
}

int sim_run(uint64_t seed, unsigned faults, bool trace, struct sim_report *report, char failure[SIM_TEXT])
{
    struct sim *s = calloc(1, sizeof(*s));
    if (!s)
        abort();
    s->seed = seed;
    s->random = seed * 2654435761u + 1;
    s->now = CLOCK_SEC;
    s->faults = faults;
    s->trace = trace;
    s->n_workers = 1 + (int)sim_random(s, SIM_WORKERS);
    s->n_clients = 1 + (int)sim_random(s, SIM_CLIENTS);
    s->faults_until = s->now + 500 * CLOCK_MS + sim_random(s, 8000) * CLOCK_MS;
    s->cancels = sim_chance(s, 300);
    s->window_small = sim_chance(s, 200) ? 200 + sim_random(s, 400) : 0;
    s->turns_short = sim_chance(s, 300);
    s->printing = sim_chance(s, 500) ? 0 : sim_chance(s, 500) ? 50 : 300;
    s->output_window = sim_chance(s, 700) ? 1200 : 0;
    if (faults == 0 && sim_chance(s, 300)) {
        s->slow_reader = true;
        s->printing = 0;
        s->n_clients = SIM_CLIENTS;
        s->cancels = false;
        s->window_small = 0;
        s->faults_until = s->now;
        sim_at(s, s->now + 59 * CLOCK_SEC, others_are_served, NULL, 0, 0, NULL);
    }
    broker_start(s);
    for (int w = 0; w < s->n_workers; w++) {
        s->workers[w] = (struct sim_worker){ .s = s, .number = w };
        s->workers[w].unsuitable = faults & FAULT_UNSUITABLE && w && sim_chance(s, 600);
        worker_start(s, &s->workers[w], false);
    }
    for (int c = 0; c < s->n_clients; c++) {
        s->clients[c] = (struct sim_client){ .s = s, .number = c };
        client_start(s, &s->clients[c]);
    }
    sim_at(s, s->now + sim_random(s, 300 * CLOCK_MS), fault, NULL, 0, 0, NULL);
    sim_at(s, s->faults_until, heal, NULL, 0, 0, NULL);
    run_until(s, settled, s->faults_until + END_OF_TIME);
    if (!s->failure[0] && !all_settled(s))
        stuck(s, "not everything was settled");
    if (!s->failure[0] && !all_answered(s))
        stuck(s, "a cancel of what has not begun was not answered");
    if (!s->failure[0])
        judge(s);
    if (!s->failure[0])
        close_all(s);
    *report = s->report;
    memcpy(failure, s->failure, sizeof(s->failure));
    tear_down(s);
    free(s);
    return failure[0] ? 1 : 0;
}
