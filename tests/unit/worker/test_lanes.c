/* SPDX-License-Identifier: MPL-2.0
 * test_lanes.c - worker core and real task processes together: this test plays the broker, and is the program whose functions run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "bfork.h"
#include "exec/object.h"
#include "lanes.h"
#include "tasks.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct bench {
    struct lanes *s;
    struct worker *w;
    int program;                    /* descriptor of this program; -1: say that there is none */
    bool later;                     /* the program's answer comes when asked for */
    worker_lane asked;
    uint64_t ok, failed, returned;
    uint32_t pool_failed, pid;      /* pid: of the process that the last result came from */
    char stage[64], text[2000];
    struct wire_outcome outcome;    /* the last; strings are gone but for message */
    char message[2000];
    uint64_t ints;                  /* sum of results that are one packed int */
    char output[256];
    size_t output_size;
    uint64_t outputs, output_index;
};

static struct bench b;

static void resolve(void *ctx, worker_lane lane, struct wire_bin owner, const struct wire_pool_spec *spec)
{
    (void)ctx;
    (void)owner;
    assert_int_equal(spec->program.n, WIRE_DIGEST);
    b.asked = lane;
    if (b.later)
        return;
    if (b.program >= 0)
        lanes_program(b.s, lane, NULL, b.program, NULL);
    else
        lanes_no_program(b.s, lane, BFORK_REFUSED, "fetch", "no such program");
}

static void got_output(const struct wire_item *i)
{
    assert_true(i->pid > 0 && (i->stream == 1 || i->stream == 2));
    assert_true(b.ok == 0);                     /* before the result */
    b.output_index = i->first;
    b.outputs++;
    if (b.output_size + i->size < sizeof(b.output)) {
        memcpy(b.output + b.output_size, i->body.data, i->size);
        b.output_size += i->size;
    }
}

static void got_result(const struct wire_item *i)
{
    b.pid = i->pid;
    if (i->kind == WIRE_RETURNED) {
        b.returned += i->count;
    } else if (i->kind == WIRE_OK) {
        b.ok += i->count;
    } else {
        b.failed++;
        assert_int_equal(wire_outcome_decode(i->body.data, i->body.size, &b.outcome, NULL), 0);
        snprintf(b.message, sizeof(b.message), "%.*s", (int)b.outcome.message.n, b.outcome.message.n ? b.outcome.message.p : "");
    }
}

static void got(const struct wire_msg *m)
{
    if (m->type == WIRE_POOL_FAILED) {
        b.pool_failed++;
        snprintf(b.stage, sizeof(b.stage), "%.*s", (int)m->u.pool_failed.stage.n, m->u.pool_failed.stage.p);
        snprintf(b.text, sizeof(b.text), "%.*s", (int)m->u.pool_failed.text.n, m->u.pool_failed.text.p);
    }
    for (uint32_t k = 0; m->type == WIRE_RESULTS && k < m->n_items; k++)
        got_result(&m->items[k]);
    for (uint32_t k = 0; m->type == WIRE_OUTPUT && k < m->n_items; k++)
        got_output(&m->items[k]);
}

static void turn(void)
{
    uint64_t now = clock_now();
    size_t n;

    lanes_step(b.s, now);
    worker_tick(b.w, now);
    worker_flush(b.w, now);
    const struct worker_effect *e = worker_effects(b.w, &n);

    for (size_t k = 0; k < n; k++)
        if (!lanes_perform(b.s, now, &e[k]) && e[k].type == WORKER_SEND)
            got(&e[k].msg);
    worker_effects_done(b.w);
    assert_null(worker_check(b.w));
}

/* Turns until *count is there; fails after a minute. */
static void until(const uint64_t *count, uint64_t at_least)
{
    uint64_t end = clock_now() + 60 * CLOCK_SEC;

    for (turn(); *count < at_least; turn()) {
        uint64_t now = clock_now(), deadline = lanes_deadline(b.s), core = worker_deadline(b.w);
        struct pollfd f = { lanes_fd(b.s), POLLIN, 0 };

        if (now > end)
            fail_msg("waited a minute; the last failure was: %s%s", b.message, b.text);
        deadline = core < deadline ? core : deadline;
        deadline = end < deadline ? end : deadline;
        if (deadline > now && !lanes_arm(b.s, lanes_want(b.s)))
            poll(&f, 1, clock_poll_ms(now, deadline));
    }
}

static void message(struct wire_msg *m)
{
    worker_recv(b.w, clock_now(), m);
}

static void start(uint32_t slots)
{
    struct lanes_config c = { .resolve = resolve };
    struct worker_config wc = { .slots = slots, .host = "here", .idle_lanes = 1 };
    struct wire_msg m = { .type = WIRE_WELCOME };
    char path[4096];
    struct err e = { 0 };

    memset(&b, 0, sizeof(b));
    b.program = -1;
    if (exec_object_program(&b.program, path, sizeof(path), &e) < 0 || lanes_new(&c, &b.s, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(worker_new(&wc, lanes_ops(), b.s, &b.w), 0);
    lanes_attach(b.s, b.w);
    worker_connected(b.w, clock_now());
    m.u.welcome = (struct wire_welcome){ .protocol = WIRE_PROTOCOL, .epoch = 5, .heartbeat_ms = 600000, .lease_ms = 600000 };
    message(&m);
}

static void stop(void)
{
    lanes_free(&b.s);
    worker_free(&b.w);
    close(b.program);
}

static void pool(uint32_t slots, uint32_t max_tasks, bool with_program)
{
    static const uint8_t digest[WIRE_DIGEST] = { 1 }, owner[WIRE_KEY] = { 2 };
    struct wire_pool_spec spec = { .program_name = WIRE_STR("test_lanes"), .max_tasks = max_tasks };
    struct wire_msg m = { .type = WIRE_GRANT };
    struct buf *doc;

    if (with_program)
        spec.program = wire_bin_of(digest, sizeof(digest));
    doc = wire_pool_spec_encode(&spec);
    m.u.grant = (struct wire_grant){ 1, slots, wire_bin_of(digest, 32), wire_bin_of(doc->data, doc->size), wire_bin_of(owner, 32) };
    message(&m);
    buf_unref(&doc);
}

static int32_t retries;             /* of the jobs that follow */

static void job(bfork_task_fn *fn, uint64_t run_limit_ms)
{
    static const uint8_t id[WIRE_ID] = { 9 };
    struct object_fn f;
    struct err e = { 0 };
    struct buf *doc, *spec;
    struct wire_msg m = { .type = WIRE_JOB_SPEC };

    if (exec_object_function((object_pointer *)fn, &f, &e) < 0)
        fail_msg("%s", e.text);
    doc = wire_fn_encode(&f.fn);
    spec = wire_job_spec_encode(&(struct wire_job_spec){ .fn = wire_bin_of(doc->data, doc->size),
                                                         .run_limit_ms = run_limit_ms,
                                                         .retries = retries,
                                                         .name = WIRE_STR("t"),
                                                         .client_host = WIRE_STR("h") });
    m.u.job_spec = (struct wire_job_to_worker){
        .job = 1, .pool = 1, .id = wire_bin_of(id, sizeof(id)), .spec = wire_bin_of(spec->data, spec->size)
    };
    message(&m);
    buf_unref(&doc);
    buf_unref(&spec);
}

/* count tasks with the argument list [x]. */
static void chunk(uint64_t attempt, uint64_t first, uint32_t count, uint8_t x)
{
    uint8_t *body = malloc(2 * (size_t)count);
    struct wire_item i = { .id = attempt, .job = 1, .first = first, .count = count, .flags = WIRE_FIXED, .size = 2 };
    struct wire_msg m = { .type = WIRE_CHUNKS, .items = &i, .n_items = 1 };

    for (uint32_t k = 0; k < count; k++) {
        body[2 * k] = 0x91;
        body[2 * k + 1] = x;
    }
    i.body = slice_borrow(body, 2 * (size_t)count);
    message(&m);
    free(body);
}

static int naps(bfork_task *t)
{
    int ms;

    if (bfork_args(t, &ms))
        return -1;
    if (ms)
        usleep((useconds_t)ms * 1000);
    return 0;
}

/* Short tasks are claimed by many at a time; those that may begin only once one by one, or all that were claimed would be in doubt.
 */
static void at_most_once_tasks_are_claimed_one_by_one(void **state)
{
    struct wire_item i = { .id = 2, .first = 5003, .count = 17, .why = WIRE_WHY_BALANCE };
    struct wire_msg m = { .type = WIRE_RECALL, .items = &i, .n_items = 1 };

    (void)state;
    start(1);
    pool(1, 0, true);
    retries = -1;
    job(naps, 0);
    retries = 0;
    chunk(1, 0, 5000, 0);
    until(&b.ok, 5000);                 /* now they are known to be short */
    chunk(2, 5000, 20, 100);
    until(&b.ok, 5001);
    message(&m);
    until(&b.ok, 5003);
    assert_int_equal(b.returned, 17);
    stop();
}

static void simple(enum wire_type type)
{
    struct wire_item i = { .id = 1, .why = WIRE_WHY_DONE };
    struct wire_msg m = { .type = type };

    if (type == WIRE_ATTEMPTS_CLOSE)
        m.items = &i, m.n_items = 1;
    else
        m.u.job_ref.job = 1;
    message(&m);
}

/* What was measured of a job says nothing about the next one with its number: of that the first task is taken alone. */
static void a_job_with_a_used_number_is_measured_anew(void **state)
{
    struct wire_item i = { .id = 2, .first = 5003, .count = 17, .why = WIRE_WHY_BALANCE };
    struct wire_msg m = { .type = WIRE_RECALL, .items = &i, .n_items = 1 };

    (void)state;
    start(1);
    pool(1, 0, true);
    job(naps, 0);
    chunk(1, 0, 5000, 0);
    until(&b.ok, 5000);                 /* now they are known to be short */
    simple(WIRE_ATTEMPTS_CLOSE);
    simple(WIRE_JOB_FORGET);
    job(naps, 60000);
    chunk(2, 5000, 20, 100);
    until(&b.ok, 5001);
    message(&m);
    until(&b.ok, 5003);
    assert_int_equal(b.returned, 17);
    stop();
}

static void tasks_run_in_all_processes(void **state)
{
    (void)state;
    start(2);
    pool(2, 0, true);
    job(task_square, 0);
    for (uint32_t k = 0; k < 200; k++)
        chunk(1 + k, 50 * (uint64_t)k, 50, 7);
    until(&b.ok, 10000);
    struct worker_counters c;

    worker_counters(b.w, &c);
    assert_int_equal(c.tasks_ok, 10000);
    assert_int_equal(c.procs, 2);
    assert_int_equal(b.failed, 0);
    stop();
}

static void a_crash_costs_one_task(void **state)
{
    (void)state;
    start(1);
    pool(1, 0, true);
    job(task_abort, 0);
    chunk(1, 0, 3, 1);
    until(&b.failed, 3);
    if (b.outcome.kind != BFORK_CRASHED)
        fail_msg("kind %d: %s", b.outcome.kind, b.message);
    assert_int_equal(b.outcome.signal, SIGABRT);
    assert_int_equal(b.outcome.index, 2);
    assert_int_equal(b.outcome.attempt, 1);
    stop();
}

static int writes_if_1(bfork_task *t)
{
    int n;

    if (bfork_args(t, &n))
        return -1;
    return n == 1 ? task_scribble(t) : 0;
}

/* Those before it in the ring are done, or run again; none of them is charged. */
static void r10_who_writes_over_the_ring_is_charged_alone(void **state)
{
    (void)state;
    start(1);
    pool(1, 0, true);
    job(writes_if_1, 0);
    chunk(1, 0, 5000, 0);
    until(&b.ok, 5000);                 /* now they are known to be short: many are in the ring */
    chunk(2, 5000, 20, 0);
    chunk(3, 5020, 1, 1);
    turn();
    while (kill((pid_t)b.pid, 0) == 0)  /* all ran, and nobody has read a result */
        usleep(1000);
    until(&b.failed, 1);
    assert_int_equal(b.outcome.index, 5020);
    until(&b.ok, 5020);
    assert_int_equal(b.failed, 1);
    stop();
}

static void a_task_over_its_limit_is_killed(void **state)
{
    (void)state;
    start(1);
    pool(1, 0, true);
    job(task_loop, 100);
    chunk(1, 0, 1, 1);
    until(&b.failed, 1);
    assert_int_equal(b.outcome.kind, BFORK_OVERTIME);
    stop();
}

/* Says that it has begun, and never ends. */
static int begins(bfork_task *t)
{
    printf("begun\n");
    fflush(stdout);
    return task_loop(t);
}

static void a_cancelled_task_is_killed(void **state)
{
    struct wire_item i = { .id = 1, .first = 0, .count = 4, .why = WIRE_WHY_CANCEL };
    struct wire_msg m = { .type = WIRE_RECALL, .items = &i, .n_items = 1 };
    struct worker_counters c;

    (void)state;
    start(1);
    pool(1, 0, true);
    job(begins, 0);
    chunk(1, 0, 4, 1);
    until(&b.outputs, 1);
    worker_counters(b.w, &c);
    assert_int_equal(c.busy, 1);
    message(&m);
    until(&b.returned, 3);
    until(&b.failed, 1);
    assert_int_equal(b.outcome.kind, BFORK_CANCELLED);
    assert_int_equal(b.returned, 3);
    assert_int_equal(b.ok, 0);
    stop();
}

static void processes_are_renewed(void **state)
{
    (void)state;
    start(1);
    pool(1, 2, true);
    job(task_pid, 0);
    chunk(1, 0, 7, 1);
    until(&b.ok, 7);
    assert_int_equal(b.failed, 0);
    stop();
}

static void r21_output_comes_with_its_task_and_before_its_result(void **state)
{
    (void)state;
    start(1);
    pool(1, 0, true);
    job(task_print, 0);
    chunk(1, 5, 1, 1);
    until(&b.ok, 1);
    assert_int_equal(b.output_size, strlen("to stdout\nto stderr\n"));
    assert_int_equal(b.output_index, 5);
    stop();
}

static void a_program_that_is_not_there_fails_the_pool(void **state)
{
    (void)state;
    start(1);
    close(b.program);
    b.program = -1;
    pool(1, 0, true);
    job(task_square, 0);
    chunk(1, 0, 3, 1);
    until(&b.returned, 3);
    assert_int_equal(b.pool_failed, 1);
    assert_string_equal(b.stage, "fetch");
    assert_string_equal(b.text, "no such program");
    stop();
}

static void a_program_may_come_later(void **state)
{
    (void)state;
    start(1);
    b.later = true;
    pool(1, 0, true);
    job(task_square, 0);
    chunk(1, 0, 3, 1);
    turn();
    assert_int_equal(b.asked, 1);
    assert_true(lanes_known(b.s, b.asked));
    lanes_program(b.s, b.asked, NULL, b.program, NULL);
    until(&b.ok, 3);
    stop();
}

static void a_file_that_is_no_program_fails_the_pool(void **state)
{
    (void)state;
    start(1);
    b.later = true;
    pool(1, 0, true);
    job(task_square, 0);
    chunk(1, 0, 3, 1);
    turn();
    lanes_program(b.s, b.asked, "/nonexistent/program", -1, NULL);
    until(&b.returned, 3);
    assert_int_equal(b.pool_failed, 1);
    stop();
}

/* Crashes are ours to see, not the sanitizer's. */
const char *__asan_default_options(void) __attribute__((visibility("default")));
const char *__asan_default_options(void)
{
    return "handle_segv=0:handle_abort=0:handle_sigbus=0:detect_leaks=0";
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_run_in_all_processes),
        cmocka_unit_test(at_most_once_tasks_are_claimed_one_by_one),
        cmocka_unit_test(a_job_with_a_used_number_is_measured_anew),
        cmocka_unit_test(a_crash_costs_one_task),
        cmocka_unit_test(r10_who_writes_over_the_ring_is_charged_alone),
        cmocka_unit_test(a_task_over_its_limit_is_killed),
        cmocka_unit_test(a_cancelled_task_is_killed),
        cmocka_unit_test(processes_are_renewed),
        cmocka_unit_test(r21_output_comes_with_its_task_and_before_its_result),
        cmocka_unit_test(a_program_that_is_not_there_fails_the_pool),
        cmocka_unit_test(a_program_may_come_later),
        cmocka_unit_test(a_file_that_is_no_program_fails_the_pool),
    };

    bfork_init(&argc, &argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
