/* SPDX-License-Identifier: MPL-2.0
 * The example of concurrent.futures: pages, one of which cannot be had; each error is that of one task. */
#include <bfork.h>
#include <stdio.h>
#include <string.h>

static int load_url(bfork_task *task)
{
    const char *url;
    int timeout;

    if (bfork_args(task, &url, &timeout))
        return -1;
    if (strstr(url, "nonexistent"))
        return bfork_raise(task, 6, "cannot resolve %s within %d s", url, timeout);
    return bfork_return(task, bfork_bytes_of(url, strlen(url)));
}

int main(int argc, char **argv)
{
    static const char *const urls[] = { "http://a/", "http://bb/", "http://ccc/", "http://dddd/", "http://nonexistent/" };
    bfork_init(&argc, &argv);
    bfork_pool *pool = bfork_pool_new(NULL, 5, NULL);
    bfork_stream *s = bfork_stream_new();

    for (size_t i = 0; i < 5; i++)
        bfork_stream_add(s, bfork_submit(pool, load_url, urls[i], 60), (void *)urls[i]);
    for (bfork_future *f; bfork_stream_next(s, BFORK_FOREVER, &f) == 0; bfork_future_free(&f)) {
        const char *url = bfork_future_data(f);
        bfork_bytes page;
        if (bfork_result(f, &page))
            printf("%s generated an error: %d %s\n", url, bfork_last_error()->code, bfork_last_error()->message);
        else
            printf("%s page is %zu bytes\n", url, page.size);
    }
    bfork_stream_free(&s);
    bfork_pool_free(&pool);
}
