/* SPDX-License-Identifier: MPL-2.0
 * r21_lines.c - tasks that print their results, many lines in all: every line comes, whole, once, in the order of its task, under
 * its index, before the map is done.
 */
#include <bfork.h>
#include <stdio.h>
#include <stdlib.h>

#define TASKS 3000
#define LINES 100

static int print_numbers(const int *in, int *out, bfork_task *task)
{
    (void)task;
    for (int i = 0; i < LINES; i++)
        printf("%d %d\n", *in, *in * LINES + i);
    *out = *in;
    return 0;
}

struct count { unsigned long lines, sum, wrong; int next[TASKS]; };

static void count_lines(void *data, const bfork_error *from, int fd, const void *bytes, size_t size)
{
    struct count *c = data;
    const char *p = bytes, *end = p + size;

    if (fd != 1 || from->kind || from->index >= TASKS || size == 0 || end[-1] != '\n') {
        fprintf(stderr, "task %llu, descriptor %d: %.*s\n", (unsigned long long)from->index, fd, (int)size, p);
        c->wrong++;
        return;
    }
    while (p < end) {
        char *rest;
        unsigned long task = strtoul(p, &rest, 10), x = strtoul(rest, &rest, 10);
        c->wrong += *rest != '\n' || task != from->index || x != task * LINES + (unsigned long)c->next[from->index]++;
        c->lines++;
        c->sum += x;
        while (p < end && *p++ != '\n')
            continue;
    }
}

int main(int argc, char **argv)
{
    static struct count c;
    static int in[TASKS], out[TASKS];

    bfork_init(&argc, &argv);
    for (int i = 0; i < TASKS; i++)
        in[i] = i;
    bfork_session *session = bfork_session_new(NULL, &(bfork_session_options){ .output = count_lines, .output_data = &c });
    bfork_pool *pool = bfork_pool_new(session, 4, NULL);
    if (bfork_map(pool, print_numbers, in, out, TASKS) != 0)
        bfork_die("print_numbers");
    printf("%lu lines, their sum is %lu, %lu are wrong\n", c.lines, c.sum, c.wrong);
    bfork_pool_free(&pool);
    bfork_session_free(&session);
    return 0;
}
