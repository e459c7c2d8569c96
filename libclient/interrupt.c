/* SPDX-License-Identifier: MPL-2.0
 * interrupt.c - SIGINT and bfork_session_interrupt: the calls that block now return BFORK_EINTR, later ones work.
 *
 * An interrupt ends the waits that are in progress, each of them, and nothing else. Waits are told apart by a number that every
 * interrupt moves on: a wait remembers it at its begin, and is interrupted when it has changed. bfork_init takes SIGINT where
 * nobody has it and calls the hook set here: it only changes one word and writes to the eventfds of the sessions that are open,
 * found in a table of atomics. A SIGINT that finds no wait to end (nobody waits, or all that do have been told) has the default
 * action: a program that computes, or does not listen, can be stopped.
 */
#include "client.h"

#include "task/task.h"

#include <unistd.h>

#define SESSIONS 64                 /* more than these are not woken, only told at their next turn */

static _Atomic int wake_fds[SESSIONS];      /* descriptor + 1; 0: free */
/* Low half: waits in progress that no SIGINT has ended; high half: how many SIGINTs did. */
static _Atomic uint64_t waits;

/* In the signal handler. */
static bool on_interrupt(void)
{
    uint64_t old = atomic_load(&waits);
    do
        if ((uint32_t)old == 0)
            return false;
    while (!atomic_compare_exchange_weak(&waits, &old, ((old >> 32) + 1) << 32));
    for (int i = 0; i < SESSIONS; i++) {
        uint64_t one = 1;
        int fd = atomic_load(&wake_fds[i]);
        ssize_t put = fd ? write(fd - 1, &one, sizeof(one)) : 0;
        (void)put;
    }
    return true;
}

/* Of the parent's waits none is the child's. */
static void forget_waits(void)
{
    atomic_store(&waits, ((atomic_load(&waits) >> 32) + 1) << 32);
}

static void take_hook(void)
{
    task_on_interrupt = on_interrupt;
    pthread_atfork(NULL, NULL, forget_waits);
}

void bfs_interrupt_add(struct bfork_session *s)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, take_hook);
    for (int i = 0; i < SESSIONS; i++) {
        int expected = 0;
        if (atomic_compare_exchange_strong(&wake_fds[i], &expected, s->wake_fd + 1))
            return;
    }
}

void bfs_interrupt_remove(struct bfork_session *s)
{
    for (int i = 0; i < SESSIONS; i++) {
        int expected = s->wake_fd + 1;
        if (atomic_compare_exchange_strong(&wake_fds[i], &expected, 0))
            return;
    }
}

struct interruptible bfs_interrupt_begin(const struct bfork_session *s)
{
    const uint32_t session = atomic_load(&s->interrupts);
    return (struct interruptible){ (uint32_t)(atomic_fetch_add(&waits, 1) >> 32), session };
}

bool bfs_interrupt_came(const struct bfork_session *s, const struct interruptible *w)
{
    return (uint32_t)(atomic_load_explicit(&waits, memory_order_relaxed) >> 32) != w->process ||
           atomic_load_explicit(&s->interrupts, memory_order_relaxed) != w->session;
}

/* One that a SIGINT has ended is not counted any more. */
void bfs_interrupt_end(const struct interruptible *w)
{
    uint64_t old = atomic_load(&waits);
    do
        if ((uint32_t)(old >> 32) != w->process)
            return;
    while (!atomic_compare_exchange_weak(&waits, &old, old - 1));
}

void bfork_session_interrupt(bfork_session *s)
{
    uint64_t one = 1;
    if (!s || s->kind == KIND_FAILED || !*s->fork_guard)
        return;
    atomic_fetch_add(&s->interrupts, 1);
    ssize_t put = write(s->wake_fd, &one, sizeof(one));
    (void)put;
}
