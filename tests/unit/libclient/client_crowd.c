/* SPDX-License-Identifier: MPL-2.0
 * client_crowd.c - pools of thousands of processes of this machine: as many are started as there are tasks, and as there is room
 * for.
 */
#include "tasks.h"

#include <sys/resource.h>
#include <unistd.h>

static int who(const int *in, int *out, bfork_task *t)
{
    (void)t;
    usleep((useconds_t)*in * 1000);
    *out = (int)getpid();
    return 0;
}

static size_t distinct(const int *pids, size_t n)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < i && pids[k] != pids[i])
            k++;
        found += k == i;
    }
    return found;
}

static void r22_five_elements_on_two_thousand_processes(void **state)
{
    bfork_pool *pool = bfork_pool_new(NULL, 2000, NULL);
    const int in[5] = { 1, 2, 3, 4, 5 };
    int out[5] = { 0 };
    (void)state;

    alarm(60);                          /* a deadlock of two processes */
    ok(bfork_map(pool, who, in, out, 5));
    assert_in_range(distinct(out, 5), 1, 5);
    bfork_pool_free(&pool);
    alarm(0);
}

/* Two descriptors for each process: with less room fewer run, and everything is done. */
static void r22_fewer_processes_where_descriptors_are_few(void **state)
{
    enum { N = 400 };
    static int in[N], out[N];
    struct rlimit old, few;
    bfork_pool *pool;
    (void)state;

    for (int i = 0; i < N; i++)
        in[i] = 5;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = old;
    few.rlim_cur = 128;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    alarm(60);
    pool = bfork_pool_new(NULL, N, NULL);
    ok(bfork_map(pool, who, in, out, N));
    assert_in_range(distinct(out, N), 2, 64);
    bfork_pool_free(&pool);
    alarm(0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r22_five_elements_on_two_thousand_processes),
        cmocka_unit_test(r22_fewer_processes_where_descriptors_are_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
