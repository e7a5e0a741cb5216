/* SPDX-License-Identifier: Apache-2.0 */
/* How a task comes to life with what was saved of it (stage.h): operators are opened and restored
 * tail first, once; what had ended is passed over; what comes from outside meanwhile is heeded. */
#include "base/rng.h"
#include "tests/unit/seed.h"
#include "tests/unit/stage.h"

/* ---- operators whose open, finish and close are written down, too ---- */

/* Called in `at`, from the same thread, as another would; NULL: nothing. */
static struct {
    const char *at;
    const char *who;
    void (*fn)(struct stage *s);
} meanwhile;

static int
note(struct weir_operator *op, const char *step)
{
    struct script *script = script_of(op);
    int rc = act(op, step, 0);
    if (meanwhile.fn != NULL && strcmp(meanwhile.at, step) == 0 &&
        strcmp(meanwhile.who, script->name) == 0) {
        meanwhile.fn(script->stage);
    }
    return rc;
}

static int
noted_open(struct weir_operator *op)
{
    assert_int_equal(weir_task_state(script_of(op)->stage->task), WEIR_TASK_INITIALIZING);
    return note(op, "open");
}

static int
noted_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    int rc = do_restore(op, parts, parts_cnt);
    if (rc == 0 && meanwhile.fn != NULL && strcmp(meanwhile.at, "restore") == 0 &&
        strcmp(meanwhile.who, script_of(op)->name) == 0) {
        meanwhile.fn(script_of(op)->stage);
    }
    return rc;
}

static int
noted_finish(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    (void)out;
    (void)now_ns;
    return note(op, "finish");
}

static int
noted_close(struct weir_operator *op, bool clean)
{
    (void)clean;
    return note(op, "close");
}

static struct weir_operator_type noted[3]; /* a with gates, b, a as a source */

static const struct weir_operator_type *
noted_type(uint32_t i)
{
    static const struct weir_operator_type *const of[3] = {&two_type, &one_type, &source_type};
    noted[i] = *of[i];
    noted[i].open = noted_open;
    noted[i].restore = noted_restore;
    noted[i].finish = noted_finish;
    noted[i].close = noted_close;
    return &noted[i];
}

static struct stage *
stage_noted(bool has_source, const struct weir_task_restore *restore)
{
    const struct stage_conf conf = {.has_source = has_source,
        .restore = restore,
        .types = {noted_type(has_source ? 2 : 0), noted_type(1)}};
    return stage_open(&conf);
}

static void
no_meanwhile(void)
{
    memset(&meanwhile, 0, sizeof meanwhile);
}

/* What a and b left, with three rows of each; parts are in s. */
static struct stage *
left(struct weir_parts_reader *ret_parts)
{
    struct stage *s = stage_run(true);
    s->source_next = 3;
    settle(s);
    post(s, WEIR_TASK_TRIGGER, 1);
    settle(s);
    assert_int_equal(weir_parts_reader_init(ret_parts, s->parts, s->parts_bytes), 0);
    return s;
}

/* ---- the order ---- */

/* Each operator finds those behind it open and restored (SEMANTICS A-132). */
static void
t_T171_T186_each_operator_is_opened_and_restored_once_tail_first(void **state)
{
    (void)state;
    struct weir_parts_reader parts;
    struct stage *old = left(&parts);
    const struct weir_task_restore restore = {
        .is_on = true, .is_same = true, .parts = &parts, .parts_cnt = 1};
    no_meanwhile();
    struct stage *s = stage_noted(true, &restore);
    settle(s);
    assert_log(s, "open b 0\nrestore b 0\nopen a 0\nrestore a 0\n");
    assert_int_equal(s->script[0].row_cnt, 3);
    assert_int_equal(s->script[1].sum, 3);
    stage_close(s);
    /* Without one, nothing is restored. */
    const struct weir_task_restore nothing = {.is_on = false, .parts = &parts, .parts_cnt = 1};
    s = stage_noted(true, &nothing);
    settle(s);
    assert_log(s, "open b 0\nopen a 0\n");
    assert_int_equal(s->script[0].row_cnt, 0);
    stage_close(s);
    stage_close(old);
}

/* The parts of another chain: by their uid operators find their own, in whatever order they are;
 * who was not there is opened alone. */
static void
t_T186_T198_only_known_operators_are_restored(void **state)
{
    (void)state;
    static const char *const renamed[2][2] = {{"new", "b"}, {"a", "new"}};
    static const char *const want[2] = {
        "open b 0\nrestore b 0\nopen a 0\n", "open b 0\nopen a 0\nrestore a 0\n"};
    struct weir_parts_reader parts;
    struct stage *old = left(&parts);
    no_meanwhile();
    for (uint32_t i = 0; i < 2; i++) {
        const struct weir_task_restore restore = {.is_on = true, .parts = &parts, .parts_cnt = 1};
        struct stage_conf conf = {.has_source = true,
            .restore = &restore,
            .types = {noted_type(2), noted_type(1)},
            .uids = {renamed[i][0], renamed[i][1]}};
        struct stage *s = stage_open(&conf);
        settle(s);
        assert_log(s, want[i]);
        assert_int_equal(s->script[i].row_cnt, 0);
        assert_int_equal(s->script[1 - i].row_cnt, 3);
        stage_close(s);
    }
    stage_close(old);
}

/* A subtask that is new after a rescale is restored like the others, and sees what all had. */
static void
t_T186_an_empty_share_is_a_restore(void **state)
{
    (void)state;
    struct weir_parts_reader parts;
    struct stage *old = left(&parts);
    const struct weir_task_restore restore = {.is_on = true, .parts = &parts, .parts_cnt = 1};
    no_meanwhile();
    const struct stage_conf conf = {.has_source = true,
        .restore = &restore,
        .subtask_idx = 1,
        .subtask_cnt = 2,
        .types = {noted_type(2), noted_type(1)}};
    struct stage *s = stage_open(&conf);
    settle(s);
    assert_log(s, "open b 0\nrestore b 0\nopen a 0\nrestore a 0\n");
    stage_close(s);
    stage_close(old);
}

/* ---- eleven operators ---- */

#define LONG_CNT 11

struct number_state {
    uint64_t value; /* what is snapshotted */
};

static int
value_snapshot(struct weir_operator *op, uint64_t id, struct weir_parts_writer *parts)
{
    (void)id;
    weir_parts_begin(parts, "value", 1);
    weir_parts_put_u64(parts, ((struct number_state *)(uintptr_t)op->conf)->value);
    weir_parts_end(parts);
    return 0;
}

static int
value_restore(struct weir_operator *op, const struct weir_parts_reader *parts, uint32_t parts_cnt)
{
    struct number_state *state = (struct number_state *)(uintptr_t)op->conf;
    struct weir_part part;
    assert_int_equal(parts_cnt, 1);
    int rc = weir_parts_find(&parts[0], "value", 1, &part);
    return rc != 0 ? rc : weir_part_get_u64(&part, &state->value);
}

static int
value_poll(struct weir_operator *op, struct weir_out *out, int64_t now_ns)
{
    (void)op;
    (void)out;
    (void)now_ns;
    return WEIR_WAIT;
}

static const struct weir_operator_type value_types[2] = {{.name = "value source",
                                                             .output_cnt = 1,
                                                             .poll = value_poll,
                                                             .snapshot = value_snapshot,
                                                             .restore = value_restore},
    {.name = "value",
        .input_cnt = 1,
        .output_cnt = 1,
        .process = do_process,
        .snapshot = value_snapshot,
        .restore = value_restore}};

/* A task of LONG_CNT operators in a row, the one at i with the uid of i + shift. */
static struct weir_task *
long_task(struct stage *s, struct number_state *states, uint32_t shift,
    const struct weir_task_restore *restore)
{
    static char names[LONG_CNT][8];
    struct weir_chain_node_conf nodes[LONG_CNT];
    struct weir_task *task;
    memset(nodes, 0, sizeof nodes);
    for (uint32_t i = 0; i < LONG_CNT; i++) {
        (void)snprintf(names[i], sizeof names[i], "op %u", i);
        nodes[i].name = names[i];
        nodes[i].type = &value_types[i > 0];
        nodes[i].conf = &states[i];
        nodes[i].in_schema[0] = number_schema();
        nodes[i].channel_cnt = i > 0 ? 1 : 0;
        nodes[i].outputs[0].schema = number_schema();
        nodes[i].outputs[0].edge_cnt = i + 1 < LONG_CNT ? 1 : 0;
        nodes[i].outputs[0].edges[0].node = (uint16_t)(i + 1);
    }
    for (uint32_t i = 0; i < LONG_CNT; i++) {
        nodes[i].uid = names[(i + shift) % LONG_CNT];
    }
    s->checkpoints.restore = restore;
    const struct weir_task_conf conf = {.name = "long (1/1)",
        .chain = {.nodes = nodes, .node_cnt = LONG_CNT, .batch_rows = 16, .buf_bytes = 4096},
        .checkpoints = &s->checkpoints};
    assert_int_equal(weir_task_new(&conf, &task), 0);
    return task;
}

/* Also where the operators stand elsewhere in the chain: they are found by their uids. */
static void
t_T185_each_of_eleven_operators_gets_its_own_back(void **state)
{
    (void)state;
    struct stage *s = stage_run(true);
    struct number_state before[LONG_CNT];
    struct number_state after[LONG_CNT];
    struct weir_rng rng;
    const struct weir_mark mark = {.id = 1};
    struct weir_parts_reader parts;
    weir_rng_init(&rng, seed_of_run());
    for (uint32_t i = 0; i < LONG_CNT; i++) {
        before[i].value = weir_rng_u64(&rng);
    }
    struct weir_task *task = long_task(s, before, 0, NULL);
    assert_int_equal(weir_task_poll(task, 8, 0), WEIR_POLL_BUSY);
    assert_int_equal(weir_task_post(task, WEIR_TASK_TRIGGER, &mark), 1);
    for (uint32_t i = 0; i < 10; i++) {
        (void)weir_task_poll(task, 64, 0);
    }
    weir_task_delete(task);
    assert_int_equal(weir_parts_reader_init(&parts, s->parts, s->parts_bytes), 0);
    const struct weir_task_restore restore = {
        .is_on = true, .is_same = true, .parts = &parts, .parts_cnt = 1};
    for (uint32_t shift = 0; shift < LONG_CNT; shift++) {
        memset(after, 0, sizeof after);
        task = long_task(s, after, shift, &restore);
        assert_int_equal(weir_task_poll(task, 8, 0), WEIR_POLL_BUSY);
        assert_int_equal(weir_task_state(task), WEIR_TASK_RUNNING);
        for (uint32_t i = 0; i < LONG_CNT; i++) {
            assert_int_equal(after[i].value, before[(i + shift) % LONG_CNT].value);
        }
        weir_task_delete(task);
    }
    stage_close(s);
}

/* ---- what had ended ---- */

static const char *const both[] = {"a", "b"};

/* The parts of a stage in which neither a nor b has any. */
static void
leave_nothing(struct stage *s, struct weir_parts_reader *ret_parts)
{
    struct weir_parts_writer writer;
    weir_parts_writer_init(&writer, s->parts, sizeof s->parts);
    weir_parts_writer_of(&writer, "z");
    weir_parts_begin(&writer, "count", 1);
    weir_parts_end(&writer);
    assert_int_equal(weir_parts_finish(&writer, &s->parts_bytes), 0);
    assert_int_equal(weir_parts_reader_init(ret_parts, s->parts, s->parts_bytes), 0);
}

static void
t_T191_what_had_ended_is_passed_over(void **state)
{
    (void)state;
    struct weir_parts_reader parts;
    struct stage *old = left(&parts);
    char want[64];
    leave_nothing(old, &parts);
    const struct weir_task_restore restore = {
        .is_on = true, .parts = &parts, .parts_cnt = 1, .ended = both, .ended_cnt = 2};
    no_meanwhile();
    struct stage *s = stage_noted(true, &restore);
    s->source_next = 5; /* never asked for */
    settle(s);
    assert_log(s, "ENDED finished 0\n");
    (void)snprintf(want, sizeof want, "W%lld E", (long long)WEIR_WATERMARK_MAX);
    assert_out(s, want);
    stage_close(s);
    /* Behind gates: barriers go through, letters reach nobody, and the end is the producers'. */
    s = stage_noted(false, &restore);
    for (uint32_t c = 0; c < IN_CNT; c++) {
        wire_event(&s->wire, c, WEIR_SLOT_WATERMARK, WEIR_WATERMARK_MAX);
        wire_mark(&s->wire, c, WEIR_SLOT_BARRIER, 2);
    }
    settle(s);
    post(s, WEIR_TASK_NOTIFY, 2);
    post(s, WEIR_TASK_ABORT, 3);
    settle(s);
    assert_log(s, "sent barrier 0 2\nsent barrier 1 2\nbegin 2\nSNAPSHOT 2\nPRECOMMITTED 2\n");
    (void)snprintf(want, sizeof want, "W%lld B2", (long long)WEIR_WATERMARK_MAX);
    assert_out(s, want);
    for (uint32_t c = 0; c < IN_CNT; c++) {
        wire_event(&s->wire, c, WEIR_SLOT_END, 0);
    }
    settle(s);
    assert_log(s, "ENDED finished 0\n");
    assert_out(s, "E");
    stage_close(s);
    stage_close(old);
}

static void
t_T191_rows_for_what_had_ended_are_an_error(void **state)
{
    (void)state;
    struct weir_parts_reader parts;
    struct stage *old = left(&parts);
    leave_nothing(old, &parts);
    const struct weir_task_restore restore = {
        .is_on = true, .parts = &parts, .parts_cnt = 1, .ended = both, .ended_cnt = 2};
    no_meanwhile();
    struct stage *s = stage_noted(false, &restore);
    wire_put(&s->wire, 0, 1);
    settle(s);
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_FAILED);
    assert_int_equal(weir_task_error(s->task), WEIR_EILLEGAL);
    assert_non_null(strstr(weir_task_cause(s->task), "operator a failed; a had ended"));
    stage_close(s);
    stage_close(old);
}

/* ---- what comes meanwhile ---- */

static void
cancel_it(struct stage *s)
{
    weir_task_request(s->task, WEIR_TASK_REQUEST_CANCEL);
}

static void
fail_it(struct stage *s)
{
    assert_true(weir_task_fail(s->task, WEIR_EIO, "the helper of the restore is gone"));
}

/* Something happens in a step of an operator; what is open by then is closed, nothing else is
 * opened, and no row is touched. */
static void
interrupted(const char *who, const char *at, void (*fn)(struct stage *s), const char *log)
{
    struct weir_parts_reader parts;
    struct stage *old = left(&parts);
    const struct weir_task_restore restore = {
        .is_on = true, .is_same = true, .parts = &parts, .parts_cnt = 1};
    no_meanwhile();
    meanwhile.who = who;
    meanwhile.at = at;
    meanwhile.fn = fn;
    struct stage *s = stage_noted(true, &restore);
    s->source_next = 5;
    settle(s);
    assert_log(s, log);
    assert_int_equal(s->source_at, 0);
    assert_int_equal(weir_err_cnt(), 0);
    if (fn == fail_it) {
        assert_int_equal(weir_task_error(s->task), WEIR_EIO);
        assert_string_equal(weir_task_cause(s->task), "the helper of the restore is gone");
    } else {
        assert_string_equal(weir_task_cause(s->task), "");
    }
    stage_close(s);
    stage_close(old);
}

#define OPEN_B "open b 0\nrestore b 0\n"
#define OPEN_A "open a 0\nrestore a 0\n"

static void
t_T156_T166_T199_canceled_while_it_is_restored(void **state)
{
    (void)state;
    interrupted("b", "open", cancel_it, OPEN_B "close b 0\nENDED canceled 0\n");
    interrupted("b", "restore", cancel_it, OPEN_B "close b 0\nENDED canceled 0\n");
    interrupted("a", "open", cancel_it, OPEN_B OPEN_A "close a 0\nclose b 0\nENDED canceled 0\n");
    interrupted(
        "a", "restore", cancel_it, OPEN_B OPEN_A "close a 0\nclose b 0\nENDED canceled 0\n");
}

static void
t_T157_T173_a_helper_fails_while_it_is_restored(void **state)
{
    (void)state;
    interrupted("b", "open", fail_it, OPEN_B "close b 0\nENDED failed 0\n");
    interrupted("b", "restore", fail_it, OPEN_B "close b 0\nENDED failed 0\n");
    interrupted("a", "restore", fail_it, OPEN_B OPEN_A "close a 0\nclose b 0\nENDED failed 0\n");
}

/* A restore that fails leaves those before it unopened, and what was opened closed. */
static void
t_T155_T166_T172_a_failing_restore_closes_what_is_open(void **state)
{
    (void)state;
    static const char *const log[2] = {OPEN_B OPEN_A "close a 0\nclose b 0\nENDED failed 0\n",
        OPEN_B "close b 0\nENDED failed 0\n"};
    for (uint32_t i = 0; i < 2; i++) {
        struct weir_parts_reader parts;
        struct stage *old = left(&parts);
        const struct weir_task_restore restore = {
            .is_on = true, .is_same = true, .parts = &parts, .parts_cnt = 1};
        no_meanwhile();
        struct stage *s = stage_noted(true, &restore);
        s->script[i].fails_in = "restore";
        settle(s);
        assert_log(s, log[i]);
        assert_non_null(strstr(weir_task_cause(s->task), "task task (1/1) cannot be restored"));
        assert_non_null(strstr(weir_task_cause(s->task), "cannot restore"));
        stage_close(s);
        stage_close(old);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T171_T186_each_operator_is_opened_and_restored_once_tail_first),
        cmocka_unit_test(t_T186_T198_only_known_operators_are_restored),
        cmocka_unit_test(t_T186_an_empty_share_is_a_restore),
        cmocka_unit_test(t_T185_each_of_eleven_operators_gets_its_own_back),
        cmocka_unit_test(t_T191_what_had_ended_is_passed_over),
        cmocka_unit_test(t_T191_rows_for_what_had_ended_are_an_error),
        cmocka_unit_test(t_T156_T166_T199_canceled_while_it_is_restored),
        cmocka_unit_test(t_T157_T173_a_helper_fails_while_it_is_restored),
        cmocka_unit_test(t_T155_T166_T172_a_failing_restore_closes_what_is_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
