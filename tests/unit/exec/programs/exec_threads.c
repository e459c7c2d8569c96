/* SPDX-License-Identifier: MPL-2.0
 * exec_threads.c - a program with a thread that runs before main: forking its template would lose it.
 */
#include <bfork.h>
#include <pthread.h>
#include <unistd.h>

static volatile unsigned long ticks;

static void *tick(void *arg)
{
    for (;;) {
        ticks++;
        usleep(100);
    }
    return arg;
}

__attribute__((constructor)) static void start(void)
{
    static pthread_t thread;
    pthread_create(&thread, NULL, tick, NULL);
}

/* Returns only if the thread lives here too. */
int exec_threads_task(bfork_task *task);
__attribute__((visibility("default"))) int exec_threads_task(bfork_task *task)
{
    unsigned long before = ticks;

    while (ticks == before)
        usleep(1000);
    return bfork_return(task, 42);
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    return 2;
}
