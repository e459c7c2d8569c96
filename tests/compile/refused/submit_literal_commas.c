/* SPDX-License-Identifier: MPL-2.0
 * A literal whose commas split the macro's arguments. */
#include "prelude.h"

int test(bfork_pool *pool, bfork_task *task, void *unknown)
{
    PRELUDE;
#ifdef WRONG
    bfork_future *f = bfork_submit_with(pool, &(bfork_options){ .retries = 1, .chunk = 2 }, work, 1);
    bfork_future_free(&f);
    return 0;
#else
    bfork_future *f = bfork_submit_with(pool, BFORK_OPTIONS(.retries = 1, .chunk = 2), work, 1);
    bfork_future_free(&f);
    return 0;
#endif
}
