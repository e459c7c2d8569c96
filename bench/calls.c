/* SPDX-License-Identifier: MPL-2.0
 * calls - records every call of a warm bfork_map of one element on this machine, for tools/house. Needs a build in which all of the
 * product has -finstrument-functions; the C library's hooks, which do nothing, are replaced by those below.
 *
 *     calls MAPS >TRACE
 *
 * Prints "process N" (calls of the task process between two tasks, the median over MAPS), then the trace of the map whose number of
 * calls is the median: "object PATH" before the first address in it, and for each call "DEPTH OBJECT OFFSET", DEPTH being how many
 * instrumented functions of its thread were active, OBJECT a number counted from 0 as the objects come. */
#include "contest.h"

#include <bfork.h>

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLAIN __attribute__((no_instrument_function))
#define HOOK PLAIN __attribute__((visibility("default")))

enum { CALLS = 1 << 16, OBJECTS = 16, MAPS = 1001, WARM = 64 };

struct call { void *function; uint32_t depth; };

static struct call calls[2][CALLS];                 /* the trace that is kept, and the one that is being made */
static int making;
static atomic_uint n_calls;
static atomic_bool tracing;
static _Thread_local uint32_t depth;
static unsigned long entered;                       /* in a task process, which has one thread that counts */

void __cyg_profile_func_enter(void *function, void *caller);
void __cyg_profile_func_exit(void *function, void *caller);

HOOK void __cyg_profile_func_enter(void *function, void *caller)
{
    (void)caller;
    entered++;
    depth++;
    if (atomic_load_explicit(&tracing, memory_order_relaxed)) {
        unsigned at = atomic_fetch_add(&n_calls, 1);
        if (at < CALLS)
            calls[making][at] = (struct call){ function, depth };
    }
}

HOOK void __cyg_profile_func_exit(void *function, void *caller)
{
    (void)function;
    (void)caller;
    depth--;
}

/* The calls in this process so far: two of these, one after the other, tell what is between two tasks. */
static PLAIN int so_far(const long *in, unsigned long *out, bfork_task *task)
{
    (void)in;
    (void)task;
    *out = entered;
    return 0;
}

static PLAIN int by_value(const void *a, const void *b)
{
    unsigned long x = *(const unsigned long *)a, y = *(const unsigned long *)b;
    return (x > y) - (x < y);
}

static PLAIN void print_trace(const struct call *trace, unsigned n)
{
    const void *base[OBJECTS];
    size_t objects = 0;

    for (unsigned i = 0; i < n; i++) {
        Dl_info where;
        size_t o = 0;
        if (!dladdr(trace[i].function, &where))
            contest_fail("a called function is in no object");
        while (o < objects && base[o] != where.dli_fbase)
            o++;
        if (o == objects) {
            if (o == OBJECTS)
                contest_fail("more than %d objects", OBJECTS);
            base[objects++] = where.dli_fbase;
            printf("object %s\n", where.dli_fname);
        }
        printf("%u %zu %lx\n", trace[i].depth, o, (unsigned long)((const char *)trace[i].function - (const char *)where.dli_fbase));
    }
}

PLAIN int main(int argc, char **argv)
{
    static unsigned long made[MAPS], process[MAPS];
    unsigned long before = 0;

    bfork_init(&argc, &argv);
    size_t maps = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    if (argc != 2 || !maps || maps > MAPS || maps % 2 == 0) {
        fprintf(stderr, "usage: calls MAPS, an odd number up to %d\n", MAPS);
        return 2;
    }
    bfork_pool *pool = bfork_pool_new(NULL, 1, NULL);
    unsigned closest = 0, wanted = 0;

    /* Twice: the first time tells which number of calls is the median, the second keeps a map that has it, or comes closest. */
    for (int turn = 0; turn < 2; turn++) {
        for (size_t i = 0; i < WARM + maps; i++) {
            const long in[] = { (long)i };
            unsigned long out[1];
            atomic_store(&n_calls, 0);
            atomic_store(&tracing, true);
            int rc = bfork_map(pool, so_far, in, out, 1);
            atomic_store(&tracing, false);
            if (rc != 0)
                bfork_die("calls");
            unsigned n = atomic_load(&n_calls);
            if (!n || n > CALLS)
                contest_fail(n ? "a map makes more than %d calls" : "nothing is instrumented: see tools/house", CALLS);
            if (i >= WARM) {
                made[i - WARM] = n;
                process[i - WARM] = out[0] - before;
                unsigned off = n > wanted ? n - wanted : wanted - n, best = closest > wanted ? closest - wanted : wanted - closest;
                if (turn && (!closest || off < best)) {
                    closest = n;
                    making = !making;
                }
            }
            before = out[0];
        }
        qsort(made, maps, sizeof(made[0]), by_value);
        wanted = (unsigned)made[maps / 2];
    }
    qsort(process, maps, sizeof(process[0]), by_value);
    printf("process %lu\n", process[maps / 2]);
    print_trace(calls[!making], closest);
    bfork_pool_free(&pool);
    return 0;
}
