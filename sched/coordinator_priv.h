/* SPDX-License-Identifier: Apache-2.0 */
/* coordinator_priv.h: what the files of the coordinator share. */
#ifndef WEIR_SCHED_COORDINATOR_PRIV_H
#define WEIR_SCHED_COORDINATOR_PRIV_H

#include "sched/checkpoint_failure.h"
#include "sched/checkpoint_request.h"
#include "sched/coordinator.h"

enum coordinator_mode {
    COORDINATOR_OFF,
    COORDINATOR_ON,
    COORDINATOR_STOPPING, /* a stop was asked for: nothing else starts */
    COORDINATOR_STOPPED, /* it is stored: nothing starts any more */
    COORDINATOR_HALTED, /* nothing is said any more */
};

/* One checkpoint. Slots of ended ones are free from the next message on: until then what was said
 * of them points at their members. */
struct coordinator_slot {
    uint64_t id;
    enum weir_coordinator_state state;
    struct weir_checkpoint_request request;
    int64_t triggered_ns;
    bool is_last; /* the end of the job waited for it when it began */
    uint32_t missing_cnt; /* acks */
    struct weir_coordinator_member *member; /* task_cnt */
    struct weir_ledger_line *line; /* channel_cnt; while it is COLLECTING */
};

struct coordinator_known_task {
    uint64_t attempt;
    enum weir_coordinator_task_state state;
    uint64_t committed_id;
};

struct coordinator_ended {
    uint64_t id;
    bool is_stored;
};

struct weir_coordinator {
    struct weir_coordinator_conf conf;
    enum coordinator_mode mode;
    uint64_t id_last;
    uint64_t notified_id; /* sinks commit nothing above it */
    int64_t periodic_ns; /* when the clock asks next */
    bool is_held;
    bool is_last_awaited;
    bool is_left; /* to sources: they begin checkpoints */
    uint32_t last_overdue_cnt; /* of those that the end waited for, one after another */
    bool has_done;
    int64_t done_ns;
    struct weir_checkpoint_queue queue;
    struct weir_checkpoint_failures failures;
    struct coordinator_known_task *task;
    bool *task_commits;
    struct weir_ledger_channel *channel;
    struct weir_ledger_line *last; /* channel_cnt: what finished tasks have said */
    struct coordinator_slot *slot;
    uint32_t slot_cnt;
    uint32_t pending_max;
    /* Lines are many where tasks exchange with tasks: there are only as many sets as can
     * collect. */
    struct weir_ledger_line *line; /* pending_max * channel_cnt */
    struct weir_ledger_line **line_free;
    uint32_t line_free_cnt;
    struct coordinator_ended recent[WEIR_COORDINATOR_RECENT_CNT];
    uint64_t recent_seq;
    struct weir_coordinator_out *out;
    uint32_t out_cnt_max;
    uint32_t out_cnt;
    uint32_t out_at;
    char text[WEIR_COORDINATOR_TEXT_BYTES];
};

/* weir_coordinator_enter - begin a message: what was said has been taken. Returns: false after a
 * halt:
 * the message has no effect. */
bool weir_coordinator_enter(struct weir_coordinator *coordinator);
/* weir_coordinator_say - one more thing to do about a slot. Returns: it, to be completed. */
struct weir_coordinator_out *
weir_coordinator_say(struct weir_coordinator *coordinator, enum weir_coordinator_out_kind kind,
    const struct coordinator_slot *slot, enum weir_checkpoint_reason reason);
/* weir_coordinator_advance - the only place that changes a slot's state; a step that is not in the
 * picture of coordinator.h ends the process. */
void weir_coordinator_advance(struct weir_coordinator *coordinator, struct coordinator_slot *slot,
    enum weir_coordinator_state to);
/* weir_coordinator_refuse - answer a request that never became a checkpoint. */
void weir_coordinator_refuse(struct weir_coordinator *coordinator,
    const struct weir_checkpoint_request *request, enum weir_checkpoint_reason reason);
/* weir_coordinator_end - abort a slot that is not stored; says so to all it concerns. May fail the
 * job. */
void weir_coordinator_end(struct weir_coordinator *coordinator, struct coordinator_slot *slot,
    enum weir_checkpoint_reason reason);
/* weir_coordinator_fail - fail the job: says so, then suspends; coordinator->text says why. */
void weir_coordinator_fail(
    struct weir_coordinator *coordinator, uint64_t id, enum weir_checkpoint_reason reason);
/* weir_coordinator_find - the slot of an id that is not FREE, or NULL. */
struct coordinator_slot *
weir_coordinator_find(const struct weir_coordinator *coordinator, uint64_t id);
/* weir_coordinator_start_due - start what the queue and the limits allow. */
void weir_coordinator_start_due(struct weir_coordinator *coordinator, int64_t now_ns);

static inline bool
coordinator_is_waiting(const struct coordinator_slot *slot)
{
    return slot->state == WEIR_COORDINATOR_COLLECTING || slot->state == WEIR_COORDINATOR_READY;
}

static inline bool
coordinator_is_pending(const struct coordinator_slot *slot)
{
    return coordinator_is_waiting(slot) || slot->state == WEIR_COORDINATOR_STORING;
}

#endif
