/* SPDX-License-Identifier: MPL-2.0
 * waiting.c - a program that waits for a cluster that has nothing to run its work on hears what is missing: once for each time that
 * this lasts two seconds, on stderr, from a thread that waits. It goes on waiting.
 *
 * "In vain" is: a pool has work, or somebody waits for its slots, and it has no slot. There is no connection, no worker, or all are
 * busy; which of these it is the broker's summary says, which is asked for when the time has come. Or a worker had no room for the
 * program; then its words are told.
 */
#include "work.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE (2 * CLOCK_SEC)
#define ANSWER (1 * CLOCK_SEC)      /* … and so long for the broker's answer */

static bool pool_in_vain(const struct bfork_pool *p)
{
    bool asked = false;
    for (int i = 0; i < CLAIMS; i++) {
        const struct claim *c = &p->claims[i];
        if (c->slots || c->error)
            return false;
        asked |= c->core != NULL;
    }
    return asked && (p->pending || p->slots_awaited);
}

static bool waits_in_vain(const struct bfork_session *s)
{
    if (s->error)
        return false;
    for (LIST_EACH(&s->pools, n))
        if (pool_in_vain(LIST_ENTRY(n, struct bfork_pool, node)))
            return true;
    return false;
}

/* What a worker said that had no room; "": nothing. */
static const char *why_not_now(const struct bfork_session *s)
{
    for (LIST_EACH(&s->pools, n)) {
        const struct bfork_pool *p = LIST_ENTRY(n, struct bfork_pool, node);
        for (int i = 0; pool_in_vain(p) && i < CLAIMS; i++)
            if (p->claims[i].why[0])
                return p->claims[i].why;
    }
    return "";
}

/* A number of the summary; -1: it is not there. */
static long number_of(const char *json, const char *name)
{
    char key[32];
    snprintf(key, sizeof(key), "\"%s\":", name);
    const char *at = strstr(json, key);
    return at ? strtol(at + strlen(key), NULL, 10) : -1;
}

static void explain(const char *json, char *text, size_t size)
{
    long workers = number_of(json, "workers"), slots = number_of(json, "slots"), busy = number_of(json, "busy");
    if (workers == 0)
        snprintf(text, size, "no worker is connected to the broker: start bfork-worker on a host");
    else if (workers > 0 && slots > 0 && busy >= slots)
        snprintf(text, size, "all %ld slots of the cluster's workers (%ld) are busy with other work", slots, workers);
    else if (workers > 0)
        snprintf(text, size, "none of the %ld workers has a slot for this yet: they fetch the program, serve others, or cannot run "
                 "it; bfork workers shows them", workers);
    else
        snprintf(text, size, "the cluster has no slot for this yet: bfork workers shows who is there");
}

void bfs_waiting_answer(struct bfork_session *s, struct wire_str json)
{
    free(s->vain_answer);
    s->vain_answer = strndup(json.p ? json.p : "", json.n);
}

static void forget_wait(struct bfork_session *s)
{
    free(s->vain_answer);
    s->vain_answer = NULL;
    s->vain_since = 0;
    s->vain_request = 0;
    s->vain_told = false;
}

uint64_t bfs_waiting_look(struct bfork_session *s, char *text, size_t size, bool *ret_asked)
{
    text[0] = '\0';
    *ret_asked = false;
    if (s->kind != KIND_REMOTE || s->quiet)
        return CLOCK_NEVER;
    if (!waits_in_vain(s)) {
        if (s->vain_since)
            forget_wait(s);
        return CLOCK_NEVER;
    }
    uint64_t now = clock_now();
    if (!s->vain_since)
        s->vain_since = now;
    if (s->vain_told)
        return CLOCK_NEVER;
    if (now < s->vain_since + PATIENCE)
        return s->vain_since + PATIENCE;
    const char *trouble = s->link->ops->trouble(s->link);
    if (*trouble) {
        snprintf(text, size, "there is no connection: %s", trouble);
    } else if (*why_not_now(s)) {
        snprintf(text, size, "%s", why_not_now(s));
    } else if (s->vain_answer || now >= s->vain_since + PATIENCE + ANSWER) {
        explain(s->vain_answer ? s->vain_answer : "", text, size);
    } else {
        *ret_asked = !s->vain_request && session_ask(s->core, "summary", &s->vain_request) == 0;
        return s->vain_since + PATIENCE + ANSWER;
    }
    s->vain_told = true;
    return CLOCK_NEVER;
}

void bfs_waiting_say(const char *text)
{
    char line[1600];        /* a broker's words may be in it, and a name that somebody else gave to the program */
    snprintf(line, sizeof(line), "%s: waiting: %s", program_invocation_short_name, text);
    text_clean(line, strlen(line), false);
    fprintf(stderr, "%s\n", line);
}
