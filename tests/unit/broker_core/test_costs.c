/* SPDX-License-Identifier: MPL-2.0
 * test_costs.c - what a frame of k records costs while n ranges wait, counted in steps: at most c k log n, since each record is
 * found, taken out of a tree and put into one, and what a finished one frees is handed out in the same turn. What touches more goes
 * over turns, each with the steps of so many records as a turn may touch.
 */
#include "world.h"
#include "wire/times.h"

#include <string.h>

#define RANGES 32768u
#define LOG_RANGES 15u
#define RECORDS WIRE_ITEMS_MAX
#define STEPS_A_RECORD (8 * LOG_RANGES)
#define STEPS_A_FRAME (2 * RECORDS * STEPS_A_RECORD)
#define STEPS_A_TURN (3 * 2048u * STEPS_A_RECORD)   /* a frame's, the chores', and what is handed out */

#define POOLS 16384u                /* or jobs, which nothing is asked of */
#define STEPS_OF_FEW 64u            /* what has nothing to do with them, however many there are */
#define STEPS_OF_GRANTS 8192u       /* of them, what may be granted */
#define STEPS_OF_IDLE (2 * 2048u)   /* what looks at all of them, in each of its turns */

static struct wire_item items[RECORDS];

static struct broker_counters counters(struct world *w)
{
    struct broker_counters n;

    broker_counters(w->b, &n);
    return n;
}

static void within(uint64_t steps, uint64_t most, const char *what)
{
    if (steps > most)
        fail_msg("%s costs %llu steps, which may be %llu", what, (unsigned long long)steps, (unsigned long long)most);
}

static uint64_t records(struct world *w, const char *name, enum wire_type type, uint32_t n)
{
    return world_steps(w, name, &(struct wire_msg){ .type = type, .items = items, .n_items = n });
}

/* One-task ranges from index 0 on, every second one. */
static void tasks(struct world *w, uint32_t flags)
{
    for (uint32_t i = 0; i < RANGES;) {
        uint32_t n = 0;
        for (; n < RECORDS; n++, i++)
            items[n] = (struct wire_item){ .job = 1, .first = 2 * (uint64_t)i, .count = 1, .flags = WIRE_FIXED | flags };
        within(records(w, "c1", WIRE_TASKS, n), STEPS_A_FRAME, "TASKS");
    }
}

/* What waits, and a worker that has RECORDS attempts of one task each, from index 0 on: 1, 2, 3 … */
static struct world *crowded(bool once)
{
    struct world *w = world_new(NULL);

    w->quiet = true;
    client_start(w, "c1", -1, &(struct wire_job_spec){ .chunk = 1, .retries = once ? -1 : 0 });
    tasks(w, 0);
    worker_hello(w, "w1", RECORDS);
    world_step(w);
    assert_int_equal(counters(w).running, RECORDS);
    return w;
}

static void settle(struct world *w);

/* A cancel of what has not begun asks for each attempt; answers of one frame cost their records. */
static void r02_questions_of_many_attempts_cost_their_records(void **state)
{
    struct wire_item all = { .job = 1, .why = WIRE_WHY_QUEUED };
    struct world *w = world_new(NULL);

    (void)state;
    w->quiet = true;
    w->features = WIRE_FEATURES;
    client_start(w, "c1", -1, &(struct wire_job_spec){ .chunk = 1 });
    tasks(w, 0);
    worker_hello(w, "w1", RECORDS);
    world_step(w);
    assert_int_equal(counters(w).running, RECORDS);
    within(world_steps(w, "c1", &(struct wire_msg){ .type = WIRE_CANCEL, .request = 1, .items = &all, .n_items = 1 }), STEPS_A_TURN,
           "CANCEL");
    settle(w);
    assert_int_equal(counters(w).queued, 0);
    for (uint32_t i = 0; i < RECORDS; i++)
        items[i] = (struct wire_item){ .id = i + 1, .first = 2 * (uint64_t)i };
    within(records(w, "w1", WIRE_RECALLED, RECORDS), STEPS_A_FRAME, "RECALLED");
    assert_int_equal(counters(w).running + counters(w).queued, 0);
    assert_int_equal(counters(w).attempts, RECORDS);
    world_free(w);
}

/* Turns until nothing is due any more. */
static void settle(struct world *w)
{
    for (int turns = 0; broker_deadline(w->b) <= w->now; turns++) {
        uint64_t before = broker_steps(w->b);
        broker_tick(w->b, w->now);
        broker_flush(w->b, w->now);
        broker_effects_done(w->b);
        within(broker_steps(w->b) - before, STEPS_A_TURN, "a turn");
        assert_true(turns < 2000);
    }
}

static void done(struct world *w)
{
    settle(w);
    assert_null(broker_check(w->b));
    world_free(w);
}

static void r06_results_and_their_acknowledgement_cost_their_records(void **state)
{
    struct world *w = crowded(false);

    (void)state;
    for (uint32_t i = 0; i < RECORDS; i++)
        items[i] = (struct wire_item){ .id = i + 1, .first = 2 * (uint64_t)i, .count = 1, .flags = WIRE_FIXED, .kind = WIRE_OK,
                                       .sum_ns = 30 * CLOCK_MS };
    within(records(w, "w1", WIRE_RESULTS, RECORDS), STEPS_A_FRAME, "RESULTS");
    assert_int_equal(counters(w).tasks_ok, RECORDS);
    settle(w);
    items[0] = (struct wire_item){ .job = 1, .id = RECORDS };
    within(records(w, "c1", WIRE_OUTCOMES_ACK, 1), STEPS_A_FRAME, "OUTCOMES_ACK of as many");
    assert_int_equal(counters(w).workers, 1);
    assert_int_equal(counters(w).clients, 1);
    done(w);
}

static void r06_confirmed_attempts_cost_their_records(void **state)
{
    struct world *w = crowded(true);

    (void)state;
    for (uint32_t i = 0; i < RECORDS; i++)
        items[i] = (struct wire_item){ .id = i + 1, .job = 1 };
    within(records(w, "c1", WIRE_ASSIGNED_OK, RECORDS), STEPS_A_FRAME, "ASSIGNED_OK");
    assert_int_equal(counters(w).slots_busy, RECORDS);      /* all were sent */
    done(w);
}

static void r06_ends_cost_the_same_however_much_waits(void **state)
{
    struct wire_msg close = { .type = WIRE_JOB_CLOSE }, bye = { .type = WIRE_BYE };
    struct world *w = crowded(false);

    (void)state;
    close.u.job_ref.job = 1;
    within(world_steps(w, "c1", &close), 8 * LOG_RANGES, "JOB_CLOSE");
    within(world_steps(w, "w1", &bye), STEPS_A_TURN, "BYE of a worker");
    assert_int_equal(counters(w).workers, 0);
    settle(w);
    assert_int_equal(counters(w).queued, RANGES);
    assert_int_equal(counters(w).running, 0);
    done(w);
}

/* Its attempts at most once were not confirmed: they go back, each to one place. */
static void r06_a_client_that_is_cut_costs_what_it_had_not_confirmed(void **state)
{
    struct world *w = crowded(true);
    uint64_t before = broker_steps(w->b);

    (void)state;
    broker_lost(w->b, w->now, world_peer(w, "c1")->id);
    world_peer(w, "c1")->id = 0;
    within(broker_steps(w->b) - before, RECORDS * STEPS_A_RECORD, "the loss of a client");
    settle(w);
    assert_int_equal(counters(w).running, 0);
    assert_int_equal(counters(w).queued, RANGES);
    done(w);
}

/* A client comes back while its work is put aside, which takes turns: that goes on, and then all of it runs again. */
static void r26_a_client_that_comes_back_while_it_is_put_aside(void **state)
{
    const struct wire_job_spec single = { .chunk = 1 };
    struct world *w = world_new(NULL);

    (void)state;
    w->quiet = true;
    client_start(w, "c1", -1, &single);
    tasks(w, 0);
    worker_hello(w, "w1", 3 * RECORDS);
    world_step(w);
    assert_int_equal(counters(w).running, 3 * RECORDS);
    world_lost(w, "c1");
    w->now += 3000 * CLOCK_MS;
    simple(w, "w1", WIRE_PING, 1);
    w->now += (TIME_CLOSED_MS - 3000) * CLOCK_MS;
    broker_tick(w->b, w->now);
    assert_int_not_equal(counters(w).running, 0);
    client_start(w, "c1", -1, &single);
    world_step(w);
    assert_int_equal(counters(w).requeued, 3 * RECORDS);
    assert_int_equal(counters(w).running, 3 * RECORDS);
    assert_int_equal(counters(w).slots_busy, 3 * RECORDS);
    done(w);
}

static void zeros(void *ctx, const void *in, size_t n, uint8_t out[WIRE_TICKET])
{
    (void)ctx;
    (void)in;
    (void)n;
    memset(out, 0, WIRE_TICKET);
}

/* RECORDS attempts of a broker that is gone, of the job of c1: those of one task each from the n-th on. */
static void held(struct world *w, uint64_t n)
{
    for (uint32_t i = 0; i < RECORDS; i++, n++) {
        items[i] = (struct wire_item){ .id = 1000000 + n, .first = 2 * n, .count = 1, .end = 2 * n + 1 };
        items[i].job_id[0] = 1;
        items[i].job_id[1] = '1';
        memcpy(items[i].owner, world_peer(w, "c1")->key, WIRE_KEY);
    }
}

static void hold(struct world *w)
{
    struct wire_msg m = { .type = WIRE_HOLDING, .items = items, .n_items = RECORDS };

    held(w, 0);
    m.u.holding.last = true;
    worker_hello_only(w, "w1", RECORDS, NULL);
    within(world_steps(w, "w1", &m), STEPS_A_TURN, "HOLDING");
    settle(w);
    assert_int_equal(counters(w).adopted, RECORDS);
    assert_int_equal(counters(w).running, RECORDS);
    assert_int_equal(counters(w).slots_busy, RECORDS);
}

static struct world *restarted(void)
{
    struct world *w = world_new(NULL);

    w->quiet = true;
    w->config.mac = zeros;
    world_peer(w, "c1");
    world_peer(w, "w1")->epoch = EPOCH;
    world_restart(w, 2 * EPOCH);
    return w;
}

static void r06_what_a_worker_holds_costs_its_records(void **state)
{
    struct world *w = restarted();

    (void)state;
    client_start(w, "c1", -1, NULL);
    tasks(w, WIRE_REPLAY);
    hold(w);
    assert_int_equal(counters(w).queued, RANGES - RECORDS);
    done(w);
}

/* More frames than anybody looks at in a turn. */
static void r06_many_frames_of_holding_cost_a_turn(void **state)
{
    struct wire_msg m = { .type = WIRE_HOLDING, .items = items, .n_items = RECORDS };
    struct world *w = restarted();
    struct world_peer *p = world_peer(w, "w1");
    uint64_t before;

    (void)state;
    worker_hello_only(w, "w1", RECORDS, NULL);
    before = broker_steps(w->b);
    for (uint32_t k = 0; k < 40; k++) {
        held(w, k * RECORDS);
        m.u.holding.last = k == 39;
        broker_recv(w->b, w->now, p->id, p->role, p->key, &m);
    }
    within(broker_steps(w->b) - before, STEPS_A_TURN, "40 frames of HOLDING");
    settle(w);
    assert_int_equal(counters(w).adopted, 40 * RECORDS);
    done(w);
}

static void r06_a_job_that_a_worker_has_brought_is_opened_over_turns(void **state)
{
    struct world *w = restarted();
    uint64_t before;

    (void)state;
    hold(w);
    before = broker_steps(w->b);
    client_start(w, "c1", -1, NULL);
    within(broker_steps(w->b) - before, STEPS_A_TURN, "JOB_OPEN");
    settle(w);
    assert_int_equal(counters(w).running, RECORDS);
    done(w);
}

/* Before its chore is done, nobody finds the worker, its tasks are where they were, and cancels reach them. */
static void r06_a_worker_that_ends_over_turns_loses_nothing(void **state)
{
    struct wire_item all = { .job = 1, .why = WIRE_WHY_CANCEL };
    struct world *w = crowded(false);
    struct world_peer *p = world_peer(w, "w1");

    (void)state;
    broker_recv(w->b, w->now, p->id, p->role, p->key, &(struct wire_msg){ .type = WIRE_BYE });
    assert_int_equal(counters(w).workers, 0);
    assert_null(broker_check(w->b));
    world_steps(w, "c1", &(struct wire_msg){ .type = WIRE_CANCEL, .items = &all, .n_items = 1 });
    assert_null(broker_check(w->b));
    settle(w);
    assert_int_equal(counters(w).tasks_failed, RANGES);     /* each of them once */
    assert_int_equal(counters(w).queued + counters(w).running, 0);
    done(w);
}

/* ---- pools and jobs that nothing is asked of ------------------------------------------------------------------------------- */

static uint32_t n_told, told_slots;

static void on_pool_state(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    (void)w;
    (void)p;
    n_told += m->type == WIRE_POOL_STATE && m->u.pool_state.slots == told_slots;
}

static uint64_t open_pool(struct world *w, uint32_t pool, int32_t processes)
{
    struct wire_pool_spec spec = { .program_name = WIRE_STR("prog") };
    struct buf *bytes = wire_pool_spec_encode(&spec);
    struct wire_msg m = { .type = WIRE_POOL_OPEN };
    uint8_t digest[WIRE_DIGEST];
    uint64_t steps;

    memset(digest, (int)pool, sizeof(digest));
    m.u.pool_open = (struct wire_pool_open){ .pool = pool, .processes = processes, .digest = wire_bin_of(digest, WIRE_DIGEST),
                                             .spec = wire_bin_of(bytes->data, bytes->size) };
    steps = world_steps(w, "c1", &m);
    buf_unref(&bytes);
    return steps;
}

static struct world *idle_pools(void)
{
    struct world *w = world_new(&(struct broker_config){ .pools_max = POOLS + 8, .jobs_max = POOLS + 8 });

    w->quiet = true;
    worker_hello(w, "w1", 4);
    client_start(w, "c1", -1, NULL);
    for (uint32_t i = 2; i <= POOLS; i++)
        open_pool(w, i, -1);
    return w;
}

static void r06_a_pool_costs_the_same_however_many_are_idle(void **state)
{
    struct world *w = idle_pools();
    struct wire_item one = { .job = 1, .count = 1, .flags = WIRE_FIXED };
    struct wire_msg close = { .type = WIRE_POOL_CLOSE };

    (void)state;
    within(open_pool(w, 77, -1), STEPS_OF_FEW, "a POOL_OPEN that changes nothing");
    within(open_pool(w, 77, 2), STEPS_OF_FEW, "a POOL_OPEN with other processes");
    within(world_steps(w, "c1", &(struct wire_msg){ .type = WIRE_TASKS, .items = &one, .n_items = 1 }), 2 * STEPS_OF_FEW,
           "the first task of a pool");
    assert_int_equal(counters(w).running, 1);
    close.u.pool_ref.pool = 78;
    within(world_steps(w, "c1", &close), STEPS_OF_FEW, "a POOL_CLOSE");
    done(w);
}

/* A result that fills its client's window, and its acknowledgement. */
static void r06_a_full_window_costs_the_same_however_many_pools_are_idle(void **state)
{
    static uint8_t body[1u << 20];
    struct world *w = idle_pools();
    struct wire_item one = { .id = 1, .count = 1, .flags = WIRE_FIXED, .kind = WIRE_OK, .size = sizeof(body), .sum_ns = 1000,
                             .body = slice_borrow(body, sizeof(body)) };
    uint64_t before;

    (void)state;
    client_tasks(w, "c1", 1, 0, 2, 0);
    before = counters(w).tasks_ok;
    within(world_steps(w, "w1", &(struct wire_msg){ .type = WIRE_RESULTS, .items = &one, .n_items = 1 }), 2 * STEPS_OF_FEW,
           "a result that fills the window");
    assert_int_equal(counters(w).tasks_ok, before + 1);
    one = (struct wire_item){ .job = 1, .id = 1 };
    within(world_steps(w, "c1", &(struct wire_msg){ .type = WIRE_OUTCOMES_ACK, .items = &one, .n_items = 1 }), 2 * STEPS_OF_FEW,
           "its acknowledgement");
    assert_int_equal(counters(w).clients, 1);
    done(w);
}

/* Each is told, in time, what it would have. */
static void r06_idle_pools_hear_of_slots_over_turns(void **state)
{
    struct world *w = idle_pools();
    struct wire_msg m = { .type = WIRE_WORKER_STATE };
    const struct broker_effect *e;
    int turns = 0;
    size_t n;

    (void)state;
    n_told = 0;
    told_slots = 8;
    m.u.worker_state.slots = 8;
    broker_recv(w->b, w->now, world_peer(w, "w1")->id, WIRE_WORKER, world_peer(w, "w1")->key, &m);
    do {
        uint64_t before = broker_steps(w->b);
        broker_tick(w->b, w->now);
        broker_flush(w->b, w->now);
        within(broker_steps(w->b) - before, STEPS_OF_IDLE, "a turn behind WORKER_STATE");
        e = broker_effects(w->b, &n);
        for (size_t i = 0; i < n; i++)
            if (e[i].type == BROKER_SEND)
                on_pool_state(w, NULL, &e[i].msg);
        broker_effects_done(w->b);
        assert_true(++turns < 100);
    } while (broker_deadline(w->b) <= w->now);
    assert_int_equal(n_told, POOLS);
    done(w);
}

static uint64_t chunks[64];
static uint32_t n_chunks;

/* As world_steps, and the attempts that are handed out. */
static uint64_t steps_heard(struct world *w, const char *name, struct wire_msg *m)
{
    const struct world_peer *p = world_peer(w, name);
    uint64_t before = broker_steps(w->b);
    const struct broker_effect *e;
    size_t n;

    if (m->type != WIRE_RESULTS || m->n_items)
        broker_recv(w->b, w->now, p->id, p->role, p->key, m);
    broker_flush(w->b, w->now);
    e = broker_effects(w->b, &n);
    for (size_t i = 0; i < n; i++)
        for (uint32_t k = 0; e[i].type == BROKER_SEND && e[i].msg.type == WIRE_CHUNKS && k < e[i].msg.n_items; k++)
            chunks[n_chunks++ % 64] = e[i].msg.items[k].id;
    broker_effects_done(w->b);
    return broker_steps(w->b) - before;
}

/* Jobs 2, 3, …; each_pool: in the pool of the same number. */
static void open_jobs(struct world *w, uint64_t needs, bool each_pool)
{
    struct wire_fn fn = { .kind = WIRE_FN_SYMBOL, .object = WIRE_STR("x"), .symbol = WIRE_STR("f") };
    struct buf *f = wire_fn_encode(&fn), *spec;
    struct wire_job_spec s = { .fn = wire_bin_of(f->data, f->size), .needs = needs };

    spec = wire_job_spec_encode(&s);
    for (uint32_t i = 2; i <= POOLS; i++) {
        uint8_t id[WIRE_ID] = { 9, (uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16) };
        struct wire_msg m = { .type = WIRE_JOB_OPEN };
        m.u.job_open = (struct wire_job_open){ .job = i, .pool = each_pool ? i : 1, .id = wire_bin_of(id, WIRE_ID),
                                               .spec = wire_bin_of(spec->data, spec->size) };
        world_steps(w, "c1", &m);       /* now and then a map grows */
    }
    buf_unref(&spec);
    buf_unref(&f);
}

/* A task for each of more pools than there is room for: no turn looks at all of them, and each gets its turn. */
static void r06_pools_with_tasks_take_turns(void **state)
{
    struct world *w = idle_pools();
    struct wire_item one = { .count = 1, .flags = WIRE_FIXED };
    struct wire_msg tasks = { .type = WIRE_TASKS, .items = &one, .n_items = 1 };

    (void)state;
    open_jobs(w, 0, true);
    n_chunks = 0;
    for (one.job = 1; one.job <= POOLS; one.job++)
        within(steps_heard(w, "c1", &tasks), STEPS_OF_GRANTS, "a task of one more pool");
    assert_int_equal(counters(w).queued + counters(w).running, POOLS);
    for (int turns = 0; counters(w).tasks_ok < POOLS; turns++) {
        uint32_t n = n_chunks;
        for (uint32_t i = 0; i < n; i++)
            items[i] = (struct wire_item){ .id = chunks[i], .count = 1, .flags = WIRE_FIXED, .kind = WIRE_OK, .sum_ns = 1000 };
        n_chunks = 0;
        within(steps_heard(w, "w1", &(struct wire_msg){ .type = WIRE_RESULTS, .items = items, .n_items = n }),
               STEPS_OF_GRANTS, "results");
        w->now += 2 * CLOCK_MS;
        broker_tick(w->b, w->now);
        assert_true(turns < 2 * (int)POOLS);
    }
    done(w);
}

/* All slots run long tasks: for what others are due, a worker that has had all of their pools is not searched for room. */
static void r06_room_is_not_looked_for_among_pools_without_slots(void **state)
{
    struct world *w = idle_pools();
    struct wire_item one = { .count = 1, .flags = WIRE_FIXED };
    struct wire_msg tasks = { .type = WIRE_TASKS, .items = &one, .n_items = 1 };
    uint64_t end;

    (void)state;
    open_jobs(w, 0, true);
    for (one.job = 1; one.job <= POOLS / 2; one.job++) {    /* each has had a slot */
        n_chunks = 0;
        steps_heard(w, "c1", &tasks);
        for (int turns = 0; !n_chunks && turns < 9; turns++) {
            w->now += 25 * CLOCK_MS;
            broker_tick(w->b, w->now);
            steps_heard(w, "w1", &(struct wire_msg){ .type = WIRE_RESULTS });
        }
        assert_int_equal(n_chunks, 1);
        items[0] = (struct wire_item){ .id = chunks[0], .count = 1, .flags = WIRE_FIXED, .kind = WIRE_OK, .sum_ns = 30 * CLOCK_MS };
        steps_heard(w, "w1", &(struct wire_msg){ .type = WIRE_RESULTS, .items = items, .n_items = 1 });
    }
    one.first = 1;
    for (one.job = 1; one.job <= 64; one.job++)
        within(steps_heard(w, "c1", &tasks), STEPS_OF_GRANTS, "a task that waits for a slot");
    settle(w);
    assert_int_equal(counters(w).running, 4);
    for (end = w->now + 1000 * CLOCK_MS; w->now < end; w->now += 10 * CLOCK_MS) {
        uint64_t before = broker_steps(w->b);
        broker_tick(w->b, w->now);
        broker_flush(w->b, w->now);
        broker_effects_done(w->b);
        within(broker_steps(w->b) - before, STEPS_OF_GRANTS, "a turn of fairness");
    }
    assert_int_equal(counters(w).running, 4);
    done(w);
}

static uint32_t n_outcomes;

static void on_outcomes(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    (void)w;
    (void)p;
    n_outcomes += m->type == WIRE_OUTCOMES ? m->n_items : 0;
}

/* RECORDS jobs with an outcome each, half of which its client's window has room for. */
static struct world *full_window(uint32_t turn_steps)
{
    static uint8_t body[1024];
    struct world *w = world_new(&(struct broker_config){ .jobs_max = POOLS + 8, .turn_steps = turn_steps });
    struct wire_item one = { .count = 1, .flags = WIRE_FIXED };

    w->quiet = true;
    client_start(w, "c1", -1, NULL);
    open_jobs(w, 0, false);
    worker_hello(w, "w1", RECORDS);
    for (one.job = 1; one.job <= RECORDS; one.job++)
        world_steps(w, "c1", &(struct wire_msg){ .type = WIRE_TASKS, .items = &one, .n_items = 1 });
    assert_int_equal(counters(w).running, RECORDS);
    for (uint32_t i = 0; i < RECORDS; i++)
        items[i] = (struct wire_item){ .id = i + 1, .count = 1, .flags = WIRE_FIXED, .kind = WIRE_OK, .size = sizeof(body),
                                       .sum_ns = 1000, .body = slice_borrow(body, sizeof(body)) };
    records(w, "w1", WIRE_RESULTS, RECORDS);
    settle(w);
    assert_int_equal(counters(w).tasks_ok, RECORDS);
    return w;
}

static void r06_an_acknowledgement_costs_the_same_however_many_jobs_wait_for_a_window(void **state)
{
    struct world *w = full_window(0);

    (void)state;
    for (uint32_t i = 1; i < 100; i++) {
        struct wire_item one = { .job = i, .id = 1 };
        within(world_steps(w, "c1", &(struct wire_msg){ .type = WIRE_OUTCOMES_ACK, .items = &one, .n_items = 1 }), STEPS_OF_FEW,
               "an acknowledgement");
    }
    done(w);
}

static struct world *watched;

static void on_call(bool inside)
{
    static uint64_t before;

    if (!inside)
        within(broker_steps(watched->b) - before, STEPS_OF_GRANTS, "a call");
    before = broker_steps(watched->b);
}

/* Jobs that were not opened again are passed over in turns; what is behind them goes out. */
static void r06_outcomes_behind_many_of_another_connection_go_out(void **state)
{
    struct wire_fn fn = { .kind = WIRE_FN_SYMBOL, .object = WIRE_STR("x"), .symbol = WIRE_STR("f") };
    struct world *w = full_window(128);
    struct buf *f = wire_fn_encode(&fn), *spec;
    struct wire_job_spec s = { .fn = wire_bin_of(f->data, f->size) };
    uint8_t id[WIRE_ID] = { 9, 2 };
    struct wire_msg m = { .type = WIRE_JOB_OPEN };

    (void)state;
    world_lost(w, "c1");
    w->hook = on_outcomes;
    n_outcomes = 0;
    w->in_a_row = true;
    client_hello(w, "c1");
    client_pool(w, "c1", 1, -1);
    w->in_a_row = false;
    watched = w;
    w->around = on_call;
    spec = wire_job_spec_encode(&s);
    m.u.job_open = (struct wire_job_open){ .job = 2, .pool = 1, .id = wire_bin_of(id, WIRE_ID),
                                           .spec = wire_bin_of(spec->data, spec->size) };
    world_send(w, "c1", &m);
    assert_int_equal(n_outcomes, 1);
    buf_unref(&spec);
    buf_unref(&f);
    done(w);
}

/* One that can run is found at once among many that cannot; when none claims anything, they are looked at once more, and left. */
static void r06_pools_that_cannot_run_hold_nobody_up(void **state)
{
    struct world *w = idle_pools();
    struct wire_item one = { .count = 1, .flags = WIRE_FIXED };
    struct wire_msg tasks = { .type = WIRE_TASKS, .items = &one, .n_items = 1 };
    uint64_t end;

    (void)state;
    open_jobs(w, 0x8000, true);
    for (one.job = 2; one.job <= POOLS; one.job++)
        world_steps(w, "c1", &tasks);
    settle(w);
    one.job = 1;
    within(world_steps(w, "c1", &tasks), STEPS_OF_GRANTS, "a task that can run");
    assert_int_equal(counters(w).running, 1);
    broker_lost(w->b, w->now, world_peer(w, "c1")->id);
    world_peer(w, "c1")->id = 0;
    settle(w);
    for (end = w->now + 4000 * CLOCK_MS; broker_deadline(w->b) < end;) {
        w->now = broker_deadline(w->b);
        settle(w);
    }
    assert_true(w->now + 1000 * CLOCK_MS < end);
    done(w);
}

/* What no worker can run is not looked at when others of its pool are handed out. */
static void r09_a_task_costs_the_same_however_many_jobs_cannot_run(void **state)
{
    struct world *w = world_new(&(struct broker_config){ .jobs_max = POOLS + 8 });
    struct wire_item one = { .job = 1, .count = 1, .flags = WIRE_FIXED };
    struct wire_msg tasks = { .type = WIRE_TASKS, .items = &one, .n_items = 1 };

    (void)state;
    w->quiet = true;
    worker_hello(w, "w1", 4);
    client_start(w, "c1", -1, NULL);
    open_jobs(w, 0x8000, false);
    for (one.job = 2; one.job <= POOLS; one.job++)
        within(world_steps(w, "c1", &tasks), 2 * STEPS_OF_FEW, "a task that cannot run");
    settle(w);
    one.job = 1;
    within(world_steps(w, "c1", &tasks), 2 * STEPS_OF_FEW, "a task that can run");
    assert_int_equal(counters(w).running, 1);
    one = (struct wire_item){ .id = 1, .count = 1, .flags = WIRE_FIXED, .kind = WIRE_OK, .sum_ns = 1000 };
    within(world_steps(w, "w1", &(struct wire_msg){ .type = WIRE_RESULTS, .items = &one, .n_items = 1 }), 2 * STEPS_OF_FEW,
           "its result");
    assert_int_equal(counters(w).tasks_ok, 1);
    done(w);
}

static void r06_a_tick_walks_over_no_jobs(void **state)
{
    struct world *w = world_new(&(struct broker_config){ .jobs_max = POOLS + 8 });
    uint64_t before;

    (void)state;
    w->quiet = true;
    client_start(w, "c1", -1, NULL);
    open_jobs(w, 0, false);
    client_hello(w, "c2");
    broker_lost(w->b, w->now, world_peer(w, "c2")->id);
    world_peer(w, "c2")->id = 0;
    settle(w);
    w->now = broker_deadline(w->b);
    before = broker_steps(w->b);
    broker_tick(w->b, w->now);
    within(broker_steps(w->b) - before, STEPS_OF_FEW, "a tick");
    done(w);
}

/* Jobs that workers have brought and whose clients never come end by themselves. */
static void r06_parked_jobs_end_over_turns(void **state)
{
    struct wire_msg m = { .type = WIRE_HOLDING, .items = items, .n_items = RECORDS };
    struct world *w = restarted();

    (void)state;
    for (uint32_t i = 0; i < RECORDS; i++) {
        items[i] = (struct wire_item){ .id = 1000000 + i, .count = 1, .end = 1 };
        memcpy(items[i].job_id, &i, sizeof(i));
        memcpy(items[i].owner, world_peer(w, "c1")->key, WIRE_KEY);
    }
    m.u.holding.last = true;
    worker_hello_only(w, "w1", RECORDS, NULL);
    within(world_steps(w, "w1", &m), STEPS_A_TURN, "HOLDING");
    settle(w);
    assert_int_equal(counters(w).running, RECORDS);
    for (int i = 0; i < 1000 && counters(w).running; i++) {
        w->now = broker_deadline(w->b) > w->now ? broker_deadline(w->b) : w->now;
        settle(w);
    }
    assert_int_equal(counters(w).running, 0);
    done(w);
}

static bool count_row(void *ctx, const struct broker_job_row *r)
{
    (void)r;
    return --*(int *)ctx > 0;
}

/* Of the many who ask, each has its answer in some turn; what one key may see costs what that key has. */
static void r06_questions_are_answered_over_turns(void **state)
{
    struct world *w = world_new(&(struct broker_config){ .jobs_max = POOLS + 8 });
    struct wire_msg m = { .type = WIRE_STATUS_GET, .request = 1 };
    uint32_t request, answered = 0;
    struct broker_counters own;
    int rows = 10, turns = 0;
    broker_peer peer;
    uint64_t before;
    char what[16];

    (void)state;
    w->quiet = true;
    client_start(w, "c1", -1, NULL);
    open_jobs(w, 0, false);
    client_start(w, "c2", -1, NULL);
    client_hello(w, "c3");
    client_hello(w, "c4");
    m.u.status_get.what = WIRE_STR("jobs");
    for (int i = 0; i < 16; i++) {
        struct world_peer *p = world_peer(w, (const char *[]){ "c1", "c2", "c3", "c4" }[i % 4]);
        broker_recv(w->b, w->now, p->id, p->role, p->key, &m);
    }
    for (; turns < 16 && answered < 16; turns++) {
        uint32_t n = 0;
        while (broker_status_wanted(w->b, &peer, &request, what))
            n++;
        assert_true(n >= 1 && n <= 2);
        answered += n;
        broker_flush(w->b, w->now);
        broker_effects_done(w->b);
    }
    assert_int_equal(answered, 16);
    before = broker_steps(w->b);
    assert_false(broker_jobs(w->b, NULL, count_row, &rows));
    within(broker_steps(w->b) - before, 10, "as many rows as fit");
    rows = 10;
    before = broker_steps(w->b);
    assert_true(broker_jobs(w->b, world_peer(w, "c2")->key, count_row, &rows));
    assert_int_equal(rows, 9);
    broker_owner_counters(w->b, world_peer(w, "c2")->key, &own);
    assert_int_equal(own.clients, 1);
    within(broker_steps(w->b) - before, STEPS_OF_FEW, "the rows of another key");
    done(w);
}

/* ---- replays --------------------------------------------------------------------------------------------------------------- */

#define REPLAYED 16000u             /* places, and as many gaps between them */

/* Records that all say the same again: [0, 2 * REPLAYED). */
static void replays(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        items[i] = (struct wire_item){ .job = 1, .count = 2 * REPLAYED, .flags = WIRE_FIXED | WIRE_REPLAY };
}

static struct world *replaying(uint32_t n)
{
    struct world *w = world_new(NULL);

    w->quiet = true;
    client_start(w, "c1", -1, NULL);
    client_job(w, "c1", 2, 1, NULL);
    tasks(w, 0);
    replays(n);
    within(records(w, "c1", WIRE_TASKS, n), STEPS_A_TURN, "TASKS that overlap");
    assert_null(broker_check(w->b));
    assert_in_range(counters(w).queued, RANGES, RANGES + REPLAYED - 1);
    return w;
}

/* Behind what waits for its turn: tasks of the same job and its end, which wait, too, and another job, which does not. */
static void r06_replays_that_overlap_cost_their_records(void **state)
{
    struct wire_item more = { .job = 1, .first = 2 * RANGES, .count = 5, .flags = WIRE_FIXED };
    struct wire_msg behind = { .type = WIRE_TASKS, .items = &more, .n_items = 1 }, close = { .type = WIRE_JOB_CLOSE };
    struct world *w = replaying(64);
    uint64_t before = counters(w).queued;

    (void)state;
    more.job = 2;
    within(world_steps(w, "c1", &behind), STEPS_A_TURN, "TASKS of another job");
    assert_true(counters(w).queued >= before + 5);
    more.job = 1;
    within(world_steps(w, "c1", &behind), STEPS_A_TURN, "TASKS behind them");
    close.u.job_ref.job = 1;
    within(world_steps(w, "c1", &close), STEPS_A_TURN, "JOB_CLOSE");
    settle(w);
    assert_int_equal(counters(w).queued, RANGES + REPLAYED + 5 + 5);    /* the gaps once, what came behind, the other job's */
    assert_int_equal(counters(w).tasks_accepted, RANGES + 5 + 5);
    done(w);
}

/* As many records as a frame may have, in each of some turns; then the client leaves while nearly all of it waits. */
static void r06_frames_of_replays_cost_their_records(void **state)
{
    struct wire_msg bye = { .type = WIRE_BYE };
    struct world *w = replaying(RECORDS);

    (void)state;
    for (int i = 0; i < 20; i++) {
        replays(RECORDS);
        within(records(w, "c1", WIRE_TASKS, RECORDS), STEPS_A_TURN, "more TASKS that overlap");
    }
    assert_null(broker_check(w->b));
    within(world_steps(w, "c1", &bye), STEPS_A_TURN, "BYE");
    settle(w);
    assert_int_equal(counters(w).queued, 0);
    done(w);
}

/* The last 64 records of replays come to tasks that have had their outcome before: it was kept for them. */
static void r06_what_is_settled_while_replays_wait_is_not_run_again(void **state)
{
    struct world *w = crowded(false);
    struct broker_counters n;

    (void)state;
    replays(64);
    within(records(w, "c1", WIRE_TASKS, 64), STEPS_A_TURN, "TASKS that overlap");
    for (uint32_t i = 0; i < RECORDS; i++)
        items[i] = (struct wire_item){ .id = i + 1, .first = 2 * (uint64_t)i, .count = 1, .flags = WIRE_FIXED, .kind = WIRE_OK,
                                       .sum_ns = 30 * CLOCK_MS };
    within(records(w, "w1", WIRE_RESULTS, RECORDS), STEPS_A_TURN, "RESULTS");
    items[0] = (struct wire_item){ .job = 1, .id = 64 };
    within(records(w, "c1", WIRE_OUTCOMES_ACK, 1), STEPS_A_TURN, "OUTCOMES_ACK");
    assert_null(broker_check(w->b));
    settle(w);
    n = counters(w);
    assert_int_equal(n.clients, 1);
    assert_int_equal(n.tasks_ok, RECORDS);
    assert_int_equal(n.tasks_ok + n.queued + n.running, RANGES + REPLAYED);
    done(w);
}

/* Its connection is cut while replays wait: they have not arrived, and are sent again. */
static void r06_replays_that_wait_end_with_their_connection(void **state)
{
    struct world *w = replaying(RECORDS);

    (void)state;
    broker_lost(w->b, w->now, world_peer(w, "c1")->id);
    settle(w);
    assert_null(broker_check(w->b));
    client_start(w, "c1", -1, NULL);
    assert_in_range(counters(w).queued, RANGES, RANGES + REPLAYED - 1);
    replays(1);
    within(records(w, "c1", WIRE_TASKS, 1), STEPS_A_TURN, "TASKS");
    settle(w);
    assert_int_equal(counters(w).queued, RANGES + REPLAYED);
    done(w);
}

/* Tasks that wait behind replays are looked at as those that do not: indexes that do not ascend are refused, not passed over. */
static void r06_the_order_of_what_waits_is_checked(void **state)
{
    struct wire_item more = { .job = 1, .first = 3 * RANGES, .count = 5, .flags = WIRE_FIXED };
    struct wire_msg behind = { .type = WIRE_TASKS, .items = &more, .n_items = 1 };
    struct world *w = replaying(64);
    int32_t refused = 0;

    (void)state;
    world_steps(w, "c1", &behind);
    more.first -= 100;
    world_steps(w, "c1", &behind);
    for (int turns = 0; !refused && turns < 2000; turns++) {
        const struct broker_effect *e;
        size_t n;
        broker_tick(w->b, w->now);
        broker_flush(w->b, w->now);
        e = broker_effects(w->b, &n);
        for (size_t i = 0; i < n; i++)
            if (e[i].type == BROKER_SEND && e[i].msg.type == WIRE_JOB_STATE)
                refused = e[i].msg.u.job_state.code;
        broker_effects_done(w->b);
    }
    assert_int_equal(refused, BFORK_EINVAL);
    done(w);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r02_questions_of_many_attempts_cost_their_records),
        T(r06_results_and_their_acknowledgement_cost_their_records), T(r06_confirmed_attempts_cost_their_records),
        T(r06_ends_cost_the_same_however_much_waits), T(r06_a_client_that_is_cut_costs_what_it_had_not_confirmed),
        T(r06_what_a_worker_holds_costs_its_records), T(r26_a_client_that_comes_back_while_it_is_put_aside),
        T(r06_many_frames_of_holding_cost_a_turn),
        T(r06_a_job_that_a_worker_has_brought_is_opened_over_turns),
        T(r06_a_worker_that_ends_over_turns_loses_nothing), T(r06_replays_that_overlap_cost_their_records),
        T(r06_frames_of_replays_cost_their_records), T(r06_what_is_settled_while_replays_wait_is_not_run_again),
        T(r06_a_full_window_costs_the_same_however_many_pools_are_idle),
        T(r06_the_order_of_what_waits_is_checked),
        T(r06_replays_that_wait_end_with_their_connection), T(r06_a_pool_costs_the_same_however_many_are_idle),
        T(r06_idle_pools_hear_of_slots_over_turns), T(r06_a_tick_walks_over_no_jobs),
        T(r06_pools_with_tasks_take_turns), T(r06_pools_that_cannot_run_hold_nobody_up),
        T(r06_room_is_not_looked_for_among_pools_without_slots),
        T(r06_an_acknowledgement_costs_the_same_however_many_jobs_wait_for_a_window),
        T(r06_outcomes_behind_many_of_another_connection_go_out),
        T(r09_a_task_costs_the_same_however_many_jobs_cannot_run), T(r06_parked_jobs_end_over_turns),
        T(r06_questions_are_answered_over_turns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
