/* SPDX-License-Identifier: MPL-2.0
 * frame NAME - the longest turn of the broker's core that one frame causes, in milliseconds of processor time, while a million
 * one-task ranges wait that do not merge: the turn that takes the frame in, and each that follows until nothing is due any more.
 * Without sockets: the core alone, with everything that is to be sent composed and dropped. */
#include "broker.h"
#include "base/clock.h"
#include "contest.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RANGES 1000000u
#define RECORDS WIRE_ITEMS_MAX
#define CLIENT 1u               /* connections */
#define WORKER 2u
#define ATTEMPTS 65536u         /* that a worker has when it goes, or has brought after a restart */
#define POOLS 524288u           /* that want nothing */
#define HOLDING_WIDE 2000u      /* tasks of one of its records */

static struct wire_item items[RECORDS], given[ATTEMPTS];
static size_t n_given;
static uint64_t now, sent_seq;
static struct broker *b;

static double spent(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* What workers were given and clients were told. */
static void look(const struct wire_msg *m)
{
    for (uint32_t i = 0; i < m->n_items; i++) {
        if ((m->type == WIRE_CHUNKS || m->type == WIRE_ASSIGNED) && n_given < ATTEMPTS)
            given[n_given++] = m->items[i];
        if (m->type == WIRE_OUTCOMES)
            sent_seq = m->items[i].id;
    }
}

/* One turn; a cut connection is lost, as the shell would see it. Milliseconds. */
static double turn(void)
{
    const struct broker_effect *e;
    double before = spent(), ms;
    broker_peer cut = 0;
    size_t n;

    broker_tick(b, now);
    broker_flush(b, now);
    ms = spent() - before;
    e = broker_effects(b, &n);
    for (size_t i = 0; i < n; i++) {
        if (e[i].type == BROKER_SEND && e[i].msg.type == WIRE_ERROR)
            contest_fail("the broker says: %.*s", (int)e[i].msg.u.error.text.n, e[i].msg.u.error.text.p);
        if (e[i].type == BROKER_SEND)
            look(&e[i].msg);
        cut = e[i].type == BROKER_CUT ? e[i].peer : cut;
    }
    before = spent();
    broker_effects_done(b);
    if (cut)
        broker_lost(b, now, cut);
    return ms + spent() - before;
}

static double settle(void)
{
    double worst = 0, ms;

    do {
        ms = turn();
        worst = ms > worst ? ms : worst;
    } while (broker_deadline(b) <= now);
    return worst;
}

/* The frame and what follows from it. */
static double tell(broker_peer peer, struct wire_msg *m)
{
    static const uint8_t keys[3][WIRE_KEY] = { { 0 }, { 'c' }, { 'w' } };
    double before = spent(), taken, first, rest;

    now += CLOCK_MS;
    broker_recv(b, now, peer, peer == WORKER ? WIRE_WORKER : WIRE_CLIENT, keys[peer], m);
    taken = spent() - before;
    first = taken + turn();
    rest = broker_deadline(b) <= now ? settle() : 0;
    return first > rest ? first : rest;
}

static double records(broker_peer peer, enum wire_type type, uint32_t n)
{
    return tell(peer, &(struct wire_msg){ .type = type, .items = items, .n_items = n });
}

static void hello(broker_peer peer, uint64_t conn_no)
{
    static const uint8_t instance[WIRE_ID] = { 1 };
    struct wire_msg m = { .type = WIRE_HELLO };

    m.u.hello = (struct wire_hello){ .protocol_min = 1, .protocol_max = 1, .role = peer == WORKER ? WIRE_WORKER : WIRE_CLIENT,
                                     .instance = wire_bin_of(instance, WIRE_ID), .conn_no = conn_no, .epoch = 7,
                                     .slots = peer == WORKER ? ATTEMPTS : 0, .window_bytes = 1ull << 30,
                                     .features = peer == WORKER ? WIRE_FEATURES : 0 };
    tell(peer, &m);
}

static double open_job(bool once)
{
    static const uint8_t id[WIRE_DIGEST] = { 1 };
    struct wire_pool_spec ps = { .program_name = WIRE_STR("p") };
    struct wire_fn fn = { .kind = WIRE_FN_SYMBOL, .object = WIRE_STR("x"), .symbol = WIRE_STR("f") };
    struct buf *f = wire_fn_encode(&fn), *p = wire_pool_spec_encode(&ps), *j;
    struct wire_job_spec js = { .kind = WIRE_JOB_TASKS, .chunk = 1, .retries = once ? -1 : 0 };
    struct wire_msg m = { .type = WIRE_POOL_OPEN };
    double ms;

    js.fn = wire_bin_of(f->data, f->size);
    j = wire_job_spec_encode(&js);
    m.u.pool_open = (struct wire_pool_open){ .pool = 1, .processes = -1, .digest = wire_bin_of(id, WIRE_DIGEST),
                                             .spec = wire_bin_of(p->data, p->size) };
    tell(CLIENT, &m);
    m = (struct wire_msg){ .type = WIRE_JOB_OPEN };
    m.u.job_open = (struct wire_job_open){ .job = 1, .pool = 1, .id = wire_bin_of(id, WIRE_ID),
                                           .spec = wire_bin_of(j->data, j->size) };
    ms = tell(CLIENT, &m);
    buf_unref(&f);
    buf_unref(&p);
    buf_unref(&j);
    return ms;
}

/* One-task records from index `first` on, every second one, or all with counters that differ: nothing merges. Their worst turn. */
static double tasks(uint64_t first, uint32_t step, uint32_t n, uint32_t flags)
{
    double worst = 0, ms;

    for (uint32_t at = 0; at < n;) {
        uint32_t k = 0;
        for (; k < RECORDS && at < n; k++, at++)
            items[k] = (struct wire_item){ .job = 1, .first = first + (uint64_t)step * at, .count = 1,
                                           .flags = WIRE_FIXED | flags, .tries = step == 1 ? at % 2 : 0 };
        ms = records(CLIENT, WIRE_TASKS, k);
        worst = ms > worst ? ms : worst;
    }
    return worst;
}

/* Records spread over all that waits. */
static void scatter(enum wire_why why)
{
    for (uint32_t i = 0; i < RECORDS; i++)
        items[i] = (struct wire_item){ .job = 1, .first = 2 * ((uint64_t)i * 48271 % RANGES), .count = 1, .why = why };
}

static void no_tickets(void *ctx, const void *in, size_t n, uint8_t out[WIRE_TICKET])
{
    (void)ctx;
    (void)in;
    (void)n;
    memset(out, 0, WIRE_TICKET);
}

static void begin(void)
{
    struct broker_config c = { .epoch = 8, .seed = 1, .secret = { 3, 5 }, .mac = no_tickets, .owner_memory = 8ull << 30,
                               .worker_memory = 1ull << 30, .worker_window_bytes = 1ull << 30, .lease_ms = 3600000,
                               .hold_ms = 7200000, .pools_max = POOLS };

    n_given = 0;
    sent_seq = 0;
    now = CLOCK_MS;
    if (broker_new(&c, &b) < 0)
        contest_fail("no memory for a broker");
}

/* A million wait; a worker, if there is one, has as many as it takes. */
static void crowd(bool once, bool worker)
{
    struct wire_msg last = { .type = WIRE_HOLDING };

    begin();
    hello(CLIENT, 1);
    open_job(once);
    tasks(0, 2, RANGES, 0);
    if (!worker)
        return;
    last.u.holding.last = true;
    hello(WORKER, 1);
    tell(WORKER, &last);
    if (!n_given)
        contest_fail("the worker was given nothing");
}

/* Attempts of a broker that is gone, said again; from index `first` on, each `count` indexes long. */
static double holding(uint32_t n, uint64_t first, uint32_t count, bool last)
{
    struct wire_msg m = { .type = WIRE_HOLDING, .items = items, .n_items = n };
    struct broker_counters before, after;
    double ms;

    for (uint32_t i = 0; i < n; i++) {
        uint64_t at = first + (uint64_t)i * (count + count % 2);
        items[i] = (struct wire_item){ .id = 1000000 + at, .first = at, .count = count, .end = at + count };
        items[i].job_id[0] = 1;
        items[i].owner[0] = 'c';
    }
    m.u.holding.last = last;
    broker_counters(b, &before);
    ms = tell(WORKER, &m);
    broker_counters(b, &after);
    if (after.adopted - before.adopted != n)
        contest_fail("of %u attempts %llu were adopted", n, (unsigned long long)(after.adopted - before.adopted));
    return ms;
}

static double frame_tasks(void)
{
    crowd(false, false);
    return tasks(2ull * RANGES, 2, RECORDS, 0);
}

static double frame_cancel(void)
{
    crowd(false, false);
    scatter(WIRE_WHY_CANCEL);
    return records(CLIENT, WIRE_CANCEL, RECORDS);
}

static double frame_cancel_all(void)
{
    crowd(false, false);
    items[0] = (struct wire_item){ .job = 1, .why = WIRE_WHY_CANCEL };
    return records(CLIENT, WIRE_CANCEL, 1);
}

/* Of all that waits, and of thousands of attempts, for which the worker is asked. */
static double frame_cancel_queued(void)
{
    crowd(false, true);
    items[0] = (struct wire_item){ .job = 1, .why = WIRE_WHY_QUEUED };
    return tell(CLIENT, &(struct wire_msg){ .type = WIRE_CANCEL, .request = 1, .items = items, .n_items = 1 });
}

static double frame_recalled(void)
{
    frame_cancel_queued();
    for (uint32_t i = 0; i < RECORDS; i++)
        items[i] = (struct wire_item){ .id = given[i].id, .first = given[i].first };
    return records(WORKER, WIRE_RECALLED, RECORDS);
}

static double frame_look(void)
{
    crowd(false, false);
    scatter(0);
    for (uint32_t i = 0; i < RECORDS; i++)
        items[i].count = 1000;
    return records(CLIENT, WIRE_TASKS_LOOK, RECORDS);
}

/* Of 100,000 outcomes, as many as the windows let out, in one record. */
static double frame_ack(void)
{
    crowd(false, false);
    for (uint32_t i = 0; i < 50; i++) {
        scatter(WIRE_WHY_CANCEL);
        for (uint32_t k = 0; k < RECORDS; k++)
            items[k].first = 4ull * (i * RECORDS + k) % (2ull * RANGES);
        records(CLIENT, WIRE_CANCEL, RECORDS);
    }
    if (sent_seq < RECORDS)
        contest_fail("only %llu outcomes came", (unsigned long long)sent_seq);
    items[0] = (struct wire_item){ .job = 1, .id = sent_seq };
    return records(CLIENT, WIRE_OUTCOMES_ACK, 1);
}

static double frame_assigned(void)
{
    crowd(true, true);
    memcpy(items, given, sizeof(items));
    return records(CLIENT, WIRE_ASSIGNED_OK, n_given < RECORDS ? (uint32_t)n_given : RECORDS);
}

static double frame_results(void)
{
    crowd(false, true);
    for (uint32_t i = 0; i < RECORDS; i++)
        items[i] = (struct wire_item){ .id = given[i].id, .first = given[i].first, .count = 1, .flags = WIRE_FIXED, .kind = WIRE_OK,
                                       .sum_ns = 30 * CLOCK_MS };
    return records(WORKER, WIRE_RESULTS, RECORDS);
}

static double end(broker_peer peer, enum wire_type type)
{
    struct wire_msg m = { .type = type };

    if (type == WIRE_POOL_CLOSE)
        m.u.pool_ref.pool = 1;
    if (type == WIRE_JOB_CLOSE)
        m.u.job_ref.job = 1;
    return tell(peer, &m);
}

static double frame_job_close(void) { return crowd(false, true), end(CLIENT, WIRE_JOB_CLOSE); }
static double frame_pool_close(void) { return crowd(false, true), end(CLIENT, WIRE_POOL_CLOSE); }
static double frame_bye(void) { return crowd(false, true), end(CLIENT, WIRE_BYE); }
static double frame_worker_bye(void) { return crowd(false, true), end(WORKER, WIRE_BYE); }

/* Connections that are lost: nothing was said, and there is a turn all the same. */
static double cut(broker_peer peer)
{
    double before = spent(), taken, worst;

    now += CLOCK_MS;
    broker_lost(b, now, peer);
    taken = spent() - before;
    worst = taken + turn();
    taken = settle();
    return worst > taken ? worst : taken;
}

static double frame_worker_cut(void) { return crowd(false, true), cut(WORKER); }
static double frame_client_cut(void) { return crowd(true, true), cut(CLIENT); }

static double frame_lease_end(void)
{
    crowd(false, true);
    cut(WORKER);
    now += 3600000 * CLOCK_MS;
    return settle();
}

static double frame_holding(void)
{
    begin();
    hello(CLIENT, 1);
    open_job(false);
    tasks(0, 2, RANGES, WIRE_REPLAY);
    hello(WORKER, 1);
    return holding(RECORDS, 0, 1, true);
}

/* Few records with many waiting ranges each. */
static double frame_holding_wide(void)
{
    begin();
    hello(CLIENT, 1);
    open_job(false);
    tasks(0, 1, RANGES, WIRE_REPLAY);
    hello(WORKER, 1);
    return holding(RANGES / HOLDING_WIDE, 0, HOLDING_WIDE, true);
}

static double frame_job_open(void)
{
    begin();
    hello(CLIENT, 1);
    hello(WORKER, 1);
    for (uint32_t at = 0; at < ATTEMPTS; at += RECORDS)
        holding(RECORDS, 2ull * at, 1, at + RECORDS == ATTEMPTS);
    return open_job(false);
}

static bool none(void *ctx, const struct broker_worker_row *r) { return (void)ctx, (void)r, true; }
static bool no_job(void *ctx, const struct broker_job_row *r) { return (void)ctx, (void)r, true; }

static double open_pools(uint32_t first, uint32_t last, int32_t processes)
{
    static const uint8_t digest[WIRE_DIGEST] = { 1 };
    struct wire_pool_spec ps = { .program_name = WIRE_STR("p") };
    struct buf *spec = wire_pool_spec_encode(&ps);
    struct wire_msg m = { .type = WIRE_POOL_OPEN };
    double ms = 0;

    for (uint32_t i = first; i <= last; i++) {
        m.u.pool_open = (struct wire_pool_open){ .pool = i, .processes = processes, .digest = wire_bin_of(digest, WIRE_DIGEST),
                                                 .spec = wire_bin_of(spec->data, spec->size) };
        ms = tell(CLIENT, &m);
    }
    buf_unref(&spec);
    return ms;
}

/* Very many pools that want nothing, and a worker. */
static void idle_pools(void)
{
    struct wire_msg last = { .type = WIRE_HOLDING };

    begin();
    hello(WORKER, 1);
    last.u.holding.last = true;
    tell(WORKER, &last);
    hello(CLIENT, 1);
    open_pools(1, POOLS, -1);
}

static double frame_pool_open(void) { return idle_pools(), open_pools(7, 7, 2); }

static double frame_worker_state(void)
{
    struct wire_msg m = { .type = WIRE_WORKER_STATE };

    idle_pools();
    m.u.worker_state.slots = 8;
    return tell(WORKER, &m);
}

static double frame_status(void)
{
    struct wire_msg m = { .type = WIRE_STATUS_GET, .request = 1 };
    struct broker_counters n;
    uint32_t request;
    broker_peer peer;
    char what[16];
    double ms, before;

    crowd(false, true);
    m.u.status_get.what = WIRE_STR("status");
    before = spent();
    broker_recv(b, now, CLIENT, WIRE_CLIENT, (const uint8_t[WIRE_KEY]){ 'c' }, &m);
    if (!broker_status_wanted(b, &peer, &request, what))
        contest_fail("nobody wants a status");
    broker_counters(b, &n);
    broker_workers(b, none, NULL);
    broker_jobs(b, NULL, no_job, NULL);
    broker_status_answer(b, peer, request, "{}");
    ms = spent() - before;
    return ms + turn();
}

static const struct { const char *name; double (*run)(void); } frames[] = {
    { "tasks", frame_tasks }, { "cancel", frame_cancel }, { "cancel-all", frame_cancel_all },
    { "cancel-queued", frame_cancel_queued }, { "recalled", frame_recalled }, { "look", frame_look },
    { "ack", frame_ack }, { "assigned", frame_assigned }, { "results", frame_results }, { "job-close", frame_job_close },
    { "pool-close", frame_pool_close }, { "bye", frame_bye }, { "worker-bye", frame_worker_bye },
    { "worker-cut", frame_worker_cut }, { "client-cut", frame_client_cut }, { "lease-end", frame_lease_end },
    { "holding", frame_holding }, { "holding-wide", frame_holding_wide },
    { "job-open", frame_job_open }, { "status", frame_status }, { "pool-open", frame_pool_open },
    { "worker-state", frame_worker_state },
};

static double measure(void *data)
{
    double (*const *run)(void) = data;
    double ms = (*run)();

    broker_free(&b);
    return ms;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < sizeof(frames) / sizeof(frames[0]); i++)
        if (!strcmp(frames[i].name, argv[1]))
            return contest_loop(measure, NULL, (void *)&frames[i].run);
    contest_fail("frame: name one of the kinds of frames, as in bench/lib/rows.py");
}
