/* SPDX-License-Identifier: MPL-2.0
 * C++: bfork_each over elements that own memory. */
/* SAYS: elements must be trivially copyable */
#include "prelude_cpp.h"

#include <vector>

static int sum(const std::vector<int> *, bfork_task *) { return 0; }
static int one(const int *, bfork_task *) { return 0; }

int test(bfork_pool *pool, bfork_task *task)
{
    PRELUDE;
    std::vector<int> lists[2];
    (void)sum;
    (void)one;
    (void)lists;
#ifdef WRONG
    return bfork_take(bfork_each(pool, sum, lists, 2));
#else
    return bfork_take(bfork_each(pool, one, in, 2));
#endif
}
