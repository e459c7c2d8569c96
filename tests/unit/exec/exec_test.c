/* SPDX-License-Identifier: MPL-2.0
 * exec_test.c - templates and task processes from end to end: this program is owner, template and task process. Every way to fail
 * must come back as the right kind with a text that names the cause, and leave no process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "owner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char self[4096];
static const struct pool plain = { .program = self };
#define FN(f) ((void (*)(void))(f))
#ifdef BF_SANITIZED
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" should say \"%s\"", text, part);
}

/* Until the process is gone, however it was started; the descriptor was opened while it lived. */
static void assert_ends(int pidfd)
{
    struct pollfd f = { pidfd, POLLIN, 0 };
    assert_int_equal(poll(&f, 1, 20000), 1);
    close(pidfd);
}

static int pidfd_of(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

/* A process that is gone, or is a zombie nobody else can see, within two seconds. */
static void assert_gone(pid_t pid)
{
    int fd = pidfd_of(pid);
    struct pollfd f = { fd, POLLIN, 0 };

    if (fd < 0) {
        assert_int_equal(errno, ESRCH);
        return;
    }
    assert_int_equal(poll(&f, 1, 2000), 1);
    close(fd);
}

/* One task of a fresh process; the result in item, or false and its death in o. */
static bool run_one(struct owner *o, bfork_task_fn *fn, int arg, struct wire_item *item)
{
    struct exec_proc *p = owner_proc(o);
    uint8_t args[16];
    uint32_t n = pack_int(args, arg);

    owner_job(p, 1, FN(fn), 0, 0);
    owner_push(p, 1, args, n, 1, 1);
    return owner_pull(o, p, item);
}

static void a_task_returns_its_result(void **state)
{
    struct owner o;
    struct wire_item item;
    (void)state;

    owner_open(&o, &plain);
    assert_true(run_one(&o, task_square, 12, &item));
    assert_int_equal(item.kind, WIRE_OK);
    assert_int_equal(item.count, 1);
    assert_int_equal(owner_int(&item), 144);
    assert_true(item.sum_ns > 0);
    assert_true(item.pid > 1);
    owner_close(&o);
}

static void results_come_in_order_and_merged(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct wire_item item;
    uint8_t args[16];
    uint32_t n, total = 0;
    (void)state;

    owner_open(&o, &plain);
    p = owner_proc(&o);
    owner_job(p, 7, FN(task_square), 0, 0);
    for (int i = 0; i < 100; i++) {
        n = pack_int(args, i);
        owner_push(p, 7, args, n, 1, 8);
    }
    while (total < 100 && owner_pull(&o, p, &item)) {
        size_t at = 0;
        assert_int_equal(item.job, 7);
        for (uint32_t i = 0; i < item.count; i++) {
            struct wire_item one = { .body = slice_borrow(item.body.data + at, wire_len_at(&item, i)) };
            assert_int_equal(owner_int(&one), (int)((total + i) * (total + i)));
            at += wire_len_at(&item, i);
        }
        assert_int_equal(at, item.body.size);
        total += item.count;
    }
    assert_int_equal(total, 100);
    assert_int_equal(exec_pending(p), 0);
    owner_close(&o);
}

static void a_map_fills_the_array(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct wire_item item;
    int *in = malloc(400000), next = 0;
    (void)state;

    for (int i = 0; i < 100000; i++)
        in[i] = i;
    owner_open(&o, &plain);
    p = owner_proc(&o);
    owner_job(p, 1, FN(map_square), 4, 4);
    struct wire_item all = { .count = 100000, .flags = WIRE_FIXED, .size = 4, .body = slice_borrow(in, 400000) };
    assert_int_equal(exec_push(p, 1, &all, 1000, false), 100000);
    while (next < 100000 && owner_pull(&o, p, &item)) {
        assert_int_equal(item.flags, WIRE_FIXED);
        assert_int_equal(item.size, 4);
        for (uint32_t i = 0; i < item.count; i++, next++) {
            int x;
            memcpy(&x, item.body.data + 4 * i, 4);
            assert_int_equal(x, (int)((unsigned)next * (unsigned)next));
        }
    }
    assert_int_equal(next, 100000);
    free(in);
    owner_close(&o);
}

static void elements_that_fail_are_told_apart(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct wire_item item;
    struct wire_outcome out;
    int in[] = { 0, 2, 3, 4 };
    (void)state;

    owner_open(&o, &plain);
    p = owner_proc(&o);
    owner_job(p, 1, FN(map_odd_fails), 4, 4);
    struct wire_item all = { .count = 4, .first = 10, .flags = WIRE_FIXED, .size = 4, .body = slice_borrow(in, sizeof(in)) };
    assert_int_equal(exec_push(p, 1, &all, 4, false), 4);
    assert_true(owner_pull(&o, p, &item));
    assert_int_equal(item.count, 2);
    assert_true(owner_pull(&o, p, &item));
    assert_int_equal(item.kind, WIRE_OUTCOME);
    owner_outcome(&item, &out);
    assert_int_equal(out.kind, BFORK_FAILED);
    assert_int_equal(out.code, 3);
    assert_int_equal(out.index, 12);
    assert_true(out.message.n == 8 && memcmp(out.message.p, "3 is odd", 8) == 0);
    assert_true(owner_pull(&o, p, &item));
    assert_int_equal(item.count, 1);
    assert_int_equal(item.kind, WIRE_OK);
    owner_close(&o);
}

static void expect_outcome(bfork_task_fn *fn, int arg, int kind, int code, const char *part)
{
    struct owner o;
    struct wire_item item;
    struct wire_outcome out;
    char text[2048];

    owner_open(&o, &plain);
    assert_true(run_one(&o, fn, arg, &item));
    assert_int_equal(item.kind, WIRE_OUTCOME);
    owner_outcome(&item, &out);
    assert_int_equal(out.kind, kind);
    assert_int_equal(out.code, code);
    snprintf(text, sizeof(text), "%.*s", (int)out.message.n, out.message.p);
    assert_has(text, part);
    owner_close(&o);
}

static void a_raised_error_has_code_and_text(void **state)
{
    (void)state;
    expect_outcome(task_raise, 0, BFORK_FAILED, 12, "cannot read the file");
}

static void a_bare_return_names_the_function(void **state)
{
    (void)state;
    expect_outcome(task_return7, 0, BFORK_FAILED, 7, "task_return7 returned 7");
}

static void a_result_over_the_limit_says_so(void **state)
{
    (void)state;
    expect_outcome(task_too_big, 0, BFORK_FAILED, BFORK_ETOOBIG, "the limit is 1052672");
}

static void wrong_arguments_are_a_mismatch(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct wire_item item;
    struct wire_outcome out;
    (void)state;

    owner_open(&o, &plain);
    p = owner_proc(&o);
    owner_job(p, 1, FN(task_square), 0, 0);
    owner_push(p, 1, "\x92\x01\x02", 3, 1, 1);
    assert_true(owner_pull(&o, p, &item));
    assert_int_equal(item.kind, WIRE_OUTCOME);
    owner_outcome(&item, &out);
    assert_int_equal(out.kind, BFORK_MISMATCH);
    owner_close(&o);
}

static void expect_death(bfork_task_fn *fn, int arg, int kind, int sig, int code, const char *part, struct owner *o)
{
    struct wire_item item;

    owner_open(o, &plain);
    assert_false(run_one(o, fn, arg, &item));
    assert_int_equal(o->death.kind, kind);
    assert_int_equal(o->death.signal, sig);
    assert_int_equal(o->death.code, code);
    assert_true(o->death.in_task);
    assert_has(o->message, part);
    assert_true(run_one(o, task_square, 3, &item));         /* the next process is well */
    assert_int_equal(owner_int(&item), 9);
    owner_close(o);
}

static void a_crash_names_function_and_line(void **state)
{
    struct owner o;
    (void)state;
    expect_death(task_crash, 0, BFORK_CRASHED, SIGSEGV, 0, "crashed: SIGSEGV in step_on_null", &o);
    assert_null(strstr(o.message, "overflow"));
    assert_has(o.message, "at tasks.c:");
    assert_has(o.backtrace, "task_crash");
}

static void abort_is_reported_in_the_callers_code(void **state)
{
    struct owner o;
    (void)state;
    expect_death(task_abort, 0, BFORK_CRASHED, SIGABRT, 0, "SIGABRT in task_abort", &o);
}

static void r24_a_stack_overflow_says_so(void **state)
{
    struct owner o;
    (void)state;
    expect_death(task_overflow, 0, BFORK_CRASHED, SIGSEGV, 0, "SIGSEGV in dig", &o);
    assert_has(o.message, ": stack overflow");
}

static void exit_in_a_task_is_told(void **state)
{
    struct owner o;
    (void)state;
    expect_death(task_exit, 0, BFORK_EXITED, 0, 0, "the task called exit(0)", &o);
    expect_death(task_exit, 17, BFORK_EXITED, 0, 17, "the task called exit(17)", &o);
}

static void a_foreign_sigkill_says_what_it_may_be(void **state)
{
    struct owner o;
    (void)state;
    expect_death(task_kill9, 0, BFORK_CRASHED, SIGKILL, 0, "lack of memory", &o);
}

static void writing_over_the_ring_ends_only_the_process(void **state)
{
    struct owner o;
    struct wire_item item;
    (void)state;

    owner_open(&o, &plain);
    assert_false(run_one(&o, task_scribble, 0, &item));
    assert_true(o.death.kind == BFORK_CRASHED || o.death.kind == BFORK_EXITED);
    assert_true(run_one(&o, task_square, 3, &item));
    owner_close(&o);
}

static void results_before_a_crash_are_kept(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct wire_item item;
    int in[100];
    (void)state;

    for (int i = 0; i < 100; i++)
        in[i] = i;
    owner_open(&o, &plain);
    p = owner_proc(&o);
    owner_job(p, 1, FN(map_crash_at_50), 4, 4);
    struct wire_item all = { .count = 100, .flags = WIRE_FIXED, .size = 4, .body = slice_borrow(in, sizeof(in)) };
    assert_int_equal(exec_push(p, 1, &all, 100, false), 100);
    assert_false(owner_pull(&o, p, &item));
    assert_int_equal(o.harvested.count, 50);
    for (int i = 0; i < 50; i++)
        assert_int_equal(((int *)(void *)o.harvest)[i], i + 1);
    assert_true(o.death.in_task);
    owner_close(&o);
}

static void a_task_over_its_limit_is_killed_in_time(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct wire_item item;
    uint64_t begin, took;
    (void)state;

    owner_open(&o, &plain);
    p = owner_proc(&o);
    exec_proc_limit(p, 500);
    owner_job(p, 1, FN(task_loop), 0, 0);
    begin = clock_now();
    owner_push(p, 1, "\x90", 1, 1, 1);
    assert_false(owner_pull(&o, p, &item));
    took = clock_now() - begin;
    assert_int_equal(o.death.kind, BFORK_OVERTIME);
    assert_true(o.death.in_task);
    assert_in_range(took, 450 * CLOCK_MS, 900 * CLOCK_MS);
    assert_has(o.message, "over time");
    owner_close(&o);
}

/* Behind a task without a limit, in the same ring: each has the limit that held when it was pushed. */
static void tasks_in_a_row_have_limits_of_their_own(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct wire_item item;
    uint8_t args[16];
    uint32_t n = pack_int(args, 600);
    (void)state;

    owner_open(&o, &plain);
    p = owner_proc(&o);
    owner_job(p, 1, FN(task_sleep_ms), 0, 0);
    owner_job(p, 2, FN(task_loop), 0, 0);
    owner_push(p, 1, args, n, 1, 1);
    exec_proc_limit(p, 200);
    owner_push(p, 2, "\x90", 1, 1, 1);
    assert_true(owner_pull(&o, p, &item));
    assert_int_equal(item.kind, WIRE_OK);
    assert_false(owner_pull(&o, p, &item));
    assert_int_equal(o.death.kind, BFORK_OVERTIME);
    owner_close(&o);
}

static void short_tasks_do_not_add_up_to_the_limit(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct wire_item item;
    uint8_t args[16];
    uint32_t n = pack_int(args, 20), done = 0;
    (void)state;

    owner_open(&o, &plain);
    p = owner_proc(&o);
    exec_proc_limit(p, 200);
    owner_job(p, 1, FN(task_sleep_ms), 0, 0);
    owner_push(p, 1, args, n, 30, 30);
    while (done < 30 && owner_pull(&o, p, &item))
        done += item.count;
    assert_int_equal(done, 30);
    owner_close(&o);
}

#define SAYING 1000u

static struct said { uint64_t bytes[3]; bool wrong; } said[SAYING];

/* Every piece is of the task it says that it is: each line begins with its number. */
static void note_said(struct owner *o, const struct exec_print *k)
{
    uint32_t seq = o->done + k->ahead;
    char number[16];
    int n = snprintf(number, sizeof(number), "%u ", seq);

    if (!k->in_task || seq >= SAYING) {
        said[0].wrong = true;
        return;
    }
    said[seq].wrong |= said[seq].bytes[k->stream] == 0 && (k->size < (size_t)n || memcmp(k->bytes, number, (size_t)n) != 0);
    said[seq].bytes[k->stream] += k->size;
}

static size_t says(uint32_t seq, int stream)
{
    char text[64];

    if (stream == 2)
        return seq % 5 == 4 ? (size_t)snprintf(text, sizeof(text), "%u says\n", seq) : 0;
    return seq % 5 == 0   ? (size_t)snprintf(text, sizeof(text), "%u says\n", seq)
           : seq % 5 == 1 ? (size_t)snprintf(text, sizeof(text), "%u says\n%u says no more", seq, seq)
           : seq % 5 == 3 ? (size_t)snprintf(text, sizeof(text), "%u ", seq) + SAYS_LONG + 1
                          : 0;
}

static void says_all(uint32_t claim)
{
    struct owner o;
    struct wire_item item;
    struct exec_proc *p;

    memset(said, 0, sizeof(said));
    owner_open(&o, &plain);
    p = owner_proc(&o);
    o.on_print = note_said;
    owner_job(p, 1, FN(task_says), 0, 0);
    owner_push(p, 1, "\x90", 1, SAYING, claim);
    while (o.done < SAYING && owner_pull(&o, p, &item)) {
        assert_int_equal(item.kind, WIRE_OK);
        for (uint32_t i = o.done; i < o.done + item.count; i++)         /* all of it, before the result */
            for (int stream = 1; stream <= 2; stream++) {
                assert_int_equal(said[i].bytes[stream], says(i, stream));
                assert_false(said[i].wrong);
            }
        o.done += item.count;
    }
    assert_int_equal(o.done, SAYING);
    owner_close(&o);
}

static void r21_output_is_whole_and_of_its_task(void **state)
{
    (void)state;
    says_all(1);
    says_all(64);
}

static void r21_a_task_waits_while_there_is_no_room(void **state)
{
    struct owner o;
    struct wire_item item;
    struct exec_proc *p;
    uint8_t args[8];
    uint32_t n = pack_int(args, 8);
    (void)state;

    owner_open(&o, &plain);
    p = owner_proc(&o);
    o.no_room = true;
    owner_job(p, 1, FN(task_flood), 0, 0);
    owner_push(p, 1, args, n, 1, 1);
    for (uint64_t until = clock_now() + 300 * CLOCK_MS; clock_now() < until;) {
        exec_step(o.x, clock_now());
        assert_false(exec_pull(p, &item));
    }
    assert_int_equal(o.out_bytes, 0);
    o.no_room = false;
    exec_step(o.x, clock_now());
    assert_true(owner_pull(&o, p, &item));
    assert_int_equal(o.out_bytes, 8u << 20);
    assert_int_equal(o.cuts, 0);
    owner_close(&o);
}

static void output_is_passed_on_and_cut(void **state)
{
    struct owner o;
    struct wire_item item;
    struct pool small = { .program = self, .output_limit = 1u << 20 };
    (void)state;

    owner_open(&o, &plain);
    assert_true(run_one(&o, task_print, 0, &item));
    assert_string_equal(o.out, "to stdout\n");
    assert_string_equal(o.err, "to stderr\n");
    owner_close(&o);

    owner_open(&o, &small);
    assert_true(run_one(&o, task_flood, SANITIZED ? 50 : 1024, &item));
    assert_int_equal(item.kind, WIRE_OK);
    assert_int_equal(o.cuts, 1);
    assert_int_equal(o.out_bytes, 1u << 20);
    assert_int_equal(o.print.limit, 1u << 20);
    owner_close(&o);
}

/* The limit of one task's output is not the next one's. */
static void r21_a_cut_task_silences_no_other(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct wire_item item;
    uint8_t args[8];
    uint32_t n = pack_int(args, 2), done = 0;
    (void)state;

    owner_open(&o, &(struct pool){ .program = self, .output_limit = 1u << 20 });
    p = owner_proc(&o);
    owner_job(p, 1, FN(task_flood), 0, 0);
    owner_job(p, 2, FN(task_print), 0, 0);
    owner_push(p, 1, args, n, 1, 1);
    owner_push(p, 2, "\x90", 1, 1, 1);
    while (done < 2 && owner_pull(&o, p, &item))
        done += item.count;
    assert_int_equal(done, 2);
    assert_int_equal(o.cuts, 1);
    assert_int_equal(o.out_bytes, (1u << 20) + strlen("to stdout\n"));
    owner_close(&o);
}

static void nothing_a_task_started_outlives_it(void **state)
{
    struct owner o;
    struct wire_item item;
    (void)state;

    owner_open(&o, &plain);
    assert_true(run_one(&o, task_grandchild, 0, &item));
    int pid = owner_int(&item);
    assert_true(pid > 1);
    assert_gone(pid);
    assert_false(run_one(&o, task_grandchild_crash, 0, &item));
    pid = atoi(o.tail);
    assert_true(pid > 1);
    assert_gone(pid);
    owner_close(&o);
}

static void a_child_that_comes_back_from_the_function_ends(void **state)
{
    struct owner o;
    struct wire_item item;
    (void)state;

    owner_open(&o, &plain);
    assert_true(run_one(&o, task_fork_returns, 0, &item));
    assert_int_equal(owner_int(&item), 5);
    owner_close(&o);
}

static void a_task_that_closes_everything_keeps_its_result(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct wire_item item;
    (void)state;

    owner_open(&o, &plain);
    p = owner_proc(&o);
    owner_job(p, 1, FN(task_close_all), 0, 0);
    owner_push(p, 1, "\x90", 1, 1, 1);
    if (!owner_pull(&o, p, &item)) {
        item = o.harvested;
        item.body = slice_borrow(o.harvest, item.body.size);
        assert_false(o.death.in_task);
    }
    assert_int_equal(item.kind, WIRE_OK);
    assert_int_equal(owner_int(&item), 6);
    owner_close(&o);
}

static void tasks_not_begun_can_be_taken_back(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct wire_item item;
    uint8_t args[16];
    uint32_t n = pack_int(args, 50), back, done = 0;
    (void)state;

    owner_open(&o, &plain);
    p = owner_proc(&o);
    owner_job(p, 1, FN(task_sleep_ms), 0, 0);
    owner_push(p, 1, args, n, 100, 1);
    assert_true(owner_pull(&o, p, &item));
    done += item.count;
    back = exec_retract(p, 1000);
    assert_in_range(back, 90, 99);
    while (exec_pending(p) && owner_pull(&o, p, &item))
        done += item.count;
    assert_int_equal(done + back, 100);
    owner_push(p, 1, args, n, 1, 1);
    assert_true(owner_pull(&o, p, &item));
    owner_close(&o);
}

static void stop_ends_in_order(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct pool with = { .program = self, .finalizer = task_print };
    struct wire_item item;
    uint8_t args[16];
    uint32_t n = pack_int(args, 1);
    (void)state;

    owner_open(&o, &with);
    p = owner_proc(&o);
    owner_job(p, 1, FN(task_sleep_ms), 0, 0);
    owner_push(p, 1, args, n, 10, 1);
    exec_proc_stop(p);
    o.dying = p;
    while (o.died == 0)
        if (!exec_pull(p, &item))
            exec_step(o.x, clock_now());
    assert_int_equal(o.death.kind, 0);
    assert_string_equal(o.out, "to stdout\n");
    owner_close(&o);
}

static void preload_and_initializer_are_seen_by_tasks(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct pool with = {
        .program = self, .preload = preload_well, .initializer = initializer_well, .args = "\x91\x2a", .n_args = 2
    };
    struct wire_item item;
    (void)state;

    owner_open(&o, &with);
    p = owner_proc(&o);
    owner_job(p, 1, FN(task_initialized), 0, 0);
    owner_push(p, 1, "\x90", 1, 1, 1);
    assert_true(owner_pull(&o, p, &item));
    assert_memory_equal(item.body.data, "\x92\x2a\x2a", 3);
    owner_close(&o);
}

static void expect_failure(const struct pool *pool, int code, const char *stage, const char *part)
{
    struct owner o;

    owner_open(&o, pool);
    owner_until(&o, &o.failed, 1);
    assert_string_equal(o.fail_stage, stage);
    assert_has(o.fail_text, part);
    assert_int_equal(o.fail_code, code);
    assert_int_equal(o.ready, 0);
    owner_close(&o);
}

static void a_preload_that_fails_is_a_failed_template(void **state)
{
    (void)state;
    expect_failure(&(struct pool){ .program = self, .preload = preload_raises }, BFORK_FAILED, "preload", "no table here");
    expect_failure(&(struct pool){ .program = self, .preload = preload_crashes }, BFORK_REFUSED, "preload", "signal 6");
    expect_failure(&(struct pool){ .program = self, .preload = preload_hangs, .start_limit_ms = 300 }, BFORK_OVERTIME, "preload",
                   "0.3 s");
}

static void an_initializer_that_fails_is_a_dead_process(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct err e;
    (void)state;

    owner_open(&o, &(struct pool){ .program = self, .initializer = initializer_raises });
    owner_until(&o, &o.ready, 1);
    assert_int_equal(exec_proc_start(o.t, NULL, &p, &e), 0);
    owner_until(&o, &o.died, 1);
    assert_int_equal(o.death.kind, BFORK_FAILED);
    assert_int_equal(o.death.code, 4);
    assert_string_equal(o.stage, "initializer");
    assert_has(o.message, "no connection");
    assert_int_equal(o.procs_ready, 0);
    owner_close(&o);

    owner_open(&o, &(struct pool){ .program = self, .initializer = initializer_exits });
    owner_until(&o, &o.ready, 1);
    assert_int_equal(exec_proc_start(o.t, NULL, &p, &e), 0);
    owner_until(&o, &o.died, 1);
    assert_int_equal(o.death.code, 5);
    assert_string_equal(o.stage, "initializer");
    owner_close(&o);
}

static void programs_that_cannot_run_say_why(void **state)
{
    (void)state;
    expect_failure(&(struct pool){ .program = TEST_DIR "/exec_no_init" }, BFORK_ENOINIT, "init", "did not call bfork_init");
    expect_failure(&(struct pool){ .program = TEST_DIR "/exec_needs_library" }, BFORK_REFUSED, "load",
                   "missing library libexec_lonely.so");
    expect_failure(&(struct pool){ .program = "/nowhere/prog" }, BFORK_REFUSED, "exec", "no file /nowhere/prog");
}

static void another_machines_program_is_named(void **state)
{
    char path[] = "foreign-XXXXXX";
    uint8_t head[4096];
    int in = open(self, O_RDONLY), out = mkstemp(path);
    uint16_t machine = 183;                             /* aarch64 */
    (void)state;

    assert_int_equal(read(in, head, sizeof(head)), sizeof(head));
#if defined(__aarch64__)
    machine = 62;
#endif
    memcpy(head + 18, &machine, 2);
    assert_int_equal(write(out, head, sizeof(head)), sizeof(head));
    fchmod(out, 0755);
    close(in);
    close(out);
    char full[4200], cwd[4096];
    snprintf(full, sizeof(full), "%s/%s", getcwd(cwd, sizeof(cwd)), path);
    expect_failure(&(struct pool){ .program = full }, BFORK_REFUSED, "arch",
                   machine == 183 ? "built for aarch64" : "built for x86_64");
    unlink(path);
}

static void the_death_of_a_template_is_reported(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct wire_item item;
    (void)state;

    owner_open(&o, &plain);
    p = owner_proc(&o);
    owner_job(p, 1, FN(task_loop), 0, 0);
    owner_push(p, 1, "\x90", 1, 1, 1);
    pid_t pid = exec_proc_pid(p), template = -1;
    int pidfd = pidfd_of(pid);
    char path[64], text[512] = "", *at;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY);
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    at = strrchr(text, ')');
    assert_non_null(at);
    template = atoi(at + 4);
    kill(template, SIGKILL);
    owner_until(&o, &o.failed, 1);
    assert_has(o.fail_text, "signal 9");
    assert_ends(pidfd);
    (void)item;
    owner_close(&o);
}

static void the_end_of_the_owner_ends_everything(void **state)
{
    int fds[2], pids[2];
    struct wire_item item;
    (void)state;

    assert_int_equal(pipe(fds), 0);
    pid_t owner = fork();
    if (owner == 0) {
        struct owner o;
        owner_open(&o, &plain);
        struct exec_proc *p = owner_proc(&o), *q = owner_proc(&o);
        owner_job(p, 1, FN(task_grandchild), 0, 0);
        owner_job(p, 2, FN(task_loop), 0, 0);
        owner_job(q, 2, FN(task_loop), 0, 0);
        owner_push(q, 2, "\x90", 1, 1, 1);
        pids[0] = exec_proc_pid(p);
        pids[1] = exec_proc_pid(q);
        if (write(fds[1], pids, sizeof(pids)) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(fds[0], pids, sizeof(pids)), sizeof(pids));
    int a = pidfd_of(pids[0]), b = pidfd_of(pids[1]);
    kill(owner, SIGKILL);
    waitpid(owner, NULL, 0);
    assert_ends(a);
    assert_ends(b);
    close(fds[0]);
    close(fds[1]);
    (void)item;
}

static void a_program_with_threads_gets_an_exec_for_each_process(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct wire_item item;
    (void)state;

    owner_open(&o, &(struct pool){ .program = TEST_DIR "/exec_threads" });
    p = owner_proc(&o);
    owner_job_named(p, 1, "", "exec_threads_task");
    owner_push(p, 1, "\x90", 1, 1, 1);
    assert_true(owner_pull(&o, p, &item));
    if (item.kind == WIRE_OUTCOME) {
        struct wire_outcome out;
        owner_outcome(&item, &out);
        fail_msg("%.*s", (int)out.message.n, out.message.p);
    }
    assert_int_equal(owner_int(&item), 42);
    owner_close(&o);
}

static void a_task_knows_what_it_is(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct wire_item item,
        one = { .count = 1, .first = 99, .tries = 2, .flags = WIRE_FIXED, .size = 1, .body = slice_borrow("\x90", 1) };
    (void)state;

    owner_open(&o, &plain);
    p = owner_proc(&o);
    owner_job(p, 1, FN(task_self), 0, 0);
    assert_int_equal(exec_push(p, 1, &one, 1, false), 1);
    assert_true(owner_pull(&o, p, &item));
    assert_memory_equal(item.body.data, "\x94\x63\x03\xa9task_self\xc4\x03" "ctx", item.body.size);
    owner_close(&o);
}

static void a_function_that_is_not_there_is_refused(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct wire_item item;
    struct wire_outcome out;
    (void)state;

    owner_open(&o, &(struct pool){ .program = NULL });          /* the installed runner */
    p = owner_proc(&o);
    owner_job_named(p, 1, "libm.so.6", "no_such_function");
    owner_push(p, 1, "\x90", 1, 1, 1);
    assert_true(owner_pull(&o, p, &item));
    assert_int_equal(item.kind, WIRE_OUTCOME);
    owner_outcome(&item, &out);
    assert_int_equal(out.kind, BFORK_REFUSED);
    owner_close(&o);
}

static void secrets_stay_with_the_owner(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct wire_item item;
    (void)state;

    setenv("SECRET_OF_TEST", "xyzzy", 1);
    owner_open(&o, &(struct pool){ .program = NULL, .hide_secrets = true });
    p = owner_proc(&o);
    owner_job_command(p, 1, false);
    owner_push(p, 1, "\x93\xa2sh\xa2-c\xbe""echo =$SECRET_OF_TEST=$HOME===", 2 + 3 + 3 + 30, 1, 1);
    assert_true(owner_pull(&o, p, &item));
    assert_int_equal(item.kind, WIRE_OK);
    assert_null(memmem(item.body.data, item.body.size, "xyzzy", 5));
    assert_non_null(memmem(item.body.data, item.body.size, "==", 2));
    owner_close(&o);
    unsetenv("SECRET_OF_TEST");
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[n > 0 ? n : 0] = '\0';
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_returns_its_result), cmocka_unit_test(results_come_in_order_and_merged),
        cmocka_unit_test(a_map_fills_the_array), cmocka_unit_test(elements_that_fail_are_told_apart),
        cmocka_unit_test(a_raised_error_has_code_and_text), cmocka_unit_test(a_bare_return_names_the_function),
        cmocka_unit_test(a_result_over_the_limit_says_so), cmocka_unit_test(wrong_arguments_are_a_mismatch),
        cmocka_unit_test(a_crash_names_function_and_line), cmocka_unit_test(abort_is_reported_in_the_callers_code),
        cmocka_unit_test(r24_a_stack_overflow_says_so), cmocka_unit_test(exit_in_a_task_is_told),
        cmocka_unit_test(a_foreign_sigkill_says_what_it_may_be), cmocka_unit_test(writing_over_the_ring_ends_only_the_process),
        cmocka_unit_test(results_before_a_crash_are_kept), cmocka_unit_test(a_task_over_its_limit_is_killed_in_time),
        cmocka_unit_test(tasks_in_a_row_have_limits_of_their_own),
        cmocka_unit_test(short_tasks_do_not_add_up_to_the_limit), cmocka_unit_test(output_is_passed_on_and_cut),
        cmocka_unit_test(r21_output_is_whole_and_of_its_task), cmocka_unit_test(r21_a_task_waits_while_there_is_no_room),
        cmocka_unit_test(r21_a_cut_task_silences_no_other),
        cmocka_unit_test(nothing_a_task_started_outlives_it), cmocka_unit_test(a_child_that_comes_back_from_the_function_ends),
        cmocka_unit_test(a_task_that_closes_everything_keeps_its_result), cmocka_unit_test(tasks_not_begun_can_be_taken_back),
        cmocka_unit_test(stop_ends_in_order), cmocka_unit_test(preload_and_initializer_are_seen_by_tasks),
        cmocka_unit_test(a_preload_that_fails_is_a_failed_template), cmocka_unit_test(an_initializer_that_fails_is_a_dead_process),
        cmocka_unit_test(programs_that_cannot_run_say_why), cmocka_unit_test(another_machines_program_is_named),
        cmocka_unit_test(the_death_of_a_template_is_reported), cmocka_unit_test(the_end_of_the_owner_ends_everything),
        cmocka_unit_test(a_program_with_threads_gets_an_exec_for_each_process), cmocka_unit_test(a_task_knows_what_it_is),
        cmocka_unit_test(a_function_that_is_not_there_is_refused), cmocka_unit_test(secrets_stay_with_the_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
