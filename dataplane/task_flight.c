/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint that does not wait: word of barriers that stand behind rows, and the rows before
 * those that are missing, which are copied ahead of who consumes them, some in each poll. */
#include "base/check.h"
#include "base/mutant.h"
#include "dataplane/task_priv.h"

/* ---- word of barriers ---- */

static struct weir_flight_place
place_of(const struct weir_task *task, const struct weir_task_gate *tg, uint32_t channel)
{
    const struct weir_operator *op = weir_chain_operator(task->chain, tg->node);
    const struct weir_flight_place place = {.uid = op->uid,
        .edge = tg->channel,
        .subtask = op->env->subtask_idx,
        .channel = channel,
        .channel_id = tg->gate.channels[channel].id,
        .side = WEIR_FLIGHT_TAKEN};
    return place;
}

/* While rows of the checkpoint that was restored are still to be worked on, no other begins. */
static void
refuse(struct weir_task *task, const struct weir_mark *mark)
{
    struct weir_task_cut *cut = &task->cut;
    if (mark->id > cut->refused_id && weir_mark_may_overtake(mark)) {
        cut->refused_id = mark->id;
        weir_task_cut_refuse(task, mark->id);
    }
}

static void
look_at(struct weir_task *task, uint32_t g, uint32_t c, int64_t now_ns)
{
    struct weir_gate_item item;
    while (task->cut.step == TASK_CUT_NONE && weir_gate_ahead(&task->gates[g].gate, c, &item)) {
        if (weir_task_regains(task)) {
            refuse(task, &item.mark);
        } else {
            weir_task_cut_announce(task, g, &item, now_ns);
        }
    }
}

void
weir_task_flight_look(struct weir_task *task, int64_t now_ns)
{
    struct weir_task_cut *cut = &task->cut;
    if (weir_barrier_moving_id(cut->barrier) != 0) {
        return; /* nothing overtakes a barrier with which key groups move */
    }
    for (uint32_t g = 0; g < task->gate_cnt; g++) {
        for (uint32_t c = 0; c < task->gates[g].gate.channel_cnt; c++) {
            look_at(task, g, c, now_ns);
        }
    }
    if (cut->step == TASK_CUT_NONE && weir_barrier_due_ns(cut->barrier) <= now_ns) {
        weir_task_cut_time(task, now_ns);
    }
}

/* ---- what is copied ---- */

static bool
is_missing(const struct weir_task *task, const struct weir_gate *gate, uint32_t c)
{
    return weir_barrier_is_missing(task->cut.barrier, gate->first + c);
}

/* Rows of a batch that is held, of which the first were offered already. */
static void
copy_rest(struct weir_task *task)
{
    struct weir_task_flight *flight = &task->cut.flight;
    if (!weir_task_has_piece(task) || WEIR_MUTANT(FLIGHT_PIECE_LOST)) {
        return;
    }
    const struct weir_task_gate *tg = &task->gates[task->held_gate];
    const struct weir_flight_place place = place_of(task, tg, task->item.channel);
    if (tg->gate.channels[task->item.channel].keeps) {
        uint32_t cnt = task->item.view.cnt - task->piece_at;
        const struct weir_flight_run run = {tg->gate.format, &task->item.view, task->piece_at, cnt};
        weir_flight_rows(&flight->writer, &place, &run);
        flight->row_cnt += cnt;
    }
}

int
weir_task_flight_begin(struct weir_task *task)
{
    struct weir_task_flight *flight = &task->cut.flight;
    const struct weir_task_checkpoints *conf = &task->cut.conf;
    void *buf = NULL;
    size_t bytes = 0;
    int rc = conf->flight_fn(conf->arg, task, &buf, &bytes);
    if (rc != 0) {
        return rc;
    }
    weir_flight_begin(&flight->writer, buf, bytes);
    if (!WEIR_MUTANT(FLIGHT_KEPT_LOST)) {
        (void)weir_chain_kept(task->chain, &flight->writer);
    }
    flight->is_on = true;
    flight->id = task->cut.mark.id;
    flight->row_cnt = 0;
    flight->gate_at = 0;
    for (uint32_t g = 0; g < task->gate_cnt; g++) {
        struct weir_gate *gate = &task->gates[g].gate;
        for (uint32_t c = 0; c < gate->channel_cnt; c++) {
            struct weir_channel_in *in = &gate->channels[c];
            in->keeps = task->cut.is_unaligned && is_missing(task, gate, c);
            in->keep_seq = weir_ring_look_seq(&in->ring);
            in->keep_seq += WEIR_MUTANT(FLIGHT_QUEUED_LOST) ? weir_ring_peek(&in->ring) : 0;
            in->keep_watermark = in->watermark;
        }
    }
    copy_rest(task);
    return 0;
}

static void
copy_rows(struct weir_task *task, const struct weir_task_gate *tg, uint32_t c,
    const struct weir_view *view)
{
    struct weir_task_flight *flight = &task->cut.flight;
    const struct weir_flight_place place = place_of(task, tg, c);
    const struct weir_flight_run run = {tg->gate.format, view, 0, view->cnt};
    weir_flight_rows(&flight->writer, &place, &run);
    flight->row_cnt += view->cnt;
}

static void
copy_event(struct weir_task *task, const struct weir_task_gate *tg, uint32_t c, uint32_t kind,
    int64_t value)
{
    const struct weir_flight_place place = place_of(task, tg, c);
    weir_flight_event(&task->cut.flight.writer, &place, kind, value);
    if (kind == WEIR_SLOT_WATERMARK) {
        tg->gate.channels[c].keep_watermark = value;
    }
}

/* All that counts of the channel is copied. */
static void
pass(struct weir_task *task, const struct weir_gate *gate, uint32_t c, int64_t now_ns)
{
    gate->channels[c].keeps = false;
    weir_task_cut_pass(task, gate->first + c, now_ns);
}

/* Copy the slot at keep_seq. False: it is what the copies end at. */
static bool
copy_slot(struct weir_task *task, const struct weir_task_gate *tg, uint32_t c)
{
    struct weir_channel_in *in = &tg->gate.channels[c];
    const struct weir_batch *slot = weir_ring_slot_at(&in->ring, in->keep_seq, sizeof *slot);
    struct weir_view view;
    switch (slot->kind) {
    case WEIR_SLOT_BATCH:
        weir_channel_view(slot, tg->gate.format, tg->gate.regions, &view);
        view.watermark = in->keep_watermark;
        copy_rows(task, tg, c, &view);
        break;
    case WEIR_SLOT_END:
        return false;
    case WEIR_SLOT_BARRIER:
        if ((uint64_t)slot->watermark == task->cut.flight.id) {
            return false;
        }
        break;
    default:
        copy_event(task, tg, c, slot->kind, slot->watermark);
        break;
    }
    in->keep_seq++;
    return true;
}

/* As much of a channel as there is, and as may be copied. What is said of a position is looked for
 * behind the look at what there is: no slot behind an urgent barrier is taken for one before it. */
static void
copy_ahead(struct weir_task *task, uint32_t g, uint32_t c, int64_t now_ns)
{
    const struct weir_task_flight *flight = &task->cut.flight;
    const struct weir_task_gate *tg = &task->gates[g];
    struct weir_channel_in *in = &tg->gate.channels[c];
    size_t end = flight->writer.bytes + task->cut.conf.flight_slice_bytes;
    uint64_t tail_seq = weir_ring_look_seq(&in->ring) + weir_ring_peek(&in->ring);
    look_at(task, g, c, now_ns);
    if (task->cut.step != TASK_CUT_NONE || !in->keeps) {
        return;
    }
    bool is_known = in->has_urgent && in->urgent.id == flight->id;
    uint64_t stop_seq = is_known ? in->urgent_seq : tail_seq;
    while (in->keep_seq < stop_seq && flight->writer.bytes < end && !flight->writer.is_short) {
        if (!copy_slot(task, tg, c)) {
            pass(task, &tg->gate, c, now_ns);
            return;
        }
    }
    if (is_known && in->keep_seq == in->urgent_seq) {
        pass(task, &tg->gate, c, now_ns);
    }
}

/* Its barrier has come otherwise. */
static bool
is_over(struct weir_task *task, const struct weir_task_gate *tg, uint32_t c)
{
    if (is_missing(task, &tg->gate, c)) {
        return false;
    }
    tg->gate.channels[c].keeps = false;
    return true;
}

/* The checkpoint is declined where its rows do not fit. */
static bool
is_short(struct weir_task *task)
{
    size_t bytes;
    if (!task->cut.flight.writer.is_short) {
        return false;
    }
    int rc = weir_flight_finish(&task->cut.flight.writer, &bytes);
    weir_task_cut_give_up(task, WEIR_DECLINE_FLIGHT, rc);
    return true;
}

bool
weir_task_flight_copy(struct weir_task *task, int64_t now_ns)
{
    struct weir_task_flight *flight = &task->cut.flight;
    size_t before = flight->writer.bytes;
    for (uint32_t i = 0; i < task->gate_cnt && flight->is_on && !is_short(task); i++) {
        const struct weir_task_gate *tg = &task->gates[flight->gate_at];
        uint32_t g = flight->gate_at;
        for (uint32_t c = 0; c < tg->gate.channel_cnt && flight->is_on; c++) {
            if (tg->gate.channels[c].keeps && !is_over(task, tg, c)) {
                copy_ahead(task, g, c, now_ns);
            }
            if (flight->writer.bytes - before >= task->cut.conf.flight_slice_bytes) {
                return true;
            }
        }
        flight->gate_at = flight->gate_at + 1 == task->gate_cnt ? 0 : flight->gate_at + 1;
    }
    (void)(flight->is_on && is_short(task));
    return flight->writer.bytes != before;
}

void
weir_task_flight_took(struct weir_task *task, uint32_t g)
{
    const struct weir_task_gate *tg = &task->gates[g];
    const struct weir_gate_item *item = &task->item;
    struct weir_channel_in *in = &tg->gate.channels[item->channel];
    if (!in->keeps || is_over(task, tg, item->channel) ||
        (in->keep_seq >= weir_ring_look_seq(&in->ring) && !WEIR_MUTANT(FLIGHT_COPIED_TWICE))) {
        return;
    }
    if (item->kind == WEIR_SLOT_BATCH) {
        copy_rows(task, tg, item->channel, &item->view);
    } else {
        copy_event(task, tg, item->channel, item->kind, in->watermark);
    }
    in->keep_seq = weir_ring_look_seq(&in->ring);
    (void)is_short(task);
}

void
weir_task_flight_drop(struct weir_task *task)
{
    task->cut.flight.is_on = false;
    for (uint32_t g = 0; g < task->gate_cnt; g++) {
        const struct weir_gate *gate = &task->gates[g].gate;
        for (uint32_t c = 0; c < gate->channel_cnt; c++) {
            gate->channels[c].keeps = false;
        }
    }
}

void
weir_task_flight_whole(struct weir_task *task, const struct weir_barrier_gauges *gauges)
{
    struct weir_task_flight *flight = &task->cut.flight;
    size_t bytes = 0;
    int rc = weir_flight_finish(&flight->writer, &bytes);
    if (rc != 0) {
        weir_task_cut_give_up(task, WEIR_DECLINE_FLIGHT, rc);
        return;
    }
    const struct weir_task_report what = {.kind = WEIR_TASK_CAPTURED,
        .mark.id = flight->id,
        .gauges = *gauges,
        .flight_bytes = bytes,
        .flight_rows = flight->row_cnt};
    weir_task_flight_drop(task);
    task->cut.gauges = what.gauges;
    task->cut.conf.report_fn(task->cut.conf.arg, task, &what);
}
