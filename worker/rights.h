/* SPDX-License-Identifier: MPL-2.0
 * rights.h - as whom the worker and its tasks run, once it has read its key. Tasks have the worker's user id; so a worker that was
 * started as root becomes another user for good, one that cannot read the key file, and tasks are never root unless that is said.
 */
#ifndef WORKER_RIGHTS_H
#define WORKER_RIGHTS_H

#include "base/err.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#define RIGHTS_USER "broadfork"     /* who it becomes if nobody says another */

struct rights_facts {
    uid_t euid;                     /* we were started as */
    const char *user;               /* --user; NULL: not given */
    bool allow_root;                /* --allow-root-tasks */
    bool found;                     /* that user (or the default one) exists, with this id */
    uid_t uid;
};

/* Pure: true: become that user; false with e->code 0: stay; false with e->code < 0: refuse to run. */
bool wsh_rights_decide(const struct rights_facts *f, struct err *e);

struct rights { bool change; uid_t uid; gid_t gid; char user[256], home[PATH_MAX], shell[PATH_MAX]; };

/* Looks at who we are and who that user is. BFORK_EINVAL: e says what to do. */
int wsh_rights_find(const char *user, bool allow_root, struct rights *ret, struct err *e);
/* A directory that will be written to by that user: made and given to it if it is missing. */
int wsh_rights_directory(const struct rights *r, const char *dir, struct err *e);
/* Becomes that user, with no way back: user, groups, capabilities; no_new_privs; nobody may trace us. Without a change: the last
 * two. */
int wsh_rights_drop(const struct rights *r, struct err *e);
/* Could a task, with the user id that we have now, read this file, or make it readable? */
bool wsh_rights_expose(const char *file);

#endif
