/* SPDX-License-Identifier: MPL-2.0
 * run.c - bfork run: one command as a task; its output and exit status come back.
 */
#include "cli.h"
#include "core/record.h"
#include "internal.h"
#include "spool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options { struct cli_common common; int64_t time_limit_ms; const char *cwd; bool json; };

static const struct conf_option options[] = {
    CLI_PROFILE(options),
    { .name = "time-limit", .type = CONF_MS, .offset = offsetof(struct options, time_limit_ms), .argument = "TIME",
      .help = "kill the command if it runs longer: 30s, 5m", .flags = CLI_ONLY_FLAG, .min = 0, .max = INT64_MAX / 2 },
    CLI_CWD(options),
    CLI_OPTION("json", 0, CONF_FLAG, options, json, NULL, "print one JSON object instead of the command's output"),
    CLI_HELP(options),
};

static const char details[] =
    "The command runs without a shell, without input, in one slot of the cluster. What it writes to standard output\n"
    "and standard error comes as it is written, lines whole; it waits when that is not read.\n"
    "\n"
    "On a cluster it runs on the host of a worker, in a directory of the worker: neither the program nor the files it\n"
    "names come along. They must be there; --cwd chooses the directory, such as one that all hosts share.\n"
    "\n"
    "examples:\n"
    "  bfork --profile lab run -- uname -n\n"
    "  bfork run -- sh -c 'echo $HOME; exit 3'\n"
    "  bfork --profile lab run --cwd . -- ./simulate 17      (in this directory, which the workers have, too)\n"
    "\n"
    "exit status:\n"
    "  that of the command; 128+N if signal N ended it; 124 if it passed --time-limit\n"
    "  125  the command line is wrong, or the command could not be run: the report is on standard error\n";

/* What the command writes goes on as it comes, or for JSON into spools. Told by one thread at a time; stop is set last. */
struct sink {
    const struct cli_call *call;
    bfork_session *session;
    bool json;
    struct spools all;
    struct spool out, err;
    uint64_t written[3];
    struct err why;                 /* of stop */
    _Atomic bool stop;              /* the command is not worth going on with */
};

static void stop(struct sink *s)
{
    s->stop = true;
    bfork_session_interrupt(s->session);
}

static void note_rerun(struct sink *s)
{
    cli_spool_clear(&s->all, &s->out);
    cli_spool_clear(&s->all, &s->err);
    if (s->written[1]) {
        err_set(&s->why, BFORK_LOST, "the command was lost with its worker or template and would run again, but %llu bytes of what "
                "it wrote to standard output have been passed on already: it was ended, so that they are not mixed; run it again",
                (unsigned long long)s->written[1]);
        stop(s);
    } else if (s->written[2]) {
        cli_error(s->call, 0, "the command was lost with its worker or template and runs again: what it wrote to standard error "
                  "may come again");
    }
}

static void take_output(void *task, const bfork_error *from, int fd, const void *bytes, size_t size)
{
    struct sink *s = task;

    if (s->stop)
        return;
    if (from->kind == BFORK_EAGAIN) {
        note_rerun(s);
    } else if (from->kind) {
        err_set(&s->why, from->kind, "%.*s", (int)strcspn(from->message, "\n"), from->message);
        stop(s);
    } else if (s->json) {
        if (cli_spool_add(&s->all, fd == 2 ? &s->err : &s->out, bytes, size, &s->why) < 0)
            stop(s);
    } else {
        int rc = cli_write(fd, bytes, size);
        s->written[fd == 2 ? 2 : 1] += size;
        if (rc == 0)
            return;
        err_set(&s->why, BFORK_EINVAL, "cannot write to standard %s: %s; the command was ended", fd == 2 ? "error" : "output",
                strerror(rc));
        stop(s);
    }
}

static int append_part(void *ctx, const char *bytes, size_t size)
{
    char **to = ctx;

    memcpy(*to, bytes, size);
    *to += size;
    return 0;
}

static int load_command(struct sink *s, const struct spool *from, bfork_bytes *ret, struct err *e)
{
    char *p = malloc(from->size ? from->size : 1), *at = p;

    if (!p)
        return err_set(e, BFORK_ENOMEM, "out of memory: --json needs all that the command wrote at once, %llu bytes",
                       (unsigned long long)from->size);
    *ret = bfork_bytes_of(p, from->size);
    return cli_spool_each(&s->all, from, append_part, &at, e);
}

static int print_json(struct sink *s, struct record *r)
{
    struct err e = { 0 };
    int rc = load_command(s, &s->out, &r->out, &e);

    if (rc == 0)
        rc = load_command(s, &s->err, &r->err, &e);
    if (rc == 0 && (rc = cli_record_print(r, stdout)) < 0)
        err_set(&e, BFORK_ENOMEM, "out of memory");
    free((void *)(uintptr_t)r->out.data);
    free((void *)(uintptr_t)r->err.data);
    return rc == 0 ? r->status : cli_error(s->call, CLI_CLUSTER, "%s", e.text);
}

static int exit_status_of(struct sink *s, bfork_future *f)
{
    struct record r = { .argv = s->call->argv, .tries = 1 };
    bfork_bytes out, err;

    if (bfork_result(f, &r.status, &out, &err) != 0) {
        r.error = bfork_future_error(f);
        if (!r.error)
            r.error = bfork_last_error();
        r.signal = r.error->kind == BFORK_CRASHED ? r.error->signal : 0;
        r.status = r.signal ? 128 + r.signal : r.error->kind == BFORK_OVERTIME ? 124 : CLI_CLUSTER;
    } else if (r.status > 128 && r.status <= 128 + 64) {
        r.signal = r.status - 128;
    }
    if (s->json)
        return print_json(s, &r);
    if (!r.error)
        return r.status;
    bfork_error e = *r.error;
    if (s->written[2])
        e.output = "";                  /* it was written already */
    return cli_report(s->call, r.status, &e);
}

static int run_in(struct sink *s, const char *cwd)
{
    const struct cli_call *call = s->call;
    const struct options *o = call->options;
    bfork_pool *pool = bfork_pool_new(s->session, 1, &(bfork_pool_options){ .name = "bfork run", .cwd = cwd });
    bfork_future *future = bfork_internal_command(pool, (const char *const *)call->argv,
                                                  &(bfork_options){ .run_limit_ms = o->time_limit_ms }, take_output, s);
    int rc, status;

    do
        rc = bfork_future_wait(future, 1000);
    while ((rc == BFORK_ETIMEDOUT || rc == BFORK_EINTR) && !cli_signal && !s->stop);
    if (rc == 0 && !s->stop) {
        status = exit_status_of(s, future);
    } else {
        bfork_pool_terminate(pool);
        status = cli_signal ? cli_interrupted(call, "the command was cancelled")
                 : s->stop ? cli_error(call, CLI_CLUSTER, "%s", s->why.text) : cli_report(call, CLI_CLUSTER, NULL);
        s->stop = true;
    }
    bfork_future_free(&future);
    bfork_pool_free(&pool);
    return status;
}

static int run_one(const struct cli_call *call)
{
    if (call->argc == 0)
        return cli_usage(call, "there is no command to run");
    const struct options *o = call->options;
    char buf[4096];
    bool failed;
    struct sink s = { .call = call, .json = o->json };
    const char *cwd = cli_cwd(call, o->cwd, buf, &failed);
    if (failed || !(s.session = cli_session(call)))
        return CLI_CLUSTER;
    int status = run_in(&s, cwd);
    cli_session_close(&s.session);
    cli_spool_clear(&s.all, &s.out);
    cli_spool_clear(&s.all, &s.err);
    cli_spools_free(&s.all);
    return status;
}

const struct cli_command cli_run = {
    .name = "run", .arguments = "[OPTIONS] [--] COMMAND [WORD]...", .summary = "run one command as a task",
    .details = details, .options = options, .n_options = sizeof(options) / sizeof(options[0]),
    .options_size = sizeof(struct options),
    .stop_at_word = true, .usage_status = CLI_CLUSTER, .run = run_one,
};
