/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of a stage: resuming, fan-out, several inputs, the order of events, opening and
 * closing. */
#include "dataplane/chain.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "tests/unit/test.h"

#define NUMBER(F) F(time, at) F(i64, value)
WEIR_SCHEMA(number, NUMBER)

/* ---- what happens, in order ---- */

static struct {
    char text[4096];
    struct weir_rng rng;
    bool is_slow;
    uint32_t fail_in; /* calls of a failing operator until it fails */
} world;

static void
say(const char *what, const char *name)
{
    size_t used = strlen(world.text);
    snprintf(
        world.text + used, sizeof world.text - used, "%s%s %s", used > 0 ? ", " : "", what, name);
}

/* Whether an operator that may stop stops now. */
static bool
stops(void)
{
    return world.is_slow && weir_rng_chance(&world.rng, 1, 3);
}

/* ---- operators ---- */

static int
named_open(struct weir_operator *op)
{
    say("open", op->conf);
    return 0;
}

static int
named_close(struct weir_operator *op, bool clean)
{
    say(clean ? "close" : "abort", op->conf);
    return 0;
}

static int
named_end_input(struct weir_operator *op, uint32_t input, struct weir_out *out)
{
    char what[16];
    (void)out;
    if (stops()) {
        return WEIR_WAIT;
    }
    snprintf(what, sizeof what, "end%u", input);
    say(what, op->conf);
    return WEIR_DONE;
}

static int
named_finish(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    (void)out;
    (void)now_ns;
    if (stops()) {
        return WEIR_WAIT;
    }
    say("finish", op->conf);
    return WEIR_DONE;
}

/* Emits each row value-many times, as many a call as there is room for. */
struct repeat {
    int64_t done;
};

static int64_t
repeat_process(struct weir_operator *op, uint32_t input, const struct weir_view *in,
    uint32_t cursor, struct weir_out *out, int64_t now_ns)
{
    struct repeat *self = op->self;
    uint32_t i = cursor;
    (void)input;
    (void)now_ns;
    for (; i < in->cnt; i++) {
        const struct number *row =
            (const struct number *)(const void *)(in->rows +
                                                  (size_t)in->stride * weir_view_row(in, i));
        while (self->done < row->value % 5) {
            if (!weir_out_room(out, 1, 0) || stops()) {
                return i - cursor;
            }
            struct number *to = number_emit(out);
            to->at = row->at;
            to->value = row->value;
            self->done++;
        }
        self->done = 0;
    }
    return i - cursor;
}

static const struct weir_operator_type repeat_type = {
    .name = "repeat",
    .self_bytes = sizeof(struct repeat),
    .input_cnt = 1,
    .output_cnt = 1,
    .open = named_open,
    .process = repeat_process,
    .end_input = named_end_input,
    .finish = named_finish,
    .close = named_close,
};

/* Hands rows on as they are, a few at a time. */
static int64_t
pass_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    uint32_t cnt = in->cnt - cursor;
    (void)op;
    (void)input;
    (void)now_ns;
    if (world.fail_in > 0 && --world.fail_in == 0) {
        return weir_err_push(WEIR_EDATA, "a bad row");
    }
    if (world.is_slow) {
        cnt = weir_min_u32(cnt, (uint32_t)weir_rng_below(&world.rng, 3));
    }
    if (cnt > 0) {
        weir_out_pass_range(out, in, cursor, cnt);
    }
    return cnt;
}

static const struct weir_operator_type pass_type = {
    .name = "pass",
    .input_cnt = 2,
    .output_cnt = 1,
    .open = named_open,
    .process = pass_process,
    .end_input = named_end_input,
    .finish = named_finish,
    .close = named_close,
};

/* A sink that keeps what it is given: values, and watermarks as negative numbers. */
struct kept {
    int64_t *item;
    uint32_t cnt;
    uint32_t cap;
};
static struct kept kept[2];

static void
keep(uint32_t sink, int64_t item)
{
    struct kept *k = &kept[sink];
    if (k->cnt == k->cap) {
        k->cap = k->cap * 2 + 64;
        k->item = realloc(k->item, k->cap * sizeof *k->item);
        assert_non_null(k->item);
    }
    k->item[k->cnt++] = item;
}

static uint32_t
sink_of(const struct weir_operator *op)
{
    return strcmp(op->conf, "right") == 0;
}

static int64_t
sink_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    uint32_t cnt = in->cnt - cursor;
    (void)input;
    (void)out;
    (void)now_ns;
    if (world.is_slow) {
        cnt = weir_min_u32(cnt, (uint32_t)weir_rng_below(&world.rng, 4));
    }
    for (uint32_t i = 0; i < cnt; i++) {
        const struct number *row =
            (const struct number *)(const void *)(in->rows + (size_t)in->stride *
                                                                 weir_view_row(in, cursor + i));
        keep(sink_of(op), row->value);
    }
    return cnt;
}

static int
sink_watermark(struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns)
{
    (void)out;
    (void)now_ns;
    if (stops()) {
        return WEIR_WAIT;
    }
    keep(sink_of(op), watermark == WEIR_WATERMARK_MAX ? INT64_MIN : -watermark);
    return WEIR_DONE;
}

static const struct weir_operator_type sink_type = {
    .name = "sink",
    .input_cnt = 1,
    .open = named_open,
    .process = sink_process,
    .watermark = sink_watermark,
    .end_input = named_end_input,
    .finish = named_finish,
    .close = named_close,
};

/* ---- chains ---- */

static struct weir_chain_node_conf nodes[8];
static uint32_t node_cnt;

static uint32_t
add(const char *name, const struct weir_operator_type *type)
{
    struct weir_chain_node_conf *node = &nodes[node_cnt];
    memset(node, 0, sizeof *node);
    node->name = name;
    node->type = type;
    node->conf = name;
    node->in_schema[0] = number_schema();
    node->in_schema[1] = number_schema();
    node->outputs[0].schema = number_schema();
    return node_cnt++;
}

static void
join(uint32_t from, uint32_t to, uint16_t input)
{
    struct weir_chain_output *out = &nodes[from].outputs[0];
    struct weir_chain_edge *edge = &out->edges[out->edge_cnt++];
    edge->node = (uint16_t)to;
    edge->input = input;
    edge->channel = (uint16_t)nodes[to].channel_cnt;
    nodes[to].channel_input[nodes[to].channel_cnt++] = input;
}

/* An in-edge from outside. */
static void
gate(uint32_t to, uint16_t input)
{
    nodes[to].channel_input[nodes[to].channel_cnt++] = input;
}

static void
reset(bool is_slow, uint64_t seed)
{
    memset(&world, 0, sizeof world);
    world.is_slow = is_slow;
    weir_rng_init(&world.rng, seed);
    node_cnt = 0;
    for (uint32_t i = 0; i < 2; i++) {
        free(kept[i].item);
        memset(&kept[i], 0, sizeof kept[i]);
    }
}

static struct weir_chain *
build(uint32_t batch_rows)
{
    struct weir_chain_conf conf = {
        .nodes = nodes, .node_cnt = node_cnt, .batch_rows = batch_rows, .buf_bytes = 4096};
    struct weir_chain *chain = NULL;
    assert_int_equal(weir_chain_new(&conf, &chain), 0);
    assert_int_equal(weir_chain_open(chain), 0);
    return chain;
}

static void
run(struct weir_chain *chain)
{
    for (uint32_t n = 0; n < 1000000; n++) {
        int rc = weir_chain_run(chain, 1 + n % 7, 0);
        if (rc == WEIR_DONE) {
            return;
        }
        assert_true(rc > 0);
        assert_true(rc != WEIR_WAIT || weir_chain_blocked(chain) < node_cnt);
    }
    fail_msg("the chain does not come to an end");
}

static void
offer(struct weir_chain *chain, uint32_t node, uint32_t channel, const struct number *rows,
    uint32_t cnt)
{
    struct weir_view view;
    memset(&view, 0, sizeof view);
    view.schema = number_schema();
    view.rows = (char *)(uintptr_t)rows;
    view.stride = sizeof *rows;
    view.cnt = cnt;
    view.row_cnt = cnt;
    view.time = view.rows;
    view.time_stride = view.stride;
    view.watermark = WEIR_TIME_MIN;
    view.flags = WEIR_BATCH_EXCLUSIVE;
    weir_chain_offer(chain, node, channel, &view);
    run(chain);
}

/* source -> repeat -> pass -> repeat -> two sinks, by way of passes that hold rows of others. */
static void
build_fan(void)
{
    uint32_t first = add("first", &repeat_type);
    uint32_t pass = add("pass", &pass_type);
    uint32_t second = add("second", &repeat_type);
    uint32_t by = add("by", &pass_type);
    uint32_t left = add("left", &sink_type);
    uint32_t right = add("right", &sink_type);
    gate(first, 0);
    join(first, pass, 0);
    join(pass, second, 0);
    join(pass, by, 0);
    join(second, left, 0);
    join(by, right, 0);
}

static void
expect_items(uint32_t sink, const int64_t *item, uint32_t cnt)
{
    assert_int_equal(kept[sink].cnt, cnt);
    for (uint32_t i = 0; i < cnt; i++) {
        assert_int_equal(kept[sink].item[i], item[i]);
    }
}

static void
t_slow_operators_lose_nothing_and_keep_the_order(void **state)
{
    (void)state;
    enum { BATCHES = 20, ROWS = 30 };
    for (uint64_t seed = 0; seed < 100; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        reset(seed > 0, seed);
        build_fan();
        struct weir_chain *chain = build((uint32_t)(1 + seed % 50));
        struct kept want[2] = {{NULL, 0, 0}, {NULL, 0, 0}};
        static int64_t item[2][BATCHES * (ROWS * 16 + 1)];
        for (uint32_t b = 0; b < BATCHES; b++) {
            struct number rows[ROWS];
            for (uint32_t i = 0; i < ROWS; i++) {
                rows[i].at = b;
                rows[i].value = (int64_t)(b * ROWS + i + 1);
                uint32_t times = (uint32_t)(rows[i].value % 5);
                for (uint32_t n = 0; n < times * times; n++) {
                    item[0][want[0].cnt++] = rows[i].value;
                }
                for (uint32_t n = 0; n < times; n++) {
                    item[1][want[1].cnt++] = rows[i].value;
                }
            }
            offer(chain, 0, 0, rows, ROWS);
            weir_chain_offer_watermark(chain, 0, 0, b + 1);
            run(chain);
            item[0][want[0].cnt++] = -(int64_t)(b + 1);
            item[1][want[1].cnt++] = -(int64_t)(b + 1);
        }
        expect_items(0, item[0], want[0].cnt);
        expect_items(1, item[1], want[1].cnt);
        weir_chain_close(chain);
    }
    reset(false, 0);
}

static void
t_the_end_goes_from_head_to_tail_behind_all_rows(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        reset(seed > 0, seed);
        build_fan();
        struct weir_chain *chain = build(10);
        assert_string_equal(
            world.text, "open right, open left, open by, open second, open pass, open first");
        world.text[0] = 0;
        weir_chain_offer_watermark(chain, 0, 0, WEIR_WATERMARK_MAX);
        run(chain);
        weir_chain_offer_end(chain, 0, 0);
        run(chain);
        assert_true(weir_chain_ended(chain));
        /* Each operator's input ends before it finishes, and it finishes before the next one's
         * ends. */
        static const char *const order[][2] = {{"end0 first", "finish first"},
            {"finish first", "end0 pass"}, {"end0 pass", "finish pass"},
            {"finish pass", "end0 second"}, {"finish pass", "end0 by"},
            {"finish second", "end0 left"}, {"finish by", "end0 right"},
            {"end0 left", "finish left"}, {"end0 right", "finish right"}};
        for (uint32_t i = 0; i < WEIR_ARRAY_CNT(order); i++) {
            const char *before = strstr(world.text, order[i][0]);
            const char *after = strstr(world.text, order[i][1]);
            assert_non_null(before);
            assert_non_null(after);
            assert_true(before < after);
            assert_null(strstr(before + 1, order[i][0]));
        }
        const int64_t only[] = {INT64_MIN};
        expect_items(0, only, 1);
        expect_items(1, only, 1);
        world.text[0] = 0;
        weir_chain_close(chain);
        assert_string_equal(
            world.text, "close first, close pass, close second, close by, close left, close right");
    }
}

static void
t_two_inputs_end_each_once_and_hold_the_watermark(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        reset(seed > 0, seed);
        uint32_t both = add("both", &pass_type);
        uint32_t left = add("left", &sink_type);
        gate(both, 0);
        gate(both, 1);
        gate(both, 1);
        join(both, left, 0);
        struct weir_chain *chain = build(10);
        world.text[0] = 0;
        struct number row = {1, 7};
        offer(chain, both, 0, &row, 1);
        weir_chain_offer_watermark(chain, both, 0, 10);
        run(chain);
        weir_chain_offer_watermark(chain, both, 1, 20);
        run(chain);
        row.value = 8;
        offer(chain, both, 2, &row, 1);
        weir_chain_offer_watermark(chain, both, 2, 15);
        run(chain);
        weir_chain_offer_end(chain, both, 1);
        run(chain);
        assert_string_equal(world.text, "");
        weir_chain_offer_end(chain, both, 2);
        run(chain);
        assert_string_equal(world.text, "end1 both");
        assert_false(weir_chain_ended(chain));
        weir_chain_offer_end(chain, both, 0);
        run(chain);
        assert_true(weir_chain_ended(chain));
        assert_string_equal(
            world.text, "end1 both, end0 both, finish both, end0 left, finish left");
        const int64_t items[] = {7, 8, -10};
        expect_items(0, items, 3);
        weir_chain_close(chain);
    }
}

static void
t_a_failing_operator_is_named_and_all_are_closed(void **state)
{
    (void)state;
    reset(false, 0);
    build_fan();
    struct weir_chain *chain = build(10);
    world.fail_in = 2;
    struct number rows[3] = {{1, 1}, {2, 2}, {3, 3}};
    struct weir_view view;
    memset(&view, 0, sizeof view);
    view.schema = number_schema();
    view.rows = (char *)rows;
    view.stride = sizeof rows[0];
    view.cnt = 3;
    view.row_cnt = 3;
    weir_chain_offer(chain, 0, 0, &view);
    int rc;
    do {
        rc = weir_chain_run(chain, 1, 0);
    } while (rc > 0);
    assert_int_equal(rc, WEIR_EDATA);
    bool is_named = false;
    for (size_t i = 0; i < weir_err_cnt(); i++) {
        is_named |= strstr(weir_err_at(i), "operator by failed") != NULL;
    }
    assert_true(is_named);
    weir_err_clear();
    world.text[0] = 0;
    weir_chain_close(chain);
    assert_string_equal(
        world.text, "abort first, abort pass, abort second, abort by, abort left, abort right");
}

/* Whatever the size of buffers, an output has room for a row: the job goes on, slowly. */
static void
t_an_output_has_room_for_a_row_however_small_buffers_are(void **state)
{
    (void)state;
    reset(false, 0);
    uint32_t first = add("first", &repeat_type);
    uint32_t left = add("left", &sink_type);
    gate(first, 0);
    join(first, left, 0);
    struct weir_chain_conf conf = {
        .nodes = nodes, .node_cnt = node_cnt, .batch_rows = 10, .buf_bytes = 8};
    struct weir_chain *chain = NULL;
    assert_int_equal(weir_chain_new(&conf, &chain), 0);
    assert_int_equal(weir_chain_open(chain), 0);
    struct number row = {1, 4};
    offer(chain, first, 0, &row, 1);
    run(chain);
    const int64_t items[] = {4, 4, 4, 4};
    expect_items(0, items, 4);
    weir_chain_close(chain);
}

/* Has one more row at every barrier. */
static int
late_barrier(struct weir_operator *op, uint64_t id, struct weir_out *out, int64_t now_ns)
{
    (void)op;
    (void)now_ns;
    struct number *row = number_emit(out);
    row->at = 0;
    row->value = (int64_t)id;
    return WEIR_DONE;
}

static const struct weir_operator_type late_type = {
    .name = "late",
    .input_cnt = 1,
    .output_cnt = 1,
    .open = named_open,
    .process = pass_process,
    .barrier = late_barrier,
    .end_input = named_end_input,
    .finish = named_finish,
    .close = named_close,
};

static bool
is_aborted_by_barrier(struct weir_chain *chain)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        /* The message is the check's own; the parent looks at how it ended. */
        (void)freopen("/dev/null", "w", stderr);
        (void)signal(SIGABRT, SIG_DFL);
        _exit(weir_chain_barrier(chain, 8, 0) < 0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* T-234: there a finished partition refuses rows, and one that was released drops them. Here only
 * the operator in front of it can send any, and its channels are given back with its task: a row
 * behind the end is a mistake in the operator, which is never taken for data. */
static void
t_T234_a_row_behind_the_end_ends_the_program(void **state)
{
    (void)state;
    reset(false, 0);
    uint32_t late = add("late", &late_type);
    uint32_t left = add("left", &sink_type);
    gate(late, 0);
    join(late, left, 0);
    struct weir_chain *chain = build(10);
    assert_false(is_aborted_by_barrier(chain));
    assert_int_equal(weir_chain_barrier(chain, 7, 0), WEIR_AGAIN);
    run(chain);
    assert_int_equal(weir_chain_barrier(chain, 7, 0), WEIR_DONE);
    weir_chain_offer_end(chain, late, 0);
    run(chain);
    const int64_t items[] = {7};
    expect_items(0, items, 1);
    assert_true(is_aborted_by_barrier(chain));
    weir_chain_close(chain);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_slow_operators_lose_nothing_and_keep_the_order),
        cmocka_unit_test(t_the_end_goes_from_head_to_tail_behind_all_rows),
        cmocka_unit_test(t_two_inputs_end_each_once_and_hold_the_watermark),
        cmocka_unit_test(t_a_failing_operator_is_named_and_all_are_closed),
        cmocka_unit_test(t_T234_a_row_behind_the_end_ends_the_program),
        cmocka_unit_test(t_an_output_has_room_for_a_row_however_small_buffers_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
