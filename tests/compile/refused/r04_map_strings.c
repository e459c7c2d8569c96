/* SPDX-License-Identifier: MPL-2.0
 * Pointers as elements of a map: only addresses would travel. */
/* SAYS: elements cannot be pointers */
#include "prelude.h"

int test(bfork_pool *pool, bfork_task *task, void *unknown)
{
    PRELUDE;
#ifdef WRONG
    return bfork_map(pool, (int (*)(const char *const *, int *, bfork_task *))0, names, out, 3);
#else
    return bfork_take(bfork_each(pool, each_string, names, 3));
#endif
}
