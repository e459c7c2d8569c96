/* SPDX-License-Identifier: MPL-2.0
 * lines_test.c - pieces of output end where lines end: what is cut inside a line becomes two lines as soon as another task's output
 * comes between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "owner.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TASKS 800u
#define MANY 20000u                     /* some 150 kB: more than a pipe holds and than is kept */
#define FEW 700u                        /* some 6 kB: what stdio writes first, and a rest */

static char self[4096];

static struct seen {
    uint32_t lines[TASKS];              /* of each task, so far */
    uint32_t broken, foreign;
} seen;

/* As most programs print: through stdio, whose writes end anywhere. */
static int prints_lines(bfork_task *t)
{
    unsigned n = (unsigned)bfork_task_self(t)->index;
    int lines;

    if (bfork_args(t, &lines))
        return -1;
    for (unsigned i = 0; i < (unsigned)lines; i++)
        if (printf("%u %u\n", n, i) < 0)
            return -1;
    return 0;
}

static void note_lines(struct owner *o, const struct exec_print *k)
{
    const char *at = k->bytes, *end = at + k->size;
    uint32_t task = o->done + k->ahead;
    unsigned n, i;

    if (!k->in_task || task >= TASKS) {
        seen.foreign++;
        return;
    }
    for (const char *next; at < end; at = next + 1) {
        if (!(next = memchr(at, '\n', (size_t)(end - at)))) {
            seen.broken++;
            return;
        }
        if (sscanf(at, "%u %u\n", &n, &i) != 2 || n != task || i != seen.lines[task])
            seen.foreign++;
        seen.lines[task]++;
    }
}

/* slow_us: what the owner does besides between two steps, so that pipes are full when it comes back. */
static void print_all(uint32_t tasks, uint32_t lines, unsigned slow_us, uint32_t claim)
{
    uint8_t args[16];
    uint32_t n = pack_int(args, (int)lines);
    struct owner o;
    struct wire_item item;
    struct exec_proc *p;

    memset(&seen, 0, sizeof(seen));
    owner_open(&o, &(struct pool){ .program = self });
    p = owner_proc(&o);
    o.on_print = note_lines;
    owner_job(p, 1, (void (*)(void))prints_lines, 0, 0);
    owner_push(p, 1, args, n, tasks, claim);
    while (o.done < tasks) {
        owner_turn(&o);
        while (o.done < tasks && exec_pull(p, &item)) {
            assert_int_equal(item.kind, WIRE_OK);
            for (uint32_t i = o.done; i < o.done + item.count; i++)
                assert_int_equal(seen.lines[i], lines);         /* all of it, before the result */
            o.done += item.count;
        }
        if (slow_us)
            usleep(slow_us);
    }
    assert_int_equal(seen.foreign, 0);
    assert_int_equal(seen.broken, 0);
    owner_close(&o);
}

static void r21_pieces_are_whole_lines(void **state)
{
    (void)state;
    print_all(20, MANY, 0, 1);
    print_all(20, MANY, 0, 64);
}

static void r21_pieces_of_full_pipes_are_whole_lines(void **state)
{
    (void)state;
    print_all(20, MANY, 2000, 1);
    print_all(20, MANY, 2000, 64);
}

/* A task that ends while its owner looks at what it has printed so far. */
static void r21_pieces_of_short_tasks_are_whole_lines(void **state)
{
    (void)state;
    print_all(TASKS, FEW, 0, 1);
    print_all(TASKS, FEW, 0, 64);
    print_all(TASKS, FEW, 300, 64);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r21_pieces_are_whole_lines),
        cmocka_unit_test(r21_pieces_of_full_pipes_are_whole_lines),
        cmocka_unit_test(r21_pieces_of_short_tasks_are_whole_lines),
    };

    bfork_init(&argc, &argv);
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n < 0)
        return 2;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
