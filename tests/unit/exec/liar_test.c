/* SPDX-License-Identifier: MPL-2.0
 * liar_test.c - a template is a process of a user's program, and may say anything. What it cannot say truly ends it, with a failure
 * that has a code of ours; nothing that it says becomes the outcome of a task.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "exec/sweep.h"
#include "owner.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIAR TEST_DIR "/exec_liar"

static void open_liar(struct owner *o, const char *how)
{
    char argv[100];
    int n = snprintf(argv, sizeof(argv), "exec_liar%c%s", 0, how);

    owner_open(o, &(struct pool){ .program = LIAR, .argv = argv, .n_argv = (uint32_t)n + 1 });
}

static struct exec_proc *ask(struct owner *o)
{
    struct exec_proc *p;
    struct err e = { 0 };

    owner_until(o, &o->ready, 1);
    assert_int_equal(exec_proc_start(o->t, o, &p, &e), 0);
    return p;
}

static void r10_what_a_template_cannot_say_ends_it(void **state)
{
    static const char *const lies[] = {
        "code 0", "code cancelled", "code least", "code above", "end without beginning", "pid", "pid 1",
        "never ran", "another's end", "stopped", "twice", "another's fork", "another's failure",
    };
    struct owner o;
    (void)state;

    for (size_t k = 0; k < sizeof(lies) / sizeof(lies[0]); k++) {
        unlink("asked");
        open_liar(&o, lies[k]);
        ask(&o);
        while (!o.failed && !o.died)
            owner_turn(&o);
        if (o.died)
            fail_msg("%s: it became the end of a process, kind %d: %s", lies[k], o.death.kind, o.message);
        assert_int_equal(o.fail_code, BFORK_CRASHED);
        assert_string_equal(o.fail_stage, "template");
        assert_non_null(strstr(o.fail_text, "was ended: it told"));
        owner_close(&o);
    }
}

/* What is left of the groups of task processes is killed when their keeper has been; but not what is none of theirs. */
static void r10_nobody_is_killed_on_the_word_of_a_template(void **state)
{
    char argv[100];
    struct owner o;
    pid_t bystander = fork(), children[8];
    (void)state;

    if (bystander == 0) {
        setpgid(0, 0);
        pause();
        _exit(0);
    }
    setpgid(bystander, bystander);
    int n = snprintf(argv, sizeof(argv), "exec_liar%cbystander%c%d", 0, 0, (int)bystander);
    owner_open(&o, &(struct pool){ .program = LIAR, .argv = argv, .n_argv = (uint32_t)n + 1 });
    struct exec_proc *p = ask(&o);
    while (exec_proc_pid(p) != bystander)
        owner_turn(&o);
    for (size_t k = exec_sweep_list(children, 8); k-- > 0;)
        if (children[k] != bystander)
            kill(children[k], SIGKILL);     /* the keeper */
    owner_until(&o, &o.failed, 1);
    usleep(50000);                          /* a signal that was sent has come by then */
    assert_int_equal(waitpid(bystander, NULL, WNOHANG), 0);
    kill(bystander, SIGKILL);
    assert_int_equal(waitpid(bystander, NULL, 0), bystander);
    owner_close(&o);
}

static void r10_a_template_says_that_it_could_not_fork(void **state)
{
    struct owner o;
    (void)state;

    open_liar(&o, "");
    for (int k = 1; k <= 3; k++) {
        ask(&o);
        owner_until(&o, &o.died, k);
        assert_int_equal(o.death.kind, BFORK_EAGAIN);
        assert_false(o.death.in_task);
    }
    assert_int_equal(o.failed, 0);
    owner_close(&o);
}

static void r10_a_failure_to_start_has_a_code_of_ours(void **state)
{
    static const char *const lies[] = { "failed least", "failed above" };
    struct owner o;
    (void)state;

    for (size_t k = 0; k < 2; k++) {
        open_liar(&o, lies[k]);
        owner_until(&o, &o.failed, 1);
        assert_int_equal(o.fail_code, BFORK_REFUSED);
        owner_close(&o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r10_what_a_template_cannot_say_ends_it),
        cmocka_unit_test(r10_nobody_is_killed_on_the_word_of_a_template),
        cmocka_unit_test(r10_a_template_says_that_it_could_not_fork),
        cmocka_unit_test(r10_a_failure_to_start_has_a_code_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
