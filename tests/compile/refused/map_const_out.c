/* SPDX-License-Identifier: MPL-2.0
 * Results into an array that may not be written. */
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
