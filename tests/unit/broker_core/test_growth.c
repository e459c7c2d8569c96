/* SPDX-License-Identifier: MPL-2.0
 * test_growth.c - how the protocol grows: who is told what the other side understands, which limits are in force, and that nobody
 * is given what he does not understand.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEW 0x8000u                     /* a feature of a release to come */

static struct {
    struct wire_welcome welcome;
    struct wire_job_to_worker job_spec;
    unsigned n_job_specs;
    uint32_t slots;                     /* of POOL_STATE */
    char text[256];
} got;

static void listen(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    (void)w;
    (void)p;
    if (m->type == WIRE_WELCOME)
        got.welcome = m->u.welcome;
    if (m->type == WIRE_POOL_STATE) {
        const struct wire_str *t = &m->u.pool_state.text;
        got.slots = m->u.pool_state.slots;
        snprintf(got.text, sizeof(got.text), "%.*s", (int)t->n, t->n ? t->p : "");
    }
    if (m->type == WIRE_JOB_SPEC) {
        got.job_spec = m->u.job_spec;
        got.n_job_specs++;
    }
}

static struct world *start(uint64_t features)
{
    struct world *w = world_new(NULL);

    memset(&got, 0, sizeof(got));
    w->hook = listen;
    w->features = features;
    return w;
}

static void welcome_tells_the_limits_in_force(void **state)
{
    struct broker_config c = { .quota_bytes = 1000, .quota_tasks = 20, .owner_quota_bytes = 3000, .owner_quota_tasks = 50,
                               .detach_ms = 7000, .detached_max = 9 };
    struct world *w = world_new(&c);

    (void)state;
    w->hook = listen;
    client_hello(w, "c1");
    assert_true(got.welcome.features == WIRE_FEATURES && (WIRE_FEATURES & WIRE_FEATURE_GROWTH));
    assert_true(got.welcome.frame_max == WIRE_FRAME_MAX && got.welcome.body_max == WIRE_BODY_MAX);
    assert_true(got.welcome.task_max == WIRE_TASK_MAX && got.welcome.spec_max == WIRE_SPEC_MAX);
    assert_true(got.welcome.records_max == WIRE_ITEMS_MAX && got.welcome.item_tasks_max == WIRE_BATCH_TASKS);
    assert_int_equal(got.welcome.piece_max, WIRE_PIECE_MAX);
    assert_true(got.welcome.quota_bytes == 1000 && got.welcome.quota_tasks == 20);
    assert_true(got.welcome.owner_quota_bytes == 3000 && got.welcome.owner_quota_tasks == 50);
    assert_true(got.welcome.detach_ms == 7000 && got.welcome.detached_max == 9);
    worker_hello(w, "w1", 1);
    assert_true(got.welcome.frame_max == WIRE_FRAME_MAX && !got.welcome.owner_quota_bytes);
    world_free(w);
}

static void the_client_s_features_reach_the_worker(void **state)
{
    struct world *w = start(WIRE_FEATURE_GROWTH | NEW);

    (void)state;
    client_start(w, "c1", 1, NULL);
    worker_hello(w, "w1", 1);
    client_tasks(w, "c1", 1, 0, 1, 10);
    assert_int_equal(got.n_job_specs, 1);
    assert_true(got.job_spec.features == (WIRE_FEATURE_GROWTH | NEW));
    world_free(w);
}

/* A job that needs what an old worker lacks waits for one that has it, and takes no slots of the old one. */
static void a_job_goes_only_to_workers_that_have_what_it_needs(void **state)
{
    struct wire_job_spec spec = { .needs = NEW };
    struct world *w = start(WIRE_FEATURE_GROWTH);

    (void)state;
    w->strict = true;
    worker_hello(w, "w1", 4);
    client_hello(w, "c1");
    client_pool(w, "c1", 1, -1);
    client_job(w, "c1", 1, 1, NULL);
    world_forget(w);
    client_tasks(w, "c1", 1, 0, 1, 10);
    assert_non_null(strstr(w->trace, "> w1 GRANT"));
    assert_non_null(strstr(w->trace, "> w1 CHUNKS #1 j2 0+1"));
    worker_done(w, "w1", 1, 0, 1, 10);
    world_forget(w);
    client_job(w, "c1", 2, 1, &spec);
    client_tasks(w, "c1", 2, 0, 8, 10);
    assert_null(strstr(w->trace, "CHUNKS"));
    assert_non_null(strstr(w->trace, "> w1 GRANT p1 slots 0"));
    assert_non_null(strstr(w->trace, "> c1 POOL_STATE p1 slots 0"));
    w->features = WIRE_FEATURE_GROWTH | NEW;
    world_forget(w);
    worker_hello(w, "w2", 2);
    assert_non_null(strstr(w->trace, "> w2 CHUNKS #2 j3 0+"));
    assert_null(strstr(w->trace, "> w1 "));
    world_free(w);
}

static void a_pool_is_granted_only_where_its_needs_are_met(void **state)
{
    struct wire_pool_spec spec = { .program_name = WIRE_STR("prog"), .needs = NEW };
    struct buf *bytes = wire_pool_spec_encode(&spec);
    struct wire_msg m = { .type = WIRE_POOL_OPEN };
    struct world *w = start(0);
    uint8_t digest[WIRE_DIGEST] = { 1 };

    (void)state;
    w->strict = true;
    worker_hello(w, "w1", 4);
    client_hello(w, "c1");
    m.u.pool_open = (struct wire_pool_open){ .pool = 1, .processes = -1, .digest = wire_bin_of(digest, WIRE_DIGEST),
        .spec = wire_bin_of(bytes->data, bytes->size) };
    world_send(w, "c1", &m);
    client_job(w, "c1", 1, 1, NULL);
    client_tasks(w, "c1", 1, 0, 4, 10);
    assert_null(strstr(w->trace, "GRANT"));
    w->features = NEW;
    worker_hello(w, "w2", 2);
    assert_non_null(strstr(w->trace, "> w2 GRANT p1 slots 2"));
    assert_non_null(strstr(w->trace, "> w2 CHUNKS"));
    assert_null(strstr(w->trace, "> w1 GRANT"));
    buf_unref(&bytes);
    world_free(w);
}

/* Its pool's other jobs run meanwhile, and the client is told. */
static void r09_a_job_that_no_worker_can_run_waits_alone(void **state)
{
    struct wire_job_spec spec = { .needs = NEW };
    struct world *w = start(WIRE_FEATURE_GROWTH);

    (void)state;
    w->strict = true;
    worker_hello(w, "w1", 4);
    client_hello(w, "c1");
    client_pool(w, "c1", 1, -1);
    client_job(w, "c1", 1, 1, &spec);
    client_job(w, "c1", 2, 1, NULL);
    client_tasks(w, "c1", 1, 0, 8, 10);
    assert_null(strstr(w->trace, "CHUNKS"));
    assert_int_equal(got.slots, 0);
    assert_non_null(strstr(got.text, "features 0x8000"));
    client_tasks(w, "c1", 2, 0, 1, 10);
    assert_int_equal(got.slots, 4);
    assert_non_null(strstr(got.text, "features 0x8000"));
    assert_int_equal(w->n_seen, 1);
    assert_int_equal(w->seen[0].count, 1);
    worker_done(w, "w1", w->seen[0].id, 0, 1, 1000);
    client_tasks(w, "c1", 2, 1, 1, 10);
    assert_int_equal(w->n_seen, 2);
    worker_done(w, "w1", w->seen[1].id, 1, 1, 1000);
    w->features = WIRE_FEATURE_GROWTH | NEW;
    world_forget(w);
    worker_hello(w, "w2", 2);
    assert_non_null(strstr(w->trace, "> w2 CHUNKS"));
    assert_null(strstr(w->trace, "> w1 CHUNKS"));
    assert_string_equal(got.text, "");
    world_free(w);
}

/* A pool that has all its slots where some of its jobs cannot run moves one to where they can; and where a task can run, it is
 * handed out behind those that came before it, whatever they need. */
static void r09_a_slot_moves_to_where_a_waiting_job_can_run(void **state)
{
    const struct wire_job_spec old = { .chunk = 1 }, new = { .chunk = 1, .needs = NEW };
    struct world *w = start(WIRE_FEATURE_GROWTH);
    uint32_t first;

    (void)state;
    worker_hello(w, "w1", 2);
    client_start(w, "c1", 2, &old);
    client_job(w, "c1", 2, 1, &new);
    client_tasks(w, "c1", 1, 0, 8, 10);
    assert_int_equal(w->n_seen, 2);
    first = w->seen[0].job;
    client_tasks(w, "c1", 2, 0, 2, 10);
    w->features = WIRE_FEATURE_GROWTH | NEW;
    worker_hello(w, "w2", 2);
    assert_int_equal(w->n_seen, 2);
    worker_done(w, "w1", w->seen[0].id, w->seen[0].first, 1, 50000);
    worker_done(w, "w1", w->seen[1].id, w->seen[1].first, 1, 50000);
    world_after(w, 100);
    assert_int_equal(w->n_seen, 4);
    assert_int_equal((w->seen[2].job != first) + (w->seen[3].job != first), 1);
    assert_non_null(strstr(w->trace, "> w2 CHUNKS"));
    world_free(w);
}

/* What it had where nothing of what waits can run moves, too. */
static void r09_all_slots_move_to_where_what_waits_can_run(void **state)
{
    const struct wire_job_spec old = { .chunk = 1 }, new = { .chunk = 1, .needs = NEW };
    struct world *w = start(WIRE_FEATURE_GROWTH);

    (void)state;
    worker_hello(w, "w1", 2);
    client_start(w, "c1", 2, &old);
    client_job(w, "c1", 2, 1, &new);
    client_tasks(w, "c1", 1, 0, 1, 10);
    assert_int_equal(w->n_seen, 1);
    worker_done(w, "w1", w->seen[0].id, 0, 1, 50000);
    w->features = WIRE_FEATURE_GROWTH | NEW;
    worker_hello(w, "w2", 2);
    client_tasks(w, "c1", 2, 0, 2, 10);
    assert_int_equal(w->n_seen, 3);
    assert_null(strstr(w->trace, "> w2 CHUNKS #1"));
    world_free(w);
}

/* A pool tells four needs apart; jobs of a fifth wait with those of the last, and no others do. */
static void r09_jobs_of_many_needs_wait_with_the_last_only(void **state)
{
    struct world *w = start(WIRE_FEATURE_GROWTH | 0x100);

    (void)state;
    worker_hello(w, "w1", 8);
    client_hello(w, "c1");
    client_pool(w, "c1", 1, -1);
    for (uint32_t j = 0; j < 5; j++)
        client_job(w, "c1", 1 + j, 1, &(struct wire_job_spec){ .needs = j ? 0x80ull << j : 0 });
    for (uint32_t j = 0; j < 5; j++)
        client_tasks(w, "c1", 1 + j, 0, 1, 10);
    assert_int_equal(w->n_seen, 2);                 /* of none, of 0x100 */
    w->features |= 0x400;
    worker_hello(w, "w2", 8);
    assert_int_equal(w->n_seen, 2);                 /* 0x400 is the last, and 0x800 with it */
    w->features |= 0x800;
    worker_hello(w, "w3", 8);
    assert_int_equal(w->n_seen, 4);
    world_free(w);
}

/* Tasks of one lane that another one could run move, though something waits that neither can. */
static void r09_lanes_are_balanced_beside_what_cannot_run(void **state)
{
    const struct wire_job_spec tens = { .chunk = 10 }, new = { .needs = NEW };
    struct world *w = start(WIRE_FEATURE_GROWTH);

    (void)state;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", -1, &tens);
    client_job(w, "c1", 2, 1, &new);
    client_tasks(w, "c1", 2, 0, 1, 10);
    client_tasks(w, "c1", 1, 0, 10, 10);
    assert_int_equal(w->n_seen, 1);
    worker_done(w, "w1", w->seen[0].id, 0, 1, 30000);
    world_forget(w);
    worker_hello(w, "w2", 1);
    assert_non_null(strstr(w->trace, "> w1 RECALL"));
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(welcome_tells_the_limits_in_force),
        cmocka_unit_test(the_client_s_features_reach_the_worker),
        cmocka_unit_test(a_job_goes_only_to_workers_that_have_what_it_needs),
        cmocka_unit_test(a_pool_is_granted_only_where_its_needs_are_met),
        cmocka_unit_test(r09_a_job_that_no_worker_can_run_waits_alone),
        cmocka_unit_test(r09_a_slot_moves_to_where_a_waiting_job_can_run),
        cmocka_unit_test(r09_all_slots_move_to_where_what_waits_can_run),
        cmocka_unit_test(r09_jobs_of_many_needs_wait_with_the_last_only),
        cmocka_unit_test(r09_lanes_are_balanced_beside_what_cannot_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
