/* SPDX-License-Identifier: MPL-2.0
 * NULL has no type. */
/* SAYS: a value of this type cannot travel */
#include "prelude.h"

int test(bfork_pool *pool, bfork_task *task, void *unknown)
{
    PRELUDE;
#ifdef WRONG
    bfork_future *f = bfork_submit(pool, work, NULL);
    bfork_future_free(&f);
    return 0;
#else
    bfork_future *f = bfork_submit(pool, work, (const char *)NULL);
    bfork_future_free(&f);
    return 0;
#endif
}
