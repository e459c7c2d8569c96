/* SPDX-License-Identifier: MPL-2.0
 * libblur.so: a library that does not own main, and does its work in this process where Broadfork cannot help. */
#include "blur.h"

static int blur_row(const float *in, float *out, bfork_task *task)
{
    (void)task;
    *out = *in * .5f;
    return 0;
}

int blur_rows(const float *in, float *out, size_t rows, bfork_pool *pool)
{
    bfork_function fn = bfork_function_of(blur_row);
    bfork_session *s = NULL;
    bfork_pool *own = NULL;

    if (!pool || bfork_pool_check(pool, &fn) != 0) {
        s = bfork_session_new("serial:", NULL);
        pool = own = bfork_pool_new(s, 1, NULL);
    }
    int rc = bfork_map(pool, blur_row, in, out, rows);
    bfork_pool_free(&own);
    bfork_session_free(&s);
    return rc;
}
