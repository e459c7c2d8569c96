/* SPDX-License-Identifier: MPL-2.0
 * halt.h - when a map stops early, and what its exit status is: --halt as GNU parallel has it.
 */
#ifndef CLI_CORE_HALT_H
#define CLI_CORE_HALT_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum halt_when { HALT_NEVER, HALT_SOON, HALT_NOW };      /* soon: what runs may end; now: it is killed */
enum halt_why { HALT_FAIL, HALT_SUCCESS, HALT_DONE };

struct halt {
    enum halt_when when;
    enum halt_why why;
    uint64_t value;
    bool percent;
};

/* "never", "soon,fail=1", "now,success=1", "soon,done=10", "now,fail=5%". 0 or BFORK_EINVAL. */
int cli_halt_parse(const char *text, struct halt *ret, struct err *e);

struct halt_counts { uint64_t done, failed, total; bool total_known; int last_failed_status; };
bool cli_halt_reached(const struct halt *h, const struct halt_counts *c);
/* Exit status of the map: the number of failed tasks up to 100, 101 for more; with fail reached that of the last failed task, with
 * success reached 0. */
int cli_halt_exit_status(const struct halt *h, const struct halt_counts *c);
#endif
