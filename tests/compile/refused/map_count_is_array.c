/* SPDX-License-Identifier: MPL-2.0
 * The count is missing and an array stands in its place. */
#include "prelude.h"

int test(bfork_pool *pool, bfork_task *task, void *unknown)
{
    PRELUDE;
#ifdef WRONG
    return bfork_map(pool, square, in, out, out);
#else
    return bfork_map(pool, square, in, out, 3);
#endif
}
