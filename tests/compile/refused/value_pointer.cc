/* SPDX-License-Identifier: MPL-2.0
 * C++: a pointer as a value. */
/* SAYS: memory as bfork_bytes_of(p, size) */
#include "prelude_cpp.h"

int test(bfork_pool *pool, bfork_task *task)
{
    PRELUDE;
#ifdef WRONG
    return bfork_take(bfork_submit(pool, work, &buffer[0]));
#else
    return bfork_take(bfork_submit(pool, work, bfork_bytes_of(buffer, 8)));
#endif
}
