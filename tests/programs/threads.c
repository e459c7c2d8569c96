/* SPDX-License-Identifier: MPL-2.0
 * One pool used from eight threads at once. */
#include <bfork.h>
#include <pthread.h>
#include <stdio.h>

enum { THREADS = 8, EACH = 1000 };

static int work(bfork_task *task)
{
    long id;

    if (bfork_args(task, &id))
        return -1;
    return bfork_return(task, id * 2);
}

struct server { pthread_t thread; bfork_pool *pool; long right; };

static void *serve(void *arg)
{
    struct server *server = arg;

    for (long id = 0; id < EACH; id++) {
        long y = 0;
        bfork_future *f = bfork_submit(server->pool, work, id);
        if (bfork_result(f, &y))
            bfork_report(stderr, bfork_future_error(f));
        server->right += y == id * 2;
        bfork_future_free(&f);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    bfork_pool *pool = bfork_pool_new(NULL, BFORK_ALL, &(bfork_pool_options){ .max_queued = 10000 });
    struct server servers[THREADS] = { 0 };
    long right = 0;

    for (int i = 0; i < THREADS; i++) {
        servers[i].pool = pool;
        if (pthread_create(&servers[i].thread, NULL, serve, &servers[i]))
            return 1;
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(servers[i].thread, NULL);
        right += servers[i].right;
    }
    printf("%ld of %d right\n", right, THREADS * EACH);
    bfork_pool_free(&pool);
}
