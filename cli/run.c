/* SPDX-License-Identifier: MPL-2.0
 * run.c - bfork run: one command as a task; its output and exit status come back.
 */
#include "cli.h"
#include "core/record.h"

#include <stdio.h>
#include <string.h>

struct options { struct cli_common common; int64_t time_limit_ms; bool json; };

static const struct conf_option options[] = {
    CLI_PROFILE(options),
    { .name = "time-limit", .type = CONF_MS, .offset = offsetof(struct options, time_limit_ms), .argument = "TIME",
      .help = "kill the command if it runs longer: 30s, 5m", .flags = CLI_ONLY_FLAG, .min = 0, .max = INT64_MAX / 2 },
    CLI_OPTION("json", 0, CONF_FLAG, options, json, NULL, "print one JSON object instead of the command's output"),
    CLI_HELP(options),
};

static const char details[] =
    "The command runs without a shell, without input, in one slot of the cluster. What it writes to standard output\n"
    "and standard error is written when it has ended.\n"
    "\n"
    "examples:\n"
    "  bfork --profile lab run -- uname -n\n"
    "  bfork run -- sh -c 'echo $HOME; exit 3'\n"
    "\n"
    "exit status:\n"
    "  that of the command; 128+N if signal N ended it; 124 if it passed --time-limit\n"
    "  125  the command line is wrong, or the command could not be run: the report is on standard error\n";

static int outcome(const struct cli_call *call, bfork_future *f)
{
    const struct options *o = call->options;
    struct record r = { .argv = call->argv, .tries = 1, .out = { "", 0 }, .err = { "", 0 } };

    if (bfork_result(f, &r.status, &r.out, &r.err) != 0) {
        r.error = bfork_future_error(f);
        if (!r.error)
            r.error = bfork_last_error();
        r.signal = r.error->kind == BFORK_CRASHED ? r.error->signal : 0;
        r.status = r.signal ? 128 + r.signal : r.error->kind == BFORK_OVERTIME ? 124 : CLI_CLUSTER;
    } else if (r.status > 128 && r.status <= 128 + 64) {
        r.signal = r.status - 128;
    }
    if (o->json)
        return record_print(&r, stdout) < 0 ? cli_error(call, CLI_CLUSTER, "out of memory") : r.status;
    if (r.error)
        return cli_report(call, r.status, r.error);
    fwrite(r.out.data, 1, r.out.size, stdout);
    fflush(stdout);
    fwrite(r.err.data, 1, r.err.size, stderr);
    return r.status;
}

static int run_in(const struct cli_call *call, bfork_session *session)
{
    const struct options *o = call->options;
    bfork_function f = { .argv = (const char *const *)call->argv };
    bfork_pool *pool = bfork_pool_new(session, 1, &(bfork_pool_options){ .name = "bfork run" });
    bfork_future *future = bfork_pool_submit_raw(pool, &f, &(bfork_options){ .run_limit_ms = o->time_limit_ms }, NULL, 0);
    int rc, status;

    do
        rc = bfork_future_wait(future, 1000);
    while ((rc == BFORK_ETIMEDOUT || rc == BFORK_EINTR) && !cli_signal);
    if (rc != 0) {
        bfork_pool_terminate(pool);
        status = cli_signal ? cli_interrupted(call, "the command was cancelled") : cli_report(call, CLI_CLUSTER, NULL);
    } else {
        status = outcome(call, future);
    }
    bfork_future_free(&future);
    bfork_pool_free(&pool);
    return status;
}

static int run(const struct cli_call *call)
{
    if (call->argc == 0)
        return cli_usage(call, "there is no command to run");
    bfork_session *session = cli_session(call);
    if (!session)
        return CLI_CLUSTER;
    int status = run_in(call, session);
    cli_session_close(&session);
    return status;
}

const struct cli_command cli_run = {
    .name = "run", .arguments = "[OPTIONS] [--] COMMAND [WORD]...", .summary = "run one command as a task",
    .details = details, .options = options, .n_options = sizeof(options) / sizeof(options[0]),
    .options_size = sizeof(struct options),
    .stop_at_word = true, .usage_status = CLI_CLUSTER, .run = run,
};
