/* SPDX-License-Identifier: MPL-2.0
 * Pointers to structures as elements of a map that is not waited for, by a function that takes anything. */
/* SAYS: bfork_map_async: elements cannot be pointers */
#include "prelude.h"

int test(bfork_pool *pool, bfork_task *task, void *unknown)
{
    PRELUDE;
#ifdef WRONG
    return bfork_take(bfork_map_async(pool, (bfork_map_fn *)0, pairs, out, 3, NULL));
#else
    return bfork_take(bfork_map_async(pool, (bfork_map_fn *)0, in, out, 3, NULL));
#endif
}
