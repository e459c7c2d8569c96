/* SPDX-License-Identifier: MPL-2.0
 * drive.c - who drives a session: the caller who waits; the helper thread when nobody does.
 *
 * The token (session.driven) is held from the first pump to the last; the lock is given up only to sleep on the link's descriptor.
 * Another thread may pump in that time (a submit does): the link is the lock's, the sleep is the token holder's.
 */
#include "drive.h"

#include "base/clock.h"
#include "task/task.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PROGRESS_NS (100 * CLOCK_MS)
#define LINGER_NS (2 * CLOCK_MS)
#define LINGER_MOST (32 * CLOCK_MS)
#define GATHER_MS 1                 /* how long tasks kept back may wait for more while the driver sleeps */
#define KEPT_MAX 2048u              /* tasks kept back at most */
#define PUMP_PAUSES 8u              /* after a pump of 5 µs the next submits are kept back for 40 µs: waking processes costs more */
#define PUMP_MOST_NS 20000u         /* … but never for more than eight times this */

uint64_t bfs_drive_deadline(int timeout_ms)
{
    return timeout_ms < 0 ? CLOCK_NEVER : clock_now() + (uint64_t)timeout_ms * CLOCK_MS;
}

static bool outstanding(const struct bfork_session *s)
{
    return s->core && (session_unsettled(s->core) > 0 || !list_empty(&s->outputs));
}

/* Somebody else pumps while the holder of the token sleeps: the link's signal may have been used up, what the holder waits for may
 * have come, and processes that were idle when it armed may have tasks now. */
static void check_sleeper(struct bfork_session *s)
{
    struct sleeper *p = s->sleeper;
    if (!p || p->call == CALL_NOW)
        return;
    if ((p->me ? p->me->done(p->me->arg) : !outstanding(s)) || s->link->ops->deadline(s->link) < p->until ||
        s->link->ops->arm(s->link, p->want)) {
        p->call = CALL_NOW;
        bfs_wake_driver(s);
    }
}

static void pump(struct bfork_session *s, const struct waiter *me)
{
    uint64_t from = clock_now();
    bool moved = s->link && s->link->ops->pump(s->link, from);
    uint64_t to = clock_now(), took = to - from < PUMP_MOST_NS ? to - from : PUMP_MOST_NS;
    s->pump_at = to + PUMP_PAUSES * took;
    s->kept = 0;
    if (s->failing)
        bfs_told_failure(s);
    if (atomic_load_explicit(&s->poked, memory_order_relaxed) && atomic_exchange(&s->poked, false))
        moved = true;
    if ((moved || s->stirred) && !list_empty(&s->waiters))
        bfs_wake_waiters(s, me);
    s->stirred = false;
    check_sleeper(s);
}

static void sleep_ms(struct bfork_session *s, int ms)
{
    struct pollfd fds[2] = { { .fd = s->link->ops->fd(s->link), .events = POLLIN }, { .fd = s->wake_fd, .events = POLLIN } };
    pthread_mutex_unlock(&s->lock);
    if (poll(fds, 2, ms) > 0 && (fds[1].revents & POLLIN)) {
        uint64_t n;
        ssize_t got = read(s->wake_fd, &n, sizeof(n));
        (void)got;
    }
    pthread_mutex_lock(&s->lock);
}

/* Sleeps on the link; me: NULL for the helper. Called and returns with the lock. */
static void sleep_on_link(struct bfork_session *s, const struct waiter *me, enum link_want want, uint64_t deadline)
{
    uint64_t link_deadline = s->link->ops->deadline(s->link);
    struct sleeper here = { .me = me, .want = want, .until = link_deadline < deadline ? link_deadline : deadline };
    if (s->link->ops->arm(s->link, want))
        return;
    s->sleeper = &here;
    sleep_ms(s, clock_poll_ms(clock_now(), here.until));
    if (here.call == CALL_GATHER)
        sleep_ms(s, GATHER_MS);
    s->sleeper = NULL;
}

/* ---- the helper thread ------------------------------------------------------------------------------------------------------- */

static void cond_sleep(pthread_cond_t *c, pthread_mutex_t *lock, uint64_t deadline)
{
    if (deadline == CLOCK_NEVER) {
        pthread_cond_wait(c, lock);
        return;
    }
    struct timespec t = { .tv_sec = (time_t)(deadline / CLOCK_SEC), .tv_nsec = (long)(deadline % CLOCK_SEC) };
    pthread_cond_clockwait(c, lock, CLOCK_MONOTONIC, &t);
}

static bool to_deliver(const struct bfork_session *s) { return !list_empty(&s->outputs) && !s->delivering; }

static void helper_drives(struct bfork_session *s)
{
    s->helper_state = HELPER_DRIVES;
    while (s->helper_state == HELPER_DRIVES && s->callers == 0 && outstanding(s) && s->link && !s->driven) {
        s->driven = true;
        pump(s, NULL);
        if (!s->callers && outstanding(s) && s->helper_state == HELPER_DRIVES && !to_deliver(s))
            sleep_on_link(s, NULL, LINK_NEXT, CLOCK_NEVER);
        s->driven = false;
        bfs_output_tell(s);
    }
    if (s->helper_state == HELPER_DRIVES)
        s->helper_state = HELPER_LINGERS;
    if (!list_empty(&s->waiters))
        pthread_cond_signal(&LIST_ENTRY(list_first(&s->waiters), struct waiter, node)->cond);
}

static void *helper_main(void *arg)
{
    struct bfork_session *s = arg;
    uint64_t turns = 0, linger = LINGER_NS;
    pthread_mutex_lock(&s->lock);
    while (s->helper_state != HELPER_STOPS) {
        if (!outstanding(s)) {
            s->helper_state = HELPER_IDLE;
            cond_sleep(&s->helper_cond, &s->lock, CLOCK_NEVER);
        } else if (s->driven || s->callers || s->turns != turns) {    /* somebody is inside, or about to be */
            linger = s->driven && s->turns == turns ? linger * 2 : LINGER_NS;   /* a long sleep: look less often */
            linger = linger < LINGER_MOST ? linger : LINGER_MOST;
            turns = s->turns;
            s->helper_state = HELPER_LINGERS;
            cond_sleep(&s->helper_cond, &s->lock, clock_now() + linger);
        } else {
            helper_drives(s);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void helper_start(struct bfork_session *s)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    atomic_fetch_add(&task_own_threads, 1);
    if (pthread_create(&s->helper, NULL, helper_main, s) == 0)
        s->helper_state = HELPER_LINGERS;   /* without it, work goes on whenever somebody waits */
    else
        atomic_fetch_sub(&task_own_threads, 1);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void bfs_drive_stop(struct bfork_session *s)
{
    pthread_mutex_lock(&s->lock);
    bool runs = s->helper_state != HELPER_NONE;
    s->helper_state = HELPER_STOPS;
    pthread_cond_signal(&s->helper_cond);
    bfs_wake_driver(s);
    pthread_mutex_unlock(&s->lock);
    if (runs) {
        pthread_join(s->helper, NULL);
        atomic_fetch_sub(&task_own_threads, 1);
    }
}

/* ---- callers ----------------------------------------------------------------------------------------------------------------- */

void bfs_drive_kick(struct bfork_session *s, bool now)
{
    s->turns++;
    s->kept++;
    if (now || s->kept > KEPT_MAX || clock_now() >= s->pump_at)
        pump(s, NULL);
    else if (s->sleeper && s->sleeper->call == CALL_NONE) {
        s->sleeper->call = CALL_GATHER;     /* its next result may be far, and there may be idle processes */
        bfs_wake_driver(s);
    }
    if (s->helper_state == HELPER_NONE)
        helper_start(s);
    else if (s->helper_state == HELPER_IDLE) {
        s->helper_state = HELPER_LINGERS;
        pthread_cond_signal(&s->helper_cond);
    }
}

struct drive {
    struct bfork_session *s;
    struct waiter me;
    enum link_want want;
    uint64_t deadline, next_progress, look_at;
    struct interruptible wait;
};

/* One sleep, of whichever kind; false: interrupted. */
static bool drive_turn(struct drive *d)
{
    struct bfork_session *s = d->s;
    uint64_t until = d->deadline < d->next_progress ? d->deadline : d->next_progress;
    until = until < d->look_at ? until : d->look_at;
    s->turns++;
    if (!s->driven && s->link) {
        s->driven = true;
        pump(s, &d->me);
        if (!d->me.done(d->me.arg) && !bfs_interrupt_came(s, &d->wait) && s->link && !to_deliver(s))
            sleep_on_link(s, &d->me, d->want, until);
        s->driven = false;
        pump(s, &d->me);
        if (bfs_output_tell(s) && !s->driven && s->link)
            pump(s, &d->me);                /* tasks may wait for the room that is there now */
    } else {
        bool helper = s->helper_state == HELPER_DRIVES;
        if (s->kept && s->link) {
            pump(s, &d->me);                /* what was kept back may be what we wait for */
            if (d->me.done(d->me.arg))
                return true;
        }
        list_push_back(&s->waiters, &d->me.node);
        s->callers += helper;
        if (helper)
            bfs_wake_driver(s);
        cond_sleep(&d->me.cond, &s->lock, until);
        s->callers -= helper;
        list_remove(&s->waiters, &d->me.node);
    }
    return !bfs_interrupt_came(s, &d->wait);
}

/* The token is handed on; all others who wait look whether the interrupt that came was for them as well. */
static void leave_drive(struct bfork_session *s, bool interrupted)
{
    for (LIST_EACH(&s->waiters, n)) {
        if (interrupted || !s->driven)
            pthread_cond_signal(&LIST_ENTRY(n, struct waiter, node)->cond);
        if (!interrupted)
            break;
    }
}

int bfs_drive_try(struct bfork_session *s, bool (*done)(void *), void *arg, enum link_want want, uint64_t deadline,
                  void (*progress)(void *arg), void *progress_arg)
{
    struct drive d = { .s = s, .me = { .done = done, .arg = arg }, .want = want, .deadline = deadline,
                       .next_progress = progress ? clock_now() : CLOCK_NEVER };
    bool interrupted = false, asked;
    char text[1400];
    int rc = 0;
    if (done(arg) && !progress)
        return 0;
    d.wait = bfs_interrupt_begin(s);
    pthread_cond_init(&d.me.cond, NULL);
    while (!done(arg)) {
        uint64_t now = progress || deadline != CLOCK_NEVER ? clock_now() : 0;
        if (interrupted) {
            rc = BFORK_EINTR;
            break;
        }
        if (deadline != CLOCK_NEVER && now >= deadline) {
            if (s->link && !s->driven)
                pump(s, &d.me);             /* a poll with time 0 still looks once */
            if (!done(arg))
                rc = BFORK_ETIMEDOUT;
            break;
        }
        if (progress && now >= d.next_progress) {
            pthread_mutex_unlock(&s->lock);
            progress(progress_arg);
            pthread_mutex_lock(&s->lock);
            d.next_progress = now + PROGRESS_NS;
            interrupted = bfs_interrupt_came(s, &d.wait);
            continue;
        }
        d.look_at = bfs_waiting_look(s, text, sizeof(text), &asked);
        if (asked)
            bfs_drive_kick(s, true);
        if (*text) {
            pthread_mutex_unlock(&s->lock);
            bfs_waiting_say(text);
            pthread_mutex_lock(&s->lock);
            continue;
        }
        interrupted = !drive_turn(&d);
    }
    if (bfs_output_tell(s) && !s->driven && s->link)
        pump(s, &d.me);
    bfs_interrupt_end(&d.wait);
    leave_drive(s, rc == BFORK_EINTR);
    pthread_cond_destroy(&d.me.cond);
    return rc;
}

int bfs_drive_wait(struct bfork_session *s, bool (*done)(void *), void *arg, enum link_want want, uint64_t deadline,
                   void (*progress)(void *arg), void *progress_arg)
{
    int rc = bfs_drive_try(s, done, arg, want, deadline, progress, progress_arg);
    return rc == BFORK_EINTR       ? bfs_error_set(BFORK_EINTR, "interrupted while waiting")
           : rc == BFORK_ETIMEDOUT ? bfs_error_set(BFORK_ETIMEDOUT, "not done in the time given; it goes on")
                                   : rc;
}
