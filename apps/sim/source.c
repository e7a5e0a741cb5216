/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/sim/source.h"

#include <inttypes.h>
#include <stdlib.h>

#include "apps/sim/schema.h"
#include "base/mutant.h"
#include "base/rng.h"
#include "dataplane/state.h"

#define SPLITS_VERSION 1
/* The last rows, which wait until the gate is open: one of so many. */
#define HELD_ONE_IN 10

/* Also an item of the part. */
struct split {
    uint64_t idx;
    uint64_t at;
};

struct source {
    uint32_t split_cnt;
    struct split split[SIM_SPLIT_CNT_MAX];
    int64_t told_ms;
    uint64_t snapshot_id;
    /* Of those that begin checkpoints: the last one, whether it begins behind the last poll, and
     * how many rows were read before it. */
    uint64_t begun_number;
    bool begins;
    bool has_ended;
    uint64_t begun_at;
};

static const struct sim_source_conf *
conf_of(const struct weir_operator *op)
{
    return (const struct sim_source_conf *)op->conf;
}

static struct sim_far *
far_of(const struct weir_operator *op)
{
    return &conf_of(op)->gate->far[conf_of(op)->source->idx][op->env->subtask_idx];
}

static bool
is_mine(const struct weir_operator *op, uint64_t split)
{
    return split % op->env->subtask_cnt == op->env->subtask_idx;
}

static int
source_open(struct weir_operator *op)
{
    struct source *self = (struct source *)op->self;
    conf_of(op)->gate->open_cnt++;
    *far_of(op) = (struct sim_far){.lag_ms = conf_of(op)->source->lag_ms,
        .floor_ms = conf_of(op)->gate->farthest_ms[conf_of(op)->source->idx]};
    self->told_ms = WEIR_TIME_MIN;
    for (uint32_t i = 0; i < conf_of(op)->source->split_cnt; i++) {
        if (is_mine(op, i)) {
            self->split[self->split_cnt++] = (struct split){.idx = i};
        }
    }
    return 0;
}

/* The split that is least far, and has rows; NULL: all are at their end. */
static struct split *
least(struct source *self, const struct sim_source *source)
{
    struct split *found = NULL;
    for (uint32_t i = 0; i < self->split_cnt; i++) {
        struct split *split = &self->split[i];
        if (split->at < source->row_cnt && (found == NULL || split->at < found->at)) {
            found = split;
        }
    }
    return found;
}

/* Up to where rows may go now. */
static uint64_t
limit(const struct weir_operator *op, int64_t now_ns)
{
    const struct sim_source *source = conf_of(op)->source;
    const struct sim_gate *gate = conf_of(op)->gate;
    /* The first holds the job; another may come to its end while all goes wrong. */
    bool is_held = !gate->is_open && (source->idx == 0 || !source->ends_early);
    uint64_t end = is_held ? source->row_cnt - source->row_cnt / HELD_ONE_IN - 1 : source->row_cnt;
    uint64_t due = end;
    if (!gate->is_unpaced && source->gap_ns != 0) {
        uint64_t ago = (uint64_t)(now_ns / source->gap_ns);
        due = ago - ago % source->burst_cnt + source->burst_cnt;
    }
    return weir_min_u64(end, due);
}

static bool
emit(struct weir_out *out, const struct sim_source *source, uint32_t split, uint64_t at,
    int64_t *max_ms)
{
    struct sim_row row;
    char text[SIM_TEXT_BYTES_MAX];
    if (!weir_out_room(out, 1, SIM_TEXT_BYTES_MAX)) {
        return false;
    }
    sim_row_at(source, split, at, &row);
    struct cell *cell = cell_emit(out);
    cell->key = row.key;
    cell->value = row.value;
    cell->tag = row.tag;
    cell->at = row.at_ms;
    *max_ms = weir_max_i64(*max_ms, row.at_ms);
    weir_str_set_bytes(out, &cell->text, text, sim_text(row.text, text));
    return true;
}

static void
tell_watermark(struct source *self, const struct sim_source *source, struct weir_out *out)
{
    const struct split *split = least(self, source);
    int64_t watermark_ms = split == NULL ? self->told_ms : (int64_t)split->at * source->step_ms - 1;
    if (watermark_ms > self->told_ms) {
        self->told_ms = watermark_ms;
        weir_out_watermark(out, watermark_ms);
    }
}

/* A subtask that has no split: nothing will come from it. */
static int
poll_nothing(struct weir_operator *op, struct weir_out *out)
{
    struct source *self = (struct source *)op->self;
    if (conf_of(op)->source->ends_early || conf_of(op)->gate->is_open) {
        return WEIR_DONE;
    }
    if (self->told_ms == WEIR_TIME_MIN) {
        self->told_ms = 0;
        out->status = WEIR_SLOT_IDLE;
        return WEIR_AGAIN;
    }
    return WEIR_WAIT;
}

/* It is asked for rows though it is too far ahead of another one of the group: by its rows of all
 * polls but the last, and by all that the other one has let go, once it counts. */
static int
check_drift(const struct weir_operator *op)
{
    const struct sim_source *source = conf_of(op)->source;
    const struct sim_gate *gate = conf_of(op)->gate;
    const struct sim_far *own = far_of(op);
    int64_t own_ms = own->before_ms - source->lag_ms;
    for (uint32_t i = 0; i < SIM_SOURCE_CNT_MAX * SIM_PARALLELISM_MAX && own->poll_cnt > 1; i++) {
        const struct sim_far *other = &gate->far[i / SIM_PARALLELISM_MAX][i % SIM_PARALLELISM_MAX];
        int64_t other_ms = weir_max_i64(other->at_ms, other->floor_ms) - other->lag_ms;
        if (source->lag_ms != 0 && other->lag_ms != 0 && other->poll_cnt > 1 &&
            own_ms > other_ms + source->drift_ms) {
            return weir_err_push(WEIR_EBUG,
                "invariant T4: source %" PRIu32 " is at %" PRId64
                " ms, and one that it waits for at %" PRId64,
                source->idx, own_ms, other_ms);
        }
    }
    return 0;
}

static uint64_t
read_cnt(const struct source *self)
{
    uint64_t cnt = 0;
    for (uint32_t i = 0; i < self->split_cnt; i++) {
        cnt += self->split[i].at;
    }
    return cnt;
}

static int
source_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct source *self = (struct source *)op->self;
    const struct sim_source *source = conf_of(op)->source;
    struct split *split = least(self, source);
    if (split == NULL) {
        far_of(op)->poll_cnt = 0;
        return self->split_cnt > 0 ? WEIR_DONE : poll_nothing(op, out);
    }
    conf_of(op)->gate->polled_ns = now_ns;
    int too_far = check_drift(op);
    if (too_far != 0) {
        return too_far;
    }
    uint64_t first = split->at;
    uint64_t slice = 1 + weir_rng_below(&(struct weir_rng){{op->env->seed, first, split->idx, 1}},
                             SIM_SOURCE_SLICE_CNT_MAX);
    uint64_t end = weir_min_u64(limit(op, now_ns), first + slice);
    if (end <= first) {
        return WEIR_WAIT;
    }
    bool told = self->told_ms >= (int64_t)first * source->step_ms - 1;
    struct sim_far *far = far_of(op);
    far->before_ms = far->at_ms;
    far->poll_cnt++;
    for (; split->at < end; split->at++) {
        /* A row that is late on purpose comes behind the watermark that it is late for. */
        bool is_late = sim_row_is_late(source, (uint32_t)split->idx, split->at);
        if ((is_late && (split->at > first || !told)) ||
            !emit(out, source, (uint32_t)split->idx, split->at, &far->at_ms)) {
            break;
        }
    }
    conf_of(op)->gate->emitted_cnt += split->at - first;
    int64_t *farthest_ms = &conf_of(op)->gate->farthest_ms[source->idx];
    *farthest_ms = weir_max_i64(*farthest_ms, far->at_ms);
    tell_watermark(self, source, out);
    return WEIR_AGAIN;
}

static int
begin_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct source *self = (struct source *)op->self;
    uint64_t number = 1 + (uint64_t)(now_ns / conf_of(op)->source->begin_ns);
    int rc = source_poll(op, out, now_ns);
    self->has_ended = rc == WEIR_DONE;
    self->begins = number > self->begun_number;
    if (self->begins) {
        self->begun_number = number;
        self->begun_at = read_cnt(self);
    }
    return rc;
}

static uint64_t
begin_begins(const struct weir_operator *op)
{
    const struct source *self = (const struct source *)op->self;
    return self->begins ? self->begun_number : 0;
}

static int
source_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    struct source *self = (struct source *)op->self;
    struct sim_positions *saved = &conf_of(op)->gate->saved[id % SIM_POSITIONS_CNT];
    if (id <= self->snapshot_id && conf_of(op)->gate->late_id == 0) {
        conf_of(op)->gate->late_id = id; /* an error from here would only decline the checkpoint */
        conf_of(op)->gate->late_for_id = self->snapshot_id;
    }
    self->snapshot_id = id;
    if (saved->checkpoint != id) {
        *saved = (struct sim_positions){.checkpoint = id};
    }
    weir_state_list_begin(parts, "splits", SPLITS_VERSION, self->split_cnt);
    for (uint32_t i = 0; i < self->split_cnt; i++) {
        saved->at[conf_of(op)->source->idx][self->split[i].idx] = self->split[i].at + 1;
        weir_state_item(parts, sizeof self->split[i]);
        weir_parts_put_u64(parts, self->split[i].idx);
        weir_parts_put_u64(parts, self->split[i].at);
    }
    weir_state_list_end(parts);
    return 0;
}

/* The cut lies where this subtask has begun one, and the others the same one. Who has read all
 * begins none any more. */
static int
begin_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    struct source *self = (struct source *)op->self;
    struct sim_gate *gate = conf_of(op)->gate;
    struct sim_positions *saved = &gate->saved[id % SIM_POSITIONS_CNT];
    int rc = source_snapshot(op, id, parts);
    if (self->has_ended || (self->split_cnt > 0 && least(self, conf_of(op)->source) == NULL)) {
        return rc;
    }
    bool is_other = saved->number != 0 && saved->number != self->begun_number;
    saved->number = self->begun_number;
    if (is_other || self->begun_at != read_cnt(self)) {
        gate->astray_id = id;
    }
    return rc;
}

/* Splits that nobody has left were at their end. */
static int
source_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct source *self = (struct source *)op->self;
    struct weir_state_list list;
    struct weir_part item;
    uint64_t *owned = &conf_of(op)->gate->owned[conf_of(op)->source->idx];
    uint64_t seen = 0;
    int got;
    weir_state_list_init(&list, op, parts, parts_cnt);
    list.name = "splits";
    list.version_max = SPLITS_VERSION;
    list.is_union = !conf_of(op)->source->is_dealt;
    self->split_cnt = 0;
    while ((got = weir_state_list_next(&list, &item)) > 0) {
        struct split split = {0, 0};
        int err = weir_part_get_u64(&item, &split.idx);
        err = err != 0 ? err : weir_part_get_u64(&item, &split.at);
        if (err != 0) {
            return err;
        }
        bool is_own = !list.is_union || is_mine(op, split.idx);
        if (split.idx >= SIM_SPLIT_CNT_MAX ||
            ((seen | (is_own ? *owned : 0)) >> split.idx & 1) != 0) {
            return weir_err_push(
                WEIR_EBUG, "invariant O2: split %" PRIu64 " has two owners", split.idx);
        }
        seen |= UINT64_C(1) << split.idx;
        if (is_own) {
            *owned |= UINT64_C(1) << split.idx;
            conf_of(op)->gate->restored.at[conf_of(op)->source->idx][split.idx] = split.at + 1;
            split.at -= WEIR_MUTANT(SOURCE_BACK_ONE) && split.at > 0;
            split.at += WEIR_MUTANT(SOURCE_AHEAD_ONE) && split.at > 0;
            if (WEIR_MUTANT(SOURCE_DIES)) {
                abort();
            }
            self->split[self->split_cnt++] = split;
        }
    }
    return got;
}

static int
source_close(struct weir_operator *op, bool clean)
{
    (void)clean;
    conf_of(op)->gate->open_cnt--;
    return 0;
}

static bool
source_replays(const void *conf)
{
    (void)conf;
    return true;
}

#define SOURCE_CALLS                                                               \
    .self_bytes = sizeof(struct source), .output_cnt = 1, .sets_watermarks = true, \
    .open = source_open, .close = source_close, .restore = source_restore,         \
    .replays = source_replays

const struct weir_operator_type sim_source_type = {
    .name = "sim_source", SOURCE_CALLS, .poll = source_poll, .snapshot = source_snapshot};
const struct weir_operator_type sim_begin_type = {.name = "sim_begin",
    SOURCE_CALLS,
    .poll = begin_poll,
    .snapshot = begin_snapshot,
    .begins = begin_begins};
