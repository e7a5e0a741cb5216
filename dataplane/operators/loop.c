/* SPDX-License-Identifier: Apache-2.0 */
/* The operators of a loop (loop.h).
 *
 *     head     1 2 3 | 2' 3' | 4       what comes back (') before anything new
 *     tail     takes all, and never waits
 *
 * State: the rows that are on their way back (part "rows" of the tail), and the last round (part
 * "round" of a head in frontier mode). Watermarks: in wait mode those of the input, the MAX one
 * behind the last row; in frontier mode rounds. All rows of a batch that comes back have the head's
 * watermark before them.
 */
#include "dataplane/operators/loop.h"

#include "base/mutant.h"
#include "dataplane/feedback.h"
#include "dataplane/state.h"

#define ROWS_PART "rows"
#define ROUND_PART "round"
#define PART_VERSION 1
#define BOTH_ENDS ((uint32_t)WEIR_FEEDBACK_HEAD | WEIR_FEEDBACK_TAIL)

static const struct weir_feedback *
feedback_of(const struct weir_operator *op)
{
    const struct weir_loop_conf *conf = op->conf;
    return conf->feedback;
}

static struct weir_feedback_slot *
slot_of(const struct weir_operator *op)
{
    return &feedback_of(op)->slots[op->env->subtask_idx];
}

/* The oldest rows that have come back, as they lie in the queue. */
static int
emit_back(const struct weir_operator *op, struct weir_out *out)
{
    struct weir_view view;
    int rc = weir_feedback_take(feedback_of(op), op->env->subtask_idx, &view);
    if (rc == 0) {
        weir_out_pass_range(out, &view, 0, view.cnt);
    }
    return rc;
}

/* ---- the feedback source ---- */

struct feedback_self {
    bool said_idle;
    bool waits; /* nothing is to come from outside, and nothing came back since: */
    int64_t since_ns;
};

static int
feedback_open(struct weir_operator *op)
{
    return weir_feedback_join(feedback_of(op), op->env->subtask_idx, WEIR_FEEDBACK_HEAD);
}

static int
feedback_close(struct weir_operator *op, bool clean)
{
    (void)clean;
    slot_of(op)->is_over = true;
    weir_feedback_leave(feedback_of(op), op->env->subtask_idx, WEIR_FEEDBACK_HEAD);
    return 0;
}

/* Whether the time is over in which something might have come back. */
static bool
is_waited_for(struct feedback_self *self, int64_t wait_ns, int64_t now_ns)
{
    if (!self->waits) {
        self->waits = true;
        self->since_ns = now_ns;
    }
    return now_ns - self->since_ns >= wait_ns;
}

static int
feedback_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct feedback_self *self = op->self;
    const struct weir_feedback *feedback = feedback_of(op);
    struct weir_feedback_slot *slot = slot_of(op);
    if (feedback->wait_ns > 0 && !self->said_idle) {
        self->said_idle = true;
        out->status = WEIR_SLOT_IDLE;
        return WEIR_AGAIN;
    }
    if (weir_feedback_has(slot)) {
        self->waits = false;
        int rc = emit_back(op, out);
        return rc != 0 ? rc : (int)WEIR_AGAIN;
    }
    bool may_end = slot->input_ended && slot->joined == BOTH_ENDS;
    slot->is_over = feedback->wait_ns > 0
                        ? may_end && is_waited_for(self, feedback->wait_ns, now_ns)
                        : slot->is_empty;
    return slot->is_over ? (int)WEIR_DONE : (int)WEIR_WAIT;
}

static bool
feedback_replays(const void *conf)
{
    (void)conf;
    return true; /* what it had not handed on is in the checkpoint */
}

const struct weir_operator_type weir_loop_feedback_type = {
    .name = "loop feedback",
    .self_bytes = sizeof(struct feedback_self),
    .output_cnt = 1,
    .open = feedback_open,
    .poll = feedback_poll,
    .close = feedback_close,
    .replays = feedback_replays,
    .ends_itself = true,
    .is_inner = true,
};

/* ---- the head ---- */

struct head_self {
    bool has_begun; /* it has sent a round */
    uint64_t round; /* the last one, also of who was restored */
    int64_t told_ms; /* in wait mode the last watermark that has gone out */
};

/* What is new waits until nothing is left that has come back. */
static int64_t
head_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    struct head_self *self = op->self;
    uint32_t taken = 0;
    (void)now_ns;
    if (input == 0 && weir_feedback_has(slot_of(op))) {
        int rc = emit_back(op, out);
        if (rc != 0) {
            return rc;
        }
    } else {
        taken = in->cnt - cursor;
        weir_out_pass_range(out, in, cursor, taken);
    }
    bool has_rounds = feedback_of(op)->wait_ns == 0;
    self->told_ms = op->watermark != WEIR_WATERMARK_MAX ? op->watermark : self->told_ms;
    out->view.watermark = !has_rounds       ? self->told_ms
                          : self->has_begun ? WEIR_LOOP_ROUND_0 + (int64_t)self->round
                                            : WEIR_TIME_MIN;
    return taken;
}

static int
head_end_input(struct weir_operator *op, uint32_t input, struct weir_out *out)
{
    (void)out;
    slot_of(op)->input_ended |= input == 0;
    return WEIR_DONE;
}

static int
head_barrier(struct weir_operator *op, uint64_t id, struct weir_out *out, int64_t now_ns)
{
    (void)out;
    (void)now_ns;
    weir_feedback_cut(slot_of(op), id);
    return WEIR_DONE;
}

static int
forget(struct weir_operator *op, uint64_t id)
{
    weir_feedback_forget(slot_of(op), id);
    return 0;
}

/* Whether the newest round has come to all tails. Then *ret_is_busy says whether rows did since the
 * one before; of a later one they do only then. */
static bool
is_round_over(const struct weir_operator *op, bool *ret_is_busy)
{
    const struct head_self *self = op->self;
    const struct weir_feedback *feedback = feedback_of(op);
    *ret_is_busy = false;
    for (uint32_t i = 0; i < feedback->slot_cnt; i++) {
        /* [A60] pairs with [R60] in tail_watermark: rows before the round are told. */
        if (weir_load_acq(&feedback->slots[i].round) < self->round) {
            return false;
        }
        /* relaxed: ordered by the load above */
        *ret_is_busy |= weir_load_rlx(&feedback->slots[i].busy_round) >= self->round;
    }
    return true;
}

/* The feedback had ended in what was restored. No round gets through the body behind that: all of
 * it stands behind all times. */
static bool
had_ended(const struct weir_operator *op)
{
    return op->watermark == WEIR_WATERMARK_MAX;
}

static int64_t
frontier_due_ns(const struct weir_operator *op)
{
    const struct head_self *self = op->self;
    const struct weir_feedback_slot *slot = slot_of(op);
    bool is_busy;
    bool may_send = slot->input_ended && !slot->is_empty && !weir_feedback_has(slot) &&
                    slot->joined == BOTH_ENDS;
    bool is_due = had_ended(op) || !self->has_begun || is_round_over(op, &is_busy);
    return may_send && is_due ? INT64_MIN : INT64_MAX;
}

/* The next round, or the end. */
static int
frontier_timer(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct head_self *self = op->self;
    struct weir_feedback_slot *slot = slot_of(op);
    bool is_busy = true;
    (void)now_ns;
    bool is_over =
        self->has_begun && is_round_over(op, &is_busy) && (!is_busy || WEIR_MUTANT(LOOP_ENDS_BUSY));
    if (is_over || had_ended(op)) {
        slot->is_empty = true;
        return WEIR_DONE;
    }
    self->round++;
    if (!self->has_begun) {
        /* Rows from before the first round may be anywhere. relaxed: [R60] comes behind it. */
        self->has_begun = true;
        weir_store_rlx(&slot->busy_round, self->round);
    }
    weir_out_watermark(out, WEIR_LOOP_ROUND_0 + (int64_t)self->round);
    return WEIR_DONE;
}

static int
frontier_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    const struct head_self *self = op->self;
    (void)id;
    weir_state_list_begin(parts, ROUND_PART, PART_VERSION, 1);
    weir_state_item(parts, sizeof self->round);
    weir_parts_put_u64(parts, self->round);
    weir_state_list_end(parts);
    return 0;
}

static int
frontier_restore(
    struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct head_self *self = op->self;
    struct weir_state_list list;
    struct weir_part item;
    int rc;
    weir_state_list_init(&list, op, parts, parts_cnt);
    list.name = ROUND_PART;
    list.version_max = PART_VERSION;
    list.is_union = true;
    while ((rc = weir_state_list_next(&list, &item)) > 0) {
        uint64_t round;
        rc = weir_part_get_u64(&item, &round);
        rc = rc != 0 ? rc : weir_part_end(&item);
        if (rc != 0) {
            return rc;
        }
        self->round = weir_max_u64(self->round, round);
    }
    return rc;
}

static const struct weir_state_part frontier_parts[] = {{ROUND_PART, WEIR_STATE_PART_LIST, 0}};

static int
wait_open(struct weir_operator *op)
{
    ((struct head_self *)op->self)->told_ms = WEIR_TIME_MIN;
    return 0;
}

/* The MAX one is for those behind when nothing comes back any more. */
static int
wait_watermark(struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns)
{
    struct head_self *self = op->self;
    (void)out;
    (void)now_ns;
    self->told_ms = watermark != WEIR_WATERMARK_MAX ? watermark : self->told_ms;
    return WEIR_DONE;
}

static int
wait_finish(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    (void)now_ns;
    if (op->watermark == WEIR_WATERMARK_MAX) {
        weir_out_watermark(out, WEIR_WATERMARK_MAX);
    }
    return WEIR_DONE;
}

#define HEAD_CALLS                                                                 \
    .self_bytes = sizeof(struct head_self), .input_cnt = 2, .output_cnt = 1,       \
    .process = head_process, .end_input = head_end_input, .barrier = head_barrier, \
    .aborted = forget

const struct weir_operator_type weir_loop_wait_type = {.name = "loop",
    HEAD_CALLS,
    .open = wait_open,
    .watermark = wait_watermark,
    .finish = wait_finish,
    .keeps_last = true};
const struct weir_operator_type weir_loop_frontier_type = {
    .name = "loop to the last row",
    HEAD_CALLS,
    .sets_watermarks = true,
    .due_ns = frontier_due_ns,
    .timer = frontier_timer,
    .snapshot = frontier_snapshot,
    .restore = frontier_restore,
    .parts = frontier_parts,
    .part_cnt = WEIR_ARRAY_CNT(frontier_parts),
};

/* ---- the tail ---- */

struct tail_self {
    bool has_rows; /* since the last round */
};

static int
tail_open(struct weir_operator *op)
{
    return weir_feedback_join(feedback_of(op), op->env->subtask_idx, WEIR_FEEDBACK_TAIL);
}

static int
tail_close(struct weir_operator *op, bool clean)
{
    (void)clean;
    weir_feedback_leave(feedback_of(op), op->env->subtask_idx, WEIR_FEEDBACK_TAIL);
    return 0;
}

static int64_t
tail_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    struct tail_self *self = op->self;
    uint32_t cnt = in->cnt - cursor;
    (void)input;
    (void)out;
    (void)now_ns;
    if (slot_of(op)->is_over) {
        op->rows_late += cnt;
        return cnt;
    }
    self->has_rows = true;
    int rc = weir_feedback_put(feedback_of(op), op->env->subtask_idx, in, cursor);
    return rc != 0 ? rc : (int64_t)cnt;
}

/* Of rounds word goes to the heads; other watermarks end here. */
static int
tail_watermark(struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns)
{
    struct tail_self *self = op->self;
    struct weir_feedback_slot *slot = slot_of(op);
    (void)out;
    (void)now_ns;
    if (feedback_of(op)->wait_ns > 0 || watermark == WEIR_WATERMARK_MAX) {
        return WEIR_DONE;
    }
    uint64_t round = (uint64_t)(watermark - WEIR_LOOP_ROUND_0);
    if (self->has_rows) {
        self->has_rows = false;
        weir_store_rlx(&slot->busy_round, round); /* relaxed: told by [R60] */
    }
    /* [R60] pairs with [A60] in is_round_over. */
    weir_store_rel(&slot->round, round);
    return WEIR_DONE;
}

/* What nobody has taken nobody will, unless a savepoint has it. */
static int
tail_finish(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    (void)out;
    (void)now_ns;
    op->rows_late += op->is_saved ? 0 : slot_of(op)->row_cnt;
    return WEIR_DONE;
}

static int
tail_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    struct weir_feedback_slot *slot = slot_of(op);
    const struct weir_feedback_cut *cut = weir_feedback_find(slot, id);
    bool has_head = (slot->joined & WEIR_FEEDBACK_HEAD) != 0 && !slot->is_over;
    if (cut == NULL && has_head) {
        return weir_err_push(WEIR_EBUDGET,
            "loop %s: what came back since the checkpoint began did not fit beside the rows that "
            "wait, into %llu bytes (budget_bytes)",
            feedback_of(op)->name, (unsigned long long)slot->bytes);
    }
    uint64_t from = cut != NULL && has_head ? cut->seq : slot->put_seq;
    from = WEIR_MUTANT(LOOP_CUT_LATE) && cut != NULL ? slot->take_seq : from;
    uint64_t bytes;
    uint64_t cnt = 0;
    for (uint64_t seq = from; weir_feedback_next(slot, &seq, &bytes) != NULL;) {
        cnt++;
    }
    weir_state_list_begin(parts, ROWS_PART, PART_VERSION, cnt);
    for (uint64_t seq = from; cnt > 0; cnt--) {
        const void *section = weir_feedback_next(slot, &seq, &bytes);
        weir_state_item(parts, bytes);
        weir_parts_put(parts, section, bytes);
    }
    weir_state_list_end(parts);
    weir_feedback_forget(slot, id);
    return 0;
}

static int
restore_rows(struct weir_operator *op, const struct weir_flight_entry *entry)
{
    const struct weir_feedback *feedback = feedback_of(op);
    struct weir_view view;
    if (entry->fingerprint != weir_schema_fingerprint(feedback->schema)) {
        return weir_err_push(WEIR_ESTATE,
            "rows were on their way back in loop %s with other fields than schema %s has now; let "
            "the job finish them first (weir stop --drain)",
            feedback->name, feedback->schema->name);
    }
    int rc = weir_flight_view(entry, feedback->schema, &view);
    return rc != 0 ? rc : weir_feedback_put(feedback, op->env->subtask_idx, &view, 0);
}

static void
rows_list(struct weir_state_list *list, const struct weir_operator *op,
    const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    weir_state_list_init(list, op, parts, parts_cnt);
    list->name = ROWS_PART;
    list->version_max = PART_VERSION;
}

static int
tail_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct weir_state_list list;
    struct weir_part item;
    uint64_t bytes = 0;
    int rc;
    rows_list(&list, op, parts, parts_cnt);
    while ((rc = weir_state_list_next(&list, &item)) > 0) {
        bytes += item.bytes;
    }
    rc = rc == 0 ? weir_feedback_widen(feedback_of(op), op->env->subtask_idx, bytes) : rc;
    if (rc != 0) {
        return rc;
    }
    rows_list(&list, op, parts, parts_cnt);
    while (!WEIR_MUTANT(LOOP_UNSAVED) && (rc = weir_state_list_next(&list, &item)) > 0) {
        const struct weir_flight_entry *entry;
        size_t offset = 0;
        rc = weir_flight_check(item.data, item.bytes);
        while (rc == 0 && (entry = weir_flight_next(item.data, item.bytes, &offset)) != NULL) {
            rc = restore_rows(op, entry);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return rc;
}

static const struct weir_state_part tail_parts[] = {{ROWS_PART, WEIR_STATE_PART_LIST, 0}};

const struct weir_operator_type weir_loop_tail_type = {
    .name = "loop tail",
    .self_bytes = sizeof(struct tail_self),
    .input_cnt = 1,
    .open = tail_open,
    .process = tail_process,
    .watermark = tail_watermark,
    .finish = tail_finish,
    .close = tail_close,
    .aborted = forget,
    .snapshot = tail_snapshot,
    .restore = tail_restore,
    .parts = tail_parts,
    .part_cnt = WEIR_ARRAY_CNT(tail_parts),
    .is_inner = true,
};
