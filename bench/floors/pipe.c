/* SPDX-License-Identifier: MPL-2.0
 * pipe - the floor of a local round trip: 100 bytes there and back between two processes over two pipes; p50 in microseconds.
 * Each has a processor of its own, so that every hop wakes one that sleeps: left alone, the scheduler puts both on one processor
 * in some
 * runs (5 us, and nothing could run beside) and on two in others. */
#include "contest.h"
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 3000, BYTES = 100 };

static int there[2], back[2];

static double run(void *data)
{
    static double us[ROUNDS];
    char bytes[BYTES] = { 0 };
    (void)data;
    for (int i = 0; i < ROUNDS; i++) {
        double t = contest_now();
        memcpy(bytes, &i, sizeof(i));
        contest_write(there[1], bytes, BYTES);
        contest_read(back[0], bytes, BYTES);
        us[i] = (contest_now() - t) * 1e6;
    }
    return contest_median(us, ROUNDS);
}

/* Onto the n-th of the processors this process may use, if it has so many. */
static void settle(int n)
{
    cpu_set_t may, one;
    if (sched_getaffinity(0, sizeof(may), &may) < 0)
        return;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &may) && n-- == 0) {
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            sched_setaffinity(0, sizeof(one), &one);
            return;
        }
}

static void echo(void)
{
    char bytes[BYTES];
    while (read(there[0], bytes, BYTES) == BYTES)
        contest_write(back[1], bytes, BYTES);
    _exit(0);
}

int main(void)
{
    if (pipe(there) < 0 || pipe(back) < 0)
        contest_fail("pipe: %s", strerror(errno));
    if (contest_fork() == 0) {
        settle(1);
        echo();
    }
    settle(0);
    return contest_loop(run, NULL, NULL);
}
