/* SPDX-License-Identifier: Apache-2.0 */
/* job_checkpoint.h: the storage core of a job: it takes checkpoints of running tasks.
 *
 *     tasks, on their cores                          storage core: a thread, or the seeded poller
 *       begin: pages frozen, buffer lent   <-TRIGGER-  coordinator (coordinator.h)
 *       snapshot, pre-committed            -letter-->  files: parts and captured pages
 *                                          (task_file.h)
 *       committed, waits, ended            -letter-->  manifest (store.h)
 *       commit what is <= id               <-NOTIFY--  stored
 *
 * It is polled, never blocks, and has an io of its own; data cores do no I/O for checkpoints. A
 * fault of storage declines a checkpoint and never stops the job, unless it cannot be known whether
 * a manifest is there (EOUTCOME), or another start has taken over (EFENCED).
 *
 * State pages are written in full at first, then what has changed since the last complete
 * checkpoint, up to WEIR_JOB_CHECKPOINT_CHAIN_CNT_MAX files or until these are as long as the
 * first. That goes on where pages were restored to where they had been: the first checkpoint is of
 * what has changed since the one that was restored.
 *
 * Thread:  new, arena, conf, task, delete: the job's, before and after the run. begin, poll: the
 *          storage core's. request, look: any.
 */
#ifndef WEIR_SCHED_JOB_CHECKPOINT_H
#define WEIR_SCHED_JOB_CHECKPOINT_H

#include "sched/job.h"

struct weir_graph_node;
struct weir_job_checkpoint;
struct weir_io;

/* In a manifest, the counter of an operator's subtask that had come to its end before:
 * "finished.<subtask>.<uid>" is 1; it has no file. */
#define WEIR_JOB_FINISHED_PREFIX "finished."
/* Files of one task in a checkpoint: the one in full and those that rest on it. */
#define WEIR_JOB_CHECKPOINT_CHAIN_CNT_MAX 8

/* ---- wiring ---- */

/* weir_job_checkpoint_new - for a job whose options name a directory; its plan is known.
 *
 * Errors:  WEIR_ECONFIG where what is asked for cannot be had, WEIR_ENOMEM, those of weir_io_open.
 */
WEIR_MUST_USE int
weir_job_checkpoint_new(struct weir_job *job, struct weir_job_checkpoint **ret_checkpoint);
/* weir_job_checkpoint_delete - takes NULL; its thread has ended. Tasks are deleted before. */
void weir_job_checkpoint_delete(struct weir_job_checkpoint *checkpoint);

/* weir_job_checkpoint_arena_bytes - what is left for an arena of `bytes` with what stands beside
 * it. */
uint64_t weir_job_checkpoint_arena_bytes(uint64_t bytes);
/* weir_job_checkpoint_arena - snapshots of a stage's arena: `bytes` at mem, behind the arena's own.
 */
WEIR_MUST_USE int weir_job_checkpoint_arena(
    struct weir_job_checkpoint *checkpoint, uint32_t stage, void *mem, uint64_t bytes);
/* weir_job_checkpoint_conf - the parameters of an operator, with what sinks have to know. */
const void *weir_job_checkpoint_conf(
    struct weir_job_checkpoint *checkpoint, const struct weir_graph_node *node);
/* weir_job_checkpoint_task - how the task of a stage takes part; kept. */
const struct weir_task_checkpoints *
weir_job_checkpoint_task(struct weir_job_checkpoint *checkpoint, uint32_t stage);

/* ---- running ---- */

/* weir_job_checkpoint_start - a thread of its own, ready when this returns.
 * weir_job_checkpoint_join - wait for its end, after that of all tasks; or end it where none of
 * them was started. */
WEIR_MUST_USE int weir_job_checkpoint_start(struct weir_job_checkpoint *checkpoint);
void weir_job_checkpoint_join(struct weir_job_checkpoint *checkpoint);

/* weir_job_checkpoint_begin - become the job's next epoch: waits for storage. Before any task is
 * polled. now_ns: of the polls that follow. Errors: those of the store. */
WEIR_MUST_USE int weir_job_checkpoint_begin(struct weir_job_checkpoint *checkpoint, int64_t now_ns);
/* weir_job_checkpoint_end - close what is open in storage, whatever is under way; its files are
 * left to recovery. */
void weir_job_checkpoint_end(struct weir_job_checkpoint *checkpoint);
/* weir_job_checkpoint_poll - go on with everything. Returns: whether anything was done. */
bool weir_job_checkpoint_poll(struct weir_job_checkpoint *checkpoint, int64_t now_ns);
/* weir_job_checkpoint_due_ns - when it wants to be polled next, if nothing happens before. */
int64_t weir_job_checkpoint_due_ns(const struct weir_job_checkpoint *checkpoint);
/* weir_job_checkpoint_is_over - all tasks have ended, and nothing is left to do. */
bool weir_job_checkpoint_is_over(const struct weir_job_checkpoint *checkpoint);
struct weir_io *weir_job_checkpoint_io(const struct weir_job_checkpoint *checkpoint);

/* weir_job_checkpoint_ended - the task of a stage is in a terminal state; on its core. */
void weir_job_checkpoint_ended(
    struct weir_job_checkpoint *checkpoint, uint32_t stage, enum weir_task_state state);
/* weir_job_checkpoint_stop - any thread: end the job with a checkpoint behind which sources emit
 * nothing. */
void weir_job_checkpoint_stop(struct weir_job_checkpoint *checkpoint);
/* weir_job_checkpoint_error - why the job had to end; 0: not because of checkpoints. Pushes. */
WEIR_MUST_USE int weir_job_checkpoint_error(struct weir_job_checkpoint *checkpoint);

#endif
