/* SPDX-License-Identifier: MPL-2.0
 * C++: elements that own memory: their bytes alone are nothing elsewhere. */
/* SAYS: elements must be trivially copyable */
#include "prelude_cpp.h"

#include <string>

static int length(const std::string *in, long *out, bfork_task *)
{
    *out = static_cast<long>(in->size());
    return 0;
}

int test(bfork_pool *pool, bfork_task *task)
{
    PRELUDE;
    std::string strings[2];
    (void)length;
#ifdef WRONG
    return bfork_map(pool, length, strings, out, 2);
#else
    const char *of[] = { strings[0].c_str(), strings[1].c_str() };
    return bfork_take(bfork_each(pool, each, of, 2));
#endif
}
