/* SPDX-License-Identifier: MPL-2.0
 * main.c - runs seeds: simulation [FIRST [COUNT]] [--first FIRST] [--seeds COUNT] [--faults MASK] [--trace]. Prints the first
 * failing seeds and how to replay them, then sums. docs/simulation.md says what a world is.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long number;

/* Which faults a seed's world knows: none, one kind, some, or all. */
static unsigned faults_of(uint64_t seed)
{
    static const unsigned masks[] = { 0,
                                      FAULT_CUT,
                                      FAULT_BROKER,
                                      FAULT_WORKER,
                                      FAULT_STALL,
                                      FAULT_PROCESS,
                                      FAULT_DRAIN,
                                      FAULT_CLIENT,
                                      FAULT_TEMPLATE,
                                      FAULT_BROKER_STALL,
                                      FAULT_BROKER | FAULT_BROKER_STALL,
                                      FAULT_TEMPLATE | FAULT_BROKER | FAULT_CUT,
                                      FAULT_CUT | FAULT_BROKER,
                                      FAULT_BROKER | FAULT_WORKER,
                                      FAULT_CUT | FAULT_CLIENT,
                                      FAULT_CUT | FAULT_WORKER | FAULT_PROCESS,
                                      FAULT_UNSUITABLE,
                                      FAULT_UNSUITABLE | FAULT_BROKER,
                                      FAULT_UNSUITABLE | FAULT_WORKER,
                                      FAULT_REVOKE,
                                      FAULT_REVOKE | FAULT_BROKER | FAULT_CUT,
                                      FAULT_ADOPTED,
                                      FAULT_ADOPTED | FAULT_CUT,
                                      511,
                                      511 | FAULT_REVOKE | FAULT_ADOPTED };
    return masks[seed % (sizeof(masks) / sizeof(masks[0]))];
}

static void add(struct sim_report *sum, const struct sim_report *r)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)r;
    for (size_t i = 0; i < sizeof(*r) / sizeof(uint64_t); i++)
        to[i] += from[i];
}

static void print(const struct sim_report *r, uint64_t seeds, int failures)
{
    printf("seeds %llu  attempted %llu  delivered %llu: well %llu, failed %llu, cancelled %llu, lost with their workers %llu, "
           "unknown %llu\n",
           (number)seeds, (number)r->attempted, (number)r->delivered, (number)r->ok, (number)(r->failed - r->cancelled),
           (number)r->cancelled, (number)r->lost_outcome, (number)r->unknown);
    printf("of pools closed and clients dead %llu  begun %llu  begun again %llu  sent again %llu  told again and dropped %llu\n",
           (number)r->dropped, (number)r->started, (number)r->started_again, (number)r->sent_again, (number)r->duplicates);
    printf("cuts %llu  restarts of the broker %llu  deaths of workers %llu, of clients %llu  events %llu\n", (number)r->cuts,
           (number)r->broker_restarts, (number)r->worker_deaths, (number)r->client_deaths, (number)r->events);
    printf("keys revoked %llu  pools refused by workers that cannot run them %llu  workers dead with what was adopted %llu\n",
           (number)r->revocations, (number)r->unsuitable, (number)r->adoptions);
    if (failures == 0)
        printf("lost 0  duplicated 0  unexpected 0  recovered %llu; no failure in %llu independent trials means a rate below %.2g "
               "at 95 %%\n",
               (number)(r->sent_again + r->started_again), (number)seeds, 3.0 / (double)seeds);
}

static int usage(const char *what)
{
    fprintf(stderr, "simulation: %s is not understood\n"
                    "usage: simulation [FIRST [COUNT]] [--first FIRST] [--seeds COUNT] [--faults MASK] [--trace]\n", what);
    return 2;
}

int main(int argc, char **argv)
{
    uint64_t first = 1, count = 1000, done = 0, *numbers[] = { &first, &count };
    size_t n = 0;
    int faults = -1, failures = 0;
    bool trace = false;
    struct sim_report sum = { 0 };
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--trace") == 0)
            trace = true;
        else if (strcmp(argv[i], "--faults") == 0 && more)
            faults = atoi(argv[++i]);
        else if (strcmp(argv[i], "--first") == 0 && more)
            first = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seeds") == 0 && more)
            count = strtoull(argv[++i], NULL, 10);
        else if (argv[i][0] >= '0' && argv[i][0] <= '9' && n < 2)
            *numbers[n++] = strtoull(argv[i], NULL, 10);
        else
            return usage(argv[i]);
    }
    for (uint64_t seed = first; seed < first + count && failures < 5; seed++, done++) {
        struct sim_report r = { 0 };
        char failure[SIM_TEXT];
        if (sim_run(seed, faults >= 0 ? (unsigned)faults : faults_of(seed), trace, &r, failure) != 0) {
            printf("seed %llu: %s\n  replay: simulation %llu 1 --trace\n", (number)seed, failure, (number)seed);
            fflush(stdout);
            failures++;
        }
        add(&sum, &r);
    }
    print(&sum, done, failures);
    return failures ? 1 : 0;
}
