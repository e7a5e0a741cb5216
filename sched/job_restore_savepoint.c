/* SPDX-License-Identifier: Apache-2.0 */
/* A savepoint into the tasks that there are now: read once, each row goes to the stage that owns
 * its key group. */
#include <inttypes.h>
#include <stdlib.h>

#include "dataplane/savepoint.h"
#include "sched/graph_node.h"
#include "sched/job_part.h"
#include "sched/job_restore_priv.h"

struct taker {
    struct weir_job_restore *restore;
    struct weir_savepoint_load **loads; /* [stage] */
    struct weir_operator **ops; /* [node of the graph] of any subtask; then [node] of a stage */
    uint32_t *max; /* [node] */
};

/* One of each operator of the job. */
static uint32_t
list_operators(struct taker *taker)
{
    const struct weir_job *job = taker->restore->job;
    uint32_t cnt = 0;
    for (uint32_t n = 0; n < job->env->node_cnt; n++) {
        struct weir_operator *op = NULL;
        for (uint32_t s = 0; s < job->plan->stage_cnt && op == NULL; s++) {
            const struct job_stage *stage = &job->stage[s];
            for (uint32_t i = 0; i < stage->operator_cnt && op == NULL; i++) {
                op = stage->operators[i] == n ? weir_task_operator(stage->task, i) : NULL;
            }
        }
        if (op != NULL) {
            taker->ops[cnt] = op;
            taker->max[cnt++] = job->max_parallelism;
        }
    }
    return cnt;
}

/* The catalogue is known. */
static int
begin(void *arg, const struct weir_savepoint *savepoint)
{
    struct taker *taker = arg;
    const struct weir_job *job = taker->restore->job;
    struct weir_savepoint_ops ops = {
        taker->ops, taker->max, list_operators(taker), taker->restore->conf->how.drops_unknown};
    uint32_t dropped;
    int err = weir_savepoint_check(savepoint, &ops, &dropped);
    if (err == WEIR_ESTATE) { /* the job is at fault, not what happens in it */
        return weir_err_push(WEIR_ECONFIG, "savepoint %" PRIu64 " does not fit job %s",
            taker->restore->manifest->checkpoint, job->env->job_name);
    }
    for (uint32_t s = 0; s < job->plan->stage_cnt && err == 0; s++) {
        struct job_stage *stage = &job->stage[s];
        ops.ops = taker->ops + job->env->node_cnt;
        ops.op_cnt = stage->operator_cnt;
        for (uint32_t i = 0; i < stage->operator_cnt; i++) {
            taker->ops[job->env->node_cnt + i] = weir_task_operator(stage->task, i);
        }
        err = stage->has_arena
                  ? weir_savepoint_load_open(savepoint, &stage->arena, &ops, &taker->loads[s])
                  : 0;
    }
    return err;
}

static int
row_take(void *arg, const struct weir_savepoint_row *row)
{
    struct taker *taker = arg;
    int err = 0;
    for (uint32_t s = 0; s < taker->restore->job->plan->stage_cnt && err == 0; s++) {
        err = taker->loads[s] != NULL ? weir_savepoint_load_row(taker->loads[s], row) : 0;
    }
    return err;
}

/* Bytes as they come. */
struct counted {
    struct weir_job_restore *restore;
    struct weir_savepoint_reader *reader;
    int err; /* of what was made of them */
};

static int
take(void *arg, const void *payload, uint64_t bytes, uint64_t off)
{
    struct counted *counted = arg;
    counted->restore->progress.bytes_done += bytes;
    weir_job_restore_tell(counted->restore, false);
    counted->err = weir_savepoint_take(counted->reader, payload, bytes, off);
    return counted->err;
}

static int
read_files(struct weir_job_restore *restore, struct weir_savepoint_reader *reader)
{
    const struct weir_manifest *manifest = restore->manifest;
    struct counted counted = {restore, reader, 0};
    int err = 0;
    for (uint32_t i = 0; i < manifest->file_cnt; i++) {
        restore->progress.bytes_all += manifest->files[i].file_bytes;
    }
    for (uint32_t i = 0; i < manifest->file_cnt && err == 0; i++) {
        const struct weir_snapshot_ask ask = {
            .dir = restore->data_dir, .file = &manifest->files[i], .sink = take, .arg = &counted};
        err = weir_job_restore_read(restore, &ask);
        if (err != 0) {
            bool is_ours = err == counted.err && err != WEIR_EDATA && err != WEIR_EFORMAT;
            return is_ours ? err : weir_job_restore_blame(restore, err);
        }
    }
    err = err != 0 ? err : weir_savepoint_reader_end(reader);
    return err == WEIR_EDATA ? weir_job_restore_blame(restore, err) : err;
}

int
weir_job_restore_savepoint(struct weir_job_restore *restore)
{
    struct weir_job *job = restore->job;
    const struct weir_snapshot_config blocks = {.io = restore->io, .unregistered = true};
    struct taker taker = {.restore = restore};
    const struct weir_savepoint_events events = {begin, row_take, &taker};
    struct weir_savepoint_reader *reader = NULL;
    taker.loads = calloc(job->plan->stage_cnt + UINT64_C(1), sizeof *taker.loads);
    taker.ops = calloc(2 * (job->env->node_cnt + UINT64_C(1)), sizeof *taker.ops);
    taker.max = calloc(2 * (job->env->node_cnt + UINT64_C(1)), sizeof *taker.max);
    int err = taker.loads == NULL || taker.ops == NULL || taker.max == NULL
                  ? weir_err_push(WEIR_ENOMEM, "a restore")
                  : weir_snapshot_reader_open(&blocks, &restore->reader);
    restore->begin_ns = weir_io_clock_ns(restore->io);
    restore->told_ns = restore->begin_ns;
    restore->progress.checkpoint = restore->manifest->checkpoint;
    for (uint32_t i = 0; taker.max != NULL && i < 2 * job->env->node_cnt; i++) {
        taker.max[i] = job->max_parallelism;
    }
    err = err != 0 ? err : weir_savepoint_reader_open(&events, &reader);
    err = err != 0 ? err : read_files(restore, reader);
    err = err != 0 ? err
                   : weir_savepoint_parts(weir_savepoint_reader_catalogue(reader), NULL,
                         &restore->parts, &restore->parts_cnt);
    for (uint32_t s = 0; taker.loads != NULL && s < job->plan->stage_cnt; s++) {
        err = err != 0 || taker.loads[s] == NULL ? err : weir_savepoint_load_end(taker.loads[s]);
    }
    for (uint32_t s = 0; taker.loads != NULL && s < job->plan->stage_cnt; s++) {
        weir_savepoint_load_close(taker.loads[s]);
    }
    weir_savepoint_reader_close(reader);
    weir_snapshot_reader_close(restore->reader);
    restore->reader = NULL;
    free(taker.loads);
    free(taker.ops);
    free(taker.max);
    if (err == 0) {
        weir_job_restore_tell(restore, true);
        job->restored = (struct weir_job_restored){.checkpoint = restore->manifest->checkpoint,
            .epoch = restore->manifest->epoch,
            .file_cnt = restore->manifest->file_cnt,
            .bytes = restore->progress.bytes_all,
            .elapsed_ns = weir_io_clock_ns(restore->io) - restore->begin_ns};
    }
    return err;
}
