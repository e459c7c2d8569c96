/* SPDX-License-Identifier: MPL-2.0
 * The public header by itself, used a little: compiled as C11 and as C++11 and later, by gcc and clang, with all warnings. */
#include <bfork.h>

static int square(const int *in, int *out, bfork_task *task)
{
    (void)task;
    *out = *in * *in;
    return 0;
}

static int work(bfork_task *task)
{
    const char *path;
    int width;

    if (bfork_args(task, &path, &width))
        return -1;
    return bfork_return(task, path, width, 1.5, true, bfork_bytes_of(path, 1));
}

int use(bfork_pool *pool);

int use(bfork_pool *pool)
{
    int in[2] = { 1, 2 }, out[2];
    bfork_future *f = bfork_submit(pool, work, "x", 256);
    const char *path;
    int width, rc = bfork_result(f, &path, &width);

    bfork_future_free(&f);
    return rc ? rc : bfork_map(pool, square, in, out, 2);
}
