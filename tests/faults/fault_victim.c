/* SPDX-License-Identifier: MPL-2.0
 * fault_victim.c - squares, or with -DEVIL the other program that is put in its place. Its argument is put into the tasks'
 * environment: another one is another pool, and so another template; "crash": the function crashes, and what is known about it
 * is printed. A second argument: "stay": the pool is kept, without work, until the input ends; "busy": its tasks run until there
 * is a file of the third argument's name.
 */
#include <bfork.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int victim_square(const int *in, int *out, bfork_task *task)
{
    (void)task;
    const char *file = getenv("FAULT_UNTIL");

    if (*in < 0)
        raise(SIGSEGV);
    while (file && access(file, F_OK) != 0)
        usleep(10000);
#ifdef EVIL
    *out = 666;
#else
    *out = *in * *in;
#endif
    return 0;
}

int main(int argc, char **argv)
{
    int in[] = { 1, 2, 3, 4, 5 }, out[5];
    char variable[64] = "FAULT_VICTIM=", until[4200] = "FAULT_UNTIL=";
    const char *env[] = { variable, NULL, NULL };
    const bfork_pool_options options = { .env = env };

    bfork_init(&argc, &argv);
    if (argc > 1 && strcmp(argv[1], "crash") == 0)
        in[0] = -1;
    if (argc > 1)
        strncat(variable, argv[1], 20);
    if (argc > 3 && strcmp(argv[2], "busy") == 0)
        env[1] = strncat(until, argv[3], 4096);
    bfork_pool *pool = bfork_pool_new(NULL, 2, &options);
    if (bfork_map(pool, victim_square, in, out, 5) != 0) {
        bfork_report(stdout, bfork_last_error());
        bfork_pool_free(&pool);
        return 1;
    }
    for (int i = 0; i < 5; i++)
        printf("%d%c", out[i], i < 4 ? ' ' : '\n');
    fflush(stdout);
    if (argc > 2 && strcmp(argv[2], "stay") == 0)
        while (getchar() != EOF)
            ;
    bfork_pool_free(&pool);
    return 0;
}
