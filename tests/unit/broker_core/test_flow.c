/* SPDX-License-Identifier: MPL-2.0
 * test_flow.c - the broker when all goes well: sessions, grants, specifications, chunks, outcomes, acknowledgements, ends.
 */
#include "world.h"

#include <string.h>

static void first_map(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    w->strict = true;
    worker_hello(w, "w1", 2);
    client_hello(w, "c1");
    client_pool(w, "c1", 1, 5);
    EXPECT(w, "[   0] > w1 WELCOME\n"
              "[   0] limited log: worker w1 is ready with 2 slots\n"
              "[   0] > c1 WELCOME\n"
              "[   0] > c1 POOL_STATE p1 slots 2\n");
    client_job(w, "c1", 1, 1, NULL);
    client_tasks(w, "c1", 1, 0, 5, 100);
    EXPECT(w, "[   0] > c1 JOB_STATE j1 next 0\n"
              "[   0] > w1 GRANT p1 slots 2 spec\n"
              "[   0] > w1 JOB_SPEC j2 p1\n"
              "[   0] > w1 CHUNKS #1 j2 0+1 #2 j2 1+1\n");
    worker_done(w, "w1", 1, 0, 1, 50000);
    EXPECT(w, "[   0] > w1 CHUNKS #3 j2 2+1\n"
              "[   0] > c1 OUTCOMES s1 j1 0+1\n");
    worker_done(w, "w1", 2, 1, 1, 50000);
    worker_done(w, "w1", 3, 2, 1, 50000);
    EXPECT(w, "[   0] > w1 CHUNKS #4 j2 3+1\n"
              "[   0] > c1 OUTCOMES s2 j1 1+1\n"
              "[   0] > w1 CHUNKS #5 j2 4+1\n"
              "[   0] > c1 OUTCOMES s3 j1 2+1\n");
    client_ack(w, "c1", 1, 2);
    EXPECT(w, "[   0] > w1 ATTEMPTS_CLOSE #1 why 5 #2 why 5\n");
    worker_done(w, "w1", 5, 4, 1, 50000);
    worker_done(w, "w1", 4, 3, 1, 50000);
    simple(w, "c1", WIRE_JOB_CLOSE, 1);
    EXPECT(w, "[   0] > c1 OUTCOMES s4 j1 4+1\n"
              "[   0] > c1 OUTCOMES s5 j1 3+1\n");
    client_ack(w, "c1", 1, 5);
    EXPECT(w, "[   0] > w1 ATTEMPTS_CLOSE #3 why 5 #5 why 5 #4 why 5\n"
              "[   0] > w1 JOB_FORGET j2\n");
    simple(w, "c1", WIRE_POOL_CLOSE, 1);
    EXPECT(w, "[   0] > w1 GRANT p1 slots 0\n");
    assert_true(broker_idle(w->b));
    world_free(w);
}

/* Closed: nothing new, but what was lost on the way may come once more. */
static void a_closed_job_takes_what_comes_again(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    client_start(w, "c1", 1, NULL);
    client_job(w, "c1", 2, 1, NULL);
    for (uint32_t job = 1; job <= 2; job++) {
        client_tasks(w, "c1", job, 0, 2, 10);
        simple(w, "c1", WIRE_JOB_CLOSE, job);
    }
    world_forget(w);
    client_replay(w, "c1", 1, 2, 3, 0);
    EXPECT(w, "");
    client_tasks(w, "c1", 2, 2, 3, 10);
    assert_non_null(strstr(w->trace, "JOB_STATE j2 next 0 refused"));
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(first_map), cmocka_unit_test(a_closed_job_takes_what_comes_again) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
