/* SPDX-License-Identifier: MPL-2.0
 * prelude_cpp.h - as prelude.h, for C++.
 */
#ifndef REFUSED_PRELUDE_CPP_H
#define REFUSED_PRELUDE_CPP_H

#include <bfork.h>

static int work(bfork_task *) { return 0; }
static int each(const char *, bfork_task *) { return 0; }
static int over(const char *const *, long *, bfork_task *) { return 0; }
static int over_pointers(int *const *, bfork_task *) { return 0; }
static int square(const int *, long *, bfork_task *) { return 0; }

int test(bfork_pool *pool, bfork_task *task);

#define PRELUDE \
    const char *names[] = { "a", "b" }; \
    int in[2] = {}, *pairs[2] = {}; \
    long out[2]; \
    unsigned char byte, buffer[8]; \
    (void)pool; (void)task; (void)names; (void)in; (void)out; (void)byte; (void)buffer; (void)work; (void)each; (void)over; \
    (void)over_pointers; (void)square; (void)pairs

#endif
