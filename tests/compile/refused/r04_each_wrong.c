/* SPDX-License-Identifier: MPL-2.0
 * A function of int over strings. */
/* SAYS: int f(const char *in, bfork_task *task) over strings */
#include "prelude.h"

int test(bfork_pool *pool, bfork_task *task, void *unknown)
{
    PRELUDE;
#ifdef WRONG
    return bfork_take(bfork_each(pool, each_int, names, 3));
#else
    return bfork_take(bfork_each(pool, each_string, names, 3));
#endif
}
