/* SPDX-License-Identifier: MPL-2.0
 * fault_noinit.c - a program that forgets bfork_init: its functions cannot run in task processes, and it is told so. Exit status 0:
 * so it was.
 */
#include <bfork.h>

static int square(const int *in, int *out, bfork_task *task)
{
    (void)task;
    *out = *in * *in;
    return 0;
}

int main(void)
{
    int in[3] = { 1, 2, 3 }, out[3] = { 7, 7, 7 }, rc;
    bfork_pool *pool = bfork_pool_new(NULL, 2, NULL);

    rc = bfork_map(pool, square, in, out, 3);
    printf("%s: %s\n", bfork_status_name(rc), bfork_last_error()->message);
    bfork_pool_free(&pool);
    return rc == BFORK_ENOINIT && out[0] == 7 ? 0 : 1;
}
