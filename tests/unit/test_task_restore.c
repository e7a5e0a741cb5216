/* SPDX-License-Identifier: Apache-2.0 */
/* One real task (stage.h) that takes up what others have left: several old subtasks, edges that
 * were fused, operators that had ended, or that are new. */
#include "tests/unit/stage.h"

/* A snapshot of a task whose channels have the watermarks first, first + 1 ..., and `rows` rows. */
static struct stage *
left_by(int64_t first, uint32_t rows)
{
    struct stage *s = stage_run(false);
    for (uint32_t c = 0; c < IN_CNT; c++) {
        wire_event(&s->wire, c, WEIR_SLOT_WATERMARK, first + c);
    }
    for (uint32_t i = 0; i < rows; i++) {
        wire_put(&s->wire, i % IN_CNT, 5);
    }
    settle(s);
    wire_event(&s->wire, 3, WEIR_SLOT_IDLE, 0);
    for (uint32_t c = 0; c < IN_CNT; c++) {
        wire_mark(&s->wire, c, WEIR_SLOT_BARRIER, 1);
    }
    settle(s);
    return s;
}

static void
read_parts(struct stage *s, struct weir_parts_reader *ret_parts)
{
    assert_int_equal(weir_parts_reader_init(ret_parts, s->parts, s->parts_bytes), 0);
}

/* The same parts, but for those whose name or operator begins with `without`. */
static void
leave_out(struct stage *s, const char *without)
{
    static _Alignas(8) char copy[PARTS_BYTES];
    struct weir_parts_reader parts;
    struct weir_parts_writer writer;
    struct weir_part part;
    char uid[32] = "?";
    char name[32];
    size_t offset = 0;
    memcpy(copy, s->parts, s->parts_bytes);
    assert_int_equal(weir_parts_reader_init(&parts, copy, s->parts_bytes), 0);
    weir_parts_writer_init(&writer, s->parts, sizeof s->parts);
    while (weir_parts_next(&parts, &offset, &part) == 1) {
        if (part.uid_bytes != strlen(uid) || memcmp(part.uid, uid, part.uid_bytes) != 0) {
            (void)snprintf(uid, sizeof uid, "%.*s", (int)part.uid_bytes, part.uid);
            weir_parts_writer_of(&writer, uid);
        }
        (void)snprintf(name, sizeof name, "%.*s", (int)part.name_bytes, part.name);
        if (strncmp(name, without, strlen(without)) != 0 && strcmp(uid, without) != 0) {
            weir_parts_begin(&writer, name, part.version);
            weir_parts_put(&writer, part.data, part.bytes);
            weir_parts_end(&writer);
        }
    }
    assert_int_equal(weir_parts_finish(&writer, &s->parts_bytes), 0);
}

static struct stage *
come(const struct weir_task_restore *restore, bool has_source)
{
    const struct stage_conf conf = {.restore = restore, .has_source = has_source};
    struct stage *s = stage_open(&conf);
    settle(s);
    return s;
}

/* Two become one: operators get the parts of both, watermarks are the least of both, and a channel
 * that was idle counts until its source says so again. */
static void
t_T300_one_task_from_two(void **state)
{
    (void)state;
    struct stage *old[2] = {left_by(10, 4), left_by(20, 8)};
    struct weir_parts_reader parts[2];
    read_parts(old[0], &parts[0]);
    read_parts(old[1], &parts[1]);
    struct weir_task_restore restore = {.is_on = true, .parts = parts, .parts_cnt = 2};
    struct stage *s = come(&restore, false);
    assert_log(s, "restore b 0\nrestore a 0\n");
    assert_int_equal(s->script[0].row_cnt, 12);
    assert_int_equal(s->script[1].sum, 60);
    for (uint32_t c = 0; c < IN_CNT; c++) {
        assert_int_equal(s->wire.in[c].watermark, c < 2 ? 10 : 12);
        assert_false(s->gates[c / 2].gate.valve.channels[c % 2].idle);
    }
    weir_task_publish(s->task);
    assert_int_equal(weir_task_counts(s->task, 0).watermark, 10);
    assert_int_equal(weir_task_counts(s->task, 1).watermark, 10);
    /* Nothing below what had come out everywhere. */
    wire_event(&s->wire, 0, WEIR_SLOT_WATERMARK, 10);
    settle(s);
    assert_out(s, "");
    wire_event(&s->wire, 0, WEIR_SLOT_WATERMARK, 15);
    settle(s);
    wire_event(&s->wire, 1, WEIR_SLOT_WATERMARK, 14);
    settle(s);
    assert_out(s, "W12"); /* what gate 1 had put out */
    stage_close(s);
    /* In the other order: the least is no matter of who comes first. */
    struct weir_parts_reader other[2] = {parts[1], parts[0]};
    restore.parts = other;
    s = come(&restore, false);
    for (uint32_t c = 0; c < IN_CNT; c++) {
        assert_int_equal(s->wire.in[c].watermark, c < 2 ? 10 : 12);
    }
    stage_close(s);
    stage_close(old[0]);
    stage_close(old[1]);
}

/* As many channels as before, and as many subtasks; only, others feed them: what came by the
 * channel that was behind may come by another now, and to another subtask. */
static void
t_T1_as_many_channels_are_not_the_same_ones(void **state)
{
    (void)state;
    struct stage *old[2] = {left_by(10, 4), left_by(20, 8)};
    struct weir_parts_reader parts[2];
    read_parts(old[0], &parts[0]);
    read_parts(old[1], &parts[1]);
    const struct weir_task_restore restore = {.is_on = true, .parts = parts, .parts_cnt = 2};
    const struct stage_conf conf = {.restore = &restore, .subtask_idx = 1, .subtask_cnt = 2};
    struct stage *s = stage_open(&conf);
    settle(s);
    for (uint32_t c = 0; c < IN_CNT; c++) {
        assert_int_equal(s->wire.in[c].watermark, c < 2 ? 10 : 12);
    }
    weir_task_publish(s->task);
    assert_int_equal(weir_task_counts(s->task, 0).watermark, 10);
    /* Whoever is ahead waits for the one that may bring older rows. */
    wire_event(&s->wire, 0, WEIR_SLOT_WATERMARK, 40);
    wire_event(&s->wire, 2, WEIR_SLOT_WATERMARK, 40);
    wire_event(&s->wire, 3, WEIR_SLOT_WATERMARK, 40);
    settle(s);
    assert_out(s, "");
    wire_event(&s->wire, 1, WEIR_SLOT_WATERMARK, 11);
    settle(s);
    assert_out(s, "W11");
    stage_close(s);
    stage_close(old[0]);
    stage_close(old[1]);
}

/* What a fused edge had delivered counts for the gate that stands there now, and makes rows
 * late. */
static void
t_B4_an_edge_that_was_fused(void **state)
{
    (void)state;
    struct stage *old = left_by(10, 4);
    struct weir_parts_reader parts;
    leave_out(old, "gate.");
    read_parts(old, &parts);
    const struct weir_task_restore restore = {.is_on = true, .parts = &parts, .parts_cnt = 1};
    struct stage *s = come(&restore, false);
    assert_log(s, "restore b 0\nrestore a 0\n");
    for (uint32_t c = 0; c < IN_CNT; c++) {
        assert_int_equal(s->wire.in[c].watermark, c < 2 ? 10 : 12);
    }
    wire_event(&s->wire, 0, WEIR_SLOT_WATERMARK, 30);
    wire_event(&s->wire, 1, WEIR_SLOT_WATERMARK, 40);
    settle(s);
    assert_out(s, "W12"); /* of gate 1, whose own channels have said nothing yet */
    stage_close(s);
    stage_close(old);
}

/* An operator that had ended has no parts; its source says no more. One that nobody knows is
 * new. */
static void
t_R2_operators_without_parts(void **state)
{
    static const char *const ended[] = {"z", "a"};
    (void)state;
    struct stage *old = stage_run(true);
    old->source_next = 3;
    settle(old);
    post(old, WEIR_TASK_TRIGGER, 1);
    settle(old);
    leave_out(old, "a");
    struct weir_parts_reader parts;
    read_parts(old, &parts);
    struct weir_task_restore restore = {
        .is_on = true, .parts = &parts, .parts_cnt = 1, .ended = ended, .ended_cnt = 2};
    const struct stage_conf conf = {.restore = &restore, .has_source = true};
    struct stage *s = stage_open(&conf);
    s->source_next = 2;
    settle(s);
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_FINISHED);
    assert_int_equal(s->script[1].row_cnt, 3);
    char want[64];
    (void)snprintf(want, sizeof want, "W%lld E", (long long)WEIR_WATERMARK_MAX);
    assert_out(s, want);
    stage_close(s);
    restore.ended_cnt = 1;
    s = stage_open(&conf);
    s->source_next = 2;
    settle(s);
    assert_log(s, "restore b 0\n");
    assert_out(s, "0 1");
    assert_int_equal(s->script[1].row_cnt, 5);
    stage_close(s);
    stage_close(old);
}

/* It has ended for good: where it stands beside others that go on, its parts would be those of a
 * source that has not begun. */
static void
t_R2_a_source_that_had_ended_leaves_nothing(void **state)
{
    static const char *const ended[] = {"a"};
    (void)state;
    struct stage *old = stage_run(true);
    old->source_next = 3;
    settle(old);
    post(old, WEIR_TASK_TRIGGER, 1);
    settle(old);
    leave_out(old, "a");
    struct weir_parts_reader parts;
    read_parts(old, &parts);
    const struct weir_task_restore restore = {
        .is_on = true, .parts = &parts, .parts_cnt = 1, .ended = ended, .ended_cnt = 1};
    const struct stage_conf conf = {.restore = &restore, .has_source = true, .waits_final = true};
    struct stage *s = stage_open(&conf);
    settle(s);
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_RUNNING); /* until its sinks commit */
    post(s, WEIR_TASK_TRIGGER, 2);
    settle(s);
    assert_non_null(strstr(s->log, "SNAPSHOT final 2\n"));
    assert_counts(s, "b", 3, 3);
    struct weir_parts_reader left;
    struct weir_part part;
    size_t offset = 0;
    read_parts(s, &left);
    while (weir_parts_next(&left, &offset, &part) == 1) {
        assert_false(part.uid_bytes == 1 && part.uid[0] == 'a');
    }
    stage_close(s);
    stage_close(old);
}

/* So it is with a sink behind it that lives once more, to tidy: it knows of none of its rows, and
 * would publish none. */
static void
t_R2_what_had_ended_leaves_nothing(void **state)
{
    static const char *const ended[] = {"a", "b"};
    (void)state;
    struct stage *old = stage_run(true);
    old->source_next = 3;
    settle(old);
    post(old, WEIR_TASK_TRIGGER, 1);
    settle(old);
    leave_out(old, "a");
    leave_out(old, "b");
    struct weir_parts_reader parts;
    read_parts(old, &parts);
    const struct weir_task_restore restore = {
        .is_on = true, .parts = &parts, .parts_cnt = 1, .ended = ended, .ended_cnt = 2};
    struct weir_operator_type reopens_type = one_type;
    reopens_type.reopens = true;
    const struct stage_conf conf = {.restore = &restore,
        .has_source = true,
        .waits_final = true,
        .types = {NULL, &reopens_type}};
    struct stage *s = stage_open(&conf);
    settle(s);
    post(s, WEIR_TASK_TRIGGER, 2);
    settle(s);
    assert_non_null(strstr(s->log, "SNAPSHOT final 2\n"));
    struct weir_parts_reader left;
    struct weir_part part;
    size_t offset = 0;
    read_parts(s, &left);
    while (weir_parts_next(&left, &offset, &part) == 1) {
        assert_false(part.uid_bytes == 1 && (part.uid[0] == 'a' || part.uid[0] == 'b'));
    }
    stage_close(s);
    stage_close(old);
}

/* Nor is anything left of its gates, which would stand under the name of another operator. */
static void
t_R2_gates_of_what_had_ended_leave_nothing(void **state)
{
    static const char *const ended[] = {"a", "b"};
    (void)state;
    struct stage *old = left_by(10, 4);
    leave_out(old, "a");
    leave_out(old, "b");
    struct weir_parts_reader parts;
    read_parts(old, &parts);
    const struct weir_task_restore restore = {
        .is_on = true, .parts = &parts, .parts_cnt = 1, .ended = ended, .ended_cnt = 2};
    struct stage *s = come(&restore, false);
    for (uint32_t c = 0; c < IN_CNT; c++) {
        wire_mark(&s->wire, c, WEIR_SLOT_BARRIER, 2);
    }
    settle(s);
    struct weir_parts_reader left;
    struct weir_part part;
    size_t offset = 0;
    read_parts(s, &left);
    while (weir_parts_next(&left, &offset, &part) == 1) {
        assert_true(part.name_bytes < 5 || memcmp(part.name, "gate.", 5) != 0);
    }
    stage_close(s);
    stage_close(old);
}

/* A damaged part fails the task, and is named. */
static void
t_R2_a_part_that_is_cut_off(void **state)
{
    (void)state;
    struct stage *old = left_by(10, 4);
    struct weir_parts_reader parts;
    leave_out(old, "chain");
    read_parts(old, &parts);
    const struct weir_task_restore restore = {.is_on = true, .parts = &parts, .parts_cnt = 1};
    struct stage *s = come(&restore, false);
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_FAILED);
    assert_int_equal(weir_task_error(s->task), WEIR_EDATA);
    assert_non_null(strstr(weir_task_cause(s->task), "no part chain of operator b"));
    stage_close(s);
    stage_close(old);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T300_one_task_from_two),
        cmocka_unit_test(t_T1_as_many_channels_are_not_the_same_ones),
        cmocka_unit_test(t_B4_an_edge_that_was_fused),
        cmocka_unit_test(t_R2_operators_without_parts),
        cmocka_unit_test(t_R2_a_source_that_had_ended_leaves_nothing),
        cmocka_unit_test(t_R2_what_had_ended_leaves_nothing),
        cmocka_unit_test(t_R2_gates_of_what_had_ended_leave_nothing),
        cmocka_unit_test(t_R2_a_part_that_is_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
