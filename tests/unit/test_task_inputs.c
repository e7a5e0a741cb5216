/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs of a task (SEMANTICS ): operators that choose what they read, and several
 * sources in one chain. */
#include "tests/unit/stage.h"

/* ---- an operator that chooses ---- */

static uint32_t
first_input_first(const struct weir_operator *op)
{
    (void)op;
    return 1;
}

static uint32_t
the_other_one(const struct weir_operator *op)
{
    return script_of(op)->row_cnt % 2 == 0 ? 1 : 2;
}

static uint32_t
none(const struct weir_operator *op)
{
    (void)op;
    return 0;
}

static const struct weir_operator_type first_type = {.name = "first",
    .input_cnt = 2,
    .output_cnt = 1,
    .process = do_process,
    .end_input = do_end_input,
    .selects = first_input_first,
    HOOKS};
static const struct weir_operator_type other_type = {.name = "other",
    .input_cnt = 2,
    .output_cnt = 1,
    .process = do_process,
    .end_input = do_end_input,
    .selects = the_other_one,
    HOOKS};
static const struct weir_operator_type none_type = {.name = "none",
    .input_cnt = 2,
    .output_cnt = 1,
    .process = do_process,
    .end_input = do_end_input,
    .selects = none,
    HOOKS};

static struct stage *
choosing(const struct weir_operator_type *type)
{
    const struct stage_conf conf = {.types = {type, NULL}};
    struct stage *s = stage_open(&conf);
    assert_int_equal(weir_task_poll(s->task, 8, 0), WEIR_POLL_BUSY);
    return s;
}

/* what is not wanted waits in its channels, until what is wanted has ended. */
static void
t_A125_an_input_that_is_not_wanted_waits(void **state)
{
    (void)state;
    struct stage *s = choosing(&first_type);
    wire_put(&s->wire, 2, 20);
    wire_put(&s->wire, 3, 30);
    settle(s);
    assert_out(s, "");
    wire_put(&s->wire, 0, 1);
    wire_put(&s->wire, 1, 2);
    settle(s);
    assert_out(s, "1 2");
    wire_event(&s->wire, 0, WEIR_SLOT_END, 0);
    settle(s);
    assert_out(s, "");
    wire_event(&s->wire, 1, WEIR_SLOT_END, 0);
    settle(s);
    assert_out(s, "20 30");
    stage_close(s);
}

/* Watermarks and ends of an input that is not wanted stay behind its rows. */
static void
t_A125_events_of_an_input_that_is_not_wanted_wait_with_its_rows(void **state)
{
    (void)state;
    struct stage *s = choosing(&first_type);
    for (uint32_t c = 2; c < IN_CNT; c++) {
        wire_put(&s->wire, c, (int64_t)c);
        wire_event(&s->wire, c, WEIR_SLOT_WATERMARK, 5);
        wire_event(&s->wire, c, WEIR_SLOT_END, 0);
    }
    wire_event(&s->wire, 0, WEIR_SLOT_WATERMARK, 9);
    wire_event(&s->wire, 1, WEIR_SLOT_WATERMARK, 9);
    settle(s);
    assert_out(s, "");
    assert_log(s, "");
    wire_event(&s->wire, 0, WEIR_SLOT_END, 0);
    wire_event(&s->wire, 1, WEIR_SLOT_END, 0);
    settle(s);
    assert_out(s, "2 3 W5 E");
    stage_close(s);
}

/* alternating reads serve both, row by row, and none waits for ever. */
static void
t_A124_both_inputs_in_turn(void **state)
{
    (void)state;
    struct stage *s = choosing(&other_type);
    for (int64_t i = 0; i < 3; i++) {
        wire_put(&s->wire, 0, i);
        wire_put(&s->wire, 2, 10 + i);
    }
    settle(s);
    assert_out(s, "0 10 1 11 2 12");
    wire_put(&s->wire, 2, 99);
    settle(s);
    assert_out(s, ""); /* it is the turn of input 0 */
    wire_event(&s->wire, 0, WEIR_SLOT_END, 0);
    wire_event(&s->wire, 1, WEIR_SLOT_END, 0);
    settle(s);
    assert_out(s, "99");
    stage_close(s);
}

/* An operator that wants nothing gets everything: a task cannot stand still by itself. */
static void
t_A125_who_wants_nothing_gets_all(void **state)
{
    (void)state;
    struct stage *s = choosing(&none_type);
    wire_put(&s->wire, 0, 1);
    wire_put(&s->wire, 2, 2);
    settle(s);
    assert_out(s, "1 2");
    stage_close(s);
}

/* ---- several sources in one chain ---- */

#define CHAIN_NODE_CNT 4
#define CHAIN_LOG_BYTES 1024

/* x and y are sources, m reads both, z is its sink. */
struct chained {
    const char *name;
    struct chained *all; /* the first of them */
    uint32_t row_cnt; /* rows that a source still has */
    char *log; /* of the first */
};

static void
note(const struct weir_operator *op, const char *what)
{
    const struct chained *self = op->conf;
    char *log = self->all->log;
    size_t used = strlen(log);
    (void)snprintf(log + used, CHAIN_LOG_BYTES - used, "%s %s\n", what, self->name);
}

static int
chained_open(struct weir_operator *op)
{
    note(op, "open");
    return 0;
}

static int
chained_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    struct chained *self = (struct chained *)(uintptr_t)op->conf;
    (void)now_ns;
    if (self->row_cnt == 0) {
        return WEIR_DONE;
    }
    self->row_cnt--;
    number_emit(out)->n = self->row_cnt;
    return WEIR_AGAIN;
}

static int64_t
chained_process(struct weir_operator *op, uint32_t input, const struct weir_view *in,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    (void)input;
    (void)now_ns;
    if (op->type->output_cnt > 0) {
        weir_out_pass_range(out, in, cursor, in->cnt - cursor);
    }
    return in->cnt - cursor;
}

static int
chained_end_input(struct weir_operator *op, uint32_t input, struct weir_out *out)
{
    (void)out;
    note(op, input == 0 ? "end_input 0" : "end_input 1");
    return 0;
}

static int
chained_watermark(struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns)
{
    (void)out;
    (void)now_ns;
    note(op, watermark == WEIR_WATERMARK_MAX ? "MAX" : "watermark");
    return 0;
}

static int
chained_finish(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    (void)out;
    (void)now_ns;
    note(op, "finish");
    return 0;
}

static int
chained_close(struct weir_operator *op, bool clean)
{
    note(op, clean ? "close" : "drop");
    return 0;
}

#define CHAINED_HOOKS .open = chained_open, .finish = chained_finish, .close = chained_close
static const struct weir_operator_type chained_source = {
    .name = "source", .output_cnt = 1, .poll = chained_poll, CHAINED_HOOKS};
static const struct weir_operator_type chained_two = {.name = "two",
    .input_cnt = 2,
    .output_cnt = 1,
    .process = chained_process,
    .watermark = chained_watermark,
    .end_input = chained_end_input,
    CHAINED_HOOKS};
static const struct weir_operator_type chained_sink = {
    .name = "sink", .input_cnt = 1, .process = chained_process, CHAINED_HOOKS};

/* T-197, T-027: opened from the tail, sources last; each source ends by itself, and the last
 * watermark comes when both have; finished from the heads. */
static void
t_T197_T027_two_sources_in_one_chain(void **state)
{
    (void)state;
    static const char *const names[CHAIN_NODE_CNT] = {"x", "y", "m", "z"};
    static const struct weir_operator_type *const types[CHAIN_NODE_CNT] = {
        &chained_source, &chained_source, &chained_two, &chained_sink};
    struct chained conf[CHAIN_NODE_CNT] = {{0}};
    struct weir_chain_node_conf node[CHAIN_NODE_CNT];
    char log[CHAIN_LOG_BYTES] = "";
    struct weir_task *task;
    memset(node, 0, sizeof node);
    conf[0].log = log;
    conf[0].row_cnt = 2;
    conf[1].row_cnt = 20;
    for (uint32_t i = 0; i < CHAIN_NODE_CNT; i++) {
        conf[i].name = names[i];
        conf[i].all = conf;
        node[i].name = names[i];
        node[i].type = types[i];
        node[i].conf = &conf[i];
        node[i].in_schema[0] = i >= 2 ? number_schema() : NULL;
        node[i].in_schema[1] = i == 2 ? number_schema() : NULL;
        node[i].outputs[0].schema = number_schema();
        node[i].outputs[0].edge_cnt = i < 3 ? 1 : 0;
        node[i].outputs[0].edges[0] = (struct weir_chain_edge){i < 2 ? 2 : 3, i == 1, i == 1};
        node[i].channel_cnt = i == 2 ? 2 : i == 3 ? 1 : 0;
        node[i].channel_input[1] = i == 2;
    }
    const struct weir_task_conf made = {.name = "task (1/1)",
        .chain = {.nodes = node, .node_cnt = CHAIN_NODE_CNT, .batch_rows = 16, .buf_bytes = 4096}};
    assert_int_equal(weir_task_new(&made, &task), 0);
    for (uint32_t i = 0; weir_task_poll(task, 8, 0) != WEIR_POLL_DONE; i++) {
        assert_true(i < 100);
    }
    assert_int_equal(weir_task_state(task), WEIR_TASK_FINISHED);
    assert_int_equal(weir_task_operator(task, 3)->rows_in, 22);
    assert_string_equal(log, "open z\nopen m\nopen y\nopen x\n"
                             "finish x\nend_input 0 m\n"
                             "MAX m\nfinish y\nend_input 1 m\nfinish m\nfinish z\n"
                             "close x\nclose y\nclose m\nclose z\n");
    weir_task_delete(task);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_A125_an_input_that_is_not_wanted_waits),
        cmocka_unit_test(t_A125_events_of_an_input_that_is_not_wanted_wait_with_its_rows),
        cmocka_unit_test(t_A124_both_inputs_in_turn),
        cmocka_unit_test(t_A125_who_wants_nothing_gets_all),
        cmocka_unit_test(t_T197_T027_two_sources_in_one_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
