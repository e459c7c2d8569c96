/* SPDX-License-Identifier: MPL-2.0
 * named_workers.c - fifteen names on five processes: each task says which process greeted.
 * Shows: submit with a string, a result of two values, and that task processes live on: never more than five serve all fifteen. */
#include <bfork.h>
#include <stdio.h>
#include <unistd.h>

enum { PROCESSES = 5, NAMES = 15 };

static int greet(bfork_task *task)
{
    const char *name;
    char text[64];
    if (bfork_args(task, &name))
        return -1;
    snprintf(text, sizeof(text), "Hello, %s!", name);
    return bfork_return(task, text, (long)getpid());
}

/* Remembers a process; the number of different ones so far. */
static int seen(long pid)
{
    static long pids[NAMES];
    static int n;
    for (int i = 0; i < n; i++)
        if (pids[i] == pid)
            return n;
    pids[n++] = pid;
    return n;
}

int main(int argc, char **argv)
{
    static const char *const names[NAMES] = { "Ada", "Barbara", "Claude", "Dennis", "Edsger", "Frances", "Grace", "Hedy", "Ida",
                                              "John", "Ken", "Leslie", "Margaret", "Niklaus", "Ole-Johan" };
    bfork_future *greetings[NAMES];
    int processes = 0;

    bfork_init(&argc, &argv);
    bfork_pool *pool = bfork_pool_new(NULL, PROCESSES, NULL);
    for (int i = 0; i < NAMES; i++)
        greetings[i] = bfork_submit(pool, greet, names[i]);

    for (int i = 0; i < NAMES; i++) {
        const char *text;
        long pid;
        if (bfork_result(greetings[i], &text, &pid) != 0)
            bfork_die(names[i]);
        printf("%s (process %ld)\n", text, pid);
        processes = seen(pid);
        bfork_future_free(&greetings[i]);
    }
    bfork_pool_free(&pool);

    if (processes > PROCESSES) {
        fprintf(stderr, "named_workers: %d processes greeted, and only %d were asked for\n", processes, PROCESSES);
        return 1;
    }
    printf("%d names were greeted by at most %d processes\n", NAMES, PROCESSES);
}
