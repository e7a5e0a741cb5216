/* SPDX-License-Identifier: Apache-2.0 */
/* q7.h: the highest bids of each 10 s window, the bid exactly at a window's end included. */
#ifndef WEIR_APPS_NEXMARK_Q7_H
#define WEIR_APPS_NEXMARK_Q7_H

#include "apps/nexmark/source.h"

/* nexmark_q7 - from bids (rows of kind bid) to rows of the answer. */
struct weir_stream *nexmark_q7(struct weir_stream *bids);

#endif
