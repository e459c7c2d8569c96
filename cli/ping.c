/* SPDX-License-Identifier: MPL-2.0
 * ping.c - bfork ping: how long a message to the broker and back takes.
 */
#include "cli.h"
#include "core/bar.h"
#include "internal.h"

#include <poll.h>
#include <stdio.h>

#define ANSWER_MS 5000
#define PAUSE_MS 200

struct options { struct cli_common common; int64_t count; bool json; };

static const struct conf_option options[] = {
    CLI_PROFILE(options),
    { .name = "count", .letter = 'c', .type = CONF_INT, .offset = offsetof(struct options, count), .fallback = "4", .min = 1,
      .max = 1000000000, .argument = "N", .help = "so many round trips", .flags = CLI_ONLY_FLAG },
    CLI_OPTION("json", 0, CONF_FLAG, options, json, NULL, "for programs"),
    CLI_HELP(options),
};

static const char details[] =
    "exit status:\n"
    "  0    every answer came\n"
    "  2    the command line is wrong\n"
    "  125  the broker did not answer within 5 seconds or could not be reached: the report is on standard error\n";

struct sums { uint64_t n, least, most, sum; };

static int one(const struct cli_call *call, bfork_session *session, struct sums *s)
{
    const struct options *o = call->options;
    char a[BAR_TEXT];
    uint64_t ns;

    if (bfork_internal_ping(session, ANSWER_MS, &ns) < 0)
        return cli_signal ? cli_interrupted(call, NULL) : cli_report(call, CLI_CLUSTER, NULL);
    s->n++;
    s->sum += ns;
    s->least = s->n == 1 || ns < s->least ? ns : s->least;
    s->most = ns > s->most ? ns : s->most;
    if (!o->json) {
        printf("%llu: %s\n", (unsigned long long)s->n, cli_bar_nanoseconds(ns, a));
        fflush(stdout);
    }
    return CLI_OK;
}

static int run_ping(const struct cli_call *call)
{
    const struct options *o = call->options;
    struct sums s = { 0 };
    char a[BAR_TEXT], b[BAR_TEXT], c[BAR_TEXT];
    int status = CLI_OK;

    if (call->argc > 0)
        return cli_usage(call, "'%s' is one word too many", call->argv[0]);
    bfork_session *session = cli_session(call);
    if (!session)
        return CLI_CLUSTER;
    for (int64_t i = 0; i < o->count && status == CLI_OK; i++) {
        if (i > 0)
            poll(NULL, 0, PAUSE_MS);
        status = cli_signal ? cli_interrupted(call, NULL) : one(call, session, &s);
    }
    cli_session_close(&session);
    if (s.n > 0 && o->json)
        printf("{\"count\":%llu,\"min_ns\":%llu,\"mean_ns\":%llu,\"max_ns\":%llu}\n", (unsigned long long)s.n,
               (unsigned long long)s.least,
               (unsigned long long)(s.sum / s.n), (unsigned long long)s.most);
    else if (s.n > 1)
        printf("least %s, mean %s, most %s\n", cli_bar_nanoseconds(s.least, a), cli_bar_nanoseconds(s.sum / s.n, b),
               cli_bar_nanoseconds(s.most, c));
    return status;
}

const struct cli_command cli_ping = {
    .name = "ping", .arguments = "[OPTIONS]", .summary = "measure the round trip to the broker", .details = details,
    .options = options,
    .n_options = sizeof(options) / sizeof(options[0]), .options_size = sizeof(struct options), .run = run_ping,
};
