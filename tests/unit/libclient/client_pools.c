/* SPDX-License-Identifier: MPL-2.0
 * client_pools.c - the life of pools and sessions on this machine: options, preload, initializer and finalizer, recycling, closing
 * in every order, and that nothing is left: no process, no descriptor.
 */
#include "tasks.h"

#include <fcntl.h>
#include <stdio.h>

static int remembered;

static int preloads(bfork_task *t)
{
    return bfork_args(t, &remembered);
}

static int reads_remembered(bfork_task *t)
{
    return bfork_return(t, remembered);
}

static int adds_to_remembered(bfork_task *t)
{
    int x;
    if (bfork_args(t, &x) != 0)
        return -1;
    remembered += x;
    return 0;
}

static int hook_fails(bfork_task *t)
{
    return bfork_raise(t, 4, "the hook says no");
}

static int hook_crashes(bfork_task *t)
{
    (void)t;
    abort();
}

static void wrong_pools(void **state)
{
    static const bfork_pool_options flags = { .flags = 1 }, reserved = { .reserved = { 1 } }, nargs = { .nargs = 2 };
    const char *const env[] = { "NO_VALUE", NULL };
    const bfork_pool_options bad_env = { .env = env };
    const struct { int processes; const bfork_pool_options *o; } wrong[] = { { 0, NULL }, { 1, &flags }, { 1, &reserved },
                                                                            { 1, &nargs }, { 1, &bad_env } };
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        int one = 1, out;
        bfork_pool *p = bfork_pool_new(NULL, wrong[i].processes, wrong[i].o);
        assert_non_null(p);
        assert_int_equal(bfork_pool_error(p)->kind, BFORK_EINVAL);
        bfork_future *f = bfork_submit(p, add_one, 1);
        assert_int_equal(bfork_result(f), BFORK_EINVAL);
        bfork_future_free(&f);
        assert_int_equal(bfork_map(p, square, &one, &out, 1), BFORK_EINVAL);
        assert_int_equal(bfork_pool_size(p), BFORK_EINVAL);
        bfork_pool_free(&p);
        assert_null(p);
        bfork_pool_free(&p);
    }
}

static void wrong_sessions(void **state)
{
    const bfork_session_options flags = { .flags = 3 }, reserved = { .reserved = { 1 } };
    (void)state;
    for (int i = 0; i < 3; i++) {
        bfork_session *s =
            i == 2 ? bfork_session_new("/no/such/profile", NULL) : bfork_session_new("local:", i ? &flags : &reserved);
        const bfork_error *e = bfork_session_error(s);
        assert_non_null(e);
        assert_true(e->kind == (i == 2 ? e->kind : BFORK_EINVAL));
        bfork_pool *p = bfork_pool_new(s, 1, NULL);
        assert_int_equal(bfork_pool_error(p)->kind, e->kind);
        bfork_future *f = bfork_submit(p, add_one, 1);
        assert_int_equal(bfork_result(f), e->kind);
        bfork_future_free(&f);
        bfork_pool_free(&p);
        bfork_session_free(&s);
    }
}

static void how_many_processes(void **state)
{
    (void)state;
    int cores = bfork_cpu_count();
    assert_true(cores >= 1);
    const int asked[] = { 3, BFORK_ALL, -2, -100 }, given[] = { 3, cores, cores > 1 ? cores - 1 : 1, 1 };
    for (int i = 0; i < 4; i++) {
        bfork_pool *p = bfork_pool_new(NULL, asked[i], NULL);
        ok(bfork_pool_wait(p, 1, 10000));
        assert_int_equal(bfork_pool_size(p), given[i]);
        bfork_pool_free(&p);
    }
    bfork_pool *p = bfork_pool_new(NULL, 2, NULL);
    assert_int_equal(bfork_pool_wait(p, 3, 20), BFORK_ETIMEDOUT);
    ok(bfork_pool_wait(p, 2, 10000));
    bfork_pool_close(p);
    assert_int_equal(bfork_pool_wait(p, 2, 10000), BFORK_ECLOSED);
    bfork_pool_free(&p);
}

static void preload_and_initializer(void **state)
{
    int x;
    (void)state;
    bfork_pool *p = bfork_pool_new(NULL, 1, &(bfork_pool_options){ .preload = preloads, .initializer = adds_to_remembered,
                                                                   BFORK_ARGS(20) });
    bfork_future *f = bfork_submit(p, reads_remembered);
    ok(bfork_result(f, &x));
    assert_int_equal(x, 40);
    bfork_future_free(&f);
    bfork_pool_free(&p);
}

static int finalizes(bfork_task *t)
{
    const char *path;
    char text[64];
    if (bfork_args(t, &path) != 0)
        return -1;
    int fd = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600), n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    int rc = fd >= 0 && write(fd, text, (size_t)n) == n ? 0 : 1;
    close(fd);
    return rc;
}

/* Lines of the file that are this number; all: how many there are. */
static int lines_with(const char *path, int number, int *all)
{
    FILE *file = fopen(path, "re");
    int n = 0, read;
    *all = 0;
    while (file && fscanf(file, "%d", &read) == 1) {
        n += read == number;
        ++*all;
    }
    if (file)
        fclose(file);
    return n;
}

static void the_finalizer_runs_once_in_each_process(void **state)
{
    enum { PROCESSES = 3 };
    (void)state;
    for (int round = 0; round < 6; round++) {
        const char *path = fresh("finalized");
        int pids[PROCESSES], all, n = 1 + round % PROCESSES;
        bfork_future *f[PROCESSES];
        bfork_session *s = local();
        bfork_pool *p = bfork_pool_new(s, n, &(bfork_pool_options){ .finalizer = finalizes, BFORK_ARGS(path) });
        if (round >= 3)
            bfork_session_free(&s);             /* the pool's end is the session's, or not */
        for (int i = 0; i < n; i++)
            f[i] = bfork_submit(p, own_pid);
        for (int i = 0; i < n; i++) {
            ok(bfork_result(f[i], &pids[i]));
            bfork_future_free(&f[i]);
        }
        bfork_pool_free(&p);
        for (int i = 0; i < n; i++)
            assert_int_equal(lines_with(path, pids[i], &all), 1);
        assert_in_range(all, 1, n);
        bfork_session_free(&s);
    }
    assert_int_equal(children(), 0);
}

static void failing_hooks_fail_the_pool_with_their_words(void **state)
{
    const bfork_pool_options options[] = { { .preload = hook_fails }, { .preload = hook_crashes }, { .initializer = hook_fails },
                                           { .initializer = hook_crashes } };
    (void)state;
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        int in[5] = { 0 }, out[5];
        char text[4000];
        bfork_pool *p = bfork_pool_new(NULL, 2, &options[i]);
        bfork_future *f = bfork_submit(p, add_one, 1);
        assert_true(bfork_result(f) < 0);
        bfork_error_text(NULL, text, sizeof(text));
        if (i % 2 == 0)
            assert_non_null(strstr(text, "the hook says no"));
        assert_non_null(strstr(text, i < 2 ? "preload" : i == 2 ? "initializer" : "before their first task"));
        bfork_future_free(&f);
        assert_true(bfork_map(p, square, in, out, 5) < 0);      /* no hang */
        bfork_pool_free(&p);
    }
}

static void fresh_processes_after_max_tasks(void **state)
{
    int pids[6];
    (void)state;
    bfork_pool *p = bfork_pool_new(NULL, 1, &(bfork_pool_options){ .max_tasks = 2 });
    for (int i = 0; i < 6; i++) {
        bfork_future *f = bfork_submit(p, own_pid);
        ok(bfork_result(f, &pids[i]));
        bfork_future_free(&f);
    }
    assert_int_equal(pids[0], pids[1]);
    assert_int_equal(pids[2], pids[3]);
    assert_int_not_equal(pids[1], pids[2]);
    assert_int_not_equal(pids[3], pids[4]);
    bfork_pool_free(&p);
}

static void close_lets_work_end(void **state)
{
    int y;
    bfork_pool *p = bfork_pool_new(NULL, 1, NULL);
    (void)state;
    assert_int_equal(bfork_pool_join(p, 0), BFORK_ESTATE);
    bfork_future *f = bfork_submit(p, sleeps_ms, 20);
    bfork_pool_close(p);
    bfork_pool_close(p);
    bfork_future *late = bfork_submit(p, add_one, 1);
    assert_int_equal(bfork_result(late), BFORK_ECLOSED);
    bfork_future_free(&late);
    ok(bfork_pool_join(p, BFORK_FOREVER));
    assert_int_equal(bfork_future_state(f), BFORK_DONE);
    ok(bfork_result(f, &y));
    bfork_future_free(&f);
    bfork_pool_free(&p);
}

static void terminate_gives_every_future_its_outcome(void **state)
{
    bfork_pool *p = bfork_pool_new(NULL, 2, NULL);
    bfork_future *f[100];
    const char *path = fresh("terminated");
    (void)state;
    f[0] = bfork_submit(p, touches, path);
    for (int i = 1; i < 100; i++)
        f[i] = bfork_submit(p, sleeps);
    wait_for_file(path);
    bfork_pool_terminate(p);
    bfork_pool_terminate(p);
    ok(bfork_pool_join(p, BFORK_FOREVER));
    for (int i = 0; i < 100; i++) {
        assert_int_equal(bfork_result(f[i]), BFORK_CANCELLED);
        bfork_future_free(&f[i]);
    }
    bfork_pool_free(&p);
}

static void free_ends_what_takes_too_long(void **state)
{
    bfork_pool *p = bfork_pool_new(NULL, 1, &(bfork_pool_options){ .close_limit_ms = 20 });
    (void)state;
    bfork_future *f = bfork_submit(p, sleeps);
    bfork_pool_free(&p);
    assert_int_equal(bfork_result(f), BFORK_CANCELLED);
    bfork_future_free(&f);
}

static void handles_are_freed_in_any_order(void **state)
{
    (void)state;
    for (int order = 0; order < 6; order++) {
        static const char orders[6][4] = { "spf", "sfp", "psf", "pfs", "fsp", "fps" };
        bfork_session *s = local();
        bfork_pool *p = bfork_pool_new(s, 1, NULL);
        assert_ptr_equal(bfork_pool_session(p), s);
        bfork_future *f = bfork_submit(p, add_one, 1);
        for (int i = 0; i < 3; i++) {
            if (orders[order][i] == 's')
                bfork_session_free(&s);
            if (orders[order][i] == 'p')
                bfork_pool_free(&p);
            if (orders[order][i] == 'f') {
                ok(bfork_result(f));
                bfork_future_free(&f);
            }
        }
        assert_null(s);
        assert_null(p);
        assert_null(f);
    }
}

static void nothing_is_left_behind(void **state)
{
    (void)state;
    bfork_pool *warm = bfork_pool_new(NULL, 1, NULL);
    bfork_pool_free(&warm);
    int before = descriptors();
    for (int i = 0; i < 5; i++) {
        bfork_session *s = local();
        bfork_pool *pools[6];
        bfork_stream *stream = bfork_stream_new();
        for (int k = 0; k < 6; k++) {
            pools[k] = bfork_pool_new(s, 1 + k % 2, NULL);
            bfork_stream_add(stream, bfork_submit(pools[k], k % 2 ? add_one : crashes, 1), NULL);
        }
        for (bfork_future *f; bfork_stream_next(stream, BFORK_FOREVER, &f) == 0;)
            bfork_future_free(&f);
        for (int k = 0; k < 6; k++)
            bfork_pool_free(&pools[k]);
        bfork_stream_free(&stream);
        bfork_session_free(&s);
    }
    assert_int_equal(descriptors(), before);
    assert_int_equal(children(), 0);
}

static void many_sessions(void **state)
{
    enum { N = 70 };                            /* more than the interrupt's table holds */
    bfork_session *s[N];
    bfork_pool *p[N];
    (void)state;
    for (int i = 0; i < N; i++) {
        s[i] = local();
        p[i] = bfork_pool_new(s[i], 1, NULL);
    }
    for (int i = 0; i < N; i += 23) {
        bfork_future *f = bfork_submit(p[i], add_one, i);
        int y;
        ok(bfork_result(f, &y));
        assert_int_equal(y, i + 1);
        bfork_future_free(&f);
    }
    for (int i = 0; i < N; i++) {
        bfork_session_free(&s[i]);
        bfork_pool_free(&p[i]);
    }
    assert_int_equal(children(), 0);
}

static void the_default_session_is_shared(void **state)
{
    (void)state;
    bfork_pool *a = bfork_pool_new(NULL, 1, NULL), *b = bfork_pool_new(NULL, 1, NULL);
    assert_ptr_equal(bfork_pool_session(a), bfork_pool_session(b));
    bfork_pool_free(&a);
    bfork_pool_free(&b);
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_pools), cmocka_unit_test(wrong_sessions), cmocka_unit_test(how_many_processes),
        cmocka_unit_test(preload_and_initializer), cmocka_unit_test(the_finalizer_runs_once_in_each_process),
        cmocka_unit_test(failing_hooks_fail_the_pool_with_their_words),
        cmocka_unit_test(fresh_processes_after_max_tasks), cmocka_unit_test(close_lets_work_end),
        cmocka_unit_test(terminate_gives_every_future_its_outcome), cmocka_unit_test(free_ends_what_takes_too_long),
        cmocka_unit_test(handles_are_freed_in_any_order), cmocka_unit_test(nothing_is_left_behind),
        cmocka_unit_test(many_sessions), cmocka_unit_test(the_default_session_is_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
