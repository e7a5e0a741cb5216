/* SPDX-License-Identifier: Apache-2.0 */
/* The storage core: what the coordinator says is done here. */
#include "sched/job_checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/check.h"
#include "base/killpoint.h"
#include "base/log.h"
#include "io/io.h"
#include "sched/graph_node.h"
#include "sched/job_checkpoint_priv.h"

/* Letters of a task between two looks of the storage core: for each of its slots what begins, goes
 * on and ends, what declines do, and its end. */
#define LETTER_CNT_TASK 16
#define LETTER_CNT_MIN 256
/* Before a checkpoint that the end of the job waits for is asked for again. */
#define RETRY_NS (100 * WEIR_MS)
/* Before a stop is asked for again, whose tasks are not running yet. */
#define STOP_RETRY_NS WEIR_MS
#define NAME_BYTES 160

/* ---- flights ---- */

struct cp_flight *
weir_job_checkpoint_flight(struct weir_job_checkpoint *cp, uint64_t id)
{
    for (uint32_t i = 0; i < CP_FLIGHT_CNT_MAX; i++) {
        if (cp->flight[i].id == id) {
            return &cp->flight[i];
        }
    }
    return NULL;
}

static void
flight_begin(struct weir_job_checkpoint *cp, const struct weir_coordinator_out *out)
{
    struct cp_flight *flight = weir_job_checkpoint_flight(cp, 0);
    WEIR_CHECK(flight != NULL, "more than %d checkpoints at once", CP_FLIGHT_CNT_MAX);
    flight->id = out->id;
    flight->triggered_ns = out->triggered_ns;
    flight->wait_seq = cp->wait_seq;
    flight->number = out->request.number;
    flight->is_savepoint = out->request.kind == WEIR_CHECKPOINT_KIND_SAVEPOINT;
    if (flight->is_savepoint) {
        weir_store_rlx(&cp->job->held_id, out->id); /* relaxed: see held_of() of job_spill.c */
    }
    flight->record =
        (struct weir_job_checkpoint_record){.id = out->id, .utc_ns = weir_io_wall_ns(cp->io)};
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        flight->is_finished[s] = (out->member[s].part & WEIR_MEMBER_FINISHED) != 0;
    }
}

/* ---- what the coordinator says ---- */

void
weir_job_checkpoint_fail(struct weir_job_checkpoint *cp, int err, const char *text)
{
    if (cp->error == 0) {
        cp->error = err;
        (void)snprintf(cp->error_text, sizeof cp->error_text, "%s", text);
        weir_job_request(cp->job, WEIR_TASK_REQUEST_CANCEL);
    }
}

static void
drop_all(struct weir_job_checkpoint *cp, uint64_t id)
{
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        struct cp_slot *slot = weir_job_checkpoint_slot_of(&cp->stage[s], id);
        if (slot != NULL) {
            weir_job_checkpoint_slot_drop(&cp->stage[s], slot);
        }
    }
}

/* Others come with the beginning and the end of tasks. */
static bool
is_fault(enum weir_checkpoint_reason reason)
{
    switch (reason) {
    case WEIR_CHECKPOINT_EXPIRED:
    case WEIR_CHECKPOINT_DECLINED:
    case WEIR_CHECKPOINT_ASYNC:
    case WEIR_CHECKPOINT_IO:
    case WEIR_CHECKPOINT_FINALIZE:
    case WEIR_CHECKPOINT_LEDGER:
    case WEIR_CHECKPOINT_SOURCES_APART:
        return true;
    default:
        return false;
    }
}

static void
aborted(struct weir_job_checkpoint *cp, const struct weir_coordinator_out *out)
{
    struct cp_flight *flight = weir_job_checkpoint_flight(cp, out->id);
    if (flight != NULL && weir_job_checkpoint_moves(cp, out->id)) {
        weir_job_checkpoint_post_rest(cp, flight); /* it goes on without those that have ended */
    }
    weir_job_checkpoint_post_members(cp, out, WEIR_TASK_ABORT);
    drop_all(cp, out->id);
    if (flight != NULL) {
        flight->id = 0;
    }
    cp->retry_ns = cp->now_ns + RETRY_NS;
    bool is_failure = is_fault(out->reason);
    weir_log(is_failure ? WEIR_LOG_WARNING : WEIR_LOG_DEBUG, 0,
        "checkpoint %" PRIu64 " was aborted: %s", out->id,
        weir_checkpoint_reason_text(out->reason));
    (void)pthread_mutex_lock(&cp->look_mutex);
    if (is_failure) {
        weir_job_checkpoint_probe_failed(cp);
        cp->view.failed_cnt++;
        cp->view.failed_id = out->id;
        cp->view.failed_why = weir_checkpoint_reason_text(out->reason);
    }
    (void)pthread_mutex_unlock(&cp->look_mutex);
}

static void
completed(struct weir_job_checkpoint *cp, const struct weir_coordinator_out *out)
{
    struct cp_flight *flight = weir_job_checkpoint_flight(cp, out->id);
    struct weir_job_checkpoint_record *record = &flight->record;
    weir_job_checkpoint_completed(cp, flight);
    weir_job_checkpoint_probe_passed(cp);
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        cp->stage[s].waits &= cp->stage[s].wait_seq > flight->wait_seq;
    }
    record->duration_ns = cp->now_ns - flight->triggered_ns;
    (void)pthread_mutex_lock(&cp->look_mutex);
    cp->records[cp->view.completed_cnt % WEIR_JOB_CHECKPOINT_RECORD_CNT_MAX] = *record;
    cp->view.completed_cnt++;
    cp->view.last = *record;
    (void)pthread_mutex_unlock(&cp->look_mutex);
    weir_log(WEIR_LOG_DEBUG, 0,
        "checkpoint %" PRIu64 " is complete: %" PRIu64 " bytes in %.3f ms, stall %.3f ms",
        record->id, record->bytes, (double)record->duration_ns / 1e6,
        (double)record->stall_ns / 1e6);
    flight->id = 0;
}

/* The end of what somebody asked for. */
static void
answered(struct weir_job_checkpoint *cp, const struct weir_coordinator_out *out)
{
    if (out->request.kind == WEIR_CHECKPOINT_KIND_SAVEPOINT) {
        if (weir_job_checkpoint_saved(cp, out)) {
            cp->retry_ns = cp->now_ns + STOP_RETRY_NS;
        }
        return;
    }
    if (out->request.ticket == CP_TICKET_MOVE) {
        weir_job_checkpoint_move_answered(cp, out);
        return;
    }
    bool is_stop = out->request.ticket == CP_TICKET_STOP;
    if (!is_stop || out->reason == WEIR_CHECKPOINT_NONE) {
        return;
    }
    if (out->reason == WEIR_CHECKPOINT_NOT_RUNNING) {
        cp->stop_asked = false;
        cp->retry_ns = cp->now_ns + STOP_RETRY_NS;
    } else if (out->reason == WEIR_CHECKPOINT_TASKS_FINISHED) {
        cp->stop_wanted = false;
        weir_job_request_tasks(cp->job, WEIR_TASK_REQUEST_STOP);
    }
}

static void
fail_job(struct weir_job_checkpoint *cp, const struct weir_coordinator_out *out)
{
    bool is_storage = out->reason == WEIR_CHECKPOINT_IO || out->reason == WEIR_CHECKPOINT_FINALIZE;
    weir_job_checkpoint_fail(cp,
        out->reason == WEIR_CHECKPOINT_LEDGER    ? WEIR_EBUG
        : out->reason == WEIR_CHECKPOINT_FENCED  ? WEIR_EFENCED
        : out->reason == WEIR_CHECKPOINT_UNKNOWN ? WEIR_EOUTCOME
        : is_storage                             ? WEIR_EIO
                                                 : WEIR_EFAILED,
        out->text);
}

void
weir_job_checkpoint_drain(struct weir_job_checkpoint *cp)
{
    struct weir_coordinator_out out;
    while (weir_coordinator_poll(cp->coordinator, &out)) {
        cp->worked = true;
        switch (out.kind) {
        case WEIR_COORDINATOR_TRIGGER:
            weir_job_checkpoint_move_begin(cp, &out);
            flight_begin(cp, &out);
            WEIR_KILLPOINT(C1_TRIGGERED);
            weir_job_checkpoint_post_trigger(cp, weir_job_checkpoint_flight(cp, out.id), &out);
            break;
        case WEIR_COORDINATOR_ABORT:
            aborted(cp, &out);
            break;
        case WEIR_COORDINATOR_STORE:
            cp->storing_id = out.id;
            WEIR_KILLPOINT(C2_ACKED);
            break;
        case WEIR_COORDINATOR_NOTIFY:
            cp->notified_id = out.id;
            weir_job_checkpoint_post_members(cp, &out, WEIR_TASK_NOTIFY);
            WEIR_KILLPOINT(C6_NOTIFIED);
            break;
        case WEIR_COORDINATOR_DROP:
            drop_all(cp, out.id);
            break;
        case WEIR_COORDINATOR_COMPLETED:
            completed(cp, &out);
            break;
        case WEIR_COORDINATOR_COMMITTED:
            cp->tidy_wanted = true;
            WEIR_KILLPOINT(C6_COMMITTED);
            break;
        case WEIR_COORDINATOR_ANSWER:
            answered(cp, &out);
            break;
        case WEIR_COORDINATOR_HALT:
            cp->is_halted = true;
            fail_job(cp, &out);
            break;
        default: /* FAIL */
            fail_job(cp, &out);
            break;
        }
    }
    weir_job_checkpoint_hold(cp);
}

void
weir_job_checkpoint_hold(struct weir_job_checkpoint *cp)
{
    bool is_held = cp->probe.is_held || cp->move.holds;
    if (is_held != cp->is_held) {
        cp->is_held = is_held;
        weir_coordinator_hold(cp->coordinator, is_held, cp->now_ns);
        weir_job_checkpoint_drain(cp);
    }
}

/* ---- time, and what is asked ---- */

void
weir_job_checkpoint_note_running(struct weir_job_checkpoint *cp)
{
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        struct cp_stage *stage = &cp->stage[s];
        if (stage->state == WEIR_COORDINATOR_TASK_STARTING &&
            weir_task_state(weir_job_task(cp->job, s)) == WEIR_TASK_RUNNING) {
            const struct weir_coordinator_task task = {
                .task = s, .attempt = 1, .state = WEIR_COORDINATOR_TASK_RUNNING};
            stage->state = WEIR_COORDINATOR_TASK_RUNNING;
            (void)weir_coordinator_task(cp->coordinator, &task, cp->now_ns);
            weir_job_checkpoint_drain(cp);
        }
    }
}

/* A task is out of data, and ends with a checkpoint that begins now. */
static bool
some_wait(const struct weir_job_checkpoint *cp)
{
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        if (cp->stage[s].waits && !cp->stage[s].has_ended) {
            return true;
        }
    }
    return false;
}

/* Nothing is left of the job but tasks that are out of data. */
static bool
all_wait(const struct weir_job_checkpoint *cp)
{
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        if (!cp->stage[s].waits && !cp->stage[s].has_ended) {
            return false;
        }
    }
    return cp->ended_cnt < cp->stage_cnt;
}

static void
note_last(struct weir_job_checkpoint *cp)
{
    bool is_last = all_wait(cp);
    if (is_last != cp->is_last) {
        cp->is_last = is_last;
        weir_coordinator_await_last(cp->coordinator, is_last);
    }
}

bool
weir_job_checkpoint_is_awaited(const struct weir_job_checkpoint *cp)
{
    return cp->stop_wanted || some_wait(cp);
}

/* It is to be asked for: none is under way that it may end with. */
static bool
wants_last(const struct weir_job_checkpoint *cp)
{
    return !cp->stop_wanted && !cp->is_left && weir_coordinator_pending_cnt(cp->coordinator) == 0 &&
           weir_coordinator_queue_cnt(cp->coordinator) == 0 && some_wait(cp);
}

static void
ask(struct weir_job_checkpoint *cp, const struct weir_checkpoint_request *request)
{
    weir_job_checkpoint_note_running(cp);
    weir_coordinator_request(cp->coordinator, request, cp->now_ns);
    weir_job_checkpoint_drain(cp);
}

/* It is to be asked for; where sources begin checkpoints it is the next one of theirs. */
static bool
wants_stop(const struct weir_job_checkpoint *cp)
{
    return cp->stop_wanted && !cp->stop_asked && !cp->is_left;
}

static void
ask_due(struct weir_job_checkpoint *cp)
{
    if (cp->is_suspended || cp->now_ns < cp->retry_ns) {
        return;
    }
    if (cp->savepoint_ticket != 0 && !cp->savepoint_asked) {
        const struct weir_checkpoint_request request = {
            .ticket = cp->savepoint_ticket, .kind = WEIR_CHECKPOINT_KIND_SAVEPOINT};
        cp->savepoint_asked = true;
        ask(cp, &request);
        return;
    }
    if (wants_stop(cp)) {
        const struct weir_checkpoint_request request = {
            .ticket = CP_TICKET_STOP, .stop = WEIR_CHECKPOINT_SUSPEND};
        cp->stop_asked = true;
        ask(cp, &request);
        return;
    }
    if (weir_job_checkpoint_wants_move(cp)) {
        struct weir_checkpoint_request request;
        weir_job_checkpoint_move_ask(cp, &request);
        ask(cp, &request);
        return;
    }
    if (wants_last(cp)) {
        const struct weir_checkpoint_request request = {.stop = WEIR_CHECKPOINT_GO_ON};
        cp->retry_ns = cp->now_ns + RETRY_NS;
        ask(cp, &request);
    }
}

static void
suspend(struct weir_job_checkpoint *cp)
{
    if (!cp->is_suspended) {
        cp->is_suspended = true;
        weir_coordinator_suspend(cp->coordinator, cp->now_ns);
        weir_job_checkpoint_drain(cp);
    }
    weir_job_checkpoint_save_refuse(cp);
    weir_job_checkpoint_move_refuse(cp);
}

static void
end_stage(struct weir_job_checkpoint *cp, struct cp_stage *stage, enum weir_task_state state)
{
    stage->has_ended = true;
    stage->out_cnt = 0;
    cp->ended_cnt++;
    if (state != WEIR_TASK_FINISHED) {
        cp->is_ended_badly = true;
        suspend(cp);
        return;
    }
    const struct weir_coordinator_task task = {.task = stage->idx,
        .attempt = 1,
        .state = WEIR_COORDINATOR_TASK_FINISHED,
        .entry = stage->last,
        .entry_cnt = stage->last_cnt};
    stage->state = WEIR_COORDINATOR_TASK_FINISHED;
    cp->finished_id = 0;
    (void)weir_coordinator_task(cp->coordinator, &task, cp->now_ns);
    weir_job_checkpoint_drain(cp);
    if (cp->ended_cnt == cp->stage_cnt) {
        suspend(cp);
    }
}

/* A task that has finished has committed all it ever will, also what it was not told of. */
static void
commit_finished(struct weir_job_checkpoint *cp)
{
    uint64_t id = cp->notified_id;
    if (id == cp->finished_id) {
        return;
    }
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        const struct cp_stage *stage = &cp->stage[s];
        if (stage->commits && stage->state == WEIR_COORDINATOR_TASK_FINISHED) {
            weir_coordinator_committed(cp->coordinator, s, id, cp->now_ns);
            weir_job_checkpoint_drain(cp);
        }
    }
    cp->finished_id = id;
}

static void
take_letters(struct weir_job_checkpoint *cp)
{
    struct weir_letter letter;
    while (weir_mbox_take(cp->mbox, &letter) > 0) {
        cp->worked = true;
        switch (letter.kind) {
        case CP_LETTER_STOP:
            cp->stop_wanted = true;
            break;
        case CP_LETTER_SAVEPOINT:
            cp->savepoint_ticket = letter.args[0];
            if (cp->is_suspended) {
                weir_job_checkpoint_save_refuse(cp);
            }
            break;
        case CP_LETTER_MOVE:
            weir_job_checkpoint_move_take(cp, &letter);
            break;
        case CP_LETTER_RELEASE:
            cp->release_id = letter.args[0];
            break;
        case WEIR_TASK_WAITS:
            cp->stage[letter.from].waits = true;
            cp->stage[letter.from].wait_seq = ++cp->wait_seq;
            weir_job_checkpoint_post_waits(cp);
            break;
        case WEIR_TASK_BEGINS:
            weir_job_checkpoint_begun(&cp->stage[letter.from], letter.args[0]);
            break;
        case WEIR_TASK_COMMITTED:
            weir_coordinator_committed(cp->coordinator, letter.from, letter.args[0], cp->now_ns);
            weir_job_checkpoint_drain(cp);
            break;
        case CP_LETTER_ENDED:
            end_stage(cp, &cp->stage[letter.from], (enum weir_task_state)letter.args[0]);
            break;
        default:
            weir_job_checkpoint_letter(cp, &letter);
            break;
        }
    }
}

/* How many are under way, for who looks. */
static void
note_pending(struct weir_job_checkpoint *cp)
{
    uint32_t cnt = weir_coordinator_pending_cnt(cp->coordinator);
    if (cnt != cp->view.in_progress_cnt) { /* written by this thread alone */
        (void)pthread_mutex_lock(&cp->look_mutex);
        cp->view.in_progress_cnt = cnt;
        (void)pthread_mutex_unlock(&cp->look_mutex);
    }
}

bool
weir_job_checkpoint_poll(struct weir_job_checkpoint *cp, int64_t now_ns)
{
    cp->now_ns = now_ns;
    cp->worked = weir_io_poll(cp->io, now_ns) > 0;
    take_letters(cp);
    note_last(cp);
    weir_job_checkpoint_begin_look(cp);
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        for (uint32_t i = 0; i < cp->slot_cnt; i++) {
            if (cp->stage[s].slot[i].state != SLOT_FREE) {
                weir_job_checkpoint_slot_poll(&cp->stage[s], &cp->stage[s].slot[i]);
            }
        }
    }
    weir_job_checkpoint_store_poll(cp);
    if (now_ns >= weir_coordinator_due_ns(cp->coordinator)) {
        weir_job_checkpoint_note_running(cp);
        weir_coordinator_tick(cp->coordinator, now_ns);
        weir_job_checkpoint_drain(cp);
    }
    commit_finished(cp);
    weir_job_checkpoint_probe_poll(cp);
    weir_job_checkpoint_move_poll(cp);
    ask_due(cp);
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        if (cp->stage[s].out_cnt > 0) {
            weir_job_checkpoint_post_out(&cp->stage[s]);
        }
    }
    note_pending(cp);
    return cp->worked;
}

int64_t
weir_job_checkpoint_due_ns(const struct weir_job_checkpoint *cp)
{
    int64_t due_ns = weir_coordinator_due_ns(cp->coordinator);
    bool asks = !cp->is_suspended &&
                (wants_stop(cp) || wants_last(cp) || weir_job_checkpoint_wants_move(cp) ||
                    (cp->savepoint_ticket != 0 && !cp->savepoint_asked));
    due_ns = asks ? weir_min_i64(due_ns, cp->retry_ns) : due_ns;
    due_ns = weir_min_i64(due_ns, weir_job_checkpoint_probe_due_ns(cp));
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        if (cp->stage[s].out_cnt > 0) {
            return cp->now_ns; /* its mailbox was full */
        }
    }
    return due_ns;
}

/* Nothing more will become of it by itself. */
static bool
is_slot_over(const struct weir_job_checkpoint *cp, const struct cp_slot *slot)
{
    bool is_left = cp->is_halted && slot->state == SLOT_DURABLE; /* recovery decides */
    return slot->state == SLOT_FREE || is_left;
}

bool
weir_job_checkpoint_is_over(const struct weir_job_checkpoint *cp)
{
    if (cp->ended_cnt < cp->stage_cnt || cp->probe.is_running || cp->store_job != STORE_IDLE ||
        cp->storing_id != 0) {
        return false;
    }
    /* What a job leaves that has failed, its next start removes; one of the seeded poller has a
     * time of its own, in which others do nothing. */
    if (cp->kept_id != 0 && !cp->is_ended_badly && !weir_store_is_ended(cp->store) &&
        cp->job->options.poller == WEIR_JOB_THREADS) {
        return false;
    }
    for (uint32_t s = 0; s < cp->stage_cnt; s++) {
        for (uint32_t i = 0; i < cp->slot_cnt; i++) {
            if (!is_slot_over(cp, &cp->stage[s].slot[i])) {
                return false;
            }
        }
    }
    return !cp->tidy_wanted;
}

struct weir_io *
weir_job_checkpoint_io(const struct weir_job_checkpoint *cp)
{
    return cp->io;
}

/* ---- making it ---- */

static bool
commits(const struct weir_job *job, const struct weir_plan_stage *planned)
{
    for (uint32_t i = 0; i < planned->operator_cnt; i++) {
        if (job->env->node[planned->operators[i]].type->committed != NULL) {
            return true;
        }
    }
    return false;
}

static bool
has_begins(const struct weir_job *job, const struct weir_plan_stage *planned)
{
    bool has = false;
    for (uint32_t i = 0; i < planned->operator_cnt; i++) {
        has |= job->env->node[planned->operators[i]].type->begins != NULL;
    }
    return has;
}

/* Of a stage: both ends of channels that it has. */
static uint32_t
channel_end_cnt(const struct weir_plan *plan, uint32_t stage)
{
    uint32_t cnt = 0;
    for (uint32_t c = 0; c < plan->channel_cnt; c++) {
        cnt += plan->channels[c].from_stage == stage ? 1 : 0;
        cnt += plan->channels[c].to_stage == stage ? 1 : 0;
    }
    return cnt;
}

static void
make_channels(struct weir_job_checkpoint *cp)
{
    const struct weir_plan *plan = cp->job->plan;
    cp->channel = weir_env_alloc(cp->job->env, (plan->channel_cnt + 1) * sizeof *cp->channel);
    for (uint32_t c = 0; c < plan->channel_cnt; c++) {
        const struct weir_plan_channel *planned = &plan->channels[c];
        char *name = weir_env_alloc(cp->job->env, NAME_BYTES);
        (void)snprintf(name, NAME_BYTES, "%.72s -> %.72s", plan->stages[planned->from_stage].name,
            plan->stages[planned->to_stage].name);
        cp->channel[c] = (struct weir_ledger_channel){
            .from_task = planned->from_stage, .to_task = planned->to_stage, .name = name};
    }
}

static int
make_stages(struct weir_job_checkpoint *cp)
{
    const struct weir_job_checkpoint_options *options = &cp->options;
    struct weir_job *job = cp->job;
    cp->stage = weir_env_alloc(job->env, cp->stage_cnt * sizeof *cp->stage);
    int rc = 0;
    for (uint32_t s = 0; s < cp->stage_cnt && rc == 0; s++) {
        struct cp_stage *stage = &cp->stage[s];
        stage->checkpoint = cp;
        stage->idx = s;
        stage->open_slot = CP_NONE;
        stage->commits = commits(job, &job->plan->stages[s]);
        stage->has_begins = has_begins(job, &job->plan->stages[s]);
        stage->channel_cnt = options->is_tracked ? 0 : channel_end_cnt(job->plan, s);
        rc = weir_job_checkpoint_slots_new(stage);
    }
    for (uint32_t i = 0; i < CP_FLIGHT_CNT_MAX; i++) {
        cp->flight[i].is_finished = weir_env_alloc(job->env, cp->stage_cnt);
        cp->flight[i].is_untold = weir_env_alloc(job->env, cp->stage_cnt);
    }
    return rc;
}

static int
make_mailbox(struct weir_job_checkpoint *cp)
{
    uint32_t slot_cnt = (uint32_t)weir_pow2_up(weir_max_u64(
        LETTER_CNT_MIN, (uint64_t)cp->stage_cnt * (LETTER_CNT_TASK + 5 * cp->slot_cnt)));
    slot_cnt = weir_min_u32(slot_cnt, WEIR_MBOX_SLOT_CNT_MAX);
    size_t mbox_bytes = weir_align_up(weir_mbox_footprint(slot_cnt), WEIR_LINE_PAIR_BYTES);
    size_t bell_bytes = weir_align_up(weir_doorbell_footprint(1), WEIR_LINE_PAIR_BYTES);
    cp->mbox = aligned_alloc(WEIR_LINE_PAIR_BYTES, mbox_bytes);
    struct weir_doorbell *doorbell = aligned_alloc(WEIR_LINE_PAIR_BYTES, bell_bytes);
    if (cp->mbox == NULL || doorbell == NULL) {
        free(doorbell);
        return weir_err_push(WEIR_ENOMEM, "letters about checkpoints");
    }
    memset(doorbell, 0, bell_bytes);
    int rc = weir_mbox_init(cp->mbox, slot_cnt);
    rc = rc != 0 ? rc : weir_doorbell_open(doorbell, 1);
    if (rc != 0) {
        free(doorbell);
        return rc;
    }
    cp->doorbell = doorbell;
    return 0;
}

static bool
has_pages(const struct weir_job *job)
{
    for (uint32_t i = 0; i < job->env->node_cnt; i++) {
        if (job->env->node[i].keeps_state) {
            return true;
        }
    }
    return false;
}

int
weir_job_checkpoint_new(struct weir_job *job, struct weir_job_checkpoint **ret_checkpoint)
{
    const struct weir_io_config io = weir_job_io(job);
    struct weir_job_checkpoint *cp = calloc(1, sizeof *cp);
    if (cp == NULL) {
        return weir_err_push(WEIR_ENOMEM, "checkpoints of job %s", job->env->job_name);
    }
    (void)pthread_mutex_init(&cp->look_mutex, NULL);
    (void)sem_init(&cp->ready, 0, 0);
    cp->job = job;
    cp->options = job->options.checkpoints;
    if (cp->options.flight_bytes_max == 0) {
        cp->options.flight_bytes_max = CP_FLIGHT_BYTES;
    }
    cp->stage_cnt = job->plan->stage_cnt;
    cp->view.is_on = true;
    cp->view.dir = cp->options.dir;
    cp->sink = weir_env_alloc(job->env, job->env->node_cnt * sizeof(void *));
    /* An arena freezes one epoch at a time. */
    uint32_t concurrent =
        has_pages(job) ? 1
                       : weir_min_u32(cp->options.coordinator.concurrent_max, CP_SLOT_CNT_MAX - 1);
    cp->options.coordinator.concurrent_max = concurrent;
    cp->slot_cnt = concurrent + 1;
    cp->records = calloc(WEIR_JOB_CHECKPOINT_RECORD_CNT_MAX, sizeof *cp->records);
    int rc = cp->records == NULL ? weir_err_push(WEIR_ENOMEM, "records of checkpoints") : 0;
    rc = rc != 0 ? rc : weir_io_open(&io, &cp->io);
    rc = rc != 0 ? rc : make_mailbox(cp);
    rc = rc != 0 ? rc : make_stages(cp);
    rc = rc != 0 ? rc : weir_job_checkpoint_check(cp);
    if (rc != 0) {
        weir_job_checkpoint_delete(cp);
        return rc;
    }
    make_channels(cp);
    *ret_checkpoint = cp;
    return 0;
}

void
weir_job_checkpoint_delete(struct weir_job_checkpoint *cp)
{
    if (cp == NULL) {
        return;
    }
    weir_job_checkpoint_end(cp);
    for (uint32_t s = 0; cp->stage != NULL && s < cp->stage_cnt; s++) {
        weir_job_checkpoint_slots_delete(&cp->stage[s]);
    }
    weir_coordinator_close(cp->coordinator);
    if (cp->io != NULL) {
        weir_io_close(cp->io);
    }
    if (cp->doorbell != NULL) {
        weir_doorbell_close(cp->doorbell);
    }
    free(cp->doorbell);
    free(cp->mbox);
    free(cp->records);
    (void)sem_destroy(&cp->ready);
    (void)pthread_mutex_destroy(&cp->look_mutex);
    free(cp);
}

const void *
weir_job_checkpoint_conf(struct weir_job_checkpoint *cp, const struct weir_graph_node *node)
{
    if (node->type != &weir_file_sink_type) {
        return node->conf;
    }
    struct weir_file_sink_conf **kept = &cp->sink[node - cp->job->env->node];
    if (*kept == NULL) {
        struct weir_file_sink_conf *conf = weir_env_alloc(cp->job->env, sizeof *conf);
        *conf = *(const struct weir_file_sink_conf *)node->conf;
        conf->checkpoints.is_on = true;
        conf->checkpoints.at_least_once = cp->options.is_sink_early;
        *kept = conf;
    }
    return *kept;
}

const struct weir_task_checkpoints *
weir_job_checkpoint_task(struct weir_job_checkpoint *cp, uint32_t stage)
{
    return &cp->stage[stage].conf;
}
