/* SPDX-License-Identifier: MPL-2.0
 * example.c - the example service of compose.yaml: waits until workers are there, spreads tasks over them, checks every result, and
 * says which hosts took part.
 *
 *     bfork-example [TASKS [MILLISECONDS]]        1000 tasks of 5 ms each
 *
 * Exit status: 0 all results are right, 1 something failed, 2 wrong usage. */
#define _POSIX_C_SOURCE 200809L
#include <bfork.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TASKS_MAX = 1000000, HOSTS_MAX = 64, HOST = 64 };

struct question { long number, ms; };
struct answer { long square; char host[HOST]; };

static int square(const struct question *in, struct answer *out, bfork_task *task)
{
    struct timespec t = { in->ms / 1000, in->ms % 1000 * 1000000 };

    nanosleep(&t, NULL);                                /* a piece of work */
    out->square = in->number * in->number;
    snprintf(out->host, sizeof(out->host), "%s", bfork_task_self(task)->host);
    return 0;
}

static int report(const struct question *in, const struct answer *out, long n)
{
    const char *hosts[HOSTS_MAX];
    long counts[HOSTS_MAX] = { 0 }, right = 0;
    int nhosts = 0, h;

    for (long i = 0; i < n; i++) {
        right += out[i].square == in[i].number * in[i].number;
        for (h = 0; h < nhosts && strcmp(hosts[h], out[i].host); h++)
            ;
        if (h == nhosts && nhosts < HOSTS_MAX)
            hosts[nhosts++] = out[i].host;
        if (h < HOSTS_MAX)
            counts[h]++;
    }
    for (h = 0; h < nhosts; h++)
        printf("host %s: %ld tasks\n", hosts[h], counts[h]);
    printf("%ld of %ld results are right, from %d hosts\n", right, n, nhosts);
    return right == n ? 0 : 1;
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    long n = argc > 1 ? strtol(argv[1], NULL, 10) : 1000, ms = argc > 2 ? strtol(argv[2], NULL, 10) : 5;
    if (n < 1 || n > TASKS_MAX || ms < 0 || ms > 60000) {
        fprintf(stderr, "usage: bfork-example [TASKS [MILLISECONDS]]\n");
        return 2;
    }
    struct question *in = calloc((size_t)n, sizeof(*in));
    struct answer *out = calloc((size_t)n, sizeof(*out));
    if (!in || !out)
        return 1;
    for (long i = 0; i < n; i++)
        in[i] = (struct question){ i + 1, ms };

    bfork_pool *pool = bfork_pool_new(NULL, BFORK_ALL, NULL);
    if (bfork_pool_wait(pool, 2, 60000) != 0)
        bfork_die("two slots");
    printf("%d slots\n", bfork_pool_size(pool));
    fflush(stdout);
    if (bfork_map_with(pool, square, in, out, (size_t)n, &(bfork_options){ .progress = bfork_bar }) != 0)
        bfork_die("square");
    bfork_pool_free(&pool);
    int rc = report(in, out, n);
    free(in);
    free(out);
    return rc;
}
