/* SPDX-License-Identifier: Apache-2.0 */
/* What a checkpoint consists of, as its manifest says it, and when that is stored. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mutant.h"
#include "dataplane/manifest.h"
#include "dataplane/state.h"
#include "sched/graph_node.h"
#include "sched/job_checkpoint_priv.h"

#define COUNTER_NAME_BYTES 192
#define FIGURE_CNT 2

/* A manifest, and the memory of its lists. */
struct lists {
    struct weir_snapshot_ack *file;
    struct weir_manifest_operator *operator;
    struct weir_manifest_part *source;
    struct weir_manifest_part *transaction;
    struct weir_manifest_counter *counter;
    char (*counter_name)[COUNTER_NAME_BYTES];
    uint32_t *state_id;
    struct weir_manifest manifest;
};

static void
lists_free(struct lists *lists)
{
    free(lists->file);
    free(lists->operator);
    free(lists->source);
    free(lists->transaction);
    free(lists->counter);
    free(lists->counter_name);
    free(lists->state_id);
}

static uint32_t
state_cnt_of(const struct weir_graph_node *node)
{
    const struct weir_state_owner owner = {node->name, node->type, node->conf};
    uint32_t cnt = 0;
    while (weir_state_desc_at(&owner, cnt) != NULL) {
        cnt++;
    }
    return cnt;
}

static bool
lists_new(const struct weir_job_checkpoint *cp, struct lists *lists)
{
    const struct weir_job *job = cp->job;
    size_t files = (size_t)cp->stage_cnt * (WEIR_JOB_RESTORE_CHAIN_CNT_MAX + 1);
    size_t nodes = 0;
    size_t states = 0;
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        nodes += job->plan->stages[s].operator_cnt;
    }
    for (uint32_t i = 0; i < job->env->node_cnt; i++) {
        states += state_cnt_of(&job->env->node[i]);
    }
    memset(lists, 0, sizeof *lists);
    lists->file = calloc(files + 1, sizeof *lists->file);
    lists->operator= calloc(job->env->node_cnt + 1, sizeof *lists->operator);
    lists->source = calloc(nodes + 1, sizeof *lists->source);
    lists->transaction = calloc(nodes + 1, sizeof *lists->transaction);
    lists->counter = calloc(nodes + FIGURE_CNT, sizeof *lists->counter);
    lists->counter_name = calloc(nodes + 1, sizeof *lists->counter_name);
    lists->state_id = calloc(states + 1, sizeof *lists->state_id);
    if (lists->file == NULL || lists->operator== NULL || lists->source == NULL ||
                               lists->transaction == NULL || lists->counter == NULL ||
                               lists->counter_name == NULL || lists->state_id == NULL) {
        lists_free(lists);
        return false;
    }
    return true;
}

static void
list_operators(const struct weir_job_checkpoint *cp, struct lists *lists)
{
    const struct weir_job *job = cp->job;
    uint32_t state_cnt = 0;
    for (uint32_t i = 0; i < job->env->node_cnt; i++) {
        const struct weir_graph_node *node = &job->env->node[i];
        struct weir_manifest_operator *to = &lists->operator[i];
        *to = (struct weir_manifest_operator){.uid = node->name,
            .name = node->type->name,
            .state_ids = &lists->state_id[state_cnt],
            .state_id_cnt = state_cnt_of(node),
            .parallelism_max = job->max_parallelism,
            .parallelism = node->parallelism};
        const struct weir_state_owner owner = {node->name, node->type, node->conf};
        for (uint32_t s = 0; s < to->state_id_cnt; s++) {
            lists->state_id[state_cnt++] =
                weir_state_id(node->name, weir_state_desc_at(&owner, s)->name);
        }
    }
    lists->manifest.operator_cnt = job->env->node_cnt;
}

/* The first part of an operator that is its own: a position, or what is to be committed. */
static bool
own_part(const struct cp_slot *slot, const char *uid, struct weir_part *ret_part)
{
    size_t at = 0;
    while (weir_parts_next(&slot->reader, &at, ret_part) == 1) {
        bool is_own = ret_part->uid_bytes == strlen(uid) &&
                      memcmp(ret_part->uid, uid, ret_part->uid_bytes) == 0;
        bool is_chain = ret_part->name_bytes == 5 && memcmp(ret_part->name, "chain", 5) == 0;
        bool is_gate = ret_part->name_bytes > 5 && memcmp(ret_part->name, "gate.", 5) == 0;
        if (is_own && !is_chain && !is_gate) {
            return ret_part->bytes <= WEIR_MANIFEST_BLOB_BYTES_MAX;
        }
    }
    return false;
}

static void
list_parts(const struct weir_job_checkpoint *cp, uint32_t s, const struct cp_slot *slot,
    struct lists *lists)
{
    const struct weir_plan_stage *planned = &cp->job->plan->stages[s];
    struct weir_manifest *manifest = &lists->manifest;
    struct weir_part part;
    for (uint32_t i = 0; i < planned->operator_cnt; i++) {
        const struct weir_graph_node *node = &cp->job->env->node[planned->operators[i]];
        bool is_source = node->type->input_cnt == 0;
        if ((!is_source && node->type->committed == NULL) || !own_part(slot, node->name, &part)) {
            continue;
        }
        struct weir_manifest_part *to = is_source
                                            ? &lists->source[manifest->source_cnt++]
                                            : &lists->transaction[manifest->transaction_cnt++];
        *to = (struct weir_manifest_part){.uid = node->name,
            .bytes_at = part.data,
            .bytes = part.bytes,
            .subtask = planned->subtask};
    }
}

/* Tasks that had come to their end before have no file: they need none of what they knew. */
static void
list_finished(const struct weir_job_checkpoint *cp, uint32_t s, struct lists *lists)
{
    const struct weir_plan_stage *planned = &cp->job->plan->stages[s];
    for (uint32_t i = 0; i < planned->operator_cnt; i++) {
        uint32_t at = lists->manifest.counter_cnt++;
        (void)snprintf(lists->counter_name[at], COUNTER_NAME_BYTES,
            WEIR_JOB_FINISHED_PREFIX "%u.%s", planned->subtask,
            cp->job->env->node[planned->operators[i]].name);
        lists->counter[at] =
            (struct weir_manifest_counter){.name = lists->counter_name[at], .value = 1};
    }
}

/* Of this checkpoint alone: files of those before it are not in them. */
static void
list_figures(const struct cp_flight *flight, struct lists *lists)
{
    const struct weir_manifest_counter figures[FIGURE_CNT] = {
        {WEIR_JOB_WRITTEN_COUNTER, flight->record.bytes},
        {WEIR_JOB_DIRTY_COUNTER, flight->record.dirty_bytes}};
    for (uint32_t i = 0; i < FIGURE_CNT; i++) {
        lists->counter[lists->manifest.counter_cnt++] = figures[i];
    }
}

static void
list_file(struct lists *lists, const struct weir_snapshot_ack *ack)
{
    lists->file[lists->manifest.file_cnt++] = *ack;
}

static void
list_stages(
    const struct weir_job_checkpoint *cp, const struct cp_flight *flight, struct lists *lists)
{
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        const struct cp_stage *stage = &cp->stage[s];
        const struct cp_slot *slot = weir_job_checkpoint_slot_of(stage, flight->id);
        if (flight->is_finished[s]) {
            list_finished(cp, s, lists);
            continue;
        }
        WEIR_CHECK(slot != NULL && slot->is_acked, "task %u has acknowledged checkpoint %" PRIu64,
            s, flight->id);
        for (uint32_t i = 0; slot->file.head.base_checkpoint != 0 && i < stage->chain_cnt; i++) {
            if (WEIR_MUTANT(CHAIN_LINK_MISSED) && i > 0 && i + 1 == stage->chain_cnt) {
                continue;
            }
            list_file(lists, &stage->chain[i]);
        }
        list_file(lists, weir_snapshot_ack(slot->writer));
        list_parts(cp, s, slot, lists);
    }
}

/* Hand it to the store, which copies it. */
static bool
commit(struct weir_job_checkpoint *cp, struct cp_flight *flight)
{
    struct lists lists;
    struct weir_manifest *manifest = &lists.manifest;
    if (!lists_new(cp, &lists)) {
        return false;
    }
    list_operators(cp, &lists);
    list_stages(cp, flight, &lists);
    list_figures(flight, &lists);
    manifest->kind = WEIR_MANIFEST_KIND_CHECKPOINT;
    manifest->checkpoint = flight->id;
    manifest->started_ns = flight->record.utc_ns;
    manifest->duration_ns = (uint64_t)(cp->now_ns - flight->triggered_ns);
    manifest->stall_ns = (uint64_t)flight->record.stall_ns;
    manifest->files = lists.file;
    manifest->operators = lists.operator;
    manifest->sources = lists.source;
    manifest->transactions = lists.transaction;
    manifest->counters = lists.counter;
    const struct weir_manifest *restored = weir_job_restore_manifest(cp->restore);
    if (restored != NULL) {
        manifest->parent_checkpoint = restored->checkpoint;
        manifest->parent_epoch = restored->epoch;
    }
    if (flight->is_savepoint) {
        weir_store_keep(cp->store, manifest);
    } else {
        weir_store_commit(cp->store, manifest);
    }
    lists_free(&lists);
    return true;
}

static void
store_failed(struct weir_job_checkpoint *cp, uint64_t id, int err)
{
    enum weir_coordinator_store_outcome outcome =
        err == WEIR_EFENCED                        ? WEIR_COORDINATOR_STORE_FENCED
        : err == WEIR_EOUTCOME || err == WEIR_EBUG ? WEIR_COORDINATOR_STORE_UNKNOWN
                                                   : WEIR_COORDINATOR_STORE_FAILED;
    weir_log(WEIR_LOG_WARNING, -err, "checkpoint %" PRIu64 ": %s", id, weir_store_fault(cp->store));
    (void)weir_coordinator_store_failed(cp->coordinator, id, outcome, cp->now_ns);
}

static void
committed(struct weir_job_checkpoint *cp, int rc)
{
    uint64_t id = cp->storing_id;
    cp->storing_id = 0;
    if (rc == 0) {
        (void)weir_coordinator_stored(cp->coordinator, id, cp->now_ns);
    } else {
        store_failed(cp, id, rc);
    }
    weir_job_checkpoint_drain(cp);
}

static void
start_next(struct weir_job_checkpoint *cp)
{
    if (cp->release_id != 0) {
        weir_store_release(cp->store, cp->release_id);
        cp->kept_id = cp->release_id == cp->kept_id ? 0 : cp->kept_id;
        /* relaxed: this core writes it alone, and see held_of() of job_spill.c */
        if (weir_load_rlx(&cp->job->held_id) == cp->release_id) {
            weir_store_rlx(&cp->job->held_id, 0);
        }
        cp->release_id = 0;
        cp->tidy_wanted = true;
    }
    if (cp->storing_id != 0) {
        struct cp_flight *flight = weir_job_checkpoint_flight(cp, cp->storing_id);
        WEIR_CHECK(flight != NULL, "checkpoint %" PRIu64 " is not known", cp->storing_id);
        cp->worked = true;
        if (commit(cp, flight)) {
            cp->store_job = STORE_COMMITS;
        } else {
            committed(cp, WEIR_ENOMEM);
        }
    } else if (cp->tidy_wanted && !weir_store_is_ended(cp->store)) {
        cp->worked = true;
        cp->store_job = STORE_TIDIES;
        weir_store_tidy(cp->store);
    }
    cp->tidy_wanted =
        cp->tidy_wanted && cp->store_job != STORE_TIDIES && !weir_store_is_ended(cp->store);
}

void
weir_job_checkpoint_store_poll(struct weir_job_checkpoint *cp)
{
    if (cp->store_job != STORE_IDLE) {
        int rc = weir_store_poll(cp->store);
        if (rc == WEIR_RELAY_BUSY) {
            return;
        }
        enum cp_store_job ended = cp->store_job;
        cp->worked = true;
        cp->store_job = STORE_IDLE;
        if (ended == STORE_COMMITS) {
            committed(cp, rc);
        } else if (rc != 0) {
            weir_log(WEIR_LOG_WARNING, -rc, "old checkpoints stay for now: %s",
                weir_store_fault(cp->store));
        }
    }
    if (cp->store_job == STORE_IDLE) {
        start_next(cp);
    }
}

void
weir_job_checkpoint_completed(struct weir_job_checkpoint *cp, struct cp_flight *flight)
{
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        struct cp_stage *stage = &cp->stage[s];
        struct cp_slot *slot = weir_job_checkpoint_slot_of(stage, flight->id);
        if (slot == NULL) {
            continue;
        }
        if (slot->has_epoch) {
            stage->chain_cnt = slot->file.head.base_checkpoint != 0 ? stage->chain_cnt : 0;
            stage->chain[stage->chain_cnt++] = *weir_snapshot_ack(slot->writer);
            (void)weir_capture_commit(&stage->capture, flight->id);
        }
        for (uint32_t i = 0; i < stage->chain_cnt; i++) {
            flight->record.state_bytes += stage->chain[i].file_bytes;
        }
        flight->record.state_bytes +=
            slot->has_epoch ? 0 : weir_snapshot_ack(slot->writer)->file_bytes;
        weir_job_checkpoint_slot_free(slot);
    }
}
