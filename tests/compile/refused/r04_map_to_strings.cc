/* SPDX-License-Identifier: MPL-2.0
 * C++: pointers as results of a map. */
/* SAYS: elements cannot be pointers */
#include "prelude_cpp.h"

static int name(const int *, const char **out, bfork_task *)
{
    *out = "here";
    return 0;
}

int test(bfork_pool *pool, bfork_task *task)
{
    PRELUDE;
    (void)name;
#ifdef WRONG
    return bfork_map(pool, name, in, names, 2);
#else
    return bfork_map(pool, square, in, out, 2);
#endif
}
