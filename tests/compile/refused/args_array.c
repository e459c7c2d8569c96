/* SPDX-License-Identifier: MPL-2.0
 * An array of bytes where a place for a value is needed. */
/* SAYS: an array or struct x without pointers is bfork_into(x) */
#include "prelude.h"

int test(bfork_pool *pool, bfork_task *task, void *unknown)
{
    PRELUDE;
#ifdef WRONG
    return bfork_args(task, buffer) ? -1 : 0;
#else
    return bfork_args(task, &bytes) ? -1 : 0;
#endif
}
