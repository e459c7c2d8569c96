/* SPDX-License-Identifier: MPL-2.0
 * prelude.h - what every file here starts from: functions and variables of several types, none of them unused.
 *
 * Each file compiles as it stands, and is refused with -DWRONG: the one line that differs is a misuse of the library. Where the
 * text of the error is ours a line SAYS what it must contain.
 */
#ifndef REFUSED_PRELUDE_H
#define REFUSED_PRELUDE_H

#include <bfork.h>

struct pair { int a; };

static int square(const int *in, int *out, bfork_task *t) { (void)t; *out = *in * *in; return 0; }
static int work(bfork_task *t) { (void)t; return 0; }
static int each_int(const int *in, bfork_task *t) { (void)t; return *in; }
static int each_string(const char *in, bfork_task *t) { (void)t; return *in; }

int test(bfork_pool *pool, bfork_task *task, void *unknown);

#define PRELUDE \
    int out[3] = { 0 }, in[3] = { 1, 2, 3 }, x = 0; \
    long long_in[3] = { 0 }; \
    struct pair pair = { 1 }; \
    unsigned char buffer[8] = { 0 }; \
    char *text = NULL; \
    const char *lent = NULL, *names[3] = { NULL }; \
    struct pair *pairs[3] = { NULL }; \
    bfork_bytes bytes; \
    (void)pool; (void)task; (void)unknown; (void)square; (void)work; (void)out; (void)in; (void)x; (void)long_in; (void)pair; \
    (void)buffer; (void)text; (void)lent; (void)bytes; (void)each_int; (void)each_string; (void)names; (void)pairs

#endif
