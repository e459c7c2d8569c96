/* SPDX-License-Identifier: MPL-2.0
 * test_shelf.c - of one owner's specifications a worker keeps no more than a limit: it is told to forget what is not in use there,
 * and what is in use makes others of that owner wait, nobody else. Nothing of it is lost.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST (32u << 20)        /* of pools, and as much of jobs */
#define LARGE 200000u
#define MANY 200u               /* so large they do not fit */

/* What a worker that was told of them would keep, by handle. */
struct kept { uint32_t size[65536]; uint64_t bytes, most; uint32_t n; };

static struct {
    struct kept jobs, pools;
    uint32_t pool_of[65536];    /* of a job */
    uint32_t chunks, n_outcomes, due;
    struct { uint32_t job; uint64_t seq; char client; } outcomes[1024];
    uint64_t stamp;
    uint32_t kept, described;   /* grants of no slots that are to be kept, and that describe the pool once more */
    bool asked, without;        /* without: a chunk or job came of what it had not been told of, or had forgotten */
    int code;
    char text[512];
} seen;

static uint8_t large[LARGE];

static void keep(struct kept *k, uint32_t handle, uint32_t size)
{
    k->bytes += size;
    k->bytes -= k->size[handle & 65535];
    k->size[handle & 65535] = size;
    k->most = k->bytes > k->most ? k->bytes : k->most;
    k->n += size > 0;
}

static void listen_worker(const struct wire_msg *m)
{
    if (m->type == WIRE_JOB_SPEC) {
        keep(&seen.jobs, m->u.job_spec.job, m->u.job_spec.spec.n);
        seen.pool_of[m->u.job_spec.job & 65535] = m->u.job_spec.pool;
        seen.without |= !seen.pools.size[m->u.job_spec.pool & 65535];
    }
    if (m->type == WIRE_JOB_FORGET)
        keep(&seen.jobs, m->u.job_ref.job, 0);
    if (m->type == WIRE_GRANT && (m->u.grant.slots ? m->u.grant.spec.n : !m->u.grant.spec.n))
        keep(&seen.pools, m->u.grant.pool, m->u.grant.spec.n);
    for (uint32_t j = 0; m->type == WIRE_GRANT && !m->u.grant.slots && !m->u.grant.spec.n && j < 65536; j++)
        if (seen.jobs.size[j] && seen.pool_of[j] == m->u.grant.pool)
            keep(&seen.jobs, j, 0);                 /* with their pool */
    seen.kept += m->type == WIRE_GRANT && !m->u.grant.slots && m->u.grant.spec.n;
    seen.described += m->type == WIRE_GRANT && !m->u.grant.slots && m->u.grant.spec.n > 1;
    if (m->type == WIRE_PING) {
        seen.asked = true;
        seen.stamp = m->u.ping.stamp;
    }
    for (uint32_t i = 0; m->type == WIRE_CHUNKS && i < m->n_items; i++) {
        seen.chunks++;
        seen.without |= !seen.jobs.size[m->items[i].job & 65535];
    }
}

static void listen_to(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    (void)w;
    if (p->role == WIRE_WORKER) {
        listen_worker(m);
        return;
    }
    if (m->type == WIRE_POOL_STATE) {
        seen.code = m->u.pool_state.code ? m->u.pool_state.code : seen.code;
        if (m->u.pool_state.text.n)
            snprintf(seen.text, sizeof(seen.text), "%.*s", (int)m->u.pool_state.text.n, m->u.pool_state.text.p);
    }
    for (uint32_t i = 0; m->type == WIRE_OUTCOMES && i < m->n_items; i++) {
        seen.n_outcomes += m->items[i].count;
        seen.outcomes[seen.due].job = m->items[i].job;
        seen.outcomes[seen.due].seq = m->items[i].id;
        seen.outcomes[seen.due++].client = p->name[1];
    }
}

/* Until nothing moves: the worker answers what it is asked. */
static void settle(struct world *w)
{
    world_step(w);
    while (seen.asked) {
        struct wire_msg pong = { .type = WIRE_PONG, .u.ping.stamp = seen.stamp };
        seen.asked = false;
        world_send(w, "w1", &pong);
    }
}

static void acknowledge(struct world *w)
{
    while (seen.due) {
        char name[3] = { 'c', seen.outcomes[--seen.due].client };
        struct wire_item it = { .id = seen.outcomes[seen.due].seq, .job = seen.outcomes[seen.due].job };
        world_send(w, name, &(struct wire_msg){ .type = WIRE_OUTCOMES_ACK, .items = &it, .n_items = 1 });
    }
    settle(w);
}

static void done(struct world *w, uint32_t i)
{
    if (i >= w->n_seen)
        fail_msg("chunk %u of %zu; %s", i, w->n_seen, seen.text);
    worker_done(w, "w1", w->seen[i].id, w->seen[i].first, w->seen[i].count, 50000);
    settle(w);
}

static struct world *start(uint32_t slots)
{
    struct broker_config c = { .epoch = EPOCH, .owner_memory = 1u << 30 };
    struct world *w = world_new(&c);

    w->quiet = true;
    memset(&seen, 0, sizeof(seen));
    w->hook = listen_to;
    worker_hello(w, "w1", slots);
    client_hello(w, "c1");
    return w;
}

static void finish(struct world *w)
{
    const char *wrong = broker_check(w->b);

    if (wrong)
        fail_msg("%s", wrong);
    assert_false(seen.without);
    assert_in_range(seen.jobs.most, 1, MOST);
    assert_in_range(seen.pools.most, 1, MOST);
    assert_int_equal(seen.code, 0);
    world_free(w);
}

static void heavy_jobs(struct world *w)
{
    struct wire_job_spec heavy = { .chunk = 1, .context = wire_bin_of(large, LARGE) };

    for (uint32_t i = 1; i <= MANY; i++) {
        client_job(w, "c1", i, 1, &heavy);
        client_tasks(w, "c1", i, 0, 1, 100);
        settle(w);
    }
}

/* The jobs stay open, and their outcomes are not acknowledged: the worker keeps results, and forgets what it does not run. */
static void r07_a_worker_keeps_so_much_of_an_owners_jobs(void **state)
{
    struct world *w = start(1);

    (void)state;
    client_pool(w, "c1", 1, 1);
    heavy_jobs(w);
    for (uint32_t i = 0; i < MANY; i++)
        done(w, i);
    assert_int_equal(seen.chunks, MANY);
    for (uint32_t i = 1, n = 0; i <= MANY && n < 3; i++) {
        if (seen.jobs.size[i + 1])                  /* the broker's handles begin with the pool's */
            continue;
        client_tasks(w, "c1", i, 1, 1, 100);        /* of what it has forgotten */
        n++;
    }
    settle(w);
    for (uint32_t i = MANY; i < MANY + 3; i++)
        done(w, i);
    assert_int_equal(seen.jobs.n, MANY + 3);
    assert_int_equal(seen.n_outcomes, MANY + 3);
    acknowledge(w);
    finish(w);
}

/* All are in use: the others wait for those, another owner does not, and in the end all have run. */
static void r07_jobs_that_a_worker_has_no_room_for_wait(void **state)
{
    struct world *w = start(MANY + 8);
    uint32_t first;

    (void)state;
    client_pool(w, "c1", 1, (int32_t)MANY);
    heavy_jobs(w);
    first = seen.chunks;
    assert_in_range(first, 100, MANY - 1);
    client_start(w, "c2", 4, &(struct wire_job_spec){ .chunk = 1 });
    client_tasks(w, "c2", 1, 0, 4, 100);
    settle(w);
    assert_int_equal(seen.chunks, first + 4);
    for (uint32_t i = 0; i < MANY + 4; i++)
        done(w, i);
    assert_int_equal(seen.n_outcomes, MANY + 4);
    acknowledge(w);
    finish(w);
}

static void large_pool(struct world *w, uint32_t pool)
{
    struct wire_pool_spec spec = { .program_name = WIRE_STR("prog"), .arch = WIRE_STR("x"), .argv = wire_bin_of(large, LARGE / 2),
        .env = wire_bin_of(large, LARGE / 2) };
    struct buf *bytes = wire_pool_spec_encode(&spec);
    uint8_t digest[WIRE_DIGEST] = { (uint8_t)pool, (uint8_t)(pool >> 8) };
    struct wire_msg m = { .type = WIRE_POOL_OPEN };

    m.u.pool_open = (struct wire_pool_open){ .pool = pool, .processes = 1, .digest = wire_bin_of(digest, WIRE_DIGEST),
        .spec = wire_bin_of(bytes->data, bytes->size), .name = WIRE_STR("pool") };
    world_send(w, "c1", &m);
    buf_unref(&bytes);
    client_job(w, "c1", pool, pool, &(struct wire_job_spec){ .chunk = 1 });
    client_tasks(w, "c1", pool, 0, 1, 100);
    settle(w);
}

/* One after the other has work: those before have slots, but nothing to do. */
static void r07_a_worker_keeps_so_much_of_an_owners_pools(void **state)
{
    struct world *w = start(2 * MANY);

    (void)state;
    for (uint32_t i = 1; i <= MANY; i++) {
        large_pool(w, i);
        done(w, i - 1);
        acknowledge(w);
    }
    assert_int_equal(seen.n_outcomes, MANY);
    assert_int_equal(seen.text[0], 0);              /* nobody had to wait */
    client_tasks(w, "c1", 1, 1, 1, 100);            /* of the first, which it has forgotten, and its job with it */
    settle(w);
    done(w, MANY);
    client_tasks(w, "c1", 1, 2, 1, 100);
    settle(w);
    done(w, MANY + 1);
    assert_int_equal(seen.n_outcomes, MANY + 2);
    assert_int_equal(seen.jobs.n, MANY + 1);        /* it is told of once more, not each time */
    finish(w);
}

/* All have: what there is no room for waits, its client is told why, and it goes on when there is. */
static void r07_pools_that_a_worker_has_no_room_for_wait(void **state)
{
    struct world *w = start(2 * MANY);

    (void)state;
    for (uint32_t i = 1; i <= MANY; i++)
        large_pool(w, i);
    assert_in_range(seen.chunks, 100, MANY - 1);
    assert_non_null(strstr(seen.text, "specifications of this key's pools"));
    for (uint32_t i = 0; i < MANY; i++) {
        for (int s = 0; i >= w->n_seen && s < 60; s++)
            world_after(w, 1000), settle(w);
        done(w, i);
        acknowledge(w);
    }
    assert_int_equal(seen.n_outcomes, MANY);
    finish(w);
}

/* Its handle is kept: that takes a word, not its specification. */
static void r07_a_pool_without_slots_is_not_described_again(void **state)
{
    struct world *w = start(1);

    (void)state;
    large_pool(w, 1);
    done(w, 0);
    acknowledge(w);
    for (int i = 0; i < 3; i++) {
        struct wire_msg m = { .type = WIRE_POOL_FAILED, .u.pool_failed = { .pool = 1, .code = BFORK_EAGAIN } };
        world_send(w, "w1", &m);                    /* it has no room for it at present */
        for (int s = 0; s < 10; s++) {
            world_after(w, 2000);
            world_send(w, "w1", &(struct wire_msg){ .type = WIRE_PING });
        }
        client_tasks(w, "c1", 1, (uint64_t)i + 1, 1, 100);
        settle(w);
        done(w, (uint32_t)i + 1);
    }
    assert_int_equal(seen.kept, 3);
    assert_int_equal(seen.described, 0);
    assert_int_equal(seen.pools.n, 1);
    finish(w);
}

/* However many are in use: those that are not are found. */
static void r07_an_idle_job_is_forgotten_beside_many_in_use(void **state)
{
    static uint8_t context[1000];
    const struct wire_job_spec heavy = { .chunk = 1, .context = wire_bin_of(context, sizeof(context)) };
    struct world *w = world_new(&(struct broker_config){ .epoch = EPOCH, .worker_specs = 70 * 1020 });

    (void)state;
    w->quiet = true;
    worker_hello(w, "w1", 100);
    client_hello(w, "c1");
    client_pool(w, "c1", 1, 100);
    for (uint32_t j = 1; j <= 90; j++) {            /* the first 66 do not end */
        client_job(w, "c1", j, 1, &heavy);
        client_tasks(w, "c1", j, 0, 1, 10);
        assert_int_equal(w->n_seen, j);
        if (j <= 66)
            continue;
        worker_done(w, "w1", w->seen[j - 1].id, 0, 1, 1000);
        client_ack(w, "c1", j, 1);
        world_peer(w, "c1")->acked = 0;
    }
    world_free(w);
}

static struct world *with_room_for(uint64_t specs)
{
    struct world *w = world_new(&(struct broker_config){ .epoch = EPOCH, .worker_specs = specs });

    w->quiet = true;
    memset(&seen, 0, sizeof(seen));
    w->hook = listen_to;
    worker_hello(w, "w1", 4);
    client_hello(w, "c1");
    return w;
}

/* The one that was used last is most likely to be used again. */
static void r07_the_job_used_longest_ago_is_forgotten(void **state)
{
    static uint8_t context[1000];
    const struct wire_job_spec heavy = { .chunk = 1, .context = wire_bin_of(context, sizeof(context)) };
    struct world *w = with_room_for(2500);

    (void)state;
    client_pool(w, "c1", 1, 1);
    for (uint32_t i = 0; i < 4; i++) {              /* 1, 2, 1, 3 */
        uint32_t job = i == 3 ? 3 : 1 + i % 2;
        if (i != 2)
            client_job(w, "c1", job, 1, &heavy);
        client_tasks(w, "c1", job, i == 2, 1, 10);
        settle(w);
        done(w, i);
        acknowledge(w);
    }
    assert_int_equal(seen.jobs.n, 3);
    assert_true(seen.jobs.size[2] && !seen.jobs.size[3] && seen.jobs.size[4]);      /* the broker's handles begin with the pool's */
    finish(w);
}

/* A pool whose results the worker keeps is not forgotten: they would go with it. */
static void r07_a_pool_with_results_is_not_forgotten(void **state)
{
    struct world *w = with_room_for(1);

    (void)state;
    large_pool(w, 1);
    done(w, 0);
    large_pool(w, 2);
    assert_int_equal(seen.chunks, 1);
    assert_int_equal(seen.pools.n, 1);
    acknowledge(w);
    for (int s = 0; w->n_seen < 2 && s < 10; s++)
        world_after(w, 1000), settle(w);
    done(w, 1);
    assert_int_equal(seen.pools.n, 2);
    finish(w);
}

/* They were never sent: the worker that leaves costs them no try. */
static void r07_jobs_that_wait_for_room_leave_with_their_worker(void **state)
{
    struct world *w = with_room_for(1);

    (void)state;
    w->hook = NULL;
    client_pool(w, "c1", 1, 2);
    for (uint32_t j = 1; j <= 2; j++) {
        client_job(w, "c1", j, 1, &(struct wire_job_spec){ .chunk = 1 });
        client_tasks(w, "c1", j, 0, 1, 10);
    }
    assert_int_equal(w->n_seen, 1);
    simple(w, "w1", WIRE_BYE, 0);
    w->quiet = false;
    world_forget(w);
    worker_hello(w, "w2", 1);
    EXPECT(w, "[   0] > w2 CHUNKS #3 j3 0+1\n");     /* the other one waits for room, and has a try */
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r07_a_worker_keeps_so_much_of_an_owners_jobs),
        cmocka_unit_test(r07_jobs_that_a_worker_has_no_room_for_wait),
        cmocka_unit_test(r07_a_worker_keeps_so_much_of_an_owners_pools),
        cmocka_unit_test(r07_pools_that_a_worker_has_no_room_for_wait),
        cmocka_unit_test(r07_a_pool_without_slots_is_not_described_again),
        cmocka_unit_test(r07_an_idle_job_is_forgotten_beside_many_in_use),
        cmocka_unit_test(r07_the_job_used_longest_ago_is_forgotten),
        cmocka_unit_test(r07_a_pool_with_results_is_not_forgotten),
        cmocka_unit_test(r07_jobs_that_wait_for_room_leave_with_their_worker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
