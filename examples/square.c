/* SPDX-License-Identifier: MPL-2.0
 * square.c - the smallest program: a function over an array, on this machine or on all machines.
 *
 *     cc square.c $(pkg-config --cflags --libs bfork) -o square
 *     ./square                              five processes on this machine: no daemon, no configuration
 *     BFORK_PROFILE=lab ./square            the same binary on every host that has joined "lab"
 *     BFORK_PROFILE=serial: gdb ./square    in this process, for the debugger */
#include <bfork.h>
#include <stdio.h>

static int square(const int *in, int *out, bfork_task *task)
{
    (void)task;
    *out = *in * *in;
    return 0;
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);                           /* in a task process this never returns */

    int in[] = { 1, 2, 3, 4, 5 }, out[5];
    bfork_pool *pool = bfork_pool_new(NULL, 5, NULL);   /* NULL: BFORK_PROFILE, or else this machine */
    if (bfork_map(pool, square, in, out, 5) != 0)
        bfork_die("square");

    for (int i = 0; i < 5; i++)
        printf("%d\n", out[i]);
    bfork_pool_free(&pool);
}
