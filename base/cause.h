/* SPDX-License-Identifier: Apache-2.0 */
/* cause.h: what something has failed of: its first error, and those that came of it or behind it.
 *
 *     run fails with A      ->  error A, "a cannot run"
 *     then close with B     ->  suppressed: "b cannot close"
 *
 * The first one stays, whatever follows. It is a record, not the stack of err.h, from which it is
 * filled: it outlives the call, and can be handed to another thread.
 *
 * Thread:  one at a time.
 * Source:  Java's Throwable.addSuppressed, as Flink's Task and StreamTask use it.
 */
#ifndef WEIR_BASE_CAUSE_H
#define WEIR_BASE_CAUSE_H

#include "base/err.h"

#define WEIR_CAUSE_BYTES 1024
/* What a chain of operators may add that all fail to close; the rest is counted. */
#define WEIR_CAUSE_SUPPRESSED_CNT_MAX 4
#define WEIR_CAUSE_SUPPRESSED_BYTES 512

/* Zeroed: nothing has failed. */
struct weir_cause {
    int error; /* enum weir_err; 0: none */
    uint32_t suppressed_cnt; /* all, also those that are not kept */
    char text[WEIR_CAUSE_BYTES];
    char suppressed[WEIR_CAUSE_SUPPRESSED_CNT_MAX][WEIR_CAUSE_SUPPRESSED_BYTES];
};

/* weir_cause_take - take an error with its context off the calling thread's stack, which is empty
 * then: as the cause, or beside the one that there is. */
WEIR_API void weir_cause_take(struct weir_cause *cause, int error);
/* weir_cause_push - put it onto the stack, what is suppressed first: it is printed last. Returns
 * the error. */
WEIR_API int weir_cause_push(const struct weir_cause *cause, const char *who);

#endif
