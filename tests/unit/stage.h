/* SPDX-License-Identifier: Apache-2.0 */
/* stage.h: one real task that takes checkpoints, between channels that the test holds.
 *
 *     gate 0: in 0, 1 --> [ a (two inputs) ] --> [ b ] --> [ partition ] --> out 0, 1 (broadcast)
 *     gate 1: in 2, 3 -->
 *
 * With a source, a is that; mixed, b has gate 1 as its second input. Every hook, every barrier that
 * is sent and every report is a line in s->log, in order.
 */
#ifndef WEIR_TESTS_UNIT_STAGE_H
#define WEIR_TESTS_UNIT_STAGE_H

#include <stdio.h>
#include <string.h>

#include "dataplane/keep.h"
#include "dataplane/partition.h"
#include "dataplane/task.h"
#include "tests/unit/test.h"
#include "tests/unit/wire.h"

#define LOG_BYTES 8192
#define PARTS_BYTES 4096
#define FLIGHT_BYTES 8192
#define IN_CNT 4 /* two gates of two channels */
#define OUT_CNT 2

struct stage;

struct script {
    const char *name;
    struct stage *stage;
    const char *fails_in; /* a hook, or NULL */
    uint32_t wait_cnt; /* calls of precommit that answer WEIR_WAIT */
    uint32_t emit_cnt; /* rows that the hook `barrier` emits, a call each */
    uint64_t hook_row_cnt; /* row_cnt when the hook `barrier` was called last */
    uint64_t row_cnt; /* what is snapshotted */
    uint64_t sum;
    int64_t due_ns; /* of operators that keep time: when they want to be called */
    int64_t tick_ns; /* how much later again, 0: once */
    uint32_t slice_cnt; /* calls that one time takes, a row each */
    uint32_t fired_cnt;
};

struct stage {
    struct wire wire;
    struct weir_task_gate gates[2];
    struct weir_gate out_gate[OUT_CNT];
    struct weir_partition_conf partition;
    struct script script[2]; /* a, b */
    struct weir_task_checkpoints checkpoints;
    struct weir_task *task;
    int64_t now_ns;
    int64_t source_next; /* rows of the source are told by the test: [source_at, source_next) */
    int64_t source_at;
    bool source_ends;
    bool refuses; /* begin_fn */
    uint32_t begin_wait_cnt; /* calls of begin_fn that answer WEIR_WAIT */
    uint32_t move_wait_cnt; /* of move_fn */
    int move_error; /* what it says then, if not 0 */
    enum weir_task_hold hold; /* what hold_fn says */
    uint32_t hold_cnt; /* how often it was asked */
    size_t parts_cap;
    size_t parts_bytes; /* of the last snapshot */
    size_t flight_cap;
    size_t flight_bytes; /* of the last that was captured */
    struct weir_keep keep;
    struct weir_task_report last; /* snapshot */
    _Alignas(8) char parts[PARTS_BYTES];
    _Alignas(8) char flight[FLIGHT_BYTES];
    _Alignas(8) char kept[FLIGHT_BYTES];
    char log[LOG_BYTES];
    size_t log_bytes;
    char got[256];
};

/* ---- operators that write down what is asked of them ---- */

static inline void
say(struct stage *s, const char *what, const char *who, uint64_t id)
{
    int n = snprintf(s->log + s->log_bytes, sizeof s->log - s->log_bytes, "%s%s%s %llu\n", what,
        who[0] != 0 ? " " : "", who, (unsigned long long)id);
    s->log_bytes += (size_t)n;
    assert_true(s->log_bytes < sizeof s->log);
}

static inline struct script *
script_of(const struct weir_operator *op)
{
    return (struct script *)(uintptr_t)op->conf;
}

static inline int
act(struct weir_operator *op, const char *hook, uint64_t id)
{
    struct script *script = script_of(op);
    say(script->stage, hook, script->name, id);
    if (script->fails_in != NULL && strcmp(script->fails_in, hook) == 0) {
        return weir_err_push(WEIR_EDATA, "%s cannot %s", script->name, hook);
    }
    return 0;
}

static inline int64_t
do_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    struct script *script = script_of(op);
    (void)input;
    (void)now_ns;
    for (uint32_t i = cursor; i < in->cnt; i++) {
        script->row_cnt++;
        script->sum += (uint64_t)wire_number(in, i);
    }
    weir_out_pass_range(out, in, cursor, in->cnt - cursor);
    return in->cnt - cursor;
}

static inline int
do_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct script *script = script_of(op);
    struct stage *s = script->stage;
    (void)now_ns;
    if (s->source_at < s->source_next && weir_out_room(out, 1, 0)) {
        number_emit(out)->n = s->source_at;
        script->row_cnt++;
        script->sum += (uint64_t)s->source_at++;
        return WEIR_AGAIN;
    }
    return s->source_ends ? WEIR_DONE : WEIR_WAIT;
}

static inline int
do_end_input(struct weir_operator *op, uint32_t input, struct weir_out *out)
{
    (void)out;
    return act(op, "end_input", input);
}

static inline int
do_barrier(struct weir_operator *op, uint64_t id, struct weir_out *out, int64_t now_ns)
{
    struct script *script = script_of(op);
    (void)now_ns;
    script->hook_row_cnt = script->row_cnt;
    if (script->emit_cnt > 0) {
        script->emit_cnt--;
        number_emit(out)->n = 1000;
        return script->emit_cnt > 0 ? WEIR_AGAIN : WEIR_DONE;
    }
    return act(op, "barrier", id);
}

static inline int
do_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    struct script *script = script_of(op);
    weir_parts_begin(parts, "count", 1);
    weir_parts_put_u64(parts, script->row_cnt);
    weir_parts_put_u64(parts, script->sum);
    weir_parts_end(parts);
    return act(op, "snapshot", id);
}

static inline int
do_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct script *script = script_of(op);
    struct weir_part part;
    uint64_t words[2]; /* rows, sum */
    int rc = 0;
    for (uint32_t i = 0; i < parts_cnt && rc == 0; i++) {
        rc = weir_parts_find(&parts[i], "count", 1, &part);
        rc = rc != 0 ? rc : weir_part_get(&part, words, sizeof words);
        if (rc == 0) {
            script->row_cnt += words[0];
            script->sum += words[1];
        }
    }
    return rc != 0 ? rc : act(op, "restore", 0);
}

static inline int
do_precommit(struct weir_operator *op, uint64_t id)
{
    struct script *script = script_of(op);
    if (script->wait_cnt > 0) {
        script->wait_cnt--;
        return WEIR_WAIT;
    }
    return act(op, "precommit", id);
}

static inline int
do_committed(struct weir_operator *op, uint64_t id)
{
    return act(op, "committed", id);
}

static inline int
do_aborted(struct weir_operator *op, uint64_t id)
{
    return act(op, "aborted", id);
}

#define HOOKS                                                              \
    .barrier = do_barrier, .snapshot = do_snapshot, .restore = do_restore, \
    .precommit = do_precommit, .committed = do_committed, .aborted = do_aborted

static const struct weir_operator_type source_type = {
    .name = "source", .output_cnt = 1, .poll = do_poll, HOOKS};
static const struct weir_operator_type two_type = {.name = "two",
    .input_cnt = 2,
    .output_cnt = 1,
    .process = do_process,
    .end_input = do_end_input,
    HOOKS};
static const struct weir_operator_type one_type = {
    .name = "one", .input_cnt = 1, .output_cnt = 1, .process = do_process, HOOKS};

/* ---- the task and its surroundings ---- */

static inline void
on_sent(void *arg, uint32_t channel)
{
    struct stage *s = arg;
    const struct weir_ring_prod *ring = &s->wire.out[IN_CNT + channel].ring;
    if (ring->tail_seq == 0) {
        return;
    }
    const struct weir_batch *slot =
        (const struct weir_batch *)(void *)(ring->slots +
                                            ((ring->tail_seq - 1) & (ring->slot_cnt - 1)) *
                                                sizeof *slot);
    if (slot->kind == WEIR_SLOT_BARRIER || slot->kind == WEIR_SLOT_CANCEL) {
        const char *what = slot->kind == WEIR_SLOT_BARRIER ? "sent barrier" : "sent cancel";
        say(s, what, channel == 0 ? "0" : "1", (uint64_t)slot->watermark);
    }
}

static inline int
on_begin(void *arg, struct weir_task *task, const struct weir_mark *mark, void **ret_buf,
    size_t *ret_bytes)
{
    struct stage *s = arg;
    (void)task;
    if (s->refuses) {
        return weir_err_push(WEIR_EIO, "no room");
    }
    if (s->begin_wait_cnt > 0) {
        s->begin_wait_cnt--;
        return WEIR_WAIT;
    }
    say(s, "begin", "", mark->id);
    *ret_buf = s->parts;
    *ret_bytes = s->parts_cap;
    return 0;
}

static inline int
on_move(void *arg, struct weir_task *task, const struct weir_mark *mark)
{
    struct stage *s = arg;
    (void)task;
    if (s->move_wait_cnt > 0) {
        s->move_wait_cnt--;
        return WEIR_WAIT;
    }
    if (s->move_error != 0) {
        return weir_err_push(s->move_error, "no room for what moves");
    }
    say(s, "move", "", mark->id);
    return WEIR_DONE;
}

static inline int
on_flight(void *arg, struct weir_task *task, void **ret_buf, size_t *ret_bytes)
{
    struct stage *s = arg;
    (void)task;
    *ret_buf = s->flight;
    *ret_bytes = s->flight_cap;
    return 0;
}

static inline enum weir_task_hold
on_hold(void *arg, struct weir_task *task, int64_t now_ns)
{
    struct stage *s = arg;
    (void)task;
    (void)now_ns;
    s->hold_cnt++;
    return s->hold;
}

static inline void
on_report(void *arg, struct weir_task *task, const struct weir_task_report *report)
{
    static const char *const names[] = {
        "", "SNAPSHOT", "PRECOMMITTED", "DECLINED", "COMMITTED", "WAITS", "CAPTURED", "BEGINS"};
    struct stage *s = arg;
    (void)task;
    const char *who = "";
    if (report->kind == WEIR_TASK_DECLINED) {
        who = weir_decline_name(report->decline);
    } else if (report->kind == WEIR_TASK_SNAPSHOT) {
        who = report->is_final ? "final" : "";
        s->last = *report;
        s->parts_bytes = report->parts_bytes;
    } else if (report->kind == WEIR_TASK_CAPTURED) {
        s->flight_bytes = report->flight_bytes;
    }
    say(s, names[report->kind], who, report->mark.id);
}

static inline int
on_state(void *arg, struct weir_task *task, enum weir_task_state state)
{
    struct stage *s = arg;
    assert_int_equal(weir_task_state(task), state);
    if (weir_task_has_ended(state)) {
        say(s, "ENDED", weir_task_state_name(state), 0);
    }
    return 0;
}

struct stage_conf {
    bool has_source; /* in place of the gates */
    bool is_mixed; /* and gate 1 as the second input of b */
    uint32_t slot_cnt; /* of rings that go out; 0: 64 */
    bool waits_final;
    uint32_t subtask_idx;
    uint32_t subtask_cnt; /* 0: 1 */
    const struct weir_task_restore *restore;
    const struct weir_operator_type *types[2]; /* of a and b in place of these; or NULL */
    const char *uids[2]; /* of a and b; NULL: their names */
    bool is_unchecked; /* it takes no checkpoints */
    bool is_unaligned;
    int64_t timeout_ns;
    uint32_t forced_gate; /* 1: gate 1 */
    const struct weir_task_edge *edges; /* two of a */
};

static inline void
build_nodes(struct stage *s, const struct stage_conf *conf, struct weir_chain_node_conf *nodes)
{
    bool has_source = conf->has_source;
    static const char *const names[] = {"a", "b", "partition"};
    memset(nodes, 0, 3 * sizeof *nodes);
    for (uint32_t i = 0; i < 3; i++) {
        nodes[i].name = names[i];
        nodes[i].type = i == 1 ? &one_type : has_source ? &source_type : &two_type;
        nodes[i].in_schema[0] = number_schema();
        nodes[i].in_schema[1] = number_schema();
        nodes[i].channel_cnt = i > 0 ? 1 : has_source ? 0 : 2;
        nodes[i].channel_input[1] = 1;
        nodes[i].outputs[0].schema = number_schema();
        nodes[i].outputs[0].edge_cnt = i < 2 ? 1 : 0;
        nodes[i].outputs[0].edges[0].node = (uint16_t)(i + 1);
        nodes[i].env.regions = &s->wire.mem.table;
        nodes[i].env.subtask_idx = conf->subtask_idx;
        nodes[i].env.subtask_cnt = conf->subtask_cnt;
        nodes[i].env.max_parallelism = 128;
        if (i < 2) {
            nodes[i].type = conf->types[i] != NULL ? conf->types[i] : nodes[i].type;
            nodes[i].uid = conf->uids[i];
            s->script[i].name = names[i];
            s->script[i].stage = s;
            nodes[i].conf = &s->script[i];
        }
    }
    if (conf->is_mixed) {
        nodes[1].type = &two_type;
        nodes[1].channel_cnt = 2;
        s->gates[1].node = 1;
    }
    nodes[2].type = &weir_partition_type;
    nodes[2].conf = &s->partition;
    s->partition.partitioner = WEIR_PARTITION_BROADCAST;
    s->partition.channels = &s->wire.out[IN_CNT];
    s->partition.channel_cnt = OUT_CNT;
    s->partition.ring_fn = on_sent;
    s->partition.ring_arg = s;
}

static inline struct stage *
stage_open(const struct stage_conf *conf)
{
    struct stage *s = calloc(1, sizeof *s);
    struct weir_chain_node_conf nodes[3];
    assert_non_null(s);
    wire_open(&s->wire, IN_CNT + OUT_CNT);
    for (uint32_t c = 0; c < IN_CNT; c++) {
        wire_join(&s->wire, c, c, 64);
    }
    for (uint32_t c = 0; c < OUT_CNT; c++) {
        wire_join(&s->wire, IN_CNT + c, IN_CNT + c, conf->slot_cnt != 0 ? conf->slot_cnt : 64);
        wire_gate(&s->wire, &s->out_gate[c], IN_CNT + c, 1);
    }
    for (uint32_t g = 0; g < 2; g++) {
        wire_gate(&s->wire, &s->gates[g].gate, 2 * g, 2);
        s->gates[g].channel = g;
        s->gates[g].is_forced = g > 0 && conf->forced_gate == g;
    }
    build_nodes(s, conf, nodes);
    s->parts_cap = sizeof s->parts;
    s->flight_cap = sizeof s->flight;
    weir_keep_init(&s->keep, s->kept, sizeof s->kept);
    for (uint32_t c = 0; c < OUT_CNT && conf->is_unaligned; c++) {
        s->wire.out[IN_CNT + c].keep = &s->keep;
        s->wire.out[IN_CNT + c].place = (struct weir_flight_place){
            .uid = "next", .subtask = c, .channel_id = IN_CNT + c, .side = WEIR_FLIGHT_KEPT};
        s->out_gate[c].looks = true;
    }
    s->checkpoints.mode = conf->is_unaligned ? WEIR_BARRIER_UNALIGNED : WEIR_BARRIER_ALIGNED;
    s->checkpoints.timeout_ns = conf->timeout_ns;
    s->checkpoints.flight_fn = on_flight;
    s->checkpoints.arg = s;
    s->checkpoints.after_end = true;
    s->checkpoints.waits_final = conf->waits_final;
    s->checkpoints.begin_fn = on_begin;
    s->checkpoints.move_fn = on_move;
    s->checkpoints.report_fn = on_report;
    s->checkpoints.hold_fn = on_hold;
    s->checkpoints.restore = conf->restore;
    const struct weir_task_conf task = {.name = "task (1/1)",
        .chain = {.nodes = nodes, .node_cnt = 3, .batch_rows = 16, .buf_bytes = 4096},
        .gates = conf->is_mixed ? &s->gates[1] : s->gates,
        .gate_cnt = conf->is_mixed     ? 1
                    : conf->has_source ? 0
                                       : 2,
        .edges = conf->edges,
        .edge_cnt = conf->edges != NULL ? 2 : 0,
        .checkpoints = conf->is_unchecked ? NULL : &s->checkpoints,
        .state_fn = on_state,
        .state_arg = s};
    assert_int_equal(weir_task_new(&task, &s->task), 0);
    return s;
}

static inline struct stage *
stage_run(bool has_source)
{
    const struct stage_conf conf = {.has_source = has_source};
    struct stage *s = stage_open(&conf);
    assert_int_equal(weir_task_poll(s->task, 8, 0), WEIR_POLL_BUSY);
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_RUNNING);
    return s;
}

static inline void
stage_close(struct stage *s)
{
    weir_task_delete(s->task);
    for (uint32_t g = 0; g < 2; g++) {
        weir_gate_release(&s->gates[g].gate);
    }
    for (uint32_t c = 0; c < OUT_CNT; c++) {
        weir_gate_release(&s->out_gate[c]);
    }
    wire_close(&s->wire);
    free(s);
}

/* Poll until nothing is left to do now. */
static inline void
settle(struct stage *s)
{
    for (uint32_t idle = 0, i = 0; idle < 3; i++) {
        assert_true(i < 1000);
        enum weir_task_poll did = weir_task_poll(s->task, 8, s->now_ns);
        idle = did == WEIR_POLL_BUSY ? 0 : idle + 1;
    }
}

static inline void
post_kind(struct stage *s, enum weir_task_letter letter, uint64_t id, enum weir_mark_kind kind)
{
    const struct weir_mark mark = {.id = id, .trigger_ns = 3, .kind = kind};
    assert_int_equal(weir_task_post(s->task, letter, &mark), 1);
}

static inline void
post(struct stage *s, enum weir_task_letter letter, uint64_t id)
{
    post_kind(s, letter, id, WEIR_MARK_SAVEPOINT);
}

#include "tests/unit/stage_look.h"

#endif
