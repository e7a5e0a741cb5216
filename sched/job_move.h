/* SPDX-License-Identifier: Apache-2.0 */
/* job_move.h: which operators of a job can give key groups away while it runs (handover.h).
 *
 * With the job's option `moves`, each operator that can gets state memory with room for all key
 * groups in every subtask, and its producers a table of owners each. How a move is asked for:
 * job.h; how it goes: job_checkpoint_move.c.
 */
#ifndef WEIR_SCHED_JOB_MOVE_H
#define WEIR_SCHED_JOB_MOVE_H

#include "sched/job_part.h"

/* weir_job_moves_make - the handovers of all that can; key groups are known. */
void weir_job_moves_make(struct weir_job *job);
/* weir_job_moves_room - the key groups that the state memory of a stage has room for, where they
 * are not its own alone. weir_job_moves_join - the memory is laid out: it takes part in moves. No
 * effect on stages without such an operator. */
void weir_job_moves_room(
    const struct weir_job *job, uint32_t stage, struct weir_keygroup_range *ret_groups);
void weir_job_moves_join(struct weir_job *job, uint32_t stage);
/* weir_job_moves_owner - the subtask of each key group of an operator, as it begins. */
const uint16_t *weir_job_moves_owner(const struct weir_job *job, uint32_t idx);
/* weir_job_moves_partition - how the next partition of an edge deals rows out by key. */
void
weir_job_moves_partition(struct weir_job *job, uint32_t edge, struct weir_partition_conf *ret_conf);

#endif
