/* SPDX-License-Identifier: MPL-2.0
 * base_folder_test.c - directories with all that is above them: modes, what is there already, and what is in the way.
 */
#include "base/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char top[] = "folder.XXXXXX";

static int begin(void **state)
{
    (void)state;
    umask(0);
    return mkdtemp(top) && chdir(top) == 0 ? 0 : -1;
}

static int end(void **state)
{
    char command[100];

    (void)state;
    if (chdir("..") != 0)
        return -1;
    snprintf(command, sizeof(command), "rm -rf %s", top);
    return system(command);
}

static unsigned mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    return st.st_mode & 0777;
}

static void what_is_missing_is_made_for_this_user_alone(void **state)
{
    (void)state;
    assert_int_equal(mkdir("there", 0711), 0);
    assert_int_equal(folder_make("there/a/b//c/", -7, NULL), 0);
    assert_int_equal(mode_of("there"), 0711);
    assert_int_equal(mode_of("there/a"), 0700);
    assert_int_equal(mode_of("there/a/b/c"), 0700);
    assert_int_equal(folder_make("there/a/b/c", -7, NULL), 0);
    assert_int_equal(folder_make("one", -7, NULL), 0);
}

static void what_is_above_is_open_whatever_the_umask(void **state)
{
    struct stat st;

    (void)state;
    umask(077);
    assert_int_equal(folder_make_above("x/y/z", -7, NULL), 0);
    umask(0);
    assert_int_equal(mode_of("x"), 0755);
    assert_int_equal(mode_of("x/y"), 0755);
    assert_int_equal(stat("x/y/z", &st), -1);
}

static void what_is_in_the_way_is_named(void **state)
{
    struct err e;
    char longest[8192];
    int fd = open("file", O_CREAT | O_WRONLY, 0600);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(folder_make("file/below", -7, &e), -7);
    assert_int_equal(errno, ENOTDIR);
    assert_int_equal(e.code, -7);
    assert_non_null(strstr(e.text, "file/below"));
    for (size_t i = 0; i < 500; i++)
        longest[i] = i & 1 ? '/' : '.';
    strcpy(longest + 500, "file/below");
    assert_int_equal(folder_make(longest, -7, &e), -7);
    assert_non_null(strstr(e.text, strerror(ENOTDIR)));     /* also where the path alone would fill the text */
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(folder_make(longest, -7, &e), -7);
    assert_int_equal(errno, ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_is_made_for_this_user_alone), cmocka_unit_test(what_is_above_is_open_whatever_the_umask),
        cmocka_unit_test(what_is_in_the_way_is_named),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
