/* SPDX-License-Identifier: MPL-2.0
 * test_rights.c - as whom a worker goes on, by who it is and what it was told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bfork.h"
#include "rights.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum end { STAYS, CHANGES, REFUSES };

static void decides(enum end wanted, struct rights_facts f, const char *word)
{
    struct err e = { 0 };
    bool change = wsh_rights_decide(&f, &e);

    assert_int_equal(change ? CHANGES : e.code < 0 ? REFUSES : STAYS, wanted);
    if (word && !strstr(e.text, word))
        fail_msg("\"%s\" is not in: %s", word, e.text);
}

static void r12_tasks_are_never_root_unless_that_is_said(void **state)
{
    (void)state;
    decides(CHANGES, (struct rights_facts){ .euid = 0, .found = true, .uid = 77 }, NULL);
    decides(CHANGES, (struct rights_facts){ .euid = 0, .user = "work", .found = true, .uid = 77 }, NULL);
    decides(CHANGES, (struct rights_facts){ .euid = 0, .user = "work", .found = true, .uid = 77, .allow_root = true }, NULL);
    decides(REFUSES, (struct rights_facts){ .euid = 0 }, "no user broadfork");
    decides(REFUSES, (struct rights_facts){ .euid = 0, .user = "work" }, "no user work");
    decides(REFUSES, (struct rights_facts){ .euid = 0, .user = "work", .allow_root = true }, "no user work");
    decides(REFUSES, (struct rights_facts){ .euid = 0, .user = "root", .found = true }, "--allow-root-tasks");
    decides(STAYS, (struct rights_facts){ .euid = 0, .user = "root", .found = true, .allow_root = true }, NULL);
    decides(STAYS, (struct rights_facts){ .euid = 0, .allow_root = true }, NULL);
}

static void who_is_not_root_stays_who_it_is(void **state)
{
    (void)state;
    decides(STAYS, (struct rights_facts){ .euid = 5 }, NULL);
    decides(STAYS, (struct rights_facts){ .euid = 5, .allow_root = true }, NULL);
    decides(STAYS, (struct rights_facts){ .euid = 5, .user = "me", .found = true, .uid = 5 }, NULL);
    decides(REFUSES, (struct rights_facts){ .euid = 5, .user = "you", .found = true, .uid = 6 }, "not started as root");
    decides(REFUSES, (struct rights_facts){ .euid = 5, .user = "you" }, "not started as root");
}

static void r25_a_file_that_is_ours_is_exposed(void **state)
{
    (void)state;
    FILE *f = fopen("own.key", "w");

    assert_non_null(f);
    fclose(f);
    assert_int_equal(chmod("own.key", 0), 0);
    assert_true(wsh_rights_expose("own.key"));
    assert_int_equal(unlink("own.key"), 0);
    assert_int_equal(wsh_rights_expose("own.key"), geteuid() == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r12_tasks_are_never_root_unless_that_is_said),
        cmocka_unit_test(who_is_not_root_stays_who_it_is),
        cmocka_unit_test(r25_a_file_that_is_ours_is_exposed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
