/* SPDX-License-Identifier: Apache-2.0 */
/* job.h: a planned graph made real on this host, run to its end, and told about.
 *
 *   graph + plan  ->  weir_job_new: regions, rings, buffers, arenas, tasks     (all memory, then
 *                 sealed)
 *                 ->  weir_job_run: cores poll the tasks until all have ended
 *                 ->  weir_job_report_*: counters, times, causes
 *
 * The first task that fails decides: the others are canceled, and its cause is the job's.
 *
 * Thread: new, run, delete and the report: the caller's. weir_job_request: any thread or a signal
 *         handler's.
 */
#ifndef WEIR_SCHED_JOB_H
#define WEIR_SCHED_JOB_H

#include "base/hist.h"
#include "base/region.h"
#include "dataplane/task.h"
#include "sched/coordinator.h"
#include "sched/core.h"
#include "sched/graph.h"
#include "sched/plan.h"
#include "sched/poller.h"

struct weir_io;
struct weir_job;

/* What a start does, in this order: X(symbol, name). From STATE to OPERATORS it is done of one
 * stage after the other; OPEN and RUN are of tasks, on their cores. What a step has made is given
 * back in reverse, whatever step fails: by weir_job_delete, what threads have made before
 * weir_job_run returns. */
#define WEIR_JOB_STEP_TABLE(X)                                               \
    X(KEY_GROUPS, "key_groups")                                              \
    X(MEMORY, "memory") /* of rings and buffers */                           \
    X(RINGS, "rings")                                                        \
    X(BUFFERS, "buffers")                                                    \
    X(IO, "io") /* of the cores */                                           \
    X(STORAGE, "storage") /* the storage core, where there is one */         \
    X(STATE, "state") /* memory of the stage's state */                      \
    X(PARTITIONS, "partitions") /* that the stage writes: they need pools */ \
    X(GATES, "gates") /* that it reads */                                    \
    X(OPERATORS, "operators") /* their memory */                             \
    X(CORES, "cores") /* and their wake-ups */                               \
    X(RESTORE, "restore") /* the lock, the epoch, state in its place */      \
    X(THREADS, "threads")                                                    \
    X(OPEN, "open") /* the first operator may be opened */                   \
    X(RUN, "run") /* all operators are open and restored */

enum weir_job_step {
#define X(id, name) WEIR_JOB_STEP_##id,
    WEIR_JOB_STEP_TABLE(X)
#undef X
        WEIR_JOB_STEP_CNT
};

/* weir_job_step_fn - a step of a stage, or 0, is done; an error: it counts as failed. */
typedef int(weir_job_step_fn)(void *arg, enum weir_job_step step, uint32_t stage);

enum weir_job_poller {
    WEIR_JOB_THREADS, /* a pinned thread per core of the plan */
    WEIR_JOB_SEEDED, /* one thread, an order drawn from a seed */
};

/* Checkpoints of a job; those of its configuration that have no unit of their own. */
struct weir_job_checkpoint_options {
    const char *dir; /* NULL: none are taken; borrowed until the job is deleted */
    uint64_t task_bytes_max; /* in dir, which lies in memory then; 0: no limit, and a disk */
    bool is_tracked; /* at least once: barriers hold nothing back */
    bool is_unaligned; /* barriers overtake rows */
    int64_t align_timeout_ns; /* is_unaligned: as in dataplane/barrier.h */
    uint32_t piece_rows_max; /* is_unaligned: both as in dataplane/task.h; 0: as they are best */
    uint32_t flight_slice_bytes;
    uint64_t flight_bytes_max; /* is_unaligned: of rows under way to a task; 0: 256 MiB */
    bool is_sink_early; /* sinks show rows at once, and again after a restart */
    uint32_t retained;
    int64_t throttle_max_ns;
    uint32_t block_bytes; /* of files; 0: by how much state there may be */
    uint32_t undo_cnt; /* lines kept while a stage's pages are captured, 2^n; 0: by its pages */
    struct weir_coordinator_conf coordinator; /* times and limits */
};

enum weir_job_restore_from {
    WEIR_JOB_RESTORE_NONE, /* a directory that holds checkpoints of the job is refused */
    WEIR_JOB_RESTORE_LATEST, /* what the directory says; nothing where it is empty */
    WEIR_JOB_RESTORE_PATH, /* the one that `path` names */
};

/* How far the reading of a checkpoint is. */
struct weir_job_restore_progress {
    uint64_t checkpoint;
    uint64_t bytes_done;
    uint64_t bytes_all;
    int64_t elapsed_ns;
    bool is_done; /* the last call */
};

/* How far the writing of a savepoint is. */
struct weir_job_save_progress {
    uint64_t savepoint;
    uint32_t group_cnt; /* key groups that are written, of */
    uint32_t group_all;
    uint64_t bytes;
    int64_t elapsed_ns;
    bool is_done; /* the last call */
};

struct weir_job_save_options {
    const char *root; /* the savepoint lies below it */
    /* Told now and then, by the thread that saves; may be NULL. */
    void (*progress_fn)(void *arg, const struct weir_job_save_progress *progress);
    void *progress_arg;
};

/* What a job with checkpoints starts from. All that it points to is borrowed until the job is
 * deleted. */
struct weir_job_restore_options {
    enum weir_job_restore_from from;
    const char *path; /* PATH: a manifest, a job's directory, or one that holds jobs' */
    /* Engines before this one began with `path`, under a supervisor: what they have stored since
     * counts, and `path` only where that is nothing. */
    bool prefers_latest;
    /* `path` is read where it lies, and what it lies in is left alone, whoever uses it: no lock and
     * no epoch is taken. For weir_job_save. */
    bool only_reads;
    bool drops_unknown; /* state of operators that the job does not have is left behind */
    /* Told now and then while files are read, by the thread that reads them; may be NULL. */
    void (*progress_fn)(void *arg, const struct weir_job_restore_progress *progress);
    void *progress_arg;
};

/* The world in memory that a job of the seeded poller may live in: its disk, its time, and who
 * looks at it. */
struct weir_job_world {
    struct weir_sim *sim;
    int64_t start_ns;
    weir_poller_seen_fn *seen_fn; /* or NULL */
    void *seen_arg;
};

struct weir_job_options {
    const struct weir_job_world *world; /* NULL: the host's; borrowed until the job is deleted */
    struct weir_job_checkpoint_options checkpoints;
    struct weir_job_restore_options restore;
    enum weir_job_poller poller;
    uint64_t seed;
    uint32_t batch_rows;
    int64_t watermark_interval_ns;
    int64_t marker_interval_ns; /* of latency markers; 0: none */
    int64_t flush_after_ns; /* 0: rows wait until the task has run out of input */
    int64_t debloat_target_ns; /* buffers.debloat; 0: none */
    uint32_t max_parallelism; /* 0: derived */
    bool moves; /* state.moves: key groups of operators that can are laid out to move */
    const char *state_dir; /* state.backend rocksdb: where it keeps state; NULL: all in memory */
    uint64_t state_bytes; /* per stage that keeps state; 0: the plan's share */
    uint32_t io_kind; /* enum weir_io_kind */
    /* Code of a canceled job that does not return: every interval it is interrupted and named in
     * the log, and behind the time-out the process ends. 0: never. */
    int64_t cancel_interval_ns;
    int64_t cancel_timeout_ns;
    weir_job_step_fn *step_fn; /* of tests: any thread that takes part in the start; NULL: none */
    void *step_arg;
    bool strict;
    bool small_pages; /* memory.huge_pages: false */
    bool touch; /* memory.touch: fault all memory in before the job runs */
};

/* weir_job_plan - the planner's input of a graph; env was checked. The result borrows env.
 * Owner: the graph lives in env. */
WEIR_API const struct weir_plan_graph *weir_job_plan_graph(struct weir_env *env);

/* weir_job_new - carve and wire everything. Errors: WEIR_EBUDGET, WEIR_ENOMEM, WEIR_EPLAN ... */
WEIR_API WEIR_MUST_USE int weir_job_new(struct weir_env *env, const struct weir_plan *plan,
    const struct weir_job_options *options, struct weir_job **ret_job);
WEIR_API void weir_job_delete(struct weir_job *job);
/* weir_job_run - until all tasks have ended. 0, or the first cause's error with its context. */
WEIR_API WEIR_MUST_USE int weir_job_run(struct weir_job *job);
WEIR_API void weir_job_request(struct weir_job *job, enum weir_task_request request);
/* weir_job_save - instead of a run: what the job would start from, as a savepoint
 * (savepoint_store.h). Its directory of checkpoints gets a new epoch, as at a start, but with
 * only_reads. The thread becomes one beside the plan's cores, but in a world.
 *
 * Errors:  WEIR_ECONFIG: it takes no checkpoints, would start from nothing or from a savepoint, or
 *          one of its sources had ended, or it holds rows that barriers had overtaken; those of a
 *          restore and of weir_savepoint_store().
 */
struct weir_savepoint_made;
WEIR_API WEIR_MUST_USE int weir_job_save(struct weir_job *job,
    const struct weir_job_save_options *options, struct weir_savepoint_made *ret_made);

/* weir_job_savepoint - a checkpoint beside the timeline, while the job goes on: no sink commits for
 * it, no restart goes back to it. The view tells its end, with the ticket. Its manifest is
 * <dir>/<job>/manifest/S-<id>-<epoch>. What it needs stays until it is released, and a job that has
 * come to its end waits for that; one that fails does not, and its next start removes it.
 *
 * Shape:   the job takes checkpoints; ticket is not 0; one at a time.
 * Thread:  any. Returns: false: there is no room for the request at the moment.
 */
WEIR_API WEIR_MUST_USE bool weir_job_savepoint(struct weir_job *job, uint64_t ticket);
/* weir_job_savepoint_release - what it needs may go. Thread, returns: as above. */
WEIR_API WEIR_MUST_USE bool weir_job_savepoint_release(struct weir_job *job, uint64_t id);

/* ---- key groups that move ---- */

/* Key groups first to last of an operator go to its subtask `to`. */
struct weir_job_move {
    uint64_t ticket; /* the asker's, not 0 */
    uint32_t vertex; /* by weir_job_operator */
    uint32_t first;
    uint32_t last;
    uint32_t to;
};
/* weir_job_move_check - 0, or WEIR_EREFUSED: why they cannot, and what would let them. Any
 * thread. */
WEIR_API WEIR_MUST_USE int
weir_job_move_check(const struct weir_job *job, const struct weir_job_move *move);
/* weir_job_move - move them while the job runs, with its next checkpoint (dataplane/handover.h).
 * The view tells its end, with the ticket.
 *
 * Shape:   it was checked; one at a time.
 * Thread:  any. Returns: false: there is no room for the request at the moment.
 */
WEIR_API WEIR_MUST_USE bool weir_job_move(struct weir_job *job, const struct weir_job_move *move);
/* weir_job_owners - the subtask of each key group of an operator, as the last move that is over has
 * left them. Returns: false: they do not move. Any thread. */
WEIR_API bool weir_job_owners(const struct weir_job *job, uint32_t idx, uint16_t *ret_owner);
WEIR_API uint32_t weir_job_max_parallelism(const struct weir_job *job);

/* ---- looking ---- */

WEIR_API uint32_t weir_job_task_cnt(const struct weir_job *job);
WEIR_API struct weir_task *weir_job_task(struct weir_job *job, uint32_t stage);
/* Counters of an operator over all subtasks; kept after its tasks have closed. */
struct weir_job_operator_sum {
    const char *name;
    uint64_t rows_in;
    uint64_t rows_out;
    uint64_t rows_late;
    uint64_t rows_bad;
    uint64_t work_done; /* sources: of work_all, in a unit of the source's own; 0: no known end */
    uint64_t work_all;
    int64_t watermark; /* the least of its subtasks' inputs */
    bool is_source;
};
WEIR_API uint32_t weir_job_operator_cnt(const struct weir_job *job);
WEIR_API void
weir_job_operator(const struct weir_job *job, uint32_t idx, struct weir_job_operator_sum *ret_sum);
/* weir_job_wall_ns - from when the first source could read until the last task ended; 0 where no
 * source came to its end. */
WEIR_API int64_t weir_job_wall_ns(const struct weir_job *job);
/* weir_job_step_ns - from the begin of weir_job_new until the last stage had done a step; 0 where
 * it was not done, or the job lives in a world. weir_job_step_name - as in the table. */
WEIR_API int64_t weir_job_step_ns(const struct weir_job *job, enum weir_job_step step);
WEIR_API const char *weir_job_step_name(enum weir_job_step step);
/* weir_job_latency - from the intended time of a row (a source with a rate has one) to its arrival
 * at a sink, over all sinks; empty where nothing had an intended time. After the run. */
WEIR_API void weir_job_latency(const struct weir_job *job, struct weir_hist *ret_hist);
/* weir_job_marker_latency - how old the latency markers of a source were at an operator, over all
 * subtasks; both by their numbers as of weir_job_operator. Empty where there were none. After the
 * run. */
WEIR_API void weir_job_marker_latency(
    const struct weir_job *job, uint32_t source, uint32_t idx, struct weir_hist *ret_hist);
/* One complete checkpoint. */
/* Names that figures of a checkpoint have among the counters of its manifest. */
#define WEIR_JOB_WRITTEN_COUNTER "written_bytes"
#define WEIR_JOB_DIRTY_COUNTER "dirty_bytes"

struct weir_job_checkpoint_record {
    uint64_t id;
    int64_t utc_ns; /* when it was triggered */
    int64_t duration_ns; /* from there until it was stored */
    int64_t stall_ns; /* the longest that a task did nothing else for it */
    int64_t align_ns; /* the longest of a task, from its first barrier to its last */
    int64_t start_delay_ns; /* the longest, until a first barrier */
    uint64_t align_bytes; /* taken in by tasks between the two */
    uint64_t flight_rows; /* that barriers have overtaken, and the checkpoint holds */
    uint64_t flight_bytes;
    uint64_t bytes; /* written */
    uint64_t dirty_bytes; /* of them: what had changed, or of a full one all that was there */
    uint64_t state_bytes; /* of all files that it consists of */
};

#define WEIR_JOB_CHECKPOINT_RECORD_CNT_MAX 1024

/* What the job has started from. */
struct weir_job_restored {
    uint64_t checkpoint; /* 0: nothing */
    uint64_t epoch; /* that wrote it */
    uint64_t bytes; /* of its files */
    uint64_t flight_rows; /* under way, that come before those of the channels */
    int64_t elapsed_ns; /* from the first read until the state was in its place */
    uint32_t file_cnt;
};
/* What became of the newest weir_job_savepoint(). */
struct weir_job_savepoint_view {
    uint64_t ticket; /* of the request; 0: none was answered yet */
    uint64_t id; /* 0: it was not taken, for `why` */
    uint64_t epoch;
    const char *dir; /* of the job's checkpoints: as in its options */
    const char *why; /* a sentence without its full stop */
};
/* What became of the newest weir_job_move(). */
struct weir_job_move_view {
    uint64_t ticket; /* of the request; 0: none was answered yet */
    uint64_t id; /* of its checkpoint; 0: none has begun */
    bool is_stored; /* a restart keeps the new owners; else a later checkpoint has to be complete */
    const char *why; /* NULL: they have moved; else why not, a sentence without its full stop */
};
struct weir_job_checkpoint_view {
    bool is_on;
    const char *dir; /* of all jobs' checkpoints: as in its options */
    uint64_t completed_cnt;
    uint64_t failed_cnt;
    uint64_t in_progress_cnt;
    uint64_t failed_id; /* 0: none */
    const char *failed_why; /* a sentence without its full stop, of failed_id */
    uint64_t epoch;
    struct weir_job_checkpoint_record last; /* id 0: none yet */
    struct weir_job_restored restored;
    struct weir_job_savepoint_view savepoint;
    struct weir_job_move_view move;
};

/* weir_job_checkpoints - how they go; any thread. */
WEIR_API void
weir_job_checkpoints(const struct weir_job *job, struct weir_job_checkpoint_view *ret_view);
/* weir_job_checkpoint_at - complete checkpoint idx of the run, the oldest that is remembered first;
 * NULL past the end. After the run. */
WEIR_API const struct weir_job_checkpoint_record *
weir_job_checkpoint_at(const struct weir_job *job, uint32_t idx);
/* weir_job_fallback_at - what the host did not give, in words; NULL past the end. */
WEIR_API const char *weir_job_fallback_at(const struct weir_job *job, uint32_t idx);

/* weir_job_segments - buffers of the run that rows lie in between tasks, and those of them that no
 * task has; any thread. */
WEIR_API void
weir_job_segments(const struct weir_job *job, uint64_t *ret_cnt, uint64_t *ret_free_cnt);

/* weir_job_core_times - how a core of the plan has spent its time; false under the seeded
 * poller. */
WEIR_API bool
weir_job_core_times(const struct weir_job *job, uint32_t core, struct weir_core_times *ret_times);
/* weir_job_task_times - how the task of a stage has spent its time (core.h); likewise. */
WEIR_API bool
weir_job_task_times(const struct weir_job *job, uint32_t stage, struct weir_counter_set *ret_set);
/* What a core of the plan is at: for who wants to know of one that does not come back. */
struct weir_job_core_look {
    int64_t silent_ns; /* since it has published its figures */
    uint32_t stage; /* in whose poll it is, or UINT32_MAX */
    pid_t tid; /* 0: it has ended */
};
/* weir_job_core_look - any thread; false under the seeded poller. */
WEIR_API bool
weir_job_core_look(const struct weir_job *job, uint32_t core, struct weir_job_core_look *ret_look);
/* weir_job_core_gap_ns - the longest time between two polls of one core. */
WEIR_API int64_t weir_job_core_gap_ns(const struct weir_job *job, uint32_t core);
/* weir_job_poll_gap_ns - the longest time between two polls of any core. */
WEIR_API int64_t weir_job_poll_gap_ns(const struct weir_job *job);
/* weir_job_departure_at - where the host did not keep to the plan while the job ran, in words, and
 * how often that was seen; NULL past the end. After weir_job_run. */
WEIR_API const char *
weir_job_departure_at(const struct weir_job *job, uint32_t idx, uint32_t *ret_seen_cnt);

#endif
