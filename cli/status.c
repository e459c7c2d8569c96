/* SPDX-License-Identifier: MPL-2.0
 * status.c - bfork status, workers, jobs: what the broker says of itself, as text or as the broker's JSON.
 */
#include "cli.h"
#include "core/view.h"
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 10000

struct options { struct cli_common common; bool json, all; };

static const struct conf_option options[] = {
    CLI_PROFILE(options),
    CLI_OPTION("all", 'a', CONF_FLAG, options, all, NULL,
               "as an administrator: tasks and jobs of every client, and the broker's counters"),
    CLI_OPTION("json", 0, CONF_FLAG, options, json, NULL, "print the broker's JSON"),
    CLI_HELP(options),
};
#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

static int show_status(const struct cli_call *call, const char *what)
{
    const struct options *o = call->options;
    struct err e = { 0 };
    char *json = NULL;
    int status = CLI_OK;

    if (call->argc > 0)
        return cli_usage(call, "'%s' is one word too many", call->argv[0]);
    bfork_session *session = o->all ? cli_admin_session(call) : cli_session(call);
    if (!session)
        return CLI_CLUSTER;
    if (bfork_internal_status(session, what, &json, ANSWER_MS) < 0)
        status = cli_signal ? cli_interrupted(call, NULL) : cli_report(call, CLI_CLUSTER, NULL);
    else if ((o->json ? cli_view_json(json, stdout, &e) : cli_view_print(what, json, stdout, &e)) < 0)
        status = cli_error(call, CLI_CLUSTER, "%s", e.text);
    free(json);
    cli_session_close(&session);
    return status;
}

static int run_status(const struct cli_call *call) { return show_status(call, "summary"); }
static int run_workers(const struct cli_call *call) { return show_status(call, "workers"); }
static int run_jobs(const struct cli_call *call) { return show_status(call, "jobs"); }

#define STATUSES "exit status:\n  0    shown\n  2    the command line is wrong\n  125  the cluster could not be asked: the " \
    "report is on standard error\n"

const struct cli_command cli_status = {
    .name = "status", .arguments = "[OPTIONS]", .summary = "show the cluster in one line: workers, slots, tasks",
    .details = STATUSES, .options = options, .n_options = N_OPTIONS, .options_size = sizeof(struct options), .run = run_status,
};
const struct cli_command cli_workers = {
    .name = "workers", .arguments = "[OPTIONS]", .summary = "show the workers, one a line",
    .details = STATUSES, .options = options, .n_options = N_OPTIONS, .options_size = sizeof(struct options), .run = run_workers,
};
const struct cli_command cli_jobs = {
    .name = "jobs", .arguments = "[OPTIONS]", .summary = "show your jobs that are not finished, one a line",
    .details = STATUSES, .options = options, .n_options = N_OPTIONS, .options_size = sizeof(struct options), .run = run_jobs,
};
