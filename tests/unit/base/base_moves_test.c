/* SPDX-License-Identifier: MPL-2.0
 * base_moves_test.c - tables of states: what follows, what comes too late, and that what cannot be ends the program with a text.
 */
#include "base/moves.h"

#include <signal.h>
#include <stdarg.h>
#include <setjmp.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum lamp_state { LAMP_OFF, LAMP_ON, LAMP_STATES };
enum lamp_event { LAMP_PRESS, LAMP_ALARM, LAMP_EVENTS };
static const char *const lamp_states[] = { "off", "on" };
static const char *const lamp_events[] = { "be pressed", "hear the alarm" };
static const uint8_t lamp_cells[LAMP_STATES][LAMP_EVENTS] = {
    [LAMP_OFF] = { [LAMP_PRESS] = TO(LAMP_ON) },
    [LAMP_ON] = { [LAMP_PRESS] = TO(LAMP_OFF), [LAMP_ALARM] = MOVES_LATE },
};
static const struct moves lamp_moves = MOVES("a lamp", lamp_states, lamp_events, lamp_cells);

static void a_cell_says_what_follows(void **state)
{
    unsigned to = 77;

    (void)state;
    assert_true(moves_next(&lamp_moves, LAMP_OFF, LAMP_PRESS, &to));
    assert_int_equal(to, LAMP_ON);
    assert_true(moves_next(&lamp_moves, LAMP_ON, LAMP_PRESS, &to));
    assert_int_equal(to, LAMP_OFF);
}

static void what_comes_late_changes_nothing(void **state)
{
    unsigned to = 77;

    (void)state;
    assert_false(moves_next(&lamp_moves, LAMP_ON, LAMP_ALARM, &to));
    assert_int_equal(to, 77);
}

/* What the program says that asks for this cell; it must abort. */
static void impossible(unsigned from, unsigned event, char text[static 256])
{
    int out[2], status;
    ssize_t n;
    pid_t pid;

    assert_int_equal(pipe(out), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        unsigned to;

        signal(SIGABRT, SIG_DFL);
        dup2(out[1], STDERR_FILENO);
        (void)moves_next(&lamp_moves, from, event, &to);
        _exit(0);
    }
    close(out[1]);
    n = read(out[0], text, 255);
    assert_true(n >= 0);
    text[n] = 0;
    close(out[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void what_cannot_be_ends_the_program(void **state)
{
    char text[256];

    (void)state;
    impossible(LAMP_OFF, LAMP_ALARM, text);
    assert_non_null(strstr(text, "a lamp that is off cannot hear the alarm"));
    impossible(2, 0, text);
    assert_non_null(strstr(text, "a lamp has no state 2 or no event 0"));
    impossible(0, 2, text);
    assert_non_null(strstr(text, "a lamp has no state 0 or no event 2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cell_says_what_follows),
        cmocka_unit_test(what_comes_late_changes_nothing),
        cmocka_unit_test(what_cannot_be_ends_the_program),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
