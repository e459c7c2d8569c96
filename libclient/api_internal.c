/* SPDX-License-Identifier: MPL-2.0
 * api_internal.c - questions to a broker, for our own command line.
 */
#include "drive.h"
#include "internal.h"

#include "base/clock.h"

struct asked { struct bfork_session *s; uint32_t request; };

static bool is_answered(void *arg)
{
    const struct asked *a = arg;
    return a->s->answered == a->request || a->s->error;
}

static int wait_answer(struct bfork_session *s, uint32_t request, int timeout_ms, char **ret_text)
{
    struct asked a = { s, request };
    int rc = bfs_drive_wait(s, is_answered, &a, LINK_NEXT, bfs_drive_deadline(timeout_ms), NULL, NULL);
    if (rc == 0 && s->error)
        return bfs_error_again(s->error);
    if (rc == BFORK_ETIMEDOUT && *s->link->ops->trouble(s->link))
        return bfs_error_set(BFORK_EUNREACHABLE, "%s (waited %d ms)", s->link->ops->trouble(s->link), timeout_ms);
    if (rc == 0 && s->answer_code < 0)
        return bfs_error_set(s->answer_code, "%s", s->answer_text ? s->answer_text : "");
    if (rc == 0 && ret_text) {
        *ret_text = s->answer_text;
        s->answer_text = NULL;
    }
    return rc;
}

static int internal_begin(struct bfork_session *s)
{
    int rc = bfs_session_usable(s);
    if (rc == 0 && s->kind != KIND_REMOTE)
        rc = bfs_error_set(BFORK_ENOTSUP, "there is no broker here: name one with --profile or BFORK_PROFILE");
    return rc;
}

int bfork_internal_status(bfork_session *s, const char *what, char **ret_json, int timeout_ms)
{
    uint32_t request;
    int rc = internal_begin(s);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&s->lock);
    rc = session_ask(s->core, what, &request) == 0 ? wait_answer(s, request, timeout_ms, ret_json)
                                                   : bfs_error_set(BFORK_ENOMEM, "out of memory");
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int bfork_internal_admin(bfork_session *s, const char *verb, const char *argument, char **ret_json, int timeout_ms)
{
    uint32_t request;
    int rc = internal_begin(s);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&s->lock);
    rc = session_admin(s->core, verb, argument, &request) == 0 ? wait_answer(s, request, timeout_ms, ret_json)
                                                               : bfs_error_set(BFORK_ENOMEM, "out of memory");
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int bfork_internal_ping(bfork_session *s, int timeout_ms, uint64_t *ret_ns)
{
    uint32_t request;
    int rc = internal_begin(s);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&s->lock);
    uint64_t from = clock_now();
    rc = session_ping(s->core, from, &request) == 0 ? wait_answer(s, request, timeout_ms, NULL)
                                                    : bfs_error_set(BFORK_ENOMEM, "out of memory");
    *ret_ns = clock_now() - from;
    pthread_mutex_unlock(&s->lock);
    return rc;
}
