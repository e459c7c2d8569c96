/* SPDX-License-Identifier: MPL-2.0
 * status.h - the state of the broker as JSON.
 */
#ifndef BROKER_STATUS_H
#define BROKER_STATUS_H

#include "shell.h"

/* Of a client's key: its name in the allow file, or else the key, written into text. */
const char *bsh_shell_key_name(const struct shell *s, const uint8_t key[32], char text[NET_KEY_TEXT]);
bool bsh_shell_status_known(const char *what, struct err *e);  /* is there such a status? */
/* A JSON text the caller frees; NULL: out of memory. what: "summary", "workers", "jobs"; owner: the key that asks sees its own jobs
 * and counters; NULL: all. */
char *bsh_shell_status(struct shell *s, uint64_t now, const char *what, const uint8_t *owner);

#endif
