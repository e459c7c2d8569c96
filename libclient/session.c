/* SPDX-License-Identifier: MPL-2.0
 * session.c - a session as its pools and futures have it: may it be used, has it failed? open.c makes and ends it.
 */
#include "client.h"

static const uint8_t well = 1;
static struct bfork_session no_memory_session = { .refs = 1, .kind = KIND_FAILED, .fork_guard = &well };

struct bfork_session *bfs_session_no_memory(void)
{
    return &no_memory_session;
}

void bfs_session_ref(struct bfork_session *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
}

/* Outstanding work is not failed here, in the middle of a core's call, but at the end of the pump: see bfs_told_failure. */
void bfs_session_fail(struct bfork_session *s, int code, const char *text)
{
    if (s->error)
        return;
    s->error = bfs_error_new(code, text);
    if (!s->error)
        s->error = (bfork_error *)(uintptr_t)bfs_error_no_memory();
    s->failing = true;
}

int bfs_session_usable(struct bfork_session *s)
{
    if (!s)
        return bfs_error_set(BFORK_EINVAL, "the session is NULL");
    if (s == &no_memory_session)
        return bfs_error_set(BFORK_ENOMEM, "out of memory when the session was made");
    if (s->fork_guard && !*s->fork_guard)
        return bfs_error_set(BFORK_EFORKED, "this handle was made before fork(); a child needs a session and pools of its own");
    if (s->kind == KIND_FAILED)
        return bfs_error_again(s->error);
    return 0;
}
