/* SPDX-License-Identifier: MPL-2.0
 * keeper_test.c - nothing that a task has started outlives its template, its keeper or its owner, however they end. An owner that
 * may be killed is a process of its own here; what it starts is found by an entry of the environment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "owner.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char self[4096];
#define FN(f) ((void (*)(void))(f))

static int pidfd_of(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

/* Until it is gone; the descriptor was opened while it lived. */
static void assert_ends(int pidfd)
{
    struct pollfd f = { pidfd, POLLIN, 0 };

    assert_true(pidfd >= 0);
    if (poll(&f, 1, 10000) != 1)
        fail_msg("a process of a task is still there");
    close(pidfd);
}

static pid_t parent_of(pid_t pid)
{
    char path[64], text[512] = "", *at;
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && (n = read(fd, text, sizeof(text) - 1)) > 0);
    close(fd);
    assert_non_null(at = strrchr(text, ')'));
    return atoi(at + 4);
}

struct scene { struct owner o; struct exec_proc *p; int grandchild, command; };

/* A task that has left two processes behind it and waits. */
static void set(struct scene *s, bool adopt)
{
    int pids[2];

    owner_open(&s->o, &(struct pool){ .program = self, .adopt = adopt, .hide_secrets = adopt });
    s->p = owner_proc(&s->o);
    owner_job(s->p, 1, FN(task_leaves_and_waits), 0, 0);
    owner_push(s->p, 1, "\x90", 1, 1, 1);
    while (!memchr(s->o.out, '\n', sizeof(s->o.out)))
        owner_turn(&s->o);
    assert_int_equal(sscanf(s->o.out, "%d %d", &pids[0], &pids[1]), 2);
    assert_true((s->grandchild = pidfd_of(pids[0])) >= 0);
    assert_true((s->command = pidfd_of(pids[1])) >= 0);
}

static void r11_a_dead_template_leaves_nothing(void **state)
{
    struct scene s;
    (void)state;

    set(&s, false);
    kill(parent_of(exec_proc_pid(s.p)), SIGKILL);
    owner_until(&s.o, &s.o.failed, 1);
    assert_non_null(strstr(s.o.fail_text, "signal 9"));
    assert_ends(s.grandchild);
    assert_ends(s.command);
    owner_close(&s.o);
}

static void r11_a_worker_does_the_work_of_a_dead_keeper(void **state)
{
    struct scene s;
    (void)state;

    set(&s, true);
    kill(parent_of(parent_of(exec_proc_pid(s.p))), SIGKILL);
    owner_until(&s.o, &s.o.failed, 1);
    assert_non_null(strstr(s.o.fail_text, "keeper"));
    assert_ends(s.grandchild);
    assert_ends(s.command);
    owner_close(&s.o);
}

static void r11_a_stopped_template_leaves_nothing(void **state)
{
    struct scene s;
    (void)state;

    set(&s, false);
    exec_template_stop(s.o.t);
    assert_ends(s.grandchild);
    assert_ends(s.command);
    owner_close(&s.o);
}

/* An owner in a process of its own, which is killed. */
static void kill_owner(bool adopt)
{
    int fds[2], pids[2];

    assert_int_equal(pipe(fds), 0);
    pid_t owner = fork();
    if (owner == 0) {
        static struct scene s;
        set(&s, adopt);
        sscanf(s.o.out, "%d %d", &pids[0], &pids[1]);
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
}

static void r19_commands_end_with_a_killed_worker(void **state)
{
    (void)state;
    kill_owner(true);
}

static void r19_commands_end_with_a_killed_program(void **state)
{
    (void)state;
    kill_owner(false);
}

static bool has_entry(const char *pid, const char *entry)
{
    static char text[65536];
    char path[300];
    size_t n = 0;
    ssize_t got;

    snprintf(path, sizeof(path), "/proc/%s/environ", pid);
    int fd = open(path, O_RDONLY);
    while (fd >= 0 && n < sizeof(text) && (got = read(fd, text + n, sizeof(text) - n)) > 0)
        n += (size_t)got;
    if (fd >= 0)
        close(fd);
    return n && memmem(text, n, entry, strlen(entry)) != NULL;
}

static int count_marked(const char *entry)
{
    DIR *d = opendir("/proc");
    struct dirent *e;
    int n = 0;

    while (d && (e = readdir(d)))
        n += isdigit((unsigned char)e->d_name[0]) && atoi(e->d_name) != getpid() && has_entry(e->d_name, entry);
    if (d)
        closedir(d);
    return n;
}

/* A process of the task, in a session of its own, kills what keeps it: nothing is left all the same. */
static void r11_a_task_that_kills_its_ancestors_leaves_nothing(void **state)
{
    (void)state;
    for (int how = 1; how <= 5; how++) {
        char entry[64];
        int fds[2], started = 0;

        snprintf(entry, sizeof(entry), "HOME=/keeper-test-%d-%d", (int)getpid(), how);
        assert_int_equal(pipe(fds), 0);
        pid_t owner = fork();
        if (owner == 0) {
            static struct owner o;
            uint8_t args[16];
            uint32_t n = pack_int(args, how);
            putenv(entry);
            owner_open(&o, &(struct pool){ .program = self, .adopt = true, .hide_secrets = true });
            struct exec_proc *p = owner_proc(&o);
            owner_job(p, 1, FN(task_kills_its_ancestors), 0, 0);
            owner_push(p, 1, args, n, 1, 1);
            if (write(fds[1], &n, 1) < 0)
                _exit(1);
            owner_until(&o, &o.failed, 1);
            owner_close(&o);
            _exit(0);
        }
        assert_int_equal(read(fds[0], &started, 1), 1);
        waitpid(owner, NULL, 0);
        uint64_t until = clock_now() + 10 * CLOCK_SEC;
        while (count_marked(entry) && clock_now() < until)
            poll(NULL, 0, 5);
        if (count_marked(entry))
            fail_msg("%d processes of a task are left after it has killed its ancestors, way %d", count_marked(entry), how);
        close(fds[0]);
        close(fds[1]);
    }
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[n > 0 ? n : 0] = '\0';
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r11_a_dead_template_leaves_nothing), cmocka_unit_test(r11_a_worker_does_the_work_of_a_dead_keeper),
        cmocka_unit_test(r11_a_stopped_template_leaves_nothing), cmocka_unit_test(r19_commands_end_with_a_killed_worker),
        cmocka_unit_test(r19_commands_end_with_a_killed_program),
        cmocka_unit_test(r11_a_task_that_kills_its_ancestors_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
