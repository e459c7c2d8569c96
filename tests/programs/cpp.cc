// SPDX-License-Identifier: MPL-2.0
// The typed calls as C++ templates: a map over vectors with options, and a submit with values.
#include <bfork.h>

#include <cstdio>
#include <vector>

static int square(const int *in, int *out, bfork_task *)
{
    *out = *in * *in;
    return 0;
}

static int thumb(bfork_task *task)
{
    const char *path;
    int width;

    if (bfork_args(task, &path, &width))
        return -1;
    return bfork_return(task, path, width / 2);
}

static int greet(const char *name, bfork_task *task)
{
    return bfork_return(task, "hello", name);
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    std::vector<int> in{1, 2, 3}, out(3);
    bfork_pool *pool = bfork_pool_new(nullptr, 3, nullptr);
    bfork_options o{};
    o.retries = 2;

    if (bfork_map(pool, square, in.data(), out.data(), in.size(), &o))
        bfork_die("square");
    for (int n : out)
        std::printf("%d\n", n);
    bfork_future *f = bfork_submit(pool, thumb, "x.jpg", 256);
    const char *path;
    int width;
    if (bfork_result(f, &path, &width))
        bfork_die("thumb");
    std::printf("%s %d\n", path, width);
    bfork_future_free(&f);

    const char *names[] = { "ada", "grace" }, *hello;
    f = bfork_each(pool, greet, names, 2);
    for (std::size_t i = 0; i < 2; i++) {
        if (bfork_result_at(f, i, &hello, &path))
            bfork_die("greet");
        std::printf("%s %s\n", hello, path);
    }
    bfork_future_free(&f);
    if (bfork_take(bfork_submit(pool, thumb, "y.jpg", 64), &path, &width))
        bfork_die("thumb");
    std::printf("%s %d\n", path, width);
    bfork_pool_free(&pool);
}
