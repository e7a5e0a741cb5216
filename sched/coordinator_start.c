/* SPDX-License-Identifier: Apache-2.0 */
/* coordinator_start.c: requests, the clock, and what a checkpoint consists of when it starts. */
#include <string.h>

#include "base/check.h"
#include "sched/coordinator_priv.h"

/* One that is due while tasks are starting comes when they run: so often in an interval it is
 * looked whether they do. */
#define STARTING_DIV 100

/* Why no checkpoint can start with the tasks as they are; NONE: it can. */
static enum weir_checkpoint_reason
tasks_check(const struct weir_coordinator *coordinator)
{
    uint32_t finished_cnt = 0;
    for (uint32_t i = 0; i < coordinator->conf.task_cnt; i++) {
        if (coordinator->task[i].state == WEIR_COORDINATOR_TASK_STARTING) {
            return WEIR_CHECKPOINT_NOT_RUNNING;
        }
        finished_cnt += coordinator->task[i].state == WEIR_COORDINATOR_TASK_FINISHED ? 1 : 0;
    }
    bool is_refused = finished_cnt > 0 && !coordinator->conf.is_after_finish;
    if (is_refused || finished_cnt == coordinator->conf.task_cnt) {
        return WEIR_CHECKPOINT_TASKS_FINISHED;
    }
    return WEIR_CHECKPOINT_NONE;
}

/* C1: the set of tasks with their attempts, frozen; and what finished ones have said before. */
static void
freeze(const struct weir_coordinator *coordinator, struct coordinator_slot *slot)
{
    slot->missing_cnt = 0;
    for (uint32_t i = 0; i < coordinator->conf.task_cnt; i++) {
        const struct coordinator_known_task *task = &coordinator->task[i];
        bool is_finished = task->state == WEIR_COORDINATOR_TASK_FINISHED;
        slot->member[i].attempt = task->attempt;
        slot->member[i].part =
            is_finished ? WEIR_MEMBER_FINISHED : WEIR_MEMBER_TRIGGER | WEIR_MEMBER_ACK;
        slot->missing_cnt += is_finished ? 0 : 1;
    }
    for (uint32_t i = 0; i < coordinator->conf.channel_cnt; i++) {
        const struct weir_ledger_channel *channel = &coordinator->channel[i];
        /* Only finished tasks have said something before. */
        slot->line[i] = coordinator->last[i];
        if ((slot->member[channel->from_task].part & WEIR_MEMBER_FINISHED) == 0) {
            slot->member[channel->to_task].part &= (uint8_t)~WEIR_MEMBER_TRIGGER;
        }
    }
}

static struct coordinator_slot *
slot_take(struct weir_coordinator *coordinator)
{
    for (uint32_t i = 0; i < coordinator->slot_cnt; i++) {
        if (coordinator->slot[i].state == WEIR_COORDINATOR_FREE) {
            return &coordinator->slot[i];
        }
    }
    WEIR_CHECK(false, "all %u checkpoints are in use", coordinator->slot_cnt);
    return NULL;
}

static void
start_one(struct weir_coordinator *coordinator, const struct weir_checkpoint_request *request,
    int64_t now_ns)
{
    enum weir_checkpoint_reason reason = tasks_check(coordinator);
    if (reason != WEIR_CHECKPOINT_NONE) {
        if (request->stop != WEIR_CHECKPOINT_GO_ON) {
            coordinator->mode = COORDINATOR_ON;
        }
        weir_coordinator_refuse(coordinator, request, reason);
        return;
    }
    struct coordinator_slot *slot = slot_take(coordinator);
    WEIR_CHECK(coordinator->id_last < UINT64_MAX, "ids are used up");
    slot->id = ++coordinator->id_last;
    slot->request = *request;
    slot->triggered_ns = now_ns;
    slot->is_last =
        coordinator->is_last_awaited && request->kind == WEIR_CHECKPOINT_KIND_CHECKPOINT;
    WEIR_CHECK(
        coordinator->line_free_cnt > 0, "more than %u are pending", coordinator->pending_max);
    slot->line = coordinator->line_free[--coordinator->line_free_cnt];
    freeze(coordinator, slot);
    weir_coordinator_advance(coordinator, slot, WEIR_COORDINATOR_COLLECTING);
    (void)weir_coordinator_say(coordinator, WEIR_COORDINATOR_TRIGGER, slot, WEIR_CHECKPOINT_NONE);
}

static struct weir_checkpoint_limits
limits_of(const struct weir_coordinator *coordinator, int64_t now_ns)
{
    uint32_t uncommitted_cnt = 0;
    struct weir_checkpoint_limits limits = {
        .concurrent_max = coordinator->conf.concurrent_max,
        .has_done = coordinator->has_done,
        .done_ns = coordinator->done_ns,
        .pause_ns = coordinator->conf.pause_ns,
        .now_ns = now_ns,
    };
    limits.pending_cnt = weir_coordinator_pending_cnt(coordinator);
    for (uint32_t i = 0; i < coordinator->slot_cnt; i++) {
        uncommitted_cnt += coordinator->slot[i].state == WEIR_COORDINATOR_NOTIFIED ? 1 : 0;
    }
    /* What is pending may be notified too. */
    limits.is_held =
        coordinator->is_held || uncommitted_cnt >= WEIR_COORDINATOR_UNCOMMITTED_CNT_MAX ||
        limits.pending_cnt >= coordinator->pending_max ||
        (coordinator->mode != COORDINATOR_ON && coordinator->mode != COORDINATOR_STOPPING);
    limits.is_forced = !coordinator->conf.is_savepoint_queued;
    return limits;
}

void
weir_coordinator_start_due(struct weir_coordinator *coordinator, int64_t now_ns)
{
    struct weir_checkpoint_request request;
    for (;;) {
        struct weir_checkpoint_limits limits = limits_of(coordinator, now_ns);
        enum weir_checkpoint_choice choice =
            weir_checkpoint_queue_choose(&coordinator->queue, &limits, &request);
        if (choice == WEIR_CHECKPOINT_CHOICE_WAIT) {
            return;
        }
        if (choice == WEIR_CHECKPOINT_CHOICE_DROP) {
            coordinator->periodic_ns = coordinator->done_ns + coordinator->conf.pause_ns;
            weir_coordinator_refuse(coordinator, &request, WEIR_CHECKPOINT_MIN_PAUSE);
        } else {
            start_one(coordinator, &request, now_ns);
        }
    }
}

static void
enqueue(struct weir_coordinator *coordinator, const struct weir_checkpoint_request *request)
{
    struct weir_checkpoint_request dropped;
    if (weir_checkpoint_queue_put(&coordinator->queue, request, &dropped)) {
        weir_coordinator_refuse(coordinator, &dropped, WEIR_CHECKPOINT_TOO_MANY_REQUESTS);
    }
}

void
weir_coordinator_start(struct weir_coordinator *coordinator, int64_t now_ns)
{
    if (!weir_coordinator_enter(coordinator)) {
        return;
    }
    WEIR_CHECK(weir_coordinator_is_settled(coordinator),
        "started while a checkpoint of the last run is being stored");
    coordinator->mode = COORDINATOR_ON;
    coordinator->last_overdue_cnt = 0;
    const struct weir_coordinator_conf *conf = &coordinator->conf;
    coordinator->periodic_ns = now_ns + (conf->first_ns != 0 ? conf->first_ns : conf->interval_ns);
}

void
weir_coordinator_hold(struct weir_coordinator *coordinator, bool is_held, int64_t now_ns)
{
    if (weir_coordinator_enter(coordinator)) {
        coordinator->is_held = is_held;
        weir_coordinator_start_due(coordinator, now_ns);
    }
}

void
weir_coordinator_await_last(struct weir_coordinator *coordinator, bool is_awaited)
{
    if (weir_coordinator_enter(coordinator)) {
        coordinator->is_last_awaited = is_awaited;
    }
}

/* Whether the clock starts checkpoints. */
static bool
has_clock(const struct weir_coordinator *coordinator)
{
    return coordinator->mode == COORDINATOR_ON && coordinator->conf.interval_ns > 0 &&
           !coordinator->is_left;
}

void
weir_coordinator_tick(struct weir_coordinator *coordinator, int64_t now_ns)
{
    if (!weir_coordinator_enter(coordinator)) {
        return;
    }
    for (uint32_t i = 0; i < coordinator->slot_cnt; i++) {
        struct coordinator_slot *slot = &coordinator->slot[i];
        if (coordinator_is_waiting(slot) &&
            now_ns - slot->triggered_ns >= coordinator->conf.timeout_ns) {
            weir_coordinator_end(coordinator, slot, WEIR_CHECKPOINT_EXPIRED);
        }
    }
    int64_t interval_ns = coordinator->conf.interval_ns;
    bool is_due = has_clock(coordinator) && now_ns >= coordinator->periodic_ns;
    if (is_due && tasks_check(coordinator) == WEIR_CHECKPOINT_NOT_RUNNING) {
        coordinator->periodic_ns = now_ns + interval_ns / STARTING_DIV + 1;
    } else if (is_due) {
        coordinator->periodic_ns +=
            interval_ns * (1 + (now_ns - coordinator->periodic_ns) / interval_ns);
        if (!weir_checkpoint_queue_has_periodic(&coordinator->queue)) {
            struct weir_checkpoint_request request = {.is_periodic = true, .asked_ns = now_ns};
            enqueue(coordinator, &request);
        }
    }
    weir_coordinator_start_due(coordinator, now_ns);
}

int64_t
weir_coordinator_due_ns(const struct weir_coordinator *coordinator)
{
    int64_t due_ns = WEIR_COORDINATOR_NEVER;
    if (coordinator->mode == COORDINATOR_HALTED) {
        return due_ns;
    }
    if (has_clock(coordinator)) {
        due_ns = coordinator->periodic_ns;
    }
    for (uint32_t i = 0; i < coordinator->slot_cnt; i++) {
        const struct coordinator_slot *slot = &coordinator->slot[i];
        int64_t end_ns = WEIR_COORDINATOR_NEVER;
        if (coordinator_is_waiting(slot) &&
            !__builtin_add_overflow(slot->triggered_ns, coordinator->conf.timeout_ns, &end_ns) &&
            end_ns < due_ns) {
            due_ns = end_ns;
        }
    }
    return due_ns;
}

/* A stop has the job's last word: what was asked before it and is no savepoint ends. */
static void
clear_for_stop(struct weir_coordinator *coordinator)
{
    struct weir_checkpoint_request waiting;
    while (weir_checkpoint_queue_take(&coordinator->queue, &waiting)) {
        weir_coordinator_refuse(coordinator, &waiting, WEIR_CHECKPOINT_STOPPING);
    }
    for (uint32_t i = 0; i < coordinator->slot_cnt; i++) {
        struct coordinator_slot *slot = &coordinator->slot[i];
        if (coordinator_is_waiting(slot) && slot->request.kind == WEIR_CHECKPOINT_KIND_CHECKPOINT) {
            weir_coordinator_end(coordinator, slot, WEIR_CHECKPOINT_STOPPING);
        }
    }
}

/* Why nothing starts now, whoever asks. */
static enum weir_checkpoint_reason
mode_check(const struct weir_coordinator *coordinator)
{
    static const enum weir_checkpoint_reason refusal[] = {
        [COORDINATOR_OFF] = WEIR_CHECKPOINT_SUSPENDED,
        [COORDINATOR_ON] = WEIR_CHECKPOINT_NONE,
        [COORDINATOR_STOPPING] = WEIR_CHECKPOINT_STOPPING,
        [COORDINATOR_STOPPED] = WEIR_CHECKPOINT_SHUTDOWN,
    };
    return refusal[coordinator->mode];
}

void
weir_coordinator_request(struct weir_coordinator *coordinator,
    const struct weir_checkpoint_request *request, int64_t now_ns)
{
    struct weir_checkpoint_request asked = *request;
    if (!weir_coordinator_enter(coordinator)) {
        return;
    }
    asked.is_periodic = false;
    asked.asked_ns = now_ns;
    enum weir_checkpoint_reason reason = mode_check(coordinator);
    bool is_stop = asked.stop != WEIR_CHECKPOINT_GO_ON;
    if (reason == WEIR_CHECKPOINT_NONE && coordinator->is_left) {
        reason = WEIR_CHECKPOINT_LEFT_TO_SOURCES;
    }
    if (reason == WEIR_CHECKPOINT_NONE && is_stop) {
        reason = tasks_check(coordinator);
    }
    if (reason != WEIR_CHECKPOINT_NONE) {
        weir_coordinator_refuse(coordinator, &asked, reason);
        return;
    }
    if (is_stop) {
        clear_for_stop(coordinator);
        coordinator->mode = COORDINATOR_STOPPING;
    }
    enqueue(coordinator, &asked);
    weir_coordinator_start_due(coordinator, now_ns);
}

void
weir_coordinator_leave(struct weir_coordinator *coordinator, bool is_left, int64_t now_ns)
{
    if (weir_coordinator_enter(coordinator)) {
        coordinator->is_left = is_left;
        coordinator->periodic_ns = now_ns + coordinator->conf.interval_ns;
    }
}

void
weir_coordinator_begun(struct weir_coordinator *coordinator,
    const struct weir_checkpoint_request *request, int64_t now_ns)
{
    struct weir_checkpoint_request asked = *request;
    if (!weir_coordinator_enter(coordinator)) {
        return;
    }
    asked.is_periodic = false;
    asked.asked_ns = now_ns;
    enum weir_checkpoint_reason reason = mode_check(coordinator);
    struct weir_checkpoint_limits limits = limits_of(coordinator, now_ns);
    if (reason == WEIR_CHECKPOINT_NONE &&
        (limits.is_held || limits.pending_cnt >= limits.concurrent_max)) {
        reason = WEIR_CHECKPOINT_TOO_MANY_REQUESTS;
    }
    if (reason != WEIR_CHECKPOINT_NONE) {
        weir_coordinator_refuse(coordinator, &asked, reason);
        return;
    }
    if (asked.stop != WEIR_CHECKPOINT_GO_ON) {
        coordinator->mode = COORDINATOR_STOPPING;
    }
    start_one(coordinator, &asked, now_ns);
}

/* What a finished or a new attempt of a task means for the totals that are kept of it. */
static void
keep_totals(
    struct weir_coordinator *coordinator, const struct weir_coordinator_task *task, bool is_new)
{
    for (uint32_t i = 0; is_new && i < coordinator->conf.channel_cnt; i++) {
        const struct weir_ledger_channel *channel = &coordinator->channel[i];
        uint8_t own = (uint8_t)((channel->from_task == task->task ? WEIR_LEDGER_HAS_OUT : 0) |
                                (channel->to_task == task->task ? WEIR_LEDGER_HAS_IN : 0));
        coordinator->last[i].has &= (uint8_t)~own;
    }
    for (uint32_t i = 0; task->state == WEIR_COORDINATOR_TASK_FINISHED && i < task->entry_cnt;
         i++) {
        /* What is wrong here is missing later, and the next checkpoint says so. */
        (void)weir_ledger_enter(coordinator->channel, coordinator->conf.channel_cnt, task->task,
            &task->entry[i], coordinator->last);
    }
}

bool
weir_coordinator_task(
    struct weir_coordinator *coordinator, const struct weir_coordinator_task *task, int64_t now_ns)
{
    if (!weir_coordinator_enter(coordinator) || task->task >= coordinator->conf.task_cnt) {
        return false;
    }
    struct coordinator_known_task *known = &coordinator->task[task->task];
    bool is_new = task->attempt > known->attempt;
    if (task->attempt < known->attempt || (!is_new && task->state <= known->state)) {
        return !is_new && task->attempt == known->attempt && task->state == known->state;
    }
    known->attempt = task->attempt;
    known->state = task->state;
    keep_totals(coordinator, task, is_new);
    for (uint32_t i = 0; i < coordinator->slot_cnt; i++) {
        struct coordinator_slot *slot = &coordinator->slot[i];
        uint8_t part = slot->member[task->task].part;
        bool is_missing = (part & WEIR_MEMBER_ACK) != 0 && (part & WEIR_MEMBER_ACKED) == 0;
        if (coordinator_is_waiting(slot) && is_new) {
            weir_coordinator_end(coordinator, slot, WEIR_CHECKPOINT_RESTARTED);
        } else if (coordinator_is_waiting(slot) && is_missing &&
                   task->state == WEIR_COORDINATOR_TASK_FINISHED) {
            weir_coordinator_end(coordinator, slot, WEIR_CHECKPOINT_TASK_CLOSING);
        }
    }
    weir_coordinator_start_due(coordinator, now_ns);
    return true;
}
