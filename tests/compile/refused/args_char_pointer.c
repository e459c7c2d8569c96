/* SPDX-License-Identifier: MPL-2.0
 * Lent text through a pointer that could write it. */
/* SAYS: a place for a value is the address of a bool, number */
#include "prelude.h"

int test(bfork_pool *pool, bfork_task *task, void *unknown)
{
    PRELUDE;
#ifdef WRONG
    return bfork_args(task, &text) ? -1 : 0;
#else
    return bfork_args(task, &lent) ? -1 : 0;
#endif
}
