/* SPDX-License-Identifier: MPL-2.0
 * Pointers as results of a map: they would point into another process. */
/* SAYS: bfork_map_with: elements cannot be pointers */
#include "prelude.h"

int test(bfork_pool *pool, bfork_task *task, void *unknown)
{
    PRELUDE;
#ifdef WRONG
    return bfork_map_with(pool, (int (*)(const int *, const char **, bfork_task *))0, in, names, 3, NULL);
#else
    return bfork_take(bfork_each(pool, each_int, in, 3));
#endif
}
