/* SPDX-License-Identifier: MPL-2.0
 * client_start.c - what of the program's memory tasks have: nothing that main does after bfork_init, or, started by fork of the
 * caller, all of it. What tasks may not do: open pools of their own.
 */
#include "tasks.h"

#include <semaphore.h>

static int scale;
static const char *word = "none";
static bfork_pool *at_hand;

static int scaled(const int *in, int *out, bfork_task *t)
{
    (void)t;
    *out = *in * scale;
    return 0;
}

static int says_word(bfork_task *t)
{
    const char *env = getenv("BF_TEST_START");
    return bfork_return(t, word, env ? env : "unset");
}

static bfork_pool *forked(int processes)
{
    static const char *const env[] = { "BF_TEST_START=a=b", NULL };
    return bfork_pool_new(NULL, processes, &(bfork_pool_options){ .start = BFORK_START_FORK, .env = env });
}

static void r23_tasks_started_by_fork_have_the_callers_memory(void **state)
{
    int in[] = { 1, 2, 3 }, out[3];
    int open_before = descriptors(), children_before = children();
    const char *got, *env;
    (void)state;
    scale = 7;
    char *heap = strdup("on the heap");
    word = heap;
    bfork_pool *p = forked(2);
    scale = 8;                                  /* later: not seen */
    word = "later";
    ok(bfork_map(p, scaled, in, out, 3));
    assert_int_equal(out[2], 21);
    ok(bfork_take(bfork_submit(p, says_word), &got, &env));
    assert_string_equal(got, "on the heap");
    assert_string_equal(env, "a=b");
    assert_null(getenv("BF_TEST_START"));
    bfork_pool *second = forked(1);             /* while the first is there: of the memory as it is now */
    ok(bfork_map(second, scaled, in, out, 3));
    assert_int_equal(out[2], 24);
    ok(bfork_map(p, scaled, in, out, 3));
    assert_int_equal(out[2], 21);
    bfork_pool *unused = forked(1);
    bfork_pool_free(&unused);
    bfork_pool_free(&second);
    bfork_pool_free(&p);
    assert_int_equal(descriptors(), open_before);
    assert_int_equal(children(), children_before);
    free(heap);
}

static void r23_a_task_that_crashes_costs_only_itself(void **state)
{
    int in[] = { 5 }, out[1];
    (void)state;
    scale = 3;
    bfork_pool *p = forked(1);
    assert_int_equal(bfork_take(bfork_submit(p, crashes)), BFORK_CRASHED);
    ok(bfork_map(p, scaled, in, out, 1));
    assert_int_equal(out[0], 15);
    bfork_pool_free(&p);
}

static void r23_tasks_started_anew_do_not(void **state)
{
    int in[] = { 1 }, out[1];
    (void)state;
    scale = 7;
    bfork_pool *p = bfork_pool_new(NULL, 1, NULL);
    ok(bfork_map(p, scaled, in, out, 1));
    assert_int_equal(out[0], 0);
    bfork_pool_free(&p);
}

static void *waits_for_post(void *arg)
{
    sem_wait(arg);
    return NULL;
}

static void r23_a_program_with_other_threads_is_not_forked(void **state)
{
    pthread_t thread;
    sem_t post;
    int in[] = { 1 }, out[1];
    (void)state;
    sem_init(&post, 0, 0);
    ok(pthread_create(&thread, NULL, waits_for_post, &post));
    bfork_pool *p = forked(1);
    assert_int_equal(bfork_pool_error(p)->kind, BFORK_ETHREADS);
    assert_non_null(strstr(bfork_pool_error(p)->message, "1 other thread of the program runs"));
    assert_int_equal(bfork_map(p, scaled, in, out, 1), BFORK_ETHREADS);
    bfork_pool_free(&p);
    sem_post(&post);
    ok(pthread_join(thread, NULL));
    sem_destroy(&post);
    bfork_pool *busy = bfork_pool_new(NULL, 1, NULL);   /* the library's own threads are no obstacle */
    bfork_future *f = bfork_submit(busy, sleeps);
    assert_int_equal(bfork_future_wait(f, 50), BFORK_ETIMEDOUT);
    scale = 2;
    p = forked(1);
    assert_null(bfork_pool_error(p));
    ok(bfork_map(p, scaled, in, out, 1));
    assert_int_equal(out[0], 2);
    bfork_pool_free(&p);
    bfork_future_free(&f);
    bfork_pool_terminate(busy);
    bfork_pool_free(&busy);
}

static void r23_other_starts_are_refused_by_name(void **state)
{
    (void)state;
    bfork_pool *p = bfork_pool_new(NULL, 1, &(bfork_pool_options){ .start = BFORK_START_EXEC });
    assert_int_equal(bfork_pool_error(p)->kind, BFORK_ENOTSUP);
    assert_non_null(strstr(bfork_pool_error(p)->message, "BFORK_START_EXEC"));
    bfork_pool_free(&p);
    p = bfork_pool_new(NULL, 1, &(bfork_pool_options){ .start = 3 });
    assert_int_equal(bfork_pool_error(p)->kind, BFORK_EINVAL);
    bfork_pool_free(&p);
}

/* ---- pools in tasks ---- */

static int opens_a_pool(bfork_task *t)
{
    int in[] = { 1 }, out[1];
    bfork_pool *mine = bfork_pool_new(NULL, 1, NULL);
    int kind = bfork_map(mine, square, in, out, 1);
    bfork_pool_free(&mine);
    bfork_session *s = bfork_session_new("local:", NULL);
    const bfork_error *e = bfork_session_error(s);
    int session = e ? e->kind : 0;
    bfork_session_free(&s);
    return bfork_return(t, kind, session, bfork_last_error()->message);
}

static int uses_the_pool_at_hand(bfork_task *t)
{
    return bfork_return(t, bfork_take(bfork_submit(at_hand, add_one, 1)), bfork_last_error()->message);
}

static void r24_tasks_cannot_open_pools(void **state)
{
    static const char *const profiles[] = { "local:", "serial:" };
    (void)state;
    for (int k = 0; k < 2; k++) {
        bfork_session *s = bfork_session_new(profiles[k], NULL);
        bfork_pool *p = bfork_pool_new(s, 1, &(bfork_pool_options){ .start = BFORK_START_FORK });
        const char *text;
        int pool, session, in[] = { 2 }, out[1];
        at_hand = p;
        ok(bfork_take(bfork_submit(p, opens_a_pool), &pool, &session, &text));
        assert_int_equal(pool, BFORK_ENOTSUP);
        assert_int_equal(session, BFORK_ENOTSUP);
        assert_non_null(strstr(text, "a task cannot"));
        if (k == 1) {                           /* elsewhere the pool is only the parent's */
            ok(bfork_take(bfork_submit(p, uses_the_pool_at_hand), &pool, &text));
            assert_int_equal(pool, BFORK_ENOTSUP);
        }
        ok(bfork_map(p, square, in, out, 1));   /* and the program itself can go on */
        bfork_pool_free(&p);
        bfork_session_free(&s);
    }
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r23_tasks_started_by_fork_have_the_callers_memory),
        cmocka_unit_test(r23_a_task_that_crashes_costs_only_itself), cmocka_unit_test(r23_tasks_started_anew_do_not),
        cmocka_unit_test(r23_a_program_with_other_threads_is_not_forked),
        cmocka_unit_test(r23_other_starts_are_refused_by_name), cmocka_unit_test(r24_tasks_cannot_open_pools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
