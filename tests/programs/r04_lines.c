/* SPDX-License-Identifier: MPL-2.0
 * bfork_each: strings in and strings out, of any length; byte strings; elements of one size.
 */
#include <bfork.h>
#include <ctype.h>
#include <string.h>

static int shout(const char *in, bfork_task *task)
{
    size_t n = strlen(in);
    char *s = bfork_task_alloc(task, n + 1);
    if (!s)
        return BFORK_ENOMEM;
    for (size_t i = 0; i <= n; i++)
        s[i] = (char)toupper((unsigned char)in[i]);
    return bfork_return(task, s);
}

static int count_nuls(bfork_bytes in, bfork_task *task)
{
    size_t n = 0;
    for (size_t i = 0; i < in.size; i++)
        n += ((const char *)in.data)[i] == 0;
    return bfork_return(task, n);
}

static int stars(const int *in, bfork_task *task)
{
    char s[64];
    if (*in < 0)
        return bfork_raise(task, 3, "%d stars cannot be", *in);
    memset(s, '*', (size_t)*in);
    s[*in] = 0;
    return bfork_return(task, s);
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    const char *lines[] = { "alpha", "a much longer line than the others, longer than what is kept with a future itself", "" },
               *out;
    const bfork_bytes blobs[] = { { "a\0b\0", 4 }, { NULL, 0 } };
    const int numbers[] = { 3, 0, -1, 5 };
    size_t n;

    bfork_pool *pool = bfork_pool_new(NULL, 3, NULL);
    bfork_future *f = bfork_each(pool, shout, lines, 3);
    for (size_t i = 0; i < 3; i++) {
        if (bfork_result_at(f, i, &out) != 0)
            bfork_die("shout");
        puts(out);
    }
    bfork_future_free(&f);

    f = bfork_each(pool, count_nuls, blobs, 2);
    for (size_t i = 0; i < 2; i++) {
        if (bfork_result_at(f, i, &n) != 0)
            bfork_die("count_nuls");
        printf("%zu\n", n);
    }
    bfork_future_free(&f);

    f = bfork_each_with(pool, BFORK_OPTIONS(.chunk = 2), stars, numbers, 4);
    for (size_t i = 0; i < 4; i++)
        puts(bfork_result_at(f, i, &out) == 0 ? out : bfork_last_error()->message);
    printf("%s at %d\n", bfork_status_name(bfork_result(f)), (int)bfork_last_error()->index);
    bfork_future_free(&f);
    printf("%d\n", bfork_take(bfork_each(pool, shout, lines, 3)));
    bfork_pool_free(&pool);
}
