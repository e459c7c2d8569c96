/* SPDX-License-Identifier: MPL-2.0
 * test_owners.c - what the sessions of one key may do together: quotas, how many may be gone at a time, slots.
 */
#include "world.h"

#include <string.h>

static struct broker_counters counters(struct world *w)
{
    struct broker_counters n;

    broker_counters(w->b, &n);
    return n;
}

/* Another session with c1's key. */
static void same_key(struct world *w, const char *name)
{
    memcpy(world_peer(w, name)->key, world_peer(w, "c1")->key, WIRE_KEY);
}

static void start(struct world *w, const char *name)
{
    same_key(w, name);
    client_start(w, name, 1, NULL);
    world_forget(w);
}

static void sessions_share_a_quota_of_tasks(void **state)
{
    struct world *w = world_new(&(struct broker_config){ .quota_tasks = 10 });

    (void)state;
    start(w, "c1");
    start(w, "c2");
    start(w, "c3");
    start(w, "c4");
    start(w, "c5");
    client_start(w, "c6", 1, NULL);     /* somebody else */
    client_tasks(w, "c1", 1, 0, 10, 100);
    client_tasks(w, "c2", 1, 0, 10, 100);
    world_lost(w, "c2");                /* it counts although it is gone */
    client_tasks(w, "c3", 1, 0, 10, 100);
    client_tasks(w, "c4", 1, 0, 10, 100);
    world_forget(w);
    client_tasks(w, "c5", 1, 0, 1, 100);
    EXPECT(w, "[   0] > c5 ERROR -41\n"
              "[   0] > c5 CUT\n");
    assert_int_equal(counters(w).refused, 1);
    assert_int_equal(counters(w).queued, 40);
    client_tasks(w, "c6", 1, 0, 10, 100);
    EXPECT(w, "");
    client_cancel(w, "c1", 1, 0, 1);
    world_forget(w);
    start(w, "c5");
    client_tasks(w, "c5", 1, 0, 1, 100);
    EXPECT(w, "");
    world_free(w);
}

static void sessions_share_a_quota_of_bytes(void **state)
{
    struct world *w = world_new(&(struct broker_config){ .quota_bytes = 10000, .owner_quota_bytes = 15000 });

    (void)state;
    start(w, "c1");
    start(w, "c2");
    client_tasks(w, "c1", 1, 0, 1, 10000);
    client_tasks(w, "c2", 1, 0, 1, 5000);
    EXPECT(w, "");
    client_tasks(w, "c2", 1, 1, 1, 1);
    EXPECT(w, "[   0] > c2 ERROR -41\n"
              "[   0] > c2 CUT\n");
    assert_int_equal(counters(w).queued, 1);
    world_free(w);
}

static uint64_t told_tasks;

static void on_welcome(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    (void)w;
    (void)p;
    if (m->type == WIRE_WELCOME)
        told_tasks = m->u.welcome.quota_tasks;
}

/* A session is not told more than its key may have. */
static void the_smaller_quota_is_told(void **state)
{
    struct world *w = world_new(&(struct broker_config){ .quota_tasks = 10, .owner_quota_tasks = 7 });

    (void)state;
    w->hook = on_welcome;
    start(w, "c1");
    assert_int_equal(told_tasks, 7);
    world_free(w);
}

static void oldest_detached_session_goes(void **state)
{
    struct world *w = world_new(&(struct broker_config){ .detached_max = 2 });
    static const char *const names[] = { "c1", "c2", "c3", "c4" };

    (void)state;
    for (int i = 0; i < 4; i++) {
        start(w, names[i]);
        client_tasks(w, names[i], 1, 0, 1u << i, 100);
    }
    client_start(w, "c5", 1, NULL);     /* somebody else */
    client_tasks(w, "c5", 1, 0, 16, 100);
    world_lost(w, "c5");
    world_lost(w, "c2");
    world_after(w, 1);
    world_lost(w, "c1");
    assert_int_equal(counters(w).queued, 31);
    world_after(w, 1);
    client_hello(w, "c2");              /* back in time */
    world_lost(w, "c3");
    client_hello(w, "c3");
    client_hello(w, "c3");              /* a newer connection of the same session: nobody goes */
    world_after(w, 1);
    world_lost(w, "c2");
    assert_int_equal(counters(w).queued, 31);
    world_after(w, 1);
    world_lost(w, "c3");
    assert_int_equal(counters(w).queued, 30);   /* c1's task */
    world_lost(w, "c4");
    assert_int_equal(counters(w).queued, 28);
    assert_int_equal(counters(w).clients, 3);
    world_free(w);
}

/* The client that reads no outcomes gets no slots, until it reads. */
static void a_paused_client_takes_no_slots(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    w->quiet = true;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, &(struct wire_job_spec){ .chunk = 1000 });
    for (uint32_t i = 0; i < 1000; i++)
        client_tasks(w, "c1", 1, i * 1000u, 1000, 8);
    while (counters(w).running) {
        const struct attempt_seen *s = &w->seen[w->n_seen - 1];
        worker_done(w, "w1", s->id, s->first, s->count, 30000);
    }
    assert_true(counters(w).queued > 0);
    uint32_t paused_job = w->seen[w->n_seen - 1].job;
    client_start(w, "c2", 1, &(struct wire_job_spec){ .chunk = 1 });
    client_tasks(w, "c2", 1, 0, 100, 100);
    for (int i = 0; i < 50; i++) {      /* much longer than a turn of fairness */
        const struct attempt_seen *s = &w->seen[w->n_seen - 1];
        assert_int_equal(counters(w).running, 1);
        assert_int_not_equal(s->job, paused_job);
        world_after(w, 10);
        assert_int_equal(counters(w).running, 1);
        worker_done(w, "w1", s->id, s->first, s->count, 30000);
    }
    client_ack(w, "c1", 1, 100);
    for (int i = 0; i < 10 && w->seen[w->n_seen - 1].job != paused_job; i++) {
        const struct attempt_seen *s = &w->seen[w->n_seen - 1];
        world_after(w, 10);
        if (w->seen[w->n_seen - 1].job != paused_job)
            worker_done(w, "w1", s->id, s->first, s->count, 30000);
    }
    assert_int_equal(w->seen[w->n_seen - 1].job, paused_job);
    world_free(w);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
    const struct CMUnitTest tests[] = { T(sessions_share_a_quota_of_tasks), T(sessions_share_a_quota_of_bytes),
                                        T(the_smaller_quota_is_told), T(oldest_detached_session_goes),
                                        T(a_paused_client_takes_no_slots) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
