/* SPDX-License-Identifier: MPL-2.0
 * as_completed.c - futures in the order they finish, with an error that costs its own task only.
 * Shows: what concurrent.futures.as_completed does: put futures into a stream, take them out finished, each with what belongs to
 * it. */
#include <bfork.h>
#include <stdio.h>
#include <time.h>

enum { DOWNLOADS = 5 };

struct download { const char *name; int ms; };

/* Stands for any work that takes its time. */
static int download(bfork_task *task)
{
    const char *name;
    int ms;
    if (bfork_args(task, &name, &ms))
        return -1;
    if (ms < 0)
        return bfork_raise(task, 6, "cannot resolve %s", name);
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
    return bfork_return(task, ms * 100);
}

int main(int argc, char **argv)
{
    static struct download list[DOWNLOADS] = { { "slowest", 800 }, { "middle", 400 }, { "no-such-host", -1 }, { "quick", 200 },
                                               { "slow", 600 } };
    bfork_init(&argc, &argv);

    bfork_pool *pool = bfork_pool_new(NULL, DOWNLOADS, NULL);
    bfork_stream *stream = bfork_stream_new();
    for (int i = 0; i < DOWNLOADS; i++)
        bfork_stream_add(stream, bfork_submit(pool, download, list[i].name, list[i].ms), &list[i]);

    int rc;
    bfork_future *f;
    while ((rc = bfork_stream_next(stream, BFORK_FOREVER, &f)) == 0) {
        const struct download *d = bfork_future_data(f);
        int bytes;
        if (bfork_result(f, &bytes) == 0)
            printf("%s: %d bytes\n", d->name, bytes);
        else
            printf("%s: %s\n", d->name, bfork_last_error()->message);
        bfork_future_free(&f);
    }
    if (rc != BFORK_END)
        bfork_die("as_completed");
    bfork_stream_free(&stream);
    bfork_pool_free(&pool);
}
