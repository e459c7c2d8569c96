/* SPDX-License-Identifier: MPL-2.0
 * options.c - the table of bfork-worker's options and what follows from them. Opens no file but the configuration and the key
 * files.
 */
#include "options.h"

#include "base/cpus.h"
#include "bfork.h"
#include "net/profile.h"
#include "wire/times.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define O(member) offsetof(struct options, member)
#define ALONE (CONF_NO_FILE | CONF_NO_ENV)
#define MINUTE 60000
#define ROOTS_STATE "/var/lib/broadfork-worker"     /* root's own directory is nothing for another user */

static const struct conf_option table[] = {
    { "broker", 'b', CONF_STR, O(broker), NULL, 0, 0, "ENDPOINT",
      "tcp://HOST:PORT of the broker, as clients use it; default: as the key file says", 0 },
    { "broker-key", 0, CONF_STR, O(broker_key), NULL, 0, 0, "KEY|FILE", "the broker's public key; default: as the key file says",
      0 },
    { "key", 'k', CONF_STR, O(key), NULL, 0, 0, "FILE", "the secret key of this worker; default: DIR/worker.key", 0 },
    { "slots", 'j', CONF_INT, O(slots), "0", 0, 65536, "NUMBER", "task processes at a time; 0: as many as there are usable cores",
      0 },
    { "name", 0, CONF_STR, O(name), NULL, 0, 0, "NAME", "what bfork status shows; default: the host's name", 0 },
    { "dir", 'd', CONF_STR, O(dir), NULL, 0, 0, "DIR", "configuration; default: $BFORK_DIR or ~/.config/broadfork", CONF_NO_FILE },
    { "state-dir", 's', CONF_STR, O(state_dir), NULL, 0, 0, "DIR",
      "one for each worker of a host; default: DIR/worker, or " ROOTS_STATE " if it becomes another user", 0 },
    { "cache-dir", 0, CONF_STR, O(cache_dir), NULL, 0, 0, "DIR", "programs are kept here; default: STATE-DIR/cache", 0 },
    { "cache-size", 0, CONF_SIZE, O(cache_size), "4 GiB", 4096, INT64_MAX, "SIZE", "disk space for programs, the oldest go first",
      0 },
    { "user", 'u', CONF_STR, O(user), NULL, 0, 0, "NAME",
      "started as root: who to become once the key is read; default: " RIGHTS_USER, 0 },
    { "allow-root-tasks", 0, CONF_FLAG, O(allow_root_tasks), NULL, 0, 0, NULL,
      "started as root: stay it; tasks are root, and can read this worker's key", 0 },
    { "program-memory", 0, CONF_SIZE, O(program_memory), "1 GiB", 4096, INT64_MAX, "SIZE",
      "memory for the programs that tasks are started from; those not in use go first", 0 },
    { "work-dir", 'w', CONF_STR, O(work_dir), NULL, 0, 0, "DIR", "where task processes start; default: /tmp", 0 },
    { "start-limit", 0, CONF_MS, O(start_ms), "1m", 100, 60 * MINUTE, "TIME", "a program must be ready to fork within this time",
      0 },
    { "output-limit", 0, CONF_SIZE, O(output_limit), "1 GiB", 0, INT64_MAX, "SIZE",
      "what one task may print; the rest is dropped and that is said", 0 },
    { "window", 0, CONF_SIZE, O(window_bytes), "8 MiB", 2 << 20, 1 << 30, "SIZE", "unacknowledged bytes in each direction", 0 },
    { "drain-limit", 0, CONF_MS, O(drain_ms), "0", 0, 24 * 60 * MINUTE, "TIME", "after SIGTERM, tasks have this long; 0: no limit",
      0 },
    { "config", 'c', CONF_STR, O(config), NULL, 0, 0, "FILE", "lines of name = value; default: DIR/worker.conf if it is there",
      ALONE },
    { "log-level", 'l', CONF_STR, O(log_level), "notice", 0, 0, "LEVEL", "error, warning, notice, info, debug", 0 },
    { "trace", 0, CONF_STR, O(trace), NULL, 0, 0, "FILE",
      "for debugging: a line for each message, 64 MiB of them and FILE.old; \"-\": stderr, 100 a second", 0 },
    { "check-config", 0, CONF_FLAG, O(check_config), NULL, 0, 0, NULL,
      "show every option and its origin, check the files, and exit", ALONE },
    { "help", 'h', CONF_FLAG, O(help), NULL, 0, 0, NULL, "show this", ALONE },
    { "version", 'V', CONF_FLAG, O(version), NULL, 0, 0, NULL, "show the version", ALONE },
};
#define TABLE_N (sizeof(table) / sizeof(table[0]))

void wsh_options_help(void)
{
    puts("bfork-worker runs tasks on this host for the clients of a broker.\n\n"
         "Usage: bfork-worker [OPTIONS]\n\nOptions:");
    conf_help(table, TABLE_N, stdout);
    puts("\nEvery option can also stand in the configuration file (name = value) or in a\n"
         "variable (BFORK_WORKER_CACHE_SIZE). Flags win over variables, variables over\n"
         "the file, the file over what the key file says.\n\n"
         "Signals: SIGTERM, SIGINT give back what has not begun, finish what runs and\n"
         "exit; a second one exits at once.\n\n"
         "Exit codes: 0 done; 2 the configuration, a key file or the state or work directory is wrong;\n"
         "4 the broker speaks another version of the protocol; 1 anything else.\n"
         "A key that the broker does not know (yet), or does not know any more, is no end: the worker says so in its log\n"
         "and tries again.");
}

static int join_path(char *to, const char *named, const char *dir, const char *name, struct err *e)
{
    int n = named ? snprintf(to, PATH_MAX, "%s", named) : snprintf(to, PATH_MAX, "%s/%s", dir, name);

    return n < PATH_MAX ? 0 : err_set(e, BFORK_EINVAL, "the path of %s is too long", name);
}

static int find_dir(const char *named, char *to, struct err *e)
{
    if (!named)
        named = getenv("BFORK_DIR");
    if (!named || !named[0])
        return net_profile_default_dir(to, PATH_MAX, e);
    return join_path(to, named, "", "the configuration directory", e);
}

/* A key in Z85, or a file with one. */
static int broker_key(const char *text, uint8_t key[32], struct err *e)
{
    if (net_key_parse(text, key) == 0)
        return 0;
    if (access(text, F_OK) == 0)
        return net_public_load(text, key, e);
    return err_set(e, BFORK_EKEY, "broker-key is neither a key (40 characters in Z85) nor a file: %s: it is the public-key in "
                   "broker.key on the broker's host", text);
}

int wsh_settings_keys(const struct options *o, struct settings *s, struct err *e)
{
    struct net_cert cert;
    char file[PATH_MAX];
    const char *broker;
    int rc = net_cert_secret(s->key, file, e);

    if (rc < 0 || (rc = net_cert_load(s->key, true, &cert, e)) < 0)
        return rc;
    snprintf(s->key, sizeof(s->key), "%s", file);       /* the one that tasks must not read */
    s->pair = cert.pair;
    explicit_bzero(&cert.pair.secret_key, sizeof(cert.pair.secret_key));
    broker = o->broker ? o->broker : cert.broker;
    if (!broker[0])
        return err_set(e, BFORK_EINVAL, "no broker is given, and %s names none: use --broker tcp://HOST:7700", s->key);
    if (o->broker_key) {
        if ((rc = broker_key(o->broker_key, s->broker_key, e)) < 0)
            return rc;
    } else if (cert.has_broker_key) {
        memcpy(s->broker_key, cert.broker_key, sizeof(s->broker_key));
    } else {
        return err_set(e, BFORK_EKEY,
                       "the broker's public key is not known, and %s does not name it: use --broker-key KEY, which is the "
                       "public-key in broker.key on the broker's host",
                       s->key);
    }
    if ((rc = net_not_the_brokers(s->key, s->pair.public_key, s->broker_key, e)) < 0)
        return rc;
    return net_endpoint_shift(broker, NULL, 1, s->endpoint, sizeof(s->endpoint), e);
}

static int settings_fill(const struct options *o, struct settings *s, struct err *e)
{
    const char *state = o->state_dir || !s->rights.change ? o->state_dir : ROOTS_STATE;
    int rc;

    if ((rc = join_path(s->key, o->key, s->dir, "worker.key", e)) < 0 ||
        (rc = join_path(s->state, state, s->dir, "worker", e)) < 0 ||
        (rc = join_path(s->cache, o->cache_dir, s->state, "cache", e)) < 0 ||
        (rc = join_path(s->work, o->work_dir ? o->work_dir : "/tmp", "", "the work directory", e)) < 0)
        return rc;
    if (gethostname(s->host, sizeof(s->host) - 1) != 0)
        snprintf(s->host, sizeof(s->host), "localhost");
    if (snprintf(s->name, sizeof(s->name), "%s", o->name ? o->name : s->host) >= (int)sizeof(s->name))
        return err_set(e, BFORK_EINVAL, "the name is longer than %zu bytes", sizeof(s->name) - 1);
    s->slots = o->slots ? (uint32_t)o->slots : (uint32_t)cpus_usable();
    snprintf(s->resources, sizeof(s->resources), "cpus=%u", s->slots);
    return 0;
}

/* The values of flags and variables that say where the file is; everything else of this first reading is thrown away. */
static int find_config(int argc, char **argv, struct settings *s, bool *named, struct err *e)
{
    struct options o;
    struct conf *c = NULL;
    char **copy = calloc((size_t)argc + 1, sizeof(*copy));
    int rc, index;

    if (!copy)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    memcpy(copy, argv, (size_t)argc * sizeof(*copy));
    memset(&o, 0, sizeof(o));
    if ((rc = conf_new(table, TABLE_N, &o, &c)) < 0)
        err_set(e, rc, "out of memory");
    if (rc == 0 && (rc = conf_flags(c, argc, copy, false, &index, e)) == 0 && (rc = conf_environment(c, "BFORK_WORKER", e)) == 0 &&
        (rc = conf_finish(c, e)) == 0 && (rc = find_dir(o.dir, s->dir, e)) == 0) {
        *named = o.config != NULL;
        rc = join_path(s->config, o.config, s->dir, "worker.conf", e);
    }
    conf_free(&c);
    free(copy);
    return rc;
}

int wsh_options_read(int argc, char **argv, struct options *o, struct settings *s, struct conf **ret_conf, struct err *e)
{
    struct conf *c = NULL;
    bool named = false;
    int rc, index;

    memset(o, 0, sizeof(*o));
    memset(s, 0, sizeof(*s));
    if ((rc = find_config(argc, argv, s, &named, e)) < 0)
        return rc;
    if (conf_new(table, TABLE_N, o, &c) < 0)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    if ((rc = conf_flags(c, argc, argv, false, &index, e)) < 0 || (rc = conf_environment(c, "BFORK_WORKER", e)) < 0 ||
        (rc = conf_file(c, s->config, !named, e)) < 0 || (rc = conf_finish(c, e)) < 0 ||
        (!o->help && !o->version && (rc = wsh_rights_find(o->user, o->allow_root_tasks, &s->rights, e)) < 0) ||
        (rc = settings_fill(o, s, e)) < 0) {
        conf_free(&c);
        return rc;
    }
    if (index < argc) {
        rc = err_set(e, BFORK_EINVAL, "\"%s\" is too much: bfork-worker takes options only; see --help", argv[index]);
        conf_free(&c);
        return rc;
    }
    if ((rc = times_check(&(struct times){ 0 }, e)) < 0) {
        conf_free(&c);
        return rc;
    }
    *ret_conf = c;
    return 0;
}

void wsh_options_print(const struct settings *s, const struct conf *c)
{
    char own[NET_KEY_TEXT], broker[NET_KEY_TEXT];

    net_key_text(s->pair.public_key, own);
    net_key_text(s->broker_key, broker);
    conf_print(c, stdout);
    printf("# that is:\n# broker           %s, key %s\n# key              %s\n# public key       %s\n", s->endpoint, broker, s->key,
           own);
    printf("# user             %s\n", s->rights.change ? s->rights.user : "as it is started");
    printf("# slots            %u\n# name             %s\n# state directory  %s\n# cache directory  %s\n# work directory   %s\n",
           s->slots, s->name, s->state, s->cache, s->work);
}
