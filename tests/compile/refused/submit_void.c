/* SPDX-License-Identifier: MPL-2.0
 * A pointer to unknown bytes as a value. */
/* SAYS: memory as bfork_bytes_of(p, size) */
#include "prelude.h"

int test(bfork_pool *pool, bfork_task *task, void *unknown)
{
    PRELUDE;
#ifdef WRONG
    bfork_future *f = bfork_submit(pool, work, unknown);
    bfork_future_free(&f);
    return 0;
#else
    bfork_future *f = bfork_submit(pool, work, bfork_bytes_of(unknown, 1));
    bfork_future_free(&f);
    return 0;
#endif
}
