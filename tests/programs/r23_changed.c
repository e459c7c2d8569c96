/* SPDX-License-Identifier: MPL-2.0
 * Changes a global after bfork_init ("set"), or one of a library ("library"): "serial:" says that on stderr, by name.
 */
#include "r23_scale.h"

#include <bfork.h>
#include <string.h>

static int scale, untouched = 3;
static bfork_pool *pool;
static volatile long guard __asm__("_ZGVZ4mainE5table");     /* as of a static variable in a C++ function: the compiler's own */

static int scaled(const int *in, int *out, bfork_task *task)
{
    (void)task;
    *out = scale_of(*in) * scale + untouched;
    return 0;
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    if (argc > 1 && strcmp(argv[1], "set") == 0)
        scale = 10, guard = 1;
    if (argc > 1 && strcmp(argv[1], "library") == 0)
        scale_set(10);
    int in[] = { 1, 2 }, out[2];
    pool = bfork_pool_new(NULL, 1, NULL);
    for (int i = 0; i < 2; i++)
        if (bfork_map(pool, scaled, in, out, 2) != 0)
            bfork_die("the pool");
    puts("done");
    bfork_pool_free(&pool);
}
