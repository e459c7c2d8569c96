/* SPDX-License-Identifier: MPL-2.0
 * Elements that nobody waits for. */
#include "prelude.h"

int test(bfork_pool *pool, bfork_task *task, void *unknown)
{
    PRELUDE;
#ifdef WRONG
    bfork_each(pool, each_int, in, 3);
    return 0;
#else
    return bfork_take(bfork_each(pool, each_int, in, 3));
#endif
}
