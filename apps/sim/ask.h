/* SPDX-License-Identifier: Apache-2.0 */
/* ask.h: what an asynchronous operator of a simulated job asks: an answer that is at once there,
 * comes behind others, comes only with the time-out, or with another attempt. Whichever way it
 * takes is drawn from the row; the answer is the same. */
#ifndef WEIR_APPS_SIM_ASK_H
#define WEIR_APPS_SIM_ASK_H

#include "sched/outside.h"

/* sim_ask - the operator over a stream of cells. */
struct weir_stream *sim_ask(struct weir_stream *in, const char *name, bool is_unordered);

#endif
