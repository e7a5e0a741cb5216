/* SPDX-License-Identifier: Apache-2.0 */
/* coordinator_rig.h: a coordinator of a small chain of tasks, and what it has said. */
#ifndef WEIR_TESTS_UNIT_COORDINATOR_RIG_H
#define WEIR_TESTS_UNIT_COORDINATOR_RIG_H

#include <string.h>

#include "sched/checkpoint_failure.h"
#include "sched/coordinator.h"
#include "tests/unit/test.h"

#define RIG_TASK_MAX 6
#define RIG_OUT_MAX 4096
#define RIG_JOB 77
#define RIG_EPOCH 3

struct rig {
    struct weir_coordinator_conf conf;
    struct weir_ledger_channel channel[RIG_TASK_MAX];
    bool commits[RIG_TASK_MAX];
    uint64_t attempt[RIG_TASK_MAX];
    struct weir_coordinator *coordinator;
    struct weir_coordinator_out out[RIG_OUT_MAX]; /* since rig_clear() */
    struct weir_coordinator_member member[RIG_OUT_MAX][RIG_TASK_MAX];
    char text[WEIR_COORDINATOR_TEXT_BYTES];
    uint32_t out_cnt;
    int64_t now_ns;
};

/* A chain of task_cnt tasks, two by default; the last one commits. Nothing periodic, one at a
 * time. */
static WEIR_UNUSED void
rig_conf(struct rig *rig, uint32_t task_cnt)
{
    static const char *const names[] = {
        "t0 -> t1", "t1 -> t2", "t2 -> t3", "t3 -> t4", "t4 -> t5", "none"};
    memset(rig, 0, sizeof *rig);
    for (uint32_t i = 0; i + 1 < task_cnt; i++) {
        rig->channel[i] = (struct weir_ledger_channel){i, i + 1, names[i]};
    }
    rig->commits[task_cnt - 1] = true;
    rig->conf = (struct weir_coordinator_conf){
        .job = RIG_JOB,
        .epoch = RIG_EPOCH,
        .timeout_ns = 600 * WEIR_SEC_NS,
        .tolerable = WEIR_CHECKPOINT_TOLERABLE_UNLIMITED,
        .concurrent_max = 1,
        .queue_max = 10,
        .is_after_finish = true,
        .task_cnt = task_cnt,
        .task_commits = rig->commits,
        .channel_cnt = task_cnt - 1,
        .channel = rig->channel,
    };
}

static WEIR_UNUSED void
rig_take(struct rig *rig)
{
    struct weir_coordinator_out out;
    while (weir_coordinator_poll(rig->coordinator, &out)) {
        assert_true(rig->out_cnt < RIG_OUT_MAX);
        if (out.member != NULL) {
            memcpy(
                rig->member[rig->out_cnt], out.member, rig->conf.task_cnt * sizeof out.member[0]);
            out.member = rig->member[rig->out_cnt];
        }
        if (out.text != NULL) {
            (void)strcpy(rig->text, out.text);
        }
        rig->out[rig->out_cnt++] = out;
    }
}

static WEIR_UNUSED void
rig_task(struct rig *rig, uint32_t task, enum weir_coordinator_task_state state)
{
    struct weir_ledger_entry entry[] = {
        {.channel = task - 1, .side = WEIR_LEDGER_IN, .total = {100, 5}},
        {.channel = task, .side = WEIR_LEDGER_OUT, .total = {100, 5}},
    };
    struct weir_coordinator_task message = {.task = task,
        .attempt = rig->attempt[task],
        .state = state,
        .entry = entry,
        .entry_cnt = 2};
    assert_true(weir_coordinator_task(rig->coordinator, &message, rig->now_ns));
    rig_take(rig);
}

/* All tasks run; the coordinator is on. */
static WEIR_UNUSED void
rig_start(struct rig *rig)
{
    assert_int_equal(weir_coordinator_new(&rig->conf, &rig->coordinator), 0);
    for (uint32_t i = 0; i < rig->conf.task_cnt; i++) {
        rig->attempt[i] = 1;
        rig_task(rig, i, WEIR_COORDINATOR_TASK_RUNNING);
    }
    weir_coordinator_start(rig->coordinator, rig->now_ns);
    rig_take(rig);
}

static WEIR_UNUSED void
rig_clear(struct rig *rig)
{
    rig->out_cnt = 0;
}

static WEIR_UNUSED void
rig_tick(struct rig *rig, int64_t to_ns)
{
    rig->now_ns = to_ns;
    weir_coordinator_tick(rig->coordinator, to_ns);
    rig_take(rig);
}

static WEIR_UNUSED void
rig_request(struct rig *rig, enum weir_checkpoint_kind kind, enum weir_checkpoint_stop stop,
    uint64_t ticket)
{
    struct weir_checkpoint_request request = {.ticket = ticket, .kind = kind, .stop = stop};
    weir_coordinator_request(rig->coordinator, &request, rig->now_ns);
    rig_take(rig);
}

static WEIR_UNUSED void
rig_checkpoint(struct rig *rig)
{
    rig_request(rig, WEIR_CHECKPOINT_KIND_CHECKPOINT, WEIR_CHECKPOINT_GO_ON, 1);
}

static WEIR_UNUSED void
rig_savepoint(struct rig *rig)
{
    rig_request(rig, WEIR_CHECKPOINT_KIND_SAVEPOINT, WEIR_CHECKPOINT_GO_ON, 2);
}

/* An ack with a ledger that adds up. */
static WEIR_UNUSED enum weir_coordinator_verdict
rig_ack(struct rig *rig, uint64_t id, uint32_t task)
{
    struct weir_ledger_entry entry[] = {
        {.channel = task - 1, .side = WEIR_LEDGER_IN, .total = {100, 5}},
        {.channel = task, .side = WEIR_LEDGER_OUT, .total = {100, 5}},
    };
    struct weir_coordinator_ack ack = {.job = RIG_JOB,
        .epoch = RIG_EPOCH,
        .id = id,
        .attempt = rig->attempt[task],
        .task = task,
        .entry_cnt = 2,
        .entry = entry};
    enum weir_coordinator_verdict verdict =
        weir_coordinator_ack(rig->coordinator, &ack, rig->now_ns);
    rig_take(rig);
    return verdict;
}

static WEIR_UNUSED void
rig_ack_all(struct rig *rig, uint64_t id)
{
    for (uint32_t i = 0; i < rig->conf.task_cnt; i++) {
        assert_int_equal(rig_ack(rig, id, i), WEIR_COORDINATOR_TAKEN);
    }
}

static WEIR_UNUSED void
rig_stored(struct rig *rig, uint64_t id)
{
    assert_true(weir_coordinator_stored(rig->coordinator, id, rig->now_ns));
    rig_take(rig);
}

static WEIR_UNUSED void
rig_complete(struct rig *rig, uint64_t id)
{
    rig_ack_all(rig, id);
    rig_stored(rig, id);
}

static WEIR_UNUSED void
rig_committed(struct rig *rig, uint64_t id)
{
    weir_coordinator_committed(rig->coordinator, rig->conf.task_cnt - 1, id, rig->now_ns);
    rig_take(rig);
}

static WEIR_UNUSED bool
rig_decline(struct rig *rig, uint64_t id, uint32_t task, enum weir_checkpoint_reason reason)
{
    struct weir_coordinator_decline decline = {.job = RIG_JOB,
        .epoch = RIG_EPOCH,
        .id = id,
        .attempt = rig->attempt[task],
        .task = task,
        .reason = reason};
    bool is_taken = weir_coordinator_decline(rig->coordinator, &decline, rig->now_ns);
    rig_take(rig);
    return is_taken;
}

static WEIR_UNUSED bool
rig_failed(struct rig *rig, uint64_t id, enum weir_coordinator_store_outcome outcome)
{
    bool is_taken = weir_coordinator_store_failed(rig->coordinator, id, outcome, rig->now_ns);
    rig_take(rig);
    return is_taken;
}

/* The first of a kind about an id since rig_clear(), or NULL. */
static WEIR_UNUSED const struct weir_coordinator_out *
rig_said(const struct rig *rig, enum weir_coordinator_out_kind kind, uint64_t id)
{
    for (uint32_t i = 0; i < rig->out_cnt; i++) {
        if (rig->out[i].kind == kind && rig->out[i].id == id) {
            return &rig->out[i];
        }
    }
    return NULL;
}

static WEIR_UNUSED uint32_t
rig_said_cnt(const struct rig *rig, enum weir_coordinator_out_kind kind)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < rig->out_cnt; i++) {
        cnt += rig->out[i].kind == kind ? 1 : 0;
    }
    return cnt;
}

static WEIR_UNUSED void
rig_assert_reason(const struct rig *rig, enum weir_coordinator_out_kind kind, uint64_t id,
    enum weir_checkpoint_reason reason)
{
    const struct weir_coordinator_out *out = rig_said(rig, kind, id);
    assert_non_null(out);
    assert_int_equal(out->reason, reason);
}

static WEIR_UNUSED enum weir_coordinator_state
rig_state(const struct rig *rig, uint64_t id)
{
    return weir_coordinator_state(rig->coordinator, id);
}

static WEIR_UNUSED void
rig_end(struct rig *rig)
{
    weir_coordinator_close(rig->coordinator);
    rig->coordinator = NULL;
}

#endif
