/* SPDX-License-Identifier: MPL-2.0
 * A program that does not know about bfork_init, and a library that uses Broadfork: its functions run in the installed runner. */
#include "blur.h"

#include <stdio.h>

static int show(const char *how, bfork_pool *pool)
{
    float in[4] = { 1, 2, 3, 4 }, out[4] = { 0 };
    int rc = blur_rows(in, out, 4, pool);

    if (rc != 0)
        printf("%s: %s\n", how, bfork_last_error()->message);
    else
        printf("%s: %g %g %g %g\n", how, out[0], out[1], out[2], out[3]);
    return rc;
}

int main(void)
{
    bfork_pool *pool = bfork_pool_new(NULL, 2, NULL);
    int rc = show("without a pool", NULL);

    if (rc == 0)
        rc = show("with a pool", pool);
    bfork_pool_free(&pool);
    return rc ? 1 : 0;
}
