/* SPDX-License-Identifier: MPL-2.0
 * A struct as a value. */
/* SAYS: a struct s without pointers as bfork_pod(s) */
#include "prelude.h"

int test(bfork_pool *pool, bfork_task *task, void *unknown)
{
    PRELUDE;
#ifdef WRONG
    bfork_future *f = bfork_submit(pool, work, pair);
    bfork_future_free(&f);
    return 0;
#else
    bfork_future *f = bfork_submit(pool, work, bfork_pod(pair));
    bfork_future_free(&f);
    return 0;
#endif
}
