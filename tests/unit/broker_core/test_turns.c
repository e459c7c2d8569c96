/* SPDX-License-Identifier: MPL-2.0
 * test_turns.c - what a worker or a client brings about that has very many pools, jobs, attempts: a message costs some steps, and
 * each turn behind it no more than a turn may.
 */
#include "world.h"
#include "wire/times.h"

#include <string.h>

#define MANY 16384u                 /* pools, each with a job */
#define A_TURN 2048u                /* places that chores touch in one */
#define STEPS_OF_FEW 64u
#define STEPS_OF_LOOKS (2 * A_TURN)  /* a message's and the chores' */
#define STEPS_OF_ENDS (4 * STEPS_OF_LOOKS)  /* each is taken out of maps and lists besides */
#define BROUGHT (8 * WIRE_ITEMS_MAX)

/* What the broker has sent. */
static struct { uint64_t recalls, drains, tries, forgotten; uint32_t granted; } got;

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

/* Of the outcomes that were sent since the last. */
static struct wire_item acks[MANY];
static uint32_t n_acks;

static void note(const struct wire_msg *m)
{
    if (m->type == WIRE_RECALL)
        got.recalls += m->n_items;
    for (uint32_t i = 0; i < m->n_items && m->type == WIRE_RECALL; i++)
        got.drains += m->items[i].why == WIRE_WHY_DRAIN;
    if (m->type == WIRE_TRIES)
        got.tries += m->n_items;
    for (uint32_t i = 0; i < m->n_items && m->type == WIRE_OUTCOMES; i++)
        acks[n_acks++] = (struct wire_item){ .job = m->items[i].job, .id = m->items[i].id };
    if (m->type == WIRE_GRANT && m->u.grant.slots)
        got.granted = m->u.grant.pool;
    if (m->type == WIRE_GRANT && !m->u.grant.spec.n && !m->u.grant.slots)
        got.forgotten++;
}

/* A turn, and what it costs. */
static uint64_t turn(struct world *w)
{
    uint64_t before = broker_steps(w->b);
    const struct broker_effect *e;
    size_t n;

    broker_tick(w->b, w->now);
    broker_flush(w->b, w->now);
    e = broker_effects(w->b, &n);
    for (size_t i = 0; i < n; i++)
        if (e[i].type == BROKER_SEND)
            note(&e[i].msg);
    broker_effects_done(w->b);
    return broker_steps(w->b) - before;
}

static void settle(struct world *w, uint64_t most, const char *what)
{
    int turns = 0;

    do {
        within(turn(w), most, what);
        assert_true(turns++ < 2000);
    } while (broker_deadline(w->b) <= w->now);
    assert_null(broker_check(w->b));
}

/* Only the message, without a turn. */
static uint64_t say(struct world *w, const char *name, const struct wire_msg *m)
{
    const struct world_peer *p = world_peer(w, name);
    uint64_t before = broker_steps(w->b);

    broker_recv(w->b, w->now, p->id, p->role, p->key, m);
    return broker_steps(w->b) - before;
}

static uint64_t lose(struct world *w, const char *name)
{
    struct world_peer *p = world_peer(w, name);
    uint64_t before = broker_steps(w->b);

    broker_lost(w->b, w->now, p->id);
    p->id = 0;
    return broker_steps(w->b) - before;
}

/* A new connection, of which only HELLO has come. */
static uint64_t hello(struct world *w, const char *name)
{
    uint64_t before = broker_steps(w->b);

    w->in_a_row = true;
    client_hello(w, name);
    w->in_a_row = false;
    return broker_steps(w->b) - before;
}

static void open_pool(struct world *w, uint32_t pool)
{
    struct wire_pool_spec spec = { .program_name = WIRE_STR("prog") };
    struct buf *bytes = wire_pool_spec_encode(&spec);
    uint8_t digest[WIRE_DIGEST] = { (uint8_t)pool, (uint8_t)(pool >> 8) };
    struct wire_msg m = { .type = WIRE_POOL_OPEN };

    m.u.pool_open = (struct wire_pool_open){ .pool = pool, .processes = -1, .digest = wire_bin_of(digest, WIRE_DIGEST),
                                             .spec = wire_bin_of(bytes->data, bytes->size) };
    say(w, "c1", &m);
    buf_unref(&bytes);
}

static void open_job(struct world *w, uint32_t job, uint32_t pool)
{
    struct wire_fn fn = { .kind = WIRE_FN_SYMBOL, .object = WIRE_STR("x"), .symbol = WIRE_STR("f") };
    struct buf *f = wire_fn_encode(&fn), *spec;
    struct wire_job_spec s = { .fn = wire_bin_of(f->data, f->size) };
    uint8_t id[WIRE_ID] = { 9, (uint8_t)job, (uint8_t)(job >> 8) };
    struct wire_msg m = { .type = WIRE_JOB_OPEN };

    spec = wire_job_spec_encode(&s);
    m.u.job_open = (struct wire_job_open){ .job = job, .pool = pool, .id = wire_bin_of(id, WIRE_ID),
                                           .spec = wire_bin_of(spec->data, spec->size) };
    say(w, "c1", &m);
    buf_unref(&spec);
    buf_unref(&f);
}

static void task(struct world *w, uint32_t job, uint64_t index)
{
    struct wire_item one = { .job = job, .first = index, .count = 1, .flags = WIRE_FIXED };

    say(w, "c1", &(struct wire_msg){ .type = WIRE_TASKS, .items = &one, .n_items = 1 });
}

/* Pools 1 to MANY, in each a job. The broker's numbers of the pools are their handles. */
static struct world *idle(uint32_t slots)
{
    struct world *w = world_new(&(struct broker_config){ .pools_max = MANY + 8, .jobs_max = MANY + 8 });

    w->quiet = true;
    memset(&got, 0, sizeof(got));
    n_acks = 0;
    if (slots)
        worker_hello(w, "w1", slots);
    client_hello(w, "c1");
    for (uint32_t i = 1; i <= MANY; i++)
        open_pool(w, i);
    for (uint32_t i = 1; i <= MANY; i++)
        open_job(w, i, i);
    settle(w, UINT64_MAX, "");
    return w;
}

/* And in each job a task, for as many as have a slot an attempt. */
static struct world *crowd(uint32_t slots)
{
    struct world *w = idle(slots);

    for (uint32_t i = 1; i <= MANY; i++)
        task(w, i, 0);
    settle(w, UINT64_MAX, "");
    assert_int_equal(counters(w).running, slots);
    return w;
}

/* All tasks of a crowd have had their results, and the slots have gone. */
static struct world *done(void)
{
    static struct wire_item results[WIRE_ITEMS_MAX];
    struct wire_msg stands = { .type = WIRE_WORKER_STATE, .u.worker_state.slots = 1 };
    struct world *w = crowd(MANY);

    for (uint32_t i = 0; i < MANY;) {
        uint32_t n = 0;
        for (n_acks = 0; n < WIRE_ITEMS_MAX && i < MANY; n++, i++)
            results[n] = (struct wire_item){ .id = i + 1, .count = 1, .flags = WIRE_FIXED, .kind = WIRE_OK, .sum_ns = 1000 };
        say(w, "w1", &(struct wire_msg){ .type = WIRE_RESULTS, .items = results, .n_items = n });
        settle(w, UINT64_MAX, "");
        say(w, "c1", &(struct wire_msg){ .type = WIRE_OUTCOMES_ACK, .items = acks, .n_items = n_acks });
    }
    say(w, "w1", &stands);
    settle(w, UINT64_MAX, "");
    assert_int_equal(counters(w).tasks_ok, MANY);
    assert_int_equal(counters(w).running + counters(w).queued, 0);
    return w;
}

static bool count_row(void *ctx, const struct broker_job_row *r)
{
    (void)r;
    ++*(int *)ctx;
    return true;
}

static int jobs(struct world *w)
{
    int n = 0;

    broker_jobs(w->b, NULL, count_row, &n);
    return n;
}

/* ---- workers ----------------------------------------------------------------------------------------------------------------- */

static const struct wire_msg *failed(uint32_t pool)
{
    static struct wire_msg m;

    m = (struct wire_msg){ .type = WIRE_POOL_FAILED };
    m.u.pool_failed = (struct wire_pool_failed){ .pool = pool, .code = BFORK_REFUSED, .text = WIRE_STR("it does not start") };
    return &m;
}

static void r06_a_pool_that_fails_costs_the_same_however_many_its_worker_has(void **state)
{
    struct world *w = crowd(MANY);

    (void)state;
    memset(&got, 0, sizeof(got));
    within(say(w, "w1", failed(MANY / 2)), STEPS_OF_FEW, "POOL_FAILED");
    within(say(w, "w1", failed(MANY + 1)), STEPS_OF_FEW, "POOL_FAILED of a pool that is not there");
    settle(w, UINT64_MAX, "");
    assert_int_equal(got.drains, 1);
    assert_int_equal(counters(w).workers, 1);
    world_free(w);
}

static void zeros(void *ctx, const void *in, size_t n, uint8_t out[WIRE_TICKET])
{
    (void)ctx;
    (void)in;
    (void)n;
    memset(out, 0, WIRE_TICKET);
}

/* A broker that was started again has got from w1 attempts of one job of c1, lost once before. */
static struct world *brought(void)
{
    static struct wire_item items[WIRE_ITEMS_MAX];
    struct wire_msg m = { .type = WIRE_HOLDING, .items = items, .n_items = WIRE_ITEMS_MAX };
    struct world *w = world_new(NULL);

    w->quiet = true;
    memset(&got, 0, sizeof(got));
    w->config.mac = zeros;
    world_peer(w, "w1")->epoch = EPOCH;
    world_restart(w, 2 * EPOCH);
    worker_hello_only(w, "w1", 8, NULL);
    for (uint64_t n = 0; n < BROUGHT;) {
        for (uint32_t i = 0; i < WIRE_ITEMS_MAX; i++, n++) {
            items[i] = (struct wire_item){ .id = 1000000 + n, .first = 2 * n, .count = 1, .end = 2 * n + 1, .tries = 1 };
            items[i].job_id[0] = 1;
            items[i].job_id[1] = '1';
            memcpy(items[i].owner, world_peer(w, "c1")->key, WIRE_KEY);
        }
        m.u.holding.last = n == BROUGHT;
        say(w, "w1", &m);
    }
    settle(w, UINT64_MAX, "");
    assert_int_equal(counters(w).adopted, BROUGHT);
    client_start(w, "c1", -1, NULL);
    settle(w, UINT64_MAX, "");
    assert_int_equal(counters(w).running, BROUGHT);
    return w;
}

/* One lane has them all. What its worker says meanwhile counts, and is not waited for. */
static void r06_what_a_failed_pool_has_is_asked_back_over_turns(void **state)
{
    struct world *w = brought();
    struct wire_item last = { .id = 1000000 + BROUGHT - 1, .first = 2 * (BROUGHT - 1), .count = 1, .kind = WIRE_OK,
                              .flags = WIRE_FIXED, .sum_ns = 1000 };

    (void)state;
    settle(w, UINT64_MAX, "");
    memset(&got, 0, sizeof(got));
    within(say(w, "w1", failed(2)), STEPS_OF_LOOKS, "POOL_FAILED");
    within(turn(w), STEPS_OF_LOOKS, "the turn of a POOL_FAILED");
    assert_in_range(got.drains, 1, 2 * A_TURN);
    assert_null(broker_check(w->b));
    say(w, "w1", failed(2));                                            /* again */
    say(w, "w1", &(struct wire_msg){ .type = WIRE_RESULTS, .items = &last, .n_items = 1 });
    settle(w, STEPS_OF_LOOKS, "a turn behind POOL_FAILED");
    assert_in_range(got.drains, BROUGHT - 1, 2 * BROUGHT);
    assert_int_equal(counters(w).tasks_ok, 1);
    assert_int_equal(counters(w).running, BROUGHT - 1);
    world_free(w);
}

static void r06_the_lane_of_a_pool_that_ends_is_asked_for_nothing(void **state)
{
    struct world *w = brought();
    struct wire_msg bye = { .type = WIRE_BYE };

    (void)state;
    say(w, "w1", failed(2));
    turn(w);
    say(w, "c1", &bye);
    turn(w);
    assert_null(broker_check(w->b));
    say(w, "w1", &bye);
    settle(w, UINT64_MAX, "");
    assert_int_equal(counters(w).running + counters(w).queued, 0);
    world_free(w);
}

static void r06_the_end_of_a_worker_looks_at_pools_over_turns(void **state)
{
    struct wire_msg bye = { .type = WIRE_BYE };
    struct world *w = crowd(0);

    (void)state;
    worker_hello(w, "w1", 1);
    worker_hello(w, "w2", 1);
    settle(w, UINT64_MAX, "");
    assert_int_equal(counters(w).running, 2);
    within(say(w, "w2", &bye), STEPS_OF_FEW, "BYE");
    settle(w, UINT64_MAX, "");
    assert_int_equal(counters(w).running, 1);
    world_free(w);
}

/* ---- clients ----------------------------------------------------------------------------------------------------------------- */

/* Nothing of it is handed out while it is away; when it is back, and has opened what it wants, that goes on. */
static void r06_a_client_that_comes_back_costs_the_same_however_many_pools_it_has(void **state)
{
    struct world *w = crowd(0);

    (void)state;
    within(lose(w, "c1"), STEPS_OF_FEW, "the loss of a client");
    settle(w, UINT64_MAX, "");
    worker_hello(w, "w1", MANY);
    assert_int_equal(counters(w).running, 0);
    within(hello(w, "c1"), STEPS_OF_FEW, "HELLO");
    open_pool(w, MANY);
    open_job(w, MANY, MANY);
    settle(w, UINT64_MAX, "");
    assert_int_equal(counters(w).running, 1);
    world_free(w);
}

/* Of what is not opened again in time. It is cut in the middle of it: what is left may be opened in the next connection. */
static void r06_what_is_not_opened_again_ends_over_turns(void **state)
{
    struct world *w = idle(0);
    int left;

    (void)state;
    lose(w, "c1");
    settle(w, UINT64_MAX, "");
    hello(w, "c1");
    open_pool(w, 1);
    open_job(w, 1, 1);
    settle(w, UINT64_MAX, "");
    assert_int_equal(jobs(w), MANY);
    w->now += TIME_DETACH_MS * CLOCK_MS;
    within(turn(w), STEPS_OF_ENDS, "the turn in which it ends");
    assert_null(broker_check(w->b));
    lose(w, "c1");
    settle(w, UINT64_MAX, "");
    hello(w, "c1");
    left = jobs(w);
    assert_in_range(left, MANY / 4, MANY - 1);
    open_pool(w, 1);
    open_job(w, 1, 1);
    settle(w, UINT64_MAX, "");
    assert_int_equal(jobs(w), left);
    w->now += TIME_DETACH_MS * CLOCK_MS;
    settle(w, STEPS_OF_ENDS, "a turn in which it ends");
    assert_int_equal(jobs(w), 1);
    for (uint32_t i = 2; i <= MANY; i++)                /* there is room for as many as before */
        open_pool(w, MANY + i);
    assert_int_equal(counters(w).refused, 0);
    world_free(w);
}

/* It opens more of it while that goes on: what it has opened stays. */
static void r06_what_is_opened_while_the_rest_ends_stays(void **state)
{
    struct world *w = idle(0);

    (void)state;
    lose(w, "c1");
    hello(w, "c1");
    settle(w, UINT64_MAX, "");
    w->now += TIME_DETACH_MS * CLOCK_MS;
    turn(w);
    open_pool(w, MANY);
    open_job(w, MANY, MANY);
    task(w, MANY, 0);
    settle(w, UINT64_MAX, "");
    assert_int_equal(jobs(w), 1);
    assert_int_equal(counters(w).refused, 0);
    worker_hello(w, "w1", 1);
    assert_int_equal(counters(w).running, 1);
    world_free(w);
}

/* Its processes end; it comes back before all its pools have left the workers, and goes on when they have. */
static void r26_pools_of_a_client_that_is_away_leave_their_workers_over_turns(void **state)
{
    struct world *w = done();

    (void)state;
    lose(w, "c1");
    settle(w, UINT64_MAX, "");
    memset(&got, 0, sizeof(got));
    w->now += 3000 * CLOCK_MS;
    simple(w, "w1", WIRE_PING, 1);
    w->now += (TIME_CLOSED_MS - 3000) * CLOCK_MS;
    for (int i = 0; !got.forgotten; i++) {
        within(turn(w), STEPS_OF_ENDS, "a turn in which pools leave");
        assert_true(i < 100);
    }
    assert_in_range(got.forgotten, 1, MANY - 1);
    hello(w, "c1");
    open_pool(w, 7);
    open_job(w, 7, 7);
    task(w, 7, 1);
    settle(w, STEPS_OF_ENDS, "a turn in which pools leave");
    assert_int_equal(got.forgotten, MANY);
    assert_int_equal(counters(w).running, 1);
    world_free(w);
}

static void r06_counts_are_told_again_over_turns(void **state)
{
    struct world *w = brought();

    (void)state;
    lose(w, "c1");
    hello(w, "c1");
    client_pool(w, "c1", 1, -1);
    memset(&got, 0, sizeof(got));
    w->in_a_row = true;
    uint64_t before = broker_steps(w->b);
    client_job(w, "c1", 1, 1, NULL);
    w->in_a_row = false;
    within(broker_steps(w->b) - before, STEPS_OF_LOOKS, "JOB_OPEN");
    settle(w, STEPS_OF_LOOKS, "a turn behind JOB_OPEN");
    assert_int_equal(got.tries, BROUGHT);
    world_free(w);
}

/* A worker comes while most jobs are not open yet: they are passed over a turn's worth at a time. */
static void r06_jobs_that_are_not_open_again_are_passed_over_in_turns(void **state)
{
    struct world *w = world_new(&(struct broker_config){ .jobs_max = MANY + 8 });

    (void)state;
    w->quiet = true;
    client_hello(w, "c1");
    open_pool(w, 1);
    for (uint32_t i = 1; i <= MANY; i++)
        open_job(w, i, 1);
    for (uint32_t i = 1; i <= MANY; i++)
        task(w, i, 0);
    lose(w, "c1");
    hello(w, "c1");
    open_pool(w, 1);
    open_job(w, MANY, 1);
    worker_hello_only(w, "w1", 4, NULL);
    say(w, "w1", &(struct wire_msg){ .type = WIRE_HOLDING, .u.holding.last = true });
    settle(w, A_TURN + 2 * STEPS_OF_FEW, "a turn behind HOLDING");
    assert_int_equal(counters(w).running, 1);
    world_free(w);
}

/* Time passes, a millisecond with each turn that is due at once. True: as many tasks run. */
static bool runs_within(struct world *w, uint64_t ms, uint64_t running)
{
    uint64_t end = w->now + ms * CLOCK_MS;

    while (broker_deadline(w->b) <= end && counters(w).running != running) {
        uint64_t at = broker_deadline(w->b);
        w->now = at > w->now ? at : w->now + CLOCK_MS;
        turn(w);
    }
    return counters(w).running == running;
}

/* Pools that are closed while they wait for slots go one by one. The last in their row, which stays, gets its turn. */
static void r06_a_pool_behind_many_that_end_gets_its_turn(void **state)
{
    static struct wire_item many[WIRE_ITEMS_MAX];
    struct wire_msg m = { .type = WIRE_TASKS, .items = many, .n_items = 256 };
    struct world *w = world_new(NULL);

    (void)state;
    w->quiet = true;
    worker_hello(w, "w1", 1);
    client_start(w, "c2", -1, NULL);
    client_tasks(w, "c2", 1, 0, 1, 0);
    client_hello(w, "c1");
    for (uint32_t i = 1; i <= 1000; i++)
        open_pool(w, i);
    for (uint32_t i = 1; i <= 1000; i++)
        open_job(w, i, i);
    task(w, 1, 0);
    for (uint32_t i = 2; i <= 1000; i++) {
        for (uint32_t k = 0; k < m.n_items; k++)
            many[k] = (struct wire_item){ .job = i, .first = 2 * k, .count = 1, .flags = WIRE_FIXED };
        say(w, "c1", &m);
    }
    settle(w, UINT64_MAX, "");
    assert_int_equal(counters(w).running, 1);
    for (uint32_t i = 1000; i > 1; i--) {
        struct wire_msg close = { .type = WIRE_POOL_CLOSE };
        close.u.pool_ref.pool = i;
        say(w, "c1", &close);
    }
    assert_false(runs_within(w, 2000, 0));
    assert_int_equal(jobs(w), 2);
    worker_done(w, "w1", 1, 0, 1, 1000);
    assert_true(runs_within(w, 2000, 1));
    world_free(w);
}

/* Nobody has what they need, or nobody is there: nothing becomes due until something changes. */
static void r06_pools_that_nobody_can_run_are_left(void **state)
{
    struct world *w = world_new(NULL);
    uint64_t end;

    (void)state;
    w->quiet = true;
    client_hello(w, "c1");
    for (uint32_t i = 1; i <= 1000; i++)
        open_pool(w, i);
    for (uint32_t i = 1; i <= 1000; i++)
        open_job(w, i, i);
    for (uint32_t i = 1; i <= 1000; i++)
        task(w, i, 0);
    settle(w, UINT64_MAX, "");
    int wakes = 0;
    for (end = w->now + 10000 * CLOCK_MS; broker_deadline(w->b) < end; wakes++) {
        w->now = broker_deadline(w->b);
        turn(w);
    }
    assert_true(wakes < 50);
    worker_hello(w, "w1", 2);
    settle(w, UINT64_MAX, "");
    assert_int_equal(counters(w).running, 2);
    world_free(w);
}

/* More jobs than a dispatch looks at are refused at once, and taken apart over turns: what is not one of them goes on. */
static void r06_jobs_that_end_hold_up_no_other_of_their_pool(void **state)
{
    static struct wire_item many[300];
    struct wire_msg m = { .type = WIRE_TASKS, .items = many, .n_items = 300 };
    struct world *w = world_new(NULL);

    (void)state;
    w->quiet = true;
    worker_hello(w, "w1", 1);
    client_hello(w, "c1");
    open_pool(w, 1);
    for (uint32_t i = 1; i <= 40; i++)
        open_job(w, i, 1);
    task(w, 40, 0);
    settle(w, UINT64_MAX, "");
    for (uint32_t i = 1; i < 40; i++) {
        for (uint32_t k = 0; k < m.n_items; k++)
            many[k] = (struct wire_item){ .job = i, .first = 2 * k, .count = 1, .flags = WIRE_FIXED };
        say(w, "c1", &m);
    }
    task(w, 40, 1);
    settle(w, UINT64_MAX, "");
    m.n_items = 1;
    for (uint32_t i = 1; i < 40; i++) {
        many[0] = (struct wire_item){ .job = i, .first = 900, .count = 1, .flags = WIRE_FIXED | WIRE_MAYBE_STARTED };
        say(w, "c1", &m);
    }
    many[0] = (struct wire_item){ .id = 1, .count = 1, .flags = WIRE_FIXED, .kind = WIRE_OK, .sum_ns = 100 * CLOCK_MS };
    say(w, "w1", &(struct wire_msg){ .type = WIRE_RESULTS, .items = many, .n_items = 1 });
    settle(w, UINT64_MAX, "");
    assert_int_equal(jobs(w), 1);
    assert_int_equal(counters(w).tasks_ok, 1);
    runs_within(w, 1000, 1);
    assert_int_equal(counters(w).running, 1);
    world_free(w);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(r06_a_pool_that_fails_costs_the_same_however_many_its_worker_has),
        T(r06_what_a_failed_pool_has_is_asked_back_over_turns), T(r06_the_lane_of_a_pool_that_ends_is_asked_for_nothing),
        T(r06_the_end_of_a_worker_looks_at_pools_over_turns),
        T(r06_a_client_that_comes_back_costs_the_same_however_many_pools_it_has),
        T(r06_what_is_not_opened_again_ends_over_turns), T(r06_what_is_opened_while_the_rest_ends_stays),
        T(r26_pools_of_a_client_that_is_away_leave_their_workers_over_turns), T(r06_counts_are_told_again_over_turns),
        T(r06_jobs_that_are_not_open_again_are_passed_over_in_turns),
        T(r06_a_pool_behind_many_that_end_gets_its_turn), T(r06_pools_that_nobody_can_run_are_left),
        T(r06_jobs_that_end_hold_up_no_other_of_their_pool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
