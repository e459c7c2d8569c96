/* SPDX-License-Identifier: MPL-2.0
 * The array's element type is not the one the function takes. */
/* SAYS: bfork_map: the function must be int f(const T *in, U *out, bfork_task *task), in an array of T, out an array of U */
#include "prelude.h"

int test(bfork_pool *pool, bfork_task *task, void *unknown)
{
    PRELUDE;
#ifdef WRONG
    return bfork_map(pool, square, long_in, out, 3);
#else
    return bfork_map(pool, square, in, out, 3);
#endif
}
