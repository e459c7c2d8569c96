/* SPDX-License-Identifier: MPL-2.0
 * options.c - the table of bfork-broker's options and what follows from them. Opens no file but the configuration.
 */
#include "options.h"

#include "bfork.h"
#include "net/net.h"
#include "net/profile.h"
#include "wire/times.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define O(member) offsetof(struct options, member)
#define ALONE (CONF_NO_FILE | CONF_NO_ENV)
#define MINUTE 60000

static const struct conf_option table[] = {
    { "endpoint", 'e', CONF_STR, O(endpoint), "tcp://0.0.0.0:7700", 0, 0, "ENDPOINT", "where clients connect", 0 },
    { "worker-endpoint", 0, CONF_STR, O(worker_endpoint), NULL, 0, 0, "ENDPOINT",
      "where workers connect; default: the port after that", 0 },
    { "admin-endpoint", 0, CONF_STR, O(admin_endpoint), NULL, 0, 0, "ENDPOINT",
      "where administrators connect; default: two ports after the clients', on 127.0.0.1", 0 },
    { "dir", 'd', CONF_STR, O(dir), NULL, 0, 0, "DIR", "keys and allow files; default: $BFORK_DIR or ~/.config/broadfork",
      CONF_NO_FILE },
    { "key", 'k', CONF_STR, O(key), NULL, 0, 0, "FILE", "the broker's secret key; default: DIR/broker.key", 0 },
    { "allow-clients", 0, CONF_STR, O(allow_clients), NULL, 0, 0, "FILE", "public keys of clients; default: DIR/allow/clients", 0 },
    { "allow-workers", 0, CONF_STR, O(allow_workers), NULL, 0, 0, "FILE", "public keys of workers; default: DIR/allow/workers", 0 },
    { "allow-admins", 0, CONF_STR, O(allow_admins), NULL, 0, 0, "FILE", "public keys of administrators; default: DIR/allow/admins",
      0 },
    { "state-dir", 's', CONF_STR, O(state_dir), NULL, 0, 0, "DIR", "where programs on their way are kept; default: DIR/state", 0 },
    { "config", 'c', CONF_STR, O(config), NULL, 0, 0, "FILE",
      "options, a line each: name = value; default: DIR/broker.conf if it is there", ALONE },
    { "heartbeat", 0, CONF_MS, O(heartbeat_ms), "1s", 50, MINUTE, "TIME", "a silent peer says this often that it is alive", 0 },
    { "lease", 0, CONF_MS, O(lease_ms), "5s", 100, 10 * MINUTE, "TIME", "a worker silent for this long is lost", 0 },
    { "hold", 0, CONF_MS, O(hold_ms), "0", 0, 11 * MINUTE, "TIME",
      "after a start, workers have this long to say what they hold; 0: the lease and 3s, at least 8s", 0 },
    { "detach", 0, CONF_MS, O(detach_ms), "1m", 0, 7 * 24 * 60 * MINUTE, "TIME",
      "a client may be gone for this long before its jobs end", 0 },
    { "quota-bytes", 0, CONF_SIZE, O(quota_bytes), "1 GiB", 1 << 20, INT64_MAX, "SIZE",
      "what one client may have queued and running", 0 },
    { "quota-tasks", 0, CONF_SIZE, O(quota_tasks), "16M", 1, INT64_MAX, "NUMBER", "tasks of one client, the same", 0 },
    { "owner-quota-bytes", 0, CONF_SIZE, O(owner_quota_bytes), "0", 0, INT64_MAX, "SIZE",
      "what all clients with one key may have queued and running; 0: four times quota-bytes; at most three quarters of "
      "owner-memory", 0 },
    { "owner-quota-tasks", 0, CONF_SIZE, O(owner_quota_tasks), "0", 0, INT64_MAX, "NUMBER",
      "tasks of all clients with one key; 0: four times quota-tasks", 0 },
    { "owner-memory", 0, CONF_SIZE, O(owner_memory), "0", 0, INT64_MAX, "SIZE",
      "everything that is held for one client key; 0: 2 GiB, or twice quota-bytes if that is more", 0 },
    { "worker-memory", 0, CONF_SIZE, O(worker_memory), "64 MiB", 1 << 20, INT64_MAX, "SIZE",
      "what is held for one worker key, besides its tasks", 0 },
    { "window", 0, CONF_SIZE, O(window_bytes), "8 MiB", 2 << 20, 1 << 30, "SIZE", "unacknowledged bytes from one peer", 0 },
    { "worker-window", 0, CONF_SIZE, O(worker_window_bytes), "4 MiB", 2 << 20, 1 << 30, "SIZE",
      "bytes of tasks that wait at one worker", 0 },
    { "lost-limit", 0, CONF_INT, O(lost_limit), "3", 1, 1000, "NUMBER", "attempts of a task whose workers are lost", 0 },
    { "crash-limit", 0, CONF_INT, O(crash_limit), "1", 1, 1000, "NUMBER", "attempts of a task that crashes", 0 },
    { "target", 0, CONF_INT, O(target_us), "1000", 1, 10000000, "MICROSECONDS", "how long a range of tasks for one hand-out takes",
      0 },
    { "blob-cache", 0, CONF_SIZE, O(blob_cache), "4 GiB", 1 << 20, INT64_MAX, "SIZE",
      "disk space for programs, the oldest go first", 0 },
    { "connections-per-key", 0, CONF_INT, O(connections_per_key), "1024", 1, 1000000, "NUMBER", "many workers may share a key", 0 },
    { "max-connections", 0, CONF_INT, O(max_connections), "0", 0, 10000000, "NUMBER",
      "more are told to come later; 0: by the limit of descriptors", 0 },
    { "hello-limit", 0, CONF_MS, O(hello_ms), "3s", 10, MINUTE, "TIME", "a connection that says nothing for this long is cut", 0 },
    { "drain-limit", 0, CONF_MS, O(drain_ms), "1m", 0, 24 * 60 * MINUTE, "TIME", "after SIGTERM, running work has this long", 0 },
    { "log-level", 'l', CONF_STR, O(log_level), "notice", 0, 0, "LEVEL", "error, warning, notice, info, debug", 0 },
    { "ports-file", 0, CONF_STR, O(ports_file), NULL, 0, 0, "FILE",
      "the endpoints with their real ports are written there when open", 0 },
    { "trace", 0, CONF_STR, O(trace), NULL, 0, 0, "FILE",
      "for debugging: a line for each message, 64 MiB of them and FILE.old; \"-\": stderr, 100 a second", 0 },
    { "check-config", 0, CONF_FLAG, O(check_config), NULL, 0, 0, NULL,
      "show every option and its origin, check the files, and exit", ALONE },
    { "help", 'h', CONF_FLAG, O(help), NULL, 0, 0, NULL, "show this", ALONE },
    { "version", 'V', CONF_FLAG, O(version), NULL, 0, 0, NULL, "show the version", ALONE },
};
#define TABLE_N (sizeof(table) / sizeof(table[0]))

void bsh_options_help(void)
{
    puts("bfork-broker takes jobs from clients, hands their tasks to workers, and routes the results.\n\n"
         "Usage: bfork-broker [OPTIONS]\n\nOptions:");
    conf_help(table, TABLE_N, stdout);
    puts("\nEvery option can also stand in the configuration file (name = value) or in a\n"
         "variable (BFORK_BROKER_WORKER_ENDPOINT). Flags win over variables, variables\n"
         "over the file.\n\n"
         "Signals: SIGTERM, SIGINT finish running work and exit, a second one exits at\n"
         "once; SIGHUP reads the allow files again and cuts keys that are gone from them.\n\n"
         "Exit codes: 0 done; 2 the configuration or a key file is wrong; 3 an address is\n"
         "in use or not ours; 4 authentication cannot be guaranteed; 1 anything else.");
}

static int paths_join(char *to, const char *named, const char *dir, const char *name, struct err *e)
{
    int n = named ? snprintf(to, PATH_MAX, "%s", named) : snprintf(to, PATH_MAX, "%s/%s", dir, name);

    return n < PATH_MAX ? 0 : err_set(e, BFORK_EINVAL, "the path of %s is too long", name);
}

static int paths_dir(const char *named, char *to, struct err *e)
{
    if (!named)
        named = getenv("BFORK_DIR");
    if (!named || !named[0])
        return net_profile_default_dir(to, PATH_MAX, e);
    return paths_join(to, named, "", "the configuration directory", e);
}

static int paths_fill(const struct options *o, struct paths *p, struct err *e)
{
    char folder[PATH_MAX];
    int rc;

    if ((rc = paths_join(p->key, o->key, p->dir, "broker.key", e)) < 0 ||
        (rc = paths_join(p->clients, o->allow_clients, p->dir, "allow/clients", e)) < 0 ||
        (rc = paths_join(p->workers, o->allow_workers, p->dir, "allow/workers", e)) < 0 ||
        (rc = paths_join(p->admins, o->allow_admins, p->dir, "allow/admins", e)) < 0 ||
        (rc = paths_join(p->state, o->state_dir, p->dir, "state", e)) < 0)
        return rc;
    memcpy(folder, p->key, sizeof(folder));
    if ((rc = paths_join(p->secret, NULL, dirname(folder), "broker.secret", e)) < 0)
        return rc;
    if (o->worker_endpoint)
        snprintf(p->worker_endpoint, sizeof(p->worker_endpoint), "%s", o->worker_endpoint);
    else if ((rc = net_endpoint_shift(o->endpoint, NULL, 1, p->worker_endpoint, sizeof(p->worker_endpoint), e)) < 0)
        return rc;
    if (o->admin_endpoint)
        snprintf(p->admin_endpoint, sizeof(p->admin_endpoint), "%s", o->admin_endpoint);
    else if ((rc = net_endpoint_shift(o->endpoint, "127.0.0.1", 2, p->admin_endpoint, sizeof(p->admin_endpoint), e)) < 0)
        return rc;
    return 0;
}

/* The values of flags and variables that say where the file is; everything else of this first reading is thrown away. */
static int options_config(int argc, char **argv, struct paths *p, bool *named, struct err *e)
{
    struct options o;
    struct conf *c = NULL;
    char **copy = calloc((size_t)argc + 1, sizeof(*copy));
    int rc, index;

    if (!copy)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    memcpy(copy, argv, (size_t)argc * sizeof(*copy));
    memset(&o, 0, sizeof(o));
    rc = conf_new(table, TABLE_N, &o, &c);
    if (rc < 0)
        err_set(e, rc, "out of memory");
    if (rc == 0 && (rc = conf_flags(c, argc, copy, false, &index, e)) == 0 && (rc = conf_environment(c, "BFORK_BROKER", e)) == 0 &&
        (rc = conf_finish(c, e)) == 0 && (rc = paths_dir(o.dir, p->dir, e)) == 0) {
        *named = o.config != NULL;
        rc = paths_join(p->config, o.config, p->dir, "broker.conf", e);
    }
    conf_free(&c);
    free(copy);
    return rc;
}

static int options_times(struct options *o, struct err *e)
{
    struct times t = { (uint64_t)o->heartbeat_ms, (uint64_t)o->lease_ms, (uint64_t)o->hold_ms };

    times_default(&t);
    o->hold_ms = (int64_t)t.hold_ms;
    return times_check(&t, e);
}

int bsh_options_read(int argc, char **argv, struct options *o, struct paths *p, struct conf **ret_conf, struct err *e)
{
    struct conf *c = NULL;
    bool named = false;
    int rc, index;

    memset(o, 0, sizeof(*o));
    memset(p, 0, sizeof(*p));
    rc = options_config(argc, argv, p, &named, e);
    if (rc < 0)
        return rc;
    if (conf_new(table, TABLE_N, o, &c) < 0)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    if ((rc = conf_flags(c, argc, argv, false, &index, e)) < 0 || (rc = conf_environment(c, "BFORK_BROKER", e)) < 0 ||
        (rc = conf_file(c, p->config, !named, e)) < 0 || (rc = conf_finish(c, e)) < 0 || (rc = paths_fill(o, p, e)) < 0)
        goto fail;
    if (index < argc) {
        rc = err_set(e, BFORK_EINVAL, "\"%s\" is too much: bfork-broker takes options only; see --help", argv[index]);
        goto fail;
    }
    if ((rc = options_times(o, e)) < 0)
        goto fail;
    *ret_conf = c;
    return 0;
fail:
    conf_free(&c);
    return rc;
}

void bsh_options_print(const struct options *o, const struct paths *p, const struct conf *c)
{
    conf_print(c, stdout);
    printf("# that is:\n# dir              %s\n# key              %s\n# ticket secret    %s\n", p->dir, p->key, p->secret);
    printf("# allow files      %s %s %s\n# state directory  %s\n", p->clients, p->workers, p->admins, p->state);
    printf("# clients          %s\n# workers          %s\n# administrators   %s\n", o->endpoint, p->worker_endpoint,
           p->admin_endpoint);
}
