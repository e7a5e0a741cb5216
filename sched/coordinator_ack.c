/* SPDX-License-Identifier: Apache-2.0 */
/* coordinator_ack.c: from the acks to the commits: C2 to C6, as far as they are decisions. */
#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/mutant.h"
#include "sched/coordinator_priv.h"

/* The oldest that is READY, unless another is being stored: manifests appear in the order of
 * ids. */
static void
store_next(struct weir_coordinator *coordinator)
{
    struct coordinator_slot *next = NULL;
    for (uint32_t i = 0; i < coordinator->slot_cnt; i++) {
        struct coordinator_slot *slot = &coordinator->slot[i];
        if (slot->state == WEIR_COORDINATOR_STORING) {
            return;
        }
        if (slot->state == WEIR_COORDINATOR_READY && (next == NULL || slot->id < next->id)) {
            next = slot;
        }
    }
    if (next != NULL) {
        weir_coordinator_advance(coordinator, next, WEIR_COORDINATOR_STORING);
        (void)weir_coordinator_say(coordinator, WEIR_COORDINATOR_STORE, next, WEIR_CHECKPOINT_NONE);
    }
}

/* Files named for a checkpoint that is not there any more. */
static enum weir_coordinator_verdict
verdict_of_past(const struct weir_coordinator *coordinator, uint64_t id)
{
    for (uint64_t i = 0; i < WEIR_COORDINATOR_RECENT_CNT && i < coordinator->recent_seq; i++) {
        if (coordinator->recent[i].id == id) {
            return coordinator->recent[i].is_stored ? WEIR_COORDINATOR_REPEATED
                                                    : WEIR_COORDINATOR_DISCARD;
        }
    }
    return WEIR_COORDINATOR_LEAVE;
}

static void
all_acked(struct weir_coordinator *coordinator, struct coordinator_slot *slot)
{
    char evidence[WEIR_LEDGER_TEXT_BYTES];
    uint32_t channel_cnt = coordinator->conf.channel_cnt;
    uint32_t wrong_cnt = coordinator->conf.has_no_counts
                             ? 0
                             : weir_ledger_check(coordinator->channel, slot->line, channel_cnt,
                                   evidence, sizeof evidence);
    if (wrong_cnt == 0) {
        weir_coordinator_advance(coordinator, slot, WEIR_COORDINATOR_READY);
        store_next(coordinator);
        return;
    }
    (void)snprintf(coordinator->text, sizeof coordinator->text,
        "checkpoint %" PRIu64 ": %u of %u channels do not add up; %s", slot->id, wrong_cnt,
        channel_cnt, evidence);
    weir_coordinator_end(coordinator, slot, WEIR_CHECKPOINT_LEDGER);
    weir_coordinator_fail(coordinator, slot->id, WEIR_CHECKPOINT_LEDGER);
}

enum weir_coordinator_verdict
weir_coordinator_ack(
    struct weir_coordinator *coordinator, const struct weir_coordinator_ack *ack, int64_t now_ns)
{
    if (!weir_coordinator_enter(coordinator) || ack->job != coordinator->conf.job ||
        ack->epoch != coordinator->conf.epoch) {
        return WEIR_COORDINATOR_LEAVE;
    }
    struct coordinator_slot *slot = weir_coordinator_find(coordinator, ack->id);
    if (slot == NULL) {
        return verdict_of_past(coordinator, ack->id);
    }
    if (ack->task >= coordinator->conf.task_cnt ||
        (slot->member[ack->task].part & WEIR_MEMBER_ACK) == 0 ||
        slot->member[ack->task].attempt != ack->attempt) {
        return WEIR_COORDINATOR_DISCARD;
    }
    struct weir_coordinator_member *member = &slot->member[ack->task];
    if ((member->part & WEIR_MEMBER_ACKED) != 0) {
        return WEIR_COORDINATOR_REPEATED;
    }
    member->part |= WEIR_MEMBER_ACKED;
    for (uint32_t i = 0; i < ack->entry_cnt; i++) {
        /* What is wrong here is missing when the ledger is checked. */
        (void)weir_ledger_enter(coordinator->channel, coordinator->conf.channel_cnt, ack->task,
            &ack->entry[i], slot->line);
    }
    if (--slot->missing_cnt == 0) {
        all_acked(coordinator, slot);
        weir_coordinator_start_due(coordinator, now_ns);
    }
    return WEIR_COORDINATOR_TAKEN;
}

bool
weir_coordinator_decline(struct weir_coordinator *coordinator,
    const struct weir_coordinator_decline *decline, int64_t now_ns)
{
    if (!weir_coordinator_enter(coordinator) || decline->job != coordinator->conf.job ||
        decline->epoch != coordinator->conf.epoch) {
        return false;
    }
    struct coordinator_slot *slot = weir_coordinator_find(coordinator, decline->id);
    if (slot == NULL || !coordinator_is_waiting(slot) ||
        decline->task >= coordinator->conf.task_cnt ||
        (slot->member[decline->task].part & WEIR_MEMBER_ACK) == 0 ||
        slot->member[decline->task].attempt != decline->attempt) {
        return false;
    }
    weir_coordinator_end(coordinator, slot, decline->reason);
    weir_coordinator_start_due(coordinator, now_ns);
    return true;
}

static bool
has_committed(const struct weir_coordinator *coordinator, const struct coordinator_slot *slot)
{
    for (uint32_t i = 0; i < coordinator->conf.task_cnt; i++) {
        if (coordinator->task_commits[i] && (slot->member[i].part & WEIR_MEMBER_ACK) != 0 &&
            coordinator->task[i].committed_id < slot->id) {
            return false;
        }
    }
    return true;
}

/* Says COMMITTED of those whose sinks have, in the order of ids, up to the first that is not. */
static void
commits_check(struct weir_coordinator *coordinator)
{
    for (;;) {
        struct coordinator_slot *first = NULL;
        for (uint32_t i = 0; i < coordinator->slot_cnt; i++) {
            struct coordinator_slot *slot = &coordinator->slot[i];
            if (slot->state == WEIR_COORDINATOR_NOTIFIED &&
                (first == NULL || slot->id < first->id)) {
                first = slot;
            }
        }
        if (first == NULL || !has_committed(coordinator, first)) {
            return;
        }
        weir_coordinator_advance(coordinator, first, WEIR_COORDINATOR_DONE);
        (void)weir_coordinator_say(
            coordinator, WEIR_COORDINATOR_COMMITTED, first, WEIR_CHECKPOINT_NONE);
    }
}

/* Older checkpoints are of no use once a newer one is complete; savepoints are. */
static void
subsume(struct weir_coordinator *coordinator, uint64_t id)
{
    for (uint32_t i = 0; i < coordinator->slot_cnt; i++) {
        struct coordinator_slot *slot = &coordinator->slot[i];
        if (coordinator_is_waiting(slot) && slot->id < id &&
            slot->request.kind == WEIR_CHECKPOINT_KIND_CHECKPOINT) {
            weir_coordinator_end(coordinator, slot, WEIR_CHECKPOINT_SUBSUMED);
        }
    }
}

bool
weir_coordinator_stored(struct weir_coordinator *coordinator, uint64_t id, int64_t now_ns)
{
    struct coordinator_slot *slot =
        weir_coordinator_enter(coordinator) ? weir_coordinator_find(coordinator, id) : NULL;
    if (slot == NULL || slot->state != WEIR_COORDINATOR_STORING) {
        return false;
    }
    weir_coordinator_advance(coordinator, slot, WEIR_COORDINATOR_STORED);
    weir_checkpoint_failures_success(&coordinator->failures, id);
    coordinator->last_overdue_cnt = 0;
    coordinator->has_done = true;
    coordinator->done_ns = now_ns;
    if (weir_checkpoint_on_timeline(&slot->request)) {
        if (!WEIR_MUTANT(SUBSUMED_COMPLETES)) {
            subsume(coordinator, id);
        }
        (void)weir_coordinator_say(
            coordinator, WEIR_COORDINATOR_NOTIFY, slot, WEIR_CHECKPOINT_NONE);
        weir_coordinator_advance(coordinator, slot, WEIR_COORDINATOR_NOTIFIED);
        coordinator->notified_id = id > coordinator->notified_id ? id : coordinator->notified_id;
        (void)weir_coordinator_say(
            coordinator, WEIR_COORDINATOR_COMPLETED, slot, WEIR_CHECKPOINT_NONE);
    } else {
        /* Sinks keep what they have pre-committed for the next checkpoint: a restart would not go
         * back to here, and what was committed would be computed again. */
        weir_coordinator_advance(coordinator, slot, WEIR_COORDINATOR_DONE);
    }
    (void)weir_coordinator_say(coordinator, WEIR_COORDINATOR_ANSWER, slot, WEIR_CHECKPOINT_NONE);
    if (slot->request.stop != WEIR_CHECKPOINT_GO_ON && coordinator->mode == COORDINATOR_STOPPING) {
        coordinator->mode = COORDINATOR_STOPPED;
    }
    commits_check(coordinator);
    store_next(coordinator);
    weir_coordinator_start_due(coordinator, now_ns);
    return true;
}

bool
weir_coordinator_store_failed(struct weir_coordinator *coordinator, uint64_t id,
    enum weir_coordinator_store_outcome outcome, int64_t now_ns)
{
    struct coordinator_slot *slot =
        weir_coordinator_enter(coordinator) ? weir_coordinator_find(coordinator, id) : NULL;
    if (slot == NULL || slot->state != WEIR_COORDINATOR_STORING) {
        return false;
    }
    if (outcome == WEIR_COORDINATOR_STORE_FAILED) {
        weir_coordinator_end(coordinator, slot, WEIR_CHECKPOINT_FINALIZE);
        store_next(coordinator);
        weir_coordinator_start_due(coordinator, now_ns);
        return true;
    }
    /* C5: no side effect has happened yet, so both outcomes are right for who reads the disk next;
     * any step from here could make one of them wrong. */
    bool is_fenced = outcome == WEIR_COORDINATOR_STORE_FENCED;
    enum weir_checkpoint_reason reason =
        is_fenced ? WEIR_CHECKPOINT_FENCED : WEIR_CHECKPOINT_UNKNOWN;
    weir_coordinator_advance(coordinator, slot, WEIR_COORDINATOR_UNKNOWN);
    (void)snprintf(coordinator->text, sizeof coordinator->text, "checkpoint %" PRIu64 ": %s", id,
        weir_checkpoint_reason_text(reason));
    struct weir_coordinator_out *out =
        weir_coordinator_say(coordinator, WEIR_COORDINATOR_HALT, slot, reason);
    out->text = coordinator->text;
    coordinator->mode = COORDINATOR_HALTED;
    return true;
}

void
weir_coordinator_committed(
    struct weir_coordinator *coordinator, uint32_t task, uint64_t id, int64_t now_ns)
{
    if (!weir_coordinator_enter(coordinator)) {
        return;
    }
    WEIR_CHECK(task < coordinator->conf.task_cnt && id <= coordinator->notified_id,
        "task %u has committed %" PRIu64 ", and the last that it was told is %" PRIu64, task, id,
        coordinator->notified_id);
    struct coordinator_known_task *known = &coordinator->task[task];
    known->committed_id = id > known->committed_id ? id : known->committed_id;
    commits_check(coordinator);
    weir_coordinator_start_due(coordinator, now_ns);
}
