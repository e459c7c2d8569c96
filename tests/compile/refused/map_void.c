/* SPDX-License-Identifier: MPL-2.0
 * Elements of unknown size. */
/* SAYS: bfork_map: the element type must be known */
#include "prelude.h"

int test(bfork_pool *pool, bfork_task *task, void *unknown)
{
    PRELUDE;
#ifdef WRONG
    return bfork_map(pool, square, unknown, out, 3);
#else
    return bfork_map(pool, square, (const int *)unknown, out, 3);
#endif
}
