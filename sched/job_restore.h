/* SPDX-License-Identifier: Apache-2.0 */
/* job_restore.h: from a directory of checkpoints back to a job that goes on: steps R1 to R5.
 *
 *     weir_job_restore_start   the store: directories, lock, epoch, which checkpoint is the truth
 *     weir_job_restore_load    its files: parts for the tasks, pages into their arenas
 *     (the job runs; whoever commits checkpoints uses weir_job_restore_store)
 *     weir_job_restore_close
 *
 * The tasks need not be those that there were. Parts are found by the uids of operators, pages by
 * key group; the files say which operators and which key groups they hold.
 *
 * Thread:  the owner of io, which has started it; all calls block. No task is polled before load is
 *          done.
 */
#ifndef WEIR_SCHED_JOB_RESTORE_H
#define WEIR_SCHED_JOB_RESTORE_H

#include "sched/job.h"
#include "sched/store.h"

/* Files of one task that the first snapshot behind a restore may rest on. More than otherwise,
 * where a full one may be due: rows that wait for this one have waited for the restore, too. */
#define WEIR_JOB_RESTORE_CHAIN_CNT_MAX 16

struct weir_job_restore_conf {
    const char *dir; /* checkpoints.dir */
    const char *job; /* its name */
    struct weir_job_restore_options how;
    uint32_t retained_cnt;
    bool in_memory; /* dir, as was asked for */
    bool strict;
};

struct weir_job_restore;

/* weir_job_restore_max_parallelism - of the keyed state of the checkpoint that a start with conf
 * would restore; 0: there is none, or it cannot be read. Takes no epoch, and changes nothing. */
WEIR_API uint32_t weir_job_restore_max_parallelism(
    struct weir_io *io, const struct weir_job_restore_conf *conf);

/* weir_job_restore_start - become the job's next epoch (not with only_reads). conf and all in it is
 * kept until close.
 *
 * Errors:  WEIR_ECONFIG: NONE where there are checkpoints, or `path` beside checkpoints of another
 *          origin; WEIR_ENOINPUT: `path` names none; those of weir_store_start, with its sentence.
 */
WEIR_API WEIR_MUST_USE int weir_job_restore_start(struct weir_io *io,
    const struct weir_job_restore_conf *conf, struct weir_job_restore **ret_restore);
/* weir_job_restore_close - takes NULL; closes the store too. */
WEIR_API void weir_job_restore_close(struct weir_job_restore *restore);

/* weir_job_restore_load - into a job that was made and has not run. Nothing where nothing is
 * restored.
 *
 * Owner:   what tasks read lies in restore until close.
 * Errors:  WEIR_ECHECKPOINT: a damaged file, named with block and byte; WEIR_ECONFIG: state of an
 *          operator that is not there (named), or another max_parallelism; WEIR_EBUDGET: more state
 *          than memory; WEIR_ESTATE: state that cannot be dealt out anew.
 */
WEIR_API WEIR_MUST_USE int
weir_job_restore_load(struct weir_job_restore *restore, struct weir_job *job);

/* weir_job_restore_save - what load has put into the job, as a savepoint; the job has not run.
 * Errors: WEIR_ECONFIG: nothing was restored, or a savepoint, or an operator had ended;
 * those of weir_savepoint_store(). */
struct weir_savepoint_made;
WEIR_API WEIR_MUST_USE int weir_job_restore_save(struct weir_job_restore *restore,
    const struct weir_job_save_options *options, struct weir_savepoint_made *ret_made);

/* weir_job_restore_chain - the files that the pages of a stage were restored from, where a snapshot
 * of them can rest on these: the one in full, and its increments. Returns: how many; 0: it cannot.
 * Owner: restore's. After load. */
WEIR_API uint32_t weir_job_restore_chain(const struct weir_job_restore *restore, uint32_t stage,
    const struct weir_snapshot_ack *const **ret_files);

/* weir_job_restore_store - the started store; restore's. NULL with only_reads. */
WEIR_API struct weir_store *weir_job_restore_store(struct weir_job_restore *restore);
/* weir_job_restore_manifest - what is restored, NULL: nothing. */
WEIR_API const struct weir_manifest *
weir_job_restore_manifest(const struct weir_job_restore *restore);

#endif
