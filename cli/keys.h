/* SPDX-License-Identifier: MPL-2.0
 * keys.h - what keygen, allow and revoke share: roles, the places of their files, and telling a running broker.
 */
#ifndef CLI_KEYS_H
#define CLI_KEYS_H

#include "cli.h"

#include <limits.h>

struct keys_role { const char *name, *allow_file; };   /* "worker", "allow/workers" */

/* NULL: word is no role; the message says which there are. */
const struct keys_role *cli_keys_role_find(const struct cli_call *call, const char *word);
/* DIR/name into ret. 0 or BFORK_EINVAL. */
int cli_keys_path(const char *dir, const char *name, char ret[PATH_MAX], struct err *e);
/* Asks the broker of the profiles in DIR to read its allow files again, and says on stdout whether it did or what to do else. */
void cli_keys_tell_broker(const struct cli_call *call, const char *dir);

#endif
