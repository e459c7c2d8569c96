/* SPDX-License-Identifier: MPL-2.0
 * allow.c - bfork allow, revoke: which public keys may come as clients, workers, administrators. Changes the broker's allow files
 * and tells the broker; secret keys are never needed for it.
 */
#include "keys.h"

#include "base/text.h"
#include "net/allow.h"
#include "net/net.h"
#include "net/profile.h"

#include "internal.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define RELOAD_MS 2000

struct options { struct cli_common common; const char *dir; };

static const struct conf_option options[] = {
    CLI_OPTION("dir", 'd', CONF_STR, options, dir, "DIR", "the broker's directory; default: $BFORK_DIR or ~/.config/broadfork"),
    CLI_HELP(options),
};
#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

static const struct keys_role roles[] = {
    { "client", "allow/clients" }, { "worker", "allow/workers" }, { "admin", "allow/admins" },
};

const struct keys_role *cli_keys_role_find(const struct cli_call *call, const char *word)
{
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
        if (strcmp(word, roles[i].name) == 0)
            return &roles[i];
    cli_usage(call, "'%s' is no role: keys are for a client, a worker or an admin", word);
    return NULL;
}

int cli_keys_path(const char *dir, const char *name, char ret[PATH_MAX], struct err *e)
{
    if (snprintf(ret, PATH_MAX, "%s/%s", dir, name) < PATH_MAX)
        return 0;
    return err_set(e, BFORK_EINVAL, "the path %.100s…/%.100s is too long", dir, name);
}

/* 0, or a negative status with text. */
static int reload(const char *profile, struct err *e)
{
    bfork_session *s = bfork_internal_admin_session(profile, &(bfork_session_options){ .name = "bfork",
                                                                                       .connect_limit_ms = RELOAD_MS });
    char *answer = NULL;
    int rc = bfork_internal_admin(s, "reload", "", &answer, RELOAD_MS);

    if (rc < 0)
        err_set(e, rc, "%s", bfork_last_error()->message);
    free(answer);
    bfork_session_free(&s);
    return rc;
}

void cli_keys_tell_broker(const struct cli_call *call, const char *dir)
{
    char pattern[PATH_MAX];
    glob_t found = { 0 };
    struct err e = { 0 };
    bool told = false;

    (void)call;
    err_set(&e, BFORK_EKEY, "no profile in %s says where the administrators' endpoint is", dir);
    if (cli_keys_path(dir, "*.conf", pattern, &e) == 0 && glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc && !told; i++) {
            struct net_profile p;       /* broker.conf is there too, and is none */
            if (net_profile_load(found.gl_pathv[i], NULL, &p, NULL) == 0 && p.admin[0] && p.admin_key[0])
                told = reload(found.gl_pathv[i], &e) == 0;
        }
        globfree(&found);
    }
    text_clean(e.text, strlen(e.text), false);
    if (told)
        puts("the running broker has taken it over");
    else
        printf("no running broker was told: %s\nIf one runs, let it read its keys again: systemctl reload bfork-broker, or kill "
               "-HUP PID\n",
               e.text);
}

static bool is_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* A key as text, or the key in a file. 0, or an exit status after a message. */
static int key_of(const struct cli_call *call, const char *word, uint8_t key[32])
{
    struct err e = { 0 };

    if (net_key_parse(word, key) == 0)
        return 0;
    if (!is_file(word))
        return cli_error(call, CLI_FAILED, "'%s' is neither a public key (40 characters, in single quotes) nor a key file", word);
    return net_public_load(word, key, &e) < 0 ? cli_error(call, CLI_FAILED, "%s", e.text) : 0;
}

/* Role, directory and file of both commands. 0 or an exit status. */
static int begin_change(const struct cli_call *call, int most, const struct keys_role **role, char dir[PATH_MAX],
                        char path[PATH_MAX])
{
    const struct options *o = call->options;
    struct err e = { 0 };

    if (call->argc < 2 || call->argc > most)
        return cli_usage(call, "give a role and a key: bfork %s %s", call->command->name, call->command->arguments);
    if (!(*role = cli_keys_role_find(call, call->argv[0])))
        return CLI_USAGE;
    if (cli_directory(o->dir, dir, PATH_MAX, &e) < 0 || cli_keys_path(dir, (*role)->allow_file, path, &e) < 0)
        return cli_error(call, CLI_FAILED, "%s", e.text);
    return 0;
}

static int run_allow(const struct cli_call *call)
{
    const struct keys_role *role = NULL;
    char dir[PATH_MAX], path[PATH_MAX], text[NET_KEY_TEXT];
    struct err e = { 0 };
    uint8_t key[32];
    int status = begin_change(call, 3, &role, dir, path), rc;

    if (status != 0 || !role || (status = key_of(call, call->argv[1], key)) != 0)
        return status;
    rc = net_allow_add(path, key, call->argc > 2 ? call->argv[2] : NULL, &e);
    if (rc < 0)
        return cli_error(call, CLI_FAILED, "%s", e.text);
    net_key_text(key, text);
    printf(rc > 0 ? "%s %s may come: %s\n" : "%s %s was allowed already: %s\n", role->name, text, path);
    if (rc > 0)
        cli_keys_tell_broker(call, dir);
    return CLI_OK;
}

static int run_revoke(const struct cli_call *call)
{
    const struct keys_role *role = NULL;
    char dir[PATH_MAX], path[PATH_MAX];
    struct err e = { 0 };
    uint8_t key[32];
    int status = begin_change(call, 2, &role, dir, path), rc;

    if (status != 0 || !role)
        return status;
    const char *word = call->argv[1];
    bool by_key = net_key_parse(word, key) == 0;
    if (!by_key && is_file(word)) {
        if ((status = key_of(call, word, key)) != 0)
            return status;
        by_key = true;
    }
    rc = net_allow_remove(path, by_key ? key : NULL, by_key ? NULL : word, &e);
    if (rc < 0)
        return cli_error(call, CLI_FAILED, "%s", e.text);
    if (rc == 0)
        return cli_error(call, CLI_FAILED, "no %s with the %s '%s' is allowed in %s; nothing was changed", role->name,
                         by_key ? "key" : "name", word, path);
    printf("%d key%s revoked: %s\n", rc, rc == 1 ? "" : "s", path);
    cli_keys_tell_broker(call, dir);
    return CLI_OK;
}

#define STATUSES "\nexit status:\n  0  done, also if no running broker could be told: the output says what to do then\n" \
    "  1  not done: the message says why, and nothing was changed\n  2  the command line is wrong\n"

/* A key may begin with a dash. */
static bool is_key(const char *word)
{
    uint8_t key[32];

    return strncmp(word, "--dir=", 6) != 0 && net_key_parse(word, key) == 0;
}

const struct cli_command cli_allow = {
    .name = "allow", .arguments = "[OPTIONS] client|worker|admin KEY|FILE [NAME]", .summary = "let a public key join the cluster",
    .details = "Run it on the broker's host. FILE is a key file or a certificate as czmq's zcert writes it, public or secret;\n"
               "NAME is for people and for bfork revoke.\n\n"
               "examples:\n  bfork allow client alice.cert alice\n"
               "  bfork allow worker 'rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7' rack-7\n" STATUSES,
    .options = options, .n_options = N_OPTIONS, .options_size = sizeof(struct options), .is_word = is_key,
    .run = run_allow,
};
const struct cli_command cli_revoke = {
    .name = "revoke", .arguments = "[OPTIONS] client|worker|admin KEY|FILE|NAME", .summary = "take that back; its live sessions "
        "end",
    .details = "Run it on the broker's host. Every key with that NAME is revoked.\n\n"
               "example:\n  bfork revoke worker rack-7\n" STATUSES,
    .options = options, .n_options = N_OPTIONS, .options_size = sizeof(struct options), .is_word = is_key,
    .run = run_revoke,
};
