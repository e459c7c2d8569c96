/* SPDX-License-Identifier: MPL-2.0
 * Pointers as elements of each. */
/* SAYS: elements cannot be pointers */
#include "prelude.h"

int test(bfork_pool *pool, bfork_task *task, void *unknown)
{
    PRELUDE;
#ifdef WRONG
    return bfork_take(bfork_each(pool, (int (*)(struct pair *const *, bfork_task *))0, pairs, 3));
#else
    return bfork_take(bfork_each(pool, each_int, in, 3));
#endif
}
