/* SPDX-License-Identifier: MPL-2.0
 * cli.h - what the subcommands of bfork share: the table they are in, how they speak to people, how they open a session.
 *
 * A subcommand is one file with one struct cli_command. Its options are a table of base/conf; the struct they are read into begins
 * with struct cli_common. Errors go to stderr as "bfork NAME: what, to what, what to do"; results go to stdout.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/conf.h"
#include "base/err.h"

#include <bfork.h>
#include <signal.h>

/* Exit statuses of every subcommand that has no others of its own. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_CLUSTER = 125, CLI_MAP_ERROR = 255 };

struct cli_common { bool help; const char *profile; };

#define CLI_ONLY_FLAG (CONF_NO_FILE | CONF_NO_ENV)
#define CLI_OPTION(n, l, t, s, m, a, h) \
    { .name = n, .letter = l, .type = t, .offset = offsetof(struct s, m), .argument = a, .help = h, .flags = CLI_ONLY_FLAG }
#define CLI_HELP(s) CLI_OPTION("help", 'h', CONF_FLAG, s, common.help, NULL, "show this help")
#define CLI_PROFILE(s) \
    CLI_OPTION("profile", 'p', CONF_STR, s, common.profile, "NAME", \
               "the cluster to use; default: $BFORK_PROFILE, or else this machine")

struct cli_call;

struct cli_command {
    const char *name;
    const char *arguments;          /* "[OPTIONS] [--] COMMAND [WORD]...": for the usage line */
    const char *summary;            /* one line for bfork help */
    const char *details;            /* what --help says below the options: examples, exit statuses */
    const struct conf_option *options;
    size_t n_options, options_size;
    bool stop_at_word;              /* the first word that is no option ends the options: it belongs to another command */
    bool (*is_word)(const char *word);  /* words that begin with a dash and are no options; NULL: none */
    int usage_status;               /* exit status of a wrong command line; 0: CLI_USAGE */
    int (*run)(const struct cli_call *call);
};

struct cli_call {
    const struct cli_command *command;
    const char *profile;            /* NULL: the library's default */
    void *options;                  /* the command's struct */
    int argc;                       /* words behind the options */
    char **argv;
};

extern const struct cli_command cli_keygen, cli_allow, cli_revoke, cli_run, cli_map, cli_status, cli_workers, cli_jobs, cli_ping,
    cli_bench, cli_version, cli_help;

/* "bfork map: text" on stderr; returns status. */
int cli_error(const struct cli_call *call, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same, with "Try: bfork map --help" behind it; returns the command's usage status. */
int cli_usage(const struct cli_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Its text as bfork_error_text has it, without the end of its last line. */
void cli_error_text(const bfork_error *e, char *text, size_t size);
/* The report of a library error (NULL: this thread's last one); returns status. */
int cli_report(const struct cli_call *call, int status, const bfork_error *e);
void cli_help_of(const struct cli_command *command, FILE *to);

/* A session of the call's profile that is well, or NULL after saying why not. From then on SIGINT and SIGTERM set cli_signal and
 * make the session's blocking calls return BFORK_EINTR; a second one ends the process. One that was ignored at start stays so. */
bfork_session *cli_session(const struct cli_call *call);
/* The same with the administrators' key that the profile names, on their endpoint. */
bfork_session *cli_admin_session(const struct cli_call *call);
void cli_session_close(bfork_session **s);
extern volatile sig_atomic_t cli_signal;
/* Exit status after a signal: 128 + its number. */
int cli_interrupted(const struct cli_call *call, const char *what);

/* --cwd: text as it was given (NULL: not at all), from / in buf; what does not begin there begins in our own directory. NULL after
 * a message if it cannot be had. *ret_failed says which NULL it is. */
#define CLI_CWD(s) \
    CLI_OPTION("cwd", 0, CONF_STR, s, cwd, "DIR", "run in DIR, a directory that every host has that is to run something")
const char *cli_cwd(const struct cli_call *call, const char *text, char buf[4096], bool *ret_failed);

/* All of it to a descriptor, however slowly that is read; 0, or errno: EINTR after a signal. */
int cli_write(int fd, const void *bytes, size_t size);

/* Where keys and profiles are: dir if given, $BFORK_DIR, or ~/.config/broadfork. 0 or BFORK_EINVAL. */
int cli_directory(const char *dir, char *ret, size_t size, struct err *e);

#endif
