/* SPDX-License-Identifier: MPL-2.0
 * More values than a call takes. */
#include "prelude.h"

int test(bfork_pool *pool, bfork_task *task, void *unknown)
{
    PRELUDE;
#ifdef WRONG
    bfork_future *f = bfork_submit(pool, work, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17);
    bfork_future_free(&f);
    return 0;
#else
    bfork_future *f = bfork_submit(pool, work, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
    bfork_future_free(&f);
    return 0;
#endif
}
