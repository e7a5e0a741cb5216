/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint_failure.h: how many checkpoints may fail one after the other before the job does.
 *
 * Each id counts once, whatever is reported of it; ids older than the last success do not count;
 * a success starts the count again.
 *
 * Thread:  one; pure. Source: Flink's CheckpointFailureManager.
 */
#ifndef WEIR_SCHED_CHECKPOINT_FAILURE_H
#define WEIR_SCHED_CHECKPOINT_FAILURE_H

#include "sched/checkpoint.h"

#define WEIR_CHECKPOINT_TOLERABLE_UNLIMITED UINT64_MAX
/* Ids that are remembered as counted: more than are pending at once, so that none of them can be
 * reported again after it was forgotten. */
#define WEIR_CHECKPOINT_COUNTED_CNT 64

struct weir_checkpoint_failures {
    uint64_t tolerable; /* that many in a row are borne */
    uint64_t cnt;
    uint64_t succeeded_id;
    uint64_t counted[WEIR_CHECKPOINT_COUNTED_CNT];
    uint64_t counted_seq;
};

void weir_checkpoint_failures_init(struct weir_checkpoint_failures *failures, uint64_t tolerable);

/* weir_checkpoint_reason_counts - the reason says something about the checkpoint itself. */
bool weir_checkpoint_reason_counts(enum weir_checkpoint_reason reason);

/* weir_checkpoint_failures_add - one has failed; id 0: before it got an id, counts each time.
 *
 * Returns: true when that was one too many: fail the job. The count then starts again.
 */
WEIR_MUST_USE bool weir_checkpoint_failures_add(
    struct weir_checkpoint_failures *failures, uint64_t id, enum weir_checkpoint_reason reason);

void weir_checkpoint_failures_success(struct weir_checkpoint_failures *failures, uint64_t id);

#endif
