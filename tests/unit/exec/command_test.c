/* SPDX-License-Identifier: MPL-2.0
 * command_test.c - commands as tasks: exit status, both outputs, what cannot start, what is cut, what is left behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "owner.h"
#include "wire/value.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct owner owner;
static struct exec_proc *proc;
static struct { int status; bfork_bytes out, err; } result;
static struct wire_item item;

/* What streamed commands have written, as it came. */
static struct { uint64_t bytes[3], sum[3]; char text[3][4096]; bool outside; } told;

static uint64_t checksum(uint64_t sum, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sum = (sum ^ p[i]) * 0x100000001b3u;
    return sum;
}

static void on_print(struct owner *o, const struct exec_print *k)
{
    size_t room = sizeof(told.text[0]) - 1, n = k->size;
    (void)o;
    told.outside |= !k->in_task || k->ahead != 0;
    if (told.bytes[k->stream] + n <= room)
        memcpy(told.text[k->stream] + told.bytes[k->stream], k->bytes, n);
    told.sum[k->stream] = checksum(told.sum[k->stream], k->bytes, n);
    told.bytes[k->stream] += n;
}

static void listen(void)
{
    memset(&told, 0, sizeof(told));
    owner.on_print = on_print;
}

static uint32_t job = 1;

static void push(const char *const *argv)
{
    bfork_arg args[8];
    uint8_t packed[1024];
    struct err e = { 0 };
    size_t n = 0;

    for (; argv[n]; n++)
        args[n] = bfork_arg_str(argv[n]);
    size_t size = value_size(args, n, &e);
    assert_in_range(size, 1, sizeof(packed));
    value_pack(args, n, packed);
    owner_push(proc, job, packed, (uint32_t)size, 1, 1);
}

/* Runs argv and leaves what came in item. */
static void start(const char *const *argv)
{
    push(argv);
    assert_true(owner_pull(&owner, proc, &item));
}

/* … and leaves status and outputs in result. */
static void run(const char *const *argv)
{
    struct err e = { 0 };

    start(argv);
    assert_int_equal(item.kind, WIRE_OK);
    assert_int_equal(value_unpack(item.body.data, item.body.size, (const bfork_ref[]){ bfork_ref_int(&result.status),
                     bfork_ref_bytes(&result.out), bfork_ref_bytes(&result.err) }, 3, NULL, NULL, &e), 0);
}

#define RUN(...) run((const char *const[]){ __VA_ARGS__, NULL })

static void assert_out(bfork_bytes b, const char *text)
{
    assert_int_equal(b.size, strlen(text));
    assert_memory_equal(b.data, text, b.size);
}

static void status_and_outputs_come_back(void **state)
{
    (void)state;
    RUN("sh", "-c", "echo out; echo err >&2; exit 3");
    assert_int_equal(result.status, 3);
    assert_out(result.out, "out\n");
    assert_out(result.err, "err\n");
    RUN("true");
    assert_int_equal(result.status, 0);
    assert_int_equal(result.out.size, 0);
}

static void what_cannot_start_has_the_shells_status(void **state)
{
    (void)state;
    RUN("no-such-command-here");
    assert_int_equal(result.status, 127);
    assert_true(result.err.size > 0);
    RUN("/etc/passwd");
    assert_int_equal(result.status, 126);
}

static void a_signal_is_128_and_its_number(void **state)
{
    (void)state;
    RUN("sh", "-c", "kill -TERM $$");
    assert_int_equal(result.status, 128 + SIGTERM);
}

static void stdin_is_empty(void **state)
{
    (void)state;
    RUN("cat");
    assert_int_equal(result.status, 0);
    assert_int_equal(result.out.size, 0);
}

static void r01_output_that_does_not_fit_is_no_result(void **state)
{
    struct wire_outcome o;
    (void)state;

    RUN("head", "-c", "1000000", "/dev/zero");
    assert_int_equal(result.status, 0);
    assert_int_equal(result.out.size, 1000000);
    start((const char *const[]){ "head", "-c", "3000000", "/dev/zero", NULL });
    assert_int_equal(item.kind, WIRE_OUTCOME);
    owner_outcome(&item, &o);
    assert_int_equal(o.kind, BFORK_FAILED);
    assert_int_equal(o.code, BFORK_ETOOBIG);
    assert_non_null(memmem(o.message.p, o.message.n, "head wrote more than", 20));
    RUN("true");                                /* and the next one is well */
    assert_int_equal(result.status, 0);
}

/* Streamed: all of it, whatever it is, before the result, which has the status alone. */
static void r01_streamed_output_comes_whole_before_the_result(void **state)
{
    uint64_t sum = 0, bytes = 0;
    (void)state;

    job = 2;
    listen();
    RUN("sh", "-c", "seq 1 500000; echo of the same >&2; exit 5");
    assert_int_equal(result.status, 5);
    assert_int_equal(result.out.size + result.err.size, 0);
    for (int i = 1; i <= 500000; i++) {
        char line[16];
        size_t n = (size_t)sprintf(line, "%d\n", i);
        sum = checksum(sum, (const uint8_t *)line, n);
        bytes += n;
    }
    assert_int_equal(told.bytes[1], bytes);
    assert_true(told.sum[1] == sum);
    assert_string_equal(told.text[2], "of the same\n");
    assert_false(told.outside);
    listen();
    RUN("head", "-c", "67108864", "/dev/zero");
    assert_int_equal(told.bytes[1], 67108864);
    job = 1;
}

/* Each has its own, whatever the one before has left behind in a session of its own. */
static void r01_streamed_commands_do_not_share_output(void **state)
{
    (void)state;
    job = 2;
    for (int i = 0; i < 20; i++) {
        listen();
        RUN("sh", "-c", "trap 'exit 0' USR1; setsid sh -c \"kill -USR1 $$; while :; do echo late; done\" & while :; do wait; done");
        assert_int_equal(result.status, 0);
        listen();
        RUN("sh", "-c", "printf mine; printf 'mine, too' >&2");
        assert_string_equal(told.text[1], "mine");
        assert_string_equal(told.text[2], "mine, too");
        assert_false(told.outside);
    }
    listen();
    RUN("no-such-command-here");
    assert_int_equal(result.status, 127);
    assert_string_equal(told.text[2], "no-such-command-here: command not found\n");
    job = 1;
}

/* Who is killed at its limit has written what it has written. */
static void r24_what_an_overtime_command_wrote_is_told(void **state)
{
    (void)state;
    int died = owner.died;
    job = 2;
    listen();
    exec_proc_limit(proc, 300);
    push((const char *const[]){ "sh", "-c", "echo the last words; printf 'and half a line'; echo more >&2; sleep 1000", NULL });
    owner_until(&owner, &owner.died, died + 1);
    assert_int_equal(owner.death.kind, BFORK_OVERTIME);
    assert_string_equal(told.text[1], "the last words\nand half a line");
    assert_string_equal(told.text[2], "more\n");
}

/* A process runs one task after the other, and all write into one pipe. */
static void r21_what_another_task_wrote_is_not_told_of_a_death(void **state)
{
    static const struct { const char *script, *tail; } cases[] = {
        { "sleep 1000", "" },
        { "echo mine >&2; sleep 1000", "mine\n" },
    };

    (void)state;
    job = 2;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int died = owner.died;
        proc = owner_proc(&owner);
        owner_job_command(proc, 2, true);
        RUN("sh", "-c", "echo of another task >&2");
        exec_proc_limit(proc, 300);
        push((const char *const[]){ "sh", "-c", cases[i].script, NULL });
        owner_until(&owner, &owner.died, died + 1);
        assert_int_equal(owner.death.kind, BFORK_OVERTIME);
        assert_string_equal(owner.tail, cases[i].tail);
    }
}

static void what_it_leaves_behind_is_killed_and_not_waited_for(void **state)
{
    (void)state;
    RUN("sh", "-c", "setsid sleep 1000 & echo $!");
    assert_int_equal(result.status, 0);
    pid_t pid = atoi(result.out.data);
    assert_true(pid > 1);
    RUN("true");                        /* the sweep after the first command is over when this one has run */
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
}

static void arguments_must_be_strings(void **state)
{
    struct wire_outcome o;
    (void)state;
    owner_push(proc, 1, "\x91\x05", 2, 1, 1);
    assert_true(owner_pull(&owner, proc, &item));
    assert_int_equal(item.kind, WIRE_OUTCOME);
    owner_outcome(&item, &o);
    assert_int_equal(o.kind, BFORK_MISMATCH);
}

static int setup(void **state)
{
    (void)state;
    owner_open(&owner, &(struct pool){ .program = NULL });
    proc = owner_proc(&owner);
    owner_job_command(proc, 1, false);
    owner_job_command(proc, 2, true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    owner_close(&owner);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_and_outputs_come_back), cmocka_unit_test(what_cannot_start_has_the_shells_status),
        cmocka_unit_test(a_signal_is_128_and_its_number), cmocka_unit_test(stdin_is_empty),
        cmocka_unit_test(r01_output_that_does_not_fit_is_no_result),
        cmocka_unit_test(what_it_leaves_behind_is_killed_and_not_waited_for),
        cmocka_unit_test(arguments_must_be_strings), cmocka_unit_test(r01_streamed_output_comes_whole_before_the_result),
        cmocka_unit_test(r01_streamed_commands_do_not_share_output), cmocka_unit_test(r24_what_an_overtime_command_wrote_is_told),
        cmocka_unit_test(r21_what_another_task_wrote_is_not_told_of_a_death),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
