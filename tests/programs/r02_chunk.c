/* SPDX-License-Identifier: MPL-2.0
 * Twenty elements travel to a slot as one chunk. The first runs and waits for the program, which cancels what has not begun: 19
 * never do, though the worker has them. */
#include <bfork.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TASKS = 20 };

struct where { char started[PATH_MAX], end[PATH_MAX]; };

/* Says that it runs, and ends when it is told to. */
static int waits(const struct where *in, int *out, bfork_task *task)
{
    FILE *f = fopen(in->started, "w");

    (void)task;
    if (!f)
        return -1;
    fclose(f);
    if (!(f = fopen(in->end, "r")))
        return -1;
    *out = fgetc(f);
    fclose(f);
    return *out == '.' ? 0 : -1;
}

static void meet(const char *path, const char *mode, const char *text)
{
    FILE *f = fopen(path, mode);            /* waits for the other side */

    if (!f)
        return;
    if (text)
        fputs(text, f);
    else
        (void)fgetc(f);
    fclose(f);
}

int main(int argc, char **argv)
{
    static struct where in[TASKS];
    static char here[PATH_MAX - 16];
    int out[TASKS] = { 0 }, done = 0, n;

    bfork_init(&argc, &argv);
    if (!getcwd(here, sizeof(here)))
        return 1;
    for (int i = 0; i < TASKS; i++) {
        snprintf(in[i].started, sizeof(in[i].started), "%s/started", here);
        snprintf(in[i].end, sizeof(in[i].end), "%s/end", here);
    }
    if (mkfifo(in[0].started, 0666) || mkfifo(in[0].end, 0666))
        return 1;
    bfork_pool *pool = bfork_pool_new(NULL, 1, NULL);
    bfork_future *map = bfork_map_async(pool, waits, in, out, TASKS, &(bfork_options){ .chunk = TASKS });
    meet(in[0].started, "r", NULL);
    n = bfork_pool_cancel(pool, BFORK_IF_QUEUED);
    printf("%d of %d will not run\n", n, TASKS);
    printf("then %d\n", bfork_pool_cancel(pool, BFORK_IF_QUEUED));
    meet(in[0].end, "w", ".");
    n = bfork_result(map);
    for (int i = 0; i < TASKS; i++)
        done += out[i] == '.';
    printf("%d done, the map is %s\n", done, n == BFORK_CANCELLED ? "cancelled" : "not");
    bfork_future_free(&map);
    bfork_pool_free(&pool);
}
