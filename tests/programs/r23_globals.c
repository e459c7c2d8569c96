/* SPDX-License-Identifier: MPL-2.0
 * A global that main sets after bfork_init is in tasks that are started by fork of the caller. On a cluster that start is refused
 * by name: no host but this one could have it.
 */
#include <bfork.h>
#include <stdlib.h>
#include <string.h>

static int scale;

static int scaled(const int *in, int *out, bfork_task *task)
{
    (void)task;
    *out = *in * scale;
    return 0;
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    scale = 10;
    int in[] = { 1, 2 }, out[2];
    const char *profile = getenv("BFORK_PROFILE");
    int here = profile && (strcmp(profile, "local:") == 0 || strcmp(profile, "serial:") == 0);

    bfork_pool *pool = bfork_pool_new(NULL, 2, &(bfork_pool_options){ .start = BFORK_START_FORK });
    int rc = bfork_map(pool, scaled, in, out, 2);
    if (here ? rc != 0 || out[1] != 20 : rc != BFORK_ENOTSUP || !strstr(bfork_last_error()->message, "BFORK_START_FORK"))
        bfork_die("the pool");
    puts("as it should be");
    bfork_pool_free(&pool);
}
