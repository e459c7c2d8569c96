/* SPDX-License-Identifier: MPL-2.0
 * map.c - bfork map: one command for every argument, as GNU parallel does, on this machine or on a cluster. This file reads the
 * options and puts the parts together.
 */
#include "map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define O(n, l, t, m, a, h) CLI_OPTION(n, l, t, map_options, m, a, h)
/* What GNU parallel has under this name, and what is there for it here: never something else by the same letter. */
#define PARALLEL(n, l, instead) { .name = n, .letter = l, .help = instead, .flags = CLI_ONLY_FLAG | CONF_ELSEWHERE }
static const struct conf_option options[] = {
    CLI_PROFILE(map_options),
    O("jobs", 'j', CONF_STR, jobs, "N", "so many tasks at a time; -N: all slots but N; default: all"),
    O("keep-order", 'k', CONF_FLAG, keep_order, NULL, "print results in the order of the input"),
    O("arg-file", 'a', CONF_STR, arg_file, "FILE", "read arguments from FILE, one a line, instead of from standard input"),
    O("null", '0', CONF_FLAG, null, NULL, "arguments end with a NUL byte instead of a newline"),
    O("replace", 'I', CONF_STR, replace, "TEXT", "use TEXT as the only placeholder"),
    CLI_CWD(map_options),
    O("shell", 0, CONF_FLAG, shell, NULL, "the command is a script for /bin/sh; arguments are quoted"),
    { .name = "time-limit", .type = CONF_MS, .offset = offsetof(struct map_options, time_limit_ms), .argument = "TIME",
      .help = "kill a task that runs longer: 30s, 5m", .flags = CLI_ONLY_FLAG, .min = 0, .max = INT64_MAX / 2 },
    { .name = "retries", .type = CONF_INT, .offset = offsetof(struct map_options, retries), .argument = "N",
      .help = "run a failed task again, up to N times", .flags = CLI_ONLY_FLAG, .min = 0, .max = 1000000 },
    O("halt", 0, CONF_STR, halt, "WHEN", "stop early: soon,fail=1  now,fail=3  now,success=1  soon,done=10; default: never"),
    O("tag", 0, CONF_FLAG, tag, NULL, "put the argument and a tab in front of every line of output"),
    O("json", 0, CONF_FLAG, json, NULL, "print one JSON object a task instead of its output"),
    O("dry-run", 0, CONF_FLAG, dry_run, NULL, "print the commands instead of running them"),
    O("bar", 0, CONF_FLAG, bar, NULL, "show a progress bar if standard error is a terminal; this is the default"),
    O("progress", 0, CONF_FLAG, progress, NULL, "the same as --bar"),
    O("no-bar", 0, CONF_FLAG, no_bar, NULL, "show no progress bar"),
    O("quiet", 'q', CONF_FLAG, quiet, NULL, "no summary of failed tasks at the end"),
    CLI_HELP(map_options),
    PARALLEL("max-args", 'n', "a task has one argument, or one from each source; to see the commands: --dry-run"),
    PARALLEL("max-replace-args", 'N', "a task has one argument, or one from each source"),
    PARALLEL("max-lines", 'L', "a task has one line; put several into one line of input"),
    PARALLEL("xargs", 'm', "a task has one argument, or one from each source"),
    PARALLEL("context-replace", 'X', "a task has one argument, or one from each source"),
    PARALLEL("max-procs", 'P', "the number of tasks at a time is --jobs N"),
    PARALLEL("timeout", 0, "the limit is called --time-limit: 30s, 5m"),
    PARALLEL("dryrun", 0, "it is written --dry-run"),
    PARALLEL("eta", 0, "the bar shows the time left; it is there by default on a terminal"),
    PARALLEL("delimiter", 'd', "arguments end with a newline, or with --null by a NUL byte; tr makes one of the other"),
    PARALLEL("colsep", 'C', "a line is one argument; several sources of arguments are several :::"),
    PARALLEL("sshlogin", 'S', "hosts join by bfork-worker; a cluster is chosen by --profile NAME"),
    PARALLEL("sshloginfile", 0, "hosts join by bfork-worker; a cluster is chosen by --profile NAME"),
    PARALLEL("wd", 0, "a directory of the worker is chosen by --cwd DIR"),
    PARALLEL("workdir", 0, "a directory of the worker is chosen by --cwd DIR"),
    PARALLEL("pipe", 0, "commands have no input; pass names of files, or arguments"),
    PARALLEL("ungroup", 'u', "the output of a task is written when it has ended"),
    PARALLEL("line-buffer", 0, "the output of a task is written when it has ended"),
    PARALLEL("group", 0, "the output of a task is always written in one piece"),
    PARALLEL("joblog", 0, "--json has what a job log has, one object a task"),
    PARALLEL("results", 0, "--json has the output of each task in one object"),
    PARALLEL("colour", 0, "output is not coloured; --tag says which argument it belongs to"),
};

static const char details[] =
    "The command runs once for every line of standard input, or for every ARG behind :::, or for every line of\n"
    "every FILE behind ::::. Several ::: or :::: give every combination. Commands run without a shell.\n"
    "On a cluster they run in a directory of a worker: programs and files must be there; --cwd chooses the directory.\n"
    "\n"
    "placeholders:\n"
    "  {}    the argument; it is added as the last word if there is no placeholder at all\n"
    "  {.}   the argument without its extension        {/}   without its directory\n"
    "  {//}  its directory                             {/.}  without either\n"
    "  {#}   the number of the task, from 1            {2} {2.} {2/} …  of the second source\n"
    "\n"
    "--halt now ends what runs; --halt soon cancels what is queued, and a slot ends what it has been handed.\n"
    "\n"
    "examples:\n"
    "  bfork map convert {} -resize 256 {.}.png ::: *.jpg\n"
    "  bfork --profile lab map -k --cwd . -- ./simulate --seed {} < seeds.txt\n"
    "  bfork map --shell 'sort {} | uniq -c > {/.}.count' ::: logs/*.txt\n"
    "  bfork map echo {1}-{2} ::: a b ::: 1 2 3\n"
    "\n"
    "exit status:\n"
    "  0        every task ended with exit status 0\n"
    "  1-100    so many tasks failed; 101: more than 100\n"
    "  255      the map itself failed: wrong options, unreadable input, cluster not reachable\n"
    "  128+N    ended by signal N, such as 130 after Ctrl-C\n"
    "  with --halt …,fail=N that was reached: the exit status of the last failed task\n";

/* -j: a number of slots, or all but so many. "+2" is a number to strtol, and more than all to users of GNU parallel: refused. */
static int parse_jobs(const char *text, int *ret)
{
    char *end;
    long n;

    *ret = BFORK_ALL;
    if (!text)
        return 0;
    n = strtol(text, &end, 10);
    if (*text == '+' || *text == ' ' || end == text || *end || n == 0 || n > 1000000 || n < -1000000)
        return -1;
    *ret = n > 0 ? (int)n : (int)n - 1;
    return 0;
}

static int dry_run(struct map *m)
{
    const char *const *args;
    struct err e = { 0 };
    int rc;

    while ((rc = cli_tuples_next(m->tuples, -1, &args, &e)) == 0)
        cli_mapcmd_dry_run(m, args, ++m->submitted);
    if (rc == BFORK_END)
        return CLI_OK;
    return cli_error(m->call, CLI_MAP_ERROR, "%s", rc == BFORK_EINTR ? "interrupted" : e.text);
}

static int with_session(struct map *m, int jobs)
{
    const struct map_options *o = m->options;
    const bfork_error *e;
    int status;

    if (o->keep_order && !(m->ordered = calloc(MAP_SPAN, sizeof(*m->ordered))))
        return cli_error(m->call, CLI_MAP_ERROR, "out of memory");
    char buf[4096];
    bool failed;
    const char *cwd = cli_cwd(m->call, o->cwd, buf, &failed);
    if (failed || !(m->session = cli_session(m->call)))
        return CLI_MAP_ERROR;
    m->pool = bfork_pool_new(m->session, jobs, &(bfork_pool_options){ .name = "bfork map", .cwd = cwd });
    if ((e = bfork_pool_error(m->pool)))
        return cli_report(m->call, CLI_MAP_ERROR, e);
    m->stream = bfork_stream_new();
    if (!o->arg_file && isatty(STDIN_FILENO) && !m->counts.total_known)
        cli_error(m->call, 0, "reading arguments from the terminal, one a line; Ctrl-D ends them, ::: gives them on the command "
                  "line");
    status = cli_mapcmd_work(m);
    return status;
}

static int prepare(struct map *m, struct err *e)
{
    const struct map_options *o = m->options;
    struct command_split split;
    int rc = cli_command_split(m->call->argv, (size_t)m->call->argc, &split, e);

    if (rc < 0)
        return rc;
    if (o->arg_file && split.n_sources > 0)
        return err_set(e, BFORK_EINVAL, "arguments come from --arg-file or from behind :::, not from both; put the file behind "
                       "::::");
    if (o->halt && (rc = cli_halt_parse(o->halt, &m->halt, e)) < 0)
        return rc;
    size_t width = split.n_sources ? split.n_sources : 1;
    if ((rc = cli_command_new(split.words, split.n, width, o->shell, o->replace, &m->command, e)) < 0)
        return rc;
    if ((rc = cli_tuples_new(&split, o->arg_file ? o->arg_file : "-", o->null ? '\0' : '\n', &m->tuples, e)) < 0)
        return rc;
    m->counts.total_known = cli_tuples_total(m->tuples, &m->counts.total);
    return 0;
}

static int run_bulk(const struct cli_call *call)
{
    struct map m = { .call = call, .options = call->options, .next_print = 1, .lock = PTHREAD_MUTEX_INITIALIZER };
    struct err e = { 0 };
    int jobs, status;

    m.tasks.prev = m.tasks.next = &m.tasks;
    if (parse_jobs(m.options->jobs, &jobs) < 0)
        return cli_usage(call, "--jobs %s: give a number of slots from 1, or -N for all but N%s", m.options->jobs,
                         *m.options->jobs == '+' ? "; more than there are cannot be had" : "");
    if (prepare(&m, &e) < 0)
        status = cli_usage(call, "%s", e.text);
    else if (m.options->dry_run)
        status = dry_run(&m);
    else
        status = with_session(&m, jobs);
    bfork_stream_free(&m.stream);
    bfork_pool_free(&m.pool);
    cli_session_close(&m.session);
    while (m.tasks.next != &m.tasks)
        cli_mapcmd_task_free(m.tasks.next);
    cli_command_free(&m.command);
    cli_tuples_free(&m.tuples);
    cli_spools_free(&m.spools);
    free(m.ordered);
    return status;
}

const struct cli_command cli_map = {
    .name = "map", .arguments = "[OPTIONS] [--] COMMAND [WORD]... [::: ARG...] [:::: FILE...]",
    .summary = "run a command once for every argument, many at a time", .details = details, .options = options,
    .n_options = sizeof(options) / sizeof(options[0]), .options_size = sizeof(struct map_options), .stop_at_word = true,
    .usage_status = CLI_MAP_ERROR, .run = run_bulk,
};
