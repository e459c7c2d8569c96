/* SPDX-License-Identifier: MPL-2.0
 * C++: pointers as elements of each. */
/* SAYS: elements cannot be pointers */
#include "prelude_cpp.h"

int test(bfork_pool *pool, bfork_task *task)
{
    PRELUDE;
#ifdef WRONG
    return bfork_take(bfork_each(pool, over_pointers, pairs, 2));
#else
    return bfork_take(bfork_each(pool, each, names, 2));
#endif
}
