/* SPDX-License-Identifier: MPL-2.0
 * pipe - the floor of a local round trip: 100 bytes there and back between two processes over two pipes; p50 in microseconds.
 *     pipe free | same | two      where the two run: as the scheduler likes | on one processor | on two (see contest_place)
 * Ours is measured in the same three placements: left alone, the scheduler puts both on one processor in some runs (a switch, and
 * nothing runs beside) and on two in others (a sleeping processor is woken), which differs by a factor of three. */
#include "contest.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 3000, BYTES = 100 };

static int there[2], back[2];

static double run(void *data)
{
    static double us[ROUNDS];
    char bytes[BYTES];
    (void)data;
    for (int i = 0; i < ROUNDS; i++) {
        double t = contest_now();
        contest_fill(bytes, BYTES, (size_t)i);
        contest_write(there[1], bytes, BYTES);
        contest_read(back[0], bytes, BYTES);
        if (!contest_filled(bytes, BYTES, (size_t)i))
            contest_fail("round %d came back as another", i);
        us[i] = (contest_now() - t) * 1e6;
    }
    return contest_median(us, ROUNDS);
}

static void echo(void)
{
    char bytes[BYTES];
    while (read(there[0], bytes, BYTES) == BYTES)
        contest_write(back[1], bytes, BYTES);
    _exit(0);
}

int main(int argc, char **argv)
{
    enum contest_placement placement = contest_placement_of(argc > 1 ? argv[1] : "free");
    if (pipe(there) < 0 || pipe(back) < 0)
        contest_fail("pipe: %s", strerror(errno));
    if (contest_fork() == 0) {
        contest_place(placement, 1);
        echo();
    }
    contest_place(placement, 0);
    return contest_loop(run, NULL, NULL);
}
