/* SPDX-License-Identifier: MPL-2.0
 * retry.h - when a worker connects again, and when it gives up a try: pure, the shell and the simulator give it times.
 *
 * Who holds work must be back before the broker takes it for lost: short pauses (TIME_RETRY_HELD_MS), and a try that gets no answer
 * is given up early, since a packet that was lost in an outage is sent again by TCP only long after the outage. Who holds nothing
 * has time (TIME_RETRY_IDLE_MS), so that a restarted broker is not run over.
 */
#ifndef NET_RETRY_H
#define NET_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct retry {
    uint64_t next;              /* not before; 0: at once */
    uint64_t since, limit;      /* of the try that is under way */
    uint64_t took;              /* by the last try that worked */
    uint32_t failures;          /* one after the other */
    bool trying;
};

/* A try begins. lease_end: of the work that is held; 0: nothing is held. */
void net_retry_try(struct retry *r, uint64_t now, uint64_t lease_end);
/* It has had its time: it is to be given up. */
bool net_retry_stuck(const struct retry *r, uint64_t now);
void net_retry_worked(struct retry *r, uint64_t now);
/* The try has failed, or the connection that it made has ended. */
void net_retry_failed(struct retry *r, uint64_t now, bool holds, uint64_t random);
uint64_t net_retry_deadline(const struct retry *r);

#endif
