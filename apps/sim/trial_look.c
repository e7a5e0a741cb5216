/* SPDX-License-Identifier: Apache-2.0 */
/* trial_look.c: what holds whatever goes wrong, by its name in the list of invariants: C
 * checkpoints, O sources, S sinks, T time. What jobs themselves can see of it is in build.c and
 * source.c. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "apps/sim/trial_priv.h"
#include "base/err.h"
#include "dataplane/manifest.h"
#include "io/sim.h"
#include "sched/job.h"

/* Counts are shown every few thousand polls (poller.c): so often they are looked at. */
#define WATERMARK_LOOK_CNT 128
/* In so many intervals of markers one comes through. */
#define MARKER_DUE_CNT 4

static bool
check_restored(struct trial *trial, const struct weir_job_checkpoint_view *view)
{
    if (trial->has_restored) {
        return true;
    }
    trial->has_restored = true;
    uint64_t id = view->restored.checkpoint;
    trial->result->restore_cnt += id != 0;
    trial->gate.restored.checkpoint = id;
    if (view->restored.flight_rows > 0) {
        trial_set(trial, SIM_FEATURE_REGAINED);
    }
    if (id < trial->id_max) {
        trial_fail(trial,
            "invariant C4: checkpoint %" PRIu64 " is restored, and %" PRIu64 " was complete", id,
            trial->id_max);
        return false;
    }
    if (view->epoch <= trial->epoch_max) {
        trial_fail(
            trial, "invariant C5: epoch %" PRIu64 " after %" PRIu64, view->epoch, trial->epoch_max);
        return false;
    }
    trial->epoch_max = view->epoch;
    trial_note(trial, "  restored %" PRIu64, id);
    return true;
}

/* A split goes on where it stood. One of which nothing was saved had ended with all of its source,
 * and nobody has it. */
static bool
check_positions(struct trial *trial)
{
    struct sim_positions *restored = &trial->gate.restored;
    const struct sim_positions *saved =
        &trial->gate.saved[restored->checkpoint % SIM_POSITIONS_CNT];
    for (uint32_t i = 0; i < SIM_SOURCE_CNT_MAX * SIM_SPLIT_CNT_MAX; i++) {
        uint32_t source = i / SIM_SPLIT_CNT_MAX;
        uint32_t split = i % SIM_SPLIT_CNT_MAX;
        uint64_t at = restored->at[source][split];
        if (at != 0 &&
            (saved->checkpoint != restored->checkpoint || saved->at[source][split] != at)) {
            trial_fail(trial,
                "invariant O1: split %" PRIu32 " of source %" PRIu32 " goes on at %" PRIu64
                ", and checkpoint %" PRIu64 " has it at %" PRIu64,
                split, source, at - 1, restored->checkpoint, saved->at[source][split] - 1);
            return false;
        }
        restored->at[source][split] = 0; /* it was looked at */
    }
    return true;
}

/* In one start no operator's watermark goes back. */
static bool
check_watermarks(struct trial *trial)
{
    uint32_t cnt = weir_job_operator_cnt(trial->job);
    for (uint32_t i = 0; i < cnt && i < SIM_OPERATOR_CNT_MAX; i++) {
        struct weir_job_operator_sum sum;
        weir_job_operator(trial->job, i, &sum);
        if (sum.watermark < trial->watermark[i]) {
            trial_fail(trial,
                "invariant T1: the watermark of %s goes back from %" PRId64 " to %" PRId64,
                sum.name, trial->watermark[i], sum.watermark);
            return false;
        }
        trial->watermark[i] = sum.watermark;
    }
    return true;
}

static bool
check_completed(struct trial *trial, const struct weir_job_checkpoint_view *view)
{
    if (view->completed_cnt <= trial->completed_cnt) {
        return true;
    }
    trial->result->checkpoint_cnt += (uint32_t)(view->completed_cnt - trial->completed_cnt);
    trial->completed_cnt = view->completed_cnt;
    if (view->last.id <= trial->id_max) {
        trial_fail(trial, "invariant C1: checkpoint %" PRIu64 " after %" PRIu64, view->last.id,
            trial->id_max);
        return false;
    }
    trial->id_max = view->last.id;
    return true;
}

static bool
check_barriers(struct trial *trial)
{
    if (trial->gate.late_id != 0) {
        trial_fail(trial, "invariant B1: barrier %" PRIu64 " after %" PRIu64, trial->gate.late_id,
            trial->gate.late_for_id);
    }
    if (trial->gate.astray_id != 0) {
        trial_fail(trial,
            "invariant O3: checkpoint %" PRIu64 " cuts a source elsewhere than that has begun it",
            trial->gate.astray_id);
    }
    return trial->gate.late_id == 0 && trial->gate.astray_id == 0;
}

bool
trial_look(struct trial *trial)
{
    struct sim_result *result = trial->result;
    struct weir_job_checkpoint_view view;
    weir_job_checkpoints(trial->job, &view);
    if (view.epoch != 0 && (!check_restored(trial, &view) || !check_positions(trial))) {
        return false;
    }
    trial->look_cnt++;
    trial_save_look(trial, &view);
    trial_move_look(trial, &view);
    if (!check_barriers(trial) || !check_completed(trial, &view) ||
        (trial->look_cnt % WATERMARK_LOOK_CNT == 0 && !check_watermarks(trial))) {
        return false;
    }
    uint64_t trouble_cnt = weir_sim_trouble_cnt(trial->sim);
    result->fault_cnt += (uint32_t)(trouble_cnt - trial->seen_trouble_cnt);
    trial->seen_trouble_cnt = trouble_cnt;
    if (!trial->is_calm && result->fault_cnt >= trial->fault_cnt_wanted &&
        result->checkpoint_cnt >= SIM_CHECKPOINT_CNT_MIN &&
        result->restore_cnt >= SIM_RESTORE_CNT_MIN) {
        trial->is_calm = true;
        trial->gate.is_open = true;
        weir_sim_trouble_clear(trial->sim);
        trial_note(trial, "  at %.3f ms: calm", (double)trial->now_ns / 1e6);
    }
    return true;
}

/* None is older than the world, and where there was time for some, some have come somewhere. */
bool
trial_look_at_markers(struct trial *trial, bool has_ended)
{
    uint32_t cnt = weir_job_operator_cnt(trial->job);
    uint64_t seen_cnt = 0;
    uint64_t oldest_ns = 0;
    for (uint32_t i = 0; i < cnt && trial->marker_ns != 0; i++) {
        for (uint32_t k = 0; k < cnt; k++) {
            struct weir_job_operator_sum source;
            struct weir_hist ages;
            weir_job_operator(trial->job, i, &source);
            if (source.is_source) {
                weir_job_marker_latency(trial->job, i, k, &ages);
                seen_cnt += ages.cnt;
                oldest_ns = weir_max_u64(oldest_ns, ages.ns_max);
            }
        }
    }
    bool is_due = has_ended && trial->marker_ns != 0 &&
                  trial->gate.polled_ns - trial->start_ns > MARKER_DUE_CNT * trial->marker_ns;
    if (oldest_ns > (uint64_t)trial->now_ns || (is_due && seen_cnt == 0)) {
        trial_fail(trial,
            "invariant M1: of latency markers that come every %" PRId64 " ns %" PRIu64
            " were seen from %" PRId64 " ns to %" PRId64 ", up to %" PRIu64 " ns old",
            trial->marker_ns, seen_cnt, trial->start_ns, trial->gate.polled_ns, oldest_ns);
        return false;
    }
    return true;
}

/* ---- on the disk ---- */

/* Of the directory that the job has now. */
static bool
is_manifest(const struct trial *trial, const char *path, uint64_t *ret_id)
{
    uint64_t epoch;
    int end = 0;
    size_t bytes = strlen(trial->manifest_dir);
    if (path == NULL || strncmp(path, trial->manifest_dir, bytes) != 0) {
        return false;
    }
    path += bytes;
    return sscanf(path, "/M-%" SCNu64 "-%" SCNu64 "%n", ret_id, &epoch, &end) == 2 &&
           path[end] == '\0';
}

uint64_t
trial_look_id_max(const struct trial *trial)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < weir_sim_path_end(trial->sim); i++) {
        uint64_t id = 0;
        bool is_one = is_manifest(trial, weir_sim_path_at(trial->sim, i), &id);
        most = is_one ? weir_max_u64(most, id) : most;
    }
    return most;
}

/* A manifest that can be read names files that are there, whole: who drops a checkpoint drops its
 * manifest first, durably. */
static bool
check_files(struct trial *trial, const char *path)
{
    uint64_t bytes = 0;
    const void *data = weir_sim_get(trial->sim, path, &bytes);
    struct weir_manifest manifest;
    const char *wrong;
    uint64_t off;
    if (data == NULL || weir_manifest_decode(data, bytes, &manifest, &wrong, &off) != 0) {
        weir_err_clear();
        return true; /* writes of it were lost */
    }
    bool is_whole = true;
    for (uint32_t i = 0; i < manifest.file_cnt && is_whole; i++) {
        char file[SIM_PATH_BYTES_MAX + WEIR_SNAPSHOT_NAME_BYTES + 2];
        (void)snprintf(file, sizeof file, "%s/%s", trial->data_dir, manifest.files[i].name);
        is_whole =
            weir_sim_get(trial->sim, file, &bytes) != NULL && bytes >= manifest.files[i].file_bytes;
        if (!is_whole) {
            trial_fail(trial, "invariant C2: %s names %s, which is not there, or not whole", path,
                manifest.files[i].name);
        }
    }
    weir_manifest_fini(&manifest);
    return is_whole;
}

/* Of each checkpoint there is one manifest: nobody takes an id that another epoch had. */
static bool
check_manifests(struct trial *trial)
{
    uint32_t end = weir_sim_path_end(trial->sim);
    for (uint32_t i = 0; i < end; i++) {
        uint64_t id = 0;
        uint64_t other = 0;
        if (!is_manifest(trial, weir_sim_path_at(trial->sim, i), &id)) {
            continue;
        }
        if (!check_files(trial, weir_sim_path_at(trial->sim, i))) {
            return false;
        }
        for (uint32_t k = 0; k < i; k++) {
            if (is_manifest(trial, weir_sim_path_at(trial->sim, k), &other) && other == id) {
                trial_fail(trial,
                    "invariant C3: checkpoint %" PRIu64 " has two manifests, %s and %s", id,
                    weir_sim_path_at(trial->sim, k), weir_sim_path_at(trial->sim, i));
                return false;
            }
        }
    }
    return true;
}

/* Behind the end nothing is left that is neither committed nor aborted, unless something went
 * wrong in the start that should have removed it. */
static bool
check_transactions(struct trial *trial)
{
    bool is_due = weir_sim_trouble_cnt(trial->sim) == trial->trouble_cnt_before;
    for (uint32_t i = 0; i < weir_sim_path_end(trial->sim) && is_due; i++) {
        const char *path = weir_sim_path_at(trial->sim, i);
        if (path != NULL && strstr(path, "/.pending-") != NULL) {
            trial_fail(trial, "invariant S2: %s is left, and the job has ended", path);
            return false;
        }
    }
    return true;
}

bool
trial_look_at_disk(struct trial *trial, bool has_ended)
{
    return check_manifests(trial) && (!has_ended || check_transactions(trial));
}
