/* SPDX-License-Identifier: MPL-2.0
 * interrupt.c - SIGINT and bfork_session_interrupt: blocking calls return BFORK_EINTR.
 *
 * bfork_init takes SIGINT where nobody has it and calls the hook set here: it only sets a flag and writes to the eventfds of the
 * sessions that are open, found in a table of atomics. A second SIGINT has the default action, so a program that does not listen
 * can be stopped.
 */
#include "client.h"

#include "task/task.h"

#include <unistd.h>

#define SESSIONS 64                 /* more than these are not woken, only told at their next turn */

static _Atomic int wake_fds[SESSIONS];      /* descriptor + 1; 0: free */
static _Atomic bool interrupted;

/* In the signal handler. */
static bool on_interrupt(void)
{
    bool anybody = false;
    if (atomic_exchange(&interrupted, true))
        return false;
    for (int i = 0; i < SESSIONS; i++) {
        uint64_t one = 1;
        int fd = atomic_load(&wake_fds[i]);
        ssize_t put = fd ? write(fd - 1, &one, sizeof(one)) : 0;
        (void)put;
        anybody |= fd != 0;
    }
    return anybody;
}

static void take_hook(void)
{
    task_on_interrupt = on_interrupt;
}

void interrupt_add(struct bfork_session *s)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, take_hook);
    for (int i = 0; i < SESSIONS; i++) {
        int expected = 0;
        if (atomic_compare_exchange_strong(&wake_fds[i], &expected, s->wake_fd + 1))
            return;
    }
}

void interrupt_remove(struct bfork_session *s)
{
    for (int i = 0; i < SESSIONS; i++) {
        int expected = s->wake_fd + 1;
        if (atomic_compare_exchange_strong(&wake_fds[i], &expected, 0))
            return;
    }
}

bool interrupt_pending(struct bfork_session *s)
{
    return atomic_load_explicit(&interrupted, memory_order_relaxed) || atomic_load_explicit(&s->interrupted, memory_order_relaxed);
}

void bfork_session_interrupt(bfork_session *s)
{
    uint64_t one = 1;
    if (!s || s->kind == KIND_FAILED || !*s->fork_guard)
        return;
    atomic_store(&s->interrupted, true);
    ssize_t put = write(s->wake_fd, &one, sizeof(one));
    (void)put;
}
