/* SPDX-License-Identifier: Apache-2.0 */
/* The operators of a loop, called by hand: the queue between tail and head, what a checkpoint keeps
 * of it, and the two ways in which a loop ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/feedback.h"
#include "dataplane/operators/loop.h"
#include "dataplane/state.h"
#include "sched/weir_test.h"
#include "tests/unit/test.h"

#define TURN(F) F(i64, n) F(i64, left) F(str, text)
WEIR_SCHEMA(turn, TURN)
#define OTHER(F) F(i64, n)
WEIR_SCHEMA(other, OTHER)

#define LONG_TEXT "a text that lies beside its row"
#define ROW_CNT_MAX 64
#define PARTS_BYTES 65536
#define ENDS_MAX 3

/* The ends of all subtasks of one loop, each called by hand. */
struct ends {
    struct weir_operator_env env;
    struct weir_operator source;
    struct weir_operator head;
    struct weir_operator tail;
    _Alignas(64) char self[3][256];
};
struct rig {
    struct weir_feedback feedback;
    struct weir_loop_conf conf;
    struct ends ends[ENDS_MAX];
    char seen[512];
};

static void
op_init(struct rig *rig, uint32_t idx, struct weir_operator *op, void *self,
    const struct weir_operator_type *type)
{
    *op = (struct weir_operator){.type = type,
        .conf = &rig->conf,
        .self = self,
        .env = &rig->ends[idx].env,
        .uid = type == &weir_loop_tail_type ? "tail" : "head",
        .watermark = WEIR_TIME_MIN};
    op->in_schema[0] = turn_schema();
    op->out_schema[0] = turn_schema();
}

static void
rig_open(struct rig *rig, uint32_t slot_cnt, int64_t wait_ns, uint64_t budget_bytes)
{
    memset(rig, 0, sizeof *rig);
    rig->feedback = (struct weir_feedback){.name = "turns",
        .schema = turn_schema(),
        .wait_ns = wait_ns,
        .budget_bytes = budget_bytes,
        .slot_cnt = slot_cnt,
        .slots = calloc(slot_cnt, sizeof *rig->feedback.slots)};
    rig->conf.feedback = &rig->feedback;
    for (uint32_t i = 0; i < slot_cnt; i++) {
        struct ends *ends = &rig->ends[i];
        ends->env.subtask_idx = i;
        ends->env.subtask_cnt = slot_cnt;
        op_init(rig, i, &ends->source, ends->self[0], &weir_loop_feedback_type);
        op_init(rig, i, &ends->head, ends->self[1],
            wait_ns > 0 ? &weir_loop_wait_type : &weir_loop_frontier_type);
        op_init(rig, i, &ends->tail, ends->self[2], &weir_loop_tail_type);
        assert_int_equal(ends->tail.type->open(&ends->tail), 0);
        assert_int_equal(ends->source.type->open(&ends->source), 0);
    }
}

static void
rig_close(struct rig *rig)
{
    for (uint32_t i = 0; i < rig->feedback.slot_cnt; i++) {
        struct ends *ends = &rig->ends[i];
        assert_int_equal(ends->source.type->close(&ends->source, true), 0);
        assert_int_equal(ends->tail.type->close(&ends->tail, true), 0);
        assert_null(rig->feedback.slots[i].mem);
    }
    free(rig->feedback.slots);
    weir_err_clear();
}

/* Rows n, n + 1 ..., each with a text of its own. 0, or the error. */
static int64_t
put_back(struct rig *rig, uint32_t idx, int64_t n, uint32_t cnt)
{
    struct turn rows[ROW_CNT_MAX];
    memset(rows, 0, sizeof rows);
    for (uint32_t i = 0; i < cnt; i++) {
        rows[i].n = n + i;
        rows[i].text = weir_test_str(rows, i % 2 == 0 ? LONG_TEXT : "short");
    }
    const struct weir_view view = {.schema = turn_schema(),
        .rows = (char *)rows,
        .stride = sizeof rows[0],
        .cnt = cnt,
        .row_cnt = cnt,
        .heap = (char *)rows};
    struct weir_operator *tail = &rig->ends[idx].tail;
    int64_t took = tail->type->process(tail, 0, &view, 0, NULL, 0);
    return took == (int64_t)cnt ? 0 : took;
}

static void
note(struct rig *rig, const char *fmt, long long n)
{
    size_t used = strlen(rig->seen);
    (void)snprintf(rig->seen + used, sizeof rig->seen - used, fmt, n);
}

/* One poll of the source: what came is in rig->seen. */
static int
poll_source(struct rig *rig, uint32_t idx, int64_t now_ns)
{
    struct weir_out out;
    struct weir_operator *source = &rig->ends[idx].source;
    memset(&out, 0, sizeof out);
    int rc = source->type->poll(source, &out, now_ns);
    for (uint32_t i = 0; i < out.view.cnt; i++) {
        const struct turn *row =
            (const void *)(out.view.rows + (size_t)out.view.stride * weir_view_row(&out.view, i));
        struct weir_slice text = weir_str_slice(&row->text, out.view.heap);
        bool is_long = text.bytes == sizeof LONG_TEXT - 1 && memcmp(text.ptr, LONG_TEXT, 6) == 0;
        assert_true(is_long || text.bytes == 5);
        note(rig, "%lld ", row->n);
    }
    if (out.status == WEIR_SLOT_IDLE) {
        note(rig, "idle ", 0);
    }
    return rc;
}

static void
take_all(struct rig *rig, uint32_t idx)
{
    rig->seen[0] = '\0';
    while (poll_source(rig, idx, 0) == WEIR_AGAIN) {
    }
}

static void
begin(struct rig *rig, uint32_t idx, uint64_t id)
{
    struct weir_operator *head = &rig->ends[idx].head;
    assert_int_equal(head->type->barrier(head, id, NULL, 0), WEIR_DONE);
}

struct saved {
    _Alignas(8) char buf[PARTS_BYTES];
    struct weir_parts_reader reader;
};

/* What an operator writes. 0, or its error. */
static int
save(struct weir_operator *op, uint64_t id, struct saved *saved)
{
    struct weir_parts_writer writer;
    size_t bytes;
    weir_parts_writer_init(&writer, saved->buf, sizeof saved->buf);
    weir_parts_writer_of(&writer, op->uid);
    int rc = op->type->snapshot(op, id, &writer);
    if (rc == 0) {
        assert_int_equal(weir_parts_finish(&writer, &bytes), 0);
        assert_int_equal(weir_parts_reader_init(&saved->reader, saved->buf, bytes), 0);
        weir_parts_reader_of(&saved->reader, op->uid);
    }
    return rc;
}

static int
restore(struct weir_operator *op, const struct saved *saved, uint32_t cnt)
{
    struct weir_parts_reader readers[ENDS_MAX];
    for (uint32_t i = 0; i < cnt; i++) {
        readers[i] = saved[i].reader;
    }
    return op->type->restore(op, readers, cnt);
}

/* ---- the queue ---- */

static void
t_A126_what_goes_back_comes_in_order_through_little_memory(void **state)
{
    struct rig rig;
    char want[64];
    (void)state;
    rig_open(&rig, 1, 0, 1);
    for (int64_t n = 0; n < 1000; n += 3) {
        assert_int_equal(put_back(&rig, 0, n, 2), 0);
        assert_int_equal(put_back(&rig, 0, n + 2, 1), 0);
        take_all(&rig, 0);
        (void)snprintf(
            want, sizeof want, "%lld %lld %lld ", (long long)n, (long long)n + 1, (long long)n + 2);
        assert_string_equal(rig.seen, want);
    }
    rig_close(&rig);
}

/* Of ever other lengths, so that the end of the memory falls anywhere. */
static void
t_A126_rows_that_wait_survive_the_end_of_the_memory(void **state)
{
    struct rig rig;
    int64_t put = 0;
    int64_t taken = 0;
    char want[32];
    (void)state;
    rig_open(&rig, 1, 0, 1);
    for (uint32_t i = 0; i < 2000; i++) {
        uint32_t cnt = 1 + i % 11;
        if (put_back(&rig, 0, put, cnt) == 0) {
            put += cnt;
            continue;
        }
        weir_err_clear();
        rig.seen[0] = '\0';
        assert_int_equal(poll_source(&rig, 0, 0), WEIR_AGAIN);
        (void)snprintf(want, sizeof want, "%lld ", (long long)taken);
        assert_memory_equal(rig.seen, want, strlen(want));
        for (const char *at = rig.seen; (at = strchr(at, ' ')) != NULL; at++) {
            taken++;
        }
    }
    assert_true(taken > 500);
    assert_int_equal(rig.feedback.slots[0].row_cnt, put - taken);
    rig_close(&rig);
}

static void
t_A126_a_full_queue_is_an_error_and_nobody_waits(void **state)
{
    struct rig rig;
    int64_t rc = 0;
    (void)state;
    rig_open(&rig, 1, 0, 1);
    for (int64_t n = 0; n < 1000 && rc == 0; n++) {
        rc = put_back(&rig, 0, n, 4);
    }
    assert_int_equal(rc, WEIR_EBUDGET);
    char text[512];
    weir_err_save(text, sizeof text);
    assert_non_null(strstr(text, "loop turns"));
    rig_close(&rig);
}

/* What waits for a checkpoint only gives way: the rows that go round need the memory. */
static void
t_A126_a_full_queue_gives_the_checkpoint_up_first(void **state)
{
    struct rig rig;
    struct saved saved;
    (void)state;
    rig_open(&rig, 1, 0, 1);
    begin(&rig, 0, 1);
    for (int64_t n = 0; n < 1000; n++) {
        assert_int_equal(put_back(&rig, 0, n, 4), 0);
        take_all(&rig, 0);
    }
    assert_int_equal(save(&rig.ends[0].tail, 1, &saved), WEIR_EBUDGET);
    rig_close(&rig);
}

static void
t_A126_a_checkpoint_that_is_aborted_keeps_nothing(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, 1, 0, WEIR_PAGE_BYTES);
    for (uint64_t id = 1; id <= 2 * WEIR_FEEDBACK_CUT_CNT_MAX; id++) {
        begin(&rig, 0, id);
    }
    assert_int_equal(rig.feedback.slots[0].cut_cnt, WEIR_FEEDBACK_CUT_CNT_MAX);
    assert_null(weir_feedback_find(&rig.feedback.slots[0], 1)); /* the oldest went */
    struct weir_operator *ops[] = {&rig.ends[0].head, &rig.ends[0].tail};
    for (uint64_t id = 1; id <= 2 * WEIR_FEEDBACK_CUT_CNT_MAX; id++) {
        assert_int_equal(ops[id % 2]->type->aborted(ops[id % 2], id), 0);
    }
    assert_int_equal(rig.feedback.slots[0].cut_cnt, 0);
    rig_close(&rig);
}

/* New rows wait in front of the head while any wait to go round again: else they would pile up. */
static void
t_A126_the_head_takes_what_comes_back_before_what_is_new(void **state)
{
    struct rig rig;
    struct turn row = {.n = 9};
    struct weir_out out;
    const struct weir_view in = {.schema = turn_schema(),
        .rows = (char *)&row,
        .stride = sizeof row,
        .cnt = 1,
        .row_cnt = 1,
        .watermark = 70};
    (void)state;
    rig_open(&rig, 1, WEIR_MS, WEIR_MIB);
    struct weir_operator *head = &rig.ends[0].head;
    head->watermark = 50;
    assert_int_equal(put_back(&rig, 0, 1, 2), 0);
    memset(&out, 0, sizeof out);
    assert_int_equal(head->type->process(head, 0, &in, 0, &out, 0), 0);
    assert_int_equal(out.view.cnt, 2);
    assert_int_equal(out.view.watermark, 50); /* that of both inputs, as behind a channel */
    memset(&out, 0, sizeof out);
    assert_int_equal(head->type->process(head, 0, &in, 0, &out, 0), 1);
    assert_ptr_equal(out.view.rows, &row);
    assert_int_equal(out.view.watermark, 50);
    rig_close(&rig);
}

/* ---- checkpoints ---- */

static void
t_A126_a_checkpoint_has_what_is_between_the_two_barriers(void **state)
{
    struct rig rig;
    struct saved saved;
    (void)state;
    rig_open(&rig, 1, 0, WEIR_MIB);
    assert_int_equal(put_back(&rig, 0, 1, 2), 0);
    take_all(&rig, 0); /* in the head's past */
    assert_int_equal(put_back(&rig, 0, 3, 2), 0);
    begin(&rig, 0, 1);
    take_all(&rig, 0);
    assert_string_equal(rig.seen, "3 4 ");
    assert_int_equal(put_back(&rig, 0, 5, 1), 0);
    begin(&rig, 0, 2); /* the next one begins before the first is at the tail */
    assert_int_equal(put_back(&rig, 0, 6, 1), 0);
    assert_int_equal(save(&rig.ends[0].tail, 1, &saved), 0);
    assert_int_equal(put_back(&rig, 0, 7, 1), 0); /* behind the tail's barrier */
    struct rig next;
    rig_open(&next, 1, 0, WEIR_MIB);
    assert_int_equal(restore(&next.ends[0].tail, &saved, 1), 0);
    take_all(&next, 0);
    assert_string_equal(next.seen, "3 4 5 6 ");
    rig_close(&next);
    assert_int_equal(save(&rig.ends[0].tail, 2, &saved), 0);
    rig_open(&next, 1, 0, WEIR_MIB);
    assert_int_equal(restore(&next.ends[0].tail, &saved, 1), 0);
    take_all(&next, 0);
    assert_string_equal(next.seen, "5 6 7 ");
    rig_close(&next);
    rig_close(&rig);
}

static void
t_A126_rows_are_dealt_out_to_other_subtasks(void **state)
{
    struct rig rig;
    struct saved saved[2];
    char all[512] = "";
    (void)state;
    rig_open(&rig, 2, 0, WEIR_MIB);
    for (uint32_t i = 0; i < 2; i++) {
        begin(&rig, i, 1);
        for (int64_t n = 0; n < 2; n++) {
            assert_int_equal(put_back(&rig, i, 10 * i + n, 1), 0);
        }
        assert_int_equal(save(&rig.ends[i].tail, 1, &saved[i]), 0);
    }
    rig_close(&rig);
    rig_open(&rig, 3, 0, WEIR_MIB);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(restore(&rig.ends[i].tail, saved, 2), 0);
        take_all(&rig, i);
        (void)strncat(all, rig.seen, sizeof all - strlen(all) - 1);
    }
    assert_string_equal(all, "0 11 1 10 ");
    rig_close(&rig);
}

/* The budget is there beside what came back, and is a bound as before. */
static void
t_A126_one_subtask_takes_what_several_had(void **state)
{
    struct rig rig;
    struct saved saved[ENDS_MAX];
    uint64_t cnt = 0;
    int64_t rc = 0;
    (void)state;
    rig_open(&rig, ENDS_MAX, 0, 1);
    for (uint32_t i = 0; i < ENDS_MAX; i++) {
        const struct weir_feedback_slot *slot = &rig.feedback.slots[i];
        begin(&rig, i, 1);
        while (slot->put_seq < slot->bytes * 3 / 4) {
            assert_int_equal(put_back(&rig, i, 0, 4), 0);
        }
        cnt += slot->row_cnt;
        assert_int_equal(save(&rig.ends[i].tail, 1, &saved[i]), 0);
    }
    rig_close(&rig);
    rig_open(&rig, 1, 0, 1);
    const struct weir_feedback_slot *slot = &rig.feedback.slots[0];
    assert_int_equal(restore(&rig.ends[0].tail, saved, ENDS_MAX), 0);
    assert_int_equal(slot->row_cnt, cnt);
    for (uint32_t i = 0; i < 1000 && rc == 0; i++) {
        rc = put_back(&rig, 0, 0, 4);
        cnt += rc == 0 ? 4 : 0;
    }
    assert_int_equal(rc, WEIR_EBUDGET);
    assert_int_equal(slot->row_cnt, cnt);
    assert_true(slot->bytes <= 5 * WEIR_PAGE_BYTES);
    rig_close(&rig);
}

/* A head whose loop is at its end takes nothing: nothing is to be saved for it. */
static void
t_A126_a_tail_outlives_its_head(void **state)
{
    struct rig rig;
    struct saved saved;
    (void)state;
    rig_open(&rig, 1, WEIR_MS, WEIR_MIB);
    rig.feedback.slots[0].input_ended = true;
    take_all(&rig, 0);
    assert_int_equal(poll_source(&rig, 0, WEIR_MS), WEIR_DONE);
    assert_int_equal(put_back(&rig, 0, 1, 2), 0);
    assert_int_equal(rig.ends[0].tail.rows_late, 2);
    assert_int_equal(save(&rig.ends[0].tail, 1, &saved), 0);
    rig_close(&rig);
    rig_open(&rig, 1, WEIR_MS, WEIR_MIB);
    assert_int_equal(restore(&rig.ends[0].tail, &saved, 1), 0);
    assert_false(weir_feedback_has(&rig.feedback.slots[0]));
    assert_int_equal(put_back(&rig, 0, 1, 3), 0);
    struct weir_operator *tail = &rig.ends[0].tail;
    tail->is_saved = true; /* a savepoint has them */
    assert_int_equal(tail->type->finish(tail, NULL, 0), WEIR_DONE);
    assert_int_equal(tail->rows_late, 0);
    tail->is_saved = false;
    assert_int_equal(tail->type->finish(tail, NULL, 0), WEIR_DONE);
    assert_int_equal(tail->rows_late, 3);
    rig_close(&rig);
}

static void
t_A126_rows_of_another_schema_are_not_restored(void **state)
{
    struct rig rig;
    struct saved saved;
    (void)state;
    rig_open(&rig, 1, 0, WEIR_MIB);
    begin(&rig, 0, 1);
    assert_int_equal(put_back(&rig, 0, 1, 2), 0);
    assert_int_equal(save(&rig.ends[0].tail, 1, &saved), 0);
    struct rig next;
    rig_open(&next, 1, 0, WEIR_MIB);
    next.feedback.schema = other_schema();
    assert_int_equal(restore(&next.ends[0].tail, &saved, 1), WEIR_ESTATE);
    rig_close(&next);
    rig_open(&next, 1, 0, WEIR_MIB);
    for (size_t i = 0; i < sizeof saved.buf - 8; i++) {
        if (memcmp(saved.buf + i, WEIR_FLIGHT_MAGIC, 8) == 0) {
            saved.buf[i] ^= 1;
        }
    }
    assert_int_equal(restore(&next.ends[0].tail, &saved, 1), WEIR_EFORMAT);
    rig_close(&next);
    rig_close(&rig);
}

/* ---- the end by rounds ---- */

/* What the head's timer does, where it is due: the round that it sends, 0: none, -1: the end. */
static int64_t
fire(struct rig *rig, uint32_t idx)
{
    struct weir_out out;
    struct weir_operator *head = &rig->ends[idx].head;
    memset(&out, 0, sizeof out);
    if (head->type->due_ns(head) > 0) {
        return 0;
    }
    assert_int_equal(head->type->timer(head, &out, 0), WEIR_DONE);
    assert_true(head->type->due_ns(head) > 0);
    return out.watermark_set ? out.watermark - WEIR_LOOP_ROUND_0 : -1;
}

static void
come_round(struct rig *rig, uint32_t idx, int64_t round)
{
    struct weir_operator *tail = &rig->ends[idx].tail;
    assert_int_equal(tail->type->watermark(tail, WEIR_LOOP_ROUND_0 + round, NULL, 0), WEIR_DONE);
}

static void
end_input(struct rig *rig, uint32_t idx)
{
    struct weir_operator *head = &rig->ends[idx].head;
    assert_int_equal(head->type->end_input(head, 1, NULL), WEIR_DONE);
    assert_int_equal(fire(rig, idx), 0);
    assert_int_equal(head->type->end_input(head, 0, NULL), WEIR_DONE);
}

static void
t_T196_A126_a_loop_ends_exactly_when_no_row_is_in_it(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, 2, 0, WEIR_MIB);
    end_input(&rig, 0);
    end_input(&rig, 1);
    assert_int_equal(fire(&rig, 0), 1);
    assert_int_equal(fire(&rig, 1), 1);
    assert_int_equal(put_back(&rig, 1, 1, 1), 0); /* before round 1, which counts as busy anyway */
    come_round(&rig, 0, 1);
    assert_int_equal(fire(&rig, 0), 0); /* the other tail has not had it */
    come_round(&rig, 1, 1);
    assert_int_equal(fire(&rig, 0), 2);
    assert_int_equal(fire(&rig, 1), 0); /* a row waits at this one */
    take_all(&rig, 1);
    assert_int_equal(fire(&rig, 1), 2);
    assert_int_equal(put_back(&rig, 0, 1, 1), 0); /* and comes out of the body at the other */
    come_round(&rig, 0, 2);
    come_round(&rig, 1, 2);
    assert_int_equal(fire(&rig, 1), 3);
    take_all(&rig, 0);
    assert_int_equal(fire(&rig, 0), 3);
    come_round(&rig, 1, 3);
    assert_int_equal(poll_source(&rig, 1, 0), WEIR_WAIT);
    come_round(&rig, 0, 3); /* nobody had a row since round 2 */
    assert_int_equal(fire(&rig, 0), -1);
    assert_int_equal(fire(&rig, 1), -1);
    assert_int_equal(poll_source(&rig, 0, 0), WEIR_DONE);
    assert_int_equal(poll_source(&rig, 1, 0), WEIR_DONE);
    rig_close(&rig);
}

/* One of the heads is a round ahead, and its tail has had rows in that one only: for the one that
 * asks later, too, the round before was no empty one. */
static void
t_T196_A126_heads_come_to_the_same_answer(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, 2, 0, WEIR_MIB);
    for (uint32_t i = 0; i < 2; i++) {
        end_input(&rig, i);
        assert_int_equal(fire(&rig, i), 1);
    }
    come_round(&rig, 0, 1);
    come_round(&rig, 1, 1);
    assert_int_equal(fire(&rig, 0), 2);
    assert_int_equal(fire(&rig, 1), 2);
    assert_int_equal(put_back(&rig, 0, 1, 1), 0);
    come_round(&rig, 0, 2);
    come_round(&rig, 1, 2);
    take_all(&rig, 0);
    assert_int_equal(fire(&rig, 0), 3);
    assert_int_equal(put_back(&rig, 0, 1, 1), 0);
    rig.feedback.slots[0].busy_round = 3; /* as if round 3 had come there already */
    assert_int_equal(fire(&rig, 1), 3);
    rig_close(&rig);
}

static void
t_T196_A126_rounds_go_on_above_those_of_a_checkpoint(void **state)
{
    struct rig rig;
    struct saved saved[2];
    (void)state;
    rig_open(&rig, 2, 0, WEIR_MIB);
    for (uint32_t i = 0; i < 2; i++) {
        end_input(&rig, i);
        assert_int_equal(fire(&rig, i), 1);
    }
    come_round(&rig, 0, 1);
    come_round(&rig, 1, 1);
    assert_int_equal(fire(&rig, 1), 2); /* one of them is ahead */
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(save(&rig.ends[i].head, 1, &saved[i]), 0);
    }
    rig_close(&rig);
    rig_open(&rig, 2, 0, WEIR_MIB);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(restore(&rig.ends[i].head, saved, 2), 0);
        end_input(&rig, i);
        assert_int_equal(fire(&rig, i), 3);
    }
    come_round(&rig, 0, 3);
    come_round(&rig, 1, 3);
    assert_int_equal(fire(&rig, 0), 4); /* rows of before may be anywhere: it says nothing */
    assert_int_equal(fire(&rig, 1), 4);
    come_round(&rig, 0, 4);
    come_round(&rig, 1, 4);
    assert_int_equal(fire(&rig, 0), -1);
    rig_close(&rig);
}

/* No round would come through a body that stands behind all times. */
static void
t_A126_a_loop_that_had_ended_ends_again_behind_a_restore(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, 1, 0, WEIR_MIB);
    rig.ends[0].head.watermark = WEIR_WATERMARK_MAX;
    assert_int_equal(fire(&rig, 0), 0);
    end_input(&rig, 0);
    assert_int_equal(fire(&rig, 0), -1);
    assert_int_equal(poll_source(&rig, 0, 0), WEIR_DONE);
    rig_close(&rig);
}

/* ---- the end by waiting ---- */

static void
t_T196_A126_a_loop_ends_when_nothing_came_back_for_the_time(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, 1, 100, WEIR_MIB);
    assert_int_equal(poll_source(&rig, 0, 0), WEIR_AGAIN);
    assert_string_equal(rig.seen, "idle "); /* it holds no watermark back, from the start */
    assert_int_equal(poll_source(&rig, 0, 500), WEIR_WAIT); /* its input goes on */
    rig.feedback.slots[0].input_ended = true;
    assert_int_equal(poll_source(&rig, 0, 1000), WEIR_WAIT);
    assert_int_equal(poll_source(&rig, 0, 1099), WEIR_WAIT);
    assert_int_equal(put_back(&rig, 0, 1, 1), 0);
    assert_int_equal(poll_source(&rig, 0, 1150), WEIR_AGAIN);
    assert_int_equal(poll_source(&rig, 0, 1151), WEIR_WAIT); /* from now on */
    assert_int_equal(poll_source(&rig, 0, 1250), WEIR_WAIT);
    assert_int_equal(poll_source(&rig, 0, 1251), WEIR_DONE);
    rig_close(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_A126_what_goes_back_comes_in_order_through_little_memory),
        cmocka_unit_test(t_A126_a_loop_that_had_ended_ends_again_behind_a_restore),
        cmocka_unit_test(t_A126_rows_that_wait_survive_the_end_of_the_memory),
        cmocka_unit_test(t_A126_a_full_queue_is_an_error_and_nobody_waits),
        cmocka_unit_test(t_A126_a_full_queue_gives_the_checkpoint_up_first),
        cmocka_unit_test(t_A126_a_checkpoint_that_is_aborted_keeps_nothing),
        cmocka_unit_test(t_A126_the_head_takes_what_comes_back_before_what_is_new),
        cmocka_unit_test(t_A126_a_checkpoint_has_what_is_between_the_two_barriers),
        cmocka_unit_test(t_A126_rows_are_dealt_out_to_other_subtasks),
        cmocka_unit_test(t_A126_one_subtask_takes_what_several_had),
        cmocka_unit_test(t_A126_a_tail_outlives_its_head),
        cmocka_unit_test(t_A126_rows_of_another_schema_are_not_restored),
        cmocka_unit_test(t_T196_A126_a_loop_ends_exactly_when_no_row_is_in_it),
        cmocka_unit_test(t_T196_A126_heads_come_to_the_same_answer),
        cmocka_unit_test(t_T196_A126_rounds_go_on_above_those_of_a_checkpoint),
        cmocka_unit_test(t_T196_A126_a_loop_ends_when_nothing_came_back_for_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
