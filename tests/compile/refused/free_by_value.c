/* SPDX-License-Identifier: MPL-2.0
 * A handle freed without clearing the caller's variable. */
#include "prelude.h"

int test(bfork_pool *pool, bfork_task *task, void *unknown)
{
    PRELUDE;
#ifdef WRONG
    bfork_pool_free(pool);
    return 0;
#else
    bfork_pool_free(&pool);
    return 0;
#endif
}
