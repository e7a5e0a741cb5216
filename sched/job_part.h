/* SPDX-License-Identifier: Apache-2.0 */
/* job_part.h: a job's parts, shared by job_wire.c (making it) and job_run.c (running it). */
#ifndef WEIR_SCHED_JOB_PART_H
#define WEIR_SCHED_JOB_PART_H

#include "base/atomic.h"
#include "base/clock.h"
#include "dataplane/arena.h"
#include "dataplane/keep.h"
#include "dataplane/partition.h"
#include "io/buf.h"
#include "io/io.h"
#include "sched/job.h"
#include "sched/thread_list.h"

#define JOB_FALLBACK_CNT_MAX 32
#define JOB_FALLBACK_BYTES 400

struct job_stage {
    struct weir_job *job;
    uint32_t idx;
    struct weir_task *task;
    struct weir_task_gate *gates;
    uint32_t gate_cnt;
    struct weir_region *state;
    struct weir_arena arena;
    bool has_arena;
    struct weir_handover *handover; /* of its operator whose key groups can move, or NULL */
    const uint32_t *operators;
    uint32_t operator_cnt;
};

struct job_core {
    struct weir_io *io;
};

/* A partition's configuration, and whom to wake. */
struct job_partition {
    struct weir_partition_conf conf;
    struct weir_job *job;
    uint32_t stage;
    uint32_t core;
    uint32_t *to_core;
    struct weir_buf_pool pool;
    struct weir_keep keep;
    void *kept; /* its memory; NULL: nothing is ever kept */
};

struct job_run;
struct weir_job_checkpoint;

/* What is known of a core from the last look. */
struct job_watched {
    uint64_t seen; /* 1 + its polls then; 0: never looked */
    struct weir_task *stuck_at; /* NULL: it moves, or has nothing to do */
    const struct weir_stack *stack; /* where it is stuck: its answer */
};

/* Who looks after cores that do not come back when the job is canceled. */
struct job_watch {
    struct weir_core *const *cores;
    uint32_t core_cnt;
    int64_t since_ns; /* when it saw that the job is canceled; 0: it is not */
    int64_t next_ns; /* of the next look */
    struct job_watched *watched; /* by core */
};

/* The board of the group that an operator of the graph is in. */
struct job_alignment {
    struct weir_alignment *board; /* NULL: it is in none */
    uint32_t first; /* the member that its subtask 0 is */
};

struct weir_job {
    struct weir_env *env;
    const struct weir_plan *plan;
    struct weir_job_options options;
    uint32_t max_parallelism;
    uint16_t **keygroup_owner; /* by parallelism */
    struct weir_handover **handover; /* by operator of the graph; NULL: its key groups stay */
    struct weir_region_table regions;
    struct weir_region *region; /* rings and buffers */
    uint16_t region_id;
    struct weir_buf_arena buffers;
    bool has_buffers;
    struct job_partition **partition; /* all of them */
    uint32_t partition_cnt;
    void **ring; /* by plan channel */
    struct weir_channel_format *format; /* by edge */
    struct job_alignment *alignment; /* by operator of the graph */
    struct job_stage *stage;
    struct job_core *core;
    uint32_t io_cnt;
    struct weir_io_maps *maps; /* files that several subtasks read */
    struct weir_job_checkpoint *checkpoint; /* NULL: none are taken */
    /* Writer: the storage core. The checkpoint beside the timeline, from before its barrier until
     * nobody reads it any more; 0: none. */
    WEIR_ATOMIC(uint64_t) held_id;
    /* writer: the core of the first task that fails; its stage + 1, 0: none */
    WEIR_ATOMIC(uint32_t) failed;
    WEIR_ATOMIC(uint32_t) is_canceled; /* writer: any thread; tasks were asked to cancel */
    struct weir_clock start_clock;
    int64_t start_ns; /* of weir_job_new */
    WEIR_ATOMIC(int64_t) step_ns[WEIR_JOB_STEP_CNT]; /* writer: who did the step */
    struct job_run *run; /* cores and what was seen of them; NULL under the seeded poller */
    struct weir_thread_list threads; /* of its operators */
    struct weir_job_operator_sum *sum;
    struct weir_region_report report;
    const char *fallback[JOB_FALLBACK_CNT_MAX];
    uint32_t fallback_cnt;
    struct weir_task_restore restore; /* what tasks start from */
    struct weir_job_restored restored;
    const char *state_dir; /* of state on disk; NULL: there is none */
    bool has_state_dir; /* it is this run's alone */
};

/* weir_job_is_overtaken - whether a barrier may overtake rows on an edge. */
bool weir_job_is_overtaken(const struct weir_job *job, uint32_t edge);
/* weir_job_spill - where state of a stage goes that does not fit, as the options say; NULL:
 * nowhere.
 */
const struct weir_spill_conf *weir_job_spill(struct weir_job *job, uint32_t stage);
/* weir_job_spill_tidy - what is of use to one run alone goes. At its begin, when no other process
 * has the job any more: what one has left that was killed; at its end, when all stores are
 * closed. */
void weir_job_spill_tidy(struct weir_job *job, bool is_begin);
/* weir_job_align - the boards of all groups of sources that wait for each other.
 * weir_job_align_env - that of operator idx of the graph, for a stage that has it. WEIR_EPLAN:
 * there is no source in the stage. */
void weir_job_align(struct weir_job *job);
WEIR_MUST_USE int weir_job_align_env(const struct weir_job *job,
    const struct weir_plan_stage *stage, uint32_t idx, struct weir_operator_env *env);
/* weir_job_marker_source - the number that source idx of the graph has in latency markers: how many
 * sources stand before it. */
uint32_t weir_job_marker_source(const struct weir_job *job, uint32_t idx);
/* weir_job_wake - core `from` has published something for core `to`. */
void weir_job_wake(struct weir_job *job, uint32_t from, uint32_t to);
/* weir_job_wake_all - a request was left for the tasks: no core may sleep over it. */
void weir_job_wake_all(struct weir_job *job);
/* weir_job_wake_stage - a letter was left for the task of a stage. */
void weir_job_wake_stage(struct weir_job *job, uint32_t stage);
/* weir_job_io - what an io of the job is opened with. */
struct weir_io_config weir_job_io(const struct weir_job *job);
/* weir_job_clock - of the cores; NULL under the seeded poller. */
const struct weir_clock *weir_job_clock(const struct weir_job *job);
/* weir_job_pin_keeper - the calling thread keeps to the cores of what is no task. */
void weir_job_pin_keeper(const struct weir_job *job);
/* weir_job_request_tasks - to the tasks at once, as if no checkpoints were taken. */
void weir_job_request_tasks(struct weir_job *job, enum weir_task_request request);
/* weir_job_buffers_open - the arena of all partitions; none where all edges are fused.
 * weir_job_buffers_pool - that of a partition, which is listed then, also behind an error.
 * weir_job_buffers_tell - what the host is to be told of them, once all are there.
 * weir_job_buffers_share - those of tasks that have ended go to the others. Thread: the one that
 * waits for the cores. */
WEIR_MUST_USE int weir_job_buffers_open(struct weir_job *job);
WEIR_MUST_USE int
weir_job_buffers_pool(struct weir_job *job, struct job_partition *partition, uint32_t channel_cnt);
void weir_job_buffers_tell(struct weir_job *job);
void weir_job_buffers_share(struct weir_job *job);
/* weir_job_step - a step is done: note when. 0, or what step_fn says. */
WEIR_MUST_USE int weir_job_step(struct weir_job *job, enum weir_job_step step, uint32_t stage);
/* weir_job_told - what the task of a stage, arg, says of its state: a weir_task_state_fn. */
int weir_job_told(void *arg, struct weir_task *task, enum weir_task_state state);
/* weir_job_error - when all tasks have ended: what the job has failed of, with its context. */
WEIR_MUST_USE int weir_job_error(struct weir_job *job);
/* weir_job_watch - look, if it is time; it may end the process, and may take a second. Returns when
 * to look again; INT64_MAX: nobody is waited for. Thread: the one that waits for the cores. */
int64_t
weir_job_watch(struct weir_job *job, struct job_watch *watch, const struct weir_clock *clock);
/* weir_job_open_run, weir_job_close_run - the cores of a job that threads poll; its tasks are
 * made. */
int weir_job_open_run(struct weir_job *job);
void weir_job_close_run(struct weir_job *job);

#endif
