/* SPDX-License-Identifier: MPL-2.0
 * spawn - the floor of a new template and of a new task process, medians:
 *     exec   milliseconds, fork and exec of this program, which links nothing and forks two children, until a byte of each arrives
 *     fork   microseconds, fork until the child's first byte arrives, and its end awaited */
#include "contest.h"
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 101 };

static double once(char *const argv[])
{
    int p[2];
    char bytes[2];
    double t = contest_now();
    if (pipe(p) < 0)
        contest_fail("pipe: %s", strerror(errno));
    pid_t pid = contest_fork();
    if (pid == 0) {
        if (!argv) {
            contest_write(p[1], "x", 1);
            _exit(0);
        }
        dup2(p[1], STDOUT_FILENO);
        execv(argv[0], argv);
        _exit(127);
    }
    close(p[1]);
    contest_read(p[0], bytes, argv ? 2 : 1);
    t = contest_now() - t;
    close(p[0]);
    waitpid(pid, NULL, 0);
    return t * 1e6;
}

static double run(void *argv)
{
    static double us[ROUNDS];
    for (int i = 0; i < ROUNDS; i++)
        us[i] = once(argv);
    return contest_median(us, ROUNDS) / (argv ? 1e3 : 1);
}

int main(int argc, char **argv)
{
    char *child[] = { argv[0], (char []){ "child" }, NULL };
    if (argc == 2 && strcmp(argv[1], "child") == 0) {
        for (int i = 0; i < 2; i++)
            if (contest_fork() == 0) {
                contest_write(STDOUT_FILENO, "x", 1);
                _exit(0);
            }
        while (wait(NULL) > 0)
            ;
        return 0;
    }
    return contest_loop(run, NULL, argc == 2 && strcmp(argv[1], "exec") == 0 ? child : NULL);
}
