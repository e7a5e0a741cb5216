/* SPDX-License-Identifier: Apache-2.0 */
/* The part of a task in a checkpoint. What is due stands in one place (cut.step), and is worked off
 * before anything more is taken in; each step can stop where an output is full. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/killpoint.h"
#include "base/mutant.h"
#include "dataplane/task_priv.h"

/* The coordinator has a few checkpoints under way at most, each of a few letters. */
#define LETTER_CNT 32
/* Of rows under way that are copied ahead in one poll: some 20 us of it. */
#define FLIGHT_SLICE_BYTES (128 * WEIR_KIB)
/* Letters that were accepted, but are not filled yet, are looked for so often at the end. */
#define GIVE_BACK_TRY_CNT 64

static const char *const decline_names[WEIR_DECLINE_CNT] = {"", "canceled", "subsumed",
    "end of input", "not ready", "closing", "busy", "storage", "snapshot", "pre-commit",
    "too many rows under way"};

const char *
weir_decline_name(enum weir_decline decline)
{
    return decline < WEIR_DECLINE_CNT ? decline_names[decline] : "unknown";
}

/* ---- reports ---- */

static void
report(struct weir_task *task, const struct weir_task_report *what)
{
    task->cut.conf.report_fn(task->cut.conf.arg, task, what);
}

static void
decline(struct weir_task *task, uint64_t id, enum weir_decline why, int error)
{
    const struct weir_task_report what = {
        .kind = WEIR_TASK_DECLINED, .mark.id = id, .decline = why, .error = error};
    report(task, &what);
    if (error != 0) {
        weir_err_clear(); /* it was told */
    }
}

/* ---- memory ---- */

static int
add_mbox(struct weir_task *task)
{
    size_t bytes = weir_mbox_footprint(LETTER_CNT);
    void *mem;
    if (posix_memalign(&mem, WEIR_LINE_PAIR_BYTES, weir_align_up(bytes, WEIR_LINE_PAIR_BYTES)) !=
        0) {
        return weir_err_push(WEIR_ENOMEM, "%zu bytes for letters", bytes);
    }
    int rc = weir_mbox_init(mem, LETTER_CNT);
    if (rc != 0) {
        free(mem);
        return rc;
    }
    task->cut.mbox = mem;
    return 0;
}

int
weir_task_cut_new(struct weir_task *task, const struct weir_task_checkpoints *conf)
{
    struct weir_task_cut *cut = &task->cut;
    uint32_t channel_cnt = 0;
    for (uint32_t g = 0; g < task->gate_cnt; g++) {
        task->gates[g].gate.first = channel_cnt;
        channel_cnt += task->gates[g].gate.channel_cnt;
    }
    cut->is_on = true;
    cut->conf = *conf;
    if (conf->piece_rows_max == 0) {
        cut->conf.piece_rows_max = TASK_PIECE_ROW_CNT_MAX;
    }
    if (conf->flight_slice_bytes == 0) {
        cut->conf.flight_slice_bytes = FLIGHT_SLICE_BYTES;
    }
    cut->end_gate = TASK_GATE_NONE;
    cut->source_channel = channel_cnt;
    cut->looks = conf->mode == WEIR_BARRIER_UNALIGNED;
    task->piece_rows = cut->looks ? 1 : UINT32_MAX; /* how slow its rows are is not known yet */
    const struct weir_barrier_conf barrier = {.mode = conf->mode,
        .channel_cnt = channel_cnt + (task->source_cnt > 0 ? 1 : 0),
        .timeout_ns = conf->timeout_ns,
        .after_end = conf->after_end};
    size_t bytes = weir_barrier_footprint(&barrier);
    cut->barrier_mem = malloc(bytes);
    if (cut->barrier_mem == NULL) {
        return weir_err_push(WEIR_ENOMEM, "%zu bytes for barriers", bytes);
    }
    cut->barrier = weir_barrier_init(&barrier, cut->barrier_mem);
    for (uint32_t g = 0; g < task->gate_cnt; g++) {
        struct weir_gate *gate = &task->gates[g].gate;
        gate->looks = cut->looks;
        for (uint32_t c = 0; c < gate->channel_cnt && task->gates[g].is_forced; c++) {
            weir_barrier_force(cut->barrier, gate->first + c);
        }
    }
    int rc = add_mbox(task);
    rc = rc != 0 ? rc : weir_task_begin_find(task);
    return rc != 0 ? rc : weir_chain_check_uids(task->chain);
}

void
weir_task_cut_delete(struct weir_task *task)
{
    free(task->cut.barrier_mem);
    free(task->cut.mbox);
}

/* ---- ids that were aborted before they began here ---- */

static void
remember(struct weir_task_cut *cut, uint64_t id)
{
    cut->aborted[cut->aborted_cnt % WEIR_TASK_ABORTED_CNT_MAX] = id;
    cut->aborted_cnt++;
}

static bool
was_aborted(const struct weir_task_cut *cut, uint64_t id)
{
    for (uint32_t i = 0; i < weir_min_u32(cut->aborted_cnt, WEIR_TASK_ABORTED_CNT_MAX); i++) {
        if (cut->aborted[i] == id) {
            return true;
        }
    }
    return false;
}

/* ---- what an input makes due ---- */

static void
set_blocked(struct weir_task *task, uint32_t channel)
{
    if (channel == task->cut.source_channel) {
        task->source_poll_cnt = 0;
        return;
    }
    for (uint32_t g = task->gate_cnt; g-- > 0;) {
        struct weir_gate *gate = &task->gates[g].gate;
        if (channel >= gate->first) {
            gate->channels[channel - gate->first].blocked = true;
            return;
        }
    }
}

/* What holds them is a barrier, one that they are about to begin, or a savepoint that stops the
 * job. */
void
weir_task_cut_free_sources(struct weir_task *task)
{
    const struct weir_task_cut *cut = &task->cut;
    bool is_held = task->source_open_cnt == 0 || cut->is_stopping || cut->is_begun ||
                   weir_barrier_is_blocked(cut->barrier, cut->source_channel);
    task->source_poll_cnt = is_held ? 0 : task->source_open_cnt;
}

static void
unblock_all(struct weir_task *task)
{
    weir_task_cut_free_sources(task);
    for (uint32_t g = 0; g < task->gate_cnt; g++) {
        struct weir_gate *gate = &task->gates[g].gate;
        for (uint32_t c = 0; c < gate->channel_cnt; c++) {
            gate->channels[c].blocked = false;
        }
    }
}

static bool
apply(struct weir_task *task, const struct weir_barrier_result *result)
{
    if (result->unblock) {
        unblock_all(task);
    }
    if (result->block != WEIR_BARRIER_CHANNEL_NONE) {
        set_blocked(task, result->block);
    }
    if (result->is_whole) {
        WEIR_DCHECK(task->cut.flight.is_on, "rows under way that nobody copies");
        weir_task_flight_whole(task, &result->gauges);
        return false;
    }
    if (result->abort_cnt == 0 && !result->triggered) {
        return false;
    }
    WEIR_DCHECK(task->cut.due == NULL, "two things are due");
    task->cut.due = result;
    task->cut.abort_at = 0;
    task->cut.step = TASK_CUT_PICK;
    return true;
}

/* Rows taken in so far, in bytes of their structs. */
static struct weir_barrier_when
when_of(const struct weir_task *task, int64_t now_ns)
{
    struct weir_barrier_when when = {.now_ns = now_ns};
    for (uint32_t g = 0; g < task->gate_cnt; g++) {
        const struct weir_gate *gate = &task->gates[g].gate;
        for (uint32_t c = 0; c < gate->channel_cnt; c++) {
            when.bytes += gate->channels[c].rows * gate->format->row_bytes;
        }
    }
    return when;
}

bool
weir_task_cut_event(struct weir_task *task, uint32_t g, int64_t now_ns)
{
    struct weir_barrier *barrier = task->cut.barrier;
    const struct weir_gate *gate = &task->gates[g].gate;
    const struct weir_gate_item *item = &task->item;
    const struct weir_barrier_when when = when_of(task, now_ns);
    uint32_t channel = gate->first + item->channel;
    switch (item->kind) {
    case WEIR_SLOT_BARRIER:
        if (item->is_ahead) { /* behind one with which key groups move it comes in its turn */
            return weir_barrier_moving_id(barrier) == 0 &&
                   apply(task, weir_barrier_announce(barrier, channel, &item->mark, &when));
        }
        return apply(task, weir_barrier_come(barrier, channel, &item->mark, &when));
    case WEIR_SLOT_CANCEL:
        return apply(task, weir_barrier_cancel(barrier, channel, item->mark.id));
    default:
        if (apply(task, weir_barrier_end(barrier, channel, &when))) {
            task->cut.end_gate = gate->open_cnt == 0 ? g : TASK_GATE_NONE;
            return true;
        }
        return false;
    }
}

void
weir_task_cut_announce(
    struct weir_task *task, uint32_t g, const struct weir_gate_item *item, int64_t now_ns)
{
    const struct weir_barrier_when when = when_of(task, now_ns);
    uint32_t channel = task->gates[g].gate.first + item->channel;
    (void)apply(task, weir_barrier_announce(task->cut.barrier, channel, &item->mark, &when));
}

void
weir_task_cut_pass(struct weir_task *task, uint32_t channel, int64_t now_ns)
{
    const struct weir_barrier_when when = when_of(task, now_ns);
    uint64_t id = task->cut.flight.id;
    (void)apply(task, weir_barrier_pass(task->cut.barrier, channel, id, &when));
}

void
weir_task_cut_time(struct weir_task *task, int64_t now_ns)
{
    const struct weir_barrier_when when = when_of(task, now_ns);
    (void)apply(task, weir_barrier_time(task->cut.barrier, &when));
}

bool
weir_task_cut_sources_end(struct weir_task *task, int64_t now_ns)
{
    const struct weir_barrier_when when = when_of(task, now_ns);
    return apply(task, weir_barrier_end(task->cut.barrier, task->cut.source_channel, &when));
}

/* ---- letters ---- */

int
weir_task_post(struct weir_task *task, enum weir_task_letter letter, const struct weir_mark *mark)
{
    const struct weir_letter put = {
        .kind = letter, .args = {mark->id, (uint64_t)mark->trigger_ns, mark->kind}};
    return task->cut.is_on ? weir_mbox_put(task->cut.mbox, &put) : WEIR_ECLOSED;
}

/* What its source has begun was answered. */
static void
go_on(struct weir_task *task)
{
    task->cut.is_begun = false;
    weir_task_cut_free_sources(task);
}

static void
trigger(struct weir_task *task, const struct weir_mark *mark, int64_t now_ns)
{
    struct weir_task_cut *cut = &task->cut;
    const struct weir_barrier_when when = when_of(task, now_ns);
    if (weir_task_state(task) != WEIR_TASK_RUNNING || weir_task_regains(task)) {
        /* Those behind this task must not wait for it; they are told when its outputs are open. */
        decline(task, mark->id, WEIR_DECLINE_NOT_READY, 0);
        cut->declined_early = true;
        cut->decline_id = weir_max_u64(cut->decline_id, mark->id);
        cut->step = TASK_CUT_PICK;
        return;
    }
    if (task->source_open_cnt > 0) {
        (void)apply(task, weir_barrier_come(cut->barrier, cut->source_channel, mark, &when));
        go_on(task);
    } else {
        (void)apply(task, weir_barrier_start(cut->barrier, mark, &when));
    }
}

static int
notify(struct weir_task *task, uint64_t id)
{
    struct weir_task_cut *cut = &task->cut;
    if (id < cut->notified_min || weir_task_state(task) != WEIR_TASK_RUNNING) {
        return 0;
    }
    cut->notified_min = id + 1;
    if (cut->is_final && id + WEIR_MUTANT(FINAL_TOO_SOON) >= cut->final_id) {
        cut->is_final_complete = true;
        WEIR_KILLPOINT(FINAL_TOLD);
    }
    if (cut->is_stopping && id == cut->stop_id) {
        /* No row has come out behind it, and none will. */
        cut->is_stopping = false;
        cut->is_final_complete = true;
        weir_task_cut_free_sources(task);
        weir_task_request(task, WEIR_TASK_REQUEST_STOP);
    }
    if (weir_chain_commits(task->chain)) {
        cut->told_id = id;
    }
    return weir_chain_committed(task->chain, id);
}

/* Give up what was triggered unaligned and is not whole: nobody behind waits for word of it. False:
 * it is not that. What is due (cut->due) is lost. */
static bool
drop_begun(struct weir_task *task, uint64_t id)
{
    if (!task->cut.looks || weir_barrier_begun_id(task->cut.barrier) != id) {
        return false;
    }
    (void)weir_barrier_abort(task->cut.barrier, id);
    weir_task_flight_drop(task);
    return true;
}

static void
forget_flying(struct weir_task_cut *cut, uint32_t i)
{
    cut->flying_cnt--;
    memmove(&cut->flying[i], &cut->flying[i + 1], (cut->flying_cnt - i) * sizeof cut->flying[0]);
}

static int
abort_checkpoint(struct weir_task *task, uint64_t id)
{
    struct weir_task_cut *cut = &task->cut;
    for (uint32_t i = 0; i < cut->flying_cnt; i++) {
        if (cut->flying[i] == id) {
            forget_flying(cut, i);
            break;
        }
    }
    if (cut->is_stopping && id == cut->stop_id) {
        cut->is_stopping = false;
        task->is_quiet = false;
        weir_chain_set_saved(task->chain, false);
        weir_task_cut_free_sources(task);
    }
    if (cut->step == TASK_CUT_BEGIN && id == cut->mark.id) {
        cut->step = TASK_CUT_PICK; /* nobody waits for this snapshot any more */
    }
    bool is_pending = cut->due == NULL && drop_begun(task, id);
    if (!is_pending && cut->step == TASK_CUT_NONE) {
        is_pending = apply(task, weir_barrier_abort(cut->barrier, id));
    }
    if (!is_pending && id >= cut->id_min) {
        remember(cut, id);
    }
    if (weir_task_state(task) != WEIR_TASK_RUNNING) {
        return 0; /* its operators are not open */
    }
    return weir_chain_aborted(task->chain, id);
}

void
weir_task_cut_refuse(struct weir_task *task, uint64_t id)
{
    decline(task, id, WEIR_DECLINE_NOT_READY, 0);
    remember(&task->cut, id);
}

void
weir_task_cut_give_up(struct weir_task *task, enum weir_decline why, int error)
{
    uint64_t id = task->cut.flight.id;
    (void)drop_begun(task, id);
    decline(task, id, why, error);
}

/* A trigger waits while something else is due; what the coordinator says of others does not. */
int
weir_task_cut_letters(struct weir_task *task, int64_t now_ns)
{
    struct weir_task_cut *cut = &task->cut;
    struct weir_letter letter;
    int rc = 0;
    if (cut->is_parked && cut->step == TASK_CUT_NONE &&
        !weir_task_move_delays(task, &cut->parked)) {
        cut->is_parked = false;
        trigger(task, &cut->parked, now_ns);
    }
    for (uint32_t i = 0; i < LETTER_CNT && rc == 0 && !cut->is_parked; i++) {
        if (weir_mbox_take(cut->mbox, &letter) == 0) {
            break;
        }
        const struct weir_mark mark = {.id = letter.args[0],
            .trigger_ns = (int64_t)letter.args[1],
            .kind = (uint32_t)letter.args[2]};
        switch (letter.kind) {
        case WEIR_TASK_TRIGGER:
            if (cut->step != TASK_CUT_NONE || weir_task_move_delays(task, &mark)) {
                cut->is_parked = true;
                cut->parked = mark;
            } else {
                trigger(task, &mark, now_ns);
            }
            break;
        case WEIR_TASK_NOTIFY:
            rc = notify(task, mark.id);
            break;
        case WEIR_TASK_GO_ON:
            go_on(task);
            break;
        default:
            rc = weir_task_move_goes_on(cut, &mark) ? 0 : abort_checkpoint(task, mark.id);
            break;
        }
    }
    return rc;
}

/* ---- the checkpoint ---- */

static void
write_ledger(const struct weir_task *task, struct weir_parts_writer *parts)
{
    /* Rows of a batch that is worked on in pieces are not in yet. */
    uint32_t rest = weir_task_has_piece(task) ? task->item.view.cnt - task->piece_at : 0;
    weir_parts_writer_of(parts, "");
    weir_parts_begin(parts, WEIR_LEDGER_PART_IN, WEIR_LEDGER_PART_VERSION);
    for (uint32_t g = 0; g < task->gate_cnt; g++) {
        const struct weir_gate *gate = &task->gates[g].gate;
        for (uint32_t c = 0; c < gate->channel_cnt; c++) {
            const struct weir_channel_in *in = &gate->channels[c];
            bool is_held = g == task->held_gate && c == task->item.channel;
            const struct weir_ledger_count entry = {
                .channel = in->id, .rows = in->rows - (is_held ? rest : 0), .sum = in->sum};
            weir_parts_put(parts, &entry, sizeof entry);
        }
    }
    weir_parts_end(parts);
}

/* Tail first. */
static int
write_parts(struct weir_task *task, uint64_t id, struct weir_parts_writer *parts)
{
    char name[TASK_GATE_NAME_BYTES];
    write_ledger(task, parts);
    weir_task_move_write(task, parts);
    for (uint32_t i = weir_chain_node_cnt(task->chain); i-- > 0;) {
        int rc = weir_chain_snapshot(task->chain, i, id, parts);
        if (rc != 0) {
            return rc;
        }
        for (uint32_t g = 0; g < task->gate_cnt; g++) {
            if (task->gates[g].node == i && !weir_chain_had_ended(task->chain, i)) {
                weir_task_gate_name(&task->gates[g], name);
                weir_parts_begin(parts, name, TASK_GATE_PART_VERSION);
                weir_gate_snapshot(&task->gates[g].gate, parts);
                weir_parts_end(parts);
            }
        }
    }
    return 0;
}

/* The sync part. Its failures decline the checkpoint, whose barrier has left already: those behind
 * hear of it from the coordinator. Returns WEIR_DONE, or TASK_HELD: once more. */
static int
take_snapshot(struct weir_task *task)
{
    struct weir_task_cut *cut = &task->cut;
    struct weir_parts_writer parts;
    void *buf = NULL;
    size_t bytes = 0;
    int rc = cut->conf.begin_fn(cut->conf.arg, task, &cut->mark, &buf, &bytes);
    if (rc == WEIR_WAIT) {
        return TASK_HELD;
    }
    if (rc != 0) {
        (void)drop_begun(task, cut->mark.id);
        decline(task, cut->mark.id, WEIR_DECLINE_STORAGE, rc);
        return WEIR_DONE;
    }
    cut->asks_hold = cut->conf.hold_fn != NULL;
    weir_parts_writer_init(&parts, buf, bytes);
    rc = write_parts(task, cut->mark.id, &parts);
    rc = rc != 0 ? rc : weir_parts_finish(&parts, &bytes);
    bool has_flight = cut->looks && (cut->is_unaligned || weir_chain_kept(task->chain, NULL));
    if (rc == 0 && has_flight) {
        rc = weir_task_flight_begin(task);
    }
    if (rc != 0) {
        (void)drop_begun(task, cut->mark.id);
        decline(task, cut->mark.id, WEIR_DECLINE_SNAPSHOT, rc);
        return WEIR_DONE;
    }
    bool is_final = weir_chain_ended(task->chain);
    if (is_final && !cut->is_final) {
        cut->is_final = true;
        cut->final_id = cut->mark.id;
    }
    cut->flying[cut->flying_cnt++] = cut->mark.id;
    const struct weir_task_report what = {.kind = WEIR_TASK_SNAPSHOT,
        .mark = cut->mark,
        .gauges = cut->gauges,
        .parts_bytes = bytes,
        .has_flight = has_flight,
        .is_unaligned = cut->is_unaligned,
        .is_final = is_final};
    WEIR_KILLPOINT_IF(is_final, FINAL_TAKEN);
    report(task, &what);
    if (has_flight && !cut->is_unaligned) { /* what edges keep was all of it */
        weir_task_flight_whole(task, &cut->gauges);
    }
    return WEIR_DONE;
}

void
weir_task_cut_precommit(struct weir_task *task)
{
    struct weir_task_cut *cut = &task->cut;
    while (cut->flying_cnt > 0) {
        uint64_t id = cut->flying[0];
        int rc = weir_chain_precommit(task->chain, id);
        if (rc == WEIR_WAIT) {
            return;
        }
        forget_flying(cut, 0);
        if (rc < 0) {
            decline(task, id, WEIR_DECLINE_PRECOMMIT, rc);
        } else {
            const struct weir_task_report what = {.kind = WEIR_TASK_PRECOMMITTED, .mark.id = id};
            report(task, &what);
        }
    }
}

static void
report_committed(struct weir_task *task, uint64_t id)
{
    const struct weir_task_report what = {.kind = WEIR_TASK_COMMITTED, .mark.id = id};
    task->cut.committed_id = id;
    report(task, &what);
}

void
weir_task_cut_committed(struct weir_task *task)
{
    uint64_t id = weir_min_u64(weir_chain_committed_id(task->chain), task->cut.told_id);
    if (id > task->cut.committed_id) {
        report_committed(task, id);
    }
}

/* ---- the steps ---- */

static void
send_cancel(struct weir_task_cut *cut, uint64_t id)
{
    memset(&cut->mark, 0, sizeof cut->mark);
    cut->mark.id = id;
    cut->slot_kind = WEIR_SLOT_CANCEL;
    cut->step = TASK_CUT_SEND;
}

/* A checkpoint may begin, unless it was given up before, or others are not done with. */
static void
begin(struct weir_task *task)
{
    struct weir_task_cut *cut = &task->cut;
    if (cut->due->mark.kind == WEIR_MARK_MOVE && cut->flying_cnt == WEIR_TASK_FLYING_CNT_MAX) {
        return; /* it is not declined: once more when one of them has pre-committed */
    }
    cut->mark = cut->due->mark;
    cut->is_unaligned = cut->due->is_unaligned;
    cut->gauges = cut->due->gauges;
    cut->due = NULL;
    cut->id_min = cut->mark.id + 1;
    if (was_aborted(cut, cut->mark.id)) {
        (void)drop_begun(task, cut->mark.id);
        send_cancel(cut, cut->mark.id);
    } else if (cut->flying_cnt == WEIR_TASK_FLYING_CNT_MAX) {
        (void)drop_begun(task, cut->mark.id);
        decline(task, cut->mark.id, WEIR_DECLINE_BUSY, 0);
        send_cancel(cut, cut->mark.id);
    } else {
        cut->slot_kind = WEIR_SLOT_BARRIER;
        cut->step = TASK_CUT_HOOKS;
    }
}

static void
pass_on_abort(struct weir_task *task, const struct weir_barrier_abort *aborted)
{
    static const enum weir_decline why[] = {[WEIR_BARRIER_CANCELED] = WEIR_DECLINE_CANCELED,
        [WEIR_BARRIER_SUBSUMED] = WEIR_DECLINE_SUBSUMED,
        [WEIR_BARRIER_END_OF_INPUT] = WEIR_DECLINE_END_OF_INPUT};
    if (aborted->reason != WEIR_BARRIER_ABORTED) {
        decline(task, aborted->id, why[aborted->reason], 0);
    }
    task->cut.id_min = weir_max_u64(task->cut.id_min, aborted->id + 1);
    if (task->cut.flight.is_on && task->cut.flight.id == aborted->id) {
        weir_task_flight_drop(task); /* those behind have had its barrier */
        return;
    }
    send_cancel(&task->cut, aborted->id);
}

static void
pick(struct weir_task *task)
{
    struct weir_task_cut *cut = &task->cut;
    if (cut->declined_early) {
        cut->declined_early = false;
        send_cancel(cut, cut->decline_id);
    } else if (cut->due != NULL && cut->abort_at < cut->due->abort_cnt) {
        pass_on_abort(task, &cut->due->aborts[cut->abort_at++]);
    } else if (cut->due != NULL && cut->due->triggered) {
        begin(task);
    } else {
        cut->due = NULL;
        cut->step = TASK_CUT_NONE;
        if (cut->end_gate != TASK_GATE_NONE) {
            const struct weir_task_gate *tg = &task->gates[cut->end_gate];
            cut->end_gate = TASK_GATE_NONE;
            weir_chain_offer_end(task->chain, tg->node, tg->channel);
        }
    }
}

/* A savepoint after which the job stops: what is committed with it is all there will be. */
static void
hold_sources(struct weir_task *task)
{
    if (task->cut.mark.kind == WEIR_MARK_STOP) {
        task->cut.is_stopping = true;
        task->cut.stop_id = task->cut.mark.id;
        task->is_quiet = true;
        weir_chain_set_saved(task->chain, true);
        weir_task_cut_free_sources(task);
    }
}

/* One step; WEIR_DONE: it is done with. */
static int
step(struct weir_task *task, int64_t now_ns)
{
    struct weir_task_cut *cut = &task->cut;
    int rc = WEIR_DONE;
    switch (cut->step) {
    case TASK_CUT_PICK:
        pick(task);
        break;
    case TASK_CUT_HOOKS:
        rc = weir_chain_barrier(task->chain, cut->mark.id, now_ns);
        cut->step = rc == WEIR_DONE ? TASK_CUT_SEND : cut->step;
        break;
    default:
        if (cut->step == TASK_CUT_SEND) {
            rc = weir_chain_send(task->chain, cut->slot_kind, &cut->mark);
            if (rc == WEIR_DONE && cut->slot_kind == WEIR_SLOT_BARRIER) {
                hold_sources(task);
                cut->step = TASK_CUT_BEGIN;
            }
        }
        rc = cut->step == TASK_CUT_BEGIN ? weir_task_move(task) : rc;
        rc = cut->step == TASK_CUT_BEGIN && rc == WEIR_DONE ? take_snapshot(task) : rc;
        if (rc == WEIR_DONE) {
            cut->step = TASK_CUT_PICK;
            rc = weir_task_move_was_given_up(cut) ? abort_checkpoint(task, cut->mark.id) : rc;
        }
        break;
    }
    return rc;
}

/* Edges keep what has no room while a barrier is on its way that waits for nothing behind it: from
 * the start, or because its time is over. */
static void
choose_keep(struct weir_task *task, int64_t now_ns)
{
    struct weir_task_cut *cut = &task->cut;
    bool is_marker = cut->due != NULL ? !cut->due->triggered : cut->slot_kind == WEIR_SLOT_CANCEL;
    struct weir_mark mark = cut->due != NULL ? cut->due->mark : cut->mark;
    bool is_late = now_ns - mark.trigger_ns >= cut->conf.timeout_ns;
    bool is_urgent = weir_mark_may_overtake(&mark) && (mark.is_urgent || is_late);
    bool keeps = cut->step != TASK_CUT_NONE && (is_marker || is_urgent);
    weir_chain_keep(task->chain, keeps);
    if (keeps) {
        task->flushed = false;
        cut->mark.is_urgent |= cut->due == NULL && is_urgent;
    }
}

static int
run_steps(struct weir_task *task, uint32_t step_cnt, int64_t now_ns)
{
    for (uint32_t turn = 0; turn < step_cnt; turn++) {
        /* What rests goes on behind the checkpoint, and does nothing between barrier and
         * snapshot. */
        int rc = weir_chain_run_to_rest(task->chain, step_cnt, now_ns);
        if (rc != WEIR_DONE) {
            return rc;
        }
        weir_task_release(task);
        if (task->cut.step == TASK_CUT_NONE) {
            return WEIR_DONE;
        }
        rc = step(task, now_ns);
        if (rc != WEIR_DONE && rc != WEIR_AGAIN) {
            return rc;
        }
    }
    return task->cut.step == TASK_CUT_NONE ? WEIR_DONE : WEIR_AGAIN;
}

int
weir_task_cut_run(struct weir_task *task, uint32_t step_cnt, int64_t now_ns)
{
    if (!task->cut.looks) {
        return run_steps(task, step_cnt, now_ns);
    }
    choose_keep(task, now_ns);
    int rc = run_steps(task, step_cnt, now_ns);
    choose_keep(task, now_ns);
    return rc;
}

/* ---- begin and end of the task ---- */

bool
weir_task_cut_waits(struct weir_task *task)
{
    struct weir_task_cut *cut = &task->cut;
    if (!cut->conf.waits_final || !weir_chain_commits(task->chain) || WEIR_MUTANT(FINAL_SKIPPED)) {
        return false;
    }
    if (cut->is_stopping) {
        return true; /* its savepoint is the last that the job commits */
    }
    if (cut->is_final_complete) {
        return cut->told_id > cut->committed_id; /* what it commits is being committed still */
    }
    if (!cut->said_waits) {
        const struct weir_task_report what = {.kind = WEIR_TASK_WAITS};
        cut->said_waits = true;
        report(task, &what);
    }
    return true;
}

void
weir_task_cut_end(struct weir_task *task)
{
    struct weir_task_cut *cut = &task->cut;
    struct weir_letter letter;
    if (!cut->is_on) {
        return;
    }
    weir_mbox_close(cut->mbox);
    for (int i = 0; i < GIVE_BACK_TRY_CNT && weir_mbox_pending_cnt(cut->mbox) > 0; i++) {
        if (weir_mbox_give_back(cut->mbox, &letter) == 1 && letter.kind == WEIR_TASK_TRIGGER) {
            decline(task, letter.args[0], WEIR_DECLINE_CLOSING, 0);
        }
    }
    if (cut->is_parked) {
        decline(task, cut->parked.id, WEIR_DECLINE_CLOSING, 0);
    }
    if (weir_task_state(task) == WEIR_TASK_FINISHED && cut->told_id > cut->committed_id) {
        report_committed(task, cut->told_id); /* operators do not end before */
    }
}
