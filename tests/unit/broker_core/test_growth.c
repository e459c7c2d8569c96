/* SPDX-License-Identifier: MPL-2.0
 * test_growth.c - how the protocol grows: who is told what the other side understands, which limits are in force, and that nobody
 * is given what he does not understand.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#define NEW 0x8000u                     /* a feature of a release to come */

static struct { struct wire_welcome welcome; struct wire_job_to_worker job_spec; unsigned n_job_specs; } got;

static void listen(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    (void)w;
    (void)p;
    if (m->type == WIRE_WELCOME)
        got.welcome = m->u.welcome;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(welcome_tells_the_limits_in_force),
        cmocka_unit_test(the_client_s_features_reach_the_worker),
        cmocka_unit_test(a_job_goes_only_to_workers_that_have_what_it_needs),
        cmocka_unit_test(a_pool_is_granted_only_where_its_needs_are_met),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
