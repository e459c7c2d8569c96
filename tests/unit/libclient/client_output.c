/* SPDX-License-Identifier: MPL-2.0
 * client_output.c - what tasks print: comes whole to the session's function with its index, in order on each stream, before its
 * outcome; goes to stdout without one; memory is bounded, and who does not read stops only those that print.
 */
#include "tasks.h"

#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
/* 16 MiB that the program has not taken, as pieces on both sides of the local engine, and the blocks they are read into. */
#ifdef BF_SANITIZED
#define PEAK_KIB (96 * 1024)                /* around each piece, and the little of what was freed that is kept back */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "quarantine_size_mb=4"; }
#else
#define PEAK_KIB (64 * 1024)
#endif

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
        ssize_t n = read(ends[0], text + used, 6 - used);
        assert_true(n > 0);                     /* it is there with the result */
        used += (size_t)n;
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

static void r21_a_flood_comes_whole_and_memory_is_bounded(void **state)
{
    static struct heard h;
    (void)state;
    bfork_session *s = hearing(&h);
    bfork_pool *p = bfork_pool_new(s, 1, NULL);
    run(p, add_one, 1);
    long before = peak_kib();
    run(p, floods, 200);
    assert_int_equal(h.bytes[1], 200 * MIB);
    assert_true(peak_kib() - before < PEAK_KIB);
    assert_int_equal(h.marks, 0);
    bfork_pool_free(&p);
    bfork_session_free(&s);
}

static void *waits_for_result(void *future)
{
    return (void *)(uintptr_t)(bfork_result((bfork_future *)future) != 0);
}

/* The program's function takes nothing for a while: tasks that print wait, all others do not. */
static void r21_a_stuck_reader_stops_only_tasks_that_print(void **state)
{
    static struct heard h = { .gate = 1 };
    pthread_t thread;
    void *failed;
    (void)state;
    bfork_session *s = bfork_session_new("local:", &(bfork_session_options){ .output = hear, .output_data = &h,
                                                                             .max_output_bytes = MIB });
    bfork_pool *p = bfork_pool_new(s, 1, NULL), *silent = bfork_pool_new(s, 1, NULL);
    bfork_future *flood = bfork_submit(p, floods, 40);
    long before = peak_kib();
    ok(pthread_create(&thread, NULL, waits_for_result, flood));
    while (!h.entered)                          /* the thread is inside the function, and stays there */
        sched_yield();
    for (int i = 0; i < 200; i++)
        run(silent, add_one, i);
    assert_int_equal(bfork_future_wait(flood, 0), BFORK_ETIMEDOUT);
    assert_int_equal(h.bytes[1], 0);
    assert_true(peak_kib() - before < 16 * 1024);
    h.gate = 0;
    ok(pthread_join(thread, &failed));
    assert_null(failed);
    assert_int_equal(h.bytes[1], 40 * MIB);
    assert_int_equal(h.marks, 0);
    bfork_future_free(&flood);
    bfork_pool_free(&p);
    bfork_pool_free(&silent);
    bfork_session_free(&s);
}

/* ---- many tasks, many lines ---- */

#define TASKS 3000
#define LINES 100

static int prints_numbers(const int *in, int *out, bfork_task *t)
{
    (void)t;
    for (int i = 0; i < LINES; i++)
        printf("%d %d\n", *in, *in * LINES + i);
    *out = *in;
    return 0;
}

struct numbers { uint64_t lines, sum; bool wrong; int next[TASKS]; };

static void count_lines(void *data, const bfork_error *from, int fd, const void *bytes, size_t size)
{
    struct numbers *n = data;
    const char *p = bytes, *end = p + size;
    n->wrong |= fd != 1 || from->index >= TASKS || size == 0 || end[-1] != '\n';
    while (p < end && !n->wrong) {
        char *rest;
        unsigned long task = strtoul(p, &rest, 10), x = strtoul(rest, &rest, 10);
        n->wrong |= *rest != '\n' || task != from->index || x != task * LINES + (unsigned long)n->next[task]++;
        n->lines++;
        n->sum += x;
        p = rest + 1;
    }
}

static void r21_every_line_is_whole_in_order_and_of_its_task(void **state)
{
    static struct numbers n;
    static int in[TASKS], out[TASKS];
    (void)state;
    for (int i = 0; i < TASKS; i++)
        in[i] = i;
    bfork_session *s = bfork_session_new("local:", &(bfork_session_options){ .output = count_lines, .output_data = &n });
    bfork_pool *p = bfork_pool_new(s, 4, NULL);
    ok(bfork_map(p, prints_numbers, in, out, TASKS));
    assert_int_equal(n.lines, (uint64_t)TASKS * LINES);         /* when the map is done, all of it has come */
    assert_int_equal(n.sum, (uint64_t)TASKS * LINES * ((uint64_t)TASKS * LINES - 1) / 2);
    assert_false(n.wrong);
    bfork_pool_free(&p);
    bfork_session_free(&s);
}

/* ---- both streams of tasks that follow each other at once ---- */

#define BOTH_TASKS 4000
#define BOTH_LINES 20

static int both_line(char *line, int task, int fd, int n) { return sprintf(line, "task %d stream %d line %d\n", task, fd, n); }

static int prints_to_both(const int *in, int *out, bfork_task *t)
{
    char line[64];
    (void)t;
    for (int n = 0; n < BOTH_LINES; n++) {
        for (int fd = 1; fd <= 2; fd++) {
            ssize_t size = both_line(line, *in, fd, n);
            if (write(fd, line, (size_t)size) != size)
                return -1;
        }
    }
    *out = *in;
    return 0;
}

struct streams { char text[2][BOTH_LINES * 40]; size_t used[2]; };

static void keep_streams(void *data, const bfork_error *from, int fd, const void *bytes, size_t size)
{
    struct streams *s = (struct streams *)data + from->index;
    assert_int_equal(from->kind, 0);
    assert_true(s->used[fd - 1] + size <= sizeof(s->text[0]));
    memcpy(s->text[fd - 1] + s->used[fd - 1], bytes, size);
    s->used[fd - 1] += size;
}

/* Their pipes are read one after the other, so pieces of the one come behind those of later tasks of the other. */
static void r21_both_streams_of_many_tasks_come_whole(void **state)
{
    static struct streams got[BOTH_TASKS];
    static int in[BOTH_TASKS], out[BOTH_TASKS];
    (void)state;
    for (int i = 0; i < BOTH_TASKS; i++)
        in[i] = i;
    bfork_session *s = bfork_session_new("local:", &(bfork_session_options){ .output = keep_streams, .output_data = got });
    bfork_pool *p = bfork_pool_new(s, 3, NULL);
    for (int turn = 0; turn < 3; turn++) {
        memset(got, 0, sizeof(got));
        ok(bfork_map(p, prints_to_both, in, out, BOTH_TASKS));
        for (int i = 0; i < BOTH_TASKS; i++) {
            for (int fd = 1; fd <= 2; fd++) {
                char want[BOTH_LINES * 40 + 1] = "";
                size_t size = 0;
                for (int n = 0; n < BOTH_LINES; n++)
                    size += (size_t)both_line(want + size, i, fd, n);
                assert_int_equal(got[i].used[fd - 1], size);
                assert_memory_equal(got[i].text[fd - 1], want, size);
            }
        }
    }
    bfork_pool_free(&p);
    bfork_session_free(&s);
}

/* A task that is killed at its limit: what it printed comes, before its outcome. */
static int prints_and_stays(bfork_task *t)
{
    (void)t;
    printf("the last words\nand half a line");
    fflush(stdout);
    while (pause() < 0)
        continue;
    return 0;
}

static void r24_what_an_overtime_task_printed_comes(void **state)
{
    static struct heard h;
    (void)state;
    bfork_session *s = hearing(&h);
    bfork_pool *p = bfork_pool_new(s, 1, NULL);
    bfork_future *f = bfork_submit_with(p, BFORK_OPTIONS(.run_limit_ms = 300), prints_and_stays);
    assert_int_equal(bfork_result(f), BFORK_OVERTIME);
    assert_string_equal(h.text[1], "the last words\nand half a line");
    bfork_future_free(&f);
    bfork_pool_free(&p);
    bfork_session_free(&s);
}

static int prints_half_a_line(bfork_task *t)
{
    int n;
    if (bfork_args(t, &n) != 0)
        return -1;
    printf("%d begins\n%d ends", n, n);
    return 0;
}

static void r21_two_tasks_share_no_line(void **state)
{
    int ends[2], before = dup(1);
    char text[200] = "";
    (void)state;
    fflush(stdout);
    ok(pipe2(ends, O_CLOEXEC));
    assert_int_equal(dup2(ends[1], 1), 1);
    bfork_session *s = local();
    bfork_pool *p = bfork_pool_new(s, 1, NULL);
    run(p, prints_half_a_line, 1);
    run(p, prints_half_a_line, 2);
    bfork_pool_free(&p);
    bfork_session_free(&s);
    dup2(before, 1);
    close(before);
    assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
    close(ends[0]);
    close(ends[1]);
    assert_string_equal(text, "1 begins\n1 ends\n2 begins\n2 ends");
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
#ifndef BF_SANITIZED
    /* What the library holds is measured, not what the allocator keeps back: that is up to as much again for each thread. */
    if (!mallopt(M_ARENA_MAX, 1) || !mallopt(M_MMAP_THRESHOLD, 32768))
        return 99;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_streams_in_order), cmocka_unit_test(output_has_the_index_of_its_task),
        cmocka_unit_test(without_a_function_it_goes_to_stdout),
        cmocka_unit_test(r21_a_flood_comes_whole_and_memory_is_bounded),
        cmocka_unit_test(r21_a_stuck_reader_stops_only_tasks_that_print),
        cmocka_unit_test(r21_every_line_is_whole_in_order_and_of_its_task),
        cmocka_unit_test(r21_both_streams_of_many_tasks_come_whole),
        cmocka_unit_test(r24_what_an_overtime_task_printed_comes), cmocka_unit_test(r21_two_tasks_share_no_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
