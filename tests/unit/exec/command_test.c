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
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct owner owner;
static struct exec_proc *proc;
static struct { int status; bfork_bytes out, err; } result;
static struct wire_item item;

/* Runs argv and leaves status and outputs in result. */
static void run(const char *const *argv)
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
    owner_push(proc, 1, packed, (uint32_t)size, 1, 1);
    assert_true(owner_pull(&owner, proc, &item));
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

static void much_output_is_cut_and_marked(void **state)
{
    (void)state;
    RUN("sh", "-c", "head -c 3000000 /dev/zero");
    assert_int_equal(result.status, 0);
    assert_in_range(result.out.size, 900000, WIRE_TASK_MAX);
    assert_non_null(memmem(result.out.data, result.out.size, "output was cut", 14));
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
    owner_job_command(proc, 1);
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
        cmocka_unit_test(much_output_is_cut_and_marked), cmocka_unit_test(what_it_leaves_behind_is_killed_and_not_waited_for),
        cmocka_unit_test(arguments_must_be_strings),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
