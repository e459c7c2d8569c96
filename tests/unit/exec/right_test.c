/* SPDX-License-Identifier: MPL-2.0
 * right_test.c - an owner has its tasks for a time, and is itself stopped: its processes begin none after that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "owner.h"

#include <poll.h>
#include <unistd.h>

#define TASKS 10
#define TASK_MS 20

static char self[4096];

enum kind { SINGLY, AT_ONCE, MAP, KINDS };

static struct exec_proc *start(struct owner *o, enum kind kind, uint32_t n)
{
    static const int32_t elements[2 * TASKS] = { [0 ... 2 * TASKS - 1] = TASK_MS };
    const struct wire_item map = { .count = n, .flags = WIRE_FIXED, .size = 4,
                                   .body = slice_borrow((const uint8_t *)elements, 4 * (size_t)n) };
    struct exec_proc *p = owner_proc(o);
    uint8_t args[16];
    uint32_t size = pack_int(args, TASK_MS);

    owner_job(p, 1, kind == MAP ? (void (*)(void))map_sleep_ms : (void (*)(void))task_sleep_ms, kind == MAP ? 4 : 0, 4);
    if (kind == MAP)
        assert_int_equal(exec_push(p, 1, &map, n, false), n);
    else
        owner_push(p, 1, args, size, n, kind == SINGLY ? 1 : n);
    return p;
}

static uint32_t finish(struct owner *o, struct exec_proc *p, uint32_t n)
{
    struct wire_item item;
    uint32_t done = 0;

    while (done < n && owner_pull(o, p, &item))
        done += item.count;
    return done;
}

static uint32_t take(struct exec_proc *p)
{
    struct wire_item item;
    uint32_t done = 0;

    while (exec_pull(p, &item))
        done += item.count;
    return done;
}

/* Until another owner's process has done twice as much as these have, nobody steps theirs. */
static void r20_processes_of_a_stopped_owner_begin_nothing_past_its_time(void **state)
{
    struct owner stopped, other;
    struct exec_proc *p[KINDS];
    uint32_t done[KINDS];
    (void)state;

    owner_open(&stopped, &(struct pool){ .program = self });
    owner_open(&other, &(struct pool){ .program = self });
    exec_valid_until(stopped.x, clock_now() + 20 * CLOCK_SEC);
    for (enum kind k = 0; k < KINDS; k++)
        p[k] = start(&stopped, k, TASKS);
    exec_valid_until(stopped.x, clock_now() + TASK_MS * CLOCK_MS);
    assert_int_equal(finish(&other, start(&other, SINGLY, 2 * TASKS), 2 * TASKS), 2 * TASKS);
    for (uint64_t k = 1; k <= 10; k++) {            /* each a look later: what waits is no breach */
        struct pollfd f = { exec_fd(stopped.x), POLLIN, 0 };

        poll(&f, 1, 20);
        exec_step(stopped.x, clock_now() + k * CLOCK_SEC);
        assert_int_equal(stopped.died, 0);
    }
    for (enum kind k = 0; k < KINDS; k++) {
        done[k] = take(p[k]);
        if (done[k] == TASKS)
            fail_msg("way %d: all %d tasks ran", (int)k, TASKS);
    }
    assert_int_equal(exec_retract(p[AT_ONCE], TASKS) + exec_retract(p[MAP], TASKS), 0);
    assert_true(exec_retract(p[SINGLY], 1) == 1);   /* what is not claimed can be taken back */
    exec_valid_until(stopped.x, CLOCK_NEVER);
    assert_int_equal(finish(&stopped, p[SINGLY], TASKS - 1 - done[SINGLY]), TASKS - 1 - done[SINGLY]);
    assert_int_equal(finish(&stopped, p[AT_ONCE], TASKS - done[AT_ONCE]), TASKS - done[AT_ONCE]);
    assert_int_equal(finish(&stopped, p[MAP], TASKS - done[MAP]), TASKS - done[MAP]);
    owner_close(&other);
    owner_close(&stopped);
}

/* A process is told to end while it may begin nothing: it does when what it held was taken back. */
static void r20_a_process_that_waits_for_its_owners_right_can_be_stopped(void **state)
{
    struct owner o;
    struct exec_proc *p;
    (void)state;

    owner_open(&o, &(struct pool){ .program = self });
    p = owner_proc(&o);
    exec_valid_until(o.x, 0);
    owner_job(p, 1, (void (*)(void))task_nothing, 0, 0);
    owner_push(p, 1, "\x90", 1, 3, 1);
    assert_int_equal(exec_retract(p, 3), 3);
    exec_proc_stop(p);
    owner_until(&o, &o.died, 1);
    assert_int_equal(o.death.kind, 0);
    owner_close(&o);
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[n > 0 ? n : 0] = '\0';
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r20_processes_of_a_stopped_owner_begin_nothing_past_its_time),
        cmocka_unit_test(r20_a_process_that_waits_for_its_owners_right_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
