/* SPDX-License-Identifier: MPL-2.0
 * view.h - what a broker says of itself (JSON) as text for people.
 *
 *   summary  {"endpoint","uptime_s","workers","slots","busy","queued","running","done","failed","clients"}
 *   workers  {"workers":[{"name","host","state","slots","busy","done","held","up_s","software","resources"}]}
 *   jobs     {"jobs":[{"id","name","client","host","state","queued","running","done","failed","total","up_s"}]}
 *
 * A field that is missing is left out of the text ("-" in a table); unknown ones are ignored, so an older command reads a newer
 * broker.
 */
#ifndef CLI_CORE_VIEW_H
#define CLI_CORE_VIEW_H

#include "base/err.h"

#include <stdio.h>

/* what: "summary", "workers", "jobs". 0; BFORK_EPROTOCOL: not such JSON; BFORK_ENOMEM. Nothing is printed then. */
int cli_view_print(const char *what, const char *json, FILE *to, struct err *e);
/* The same JSON on one line, in ASCII: what could steer a terminal is escaped. 0, BFORK_EPROTOCOL, BFORK_ENOMEM. */
int cli_view_json(const char *json, FILE *to, struct err *e);
#endif
