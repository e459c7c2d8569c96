/* SPDX-License-Identifier: MPL-2.0
 * options.h - what bfork-worker can be told, by flags, BFORK_WORKER_… variables, a file and its key file; with defaults that depend
 * on one another filled in.
 */
#ifndef WORKER_OPTIONS_H
#define WORKER_OPTIONS_H

#include "base/conf.h"
#include "base/err.h"
#include "net/net.h"
#include "rights.h"

#include <limits.h>

enum worker_exit { EXIT_CONFIGURATION = 2, EXIT_REFUSED = 4 };

struct options {
    const char *broker, *broker_key, *key, *dir, *state_dir, *cache_dir, *work_dir, *name, *config, *log_level, *trace;
    int64_t slots, start_ms, drain_ms;
    uint64_t cache_size, program_memory, output_limit, window_bytes;
    const char *user;
    bool allow_root_tasks, check_config, help, version;
};

struct settings {               /* what follows from the options and the key file */
    char dir[PATH_MAX], key[PATH_MAX], state[PATH_MAX], cache[PATH_MAX], work[PATH_MAX], config[PATH_MAX];
    char endpoint[256];         /* where workers connect */
    char host[256], name[256], resources[64];
    uint8_t broker_key[32];
    struct net_keypair pair;
    struct rights rights;       /* as whom it goes on, once the keys are read */
    uint32_t slots;
    bool key_exposed;           /* tasks can read the key */
};

/* Reads all sources, and the key file; options' strings belong to *ret_conf, which the caller frees after use. 0, or negative with
 * e. */
int wsh_options_read(int argc, char **argv, struct options *o, struct settings *s, struct conf **ret_conf, struct err *e);
int wsh_settings_keys(const struct options *o, struct settings *s, struct err *e); /* reads key files; fills endpoint and keys */
void wsh_options_help(void);
void wsh_options_print(const struct settings *s, const struct conf *c);            /* --check-config */

#endif
