/* SPDX-License-Identifier: MPL-2.0
 * client_endings.c - every way a task can end on this machine, what is said about it, and that its neighbours do not notice.
 */
#include "tasks.h"

#include <signal.h>

static bfork_pool *pool;

static int open_pool(void **state)
{
    (void)state;
    pool = bfork_pool_new(NULL, 2, NULL);
    return bfork_pool_error(pool) ? -1 : 0;
}

static int free_pool(void **state)
{
    (void)state;
    bfork_pool_free(&pool);
    return 0;
}

static int mismatches_and_passes_on(bfork_task *t)
{
    const char *text;
    return bfork_args(t, &text);
}

static int returns_too_much(bfork_task *t)
{
    static uint8_t bytes[2u << 20];         /* of the heap it would be a leak of the process that exits next */
    return bfork_return(t, bfork_bytes_of(bytes, sizeof(bytes)));
}

/* Submits fn among tasks that do well, and gives back its error. */
static const bfork_error *ends(bfork_future **f, bfork_task_fn *fn, const bfork_options *o, bool with_int, int argument)
{
    bfork_future *neighbours[10];
    for (int i = 0; i < 10; i++)
        neighbours[i] = bfork_submit(pool, add_one, i);
    *f = with_int ? bfork_submit_with(pool, o, fn, argument) : bfork_submit_with(pool, o, fn);
    for (int i = 0; i < 10; i++) {
        int y;
        ok(bfork_result(neighbours[i], &y));
        assert_int_equal(y, i + 1);
        bfork_future_free(&neighbours[i]);
    }
    int rc = bfork_result(*f);
    const bfork_error *e = bfork_future_error(*f);
    assert_non_null(e);
    assert_int_equal(rc, e->kind);
    assert_int_equal(bfork_last_error()->kind, rc);
    return e;
}

static void a_number_that_is_not_zero(void **state)
{
    bfork_future *f;
    (void)state;
    const bfork_error *e = ends(&f, fails_with_7, NULL, false, 0);
    assert_int_equal(e->kind, BFORK_FAILED);
    assert_int_equal(e->code, 7);
    assert_non_null(strstr(e->function, "fails_with_7"));
    bfork_future_free(&f);
}

static void an_error_that_is_raised(void **state)
{
    bfork_future *f;
    char text[1000];
    (void)state;
    const bfork_error *e = ends(&f, raises, NULL, false, 0);
    assert_int_equal(e->kind, BFORK_FAILED);
    assert_int_equal(e->code, 5);
    assert_string_equal(e->message, "no luck with 3");
    size_t size = bfork_error_text(e, text, sizeof(text));
    assert_int_equal(size, strlen(text));
    assert_non_null(strstr(text, "failed: no luck with 3, in raises"));
    assert_int_equal(bfork_error_text(e, text, 5), size);
    assert_int_equal(strlen(text), 4);
    bfork_future_free(&f);
}

static void a_status_is_passed_on(void **state)
{
    bfork_future *f;
    (void)state;
    const bfork_error *e = ends(&f, mismatches_and_passes_on, NULL, true, 1);
    assert_int_equal(e->kind, BFORK_MISMATCH);
    assert_non_null(strstr(e->message, "sent (int 1)"));
    bfork_future_free(&f);
}

static void a_result_that_is_too_big(void **state)
{
    bfork_future *f;
    (void)state;
    const bfork_error *e = ends(&f, returns_too_much, NULL, false, 0);
    assert_int_equal(e->kind, BFORK_FAILED);
    assert_int_equal(e->code, BFORK_ETOOBIG);
    assert_non_null(strstr(e->message, "the limit is"));
    bfork_future_free(&f);
}

static void a_crash(void **state)
{
    bfork_future *f;
    char text[8000];
    (void)state;
    const bfork_error *e = ends(&f, crashes, NULL, false, 0);
    assert_int_equal(e->kind, BFORK_CRASHED);
    assert_int_equal(e->signal, SIGSEGV);
    assert_true(e->pid > 0);
    bfork_error_text(e, text, sizeof(text));
    assert_non_null(strstr(text, "SIGSEGV"));
    assert_non_null(strstr(text, "crashes"));
    bfork_future_free(&f);
}

static void an_abort(void **state)
{
    bfork_future *f;
    (void)state;
    const bfork_error *e = ends(&f, aborts, NULL, false, 0);
    assert_int_equal(e->kind, BFORK_CRASHED);
    assert_int_equal(e->signal, SIGABRT);
    bfork_future_free(&f);
}

static void an_exit_even_with_0(void **state)
{
    bfork_future *f;
    (void)state;
    for (int code = 0; code < 2; code++) {
        const bfork_error *e = ends(&f, exits, NULL, true, code);
        assert_int_equal(e->kind, BFORK_EXITED);
        assert_int_equal(e->code, code);
        bfork_future_free(&f);
    }
}

static void too_long(void **state)
{
    bfork_future *f;
    (void)state;
    int y;
    bfork_future *warm = bfork_submit(pool, add_one, 1);
    ok(bfork_result(warm, &y));
    bfork_future_free(&warm);
    double from = seconds();
    const bfork_error *e = ends(&f, sleeps, BFORK_OPTIONS(.run_limit_ms = 300), false, 0);
    double took = seconds() - from;
    assert_int_equal(e->kind, BFORK_OVERTIME);
    assert_true(took >= 0.3);
#if !defined(BF_SANITIZED)
    assert_true(took < 0.5 + 0.3);              /* a loaded machine is given some more */
#endif
    bfork_future_free(&f);
}

/* The same function of the same pool, submitted one after the other: what one may take is not what the others may. */
static void each_task_has_its_own_limit(void **state)
{
    bfork_future *f[6];
    (void)state;
    for (int i = 0; i < 6; i++)
        f[i] = bfork_submit_with(pool, BFORK_OPTIONS(.run_limit_ms = i % 2 ? 100 : 0), sleeps_ms, 700);
    for (int i = 0; i < 6; i++) {
        int ms;
        assert_int_equal(bfork_result(f[i], &ms), i % 2 ? BFORK_OVERTIME : 0);
        bfork_future_free(&f[i]);
    }
}

static void a_crash_is_not_tried_again(void **state)
{
    const char *path = fresh("crashed_once");
    (void)state;
    bfork_future *f = bfork_submit_with(pool, BFORK_OPTIONS(.retries = 1), crashes_once, path);
    assert_int_equal(bfork_result(f), BFORK_CRASHED);
    bfork_future_free(&f);
}

static void a_failure_is_tried_again_as_often_as_asked(void **state)
{
    const char *path = fresh("failed_twice");
    int attempt;
    (void)state;
    bfork_future *f = bfork_submit_with(pool, BFORK_OPTIONS(.retries = 2), fails_twice, path);
    ok(bfork_result(f, &attempt));
    assert_int_equal(attempt, 3);
    bfork_future_free(&f);
    path = fresh("failed_twice_again");
    f = bfork_submit_with(pool, BFORK_OPTIONS(.retries = 1), fails_twice, path);
    assert_int_equal(bfork_result(f), BFORK_FAILED);
    assert_int_equal(bfork_last_error()->code, 9);
    bfork_future_free(&f);
}

static void never_again_means_never(void **state)
{
    const char *path = fresh("never");
    (void)state;
    bfork_future *f = bfork_submit_with(pool, BFORK_OPTIONS(.retries = BFORK_RETRY_NEVER), crashes_once, path);
    assert_int_equal(bfork_result(f), BFORK_CRASHED);
    bfork_future_free(&f);
    f = bfork_submit_with(pool, BFORK_OPTIONS(.retries = BFORK_RETRY_NEVER), add_one, 1);
    ok(bfork_result(f));
    bfork_future_free(&f);
}

static void many_tasks_that_run_at_most_once(void **state)
{
    enum { N = 3000 };
    static bfork_future *f[N];
    (void)state;
    for (int i = 0; i < N; i++)
        f[i] = bfork_submit_with(pool, BFORK_OPTIONS(.retries = BFORK_RETRY_NEVER), add_one, i);
    for (int i = 0; i < N; i++) {
        int y;
        ok(bfork_result(f[i], &y));
        assert_int_equal(y, i + 1);
        bfork_future_free(&f[i]);
    }
}

static void cancelling_what_waits_and_what_runs(void **state)
{
    bfork_pool *one = bfork_pool_new(NULL, 1, NULL);
    const char *path = fresh("running");
    (void)state;
    bfork_future *running = bfork_submit(one, touches, path), *queued = bfork_submit(one, sleeps),
                 *last = bfork_submit(one, add_one, 1);
    wait_for_file(path);
    assert_int_equal(bfork_future_cancel(running, 5), BFORK_ENOTSUP);
    ok(bfork_future_cancel(queued, 0));
    assert_int_equal(bfork_result(queued), BFORK_CANCELLED);
    assert_int_equal(bfork_future_state(running), BFORK_PENDING);
    ok(bfork_future_cancel(running, 0));
    assert_int_equal(bfork_result(running), BFORK_CANCELLED);
    ok(bfork_result(last));
    bfork_future_free(&running);
    bfork_future_free(&queued);
    bfork_future_free(&last);
    bfork_pool_free(&one);
}

/* What runs goes on and is well; what waits never runs; both are known when the call returns. */
static void r02_cancelling_only_what_waits(void **state)
{
    bfork_pool *one = bfork_pool_new(NULL, 1, NULL);
    const char *path = fresh("running");
    int in[100] = { 0 };
    int out[100];
    (void)state;
    bfork_future *running = bfork_submit(one, touches, path), *queued = bfork_submit(one, add_one, 1);
    wait_for_file(path);
    bfork_future *map = bfork_map_async(one, square, in, out, 100, NULL);
    assert_int_equal(bfork_future_cancel(running, BFORK_IF_QUEUED), BFORK_ESTATE);
    ok(bfork_future_cancel(queued, BFORK_IF_QUEUED));
    assert_int_equal(bfork_result(queued), BFORK_CANCELLED);
    ok(bfork_future_cancel(map, BFORK_IF_QUEUED));
    assert_int_equal(bfork_future_wait(map, BFORK_FOREVER), 0);
    assert_int_equal(bfork_future_error(map)->kind, BFORK_CANCELLED);
    assert_int_equal(bfork_future_state(running), BFORK_PENDING);
    ok(bfork_future_cancel(running, 0));        /* it never ends by itself */
    assert_int_equal(bfork_result(running), BFORK_CANCELLED);
    assert_int_equal(bfork_future_cancel(running, BFORK_IF_QUEUED), BFORK_ESTATE);
    bfork_future_free(&running);
    bfork_future_free(&queued);
    bfork_future_free(&map);
    bfork_pool_free(&one);
}

/* The same of all that a pool has, in one call: submits of two functions, a map. The pool stays open. */
static void r02_cancelling_only_what_waits_in_a_pool(void **state)
{
    bfork_pool *one = bfork_pool_new(NULL, 1, NULL);
    const char *path = fresh("running too");
    bfork_future *queued[200];
    int in[100] = { 0 };
    int out[100], y;
    (void)state;
    assert_int_equal(bfork_pool_cancel(one, BFORK_IF_QUEUED), 0);
    assert_int_equal(bfork_pool_cancel(NULL, 0), BFORK_EINVAL);
    assert_int_equal(bfork_pool_cancel(one, 5), BFORK_ENOTSUP);
    bfork_future *running = bfork_submit(one, touches, path);
    wait_for_file(path);
    for (int i = 0; i < 200; i++)
        queued[i] = i % 2 ? bfork_submit(one, add_one, i) : bfork_submit(one, fails_with_7);
    bfork_future *map = bfork_map_async(one, square, in, out, 100, NULL);
    int n = bfork_pool_cancel(one, BFORK_IF_QUEUED);
    assert_true(n >= 200 && n <= 300);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(bfork_future_wait(queued[i], BFORK_FOREVER), 0);
        assert_int_equal(bfork_future_error(queued[i])->kind, BFORK_CANCELLED);
        bfork_future_free(&queued[i]);
    }
    assert_int_equal(bfork_future_wait(map, BFORK_FOREVER), 0);
    assert_int_equal(bfork_future_error(map)->kind, BFORK_CANCELLED);
    assert_int_equal(bfork_pool_cancel(one, BFORK_IF_QUEUED), 0);
    assert_int_equal(bfork_future_state(running), BFORK_PENDING);
    assert_int_equal(bfork_pool_cancel(one, 0), 1);     /* it never ends by itself */
    assert_int_equal(bfork_result(running), BFORK_CANCELLED);
    bfork_future *after = bfork_submit(one, add_one, 1);
    ok(bfork_result(after, &y));
    bfork_future_free(&running);
    bfork_future_free(&after);
    bfork_future_free(&map);
    bfork_pool_free(&one);
}

static int grumbles(bfork_task *t)
{
    (void)t;
    fputs("grumble\n", stderr);
    return 0;
}

static int grumbles_and_crashes(bfork_task *t)
{
    fputs("its own words\n", stderr);
    fflush(stderr);
    return crashes(t);
}

/* What another task has printed before is not what this one died of. */
static void r21_the_end_of_stderr_is_that_of_the_task(void **state)
{
    bfork_pool *one = bfork_pool_new(NULL, 1, NULL);
    (void)state;
    ok(bfork_take(bfork_submit(one, grumbles)));
    assert_int_equal(bfork_take(bfork_submit(one, crashes)), BFORK_CRASHED);
    assert_string_equal(bfork_last_error()->output, "");
    ok(bfork_take(bfork_submit(one, grumbles)));
    assert_int_equal(bfork_take(bfork_submit(one, grumbles_and_crashes)), BFORK_CRASHED);
    assert_string_equal(bfork_last_error()->output, "its own words\n");
    bfork_pool_free(&one);
}

static void names_of_all_statuses(void **state)
{
    (void)state;
    for (int i = BFORK_MISMATCH; i <= BFORK_END; i++)
        assert_string_not_equal(bfork_status_name(i), "unknown status");
    assert_string_equal(bfork_status_name(-1000), "unknown status");
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_that_is_not_zero), cmocka_unit_test(an_error_that_is_raised),
        cmocka_unit_test(a_status_is_passed_on), cmocka_unit_test(a_result_that_is_too_big), cmocka_unit_test(a_crash),
        cmocka_unit_test(an_abort), cmocka_unit_test(an_exit_even_with_0), cmocka_unit_test(too_long),
        cmocka_unit_test(each_task_has_its_own_limit),
        cmocka_unit_test(a_crash_is_not_tried_again), cmocka_unit_test(a_failure_is_tried_again_as_often_as_asked),
        cmocka_unit_test(never_again_means_never), cmocka_unit_test(many_tasks_that_run_at_most_once),
        cmocka_unit_test(cancelling_what_waits_and_what_runs), cmocka_unit_test(r02_cancelling_only_what_waits),
        cmocka_unit_test(r02_cancelling_only_what_waits_in_a_pool), cmocka_unit_test(r21_the_end_of_stderr_is_that_of_the_task),
        cmocka_unit_test(names_of_all_statuses),
    };
    return cmocka_run_group_tests(tests, open_pool, free_pool);
}
