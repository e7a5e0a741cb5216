/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking sources in a task that is polled by hand: [ source ] -> [ sink ]. */
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/cpuset.h"
#include "base/err.h"
#include "base/rng.h"
#include "dataplane/mailbox.h"
#include "dataplane/parts.h"
#include "dataplane/task.h"
#include "sched/blocking.h"
#include "tests/unit/test.h"

#define READING(F) F(i64, n) F(str, text)
WEIR_SCHEMA(reading, READING)

#define TEXT_BYTES 3000
#define PARTS_BYTES 8192

/* What run() does, and what came of it. */
struct play {
    int64_t row_cnt; /* rows 0.. , or from the position on */
    int64_t position_every; /* rows; 0: none */
    int64_t skew; /* added to each row that comes after a restart: it is no replay */
    int error; /* that run() ends with */
    bool waits; /* for the fd, behind its rows */
    bool goes_on; /* rows without end */
    bool marks; /* a watermark behind every row */
    bool has_long; /* texts of many lengths */
    WEIR_ATOMIC(uint32_t) run_cnt;
    WEIR_ATOMIC(uint32_t) left_cnt;
    WEIR_ATOMIC(uint32_t) cancel_cnt;
    WEIR_ATOMIC(uint32_t) is_waiting;
    uint32_t text_errors;
    cpu_set_t cpus;
};

static uint32_t
text_bytes(const struct play *play, int64_t n)
{
    return play->has_long ? (uint32_t)(weir_rng_mix((uint64_t)n) % TEXT_BYTES) : 3;
}

static void
fill_text(char *text, int64_t n)
{
    memset(text, 'a' + (int)(n % 26), TEXT_BYTES);
}

static bool
emit_row(struct play *play, struct weir_blocking *blocking, int64_t n)
{
    char text[TEXT_BYTES];
    struct reading *row = weir_blocking_row(blocking);
    fill_text(text, n);
    row->n = n;
    play->text_errors += weir_blocking_text(blocking, &row->text, text, text_bytes(play, n)) != 0;
    weir_blocking_time(blocking, 10 * n);
    return weir_blocking_emit(blocking) && (!play->marks || weir_blocking_watermark(blocking, n));
}

static int
run(struct weir_blocking *blocking, const void *conf)
{
    struct play *play = (struct play *)(uintptr_t)conf;
    int64_t n = 0;
    (void)weir_fetch_add_rlx(&play->run_cnt, 1);
    (void)sched_getaffinity(0, sizeof play->cpus, &play->cpus);
    weir_blocking_set_own(blocking, play);
    if (weir_blocking_start(blocking, &n, sizeof n) > 0) {
        n += play->skew;
    }
    bool goes_on = true;
    for (; goes_on && (n < play->row_cnt || play->goes_on); n++) {
        int64_t next = n + 1;
        goes_on = emit_row(play, blocking, n) &&
                  (play->position_every == 0 || next % play->position_every != 0 ||
                      weir_blocking_position(blocking, &next, sizeof next));
    }
    if (play->waits) {
        struct pollfd fd = {.fd = weir_blocking_fd(blocking), .events = POLLIN};
        weir_store_rel(&play->is_waiting, 1);
        while (poll(&fd, 1, -1) < 1) {
        }
        assert_true(weir_blocking_is_canceled(blocking));
    }
    (void)weir_fetch_add_rlx(&play->left_cnt, 1);
    return play->error != 0 ? weir_err_push(play->error, "run has failed at %lld", (long long)n)
                            : 0;
}

static void
cancel(struct weir_blocking *blocking, const void *conf)
{
    struct play *play = (struct play *)(uintptr_t)conf;
    (void)weir_fetch_add_rlx(&play->cancel_cnt, 1);
    assert_true(weir_blocking_own(blocking) == NULL || weir_blocking_own(blocking) == play);
}

static const struct weir_blocking_function function = {
    .out_schema = reading_schema, .run = run, .cancel = cancel, .replays = true};

/* ---- the sink ---- */

struct seen {
    int64_t *n;
    uint32_t row_cnt;
    uint32_t row_cap;
    int64_t watermark;
    uint32_t max_cnt;
    uint32_t end_cnt;
    bool is_full;
    bool has_long;
};

static int64_t
sink_process(struct weir_operator *op, uint32_t input, const struct weir_view *in, uint32_t cursor,
    struct weir_out *out, int64_t now_ns)
{
    struct seen *seen = (struct seen *)(uintptr_t)op->conf;
    const struct play shape = {.has_long = seen->has_long};
    char text[TEXT_BYTES];
    (void)input;
    (void)out;
    (void)now_ns;
    if (seen->is_full) {
        return 0;
    }
    for (uint32_t i = cursor; i < in->cnt; i++) {
        uint32_t at = weir_view_row(in, i);
        struct reading row;
        memcpy(&row, in->rows + (size_t)in->stride * at, sizeof row);
        struct weir_slice got = weir_str_slice(&row.text, in->heap);
        fill_text(text, row.n);
        assert_int_equal(got.bytes, text_bytes(&shape, row.n));
        assert_memory_equal(got.ptr, text, got.bytes);
        assert_int_equal(weir_view_time(in, at), 10 * row.n);
        if (seen->row_cnt == seen->row_cap) {
            seen->row_cap = 2 * seen->row_cap + 64;
            seen->n = realloc(seen->n, seen->row_cap * sizeof *seen->n);
            assert_non_null(seen->n);
        }
        seen->n[seen->row_cnt++] = row.n;
    }
    return in->cnt - cursor;
}

static int
sink_watermark(struct weir_operator *op, int64_t watermark, struct weir_out *out, int64_t now_ns)
{
    struct seen *seen = (struct seen *)(uintptr_t)op->conf;
    (void)out;
    (void)now_ns;
    assert_true(watermark > seen->watermark);
    seen->watermark = watermark;
    seen->max_cnt += watermark == WEIR_WATERMARK_MAX;
    return WEIR_DONE;
}

static int
sink_end(struct weir_operator *op, uint32_t input, struct weir_out *out)
{
    (void)input;
    (void)out;
    ((struct seen *)(uintptr_t)op->conf)->end_cnt++;
    return WEIR_DONE;
}

static const struct weir_operator_type sink_type = {.name = "sink",
    .input_cnt = 1,
    .process = sink_process,
    .watermark = sink_watermark,
    .end_input = sink_end};

/* ---- the rig ---- */

struct rig {
    struct play *play;
    struct weir_blocking_conf conf;
    struct seen seen;
    struct weir_task *task;
    struct weir_parts_reader *restored; /* [restored_cnt] */
    uint32_t restored_cnt;
};

static void
rig_open(struct rig *rig, struct play *play, const struct weir_cpuset *housekeeping)
{
    struct weir_chain_node_conf nodes[2];
    memset(rig, 0, sizeof *rig);
    memset(nodes, 0, sizeof nodes);
    rig->play = play;
    rig->conf = (struct weir_blocking_conf){.function = &function, .function_conf = play};
    rig->seen.watermark = WEIR_TIME_MIN;
    rig->seen.has_long = play->has_long;
    nodes[0].name = "readings";
    nodes[0].type = &weir_blocking_type;
    nodes[0].conf = &rig->conf;
    nodes[0].outputs[0].schema = reading_schema();
    nodes[0].outputs[0].has_time = true;
    nodes[0].outputs[0].edge_cnt = 1;
    nodes[0].outputs[0].edges[0].node = 1;
    nodes[0].env.vertex_name = "readings";
    nodes[0].env.housekeeping = housekeeping;
    nodes[1].name = "sink";
    nodes[1].type = &sink_type;
    nodes[1].conf = &rig->seen;
    nodes[1].in_schema[0] = reading_schema();
    nodes[1].channel_cnt = 1;
    const struct weir_task_conf conf = {.name = "task (1/1)",
        .chain = {.nodes = nodes, .node_cnt = 2, .batch_rows = 64, .buf_bytes = 32768}};
    assert_int_equal(weir_task_new(&conf, &rig->task), 0);
    assert_int_equal(weir_task_poll(rig->task, 8, 0), WEIR_POLL_BUSY); /* opens */
    assert_int_equal(weir_load_rlx(&play->run_cnt), 0);
}

static void
rig_close(struct rig *rig)
{
    weir_task_delete(rig->task);
    free(rig->seen.n);
    weir_err_clear();
    /* The thread was waited for, if there was one. */
    assert_int_equal(weir_load_rlx(&rig->play->run_cnt), weir_load_rlx(&rig->play->left_cnt));
}

static void
run_out(struct rig *rig)
{
    while (weir_task_poll(rig->task, 8, 0) != WEIR_POLL_DONE) {
        (void)sched_yield();
    }
}

/* Until the sink has so many rows. */
static void
run_rows(struct rig *rig, uint32_t row_cnt)
{
    while (rig->seen.row_cnt < row_cnt) {
        assert_int_not_equal(weir_task_poll(rig->task, 1, 0), WEIR_POLL_DONE);
        (void)sched_yield();
    }
}

static void
check_rows(const struct rig *rig, int64_t first, uint32_t cnt)
{
    assert_int_equal(rig->seen.row_cnt, cnt);
    for (uint32_t i = 0; i < cnt; i++) {
        assert_int_equal(rig->seen.n[i], first + i);
    }
}

static void
t_T193_a_natural_end_brings_all_rows_and_one_last_watermark(void **state)
{
    struct play play = {.row_cnt = 1000, .marks = true, .position_every = 7};
    struct rig rig;
    (void)state;
    rig_open(&rig, &play, NULL);
    run_out(&rig);
    assert_int_equal(weir_task_state(rig.task), WEIR_TASK_FINISHED);
    check_rows(&rig, 0, 1000);
    assert_int_equal(rig.seen.max_cnt, 1);
    assert_int_equal(rig.seen.end_cnt, 1);
    assert_int_equal(weir_load_rlx(&play.cancel_cnt), 0);
    assert_int_equal(play.text_errors, 0);
    rig_close(&rig);
}

static void
t_T192_T193_a_cancel_wakes_what_waits_and_waits_for_it(void **state)
{
    (void)state;
    for (uint32_t turn = 0; turn < 20; turn++) {
        struct play play = {.row_cnt = 10, .marks = true, .waits = true, .error = WEIR_EIO};
        struct rig rig;
        rig_open(&rig, &play, NULL);
        while (turn % 2 == 0 && weir_load_acq(&play.is_waiting) == 0) {
            (void)weir_task_poll(rig.task, 1, 0);
        }
        (void)weir_task_poll(rig.task, 1, 0);
        weir_task_request(rig.task, WEIR_TASK_REQUEST_CANCEL);
        assert_int_equal(weir_task_poll(rig.task, 1, 0), WEIR_POLL_DONE);
        assert_int_equal(weir_load_rlx(&play.left_cnt), 1);
        assert_int_equal(weir_task_state(rig.task), WEIR_TASK_CANCELED); /* its error is nothing */
        assert_int_equal(weir_load_rlx(&play.cancel_cnt), 1);
        assert_int_equal(rig.seen.max_cnt, 0);
        assert_int_equal(rig.seen.end_cnt, 0);
        rig_close(&rig);
    }
}

/* It waits for room, with a letter pending: no dead-lock. */
static void
t_T192_a_cancel_wakes_what_waits_for_room(void **state)
{
    struct play play = {.goes_on = true};
    struct rig rig;
    (void)state;
    rig_open(&rig, &play, NULL);
    rig.seen.is_full = true;
    for (uint32_t same = 0, cnt = 0; same < 1000; same++) {
        assert_int_not_equal(weir_task_poll(rig.task, 1, 0), WEIR_POLL_DONE);
        cnt = rig.seen.row_cnt;
        assert_int_equal(cnt, 0);
        (void)sched_yield();
    }
    weir_task_request(rig.task, WEIR_TASK_REQUEST_CANCEL);
    assert_int_equal(weir_task_poll(rig.task, 1, 0), WEIR_POLL_DONE);
    assert_int_equal(weir_load_rlx(&play.left_cnt), 1);
    rig_close(&rig);
}

static void
t_T193_a_stop_ends_without_a_last_watermark_and_a_drain_with_one(void **state)
{
    const enum weir_task_request asked[] = {WEIR_TASK_REQUEST_STOP, WEIR_TASK_REQUEST_DRAIN};
    (void)state;
    for (uint32_t turn = 0; turn < 2; turn++) {
        struct play play = {.goes_on = true, .error = WEIR_EIO};
        struct rig rig;
        rig_open(&rig, &play, NULL);
        run_rows(&rig, 100);
        weir_task_request(rig.task, asked[turn]);
        run_out(&rig);
        assert_int_equal(weir_task_state(rig.task), WEIR_TASK_FINISHED);
        assert_int_equal(rig.seen.max_cnt, turn);
        assert_int_equal(rig.seen.end_cnt, 1);
        check_rows(&rig, 0, rig.seen.row_cnt);
        rig_close(&rig);
    }
}

static void
t_A241_an_error_of_its_own_fails_the_task_once(void **state)
{
    struct play play = {.row_cnt = 10, .error = WEIR_EIO};
    struct rig rig;
    (void)state;
    rig_open(&rig, &play, NULL);
    run_out(&rig);
    assert_int_equal(weir_task_state(rig.task), WEIR_TASK_FAILED);
    assert_int_equal(weir_task_error(rig.task), WEIR_EIO);
    assert_non_null(strstr(weir_task_cause(rig.task), "run has failed at 10"));
    assert_int_equal(rig.seen.max_cnt, 0);
    rig_close(&rig);
}

static void
t_a_task_that_never_polled_it_has_no_thread(void **state)
{
    struct play play = {.row_cnt = 10};
    struct rig rig;
    (void)state;
    rig_open(&rig, &play, NULL);
    weir_task_request(rig.task, WEIR_TASK_REQUEST_CANCEL);
    run_out(&rig);
    assert_int_equal(weir_load_rlx(&play.run_cnt), 0);
    rig_close(&rig);
    rig_open(&rig, &play, NULL);
    weir_task_request(rig.task, WEIR_TASK_REQUEST_STOP);
    run_out(&rig);
    assert_int_equal(weir_task_state(rig.task), WEIR_TASK_FINISHED);
    assert_int_equal(weir_load_rlx(&play.run_cnt), 0);
    rig_close(&rig);
}

static void
t_it_runs_where_housekeeping_does(void **state)
{
    struct play play = {.row_cnt = 1};
    struct rig rig;
    struct weir_cpuset one = {{0}};
    cpu_set_t here;
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof here, &here), 0);
    uint32_t cpu = 0;
    for (uint32_t i = 0; i < WEIR_CPUSET_CPU_CNT_MAX; i++) {
        cpu = CPU_ISSET(i, &here) ? i : cpu; /* the last one */
    }
    weir_cpuset_add(&one, cpu);
    rig_open(&rig, &play, &one);
    run_out(&rig);
    assert_int_equal(CPU_COUNT(&play.cpus), 1);
    assert_true(CPU_ISSET(cpu, &play.cpus));
    rig_close(&rig);
}

static void
t_rows_of_all_lengths_go_round_the_ring(void **state)
{
    struct play play = {.row_cnt = 20000, .has_long = true, .marks = true};
    struct rig rig;
    (void)state;
    rig_open(&rig, &play, NULL);
    run_out(&rig);
    assert_int_equal(weir_task_state(rig.task), WEIR_TASK_FINISHED);
    check_rows(&rig, 0, 20000);
    assert_int_equal(play.text_errors, 0);
    rig_close(&rig);
}

static int
run_to_the_last(struct weir_blocking *blocking, const void *conf)
{
    struct play *play = (struct play *)(uintptr_t)conf;
    (void)weir_blocking_watermark(blocking, WEIR_WATERMARK_MAX);
    (void)emit_row(play, blocking, 0);
    return 0;
}

/* Only the end says that nothing follows, whatever run() says. */
static void
t_T193_run_cannot_say_the_last_watermark(void **state)
{
    static const struct weir_blocking_function function_to_the_last = {
        .out_schema = reading_schema, .run = run_to_the_last};
    struct play play = {.row_cnt = 0};
    struct rig rig;
    (void)state;
    rig_open(&rig, &play, NULL);
    rig.conf.function = &function_to_the_last;
    while (rig.seen.row_cnt == 0) {
        assert_int_equal(rig.seen.max_cnt, 0);
        (void)weir_task_poll(rig.task, 1, 0);
    }
    run_out(&rig);
    check_rows(&rig, 0, 1);
    assert_int_equal(rig.seen.max_cnt, 1);
    rig_close(&rig);
}

static int
run_too_long(struct weir_blocking *blocking, const void *conf)
{
    static const char text[WEIR_BLOCKING_ROW_BYTES_MAX];
    struct reading *row = weir_blocking_row(blocking);
    size_t room = WEIR_BLOCKING_ROW_BYTES_MAX - sizeof *row;
    (void)conf;
    assert_int_equal(weir_blocking_text(blocking, &row->text, text, room + 1), WEIR_EBUDGET);
    assert_int_equal(weir_blocking_text(blocking, &row->text, text, room), 0);
    assert_int_equal(weir_blocking_text(blocking, &row->text, text, 13), WEIR_EBUDGET);
    return 0;
}

static void
t_a_row_that_is_too_long_is_refused(void **state)
{
    static const struct weir_blocking_function too_long = {
        .out_schema = reading_schema, .run = run_too_long};
    struct play play = {.row_cnt = 0};
    struct rig rig;
    (void)state;
    rig_open(&rig, &play, NULL);
    rig.conf.function = &too_long;
    run_out(&rig);
    assert_int_equal(weir_task_state(rig.task), WEIR_TASK_FINISHED);
    rig_close(&rig);
}

/* ---- checkpoints ---- */

struct saved {
    _Alignas(8) char parts[PARTS_BYTES];
    size_t bytes;
};

static void
save(const struct rig *rig, struct saved *ret)
{
    struct weir_operator *op = weir_task_operator(rig->task, 0);
    struct weir_parts_writer writer;
    weir_parts_writer_init(&writer, ret->parts, sizeof ret->parts);
    weir_parts_writer_of(&writer, op->uid);
    assert_int_equal(op->type->snapshot(op, 1, &writer), 0);
    assert_int_equal(weir_parts_finish(&writer, &ret->bytes), 0);
}

static int
restore(const struct rig *rig, const struct saved *saved, uint32_t cnt)
{
    struct weir_operator *op = weir_task_operator(rig->task, 0);
    struct weir_parts_reader readers[4];
    for (uint32_t i = 0; i < cnt; i++) {
        assert_int_equal(weir_parts_reader_init(&readers[i], saved->parts, saved->bytes), 0);
        weir_parts_reader_of(&readers[i], op->uid);
    }
    return op->type->restore(op, readers, cnt);
}

/* Cut behind any row, with positions behind every so many: each row comes out once. */
static void
t_T192_a_restart_goes_on_behind_the_last_row_wherever_it_was_cut(void **state)
{
    const int64_t every[] = {0, 1, 7, 100};
    (void)state;
    for (uint32_t e = 0; e < 4; e++) {
        for (uint32_t cut = 1; cut < 400; cut += 37) {
            struct play play = {.row_cnt = 1000, .position_every = every[e]};
            struct play again = play;
            struct saved saved;
            struct rig rig;
            rig_open(&rig, &play, NULL);
            run_rows(&rig, cut);
            uint32_t out_cnt = (uint32_t)weir_task_operator(rig.task, 0)->rows_out;
            save(&rig, &saved);
            rig_close(&rig);
            rig_open(&rig, &again, NULL);
            assert_int_equal(restore(&rig, &saved, 1), 0);
            if (cut % 2 == 0) { /* saved again before anything has come */
                save(&rig, &saved);
                rig_close(&rig);
                rig_open(&rig, &again, NULL);
                assert_int_equal(restore(&rig, &saved, 1), 0);
            }
            run_out(&rig);
            assert_int_equal(weir_task_state(rig.task), WEIR_TASK_FINISHED);
            check_rows(&rig, out_cnt, 1000 - out_cnt);
            rig_close(&rig);
        }
    }
}

/* One that goes on elsewhere than it says: told as soon as it can be known. */
static void
t_a_run_that_does_not_repeat_its_rows_fails(void **state)
{
    (void)state;
    for (uint32_t turn = 0; turn < 2; turn++) {
        struct play play = {.row_cnt = 1000, .position_every = 100};
        struct play again = {.position_every = 100, .skew = 60};
        struct saved saved;
        struct rig rig;
        rig_open(&rig, &play, NULL);
        uint64_t out_cnt = 0;
        while (out_cnt < 100 || out_cnt % 100 < 50) {
            run_rows(&rig, rig.seen.row_cnt + 1);
            out_cnt = weir_task_operator(rig.task, 0)->rows_out;
        }
        save(&rig, &saved);
        again.row_cnt = turn == 0 ? 1000 : (int64_t)(out_cnt / 100 * 100 + 61);
        rig_close(&rig);
        rig_open(&rig, &again, NULL);
        assert_int_equal(restore(&rig, &saved, 1), 0);
        run_out(&rig);
        assert_int_equal(weir_task_error(rig.task), WEIR_ESTATE);
        assert_non_null(strstr(weir_task_cause(rig.task), "does not emit the same rows again"));
        rig_close(&rig);
    }
}

static void
t_another_number_of_subtasks_and_damage_are_refused(void **state)
{
    struct play play = {.row_cnt = 10, .position_every = 1};
    struct saved saved;
    struct rig rig;
    (void)state;
    rig_open(&rig, &play, NULL);
    run_rows(&rig, 5);
    save(&rig, &saved);
    assert_int_equal(restore(&rig, &saved, 2), WEIR_ESTATE);
    weir_err_clear();
    struct weir_parts_writer writer;
    const uint64_t words[2] = {0, WEIR_BLOCKING_POSITION_BYTES_MAX + 1};
    weir_parts_writer_init(&writer, saved.parts, sizeof saved.parts);
    weir_parts_writer_of(&writer, weir_task_operator(rig.task, 0)->uid);
    weir_parts_begin(&writer, "position", 1);
    weir_parts_put(&writer, words, sizeof words);
    weir_parts_end(&writer);
    assert_int_equal(weir_parts_finish(&writer, &saved.bytes), 0);
    assert_int_equal(restore(&rig, &saved, 1), WEIR_EDATA);
    weir_err_clear();
    rig_close(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T193_a_natural_end_brings_all_rows_and_one_last_watermark),
        cmocka_unit_test(t_T192_T193_a_cancel_wakes_what_waits_and_waits_for_it),
        cmocka_unit_test(t_T192_a_cancel_wakes_what_waits_for_room),
        cmocka_unit_test(t_T193_a_stop_ends_without_a_last_watermark_and_a_drain_with_one),
        cmocka_unit_test(t_A241_an_error_of_its_own_fails_the_task_once),
        cmocka_unit_test(t_a_task_that_never_polled_it_has_no_thread),
        cmocka_unit_test(t_it_runs_where_housekeeping_does),
        cmocka_unit_test(t_rows_of_all_lengths_go_round_the_ring),
        cmocka_unit_test(t_T193_run_cannot_say_the_last_watermark),
        cmocka_unit_test(t_a_row_that_is_too_long_is_refused),
        cmocka_unit_test(t_T192_a_restart_goes_on_behind_the_last_row_wherever_it_was_cut),
        cmocka_unit_test(t_a_run_that_does_not_repeat_its_rows_fails),
        cmocka_unit_test(t_another_number_of_subtasks_and_damage_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
