/* SPDX-License-Identifier: Apache-2.0 */
/* job_restore_priv.h: what job_restore.c (which checkpoint) and job_restore_load.c (its files)
 * share. */
#ifndef WEIR_SCHED_JOB_RESTORE_PRIV_H
#define WEIR_SCHED_JOB_RESTORE_PRIV_H

#include "dataplane/parts.h"
#include "dataplane/task.h"
#include "dataplane/task_file.h"
#include "sched/job_restore.h"
#include "sched/store_look.h"

/* A task that there was: its files, and what they begin with. */
struct job_old_task {
    const struct weir_snapshot_ack *const *files; /* the snapshot in full, then its increments */
    uint32_t file_cnt;
    struct weir_task_file_head head; /* of the newest */
    char *parts; /* 8-aligned */
    uint64_t parts_got;
    bool is_whole;
    uint64_t *owned; /* its key groups as a set; NULL: it has no state pages */
    char *flight; /* 8-aligned; rows under way, NULL: none were read */
    uint64_t flight_got;
    uint64_t flight_all;
};

struct weir_job_restore {
    struct weir_io *io;
    const struct weir_job_restore_conf *conf;
    struct weir_store *store;
    struct weir_look *look; /* of a path outside the store; holds the manifest */
    const struct weir_manifest *manifest; /* NULL: nothing is restored */
    int32_t data_dir; /* of its files */
    bool owns_data_dir;
    struct weir_snapshot_reader *reader;
    struct weir_snapshot_reader *next_reader; /* of the file behind its, held; NULL: none was */
    bool is_next_read; /* it is at work */
    struct weir_job *job;
    const struct weir_snapshot_ack **files; /* by subtask, task, then age */
    struct job_old_task *old;
    uint32_t old_cnt;
    struct weir_parts_reader *parts; /* [old_cnt]; of a savepoint [parts_cnt] */
    struct weir_task_flight_bytes *flights; /* [old_cnt] */
    uint32_t parts_cnt;
    const char **ended;
    uint32_t ended_cnt;
    uint32_t *continued; /* [stage] the old task whose files its pages rest on, plus 1; 0: none */
    uint64_t flight_rows; /* of all tasks */
    bool lacks_subtasks; /* some operator's: they had ended */
    struct weir_job_restore_progress progress;
    int64_t begin_ns;
    int64_t told_ns;
};

/* weir_job_restore_open - what is missing to read a file, or a chain. weir_job_restore_shut - takes
 * what is open; what is under way is given up. */
int weir_job_restore_open(struct weir_job_restore *restore, bool is_chain);
void weir_job_restore_shut(struct weir_job_restore *restore);
/* weir_job_restore_read - a file, to its end. weir_job_restore_read_chain - one behind the other,
 * ask->file aside: while one is told, the next is opened, and what it begins with is read; after an
 * error only shut. weir_job_restore_blame - such an error as one of the restore.
 * weir_job_restore_tell - progress. */
int weir_job_restore_read(struct weir_job_restore *restore, const struct weir_snapshot_ask *ask);
int
weir_job_restore_read_chain(struct weir_job_restore *restore, const struct weir_snapshot_ask *ask,
    const struct weir_snapshot_ack *const *files, uint32_t file_cnt);
int weir_job_restore_blame(const struct weir_job_restore *restore, int err);
/* weir_job_restore_blame_file - an error of what is in a file: damage is no malformed input. */
int weir_job_restore_blame_file(const struct weir_job_restore *restore, int err, const char *what);
/* weir_job_flight_begins - whether rows under way begin here, behind a file's pages.
 * weir_job_flight_follows - whether the task's newest file has some. weir_job_flight_take - the
 * next bytes of them, the first with their head. weir_job_flight_drop - those of an older file.
 * weir_job_flight_check - all files were read: whether what there is can be used. */
bool weir_job_flight_begins(const char *at, uint64_t bytes);
bool weir_job_flight_follows(const struct job_old_task *old);
int weir_job_flight_take(struct job_old_task *old, const char *at, uint64_t bytes);
void weir_job_flight_drop(struct job_old_task *old);
int weir_job_flight_check(struct weir_job_restore *restore);

/* ---- job_restore_groups.c: whose key groups are whose ---- */

/* weir_job_groups_read - those of all old tasks; their parts are there. weir_job_groups_deal -
 * those of operators that can move them: as the checkpoint has it, where it has as many subtasks.
 * weir_job_groups_has - whether it was the old task's. weir_job_groups_meet - whether one is now
 * the arena's. weir_job_groups_are - whether they are the same ones. */
int weir_job_groups_read(struct weir_job_restore *restore);
void weir_job_groups_deal(struct weir_job_restore *restore);
bool weir_job_groups_has(const struct job_old_task *old, uint32_t group);
bool weir_job_groups_meet(const struct job_old_task *old, const struct weir_arena *arena);
bool weir_job_groups_are(const struct job_old_task *old, const struct weir_arena *arena);

void weir_job_restore_tell(struct weir_job_restore *restore, bool is_end);
/* weir_job_restore_savepoint - load, where the manifest is a savepoint's. */
int weir_job_restore_savepoint(struct weir_job_restore *restore);
/* weir_job_restore_free - what load has made. */
void weir_job_restore_free(struct weir_job_restore *restore);

#endif
