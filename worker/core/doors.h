/* SPDX-License-Identifier: MPL-2.0
 * doors.h - what session.c offers to worker.c: the conversation with the broker.
 */
#ifndef WORKER_CORE_DOORS_H
#define WORKER_CORE_DOORS_H

#include "model/model.h"

void wrk_send_state(struct worker *w);
void wrk_link_tick(struct worker *w);
uint64_t wrk_link_deadline(const struct worker *w);

#endif
