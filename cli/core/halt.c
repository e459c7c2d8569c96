/* SPDX-License-Identifier: MPL-2.0
 * halt.c - when a map stops early, and what its exit status is.
 */
#include "halt.h"

#include <bfork.h>
#include <stdlib.h>
#include <string.h>

#define HALT_PERCENT_LEAST 3u       /* a percentage says nothing before so many tasks are done */

static const char *const whens[] = { "never", "soon", "now" };
static const char *const whys[] = { "fail", "success", "done" };

static int find_word(const char *const *list, int n, const char *p, size_t size)
{
    for (int i = 0; i < n; i++)
        if (strlen(list[i]) == size && strncmp(list[i], p, size) == 0)
            return i;
    return -1;
}

int cli_halt_parse(const char *text, struct halt *ret, struct err *e)
{
    const char *comma = strchr(text, ','), *equals = strchr(text, '=');
    int when = find_word(whens, 3, text, comma ? (size_t)(comma - text) : strlen(text)), why;
    char *end;

    *ret = (struct halt){ .when = HALT_NEVER };
    if (when == HALT_NEVER && !comma)
        return 0;
    if (when <= HALT_NEVER || !comma || !equals || equals < comma || equals[1] < '1' || equals[1] > '9')
        goto bad;
    if ((why = find_word(whys, 3, comma + 1, (size_t)(equals - comma - 1))) < 0)
        goto bad;
    *ret = (struct halt){ .when = (enum halt_when)when, .why = (enum halt_why)why, .value = strtoull(equals + 1, &end, 10) };
    ret->percent = *end == '%';
    if (end[ret->percent] == '\0' && (!ret->percent || ret->value <= 100))
        return 0;
bad:
    *ret = (struct halt){ .when = HALT_NEVER };
    return err_set(e, BFORK_EINVAL, "--halt %s is not understood: never, or soon or now, a comma, and fail=N, success=N or done=N, "
                   "where N is a number or a percentage: --halt soon,fail=1", text);
}

bool cli_halt_reached(const struct halt *h, const struct halt_counts *c)
{
    uint64_t count = h->why == HALT_FAIL ? c->failed : h->why == HALT_SUCCESS ? c->done - c->failed : c->done;

    if (h->when == HALT_NEVER)
        return false;
    if (!h->percent)
        return count >= h->value;
    uint64_t of = h->why == HALT_DONE ? c->total : c->done;
    if (h->why == HALT_DONE && !c->total_known)
        return false;
    return c->done >= HALT_PERCENT_LEAST && (double)count * 100.0 >= (double)of * (double)h->value;
}

int cli_halt_exit_status(const struct halt *h, const struct halt_counts *c)
{
    if (cli_halt_reached(h, c) && h->why == HALT_FAIL)
        return c->last_failed_status;
    if (cli_halt_reached(h, c) && h->why == HALT_SUCCESS)
        return 0;
    return c->failed > 100 ? 101 : (int)c->failed;
}
