/* SPDX-License-Identifier: MPL-2.0
 * Cancels what waits while one task runs, which waits for the program: 19 of 20 tasks never begin, one ends as always. */
#include <bfork.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TASKS = 20 };

/* Says that it runs, and ends when it is told to. */
static int waits(bfork_task *task)
{
    const char *started, *end;
    char byte = 0;
    FILE *f;

    if (bfork_args(task, &started, &end))
        return -1;
    if (!(f = fopen(started, "w")))
        return -1;
    fclose(f);
    if (!(f = fopen(end, "r")))
        return -1;
    byte = (char)fgetc(f);
    fclose(f);
    return byte == '.' ? 0 : -1;
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
    static char here[PATH_MAX], started[PATH_MAX + 16], end[PATH_MAX + 16];
    bfork_future *futures[TASKS];
    int done = 0, cancelled = 0, n;

    bfork_init(&argc, &argv);
    if (!getcwd(here, sizeof(here)))
        return 1;
    snprintf(started, sizeof(started), "%s/started", here);
    snprintf(end, sizeof(end), "%s/end", here);
    if (mkfifo(started, 0666) || mkfifo(end, 0666))
        return 1;
    bfork_pool *pool = bfork_pool_new(NULL, 1, NULL);
    for (int i = 0; i < TASKS; i++)
        futures[i] = bfork_submit(pool, waits, started, end);
    meet(started, "r", NULL);
    n = bfork_pool_cancel(pool, BFORK_IF_QUEUED);
    printf("%d of %d will not run\n", n, TASKS);
    meet(end, "w", ".");
    for (int i = 0; i < TASKS; i++) {
        int rc = bfork_result(futures[i]);
        done += rc == 0;
        cancelled += rc == BFORK_CANCELLED;
        bfork_future_free(&futures[i]);
    }
    printf("%d done, %d cancelled\n", done, cancelled);
    bfork_pool_free(&pool);
}
