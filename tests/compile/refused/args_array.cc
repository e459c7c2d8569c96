/* SPDX-License-Identifier: MPL-2.0
 * C++: an array where a place for a value is needed. */
/* SAYS: an array x is bfork_into(x) */
#include "prelude_cpp.h"

int test(bfork_pool *pool, bfork_task *task)
{
    PRELUDE;
#ifdef WRONG
    return bfork_args(task, buffer);
#else
    return bfork_args(task, bfork_into(buffer));
#endif
}
