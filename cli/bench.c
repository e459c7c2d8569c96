/* SPDX-License-Identifier: MPL-2.0
 * bench.c - bfork bench: a quick measurement of this machine or cluster. The functions measured are in this program, so workers
 * fetch it as they would any other program. Numbers are of one run; they say how a cluster feels, not how it compares.
 */
#include "cli.h"

#include "base/clock.h"
#include "core/bar.h"

#include <stdio.h>
#include <stdlib.h>

#define TRIPS_MAX 20000u
#define WINDOW 20000u
#define ELEMENTS 200000u

struct options { struct cli_common common; int64_t limit_ms; bool json; };

static const struct conf_option options[] = {
    CLI_PROFILE(options),
    { .name = "time", .letter = 't', .type = CONF_MS, .offset = offsetof(struct options, limit_ms), .fallback = "1s", .min = 10,
      .max = 3600000, .argument = "TIME", .help = "measure each row for so long", .flags = CLI_ONLY_FLAG },
    CLI_OPTION("json", 0, CONF_FLAG, options, json, NULL, "one JSON object"),
    CLI_HELP(options),
};

static const char details[] =
    "rows:\n"
    "  round trip   submit one task and wait for it, again and again\n"
    "  submits      single tasks submitted and collected as fast as possible\n"
    "  map          elements of 8 bytes in one map\n"
    "  commands     /bin/true, started as bfork map does\n"
    "\n"
    "exit status:\n"
    "  0    measured\n"
    "  2    the command line is wrong\n"
    "  125  the cluster failed: the report is on standard error\n";

struct bench {
    const struct cli_call *call;
    bfork_session *session;
    bfork_pool *pool;
    uint64_t limit;                     /* ns a row */
    int slots;
    uint64_t p50, p99;                  /* ns */
    double submits, elements, commands; /* a second */
};

static int no_op(bfork_task *task)
{
    int64_t n;

    if (bfork_args(task, &n))
        return -1;
    return bfork_return(task, n);
}

static int increment(const uint64_t *in, uint64_t *out, bfork_task *task)
{
    (void)task;
    *out = *in + 1;
    return 0;
}

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* 0, or a negative status: the library's last error. */
static int trip(struct bench *b, int64_t n)
{
    bfork_future *f = bfork_submit(b->pool, no_op, n);
    int64_t back;
    int rc = bfork_result(f, &back);

    bfork_future_free(&f);
    return rc;
}

static int round_trips(struct bench *b)
{
    uint64_t *times = calloc(TRIPS_MAX, sizeof(*times)), start = clock_now(), at = start;
    size_t n = 0;
    int rc = times ? 0 : BFORK_ENOMEM;

    for (; rc == 0 && n < TRIPS_MAX && at - start < b->limit && !cli_signal; n++) {
        uint64_t before = clock_now();
        rc = trip(b, (int64_t)n);
        at = clock_now();
        if (rc == 0)
            times[n] = at - before;
    }
    if (rc == 0 && n > 0) {
        qsort(times, n, sizeof(*times), by_value);
        b->p50 = times[n / 2];
        b->p99 = times[n * 99 / 100];
    }
    free(times);
    return rc;
}

static bfork_future *submit_bench_command(struct bench *b)
{
    const char *argv[] = { "/bin/true", NULL };

    return bfork_pool_submit_raw(b->pool, &(bfork_function){ .argv = argv }, NULL, NULL, 0);
}

/* Tasks a second, submitted up to a window ahead of the results. */
static int measure_rate(struct bench *b, bool command, size_t window, double *ret)
{
    bfork_stream *s = bfork_stream_new();
    uint64_t start = clock_now(), end = start, done = 0;
    size_t left = 0;
    int rc = 0;

    while (rc == 0 && !cli_signal) {
        bool more = (end = clock_now()) - start < b->limit;
        for (; more && left < window; left++)
            bfork_stream_add(s, command ? submit_bench_command(b) : bfork_submit(b->pool, no_op, (int64_t)left), NULL);
        for (size_t i = 0; rc == 0 && left > 0 && (i < window / 2 || !more); i++) {
            bfork_future *f;
            if ((rc = bfork_stream_next(s, BFORK_FOREVER, &f)) != 0)
                break;
            rc = bfork_future_result_raw(f, &(const void *){ NULL }, &(size_t){ 0 });
            bfork_future_free(&f);
            left--;
            done++;
        }
        if (left == 0 && !more)
            break;
    }
    end = clock_now();
    *ret = (double)done * 1e9 / (double)(end - start + 1);
    bfork_stream_free(&s);
    return rc == BFORK_END ? 0 : rc;
}

static int elements(struct bench *b)
{
    uint64_t *in = calloc(ELEMENTS, sizeof(*in)), *out = calloc(ELEMENTS, sizeof(*out));
    uint64_t start = clock_now(), at = start, done = 0;
    int rc = in && out ? 0 : BFORK_ENOMEM;

    for (size_t i = 0; rc == 0 && i < ELEMENTS; i++)
        in[i] = i;
    while (rc == 0 && at - start < b->limit && !cli_signal) {
        rc = bfork_map(b->pool, increment, in, out, ELEMENTS);
        at = clock_now();
        done += ELEMENTS;
    }
    b->elements = (double)done * 1e9 / (double)(at - start + 1);
    free(in);
    free(out);
    return rc;
}

static void show_bench(const struct bench *b)
{
    const struct options *o = b->call->options;
    char x[BAR_TEXT], y[BAR_TEXT];

    if (o->json) {
        printf("{\"slots\":%d,\"round_trip_p50_ns\":%llu,\"round_trip_p99_ns\":%llu,\"submits_per_second\":%.0f,"
               "\"map_elements_per_second\":%.0f,\"commands_per_second\":%.0f}\n", b->slots, (unsigned long long)b->p50,
               (unsigned long long)b->p99, b->submits, b->elements, b->commands);
        return;
    }
    printf("slots        %d\n", b->slots);
    printf("round trip   %s median, %s at 99 %%\n", cli_bar_nanoseconds(b->p50, x), cli_bar_nanoseconds(b->p99, y));
    printf("submits      %s tasks/s\n", cli_bar_number((uint64_t)b->submits, x));
    printf("map          %s elements/s\n", cli_bar_number((uint64_t)b->elements, x));
    printf("commands     %s commands/s\n", cli_bar_number((uint64_t)b->commands, x));
}

static int measure_all(struct bench *b)
{
    int rc;

    if ((rc = trip(b, 0)) < 0 || (rc = round_trips(b)) < 0 || (rc = measure_rate(b, false, WINDOW, &b->submits)) < 0 ||
        (rc = elements(b)) < 0)
        return rc;
    bfork_future *f = submit_bench_command(b); /* the runner starts here, not in the row */
    rc = bfork_future_result_raw(f, &(const void *){ NULL }, &(size_t){ 0 });
    bfork_future_free(&f);
    if (rc < 0 || (rc = measure_rate(b, true, 256, &b->commands)) < 0)
        return rc;
    b->slots = bfork_pool_size(b->pool);
    return b->slots < 0 ? b->slots : 0;
}

static int run_bench(const struct cli_call *call)
{
    const struct options *o = call->options;
    struct bench b = { .call = call, .limit = (uint64_t)o->limit_ms * CLOCK_MS };
    int status = CLI_OK;

    if (call->argc > 0)
        return cli_usage(call, "'%s' is one word too many", call->argv[0]);
    if (!(b.session = cli_session(call)))
        return CLI_CLUSTER;
    b.pool = bfork_pool_new(b.session, BFORK_ALL, &(bfork_pool_options){ .name = "bfork bench" });
    int rc = measure_all(&b);
    if (cli_signal)
        status = cli_interrupted(call, NULL);
    else if (rc < 0)
        status = cli_report(call, CLI_CLUSTER, NULL);
    else
        show_bench(&b);
    if (status != CLI_OK)
        bfork_pool_terminate(b.pool);
    bfork_pool_free(&b.pool);
    cli_session_close(&b.session);
    return status;
}

const struct cli_command cli_bench = {
    .name = "bench", .arguments = "[OPTIONS]", .summary = "measure how fast this machine or cluster runs tasks", .details = details,
    .options = options, .n_options = sizeof(options) / sizeof(options[0]), .options_size = sizeof(struct options), .run = run_bench,
};
