/* SPDX-License-Identifier: MPL-2.0
 * client_forks.c - fork() of a program that has sessions; a program that ends without freeing.
 */
#include "tasks.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void expect_child(pid_t pid, int code)
{
    int status;
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), code);
}

/* In the child: the number of the first thing that is wrong. */
static int use_parents_handles(bfork_session *s, bfork_pool *p, bfork_future *f, bfork_stream *st)
{
    bfork_future *got;
    int one = 1, out;
    if (bfork_session_error(s)->kind != BFORK_EFORKED || bfork_pool_error(p)->kind != BFORK_EFORKED)
        return 1;
    if (bfork_future_wait(f, BFORK_FOREVER) != BFORK_EFORKED || bfork_result(f) != BFORK_EFORKED)
        return 2;
    if (bfork_map(p, square, &one, &out, 1) != BFORK_EFORKED || bfork_pool_size(p) != BFORK_EFORKED)
        return 3;
    if (bfork_pool_wait(p, 1, 0) != BFORK_EFORKED || bfork_pool_join(p, 0) != BFORK_EFORKED)
        return 4;
    if (bfork_stream_next(st, BFORK_FOREVER, &got) != BFORK_EFORKED || bfork_future_cancel(f, 0) != BFORK_EFORKED)
        return 5;
    bfork_future *fresh_one = bfork_submit(p, add_one, 1);
    if (bfork_result(fresh_one) != BFORK_EFORKED)
        return 6;
    bfork_future_free(&fresh_one);
    bfork_pool *pool_of_parents = bfork_pool_new(s, 1, NULL);
    if (bfork_pool_error(pool_of_parents)->kind != BFORK_EFORKED)
        return 7;
    bfork_pool_free(&pool_of_parents);
    bfork_session_interrupt(s);
    bfork_pool_close(p);
    bfork_pool_terminate(p);
    bfork_future_free(&f);
    bfork_stream_free(&st);
    bfork_pool_free(&p);
    bfork_session_free(&s);
    return 0;
}

static int work_of_its_own(void)
{
    int in[] = { 1, 2, 3 }, out[3];
    bfork_pool *p = bfork_pool_new(NULL, 2, NULL);
    int rc = bfork_map(p, square, in, out, 3);
    bfork_pool_free(&p);
    return rc == 0 && out[2] == 9 && children() == 0 ? 0 : 8;
}

static void a_child_has_its_own_sessions(void **state)
{
    int y;
    const char *gate = fresh("gate_fork");
    bfork_session *s = local();
    bfork_pool *p = bfork_pool_new(s, 1, NULL), *shared = bfork_pool_new(NULL, 1, NULL);
    bfork_stream *st = bfork_stream_new();
    (void)state;
    bfork_future *f = bfork_submit(p, waits_for_file, gate);
    bfork_stream_add(st, bfork_submit(p, add_one, 1), NULL);
    bfork_future *warm = bfork_submit(shared, add_one, 1);
    ok(bfork_result(warm));
    bfork_future_free(&warm);
    pid_t pid = fork();
    if (pid == 0) {
        int wrong = use_parents_handles(s, p, f, st);
        _exit(wrong ? wrong : work_of_its_own());
    }
    expect_child(pid, 0);
    fclose(fopen(gate, "w"));
    ok(bfork_result(f));                        /* the parent's go on */
    bfork_future_free(&f);
    ok(bfork_stream_next(st, BFORK_FOREVER, &f));
    ok(bfork_result(f, &y));
    bfork_future_free(&f);
    bfork_stream_free(&st);
    bfork_pool_free(&p);
    bfork_pool_free(&shared);
    bfork_session_free(&s);
}

/* Ends like a program that frees nothing; its processes are told by the file. */
static void leave_without_freeing(const char *path)
{
    bfork_pool *p = bfork_pool_new(NULL, 2, NULL);
    bfork_future *f = bfork_submit(p, touches, path);
    (void)f;
    wait_for_file(path);
    _exit(0);
}

static void a_program_that_ends_leaves_no_process(void **state)
{
    const char *path = fresh("left");
    char text[32] = "";
    (void)state;
    ok(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    pid_t pid = fork();
    if (pid == 0)
        leave_without_freeing(path);
    wait_for_file(path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    expect_child(pid, 0);
    /* Its children are ours now: wait for each of them to end by itself. */
    int status;
    pid_t task = atoi(text);
    bool seen = false;
    for (pid_t got; (got = waitpid(-1, &status, 0)) > 0;)
        seen |= got == task;
    assert_true(seen || kill(task, 0) != 0);
    assert_int_equal(children(), 0);
    ok(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0));
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_has_its_own_sessions), cmocka_unit_test(a_program_that_ends_leaves_no_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
