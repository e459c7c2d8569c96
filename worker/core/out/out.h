/* SPDX-License-Identifier: MPL-2.0
 * out.h - what goes out by itself: results, output, and what is held, when a connection begins. Above model.
 */
#ifndef WORKER_CORE_OUT_H
#define WORKER_CORE_OUT_H

#include "model/model.h"

/* results.c */
void wrk_results_resend(struct worker *w);
void wrk_results_flush(struct worker *w);
/* output.c */
void wrk_said_flush(struct worker *w);
/* holding.c */
void wrk_send_holding(struct worker *w);

#endif
