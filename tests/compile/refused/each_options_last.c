/* SPDX-License-Identifier: MPL-2.0
 * Options of each at the end, where those of a map stand. */
/* SAYS: bfork_each_with: options come second */
#include "prelude.h"

int test(bfork_pool *pool, bfork_task *task, void *unknown)
{
    PRELUDE;
#ifdef WRONG
    return bfork_take(bfork_each_with(pool, each_int, in, 3, BFORK_OPTIONS(.retries = 2)));
#else
    return bfork_take(bfork_each_with(pool, BFORK_OPTIONS(.retries = 2), each_int, in, 3));
#endif
}
