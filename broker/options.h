/* SPDX-License-Identifier: MPL-2.0
 * options.h - what bfork-broker can be told, by flags, BFORK_BROKER_… variables and a file; with defaults that depend on one
 * another filled in.
 */
#ifndef BROKER_OPTIONS_H
#define BROKER_OPTIONS_H

#include "base/conf.h"
#include "base/err.h"

#include <limits.h>

enum broker_exit { EXIT_CONFIGURATION = 2, EXIT_BIND = 3, EXIT_AUTHENTICATION = 4 };

struct options {
    const char *endpoint, *worker_endpoint, *admin_endpoint;
    const char *dir, *key, *allow_clients, *allow_workers, *allow_admins, *state_dir, *config, *log_level, *ports_file, *trace;
    int64_t heartbeat_ms, lease_ms, hold_ms, detach_ms, hello_ms, drain_ms;
    uint64_t quota_bytes, quota_tasks, owner_quota_bytes, owner_quota_tasks, owner_memory, worker_memory;
    uint64_t window_bytes, worker_window_bytes, blob_cache;
    int64_t lost_limit, crash_limit, target_us, connections_per_key, max_connections;
    bool check_config, help, version;
};

struct paths {      /* of the files that follow from dir unless they are named */
    char dir[PATH_MAX], key[PATH_MAX], clients[PATH_MAX], workers[PATH_MAX], admins[PATH_MAX], state[PATH_MAX], config[PATH_MAX];
    char secret[PATH_MAX];
    char worker_endpoint[256], admin_endpoint[256];
};

/* Reads all sources; options' strings belong to *ret_conf, which the caller frees after use. 0, or negative with e. */
int bsh_options_read(int argc, char **argv, struct options *o, struct paths *p, struct conf **ret_conf, struct err *e);
void bsh_options_help(void);
void bsh_options_print(const struct options *o, const struct paths *p,
                       const struct conf *c); /* --check-config: every option, its origin */

#endif
