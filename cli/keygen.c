/* SPDX-License-Identifier: MPL-2.0
 * keygen.c - bfork keygen: the keys of a new cluster, or one more key, as a key file or as the two files of a certificate of czmq.
 * Never overwrites a file; what a failed run has made is removed.
 */
#include "keys.h"

#include "base/folder.h"
#include "net/allow.h"
#include "net/net.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PORT "7700"

struct options { struct cli_common common; const char *dir, *broker; bool zcert; };

static const struct conf_option options[] = {
    CLI_OPTION("dir", 'd', CONF_STR, options, dir, "DIR", "where to put them; default: $BFORK_DIR or ~/.config/broadfork"),
    CLI_OPTION("profile", 'p', CONF_STR, options, common.profile, "NAME", "name of the cluster's profile; default: lab"),
    CLI_OPTION("broker", 'b', CONF_STR, options, broker, "ENDPOINT", "where clients and workers find the broker; default: "
               "tcp://HOST:" PORT " with this machine's host name"),
    CLI_OPTION("zcert", 0, CONF_FLAG, options, zcert, NULL, "certificates as czmq's zcert writes them, for programs that use it: "
               "NAME.cert (public) and NAME.cert_secret"),
    CLI_HELP(options),
};

static const char details[] =
    "Without words: the keys of a new cluster. It makes broker.key, client.key, worker.key and admin.key, the lists of\n"
    "allowed keys (allow/clients, allow/workers, allow/admins) and the profile NAME.conf, and says what to do next.\n"
    "\n"
    "With a role and a NAME: one more key, ROLE-NAME.key, which is allowed at once. Give every user and every group of\n"
    "hosts a key of their own: then each can be revoked alone.\n"
    "\n"
    "Key files are secret: whoever has client.key runs commands on every worker.\n"
    "\n"
    "With --zcert each key is two files, as czmq's zcert has them: NAME.cert with the public key, for anybody, and\n"
    "NAME.cert_secret, which is secret. Where a key file is named, name NAME.cert; NAME.cert_secret is found beside it.\n"
    "\n"
    "examples:\n"
    "  bfork keygen --broker tcp://cluster.example.org:7700\n"
    "  bfork keygen client alice\n"
    "  bfork keygen --zcert client alice\n"
    "\n"
    "exit status:\n"
    "  0  made\n"
    "  1  not made: a file exists already, or cannot be written; nothing was changed\n"
    "  2  the command line is wrong\n";

#define MADE_MAX 12u        /* four keys of two files, and the profile */

/* What this run has made and allowed: a failure takes it back. */
struct keygen {
    const struct cli_call *call;
    char dir[PATH_MAX], broker[256];
    const char *profile, *ending;   /* ".key", or ".cert" */
    bool zcert;
    struct net_cert broker_cert;
    char *made[MADE_MAX];
    size_t n_made;
    struct { const struct keys_role *role; uint8_t key[32]; } allowed[MADE_MAX];
    size_t n_allowed;
    bool is_default_dir;
};

#define SECRET "_secret"        /* behind the name of a certificate: the file with its secret key */

/* The keys of a cluster, the broker's first. */
static const char *const names[] = { "broker", "client", "worker", "admin" };
#define N_NAMES (sizeof(names) / sizeof(names[0]))

static int made(struct keygen *k, const char *path, struct err *e)
{
    char *copy = strdup(path);

    if (!copy || k->n_made == MADE_MAX) {
        free(copy);
        unlink(path);
        return err_set(e, BFORK_ENOMEM, "out of memory");
    }
    k->made[k->n_made++] = copy;
    return 0;
}

static void end(struct keygen *k, bool take_back)
{
    for (size_t i = 0; i < k->n_made; i++) {
        if (take_back)
            unlink(k->made[i]);
        free(k->made[i]);
    }
    for (size_t i = 0; take_back && i < k->n_allowed; i++) {
        char path[PATH_MAX];
        if (cli_keys_path(k->dir, k->allowed[i].role->allow_file, path, NULL) == 0)
            net_allow_remove(path, k->allowed[i].key, NULL, NULL);
    }
    explicit_bzero(&k->broker_cert, sizeof(k->broker_cert));
}

static int save_cert(struct keygen *k, const struct net_cert *c, const char *path, bool secret, struct err *e)
{
    int rc = net_cert_save(c, path, secret, e);

    return rc < 0 ? rc : made(k, path, e);
}

/* One key into DIR/file, or as a certificate into DIR/file and DIR/file_secret; its public part into the role's list of allowed
 * keys (NULL: none). */
static int make_key(struct keygen *k, const char *file, const char *name, const struct keys_role *role, struct net_cert *c,
                    struct err *e)
{
    char path[PATH_MAX], secret[NAME_MAX + 1], allow[PATH_MAX];
    int rc;

    *c = (struct net_cert){ .has_secret = true, .has_broker_key = true };
    if ((rc = net_keypair_new(&c->pair, e)) < 0)
        return rc;
    snprintf(c->name, sizeof(c->name), "%s", name);
    snprintf(c->broker, sizeof(c->broker), "%s", k->broker);
    memcpy(c->broker_key, role ? k->broker_cert.pair.public_key : c->pair.public_key, sizeof(c->broker_key));
    if ((rc = cli_keys_path(k->dir, file, path, e)) < 0 || (rc = save_cert(k, c, path, !k->zcert, e)) < 0)
        return rc;
    snprintf(secret, sizeof(secret), "%.240s" SECRET, file);
    if (k->zcert && ((rc = cli_keys_path(k->dir, secret, path, e)) < 0 || (rc = save_cert(k, c, path, true, e)) < 0))
        return rc;
    if (!role || (rc = cli_keys_path(k->dir, role->allow_file, allow, e)) < 0)
        return rc;
    if ((rc = net_allow_add(allow, c->pair.public_key, name, e)) < 0)
        return rc;
    k->allowed[k->n_allowed].role = role;
    memcpy(k->allowed[k->n_allowed++].key, c->pair.public_key, 32);
    return 0;
}

static int make_profile(struct keygen *k, struct err *e)
{
    char path[PATH_MAX], name[NAME_MAX + 1], admin[300], key[NET_KEY_TEXT];
    FILE *f;
    int fd, rc;

    snprintf(name, sizeof(name), "%s.conf", k->profile);
    if ((rc = cli_keys_path(k->dir, name, path, e)) < 0 || (rc = net_endpoint_shift(k->broker, "127.0.0.1", 2, admin, sizeof(admin),
                                                                                    e)) < 0)
        return rc;
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || !(f = fdopen(fd, "w"))) {
        rc = err_errno(e, BFORK_EKEY, errno, "cannot make the profile %s", path);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    net_key_text(k->broker_cert.pair.public_key, key);
    fprintf(f, "# A cluster, as bfork keygen made it. Use it with --profile %s or BFORK_PROFILE=%s.\n", k->profile, k->profile);
    fprintf(f, "broker     = %s\nbroker-key = %s\nkey        = client%s\nadmin      = %s\nadmin-key  = admin%s\n", k->broker,
            key, k->ending, admin, k->ending);
    rc = made(k, path, e);
    if ((fflush(f) != 0 || ferror(f)) && rc == 0)
        rc = err_errno(e, BFORK_EKEY, errno, "cannot write the profile %s", path);
    fclose(f);
    return rc;
}

/* None of the files may be there, in neither form. */
static int nothing_exists(const struct keygen *k, struct err *e)
{
    static const char *const endings[] = { ".key", ".cert", ".cert_secret" };
    const size_t n = N_NAMES * (sizeof(endings) / sizeof(endings[0]));
    char path[PATH_MAX], name[NAME_MAX + 1];
    int rc = 0;

    for (size_t i = 0; i <= n && rc == 0; i++) {
        if (i < n)
            snprintf(name, sizeof(name), "%s%s", names[i % N_NAMES], endings[i / N_NAMES]);
        else
            snprintf(name, sizeof(name), "%s.conf", k->profile);
        rc = cli_keys_path(k->dir, name, path, e);
        if (rc == 0 && access(path, F_OK) == 0)
            rc = err_set(e, BFORK_ESTATE, "%s exists already, and nothing is overwritten. One more key for this cluster: bfork "
                         "keygen "
                         "client NAME. Another cluster: --dir DIR", path);
    }
    return rc;
}

static void say_what_next(const struct keygen *k)
{
    const char *dir = k->dir, *ending = k->ending;

    printf("The keys of a new cluster are in %s.\n\n", dir);
    printf("start the broker here:     bfork-broker");
    if (!k->is_default_dir)
        printf(" --dir %s", dir);
    if (k->zcert)
        printf(" --key %s/broker.cert", dir);
    printf("\nfor every host that works: scp %s/worker%s%s HOST:\n"
           "and there:                 bfork-worker --key worker%s\n", dir, ending, k->zcert ? "*" : "", ending);
    if (k->is_default_dir)
        printf("use the cluster:           export BFORK_PROFILE=%s\n", k->profile);
    else
        printf("use the cluster:           export BFORK_PROFILE=%s/%s.conf\n", dir, k->profile);
    printf("                           bfork run -- uname -n\n\n"
           "Workers and clients look for the broker at %s; keygen --broker says otherwise.\n", k->broker);
    if (k->zcert)
        printf("To use it from another host, copy %s.conf, client.cert and client.cert_secret into ~/.config/broadfork there.\n"
               "Files .cert are for anybody. broker.cert_secret and admin.cert_secret stay here. Whoever has client.cert_secret\n"
               "can run commands on all workers.\n", k->profile);
    else
        printf("To use it from another host, copy %s.conf and client.key into ~/.config/broadfork there.\n"
               "broker.key and admin.key stay here. Whoever has client.key can run commands on all workers.\n", k->profile);
}

static int new_cluster(struct keygen *k, struct err *e)
{
    struct net_cert c;
    char file[32];
    int rc;

    if ((rc = nothing_exists(k, e)) < 0 || (rc = folder_make(k->dir, BFORK_EKEY, e)) < 0)
        return rc;
    for (size_t i = 0; i < N_NAMES && rc == 0; i++) {
        snprintf(file, sizeof(file), "%s%s", names[i], k->ending);
        rc = make_key(k, file, names[i], i == 0 ? NULL : cli_keys_role_find(k->call, names[i]), i == 0 ? &k->broker_cert : &c, e);
    }
    explicit_bzero(&c, sizeof(c));
    return rc < 0 ? rc : make_profile(k, e);
}

/* The broker's key, whose public part and endpoint every other one names. */
static int load_broker(struct keygen *k, struct err *e)
{
    static const char *const files[] = { "broker.key", "broker.cert" };
    char path[PATH_MAX];
    int rc;

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if ((rc = cli_keys_path(k->dir, files[i], path, e)) < 0)
            return rc;
        if (access(path, F_OK) == 0)
            return net_cert_load(path, false, &k->broker_cert, e);
    }
    return err_set(e, BFORK_EKEY, "there is no cluster in %s: bfork keygen without a role makes one", k->dir);
}

static int more_key(struct keygen *k, const struct keys_role *role, const char *name, char file[NAME_MAX + 1], struct err *e)
{
    const struct options *o = k->call->options;
    struct net_cert c;
    int rc;

    if (!*name || strlen(name) > 100 || strpbrk(name, "/\"' \t\n") || *name == '.')
        return err_set(e, BFORK_EINVAL, "'%s' cannot be a key's name: up to 100 characters, no blanks, quotes or slashes", name);
    if ((rc = load_broker(k, e)) < 0)
        return rc;
    if (!o->broker && k->broker_cert.broker[0])
        snprintf(k->broker, sizeof(k->broker), "%s", k->broker_cert.broker);
    snprintf(file, NAME_MAX + 1, "%s-%s%s", role->name, name, k->ending);
    rc = make_key(k, file, name, role, &c, e);
    explicit_bzero(&c, sizeof(c));
    return rc;
}

static bool is_word_of_ours(const char *name)
{
    return strcmp(name, "broker") == 0 || strcmp(name, "worker") == 0 || strcmp(name, "local") == 0 || strcmp(name, "serial") == 0;
}

static int begin_folder(struct keygen *k, struct err *e)
{
    const struct options *o = k->call->options;
    char host[128] = "", check[300];
    int rc;

    k->zcert = o->zcert;
    k->ending = o->zcert ? ".cert" : ".key";
    k->is_default_dir = !o->dir && !getenv("BFORK_DIR");
    if ((rc = cli_directory(o->dir, k->dir, sizeof(k->dir), e)) < 0)
        return rc;
    k->profile = k->call->profile ? k->call->profile : "lab";
    if (!*k->profile || strlen(k->profile) > 100 || strpbrk(k->profile, "/: \t\n") || is_word_of_ours(k->profile))
        return err_set(e, BFORK_EINVAL, "'%s' cannot be a profile's name: up to 100 characters, no blanks, colons or slashes, and "
                       "not "
                       "broker, worker, local or serial, which mean something else", k->profile);
    if (gethostname(host, sizeof(host) - 1) < 0 || !*host)
        snprintf(host, sizeof(host), "localhost");
    if (o->broker && strlen(o->broker) >= sizeof(k->broker))
        return err_set(e, BFORK_EINVAL, "the broker's endpoint is too long");
    if (o->broker)
        snprintf(k->broker, sizeof(k->broker), "%s", o->broker);
    else
        snprintf(k->broker, sizeof(k->broker), "tcp://%s:" PORT, host);
    return net_endpoint_shift(k->broker, NULL, 2, check, sizeof(check), e);
}

static int run_keygen(const struct cli_call *call)
{
    struct keygen k = { .call = call };
    const struct keys_role *role = NULL;
    char file[NAME_MAX + 1] = "";
    struct err e = { 0 };
    int rc;

    if (call->argc == 1 || call->argc > 2)
        return cli_usage(call, "give no words, or a role and a name: bfork keygen client alice");
    if (call->argc == 2 && !(role = cli_keys_role_find(call, call->argv[0])))
        return CLI_USAGE;
    rc = begin_folder(&k, &e);
    if (rc == 0)
        rc = role ? more_key(&k, role, call->argv[1], file, &e) : new_cluster(&k, &e);
    end(&k, rc < 0);
    if (rc == BFORK_EINVAL)
        return cli_usage(call, "%s", e.text);
    if (rc < 0)
        return cli_error(call, CLI_FAILED, "%s", e.text);
    if (!role) {
        say_what_next(&k);
        return CLI_OK;
    }
    printf("%s/%s: a key for %s %s, allowed from now on. It says where the broker is: %s\n", k.dir, file, role->name,
           call->argv[1], k.broker);
    if (k.zcert)
        printf("%s/%s" SECRET ": its secret part, for %s alone; zcert_load and our programs find it beside the other\n", k.dir,
               file, call->argv[1]);
    if (strcmp(role->name, "worker") == 0)
        printf("copy %s to the host, then: bfork-worker --key %s\n", k.zcert ? "both" : "it", file);
    else if (strcmp(role->name, "client") == 0 && k.zcert)
        printf("in its user's profile (such as lab.conf): key = %s\n", file);
    else if (strcmp(role->name, "client") == 0)
        puts("its user needs it as client.key in ~/.config/broadfork, beside the profile (such as lab.conf)");
    cli_keys_tell_broker(call, k.dir);
    return CLI_OK;
}

const struct cli_command cli_keygen = {
    .name = "keygen", .arguments = "[OPTIONS] [client|worker|admin NAME]", .summary = "make the keys of a cluster, or one more key",
    .details = details, .options = options, .n_options = sizeof(options) / sizeof(options[0]),
    .options_size = sizeof(struct options),
    .run = run_keygen,
};
