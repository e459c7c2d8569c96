/* SPDX-License-Identifier: MPL-2.0
 * crowd_test.c - very many task processes at a time: asked for at once, killed at once, and more than there are descriptors for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "owner.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define CROWD 2000

static char self[4096];
static struct exec_proc *procs[CROWD];

/* So many descriptors, two for each process; the hard limit must allow it. */
static void allow_descriptors(rlim_t n)
{
    struct rlimit r;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &r), 0);
    if (r.rlim_max < n)
        fail_msg("this test needs a hard limit of %lu open files (ulimit -Hn)", (unsigned long)n);
    r.rlim_cur = n;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &r), 0);
}

/* All are asked for before the template can have forked the first: neither side may wait for the other. */
static void r22_two_thousand_processes_asked_for_at_once(void **state)
{
    struct owner o;
    struct err e = { 0 };
    (void)state;

    allow_descriptors(2 * CROWD + 500);
    alarm(120);                         /* a deadlock inside exec_step is not seen by the owner's own time limit */
    owner_open(&o, &(struct pool){ .program = self });
    owner_until(&o, &o.ready, 1);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(exec_proc_start(o.t, &o, &procs[i], &e), 0);
    owner_until(&o, &o.procs_ready, CROWD);
    assert_int_equal(o.died, 0);
    for (int i = 0; i < CROWD; i++)
        exec_proc_kill(procs[i], BFORK_CANCELLED);
    owner_until(&o, &o.died, CROWD);
    assert_int_equal(o.failed, 0);
    owner_close(&o);
    alarm(0);
}

/* A process for which there are no descriptors says so, and those that run go on. */
static void r22_without_descriptors_a_start_fails_for_now(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct wire_item item;
    struct err e = { 0 };
    struct rlimit old;
    uint8_t args[16];
    uint32_t n = pack_int(args, 7);
    (void)state;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    owner_open(&o, &(struct pool){ .program = self });
    p = owner_proc(&o);
    allow_descriptors(64);
    for (int i = 0; i < 100; i++)
        assert_int_equal(exec_proc_start(o.t, &o, &procs[i], &e), 0);
    owner_until(&o, &o.settled, 101);   /* each is ready or dead */
    assert_true(o.died > 0 && o.procs_ready > 10);
    assert_int_equal(o.death.kind, BFORK_EAGAIN);
    assert_non_null(strstr(o.message, "Too many open files"));
    assert_int_equal(o.failed, 0);
    owner_job(p, 1, (void (*)(void))task_square, 0, 0);
    owner_push(p, 1, args, n, 1, 1);
    assert_true(owner_pull(&o, p, &item));
    assert_int_equal(owner_int(&item), 49);
    owner_close(&o);
    setrlimit(RLIMIT_NOFILE, &old);
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[n > 0 ? n : 0] = '\0';
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r22_two_thousand_processes_asked_for_at_once),
        cmocka_unit_test(r22_without_descriptors_a_start_fails_for_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
