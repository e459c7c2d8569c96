/* SPDX-License-Identifier: MPL-2.0
 * client_output.c - what tasks print: comes to the session's function with its index, in order on each stream; goes to stdout
 * without one; floods are cut and said to be, once, and neither memory nor the next task suffers.
 */
#include "tasks.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>

#define MIB ((size_t)1 << 20)
#define LIMIT (16 * MIB)                    /* of one task */

/* All that came. text: the first bytes of each stream. */
struct heard {
    _Atomic uint64_t bytes[3], marks, indexes;
    char text[3][8192];
    size_t used[3];
    _Atomic int entered, gate;              /* gate 1: the function waits until it is 0 */
};

static void hear(void *data, const bfork_error *from, int fd, const void *bytes, size_t size)
{
    struct heard *h = data;
    size_t room = sizeof(h->text[fd]) - 1 - h->used[fd], n = size < room ? size : room;
    h->entered = 1;
    while (h->gate)
        sched_yield();
    memcpy(h->text[fd] + h->used[fd], bytes, n);
    h->used[fd] += n;
    h->marks += size > 10 && memcmp(bytes, "broadfork:", 10) == 0;
    h->indexes |= 1ull << (from->index & 63);
    assert_true(from->pid > 0 && *from->host);
    h->bytes[fd] += size;
}

static int counts(bfork_task *t)
{
    int n;
    if (bfork_args(t, &n) != 0)
        return -1;
    for (int i = 0; i < n; i++) {
        printf("out %d\n", i);
        fflush(stdout);
        fprintf(stderr, "err %d\n", i);
    }
    return 0;
}

static int floods(bfork_task *t)
{
    static char block[65536];
    int mib;
    if (bfork_args(t, &mib) != 0)
        return -1;
    memset(block, 'x', sizeof(block));
    for (size_t left = (size_t)mib * MIB; left > 0; left -= sizeof(block))
        if (write(1, block, sizeof(block)) != (ssize_t)sizeof(block))
            return 1;
    return 0;
}

static bfork_session *hearing(struct heard *h)
{
    return bfork_session_new("local:", &(bfork_session_options){ .output = hear, .output_data = h });
}

static void run(bfork_pool *p, bfork_task_fn *fn, int x)
{
    bfork_future *f = bfork_submit(p, fn, x);
    ok(bfork_result(f));
    bfork_future_free(&f);
}

/* Output comes beside results: tasks run until it has come. */
static void wait_for(bfork_pool *p, const _Atomic uint64_t *bytes, uint64_t at_least)
{
    while (*bytes < at_least)
        run(p, add_one, 1);
}

static void both_streams_in_order(void **state)
{
    static struct heard h;
    char expected[2][2000] = { "", "" };
    int used[2] = { 0, 0 };
    (void)state;
    bfork_session *s = hearing(&h);
    bfork_pool *p = bfork_pool_new(s, 1, NULL);
    for (int i = 0; i < 100; i++) {
        used[0] += sprintf(expected[0] + used[0], "out %d\n", i);
        used[1] += sprintf(expected[1] + used[1], "err %d\n", i);
    }
    run(p, counts, 100);
    wait_for(p, &h.bytes[1], (uint64_t)used[0]);
    wait_for(p, &h.bytes[2], (uint64_t)used[1]);
    assert_string_equal(h.text[1], expected[0]);
    assert_string_equal(h.text[2], expected[1]);
    assert_int_equal(h.marks, 0);
    bfork_pool_free(&p);
    bfork_session_free(&s);
}

static void output_has_the_index_of_its_task(void **state)
{
    static struct heard h;
    (void)state;
    bfork_session *s = hearing(&h);
    bfork_pool *p = bfork_pool_new(s, 1, NULL);
    for (int i = 0; i < 3; i++) {
        h.indexes = 0;
        run(p, counts, 1);
        wait_for(p, &h.bytes[1], 6 * (uint64_t)(i + 1));
        wait_for(p, &h.bytes[2], 6 * (uint64_t)(i + 1));
        assert_true(h.indexes == 1ull << i);
    }
    assert_int_equal(h.marks, 0);
    bfork_pool_free(&p);
    bfork_session_free(&s);
}

static void without_a_function_it_goes_to_stdout(void **state)
{
    int ends[2], before = dup(1);
    char text[7] = "";
    size_t used = 0;
    (void)state;
    fflush(stdout);
    ok(pipe2(ends, O_CLOEXEC | O_NONBLOCK));
    assert_int_equal(dup2(ends[1], 1), 1);
    bfork_session *s = local();
    bfork_pool *p = bfork_pool_new(s, 1, NULL);
    run(p, counts, 1);
    while (used < 6) {
        run(p, add_one, 1);                     /* delivers what has come */
        ssize_t n = read(ends[0], text + used, 6 - used);
        used += n > 0 ? (size_t)n : 0;
    }
    bfork_pool_free(&p);
    bfork_session_free(&s);
    dup2(before, 1);
    close(before);
    close(ends[0]);
    close(ends[1]);
    assert_string_equal(text, "out 0\n");
}

static long peak_kib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

static void a_flood_is_cut_once_and_the_next_task_is_well(void **state)
{
    static struct heard h;
    (void)state;
    bfork_session *s = hearing(&h);
    bfork_pool *p = bfork_pool_new(s, 1, NULL);
    run(p, add_one, 1);
    long before = peak_kib();
    run(p, floods, 100);
    assert_true(peak_kib() - before < 64 * 1024);
    wait_for(p, &h.marks, 1);
    assert_int_equal(h.bytes[1], LIMIT);
    assert_int_equal(h.marks, 1);
    uint64_t mark = h.bytes[2];
    run(p, counts, 10);
    wait_for(p, &h.bytes[2], mark + 60);
    wait_for(p, &h.bytes[1], LIMIT + 60);
    assert_int_equal(h.bytes[1], LIMIT + 60);
    assert_int_equal(h.marks, 1);
    assert_non_null(strstr(h.text[2], "err 9\n"));
    bfork_pool_free(&p);
    bfork_session_free(&s);
}

static void *waits_for_result(void *future)
{
    return (void *)(uintptr_t)(bfork_result((bfork_future *)future) != 0);
}

static void what_the_program_does_not_take_is_bounded(void **state)
{
    static struct heard h = { .gate = 1 };
    pthread_t thread;
    void *failed;
    (void)state;
    bfork_session *s = hearing(&h);
    bfork_pool *p = bfork_pool_new(s, 1, NULL);
    const char *path = fresh("gate_output");
    bfork_future *first = bfork_submit(p, counts, 1), *slow = bfork_submit(p, waits_for_file, path);
    ok(pthread_create(&thread, NULL, waits_for_result, slow));
    while (!h.entered)                          /* the thread is inside the function, and stays there */
        sched_yield();
    fclose(fopen(path, "we"));
    for (int i = 0; i < 5; i++)
        run(p, floods, 15);
    assert_int_equal(h.bytes[1], 0);
    h.gate = 0;
    wait_for(p, &h.marks, 1);
    ok(pthread_join(thread, &failed));
    assert_null(failed);
    assert_in_range(h.bytes[1], 30 * MIB, 32 * MIB + 100);     /* … and what the function had already */
    assert_int_equal(h.marks, 1);
    uint64_t had = h.bytes[1];
    run(p, counts, 1);
    wait_for(p, &h.bytes[1], had + 6);          /* it is told again */
    bfork_future_free(&first);
    bfork_future_free(&slow);
    bfork_pool_free(&p);
    bfork_session_free(&s);
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_streams_in_order), cmocka_unit_test(output_has_the_index_of_its_task),
        cmocka_unit_test(without_a_function_it_goes_to_stdout), cmocka_unit_test(a_flood_is_cut_once_and_the_next_task_is_well),
        cmocka_unit_test(what_the_program_does_not_take_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
