/* SPDX-License-Identifier: MPL-2.0
 * A task that crashes in a static function between two exported ones, and behind a label that has no size. stripped.sh takes the
 * names away: what is left are those of its neighbours.
 */
#include <bfork.h>
#include <stdio.h>

int front(int n);
int back(int n);

__attribute__((noinline)) int front(int n) { return n + 1; }

/* As assembler that is written by hand has them. */
__asm__(".text\n.globl no_size\n.type no_size,%function\nno_size: ret\nnop\nnop\n");

static __attribute__((noinline)) int hidden(volatile int *p)
{
    return *p + 2;
}

__attribute__((noinline)) int back(int n) { return n + 3; }

static int task(bfork_task *t)
{
    (void)t;
    return front(1) + hidden((volatile int *)16) + back(1);
}

int main(int argc, char **argv)
{
    char text[8000];

    bfork_init(&argc, &argv);
    bfork_pool *pool = bfork_pool_new(NULL, 1, NULL);
    bfork_future *f = bfork_submit(pool, task);
    if (bfork_take(f) != BFORK_CRASHED)
        bfork_die("the task");
    bfork_error_text(bfork_last_error(), text, sizeof(text));
    puts(text);
    bfork_pool_free(&pool);
}
