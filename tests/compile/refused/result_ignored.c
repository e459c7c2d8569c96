/* SPDX-License-Identifier: MPL-2.0
 * A map whose outcome nobody looks at. */
#include "prelude.h"

int test(bfork_pool *pool, bfork_task *task, void *unknown)
{
    PRELUDE;
#ifdef WRONG
    bfork_map(pool, square, in, out, 3);
    return 0;
#else
    return bfork_map(pool, square, in, out, 3);
#endif
}
