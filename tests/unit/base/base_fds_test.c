/* SPDX-License-Identifier: MPL-2.0
 * Descriptors 0, 1 and 2 of a process that was started without them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a child with these descriptors closed: 0, or the number of the check that failed. */
static int child(const int *closed, int n)
{
    char byte = 'x';
    int fd;

    for (int i = 0; i < n; i++)
        close(closed[i]);
    errno = 77;
    fds_reserve();
    if (errno != 77)
        return 1;
    fds_reserve();
    if ((fd = open("/dev/null", O_RDWR | O_CLOEXEC)) < 3)
        return 2;
    for (int i = 0; i < n; i++) {
        struct pollfd p = { .fd = closed[i], .events = POLLIN | POLLOUT };
        if (read(closed[i], &byte, 1) != -1 || errno != EBADF || write(closed[i], &byte, 1) != -1 || errno != EBADF)
            return 3;
        if (poll(&p, 1, 0) != 1 || p.revents != POLLNVAL)
            return 4;
        if (!(fcntl(closed[i], F_GETFD) & FD_CLOEXEC))
            return 5;
    }
    return 0;
}

static void r24_nothing_opened_takes_the_place_of_a_standard_descriptor(void **state)
{
    static const int sets[][3] = { { 0 }, { 1 }, { 2 }, { 0, 1 }, { 0, 2 }, { 1, 2 }, { 0, 1, 2 } };
    static const int sizes[] = { 1, 1, 1, 2, 2, 2, 3 };
    (void)state;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        int status = 0;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            _exit(child(sets[i], sizes[i]));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

static void open_ones_stay(void **state)
{
    int pair[2];
    char byte = 0;
    (void)state;

    assert_int_equal(pipe(pair), 0);
    int kept = dup(0);
    assert_int_equal(dup2(pair[0], 0), 0);
    fds_reserve();
    assert_int_equal(write(pair[1], "y", 1), 1);
    assert_int_equal(read(0, &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_int_equal(dup2(kept, 0), 0);
    close(kept);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r24_nothing_opened_takes_the_place_of_a_standard_descriptor),
        cmocka_unit_test(open_ones_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
