/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/task_priv.h"

#include "base/check.h"
#include "base/mutant.h"

/* What a look for input has found. */
enum took {
    TOOK_NOTHING,
    TOOK_INPUT,
    TOOK_CUT, /* something of a checkpoint is due, before more is taken */
    TOOK_FAILED, /* a producer has failed */
};

/* Source s of the task has ended. */
static enum took
end_source(struct weir_task *task, uint32_t s, int64_t now_ns)
{
    task->source_ended[s] = true;
    task->source_open_cnt--;
    task->source_poll_cnt--;
    if (task->cut.is_on && s == task->cut.begin_source) {
        weir_task_begin_end(task);
    }
    if (task->source_open_cnt == 0 && task->cut.is_on && weir_task_cut_sources_end(task, now_ns)) {
        return TOOK_CUT;
    }
    return TOOK_INPUT;
}

void
weir_task_end_source(struct weir_task *task, uint32_t s, bool clean, int64_t now_ns)
{
    weir_chain_end_source(task->chain, task->sources[s], clean);
    (void)end_source(task, s, now_ns); /* the next poll sees what is due */
}

static void
stop_sources(struct weir_task *task, bool clean, int64_t now_ns)
{
    for (uint32_t i = 0; i < task->source_cnt; i++) {
        const struct weir_operator *op = weir_chain_operator(task->chain, task->sources[i]);
        bool goes_on = op->type->ends_itself && !op->is_saved;
        if (!task->source_ended[i] && !goes_on) {
            weir_task_end_source(task, i, clean, now_ns);
        }
    }
}

/* A barrier, a marker or an end. The end of a gate waits where it has completed a checkpoint: what
 * an operator does with it is not in that one, and is done again when it is restored. */
static enum took
take_event(struct weir_task *task, uint32_t g, int64_t now_ns)
{
    struct weir_task_gate *tg = &task->gates[g];
    bool is_due = task->cut.is_on && weir_task_cut_event(task, g, now_ns);
    WEIR_CHECK(task->cut.is_on || task->item.kind == WEIR_SLOT_END,
        "task %s takes no checkpoints, and got a barrier", task->name);
    if (task->item.kind == WEIR_SLOT_END && tg->gate.open_cnt == 0 && !is_due) {
        weir_chain_offer_end(task->chain, tg->node, tg->channel);
    }
    return is_due ? TOOK_CUT : TOOK_INPUT;
}

/* Whether the operator that a gate feeds wants to read it now. */
static bool
is_selected(const struct weir_task *task, const struct weir_task_gate *gate)
{
    const struct weir_operator *op = weir_chain_operator(task->chain, gate->node);
    uint32_t wanted = op->type->selects != NULL ? op->type->selects(op) : 0;
    uint32_t open = 0;
    for (uint32_t g = 0; g < task->gate_cnt && wanted != 0; g++) {
        const struct weir_task_gate *tg = &task->gates[g];
        bool is_open = tg->node == gate->node && tg->gate.open_cnt > 0;
        open |= is_open ? 1u << weir_chain_input(task->chain, tg->node, tg->channel) : 0;
    }
    uint32_t input = weir_chain_input(task->chain, gate->node, gate->channel);
    return (wanted & open) == 0 || (wanted >> input & 1) != 0;
}

/* The next rows of the batch that is held, as many as this poll may take still. */
static void
offer_piece(struct weir_task *task)
{
    const struct weir_task_gate *tg = &task->gates[task->held_gate];
    const struct weir_view *batch = &task->item.view;
    uint32_t most = task->poll_rows < task->piece_rows ? task->piece_rows - task->poll_rows : 1;
    uint32_t from = task->piece_at;
    uint32_t cnt = weir_min_u32(batch->cnt - from, most);
    task->piece_at += cnt + (WEIR_MUTANT(PIECE_ROW_LOST) && from + cnt + 1 < batch->cnt);
    task->poll_rows += cnt;
    task->piece = *batch;
    if (cnt < batch->cnt) {
        struct weir_view *piece = &task->piece;
        piece->cnt = cnt;
        piece->flags &= ~(uint32_t)WEIR_BATCH_TIME_EXACT;
        if (piece->sel != NULL) {
            piece->sel += from;
        } else {
            piece->row_cnt = cnt;
            piece->rows += (size_t)piece->stride * from;
            piece->time += piece->time != NULL ? (size_t)piece->time_stride * from : 0;
            piece->kind += piece->kind != NULL ? (size_t)piece->kind_stride * from : 0;
        }
    }
    weir_chain_offer(task->chain, tg->node, tg->channel, &task->piece);
}

/* A latency marker has gone as far as it could, or has met an error. An enum took, or that. */
static int
note_marker(struct weir_task *task, int rc)
{
    task->marker_waits = rc == WEIR_WAIT;
    return rc < 0 ? rc : (int)TOOK_INPUT;
}

/* Each source of the task sends one, then nothing until the interval is over. As note_marker. */
static int
send_marker(struct weir_task *task, int64_t now_ns)
{
    uint32_t s = task->marker_next;
    task->marker_next = s + 1 == task->source_cnt ? 0 : s + 1;
    task->marker_due_ns = task->marker_next == 0 ? now_ns + task->marker_interval_ns : now_ns;
    return task->source_ended[s]
               ? (int)TOOK_INPUT
               : note_marker(task, weir_chain_marker_begin(task->chain, task->sources[s], now_ns));
}

static bool
sends_markers(const struct weir_task *task)
{
    return task->marker_interval_ns > 0 && task->source_open_cnt > 0 && !task->is_quiet;
}

/* Take one item off one gate. An enum took, or negative: an error. */
static int
take_from_gates(struct weir_task *task, int64_t now_ns)
{
    for (uint32_t i = 0; i < task->gate_cnt; i++) {
        uint32_t g = task->gate_next;
        struct weir_task_gate *tg = &task->gates[g];
        task->gate_next = g + 1 == task->gate_cnt ? 0 : g + 1;
        if (task->is_selective && !is_selected(task, tg)) {
            continue;
        }
        weir_gate_next(&tg->gate, &task->item);
        if (task->item.kind == 0) {
            continue;
        }
        if (WEIR_UNLIKELY(task->cut.flight.is_on)) {
            weir_task_flight_took(task, g);
        }
        switch (task->item.kind) {
        case WEIR_SLOT_BATCH:
            task->held_gate = g;
            if (WEIR_UNLIKELY(task->piece_rows != UINT32_MAX)) {
                task->piece_at = 0;
                offer_piece(task);
            } else {
                weir_chain_offer(task->chain, tg->node, tg->channel, &task->item.view);
            }
            return TOOK_INPUT;
        case WEIR_SLOT_FAILED:
            return TOOK_FAILED;
        case WEIR_SLOT_END:
        case WEIR_SLOT_BARRIER:
        case WEIR_SLOT_CANCEL:
            return (int)take_event(task, g, now_ns);
        case WEIR_SLOT_LATENCY:
            return note_marker(
                task, weir_chain_marker(task->chain, tg->node, &task->item.mark, now_ns));
        default:
            if (task->item.result.watermark_set) {
                weir_chain_offer_watermark(
                    task->chain, tg->node, tg->channel, task->item.result.watermark);
            }
            if (task->item.result.status != WEIR_VALVE_SAME) {
                weir_chain_offer_status(task->chain, tg->node, tg->channel,
                    task->item.result.status == WEIR_VALVE_IDLE);
            }
            return TOOK_INPUT;
        }
    }
    return TOOK_NOTHING;
}

/* Let the sources emit, in turn. Returns an enum took, or negative: an error. */
static int
take_from_sources(struct weir_task *task, int64_t now_ns)
{
    for (uint32_t i = 0; i < task->source_cnt; i++) {
        uint32_t s = task->source_next;
        task->source_next = s + 1 == task->source_cnt ? 0 : s + 1;
        if (task->source_ended[s] || weir_chain_holds(task->chain, task->sources[s])) {
            continue;
        }
        int rc = weir_chain_poll_source(task->chain, task->sources[s], now_ns);
        if (rc < 0) {
            return rc;
        }
        if (rc == WEIR_DONE) {
            return (int)end_source(task, s, now_ns);
        }
        if (WEIR_UNLIKELY(task->cut.is_on && task->cut.begin_source == s)) {
            int begun = weir_task_begin_look(task);
            rc = begun > 0 ? (int)WEIR_AGAIN : begun < 0 ? begun : rc;
        }
        if (rc != WEIR_WAIT) {
            return rc < 0 ? rc : (int)TOOK_INPUT;
        }
    }
    return TOOK_NOTHING;
}

/* Let what is due by now be done: an enum took, or negative: an error. */
static int
take_due(struct weir_task *task, int64_t now_ns)
{
    int rc = task->is_quiet ? (int)WEIR_DONE : weir_chain_fire(task->chain, now_ns);
    task->is_fired = rc == WEIR_AGAIN;
    return rc < 0 ? rc : task->is_fired ? (int)TOOK_INPUT : (int)TOOK_NOTHING;
}

/* Times and input in turn, so that neither keeps the other back: a barrier comes through between
 * two slices of what is due. An enum took, or negative: an error. */
static int
take(struct weir_task *task, int64_t now_ns)
{
    if (WEIR_UNLIKELY(weir_task_regains(task))) {
        int early = WEIR_MUTANT(REGAINED_BEHIND) ? take_from_gates(task, now_ns) : 0;
        if (early != TOOK_NOTHING) {
            return early;
        }
        int rc = weir_task_regain_next(task);
        return rc != 0 ? rc : (int)TOOK_INPUT;
    }
    bool is_first = task->is_timed && !task->is_fired;
    if (WEIR_UNLIKELY(sends_markers(task)) && now_ns >= task->marker_due_ns) {
        return send_marker(task, now_ns);
    }
    int took = is_first ? take_due(task, now_ns) : (int)TOOK_NOTHING;
    if (took == TOOK_NOTHING) {
        task->is_fired = false;
        took = take_from_gates(task, now_ns);
    }
    if (took == TOOK_NOTHING && task->source_poll_cnt > 0) {
        took = take_from_sources(task, now_ns);
    }
    if (took == TOOK_NOTHING && task->is_timed && !is_first) {
        took = take_due(task, now_ns);
    }
    return took;
}

static enum weir_task_poll
out_of_input(struct weir_task *task, int64_t now_ns)
{
    if (weir_chain_ended(task->chain)) {
        return weir_task_life_finish(task, now_ns);
    }
    if (task->flushed) {
        return WEIR_POLL_IDLE;
    }
    int rc = weir_chain_flush(task->chain);
    if (rc < 0) {
        return weir_task_life_fail(task, rc);
    }
    task->flushed = rc == WEIR_DONE;
    return rc == WEIR_DONE ? WEIR_POLL_IDLE : WEIR_POLL_BACKPRESSURED;
}

void
weir_task_release(struct weir_task *task)
{
    if (task->held_gate != UINT32_MAX && !weir_task_has_piece(task)) {
        weir_gate_release(&task->gates[task->held_gate].gate);
        task->held_gate = UINT32_MAX;
    }
}

/* A barrier or a marker that comes next, where the chain could do with one though it has not done
 * all that a watermark makes due. An enum took, TOOK_NOTHING: there is none; or an error. */
static int
take_mark(struct weir_task *task, uint32_t step_cnt, int64_t now_ns)
{
    uint32_t g = 0;
    if (task->cut.looks) {
        return TOOK_NOTHING; /* urgent ones are seen anyway, and a batch may be in pieces */
    }
    while (task->cut.is_on && g < task->gate_cnt && !weir_gate_has_mark(&task->gates[g].gate)) {
        g++;
    }
    if (!task->cut.is_on || g == task->gate_cnt) {
        return TOOK_NOTHING;
    }
    int rc = weir_chain_run_to_rest(task->chain, step_cnt, now_ns);
    if (rc != WEIR_DONE) {
        return rc < 0 ? rc : (int)TOOK_NOTHING;
    }
    weir_task_release(task);
    weir_gate_next_mark(&task->gates[g].gate, &task->item);
    return (int)take_event(task, g, now_ns);
}

/* What a poll is to say when a checkpoint is not done with. */
static enum weir_task_poll
stop_at_cut(struct weir_task *task, int rc)
{
    if (rc < 0) {
        return weir_task_life_fail(task, rc);
    }
    return rc == TASK_HELD   ? WEIR_POLL_HELD
           : rc == WEIR_WAIT ? WEIR_POLL_BACKPRESSURED
                             : WEIR_POLL_BUSY;
}

static enum weir_task_poll
run(struct weir_task *task, uint32_t step_cnt, int64_t now_ns)
{
    enum weir_task_poll did = WEIR_POLL_IDLE;
    for (uint32_t turn = 0; turn < step_cnt; turn++) {
        int rc = weir_chain_run(task->chain, step_cnt, now_ns);
        if (rc == WEIR_DONE && WEIR_UNLIKELY(task->marker_waits)) {
            rc = weir_chain_marker_go(task->chain, now_ns);
            task->marker_waits = rc == WEIR_WAIT;
        }
        if (rc < 0) {
            return weir_task_life_fail(task, rc);
        }
        int took = rc == WEIR_DONE ? TOOK_NOTHING : take_mark(task, step_cnt, now_ns);
        if (rc == WEIR_AGAIN && took == TOOK_NOTHING) {
            return WEIR_POLL_BUSY;
        }
        if (rc == WEIR_WAIT && took == TOOK_NOTHING) {
            return did == WEIR_POLL_BUSY ? did : WEIR_POLL_BACKPRESSURED;
        }
        if (rc == WEIR_DONE) {
            weir_task_release(task);
            if (task->poll_rows >= task->piece_rows) {
                return WEIR_POLL_BUSY;
            }
            if (WEIR_UNLIKELY(weir_task_has_piece(task))) {
                offer_piece(task);
                task->flushed = false;
                did = WEIR_POLL_BUSY;
                continue;
            }
            took = take(task, now_ns);
        }
        if (took == TOOK_INPUT) {
            task->flushed = false;
            did = WEIR_POLL_BUSY;
            continue;
        }
        if (took < 0) {
            return weir_task_life_fail(task, took);
        }
        if (took == TOOK_FAILED) {
            return weir_task_life_cancel(task);
        }
        if (took == TOOK_NOTHING) {
            enum weir_task_poll idle = out_of_input(task, now_ns);
            return did == WEIR_POLL_BUSY && idle == WEIR_POLL_IDLE ? did : idle;
        }
        task->flushed = false;
        did = WEIR_POLL_BUSY;
        rc = weir_task_cut_run(task, step_cnt, now_ns);
        if (rc != WEIR_DONE) {
            return stop_at_cut(task, rc);
        }
    }
    return did;
}

/* Letters, and what is left of a checkpoint, before rows. WEIR_DONE: go on with those. A letter
 * that had to wait for another is looked at in this poll: the core may sleep after it. */
static int
poll_cut(struct weir_task *task, uint32_t step_cnt, int64_t now_ns)
{
    struct weir_task_cut *cut = &task->cut;
    bool is_held = false;
    if (WEIR_UNLIKELY(cut->asks_hold)) {
        enum weir_task_hold hold = cut->conf.hold_fn(cut->conf.arg, task, now_ns);
        cut->asks_hold = hold != WEIR_TASK_HOLD_NEVER;
        is_held = hold == WEIR_TASK_HOLD_WAIT;
    }
    int rc;
    do {
        rc = weir_task_cut_letters(task, now_ns);
        if (rc == 0 && cut->looks && cut->step == TASK_CUT_NONE) {
            weir_task_flight_look(task, now_ns);
        }
        if (cut->flight.is_on && cut->step == TASK_CUT_NONE && !task->copied) {
            task->copied = weir_task_flight_copy(task, now_ns);
        }
        if (rc == 0 && !is_held && cut->step != TASK_CUT_NONE) {
            rc = weir_task_cut_run(task, step_cnt, now_ns);
        }
    } while (rc == WEIR_DONE && !is_held && cut->is_parked &&
             !weir_task_move_delays(task, &cut->parked));
    if (rc >= 0 && cut->flying_cnt > 0) {
        weir_task_cut_precommit(task);
    }
    if (rc >= 0 && cut->told_id > cut->committed_id) {
        weir_task_cut_committed(task);
    }
    return rc == WEIR_DONE && is_held ? TASK_HELD : rc;
}

/* Letters wait while a checkpoint is between its barrier and its snapshot: those polls do not come
 * here. */
static enum weir_task_poll
run_with_letters(struct weir_task *task, uint32_t step_cnt, int64_t now_ns)
{
    int ran_cnt = weir_mailbox_run_batch(task->mailbox, now_ns);
    if (ran_cnt < 0) {
        return weir_task_life_fail(task, ran_cnt);
    }
    enum weir_task_poll did = run(task, step_cnt, now_ns);
    return did == WEIR_POLL_IDLE && ran_cnt > 0 ? WEIR_POLL_BUSY : did;
}

enum weir_task_poll
weir_task_poll(struct weir_task *task, uint32_t step_cnt, int64_t now_ns)
{
    enum weir_task_state state = weir_task_state(task);
    task->poll_ns = now_ns;
    task->poll_rows = 0;
    task->copied = false;
    if (weir_task_has_ended(state)) {
        return WEIR_POLL_DONE;
    }
    uint32_t asked = weir_task_asked(task);
    if (asked >= WEIR_TASK_REQUEST_CANCEL) {
        return weir_task_life_stop(task, asked);
    }
    if (state == WEIR_TASK_CREATED) {
        return weir_task_life_deploy(task, now_ns);
    }
    if (task->cut.is_on) {
        int rc = poll_cut(task, step_cnt, now_ns);
        if (rc != WEIR_DONE) {
            return stop_at_cut(task, rc);
        }
        asked = weir_task_asked(task); /* a letter may have asked for the end */
    }
    /* Sources that a barrier holds back are stopped behind it. */
    if (asked != task->seen && asked < WEIR_TASK_REQUEST_CANCEL &&
        task->source_poll_cnt == task->source_open_cnt) {
        task->seen = asked;
        stop_sources(task, asked == WEIR_TASK_REQUEST_DRAIN, now_ns);
        if (task->cut.step != TASK_CUT_NONE) {
            return WEIR_POLL_BUSY;
        }
    }
    if (!task->begun) {
        task->begun = true;
        task->begin_ns = now_ns;
    }
    enum weir_task_poll did = task->mailbox != NULL ? run_with_letters(task, step_cnt, now_ns)
                                                    : run(task, step_cnt, now_ns);
    bool is_done = did == WEIR_POLL_BUSY || did == WEIR_POLL_DONE;
    return task->copied && !is_done ? WEIR_POLL_BUSY : did;
}

int64_t
weir_task_due_ns(const struct weir_task *task)
{
    if (weir_task_state(task) != WEIR_TASK_RUNNING) {
        return INT64_MAX;
    }
    bool keeps_time = task->is_timed && !task->is_quiet;
    int64_t due_ns = keeps_time ? weir_chain_due_ns(task->chain) : INT64_MAX;
    due_ns = sends_markers(task) ? weir_min_i64(due_ns, task->marker_due_ns) : due_ns;
    return task->cut.looks ? weir_min_i64(due_ns, weir_barrier_due_ns(task->cut.barrier)) : due_ns;
}

/* Half as many rows where they took too long, twice as many where there was time. */
static void
choose_pieces(struct weir_task *task, int64_t elapsed_ns)
{
    if (elapsed_ns > WEIR_TASK_PIECE_NS && task->poll_rows > 0) {
        task->piece_rows = weir_min_u32(task->piece_rows, task->poll_rows) / 2;
        task->piece_rows = task->piece_rows != 0 ? task->piece_rows : 1;
    } else if (elapsed_ns < WEIR_TASK_PIECE_NS / 4 && task->poll_rows >= task->piece_rows) {
        task->piece_rows = weir_min_u32(2 * task->piece_rows, task->cut.conf.piece_rows_max);
    }
}

void
weir_task_settle(struct weir_task *task, int64_t now_ns)
{
    weir_chain_settle(task->chain, now_ns);
    if (WEIR_UNLIKELY(task->init_ns == 0)) { /* the first poll: it has opened them */
        task->init_ns = weir_max_i64(now_ns - task->poll_ns, 1);
    }
    if (task->cut.looks) {
        choose_pieces(task, now_ns - task->poll_ns);
    }
}

const struct weir_hist *
weir_task_marker_latency(const struct weir_task *task, uint32_t node, uint32_t source)
{
    return weir_chain_marker_latency(task->chain, node, source);
}

const struct weir_hist *
weir_task_latency(const struct weir_task *task)
{
    return weir_chain_latency(task->chain);
}
