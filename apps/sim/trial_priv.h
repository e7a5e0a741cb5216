/* SPDX-License-Identifier: Apache-2.0 */
/* trial_priv.h: a trial under way, shared by trial.c (the world), trial_start.c (one process in
 * it), trial_look.c (what holds) and trial_touch.c (somebody at the outputs). */
#ifndef WEIR_APPS_SIM_TRIAL_PRIV_H
#define WEIR_APPS_SIM_TRIAL_PRIV_H

#include "apps/sim/build.h"
#include "apps/sim/trial.h"
#include "io/sim.h"
#include "sched/job.h"

struct weir_env;
struct weir_plan;
struct weir_topo;

/* Of directories of checkpoints, and of savepoints: a number follows. */
#define SIM_CHECKPOINT_DIR "/checkpoints-"
#define SIM_SAVE_DIR "/saved-"
/* A file in the directory that the user has made. */
#define SIM_OUT_MADE SIM_OUT_DIR "/.made"
#define SIM_OPERATOR_CNT_MAX 128

/* A part that is not as it was committed, during one start. */
struct trial_touch {
    char *path; /* NULL: none */
    char *good;
    uint64_t cnt; /* bytes */
    bool is_cut; /* or else changed */
};

/* What goes wrong in a trial. */
enum sim_theme {
    SIM_THEME_ALL,
    SIM_THEME_SINKS, /* syncs of outputs, and then the power */
    SIM_THEME_MANIFESTS,
    SIM_THEME_FLIPS,
    SIM_THEME_NAMES, /* syncs of directories, which fail or are late, and then the power */
    SIM_THEME_CNT
};

/* Savepoints of a trial. */
struct trial_saves {
    bool wants_stop; /* with one, from which it is started again */
    bool wants_going; /* while it goes on */
    int64_t stop_ns; /* when; of this start */
    int64_t going_ns;
    int64_t release_ns;
    int64_t die_ns; /* of what it has asked for another process is to make one */
    bool is_stopping;
    uint64_t ticket; /* of the newest request */
    bool is_asked; /* which was not answered yet */
    uint64_t kept_id; /* the checkpoint beside the timeline; 0: there is none */
    uint64_t kept_epoch;
    uint32_t root_cnt;
    char root[SIM_PATH_BYTES_MAX]; /* of the newest */
    char manifest[2 * SIM_PATH_BYTES_MAX]; /* what one is made of, or "": of the latest */
    bool is_base; /* of the directory of checkpoints: it began with it */
    bool is_begun; /* it was started so once before */
};

/* Key groups that move, of this start. */
struct trial_moves {
    struct weir_rng rng;
    int64_t next_ns;
    uint64_t ticket; /* of the newest request */
    bool is_asked; /* which was not answered yet */
};

/* What is done to a start at one of its steps (sched/job.h), or when it runs. */
struct trial_steps {
    uint32_t fails_at; /* WEIR_JOB_STEP_CNT: none */
    uint32_t cancels_at; /* the same */
    uint32_t stage;
    int64_t cancel_ns;
    bool has_failed;
    bool is_canceled;
};

/* One process: a job of its own. */
struct trial_process {
    struct sim_sizes sizes;
    struct weir_env *env;
    struct weir_plan *plan;
    struct weir_job_world world;
    struct weir_job *job;
};

struct trial {
    const struct sim_trial_conf *conf;
    struct sim_result *result;
    struct sim_draw draw;
    struct weir_rng rng; /* of what goes wrong, and of the sizes of starts */
    struct weir_sim *sim;
    struct weir_topo *topo;
    struct sim_gate gate;
    int64_t now_ns;
    uint32_t fault_cnt_wanted;
    enum sim_theme theme;
    bool is_calm; /* all was seen: nothing goes wrong any more */
    uint64_t seen_trouble_cnt;
    int64_t next_fault_ns;
    struct weir_sim_trouble then; /* what follows the newest trouble with a sync */
    struct weir_sim_trouble behind; /* and what that */
    char sink[SIM_PATH_BYTES_MAX]; /* where it was, of a theme that strikes one */
    struct trial_saves saves;
    struct trial_moves moves;
    bool is_saving; /* the process of this moment makes a savepoint */
    /* Of checkpoints: a start from a savepoint wants a new one. */
    uint32_t dir_cnt;
    char dir[SIM_PATH_BYTES_MAX];
    char data_dir[SIM_PATH_BYTES_MAX];
    char manifest_dir[SIM_PATH_BYTES_MAX];
    /* of all starts */
    uint64_t id_max; /* of the checkpoints that were complete */
    uint64_t epoch_max;
    /* of this start */
    struct weir_job *job;
    uint32_t life; /* of the world */
    uint64_t poll_cnt;
    bool is_dead;
    bool is_power; /* it dies of a power cut */
    bool has_polled; /* something was polled */
    bool has_restored; /* it was looked at what it restored */
    uint64_t completed_cnt; /* checkpoints of it that were counted */
    uint64_t look_cnt;
    int64_t start_ns;
    int64_t marker_ns; /* between latency markers; 0: there are none */
    int64_t watermark[SIM_OPERATOR_CNT_MAX]; /* of its operators, when they were looked at */
    uint64_t trouble_cnt_before;
    struct trial_touch touch;
    struct trial_steps steps;
};

void trial_fail(struct trial *trial, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* trial_note - on stderr, where the trial is loud. */
void
trial_note(const struct trial *trial, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void trial_set(struct trial *trial, uint32_t feature);

/* trial_start - one process, from its start to its end, whatever that is.
 *
 * Returns: 0: the job has come to its end; 1: it has not, as it may; negative: the trial has
 *          failed, and why stands in the result.
 */
int trial_start(struct trial *trial);
/* trial_touch - before a start, perhaps. trial_untouch - behind it, with what it returned: whether
 * it should have noticed. Returns step, or negative. */
void trial_touch(struct trial *trial);
int trial_untouch(struct trial *trial, int step);

/* trial_judge - why a process has ended: err, and its text. Returns: as trial_start. */
int trial_judge(struct trial *trial, int err, const char *text);
/* trial_process_open - a job that starts from what restore says; trial_process_close - also where
 * open has failed. restore is borrowed until then. */
WEIR_MUST_USE int trial_process_open(struct trial *trial,
    const struct weir_job_restore_options *restore, struct trial_process *process);
void trial_process_close(struct trial_process *process);
/* trial_process_begin - another one begins, or is gone; what it has still to write has no
 * effect. */
void trial_process_begin(struct trial *trial);
void trial_process_gone(struct trial *trial);

/* trial_save_draw - which savepoints there will be. trial_save_plan - when in the start that
 * begins. trial_save_look - ask for them, and see what has become of it. */
void trial_save_draw(struct trial *trial);
void trial_save_plan(struct trial *trial);
void trial_save_look(struct trial *trial, const struct weir_job_checkpoint_view *view);
/* trial_save_restore - what the next start begins with. */
struct weir_job_restore_options trial_save_restore(struct trial *trial);
/* trial_save_end - after a start that has ended with step: what was asked for is made into a
 * savepoint. Returns step, or 1 where the job is to be started again, or negative. */
int trial_save_end(struct trial *trial, int step);
/* trial_move_plan - when key groups are to move in the start that begins; false: never.
 * trial_move_look - ask for it, and see what has become of it. */
bool trial_move_plan(struct trial *trial);
void trial_move_look(struct trial *trial, const struct weir_job_checkpoint_view *view);
/* trial_ask - for something of a kind to go wrong. */
void trial_ask(struct trial *trial, enum sim_fault_kind kind);

/* trial_step_plan - what is done to a job that starts with so many stages. trial_step - one is
 * done: a weir_job_step_fn. trial_step_look - cancel the job, if it is time. trial_step_check -
 * behind the end of the process, with what it returned and err, the job's: whether it was to end
 * so. Returns step, or negative. */
void trial_step_plan(struct trial *trial, uint32_t stage_cnt);
int trial_step(void *arg, enum weir_job_step step, uint32_t stage);
void trial_step_look(struct trial *trial);
int trial_step_check(struct trial *trial, int err, int step);

/* trial_plan_fault - when the next thing goes wrong, from now on. */
void trial_plan_fault(struct trial *trial);
/* trial_fault - something goes wrong; returns false where the process is dead of it. */
bool trial_fault(struct trial *trial);
/* trial_die - the process is dead: killed, or of a power cut. */
void trial_die(struct trial *trial, enum sim_fault_kind kind);
/* trial_look - count checkpoints and troubles, check what holds between them; open the gate once
 * all was seen. Returns false where an invariant does not hold. */
bool trial_look(struct trial *trial);
/* trial_look_at_markers - behind a start; has_ended: all its tasks have come to their ends.
 * Returns the same. */
bool trial_look_at_markers(struct trial *trial, bool has_ended);
/* trial_look_id_max - of the checkpoints that have a manifest, whatever is in it; 0: none. */
uint64_t trial_look_id_max(const struct trial *trial);
/* trial_look_at_disk - behind the end of a start; has_ended: of the job itself. Returns the
 * same. */
bool trial_look_at_disk(struct trial *trial, bool has_ended);

#endif
