/* SPDX-License-Identifier: Apache-2.0 */
/* Watermarks, status and latency markers through a real task: SCENARIOS T-021, T-022, T-024, T-025,
 * T-027 and T-028. */
#include <stdio.h>
#include <string.h>

#include "base/hist.h"
#include "dataplane/partition.h"
#include "dataplane/task.h"
#include "dataplane/task_counters.h"
#include "tests/unit/test.h"
#include "tests/unit/wire.h"

#define GATE_CNT_MAX 3
#define SOURCE_CNT 2 /* of the job: 0 is somewhere else */
/* Of the ring that goes out: some hundred markers fill it. */
#define OUT_SLOT_CNT 64
#define NODE_CNT 4 /* source or not, many inputs, one input, partition */

/*
 *     channels --> gates --> [ many ] --> [ one ] --> [ partition ] --> channel
 *               [ source ] -'
 */
struct rig {
    struct wire wire;
    struct weir_task_gate gates[GATE_CNT_MAX];
    struct weir_gate out_gate;
    struct weir_gate other_gate; /* of a second output channel */
    uint32_t in_cnt; /* channels that come in */
    struct weir_partition_conf partition;
    struct weir_task *task;
    bool source_ends;
    uint32_t polled_cnt;
    bool holds; /* the source */
    uint32_t out_cnt;
    int64_t marker_interval_ns;
    const struct weir_operator_type *edge_type; /* in place of the partition's; NULL: that */
    int64_t now_ns;
    char got[512];
};

static int
do_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct rig *rig = (struct rig *)(uintptr_t)op->conf;
    (void)out;
    (void)now_ns;
    rig->polled_cnt++;
    return rig->source_ends ? WEIR_DONE : WEIR_WAIT;
}

static int64_t
do_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    (void)op;
    (void)input;
    (void)now_ns;
    weir_out_pass_range(out, in, cursor, in->cnt - cursor);
    return in->cnt - cursor;
}

static bool
do_holds(const struct weir_operator *op)
{
    return ((const struct rig *)op->conf)->holds;
}

static const struct weir_operator_type source_type = {
    .name = "source", .output_cnt = 1, .poll = do_poll};
static const struct weir_operator_type many_type = {.name = "many",
    .input_cnt = GATE_CNT_MAX,
    .output_cnt = 1,
    .process = do_process,
    .holds = do_holds};
static const struct weir_operator_type one_type = {
    .name = "one", .input_cnt = 1, .output_cnt = 1, .process = do_process};

static void
on_sent(void *arg, uint32_t channel)
{
    (void)arg;
    (void)channel;
}

static void
edge_to(struct weir_chain_node_conf *node, uint16_t to, uint16_t channel)
{
    node->outputs[0].schema = number_schema();
    node->outputs[0].edge_cnt = 1;
    node->outputs[0].edges[0].node = to;
    node->outputs[0].edges[0].channel = channel;
}

static void
rig_build(struct rig *rig, uint32_t gate_cnt, uint32_t channel_cnt, bool has_source)
{
    static const char *const names[NODE_CNT] = {"source", "many", "one", "partition"};
    struct weir_chain_node_conf nodes[NODE_CNT];
    memset(nodes, 0, sizeof nodes);
    rig->in_cnt = gate_cnt * channel_cnt;
    wire_open(&rig->wire, rig->in_cnt + 2);
    for (uint32_t c = 0; c < rig->in_cnt + 2; c++) {
        wire_join(&rig->wire, c, c, c < rig->in_cnt ? 64 : OUT_SLOT_CNT);
    }
    wire_gate(&rig->wire, &rig->out_gate, rig->in_cnt, 1);
    wire_gate(&rig->wire, &rig->other_gate, rig->in_cnt + 1, 1);
    uint32_t first = has_source ? 0 : 1;
    for (uint32_t g = 0; g < gate_cnt; g++) {
        wire_gate(&rig->wire, &rig->gates[g].gate, g * channel_cnt, channel_cnt);
        rig->gates[g].node = 1 - first;
        rig->gates[g].channel = g;
    }
    for (uint32_t i = 0; i < NODE_CNT; i++) {
        nodes[i].name = names[i];
        nodes[i].env.regions = &rig->wire.mem.table;
        nodes[i].in_schema[0] = number_schema();
        nodes[i].in_schema[1] = number_schema();
        nodes[i].in_schema[2] = number_schema();
        nodes[i].channel_cnt = 1;
    }
    nodes[0].type = &source_type;
    nodes[0].conf = rig;
    nodes[0].marker_source = 1;
    nodes[0].channel_cnt = 0;
    edge_to(&nodes[0], 1, (uint16_t)gate_cnt);
    nodes[1].type = &many_type;
    nodes[1].conf = rig;
    nodes[1].channel_cnt = gate_cnt + (has_source ? 1 : 0);
    for (uint16_t c = 0; c < nodes[1].channel_cnt; c++) {
        nodes[1].channel_input[c] = c;
    }
    nodes[2].type = &one_type;
    edge_to(&nodes[1], (uint16_t)(2 - first), 0);
    edge_to(&nodes[2], (uint16_t)(3 - first), 0);
    nodes[3].type = rig->edge_type != NULL ? rig->edge_type : &weir_partition_type;
    nodes[3].conf = &rig->partition;
    rig->partition.partitioner =
        rig->out_cnt == 1 ? WEIR_PARTITION_FORWARD : WEIR_PARTITION_BROADCAST;
    rig->partition.channels = &rig->wire.out[rig->in_cnt];
    rig->partition.channel_cnt = rig->out_cnt;
    rig->partition.ring_fn = on_sent;
    const struct weir_task_conf task = {.name = "task (1/1)",
        .chain = {.nodes = nodes + first,
            .node_cnt = NODE_CNT - first,
            .batch_rows = 16,
            .buf_bytes = 4096,
            .marker_source_cnt = SOURCE_CNT,
            .seed = 7},
        .gates = rig->gates,
        .gate_cnt = gate_cnt,
        .marker_interval_ns = rig->marker_interval_ns};
    assert_int_equal(weir_task_new(&task, &rig->task), 0);
}

static void
rig_open(struct rig *rig, uint32_t gate_cnt, uint32_t channel_cnt, bool has_source)
{
    memset(rig, 0, sizeof *rig);
    rig->out_cnt = 1;
    rig_build(rig, gate_cnt, channel_cnt, has_source);
}

static void
rig_close(struct rig *rig)
{
    weir_task_delete(rig->task);
    for (uint32_t g = 0; g < GATE_CNT_MAX; g++) {
        if (rig->gates[g].gate.channel_cnt > 0) {
            weir_gate_release(&rig->gates[g].gate);
        }
    }
    weir_gate_release(&rig->out_gate);
    weir_gate_release(&rig->other_gate);
    wire_close(&rig->wire);
}

/* What comes out once nothing is left to do: rows, W7 a watermark, I, A, E. */
static void
expect(struct rig *rig, const char *want)
{
    struct weir_gate_item item;
    char *at = rig->got;
    *at = 0;
    for (uint32_t idle = 0, i = 0; idle < 3; i++) {
        assert_true(i < 1000);
        enum weir_task_poll did = weir_task_poll(rig->task, 8, rig->now_ns);
        idle = did == WEIR_POLL_BUSY ? 0 : idle + 1;
    }
    do {
        weir_gate_release(&rig->out_gate);
        weir_gate_next(&rig->out_gate, &item);
        assert_true(at < rig->got + sizeof rig->got - 64);
        for (uint32_t r = 0; item.kind == WEIR_SLOT_BATCH && r < item.view.cnt; r++) {
            at += sprintf(at, "%lld ", (long long)wire_number(&item.view, r));
        }
        if (item.kind == WEIR_SLOT_WATERMARK && item.result.watermark == WEIR_WATERMARK_MAX) {
            at += sprintf(at, "MAX ");
        } else if (item.kind == WEIR_SLOT_WATERMARK) {
            at += sprintf(at, "W%lld ", (long long)item.result.watermark);
        }
        at += sprintf(at, "%s",
            item.kind == WEIR_SLOT_IDLE     ? "I "
            : item.kind == WEIR_SLOT_ACTIVE ? "A "
            : item.kind == WEIR_SLOT_END    ? "E "
                                            : "");
    } while (item.kind != 0);
    if (strcmp(rig->got, want) != 0) {
        fail_msg("\"%s\", not \"%s\"", rig->got, want);
    }
}

static void
watermark(struct rig *rig, uint32_t channel, int64_t value)
{
    wire_event(&rig->wire, channel, WEIR_SLOT_WATERMARK, value);
}

static void
status(struct rig *rig, uint32_t channel, bool is_idle)
{
    wire_event(&rig->wire, channel, is_idle ? WEIR_SLOT_IDLE : WEIR_SLOT_ACTIVE, 0);
}

static void
end(struct rig *rig, uint32_t channel)
{
    watermark(rig, channel, WEIR_WATERMARK_MAX);
    wire_event(&rig->wire, channel, WEIR_SLOT_END, 0);
}

/* ---- */

static void
t_T021_the_least_of_four_channels_follows_the_rows_before_it(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, 1, 4, false);
    wire_put(&rig.wire, 0, 100);
    wire_put(&rig.wire, 3, 101);
    watermark(&rig, 0, 4);
    watermark(&rig, 1, 3);
    watermark(&rig, 2, 3);
    watermark(&rig, 3, 2);
    expect(&rig, "100 101 W2 ");
    watermark(&rig, 3, 4);
    expect(&rig, "W3 ");
    watermark(&rig, 1, 4);
    expect(&rig, "");
    watermark(&rig, 2, 4);
    expect(&rig, "W4 ");
    rig_close(&rig);
}

static void
t_T022_idle_channels_do_not_hold_the_others_back(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, 1, 4, false);
    for (uint32_t c = 0; c < 4; c++) {
        watermark(&rig, c, 4);
    }
    expect(&rig, "W4 ");
    status(&rig, 0, true);
    status(&rig, 1, true);
    watermark(&rig, 2, 6);
    watermark(&rig, 3, 5);
    expect(&rig, "W5 ");
    status(&rig, 3, true);
    expect(&rig, "W6 ");
    status(&rig, 2, true);
    expect(&rig, "I ");
    status(&rig, 0, false);
    status(&rig, 1, false);
    expect(&rig, "A ");
    rig_close(&rig);
}

static void
t_T025_the_least_over_the_inputs_of_the_least_of_their_channels(void **state)
{
    (void)state;
    for (uint32_t gate_cnt = 2; gate_cnt <= 3; gate_cnt++) {
        struct rig rig;
        rig_open(&rig, gate_cnt, 2, false);
        for (uint32_t c = 2; c < 2 * gate_cnt; c++) {
            watermark(&rig, c, 10 + (int64_t)c);
        }
        watermark(&rig, 0, 5);
        expect(&rig, "");
        watermark(&rig, 1, 7);
        expect(&rig, "W5 ");
        watermark(&rig, 0, 50);
        expect(&rig, "W7 ");
        watermark(&rig, 1, 50); /* now the first channel of the second input is the least */
        expect(&rig, "W12 ");
        watermark(&rig, 2, 50);
        expect(&rig, "W13 ");
        watermark(&rig, 3, 50);
        expect(&rig, gate_cnt == 2 ? "W50 " : "W14 ");
        rig_close(&rig);
    }
}

static void
t_T027_the_last_watermark_comes_when_all_inputs_have_ended(void **state)
{
    (void)state;
    for (uint32_t source_first = 0; source_first < 2; source_first++) {
        struct rig rig;
        rig_open(&rig, 1, 2, true);
        if (source_first) {
            rig.source_ends = true;
        } else {
            end(&rig, 0);
            end(&rig, 1);
        }
        expect(&rig, "");
        assert_int_equal(weir_task_state(rig.task), WEIR_TASK_RUNNING);
        if (source_first) {
            end(&rig, 0);
            expect(&rig, "");
            end(&rig, 1);
        }
        rig.source_ends = true;
        expect(&rig, "MAX E ");
        assert_int_equal(weir_task_state(rig.task), WEIR_TASK_FINISHED);
        rig_close(&rig);
    }
}

/* ---- a source that is held ---- */

/* Rows of others pass meanwhile; the end that somebody asks for does not wait. */
static void
t_T317_a_source_that_is_held_is_not_polled(void **state)
{
    (void)state;
    for (uint32_t drains = 0; drains < 2; drains++) {
        struct rig rig;
        rig_open(&rig, 1, 1, true);
        expect(&rig, "");
        uint32_t polled_cnt = rig.polled_cnt;
        assert_true(polled_cnt > 0);
        rig.holds = true;
        wire_put(&rig.wire, 0, 5);
        expect(&rig, "5 ");
        assert_int_equal(rig.polled_cnt, polled_cnt);
        rig.holds = false;
        expect(&rig, "");
        assert_true(rig.polled_cnt > polled_cnt);
        rig.holds = true;
        end(&rig, 0);
        weir_task_request(rig.task, drains ? WEIR_TASK_REQUEST_DRAIN : WEIR_TASK_REQUEST_STOP);
        expect(&rig, drains ? "MAX E " : "E ");
        assert_int_equal(weir_task_state(rig.task), WEIR_TASK_FINISHED);
        rig_close(&rig);
    }
}

/* ---- latency markers ---- */

/* Rows and markers on a channel, in order: 7, or L100 of a marker sent at 100. */
static const char *
on_channel(struct rig *rig, struct weir_gate *gate)
{
    struct weir_gate_item item;
    char *at = rig->got;
    *at = 0;
    do {
        weir_gate_release(gate);
        weir_gate_next(gate, &item);
        assert_true(at < rig->got + sizeof rig->got - 64);
        for (uint32_t r = 0; item.kind == WEIR_SLOT_BATCH && r < item.view.cnt; r++) {
            at += sprintf(at, "%lld ", (long long)wire_number(&item.view, r));
        }
        if (item.kind == WEIR_SLOT_LATENCY) {
            assert_in_range(item.mark.id, 0, SOURCE_CNT - 1);
            at += sprintf(at, "L%lld ", (long long)item.mark.trigger_ns);
        }
    } while (item.kind != 0);
    return rig->got;
}

static void
poll_until_idle(struct rig *rig)
{
    for (uint32_t i = 0; weir_task_poll(rig->task, 8, rig->now_ns) == WEIR_POLL_BUSY; i++) {
        assert_true(i < 1000);
    }
}

static void
marker(struct rig *rig, uint32_t channel, int64_t sent_ns)
{
    const struct weir_mark mark = {.id = 0, .trigger_ns = sent_ns};
    assert_int_equal(weir_channel_mark(&rig->wire.out[channel], WEIR_SLOT_LATENCY, &mark), 1);
}

static void
t_T028_a_marker_is_counted_and_passed_on_once(void **state)
{
    (void)state;
    struct rig rig;
    memset(&rig, 0, sizeof rig);
    rig.out_cnt = 2;
    rig_build(&rig, 3, 1, false);
    rig.now_ns = 1000;
    uint32_t seen[2] = {0};
    for (uint32_t i = 0; i < 40; i++) {
        wire_put(&rig.wire, 1, 5);
        marker(&rig, 1, 400);
        wire_put(&rig.wire, 1, 6);
        poll_until_idle(&rig);
        bool first = strcmp(on_channel(&rig, &rig.out_gate), "5 L400 6 ") == 0;
        assert_string_equal(rig.got, first ? "5 L400 6 " : "5 6 ");
        assert_string_equal(on_channel(&rig, &rig.other_gate), first ? "5 6 " : "5 L400 6 ");
        seen[first ? 0 : 1]++;
    }
    assert_in_range(seen[0], 5, 35);
    for (uint32_t node = 0; node < 3; node++) {
        const struct weir_hist *hist = weir_task_marker_latency(rig.task, node, 0);
        if (node == 2) {
            assert_null(hist); /* an edge is no operator */
            continue;
        }
        assert_int_equal(hist->cnt, 40);
        assert_int_equal(hist->ns_min, 600);
        assert_int_equal(hist->ns_max, 600);
        assert_int_equal(weir_task_marker_latency(rig.task, node, 1)->cnt, 0);
    }
    rig_close(&rig);
}

static void
t_T028_sources_send_markers_at_their_interval(void **state)
{
    (void)state;
    struct rig rig;
    memset(&rig, 0, sizeof rig);
    rig.out_cnt = 1;
    rig.marker_interval_ns = 100;
    rig_build(&rig, 1, 1, true);
    assert_int_equal(weir_task_due_ns(rig.task), INT64_MAX); /* it does not run yet */
    rig.now_ns = 1000;
    poll_until_idle(&rig);
    poll_until_idle(&rig);
    assert_string_equal(on_channel(&rig, &rig.out_gate), "L1000 ");
    assert_int_equal(weir_task_due_ns(rig.task), 1100);
    rig.now_ns = 1099;
    poll_until_idle(&rig);
    assert_string_equal(on_channel(&rig, &rig.out_gate), "");
    rig.now_ns = 1350; /* late: one, and the next in a full interval */
    poll_until_idle(&rig);
    assert_string_equal(on_channel(&rig, &rig.out_gate), "L1350 ");
    assert_int_equal(weir_task_due_ns(rig.task), 1450);
    assert_int_equal(weir_task_marker_latency(rig.task, 1, 1)->cnt, 2);
    assert_null(weir_task_marker_latency(rig.task, 0, 1)); /* the source itself */
    rig.source_ends = true;
    poll_until_idle(&rig);
    assert_int_equal(weir_task_due_ns(rig.task), INT64_MAX);
    rig_close(&rig);
}

/* Where the way is full a marker waits, and shows that it did; nothing overtakes it. */
static void
t_T028_a_marker_waits_where_an_output_is_full(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, 1, 1, false);
    rig.now_ns = 1000;
    uint32_t sent = 0;
    char text[32];
    while (weir_ring_room_data(&rig.wire.out[1].ring, 1) > 0) {
        marker(&rig, 0, sent++);
        poll_until_idle(&rig);
    }
    assert_in_range(sent, 10, OUT_SLOT_CNT);
    marker(&rig, 0, sent);
    wire_put(&rig.wire, 0, 7);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_not_equal(weir_task_poll(rig.task, 8, rig.now_ns), WEIR_POLL_IDLE);
    }
    assert_int_equal(weir_task_marker_latency(rig.task, 0, 0)->cnt, sent + 1);
    for (uint32_t i = 0; i < sent; i++) { /* one slot after the other is taken */
        struct weir_gate_item item;
        weir_gate_next(&rig.out_gate, &item);
        assert_int_equal(item.kind, WEIR_SLOT_LATENCY);
        assert_int_equal(item.mark.trigger_ns, i);
    }
    poll_until_idle(&rig);
    (void)snprintf(text, sizeof text, "L%u 7 ", sent);
    assert_string_equal(on_channel(&rig, &rig.out_gate), text);
    rig_close(&rig);
}

static int
send_fails(struct weir_operator *op, uint32_t slot_kind, const struct weir_mark *mark)
{
    (void)op;
    (void)mark;
    assert_int_equal(slot_kind, WEIR_SLOT_LATENCY);
    return weir_err_push(WEIR_ENOMEM, "for what it keeps");
}

/* Rows that an edge keeps go before it, and may meet an error: of a marker that came, and of one
 * that a source begins. */
static void
t_T028_an_edge_that_cannot_pass_it_on_fails_the_task(void **state)
{
    (void)state;
    for (uint32_t begins = 0; begins < 2; begins++) {
        struct weir_operator_type failing = weir_partition_type;
        struct rig rig;
        failing.send = send_fails;
        memset(&rig, 0, sizeof rig);
        rig.out_cnt = 1;
        rig.edge_type = &failing;
        rig.marker_interval_ns = begins != 0 ? 100 : 0;
        rig_build(&rig, 1, 1, begins != 0);
        for (uint32_t i = 0; i < 3; i++) {
            (void)weir_task_poll(rig.task, 8, rig.now_ns);
        }
        if (begins == 0) {
            assert_int_equal(weir_task_state(rig.task), WEIR_TASK_RUNNING);
            marker(&rig, 0, 1);
            (void)weir_task_poll(rig.task, 8, rig.now_ns);
        }
        assert_int_equal(weir_task_state(rig.task), WEIR_TASK_FAILED);
        assert_int_equal(weir_task_error(rig.task), WEIR_ENOMEM);
        assert_non_null(strstr(weir_task_cause(rig.task), "failed to pass on a marker"));
        rig_close(&rig);
    }
}

/* Values as shown to other threads. */
static int64_t
shown(const struct rig *rig, uint32_t node, bool is_out)
{
    struct weir_operator_counters got;
    const struct weir_counter_set set = weir_task_operator_set(rig->task, node);
    weir_task_publish(rig->task);
    weir_counter_read(&set, &got.rows_in);
    return (int64_t)(is_out ? got.watermark_out : got.watermark);
}

static void
t_T024_gauges_of_watermarks(void **state)
{
    (void)state;
    struct rig rig;
    struct weir_task_counters task;
    rig_open(&rig, 2, 1, false);
    for (uint32_t node = 0; node < 2; node++) {
        assert_int_equal(shown(&rig, node, false), INT64_MIN);
        assert_int_equal(shown(&rig, node, true), INT64_MIN);
    }
    watermark(&rig, 0, 1);
    expect(&rig, "");
    const struct weir_counter_set set = weir_task_set(rig.task);
    weir_task_publish(rig.task);
    weir_counter_read(&set, &task.rows_in);
    assert_int_equal((int64_t)task.watermark_in, INT64_MIN); /* of the other gate */
    watermark(&rig, 1, 2);
    expect(&rig, "W1 ");
    watermark(&rig, 0, 2);
    expect(&rig, "W2 ");
    for (uint32_t node = 0; node < 2; node++) {
        assert_int_equal(shown(&rig, node, false), 2);
        assert_int_equal(shown(&rig, node, true), 2);
    }
    weir_task_publish(rig.task);
    weir_counter_read(&set, &task.rows_in);
    assert_int_equal(task.watermark_in, 2);
    assert_int_equal(task.watermark_out, 2);
    rig_close(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T021_the_least_of_four_channels_follows_the_rows_before_it),
        cmocka_unit_test(t_T022_idle_channels_do_not_hold_the_others_back),
        cmocka_unit_test(t_T025_the_least_over_the_inputs_of_the_least_of_their_channels),
        cmocka_unit_test(t_T027_the_last_watermark_comes_when_all_inputs_have_ended),
        cmocka_unit_test(t_T317_a_source_that_is_held_is_not_polled),
        cmocka_unit_test(t_T028_a_marker_is_counted_and_passed_on_once),
        cmocka_unit_test(t_T028_sources_send_markers_at_their_interval),
        cmocka_unit_test(t_T028_a_marker_waits_where_an_output_is_full),
        cmocka_unit_test(t_T028_an_edge_that_cannot_pass_it_on_fails_the_task),
        cmocka_unit_test(t_T024_gauges_of_watermarks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
