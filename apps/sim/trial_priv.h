/* SPDX-License-Identifier: Apache-2.0 */
/* trial_priv.h: a trial under way, shared by trial.c (the world), trial_start.c (one process in
 * it), trial_look.c (what holds) and trial_touch.c (somebody at the outputs). */
#ifndef WEIR_APPS_SIM_TRIAL_PRIV_H
#define WEIR_APPS_SIM_TRIAL_PRIV_H

#include "apps/sim/build.h"
#include "apps/sim/trial.h"

struct weir_job;
struct weir_sim;
struct weir_topo;

#define SIM_CHECKPOINT_DIR "/checkpoints"
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
    bool is_calm; /* all was seen: nothing goes wrong any more */
    uint64_t seen_trouble_cnt;
    int64_t next_fault_ns;
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
    int64_t watermark[SIM_OPERATOR_CNT_MAX]; /* of its operators, when they were looked at */
    uint64_t trouble_cnt_before;
    struct trial_touch touch;
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
/* trial_plan_fault - when the next thing goes wrong, from now on. */
void trial_plan_fault(struct trial *trial);
/* trial_fault - something goes wrong; returns false where the process is dead of it. */
bool trial_fault(struct trial *trial);
/* trial_look - count checkpoints and troubles, check what holds between them; open the gate once
 * all was seen. Returns false where an invariant does not hold. */
bool trial_look(struct trial *trial);
/* trial_look_at_disk - behind the end of a start; has_ended: of the job itself. Returns the
 * same. */
bool trial_look_at_disk(struct trial *trial, bool has_ended);

#endif
