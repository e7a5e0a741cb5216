/* SPDX-License-Identifier: Apache-2.0 */
/* coordinator.c: memory, the queue of what is said, and the states of a checkpoint up to its end.
 * What starts one: coordinator_start.c; acks and the store's answers: coordinator_ack.c. */
#include "sched/coordinator_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"

static int
conf_check(const struct weir_coordinator_conf *conf)
{
    if (conf->task_cnt == 0) {
        return weir_err_push(WEIR_EINVAL, "a coordinator without tasks");
    }
    if (conf->concurrent_max == 0 || conf->concurrent_max > WEIR_COORDINATOR_CONCURRENT_MAX) {
        return weir_err_push(WEIR_EINVAL, "%u checkpoints at once, and it is 1 to %d",
            conf->concurrent_max, WEIR_COORDINATOR_CONCURRENT_MAX);
    }
    if (conf->queue_max == 0 || conf->queue_max > WEIR_CHECKPOINT_QUEUE_CNT_MAX) {
        return weir_err_push(WEIR_EINVAL, "a queue of %u requests, and it is 1 to %d",
            conf->queue_max, WEIR_CHECKPOINT_QUEUE_CNT_MAX);
    }
    if (conf->interval_ns < 0 || conf->first_ns < 0 || conf->pause_ns < 0 ||
        conf->timeout_ns <= 0) {
        return weir_err_push(WEIR_EINVAL, "interval %lld ns, pause %lld ns, timeout %lld ns",
            (long long)conf->interval_ns, (long long)conf->pause_ns, (long long)conf->timeout_ns);
    }
    for (uint32_t i = 0; i < conf->channel_cnt; i++) {
        const struct weir_ledger_channel *channel = &conf->channel[i];
        if (channel->from_task >= conf->task_cnt || channel->to_task >= conf->task_cnt) {
            return weir_err_push(WEIR_EINVAL, "channel %s joins tasks %u and %u of %u",
                channel->name, channel->from_task, channel->to_task, conf->task_cnt);
        }
    }
    return 0;
}

/* calloc, where nothing is no error. */
static bool
take_array(void *ret_array, size_t cnt, size_t bytes)
{
    void *array = calloc(cnt > 0 ? cnt : 1, bytes);
    memcpy(ret_array, &array, sizeof array);
    return array != NULL;
}

static bool
take_memory(struct weir_coordinator *coordinator)
{
    const struct weir_coordinator_conf *conf = &coordinator->conf;
    struct weir_checkpoint_request *waiting = NULL;
    coordinator->pending_max = conf->concurrent_max + WEIR_COORDINATOR_SAVEPOINT_CNT_MAX;
    uint32_t live_max = coordinator->pending_max + WEIR_COORDINATOR_UNCOMMITTED_CNT_MAX;
    /* All that are alive may end with one message and as many start: the ended ones keep their
     * slots until the next. A slot says at most four things in one message. */
    coordinator->slot_cnt = 2 * live_max;
    coordinator->out_cnt_max = 4 * coordinator->slot_cnt + conf->queue_max + 4;
    bool is_done =
        take_array(&coordinator->task, conf->task_cnt, sizeof coordinator->task[0]) &&
        take_array(&coordinator->task_commits, conf->task_cnt, sizeof(bool)) &&
        take_array(&coordinator->channel, conf->channel_cnt, sizeof coordinator->channel[0]) &&
        take_array(&coordinator->last, conf->channel_cnt, sizeof coordinator->last[0]) &&
        take_array(&coordinator->slot, coordinator->slot_cnt, sizeof coordinator->slot[0]) &&
        take_array(&coordinator->out, coordinator->out_cnt_max, sizeof coordinator->out[0]) &&
        take_array(&waiting, conf->queue_max, sizeof waiting[0]);
    if (waiting != NULL) {
        weir_checkpoint_queue_init(&coordinator->queue, waiting, conf->queue_max);
    }
    uint32_t pending_max = coordinator->pending_max;
    is_done = is_done &&
              take_array(&coordinator->line, (size_t)pending_max * conf->channel_cnt,
                  sizeof coordinator->line[0]) &&
              take_array(&coordinator->line_free, pending_max, sizeof coordinator->line_free[0]);
    for (uint32_t i = 0; is_done && i < pending_max; i++) {
        coordinator->line_free[coordinator->line_free_cnt++] =
            &coordinator->line[(size_t)i * conf->channel_cnt];
    }
    for (uint32_t i = 0; is_done && i < coordinator->slot_cnt; i++) {
        struct coordinator_slot *slot = &coordinator->slot[i];
        is_done = take_array(&slot->member, conf->task_cnt, sizeof slot->member[0]);
    }
    return is_done;
}

int
weir_coordinator_new(
    const struct weir_coordinator_conf *conf, struct weir_coordinator **ret_coordinator)
{
    int err = conf_check(conf);
    if (err != 0) {
        return err;
    }
    struct weir_coordinator *coordinator = calloc(1, sizeof *coordinator);
    if (coordinator != NULL) {
        coordinator->conf = *conf;
    }
    if (coordinator == NULL || !take_memory(coordinator)) {
        weir_coordinator_close(coordinator);
        return weir_err_push(WEIR_ENOMEM, "the checkpoint coordinator");
    }
    memcpy(coordinator->task_commits, conf->task_commits, conf->task_cnt * sizeof(bool));
    if (conf->channel_cnt > 0) {
        memcpy(coordinator->channel, conf->channel, conf->channel_cnt * sizeof conf->channel[0]);
    }
    coordinator->conf.task_commits = coordinator->task_commits;
    coordinator->conf.channel = coordinator->channel;
    coordinator->id_last = conf->id_last;
    coordinator->notified_id = conf->id_last;
    weir_checkpoint_failures_init(&coordinator->failures, conf->tolerable);
    *ret_coordinator = coordinator;
    return 0;
}

void
weir_coordinator_close(struct weir_coordinator *coordinator)
{
    if (coordinator == NULL) {
        return;
    }
    for (uint32_t i = 0; coordinator->slot != NULL && i < coordinator->slot_cnt; i++) {
        free(coordinator->slot[i].member);
    }
    free(coordinator->slot);
    free(coordinator->line);
    free(coordinator->line_free);
    free(coordinator->queue.request);
    free(coordinator->out);
    free(coordinator->last);
    free(coordinator->channel);
    free(coordinator->task_commits);
    free(coordinator->task);
    free(coordinator);
}

bool
weir_coordinator_poll(struct weir_coordinator *coordinator, struct weir_coordinator_out *ret_out)
{
    if (coordinator->out_at == coordinator->out_cnt) {
        return false;
    }
    *ret_out = coordinator->out[coordinator->out_at++];
    return true;
}

struct weir_coordinator_out *
weir_coordinator_say(struct weir_coordinator *coordinator, enum weir_coordinator_out_kind kind,
    const struct coordinator_slot *slot, enum weir_checkpoint_reason reason)
{
    WEIR_CHECK(coordinator->mode != COORDINATOR_HALTED, "said %d after the halt", (int)kind);
    WEIR_CHECK(coordinator->out_cnt < coordinator->out_cnt_max, "more than %u messages at once",
        coordinator->out_cnt_max);
    struct weir_coordinator_out *out = &coordinator->out[coordinator->out_cnt++];
    *out = (struct weir_coordinator_out){.kind = kind, .reason = reason};
    if (slot != NULL) {
        out->id = slot->id;
        out->triggered_ns = slot->triggered_ns;
        out->request = slot->request;
        out->member = slot->member;
    }
    return out;
}

bool
weir_coordinator_enter(struct weir_coordinator *coordinator)
{
    WEIR_CHECK(coordinator->out_at == coordinator->out_cnt, "%u messages were not taken",
        coordinator->out_cnt - coordinator->out_at);
    coordinator->out_at = 0;
    coordinator->out_cnt = 0;
    for (uint32_t i = 0; i < coordinator->slot_cnt; i++) {
        struct coordinator_slot *slot = &coordinator->slot[i];
        if (slot->state == WEIR_COORDINATOR_DONE || slot->state == WEIR_COORDINATOR_ABORTED) {
            slot->state = WEIR_COORDINATOR_FREE;
        }
    }
    return coordinator->mode != COORDINATOR_HALTED;
}

void
weir_coordinator_advance(struct weir_coordinator *coordinator, struct coordinator_slot *slot,
    enum weir_coordinator_state to)
{
#define TO(state) (1u << WEIR_COORDINATOR_##state)
    static const uint32_t legal[WEIR_COORDINATOR_STATE_CNT] = {
        [WEIR_COORDINATOR_FREE] = TO(COLLECTING),
        [WEIR_COORDINATOR_COLLECTING] = TO(READY) | TO(ABORTED),
        [WEIR_COORDINATOR_READY] = TO(STORING) | TO(ABORTED),
        [WEIR_COORDINATOR_STORING] = TO(STORED) | TO(ABORTED) | TO(UNKNOWN),
        [WEIR_COORDINATOR_STORED] = TO(NOTIFIED) | TO(DONE),
        [WEIR_COORDINATOR_NOTIFIED] = TO(DONE),
    };
#undef TO
    WEIR_CHECK((legal[slot->state] >> to & 1) != 0, "checkpoint %" PRIu64 " from state %d to %d",
        slot->id, (int)slot->state, (int)to);
    if (slot->state == WEIR_COORDINATOR_COLLECTING) {
        coordinator->line_free[coordinator->line_free_cnt++] = slot->line;
        slot->line = NULL;
    }
    slot->state = to;
    if (to == WEIR_COORDINATOR_ABORTED || to == WEIR_COORDINATOR_STORED) {
        coordinator->recent[coordinator->recent_seq++ % WEIR_COORDINATOR_RECENT_CNT] =
            (struct coordinator_ended){slot->id, to == WEIR_COORDINATOR_STORED};
    }
}

struct coordinator_slot *
weir_coordinator_find(const struct weir_coordinator *coordinator, uint64_t id)
{
    for (uint32_t i = 0; i < coordinator->slot_cnt; i++) {
        if (coordinator->slot[i].state != WEIR_COORDINATOR_FREE && coordinator->slot[i].id == id) {
            return &coordinator->slot[i];
        }
    }
    return NULL;
}

void
weir_coordinator_refuse(struct weir_coordinator *coordinator,
    const struct weir_checkpoint_request *request, enum weir_checkpoint_reason reason)
{
    struct weir_coordinator_out *out =
        weir_coordinator_say(coordinator, WEIR_COORDINATOR_ANSWER, NULL, reason);
    out->request = *request;
}

/* The end itself, without what it means for the job. */
static void
abort_slot(struct weir_coordinator *coordinator, struct coordinator_slot *slot,
    enum weir_checkpoint_reason reason)
{
    weir_coordinator_advance(coordinator, slot, WEIR_COORDINATOR_ABORTED);
    (void)weir_coordinator_say(coordinator, WEIR_COORDINATOR_ABORT, slot, reason);
    (void)weir_coordinator_say(coordinator, WEIR_COORDINATOR_DROP, slot, reason);
    (void)weir_coordinator_say(coordinator, WEIR_COORDINATOR_ANSWER, slot, reason);
    if (slot->request.stop != WEIR_CHECKPOINT_GO_ON && coordinator->mode == COORDINATOR_STOPPING) {
        coordinator->mode = COORDINATOR_ON;
    }
}

/* Nothing starts any more; what is being stored goes on. */
static void
switch_off(struct weir_coordinator *coordinator)
{
    struct weir_checkpoint_request request;
    coordinator->mode = COORDINATOR_OFF;
    while (weir_checkpoint_queue_take(&coordinator->queue, &request)) {
        weir_coordinator_refuse(coordinator, &request, WEIR_CHECKPOINT_SUSPENDED);
    }
    for (uint32_t i = 0; i < coordinator->slot_cnt; i++) {
        if (coordinator_is_waiting(&coordinator->slot[i])) {
            abort_slot(coordinator, &coordinator->slot[i], WEIR_CHECKPOINT_SUSPENDED);
        }
    }
}

void
weir_coordinator_fail(
    struct weir_coordinator *coordinator, uint64_t id, enum weir_checkpoint_reason reason)
{
    struct weir_coordinator_out *out =
        weir_coordinator_say(coordinator, WEIR_COORDINATOR_FAIL, NULL, reason);
    out->id = id;
    out->text = coordinator->text;
    switch_off(coordinator);
}

/* Whether it was one overdue checkpoint too many with which the job was to end. A fault of the
 * storage between two of them says that the time-out is not all there is. */
static bool
is_end_overdue(struct weir_coordinator *coordinator, const struct coordinator_slot *slot,
    enum weir_checkpoint_reason reason)
{
    if (!slot->is_last || !weir_checkpoint_reason_counts(reason)) {
        return false;
    }
    coordinator->last_overdue_cnt =
        reason == WEIR_CHECKPOINT_EXPIRED ? coordinator->last_overdue_cnt + 1 : 0;
    return coordinator->conf.tolerable == WEIR_CHECKPOINT_TOLERABLE_UNLIMITED &&
           coordinator->last_overdue_cnt >= WEIR_COORDINATOR_LAST_OVERDUE_CNT_MAX;
}

void
weir_coordinator_end(struct weir_coordinator *coordinator, struct coordinator_slot *slot,
    enum weir_checkpoint_reason reason)
{
    const char *why = weir_checkpoint_reason_text(reason);
    bool is_savepoint = slot->request.kind == WEIR_CHECKPOINT_KIND_SAVEPOINT;
    /* A restart of tasks means that the job fails already. */
    bool is_stop = slot->request.stop != WEIR_CHECKPOINT_GO_ON &&
                   reason != WEIR_CHECKPOINT_RESTARTED && reason != WEIR_CHECKPOINT_LEDGER;
    bool was_off = coordinator->mode == COORDINATOR_OFF;
    abort_slot(coordinator, slot, reason);
    bool is_too_many =
        !is_savepoint && weir_checkpoint_failures_add(&coordinator->failures, slot->id, reason);
    bool is_overdue = is_end_overdue(coordinator, slot, reason);
    if (was_off || (!is_stop && !is_too_many && !is_overdue)) {
        return;
    }
    if (is_stop) {
        /* Its tasks have stopped their sources for it: they cannot go on as if it had not been. */
        (void)snprintf(coordinator->text, sizeof coordinator->text,
            "%s %" PRIu64 ", which was to stop the job, was aborted: %s",
            is_savepoint ? "savepoint" : "checkpoint", slot->id, why);
    } else if (is_overdue) {
        (void)snprintf(coordinator->text, sizeof coordinator->text,
            "checkpoint %" PRIu64 ", with which the job was to end, took longer than "
            "checkpoints.timeout (%g s), as did the %d before it: give it more time",
            slot->id, (double)coordinator->conf.timeout_ns / (double)WEIR_SEC_NS,
            WEIR_COORDINATOR_LAST_OVERDUE_CNT_MAX - 1);
    } else {
        (void)snprintf(coordinator->text, sizeof coordinator->text,
            "checkpoint %" PRIu64 " failed: %s; more than %" PRIu64 " in a row are not borne",
            slot->id, why, coordinator->conf.tolerable);
    }
    weir_coordinator_fail(coordinator, slot->id, reason);
}

void
weir_coordinator_suspend(struct weir_coordinator *coordinator, int64_t now_ns)
{
    (void)now_ns;
    if (weir_coordinator_enter(coordinator)) {
        switch_off(coordinator);
    }
}

bool
weir_coordinator_is_settled(const struct weir_coordinator *coordinator)
{
    for (uint32_t i = 0; i < coordinator->slot_cnt; i++) {
        if (coordinator->slot[i].state == WEIR_COORDINATOR_STORING) {
            return false;
        }
    }
    return true;
}

enum weir_coordinator_state
weir_coordinator_state(const struct weir_coordinator *coordinator, uint64_t id)
{
    const struct coordinator_slot *slot = weir_coordinator_find(coordinator, id);
    return slot != NULL ? slot->state : WEIR_COORDINATOR_FREE;
}

uint32_t
weir_coordinator_pending_cnt(const struct weir_coordinator *coordinator)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < coordinator->slot_cnt; i++) {
        cnt += coordinator_is_pending(&coordinator->slot[i]) ? 1 : 0;
    }
    return cnt;
}

uint32_t
weir_coordinator_queue_cnt(const struct weir_coordinator *coordinator)
{
    return coordinator->queue.cnt;
}

uint64_t
weir_coordinator_id_last(const struct weir_coordinator *coordinator)
{
    return coordinator->id_last;
}
