/* SPDX-License-Identifier: MPL-2.0
 * Results into an array that may not be written. */
/* SAYS: bfork_map: the function must be int f(const T *in, U *out, bfork_task *task), in an array of T, out an array of U */
#include "prelude.h"

int test(bfork_pool *pool, bfork_task *task, void *unknown)
{
    PRELUDE;
#ifdef WRONG
    const int fixed[3] = { 0 };
    return bfork_map(pool, square, in, fixed, 3);
#else
    int fixed[3] = { 0 };
    return bfork_map(pool, square, in, fixed, 3);
#endif
}
