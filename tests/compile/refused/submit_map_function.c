/* SPDX-License-Identifier: MPL-2.0
 * A map function where a task function is needed. */
/* SAYS: bfork_submit: the function must be int f(bfork_task *task) */
#include "prelude.h"

int test(bfork_pool *pool, bfork_task *task, void *unknown)
{
    PRELUDE;
#ifdef WRONG
    bfork_future *f = bfork_submit(pool, square, 1);
    bfork_future_free(&f);
    return 0;
#else
    bfork_future *f = bfork_submit(pool, work, 1);
    bfork_future_free(&f);
    return 0;
#endif
}
