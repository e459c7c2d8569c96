/* SPDX-License-Identifier: MPL-2.0
 * test_number.c - the numbers that workers know pools and jobs by, when all 2^32 have been used.
 */
#include "state.h"
#include "world.h"

static uint32_t jobs[8];
static size_t n_jobs;

static void on_message(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    (void)w;
    (void)p;
    if (m->type == WIRE_JOB_SPEC) {
        assert_in_range(n_jobs, 0, 7);
        jobs[n_jobs++] = m->u.job_spec.job;
    }
}

static void a_number_in_use_is_not_given_again(void **state)
{
    struct world *w = world_new(NULL);
    uint32_t first = w->b->next_number;

    (void)state;
    n_jobs = 0;
    w->hook = on_message;
    worker_hello(w, "w1", 4);
    client_start(w, "c1", -1, NULL);                    /* pool 1 and job 1 */
    client_tasks(w, "c1", 1, 0, 1, 0);
    assert_int_equal(w->b->next_number, first + 2);
    w->b->next_number = UINT32_MAX;
    client_job(w, "c1", 2, 1, NULL);                    /* the last number */
    client_job(w, "c1", 3, 1, NULL);                    /* behind it: not 0, and not those of before */
    client_tasks(w, "c1", 2, 0, 1, 0);
    client_tasks(w, "c1", 3, 0, 1, 0);
    w->b->next_number = first;
    client_job(w, "c1", 4, 1, NULL);                    /* all are used again, but those that are there */
    client_tasks(w, "c1", 4, 0, 1, 0);
    assert_int_equal(n_jobs, 4);
    assert_int_equal(jobs[1], UINT32_MAX);
    assert_int_equal(jobs[2], first + 2);
    assert_int_equal(jobs[3], first + 3);
    simple(w, "c1", WIRE_JOB_CLOSE, 4);
    worker_done(w, "w1", 4, 0, 1, 100);
    client_ack(w, "c1", 4, 1);
    world_peer(w, "c1")->acked = 0;                    /* that was job 4's */
    w->b->next_number = first;
    client_job(w, "c1", 5, 1, NULL);                    /* that of one that is gone */
    client_tasks(w, "c1", 5, 0, 1, 0);
    assert_int_equal(n_jobs, 5);
    assert_int_equal(jobs[4], first + 3);
    assert_null(broker_check(w->b));
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_number_in_use_is_not_given_again) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
