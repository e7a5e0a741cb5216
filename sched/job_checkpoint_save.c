/* SPDX-License-Identifier: Apache-2.0 */
/* Savepoints: of a job that goes on, a checkpoint beside the timeline, of which another process
 * makes one; of a job that does not run, in place of its run. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/atomic.h"
#include "base/log.h"
#include "io/io.h"
#include "sched/graph_node.h"
#include "sched/job_checkpoint_priv.h"

#define NAMES_BYTES 4096

/* ---- the storage core ---- */

/* What became of the savepoint that was asked for; id 0: nothing, for a reason. */
static void
tell_savepoint(struct weir_job_checkpoint *cp, uint64_t id, enum weir_checkpoint_reason reason)
{
    (void)pthread_mutex_lock(&cp->look_mutex);
    cp->view.savepoint = (struct weir_job_savepoint_view){.ticket = cp->savepoint_ticket,
        .id = id,
        .epoch = weir_store_epoch(cp->store),
        .dir = cp->options.dir,
        .why = reason == WEIR_CHECKPOINT_SUSPENDED || reason == WEIR_CHECKPOINT_SHUTDOWN
                   ? "the job comes to its end"
                   : weir_checkpoint_reason_text(reason)};
    (void)pthread_mutex_unlock(&cp->look_mutex);
    cp->kept_id = id != 0 ? id : cp->kept_id;
    if (id == 0) {
        weir_store_rlx(&cp->job->held_id, 0); /* relaxed: see held_of() of job_spill.c */
    }
    cp->savepoint_ticket = 0;
    cp->savepoint_asked = false;
}

/* The tasks' files stay with the manifest that names them; increments go on resting on the last
 * checkpoint of the timeline. */
bool
weir_job_checkpoint_saved(struct weir_job_checkpoint *cp, const struct weir_coordinator_out *out)
{
    if (out->reason == WEIR_CHECKPOINT_NOT_RUNNING && !cp->is_suspended) {
        cp->savepoint_asked = false;
        return true;
    }
    struct cp_flight *flight = out->id != 0 ? weir_job_checkpoint_flight(cp, out->id) : NULL;
    for (uint32_t s = 0; flight != NULL && s < cp->stage_cnt; s++) {
        struct cp_slot *slot = weir_job_checkpoint_slot_of(&cp->stage[s], out->id);
        if (slot != NULL) {
            weir_job_checkpoint_slot_free(slot);
        }
    }
    if (flight != NULL) {
        flight->id = 0;
    }
    tell_savepoint(cp, out->reason == WEIR_CHECKPOINT_NONE ? out->id : 0, out->reason);
    return false;
}

void
weir_job_checkpoint_save_refuse(struct weir_job_checkpoint *cp)
{
    if (cp->savepoint_ticket != 0 && !cp->savepoint_asked) {
        tell_savepoint(cp, 0, WEIR_CHECKPOINT_SUSPENDED);
    }
}

/* ---- outputs of a job that starts from one ---- */

/* A hidden directory of a sink (file_sink.h), .pending-JOB-E.A-by-..., of a later epoch. */
static bool
is_hidden_since(const char *name, uint64_t epoch)
{
    uint64_t its;
    const char *by = NULL;
    for (const char *at = name; (at = strstr(at, "-by-")) != NULL; at++) {
        by = at;
    }
    if (by == NULL || strncmp(name, ".pending-", 9) != 0) {
        return false;
    }
    while (by > name && by[-1] != '-') {
        by--;
    }
    return sscanf(by, "%" SCNu64 ".", &its) == 1 && its > epoch;
}

/* Whether there is nothing of this name, or a directory with nothing in it, but for what a start
 * has left that began with the savepoint of this epoch too, and has committed nothing. */
static bool
is_nothing(struct weir_io *io, const char *path, uint64_t epoch)
{
    char names[NAMES_BYTES];
    struct weir_io_stat stat;
    struct weir_io_op op;
    weir_io_op_stat(&op, WEIR_IO_CWD, path, &stat);
    if (weir_io_perform(io, &op) < 0) {
        return op.errnum == ENOENT;
    }
    if (stat.type != WEIR_IO_DIR) {
        return false;
    }
    weir_io_op_open(&op, WEIR_IO_CWD, path, WEIR_IO_O_READ | WEIR_IO_O_DIRECTORY);
    if (weir_io_perform(io, &op) < 0) {
        return false;
    }
    int32_t dir = (int32_t)op.result;
    bool is_empty = true;
    int64_t bytes = 1;
    while (is_empty && bytes > 0) {
        uint64_t pos = 0;
        enum weir_io_type type;
        const char *name;
        weir_io_op_list(&op, dir, names, sizeof names);
        bytes = weir_io_perform(io, &op);
        while (is_empty && bytes > 0 &&
               (name = weir_io_list_next(names, (uint64_t)bytes, &pos, &type)) != NULL) {
            is_empty = is_hidden_since(name, epoch);
        }
    }
    is_empty = is_empty && bytes == 0;
    weir_io_op_close(&op, dir);
    (void)weir_io_perform(io, &op); /* it was only read */
    return is_empty;
}

bool
weir_job_checkpoint_is_new_output(
    struct weir_job_checkpoint *cp, const struct weir_file_sink_conf *sink)
{
    char parts[WEIR_FILE_SINK_PATH_BYTES_MAX + 8];
    const struct weir_manifest *restored = weir_job_restore_manifest(cp->restore);
    bool is_savepoint = restored != NULL && restored->kind == WEIR_MANIFEST_KIND_SAVEPOINT;
    (void)snprintf(parts, sizeof parts, "%s.parts", sink->path);
    if (!is_savepoint || !is_nothing(cp->io, sink->path, restored->epoch) ||
        !is_nothing(cp->io, parts, restored->epoch)) {
        return false;
    }
    weir_log(WEIR_LOG_WARNING, 0,
        "output %.200s is new: it gets what follows savepoint %" PRIu64
        "; what was written before is in the output of the job that was saved",
        sink->path, restored->checkpoint);
    return true;
}

/* ---- from outside ---- */

bool
weir_job_savepoint(struct weir_job *job, uint64_t ticket)
{
    struct weir_job_checkpoint *cp = job->checkpoint;
    const struct weir_letter letter = {.kind = CP_LETTER_SAVEPOINT, .args = {ticket}};
    bool is_put = weir_mbox_put(cp->mbox, &letter) == 1;
    weir_doorbell_ring_shared(cp->doorbell, 0);
    return is_put;
}

bool
weir_job_savepoint_release(struct weir_job *job, uint64_t id)
{
    struct weir_job_checkpoint *cp = job->checkpoint;
    const struct weir_letter letter = {.kind = CP_LETTER_RELEASE, .args = {id}};
    bool is_put = weir_mbox_put(cp->mbox, &letter) == 1;
    weir_doorbell_ring_shared(cp->doorbell, 0);
    return is_put;
}

int
weir_job_save(struct weir_job *job, const struct weir_job_save_options *options,
    struct weir_savepoint_made *ret_made)
{
    struct weir_job_checkpoint *cp = job->checkpoint;
    if (cp == NULL) {
        return weir_err_push(WEIR_ECONFIG,
            "job %s takes no checkpoints: say where they are by --set checkpoints.dir=DIR",
            job->env->job_name);
    }
    if (job->options.world == NULL) {
        weir_job_pin_keeper(job);
    }
    int rc = weir_io_start(cp->io);
    rc = rc != 0 ? rc : weir_job_checkpoint_start_store(cp);
    rc = rc != 0 ? rc : weir_job_restore_save(cp->restore, options, ret_made);
    weir_job_checkpoint_end(cp);
    return rc;
}
