// SPDX-License-Identifier: MPL-2.0
// A C++ program that uses the installed library: a typed map, a submit with values, and an error as data.
#include <bfork.h>

#include <cstdio>
#include <string>
#include <vector>

static int square(const int *in, int *out, bfork_task *)
{
    *out = *in * *in;
    return 0;
}

static int repeat(bfork_task *task)
{
    const char *text;
    int times;

    if (bfork_args(task, &text, &times))
        return -1;
    if (times < 0)
        return bfork_raise(task, 7, "cannot repeat %d times", times);
    std::string s;
    for (int i = 0; i < times; i++)
        s += text;
    return bfork_return(task, s.c_str());
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    std::vector<int> in{1, 2, 3, 4, 5}, out(5);
    bfork_pool *pool = bfork_pool_new(nullptr, 2, nullptr);

    if (bfork_map(pool, square, in.data(), out.data(), in.size()))
        bfork_die("square");
    for (int n : out)
        std::printf("%d\n", n);

    bfork_future *well = bfork_submit(pool, repeat, "ab", 3), *ill = bfork_submit(pool, repeat, "ab", -1);
    const char *text;
    if (bfork_result(well, &text))
        bfork_die("repeat");
    std::printf("%s\n", text);
    if (bfork_result(ill, &text) != BFORK_FAILED)
        return 1;
    std::printf("%d %s\n", bfork_future_error(ill)->code, bfork_future_error(ill)->message);
    bfork_future_free(&well);
    bfork_future_free(&ill);
    bfork_pool_free(&pool);
}
