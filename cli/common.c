/* SPDX-License-Identifier: MPL-2.0
 * common.c - what the subcommands of bfork share: error messages, help, sessions with signals. Never exits by itself but on a
 * second signal.
 */
#include "cli.h"

#include "base/text.h"
#include "internal.h"
#include "net/profile.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

volatile sig_atomic_t cli_signal;
static bfork_session *volatile session_of_signals;

/* Texts may come from a broker, a worker or a task: nothing of them steers the terminal. */
static void print_message(const struct cli_call *call, const char *format, va_list ap)
{
    char text[20480];

    vsnprintf(text, sizeof(text), format, ap);
    text_clean(text, strlen(text), true);
    fflush(stdout);
    fprintf(stderr, "bfork %s: %s\n", call->command->name, text);
}

int cli_error(const struct cli_call *call, int status, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    print_message(call, format, ap);
    va_end(ap);
    return status;
}

int cli_usage(const struct cli_call *call, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    print_message(call, format, ap);
    va_end(ap);
    fprintf(stderr, "Try: bfork %s --help\n", call->command->name);
    return call->command->usage_status ? call->command->usage_status : CLI_USAGE;
}

void cli_error_text(const bfork_error *e, char *text, size_t size)
{
    bfork_error_text(e, text, size);
    for (size_t n = strlen(text); n > 0 && text[n - 1] == '\n'; n--)
        text[n - 1] = '\0';
}

int cli_report(const struct cli_call *call, int status, const bfork_error *e)
{
    char text[16384];

    cli_error_text(e, text, sizeof(text));
    return cli_error(call, status, "%s", text);
}

void cli_help_of(const struct cli_command *command, FILE *to)
{
    fprintf(to, "usage: bfork %s %s\n\n%s\n", command->name, command->arguments, command->summary);
    if (command->n_options > 0) {
        fputs("\noptions:\n", to);
        conf_help(command->options, command->n_options, to);
    }
    if (command->details)
        fprintf(to, "\n%s", command->details);
}

static void on_signal(int number)
{
    int saved = errno;

    if (cli_signal) {
        signal(number, SIG_DFL);
        raise(number);
    }
    cli_signal = number;
    if (session_of_signals)
        bfork_session_interrupt(session_of_signals);
    errno = saved;
}

/* With BFORK_DIR, a profile that is a name is a file there. */
static const char *profile_of(const struct cli_call *call, char path[PATH_MAX])
{
    const char *dir = getenv("BFORK_DIR"), *name = call->profile ? call->profile : getenv("BFORK_PROFILE");

    if (!dir || !*dir || !name || !*name || strpbrk(name, "/:") || strcmp(name, "local") == 0 || strcmp(name, "serial") == 0)
        return call->profile;
    snprintf(path, PATH_MAX, "%s/%s.conf", dir, name);
    return path;
}

/* What the program was started to ignore stays ignored, as in the background of a script. */
static void take_signal(int number)
{
    const struct sigaction take = { .sa_handler = on_signal };      /* no SA_RESTART: a read that waits for input returns */
    struct sigaction old;

    if (sigaction(number, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        sigaction(number, &take, NULL);
}

static bfork_session *open_cli_session(const struct cli_call *call, bool admin)
{
    char path[PATH_MAX];
    char name[64];
    snprintf(name, sizeof(name), "bfork %s", call->command->name);
    const bfork_session_options o = { .name = name };
    const char *profile = profile_of(call, path);
    bfork_session *s = admin ? bfork_internal_admin_session(profile, &o) : bfork_session_new(profile, &o);
    const bfork_error *e = bfork_session_error(s);

    if (e) {
        cli_report(call, 0, e);
        bfork_session_free(&s);
        return NULL;
    }
    session_of_signals = s;
    take_signal(SIGINT);
    take_signal(SIGTERM);
    return s;
}

const char *cli_cwd(const struct cli_call *call, const char *text, char buf[4096], bool *ret_failed)
{
    size_t n = 0;

    *ret_failed = false;
    if (!text || *text == '/')
        return text;
    *ret_failed = true;
    if (!*text) {
        cli_error(call, 0, "--cwd is empty: give a directory");
    } else if (!getcwd(buf, 4096)) {
        cli_error(call, 0, "--cwd %s: the directory that we are in has no name: %s", text, strerror(errno));
    } else {
        n = strlen(buf);
        *ret_failed = strcmp(text, ".") != 0 && (size_t)snprintf(buf + n, 4096 - n, "%s%s", buf[1] ? "/" : "", text) >= 4096 - n;
        if (*ret_failed)
            cli_error(call, 0, "--cwd %.100s…: the name is too long", text);
    }
    return *ret_failed ? NULL : buf;
}

bfork_session *cli_session(const struct cli_call *call) { return open_cli_session(call, false); }
bfork_session *cli_admin_session(const struct cli_call *call) { return open_cli_session(call, true); }

void cli_session_close(bfork_session **s)
{
    session_of_signals = NULL;
    bfork_session_free(s);
}

int cli_write(int fd, const void *bytes, size_t size)
{
    const char *p = bytes;

    for (size_t at = 0; at < size;) {
        ssize_t n = write(fd, p + at, size - at);
        if (n < 0 && errno == EAGAIN)
            poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, -1);
        else if (n < 0 && errno != EINTR)
            return errno;
        if (n < 0 && cli_signal)
            return EINTR;
        at += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

int cli_interrupted(const struct cli_call *call, const char *what)
{
    return cli_error(call, 128 + cli_signal, "interrupted%s%s", what ? ": " : "", what ? what : "");
}

int cli_directory(const char *dir, char *ret, size_t size, struct err *e)
{
    const char *env = getenv("BFORK_DIR");

    if (!dir && !(env && *env))
        return net_profile_default_dir(ret, size, e);
    int n = snprintf(ret, size, "%s", dir ? dir : env);
    return n > 0 && (size_t)n < size ? 0 : err_set(e, BFORK_EINVAL, "the name of the directory of keys is empty or too long");
}
