/* SPDX-License-Identifier: MPL-2.0
 * main.c - the bfork command: finds the subcommand, reads its options, runs it. Knows nothing of what subcommands do.
 */
#include "cli.h"
#include "base/fds.h"
#include "base/near.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_command *const commands[] = {
    &cli_map, &cli_run, &cli_status, &cli_workers, &cli_jobs, &cli_ping, &cli_bench, &cli_keygen, &cli_allow, &cli_revoke,
    &cli_version, &cli_help,
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

struct top { struct cli_common common; bool version; };

static const struct conf_option top_options[] = {
    CLI_PROFILE(top),
    CLI_OPTION("version", 'V', CONF_FLAG, top, version, NULL, "show the version"),
    CLI_HELP(top),
};

static void top_help(FILE *to)
{
    fputs("usage: bfork [--profile NAME] COMMAND [OPTIONS] [WORD]...\n\n"
          "Run commands and C functions on the cores of this machine or of a cluster.\n\ncommands:\n", to);
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\noptions:\n", to);
    conf_help(top_options, sizeof(top_options) / sizeof(top_options[0]), to);
    fputs("\nbfork help COMMAND shows one of them. Start with: bfork map echo {} ::: a b c\n", to);
}

static const struct cli_command cli_top = { .name = "", .n_options = 0 };

/* Finds the command named word; NULL after saying which there are. */
static const struct cli_command *find_command(const char *word)
{
    const char *names[N_COMMANDS];

    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i]->name, word) == 0)
            return commands[i];
        names[i] = commands[i]->name;
    }
    const char *near = near_word(word, names, N_COMMANDS);
    fprintf(stderr, "bfork: there is no command '%s'", word);
    if (near)
        fprintf(stderr, "; did you mean '%s'?\n", near);
    else
        fputs(".\nTry: bfork help\n", stderr);
    return NULL;
}

static int wrong_usage(const struct cli_call *call, const struct err *e)
{
    if (call->command != &cli_top)
        return cli_usage(call, "%s", e->text);
    fprintf(stderr, "bfork: %s\nTry: bfork help\n", e->text);
    return CLI_USAGE;
}

/* Options may stand among the words, but what is_word knows is a word. *ret_n: words are argv[1, n) then. */
static int mixed_flags(struct conf *c, bool (*is_word)(const char *), int argc, char **argv, int *ret_n, struct err *e)
{
    int words = 1, rc;

    for (int at = 1, end, index; at < argc;) {
        if (argv[at][0] != '-' || !argv[at][1] || is_word(argv[at])) {
            argv[words++] = argv[at++];
            continue;
        }
        for (end = at + 1; end < argc && (argv[end][0] != '-' || !is_word(argv[end]));)
            end++;
        if ((rc = conf_flags(c, end - at + 1, argv + at - 1, true, &index, e)) < 0)
            return rc;
        bool only_words = strcmp(argv[at + index - 2], "--") == 0;
        for (at += index - 1; only_words && at < argc;)
            argv[words++] = argv[at++];
    }
    *ret_n = words;
    return 0;
}

/* Reads the flags of one level; *ret_index: the first word behind them. 0 or an exit status. */
static int read_flags(const struct cli_call *call, const struct conf_option *table, size_t n, int *argc, char **argv,
                      bool stop_at_word, struct conf **ret, int *ret_index)
{
    bool (*is_word)(const char *) = call->command->is_word;
    struct err e = { 0 };
    int rc;

    if (conf_new(table, n, call->options, ret) < 0)
        return cli_error(call, CLI_FAILED, "out of memory");
    rc = is_word ? mixed_flags(*ret, is_word, *argc, argv, argc, &e) : conf_flags(*ret, *argc, argv, stop_at_word, ret_index, &e);
    if (rc < 0 || conf_finish(*ret, &e) < 0)
        return wrong_usage(call, &e);
    return 0;
}

/* What could not be written is lost, also if the command did well: the status says so. */
static int written(const struct cli_call *call, int status)
{
    bool failed = ferror(stdout) != 0;

    errno = 0;
    if (fflush(stdout) == 0 && !failed)
        return status;
    int code = call->command->usage_status ? call->command->usage_status : CLI_FAILED;
    cli_error(call, 0, "cannot write to standard output%s%s: what is missing there is lost", errno ? ": " : "",
              errno ? strerror(errno) : "");
    return status == 0 ? code : status;
}

/* argv[0] is the subcommand's name. */
static int run_command(const struct cli_command *command, const char *profile, int argc, char **argv)
{
    struct cli_call call = { .command = command, .profile = profile };
    struct conf *conf = NULL;
    int index = 1, status;

    if (!(call.options = calloc(1, command->options_size)))
        return cli_error(&call, CLI_FAILED, "out of memory");
    status = read_flags(&call, command->options, command->n_options, &argc, argv, command->stop_at_word, &conf, &index);
    if (status == 0) {
        const struct cli_common *common = call.options;
        call.argc = argc - index;
        call.argv = argv + index;
        if (common->profile)
            call.profile = common->profile;
        if (common->help)
            cli_help_of(command, stdout);
        else
            status = command->run(&call);
        status = written(&call, status);
    }
    conf_free(&conf);
    free(call.options);
    return status;
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    fds_reserve();

    struct top top = { 0 };
    struct cli_call call = { .command = &cli_top, .options = &top };
    struct conf *conf = NULL;
    int index = 1, status;

    status = read_flags(&call, top_options, sizeof(top_options) / sizeof(top_options[0]), &argc, argv, true, &conf, &index);
    if (status != 0)
        goto out;
    if (top.version) {
        status = run_command(&cli_version, NULL, 1, (char *[]){ (char *)"version", NULL });
    } else if (top.common.help) {
        top_help(stdout);
    } else if (index >= argc && top.common.profile) {
        fprintf(stderr, "bfork: there is no command behind the options: --profile took '%s' as its value\nTry: bfork help\n",
                top.common.profile);
        status = CLI_USAGE;
    } else if (index >= argc) {
        top_help(stderr);
        status = CLI_USAGE;
    } else {
        const struct cli_command *command = find_command(argv[index]);
        status = command ? run_command(command, top.common.profile, argc - index, argv + index) : CLI_USAGE;
    }
out:
    conf_free(&conf);
    if (status == 0 && (fflush(stdout) != 0 || ferror(stdout))) {
        fputs("bfork: cannot write to standard output\n", stderr);
        status = CLI_FAILED;
    }
    return status;
}

struct options { struct cli_common common; bool json; };

static int version_run(const struct cli_call *call)
{
    const struct options *o = call->options;
    uint32_t v = bfork_version();

    if (call->argc > 0)
        return cli_usage(call, "'%s' is one word too many", call->argv[0]);
    if (o->json)
        printf("{\"version\":\"%s\",\"library\":\"%u.%u.%u\"}\n", BF_VERSION, v >> 16, v >> 8 & 255, v & 255);
    else
        printf("bfork %s, library %u.%u.%u\n", BF_VERSION, v >> 16, v >> 8 & 255, v & 255);
    return CLI_OK;
}

static const struct conf_option version_options[] = {
    CLI_OPTION("json", 0, CONF_FLAG, options, json, NULL, "for programs"),
    CLI_HELP(options),
};

const struct cli_command cli_version = {
    .name = "version", .arguments = "[--json]", .summary = "show the version of this program and of its library",
    .options = version_options, .n_options = sizeof(version_options) / sizeof(version_options[0]),
    .options_size = sizeof(struct options),
    .run = version_run,
};

static int help_run(const struct cli_call *call)
{
    if (call->argc == 0) {
        top_help(stdout);
        return CLI_OK;
    }
    const struct cli_command *command = find_command(call->argv[0]);
    if (!command)
        return CLI_USAGE;
    cli_help_of(command, stdout);
    return CLI_OK;
}

static const struct conf_option help_options[] = { CLI_HELP(options) };

const struct cli_command cli_help = {
    .name = "help", .arguments = "[COMMAND]", .summary = "show the commands, or all about one", .options = help_options,
    .n_options = 1, .options_size = sizeof(struct options), .run = help_run,
};
