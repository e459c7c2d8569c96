/* SPDX-License-Identifier: MPL-2.0
 * main.c - runs seeds: simulation [first [count]] [--trace] [--faults MASK]. Prints the first failing seed and how to replay it.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Which faults a seed's world knows: none, one kind, or all. */
static unsigned faults_of(uint64_t seed)
{
    static const unsigned masks[] = { 0, FAULT_CUT, FAULT_BROKER, FAULT_WORKER, FAULT_STALL, FAULT_PROCESS, FAULT_DRAIN, FAULT_CLIENT,
                                      FAULT_CUT | FAULT_BROKER, FAULT_BROKER | FAULT_WORKER, FAULT_CUT | FAULT_CLIENT,
                                      FAULT_CUT | FAULT_WORKER | FAULT_PROCESS, 127, 127 };
    return masks[seed % (sizeof(masks) / sizeof(masks[0]))];
}

static void add(struct sim_report *sum, const struct sim_report *r)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)r;
    for (size_t i = 0; i < sizeof(*r) / sizeof(uint64_t); i++)
        to[i] += from[i];
}

int main(int argc, char **argv)
{
    uint64_t first = 1, count = 1000;
    int numbers = 0, faults = -1, failures = 0;
    bool trace = false;
    struct sim_report sum = { 0 };
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0)
            trace = true;
        else if (strcmp(argv[i], "--faults") == 0 && i + 1 < argc)
            faults = atoi(argv[++i]);
        else if (numbers++ == 0)
            first = strtoull(argv[i], NULL, 10);
        else
            count = strtoull(argv[i], NULL, 10);
    }
    for (uint64_t seed = first; seed < first + count && failures < 5; seed++) {
        struct sim_report r = { 0 };
        char failure[SIM_TEXT];
        if (sim_run(seed, faults >= 0 ? (unsigned)faults : faults_of(seed), trace, &r, failure) != 0) {
            printf("seed %llu: %s\n  replay: simulation %llu 1 --trace\n", (unsigned long long)seed, failure,
                   (unsigned long long)seed);
            fflush(stdout);
            failures++;
        }
        add(&sum, &r);
    }
    printf("seeds %llu  attempted %llu  delivered %llu  ok %llu  failed %llu  lost %llu  unknown %llu  cancelled %llu  duplicates dropped %llu\n",
           (unsigned long long)count, (unsigned long long)sum.attempted, (unsigned long long)sum.delivered,
           (unsigned long long)sum.ok, (unsigned long long)sum.failed, (unsigned long long)sum.lost_outcome,
           (unsigned long long)sum.unknown, (unsigned long long)sum.cancelled, (unsigned long long)sum.duplicates);
    printf("began %llu  began again %llu  sent again %llu  cuts %llu  broker restarts %llu  worker deaths %llu  client deaths %llu  events %llu\n",
           (unsigned long long)sum.started, (unsigned long long)sum.started_again, (unsigned long long)sum.sent_again,
           (unsigned long long)sum.cuts, (unsigned long long)sum.broker_restarts, (unsigned long long)sum.worker_deaths, (unsigned long long)sum.client_deaths,
           (unsigned long long)sum.events);
    return failures ? 1 : 0;
}
