/* SPDX-License-Identifier: MPL-2.0
 * A format that its argument does not fit. */
#include "prelude.h"

int test(bfork_pool *pool, bfork_task *task, void *unknown)
{
    PRELUDE;
#ifdef WRONG
    return bfork_raise(task, 1, "%s", 5);
#else
    return bfork_raise(task, 1, "%d", 5);
#endif
}
