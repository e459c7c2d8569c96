/* SPDX-License-Identifier: MPL-2.0
 * client_interrupts.c - SIGINT and bfork_session_interrupt: what waits ends, what comes later works. A wait is known to be in
 * progress when its progress function is called.
 */
#include "tasks.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define THREADS 5

static void raises_sigint(void *times, const bfork_progress *p)
{
    int *left = times;
    (void)p;
    while ((*left)-- > 0)
        raise(SIGINT);
}

static void interrupts_session(void *s, const bfork_progress *p)
{
    (void)p;
    bfork_session_interrupt(s);
}

static int interrupted_map(bfork_pool *p, int sigints)
{
    int in[2] = { 1, 2 }, out[2];
    bfork_options o = { .progress = raises_sigint, .progress_data = &sigints };
    return bfork_map_with(p, waits_forever, in, out, 2, &o);
}

static void works(bfork_pool *p)
{
    int in[3] = { 1, 2, 3 }, out[3], y;
    ok(bfork_map(p, square, in, out, 3));
    assert_int_equal(out[2], 9);
    bfork_future *f = bfork_submit(p, add_one, 5);
    ok(bfork_future_wait(f, BFORK_FOREVER));
    ok(bfork_result(f, &y));
    assert_int_equal(y, 6);
    bfork_future_free(&f);
}

static void r03_after_a_sigint_the_program_goes_on(void **state)
{
    bfork_session *s = local();
    bfork_pool *p = bfork_pool_new(s, 2, NULL);
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(interrupted_map(p, 1), BFORK_EINTR);
        assert_int_equal(bfork_last_error()->kind, BFORK_EINTR);
        bfork_pool *other = bfork_pool_new(s, 1, NULL), *fresh_one = bfork_pool_new(NULL, 1, NULL);
        works(other);
        works(fresh_one);                       /* in a session of its own */
        bfork_pool_free(&other);
        bfork_pool_free(&fresh_one);
    }
    bfork_pool_terminate(p);
    bfork_pool_free(&p);
    bfork_session_free(&s);
}

static int half(const int *in, int *out, bfork_task *t)
{
    (void)t;
    *out = *in / 2;
    return 0;
}

static void r03_serial_maps_are_interrupted_and_later_ones_work(void **state)
{
    bfork_session *s = bfork_session_new("serial:", NULL);
    bfork_pool *p = bfork_pool_new(s, 1, NULL);
    int in[] = { 2, 4, 6 }, out[] = { -1, -1, -1 }, once = 1;
    int32_t status[3];
    bfork_options o = { .progress = raises_sigint, .progress_data = &once, .status = status };
    (void)state;
    assert_int_equal(bfork_map_with(p, half, in, out, 3, &o), BFORK_EINTR);
    const int expected[] = { 1, -1, -1 };
    const int32_t kinds[] = { 0, BFORK_CANCELLED, BFORK_CANCELLED };
    assert_memory_equal(out, expected, sizeof(out));
    assert_memory_equal(status, kinds, sizeof(status));
    works(p);
    bfork_pool_free(&p);
    bfork_session_free(&s);
}

struct crowd { bfork_pool *pool; _Atomic int *waiting; };

static void counts_waiting(void *arg, const bfork_progress *p)
{
    _Atomic int **waiting = arg;
    (void)p;
    if (*waiting)
        atomic_fetch_add(*waiting, 1);
    *waiting = NULL;
}

static void *waits_in_a_crowd(void *arg)
{
    struct crowd *c = arg;
    int in[1] = { 1 }, out[1];
    _Atomic int *waiting = c->waiting;
    bfork_options o = { .progress = counts_waiting, .progress_data = &waiting };
    return (void *)(uintptr_t)(bfork_map_with(c->pool, waits_forever, in, out, 1, &o) != BFORK_EINTR);
}

/* Several threads in two sessions, and those who only wait for the thread that drives. */
static void all_waits_end(int sigint)
{
    _Atomic int waiting = 0;
    bfork_session *s[2] = { local(), local() };
    bfork_pool *p[2] = { bfork_pool_new(s[0], 2, NULL), bfork_pool_new(s[1], 2, NULL) };
    struct crowd crowd[2] = { { p[0], &waiting }, { p[1], &waiting } };
    pthread_t threads[2 * THREADS];
    for (int i = 0; i < 2 * THREADS; i++)
        ok(pthread_create(&threads[i], NULL, waits_in_a_crowd, &crowd[i % 2]));
    while (atomic_load(&waiting) < 2 * THREADS)
        sched_yield();
    if (sigint) {
        ok(kill(getpid(), SIGINT));
    } else {
        bfork_session_interrupt(s[0]);
        bfork_session_interrupt(s[1]);
    }
    for (int i = 0; i < 2 * THREADS; i++) {
        void *failed;
        ok(pthread_join(threads[i], &failed));
        assert_null(failed);
    }
    for (int i = 0; i < 2; i++) {
        works(p[i]);
        bfork_pool_free(&p[i]);
        bfork_session_free(&s[i]);
    }
}

static void r03_one_sigint_ends_all_waits_of_all_sessions(void **state)
{
    (void)state;
    all_waits_end(1);
}

static void r03_an_interrupt_of_a_session_ends_its_waits(void **state)
{
    (void)state;
    all_waits_end(0);
}

static void r03_an_interrupt_while_nobody_waits_ends_nothing(void **state)
{
    bfork_session *s = local();
    bfork_pool *p = bfork_pool_new(s, 1, NULL);
    int in[1] = { 1 }, out[1];
    (void)state;
    bfork_session_interrupt(s);
    works(p);
    const bfork_options o = { .progress = interrupts_session, .progress_data = s };
    assert_int_equal(bfork_map_with(p, waits_forever, in, out, 1, &o), BFORK_EINTR);
    works(p);
    bfork_pool_free(&p);
    bfork_session_free(&s);
}

/* In a child without a core: how it ended. */
static int ending_of(void (*program)(void))
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
        program();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void two_sigints_in_one_wait(void)
{
    int rc = interrupted_map(bfork_pool_new(NULL, 1, NULL), 2);
    _exit(rc == BFORK_EINTR ? 1 : 2);
}

static void a_sigint_while_nobody_waits(void)
{
    bfork_pool *p = bfork_pool_new(NULL, 1, NULL);
    works(p);
    raise(SIGINT);
    _exit(1);
}

static void freeing_after_an_interrupt(void)
{
    const char *path = fresh("interrupted_free");
    bfork_pool *p = bfork_pool_new(NULL, 1, NULL);
    bfork_future *f = bfork_submit(p, touches, path);
    wait_for_file(path);
    if (interrupted_map(p, 1) != BFORK_EINTR)
        _exit(1);
    if (bfork_future_wait(f, 0) != BFORK_ETIMEDOUT)     /* what it did not wait for goes on */
        _exit(2);
    bfork_pool_terminate(p);
    bfork_pool_free(&p);
    bfork_future_free(&f);
    _exit(children() == 0 ? 0 : 3);
}

static void r03_a_sigint_that_ends_no_wait_ends_the_program(void **state)
{
    (void)state;
    int twice = ending_of(two_sigints_in_one_wait), idle = ending_of(a_sigint_while_nobody_waits);
    assert_true(WIFSIGNALED(twice) && WTERMSIG(twice) == SIGINT);
    assert_true(WIFSIGNALED(idle) && WTERMSIG(idle) == SIGINT);
    ok(ending_of(freeing_after_an_interrupt));
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r03_after_a_sigint_the_program_goes_on),
        cmocka_unit_test(r03_serial_maps_are_interrupted_and_later_ones_work),
        cmocka_unit_test(r03_one_sigint_ends_all_waits_of_all_sessions),
        cmocka_unit_test(r03_an_interrupt_of_a_session_ends_its_waits),
        cmocka_unit_test(r03_an_interrupt_while_nobody_waits_ends_nothing),
        cmocka_unit_test(r03_a_sigint_that_ends_no_wait_ends_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
