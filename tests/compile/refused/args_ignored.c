/* SPDX-License-Identifier: MPL-2.0
 * Arguments read without asking whether they were there. */
#include "prelude.h"

int test(bfork_pool *pool, bfork_task *task, void *unknown)
{
    PRELUDE;
#ifdef WRONG
    bfork_args(task, &x);
    return 0;
#else
    return bfork_args(task, &x);
#endif
}
