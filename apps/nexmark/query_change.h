/* SPDX-License-Identifier: Apache-2.0 */
/* query_change.h: the end of queries whose answer is updated while it is made. */
#ifndef WEIR_APPS_NEXMARK_QUERY_CHANGE_H
#define WEIR_APPS_NEXMARK_QUERY_CHANGE_H

#include "apps/nexmark/query_row.h"
#include "sched/changes.h"

/* nexmark_answer - a keyed stream of changes as the parameter `changes` wants it: the table that is
 * left, or the changes as they come. What is discarded needs neither: discard folds its sums. */
struct weir_stream *nexmark_answer(struct weir_stream *changes, enum weir_fold_mode mode);

#endif
