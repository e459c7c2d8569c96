/* SPDX-License-Identifier: MPL-2.0
 * words_test.c - a task writes over each control word of its ring, with each of many patterns. What it held either goes on or fails
 * with a kind, within a second; the owner never waits for ever, and other processes of the template do not notice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "exec/ring.h"
#include "owner.h"
#include "wire/value.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TASKS 12
#define PATTERNS 8
#ifdef BF_SANITIZED
#define IN_TIME (3 * CLOCK_SEC)         /* a second, for a machine that does other things besides */
#else
#define IN_TIME CLOCK_SEC
#endif

static char self[4096];

#define WORD(w) { #w, offsetof(struct ring_control, w), sizeof(((struct ring_control *)0)->w) }
static const struct { const char *name; size_t offset, size; } words[] = {
    WORD(word), WORD(until), WORD(job_head), WORD(result_tail), WORD(want), WORD(low), WORD(stop), WORD(job_tail),
    WORD(result_head), WORD(sleeping), WORD(state), WORD(current), WORD(block_ns), WORD(block_first), WORD(init_code),
    { "next", offsetof(struct ring_control, word), 4 }, { "limit", offsetof(struct ring_control, word) + 4, 4 },
};

static void push(struct exec_proc *p, uint32_t number, size_t word, int pattern, uint32_t claim)
{
    const bfork_arg a[4] = { bfork_arg_int((int)number), bfork_arg_int((int)words[word].offset),
                             bfork_arg_int((int)words[word].size), bfork_arg_int(pattern) };
    uint8_t args[64];
    struct err e = { 0 };
    size_t n = value_size(a, 4, &e);

    assert_in_range(n, 1, sizeof(args));
    value_pack(a, 4, args);
    owner_push(p, 1, args, (uint32_t)n, 1, claim);
}

static uint32_t take(struct exec_proc *p, uint32_t done)
{
    struct wire_item item;

    while (exec_pull(p, &item)) {
        size_t at = 0;

        for (uint32_t i = 0; i < item.count && item.kind == WIRE_OK; i++, at += wire_len_at(&item, i)) {
            struct wire_item one = { .body = slice_borrow(item.body.data + at, wire_len_at(&item, i)) };

            assert_int_equal(owner_int(&one), (int)(done + i));
        }
        done += item.count;
    }
    return done;
}

/* The process has tasks; this ends when all are done or it has died. */
static void run(struct owner *o, struct exec_proc *p, size_t word, int pattern, uint32_t claim, uint64_t limit_ms)
{
    uint64_t begin;
    uint32_t done = 0;
    int died = o->died;

    owner_job(p, 1, (void (*)(void))task_scribble_at, 0, 0);
    exec_proc_limit(p, limit_ms);
    begin = clock_now();
    for (uint32_t k = 0; k < TASKS; k++)
        push(p, k, word, pattern, claim);
    while (o->died == died && (done = take(p, done)) < TASKS) {
        uint64_t now = clock_now(), deadline = exec_deadline(o->x), until = begin + IN_TIME;
        struct pollfd f = { exec_fd(o->x), POLLIN, 0 };

        if (now >= until)
            fail_msg("%s, pattern %d, claim %u: %u of %d tasks are done and nothing happens", words[word].name, pattern, claim,
                     done, TASKS);
        if (!exec_arm(o->x, EXEC_NEXT))
            poll(&f, 1, clock_poll_ms(now, deadline < until ? deadline : until));
        exec_step(o->x, clock_now());
    }
    if (o->died == died) {
        exec_proc_kill(p, BFORK_CANCELLED);
        owner_until(o, &o->died, died + 1);
        return;
    }
    if (o->death.kind != BFORK_CRASHED && o->death.kind != BFORK_EXITED && (!limit_ms || o->death.kind != BFORK_OVERTIME))
        fail_msg("%s, pattern %d: kind %d, %s", words[word].name, pattern, o->death.kind, o->message);
    assert_true(strlen(o->message) > 10);
}

static void r10_words_written_over_end_in_a_typed_failure(void **state)
{
    struct owner o;
    struct exec_proc *neighbour;
    struct wire_item item;
    uint8_t args[16];
    uint32_t n = pack_int(args, 5);
    int deaths = 0;
    (void)state;

    owner_open(&o, &(struct pool){ .program = self });
    neighbour = owner_proc(&o);
    owner_job(neighbour, 1, (void (*)(void))task_square, 0, 0);
    for (size_t word = 0; word < sizeof(words) / sizeof(words[0]); word++)
        for (int pattern = 0; pattern < PATTERNS; pattern++) {
            run(&o, owner_proc(&o), word, pattern, pattern % 2 ? 1 : TASKS, 0);
            deaths += o.death.kind != BFORK_CANCELLED;
            owner_push(neighbour, 1, args, n, 1, 1);
            assert_true(owner_pull(&o, neighbour, &item));
            assert_int_equal(owner_int(&item), 25);
        }
    assert_true(deaths >= PATTERNS);        /* it did write */
    assert_int_equal(o.failed, 0);
    owner_close(&o);
}

/* The task that has written runs on: it is killed at the next look, and that it was running is known although it has said
 * otherwise. */
static void r10_words_written_over_are_seen_while_the_task_runs(void **state)
{
    struct owner o;
    (void)state;

    owner_open(&o, &(struct pool){ .program = self });
    for (size_t word = 0; word < sizeof(words) / sizeof(words[0]); word++) {
        /* Numbers in a report, and words that are written again and again: a task that loops with them wrong is a task that loops,
         * and its limit holds. */
        static const char *const others[] = { "block_ns", "block_first", "init_code", "result_tail", "want", "low", "sleeping" };
        bool other = false;

        for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++)
            other |= strcmp(words[word].name, others[k]) == 0;
        for (int pattern = 101; pattern <= 102; pattern++) {
            run(&o, owner_proc(&o), word, pattern, 1, other ? 200 : 0);
            if (o.death.kind != BFORK_CRASHED && !(other && o.death.kind == BFORK_OVERTIME))
                fail_msg("%s, pattern %d: kind %d, %s", words[word].name, pattern, o.death.kind, o.message);
            assert_int_equal(o.death.violated, o.death.kind == BFORK_CRASHED);
            if (!o.death.in_task)
                fail_msg("%s, pattern %d: nothing was running, it says: %s", words[word].name, pattern, o.message);
            assert_non_null(strstr(o.message, o.death.kind == BFORK_OVERTIME ? "over time" : "task ring"));
        }
    }
    owner_close(&o);
}

/* Before anybody has looked: it counts as having run, or its task would be run again and again. */
static void r10_who_hides_that_it_ran_and_ends_is_told(void **state)
{
    struct owner o;
    struct exec_proc *p;
    uint8_t args[16];
    (void)state;

    owner_open(&o, &(struct pool){ .program = self });
    p = owner_proc(&o);
    owner_job(p, 1, (void (*)(void))task_forge, 0, 0);
    owner_push(p, 1, args, pack_int(args, FORGE_LAST), 2, 1);
    owner_until(&o, &o.died, 1);
    assert_int_equal(o.death.kind, BFORK_CRASHED);
    assert_true(o.death.in_task);
    owner_close(&o);
}

/* Which task runs is told by its process alone: who writes over that word could run for ever, past every limit, and with other
 * tasks behind it. It ends within a second, as having run; the process beside it works all the while. */
static void r10_who_hides_that_it_runs_ends(void **state)
{
    struct owner o;
    struct exec_proc *neighbour;
    uint8_t args[16];
    (void)state;

    owner_open(&o, &(struct pool){ .program = self });
    neighbour = owner_proc(&o);
    owner_job(neighbour, 1, (void (*)(void))task_square, 0, 0);
    for (int how = 0; how < FORGES; how++)
        for (int limit = 0; limit < 2; limit++) {
            struct exec_proc *p = owner_proc(&o);
            int died = o.died;
            uint64_t begin;

            owner_job(p, 1, (void (*)(void))task_square, 0, 0);
            owner_job(p, 2, (void (*)(void))task_forge, 0, 0);
            exec_proc_limit(p, limit ? 100 : 0);
            owner_push(p, 1, args, pack_int(args, 5), 1, 1);
            owner_push(p, 2, args, pack_int(args, how), 3, how == FORGE_IDLE ? 1 : 3);
            for (begin = clock_now(); o.died == died;) {
                struct wire_item item;

                owner_push(neighbour, 1, args, pack_int(args, 5), 1, 1);
                assert_true(owner_pull(&o, neighbour, &item) || o.died > died);
                while (o.died == died && exec_pull(p, &item))
                    assert_int_equal(owner_int(&item), 25);
                if (clock_now() > begin + IN_TIME)
                    fail_msg("way %d: it hides that it runs, and nothing happens", how);
            }
            assert_true(o.death.in_task);
            if (o.death.kind != BFORK_CRASHED && !(limit && o.death.kind == BFORK_OVERTIME))
                fail_msg("way %d: kind %d, %s", how, o.death.kind, o.message);
            while (exec_pending(neighbour)) {
                struct wire_item item;

                assert_true(owner_pull(&o, neighbour, &item));
            }
        }
    assert_int_equal(o.failed, 0);
    owner_close(&o);
}

/* A process is done and sleeps, but what its tasks have printed has no room at present: its words are in order. */
static void r10_results_behind_unread_output_are_no_breach(void **state)
{
    struct owner o;
    struct wire_item item;
    struct exec_proc *p;
    uint8_t args[16];
    uint32_t n = pack_int(args, 5), taken = 0;
    (void)state;

    owner_open(&o, &(struct pool){ .program = self });
    p = owner_proc(&o);
    o.no_room = true;
    owner_job(p, 1, (void (*)(void))task_print, 0, 0);
    owner_push(p, 1, args, n, 3, 3);
    for (uint64_t k = 1; k <= 30; k++) {            /* each a look later */
        struct pollfd f = { exec_fd(o.x), POLLIN, 0 };

        poll(&f, 1, 20);
        exec_step(o.x, clock_now() + k * CLOCK_SEC);
        assert_int_equal(o.died, 0);
    }
    o.no_room = false;
    exec_step(o.x, clock_now());
    while (taken < 3) {
        assert_true(owner_pull(&o, p, &item));
        taken += item.count;
    }
    assert_true(strstr(o.out, "to stdout") && o.died == 0);
    owner_close(&o);
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[n > 0 ? n : 0] = '\0';
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r10_words_written_over_end_in_a_typed_failure),
        cmocka_unit_test(r10_words_written_over_are_seen_while_the_task_runs),
        cmocka_unit_test(r10_who_hides_that_it_runs_ends),
        cmocka_unit_test(r10_who_hides_that_it_ran_and_ends_is_told),
        cmocka_unit_test(r10_results_behind_unread_output_are_no_breach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
