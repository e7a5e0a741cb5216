/* SPDX-License-Identifier: Apache-2.0 */
/* Where the state of a stage's operators goes that does not fit into its pages. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "dataplane/operators/process.h"
#include "dataplane/kindset_spill.h"
#include "sched/graph_node.h"
#include "sched/job_part.h"

/* Behind the job's name: the stores of its operators, and their parts of checkpoints. */
#define STATE_DIR ".state"
#define NOTE_BYTES 256

/* A stage whose core is to be woken. */
struct spill_stage {
    struct weir_spill_conf conf;
    struct weir_job *job;
    uint32_t stage;
};

static void
wake_stage(void *arg)
{
    const struct spill_stage *stage = arg;
    weir_job_wake_stage(stage->job, stage->stage);
}

/* Operators that keep state in memory only are named: it is not what was asked for. */
static void
note_others(struct weir_job *job)
{
    for (uint32_t i = 0; i < job->env->node_cnt; i++) {
        const struct weir_graph_node *node = &job->env->node[i];
        bool is_process = node->type->open == weir_process_type.open; /* or made of one */
        if (!node->keeps_state || is_process || job->fallback_cnt == JOB_FALLBACK_CNT_MAX) {
            continue;
        }
        char *text = weir_env_alloc(job->env, NOTE_BYTES);
        snprintf(text, NOTE_BYTES,
            "state of operator %s: on disk wanted, in memory got, because only process functions "
            "can keep it there (state.backend)",
            node->name);
        job->fallback[job->fallback_cnt++] = text;
    }
}

static uint64_t
held_of(void *arg)
{
    const struct spill_stage *stage = arg;
    /* relaxed: a number that says all there is; the barrier of that checkpoint comes behind it. */
    return weir_load_rlx(&stage->job->held_id);
}

/* Checkpoints name their share of it, for who may have another working directory. */
static char *
make_dir(const struct weir_job *job)
{
    const char *dir = job->options.state_dir;
    char cwd[PATH_MAX] = "";
    bool is_absolute = dir[0] == '/' || getcwd(cwd, sizeof cwd) == NULL;
    size_t bytes = strlen(cwd) + strlen(dir) + strlen(job->env->job_name) + sizeof STATE_DIR + 2;
    char *path = weir_env_alloc(job->env, bytes);
    snprintf(path, bytes, "%s%s%s/%s" STATE_DIR, is_absolute ? "" : cwd, is_absolute ? "" : "/",
        dir, job->env->job_name);
    return path;
}

const struct weir_spill_conf *
weir_job_spill(struct weir_job *job, uint32_t stage)
{
    const struct weir_job_options *options = &job->options;
    if (options->state_dir == NULL) {
        return NULL;
    }
    struct spill_stage *made = weir_env_alloc(job->env, sizeof *made);
    if (job->state_dir == NULL) {
        job->state_dir = make_dir(job);
    }
    if (stage == 0) {
        note_others(job);
    }
    struct weir_clock os;
    weir_clock_init_os(&os);
    made->conf.tag = (uint64_t)weir_clock_utc_ns(&os);
    made->job = job;
    made->stage = stage;
    made->conf.dir = job->state_dir;
    made->conf.kept_cnt =
        options->checkpoints.retained + options->checkpoints.coordinator.concurrent_max;
    made->conf.is_inline = options->poller == WEIR_JOB_SEEDED;
    made->conf.wake = wake_stage;
    made->conf.wake_arg = made;
    made->conf.held = held_of;
    made->conf.held_arg = made;
    return &made->conf;
}

void
weir_job_spill_tidy(struct weir_job *job, bool is_begin)
{
    job->has_state_dir = job->has_state_dir || is_begin;
    if (job->state_dir != NULL && job->has_state_dir &&
        weir_kv_remove_all(job->state_dir, WEIR_SPILL_RUN) < 0) {
        weir_err_clear(); /* it costs room, and nothing else */
    }
}
