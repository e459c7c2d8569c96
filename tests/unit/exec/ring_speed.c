/* SPDX-License-Identifier: MPL-2.0
 * ring_speed.c - prints what the ring carries: round trips against a pipe, map elements, single tasks. Not a test.
 */
#include "base/clock.h"
#include "owner.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static double seconds(uint64_t from) { return (double)(clock_now() - from) / 1e9; }

static void step(struct owner *o)
{
    struct pollfd f = { exec_fd(o->x), POLLIN, 0 };
    poll(&f, 1, -1);
    exec_step(o->x, clock_now());
}

static double pipe_round_trip(int n)
{
    int there[2], back[2];
    char c = 0;

    if (pipe(there) < 0 || pipe(back) < 0)
        abort();
    if (fork() == 0) {
        close(there[1]);
        while (read(there[0], &c, 1) == 1 && write(back[1], &c, 1) == 1)
            continue;
        _exit(0);
    }
    uint64_t begin = clock_now();
    for (int i = 0; i < n; i++)
        if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
            abort();
    double s = seconds(begin);
    close(there[0]);
    close(there[1]);
    wait(NULL);
    return s / n * 1e6;
}

static double round_trip(struct owner *o, struct exec_proc *p, int n)
{
    struct wire_item one = { .count = 1, .flags = WIRE_FIXED, .size = 1, .body = slice_borrow("\x90", 1) }, item;
    uint64_t begin = clock_now();

    for (int i = 0; i < n; i++) {
        exec_push(p, 3, &one, 1, true);
        bool there = exec_arm(o->x, EXEC_NEXT); /* before it runs: then one look is mostly enough */
        exec_kick(p);
        while (!exec_pull(p, &item)) {
            if (!there)
                step(o);
            there = exec_pull(p, &item);
            if (there)
                break;
            there = exec_arm(o->x, EXEC_NEXT);
            if (there)
                exec_step(o->x, clock_now());
        }
    }
    return seconds(begin) / n * 1e6;
}

/* n tasks in items of `batch`, at most `window` in the ring. */
static double flow(struct owner *o, struct exec_proc *p, uint32_t job, const uint8_t *body, uint32_t size, uint32_t n,
                   uint32_t batch, uint32_t window, uint32_t claim)
{
    uint32_t pushed = 0, done = 0;
    struct wire_item item;
    uint64_t begin = clock_now();

    while (done < n) {
        while (pushed < n && exec_pending(p) < window) {
            struct wire_item in = { .count = n - pushed < batch ? n - pushed : batch, .flags = WIRE_FIXED, .size = size };
            in.body = slice_borrow(body, (size_t)in.count * size);
            uint32_t k = exec_push(p, job, &in, claim, true);
            pushed += k;
            if (k == 0)
                break;
        }
        exec_kick(p);
        bool any = false;
        while (exec_pull(p, &item)) {
            done += item.count;
            any = true;
        }
        if (!any && done < n && exec_arm(o->x, EXEC_LOW))
            exec_step(o->x, clock_now());
        else if (!any && done < n)
            step(o);
    }
    return n / seconds(begin) / 1e6;
}

int main(int argc, char **argv)
{
    struct owner o;
    char self[4096];
    uint8_t *body = calloc(4u << 20, 1);

    bfork_init(&argc, &argv);
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[n > 0 ? n : 0] = '\0';
    owner_open(&o, &(struct pool){ .program = self });
    struct exec_proc *p = owner_proc(&o);
    owner_job(p, 1, (void (*)(void))map_copy, 100, 100);
    owner_job(p, 2, (void (*)(void))map_square, 8, 8);
    owner_job(p, 3, (void (*)(void))task_nothing, 0, 0);
    owner_job_command(p, 4, false);
    printf("round trip, us: pipe %.2f, ring %.2f\n", pipe_round_trip(20000), round_trip(&o, p, 20000));
    printf("map, 100-byte elements:            %8.1f million/s\n", flow(&o, p, 1, body, 100, 20000000, 2600, 15600, 2600));
    printf("map, 8-byte elements:              %8.1f million/s\n", flow(&o, p, 2, body, 8, 100000000, 32000, 192000, 8000));
    printf("single tasks, own records:         %8.1f million/s\n", flow(&o, p, 3, body, 1, 5000000, 1, 8192, 256));
    printf("single tasks, window 64:           %8.1f million/s\n", flow(&o, p, 3, body, 1, 2000000, 1, 64, 16));
    printf("tasks in items of 1000:            %8.1f million/s\n", flow(&o, p, 3, body, 1, 10000000, 1000, 8000, 1000));
    const uint8_t command[] = "\x91\xa4true";
    struct wire_item one = { .count = 1, .flags = WIRE_FIXED, .size = 6, .body = slice_borrow(command, 6) };
    uint8_t many[6 * 64];
    for (int i = 0; i < 64; i++)
        memcpy(many + 6 * i, one.body.data, 6);
    double rate = flow(&o, p, 4, many, 6, 3000, 1, 64, 1) * 1e6;
    uint64_t begin = clock_now();
    if (system("yes x | head -3000 | xargs -P1 -n1 true") != 0)
        abort();
    printf("no-op commands: %.0f/s; xargs -P1: %.0f/s\n", rate, 3000 / seconds(begin));
    owner_close(&o);
    free(body);
    return 0;
}
