/* SPDX-License-Identifier: Apache-2.0 */
/* Unaligned checkpoints on one real task (stage.h): SCENARIOS T.5 and T.6 with rows in them, what
 * producers keep, and what comes back after a restore. test_checkpoint_model.c has several
 * tasks. */
#include "base/hash.h"
#include "dataplane/keygroup.h"
#include "tests/unit/stage.h"

/* Pairs of parallelism up to here, and rows of each old subtask. */
#define PAIR_CNT 8
#define PAIR_ROW_CNT 5

/* ---- the rig ---- */

static struct stage *
unaligned_with(const struct stage_conf *conf)
{
    struct stage *s = stage_open(conf);
    assert_int_equal(weir_task_poll(s->task, 8, 0), WEIR_POLL_BUSY);
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_RUNNING);
    return s;
}

static struct stage *
unaligned(int64_t timeout_ns)
{
    const struct stage_conf conf = {.is_unaligned = true, .timeout_ns = timeout_ns};
    return unaligned_with(&conf);
}

static struct weir_mark
mark_of(uint64_t id)
{
    return (struct weir_mark){.id = id, .kind = WEIR_MARK_PERIODIC};
}

/* A barrier that waits for nothing, and one that waits in its slot. */
static void
urge(struct stage *s, uint32_t c, uint64_t id)
{
    const struct weir_mark mark = mark_of(id);
    assert_int_equal(weir_channel_urge(&s->wire.out[c], &mark), 1);
}

static void
mark(struct stage *s, uint32_t c, uint64_t id)
{
    const struct weir_mark mark = mark_of(id);
    assert_int_equal(weir_channel_mark(&s->wire.out[c], WEIR_SLOT_BARRIER, &mark), 1);
}

/* Some turns: enough for a batch through the chain. */
static enum weir_task_poll
poll_once(struct stage *s)
{
    return weir_task_poll(s->task, 3, s->now_ns);
}

/* The rows that were captured, by channel: "c:n" taken off channel c, W a watermark. */
static void
assert_flight(const struct stage *s, const char *want)
{
    char got[512] = "";
    char *at = got;
    assert_int_equal(weir_flight_check(s->flight, s->flight_bytes), 0);
    for (uint32_t c = 0; c < IN_CNT; c++) {
        const struct weir_flight_entry *entry;
        size_t offset = 0;
        while ((entry = weir_flight_next(s->flight, s->flight_bytes, &offset)) != NULL) {
            struct weir_view view;
            assert_true(weir_flight_is_of(entry, "a") && at < got + sizeof got - 64);
            assert_int_equal(entry->side, WEIR_FLIGHT_TAKEN);
            assert_int_equal(entry->channel_id, entry->edge * 2 + entry->channel);
            if (entry->channel_id != c) {
                continue;
            }
            if (entry->kind != WEIR_SLOT_BATCH) {
                at += sprintf(at, "%u:W%lld ", c, (long long)entry->watermark);
                continue;
            }
            assert_int_equal(weir_flight_view(entry, number_schema(), &view), 0);
            for (uint32_t i = 0; i < view.cnt; i++) {
                at += sprintf(at, "%u:%lld ", c, (long long)wire_number(&view, i));
            }
        }
    }
    if (at > got) {
        at[-1] = 0;
    }
    assert_string_equal(got, want);
}

#define BEGUN(id)                                                                         \
    "barrier a " id "\nbarrier b " id "\nbegin " id "\nsnapshot b " id "\nsnapshot a " id \
    "\nSNAPSHOT " id "\n"
#define COMMITS(id) "precommit a " id "\nprecommit b " id "\nPRECOMMITTED " id "\n"

/* ---- what is captured ---- */

static void
t_T261_rows_before_the_missing_barriers_and_none_behind(void **state)
{
    (void)state;
    struct stage *s = unaligned(0);
    wire_put(&s->wire, 0, 1);
    wire_put(&s->wire, 0, 2);
    wire_put(&s->wire, 2, 3);
    urge(s, 1, 1);
    assert_int_equal(poll_once(s), WEIR_POLL_BUSY);
    urge(s, 0, 1);
    wire_put(&s->wire, 0, 10); /* behind its barrier */
    wire_put(&s->wire, 1, 11);
    wire_put(&s->wire, 2, 4); /* before it still */
    settle(s);
    assert_log(s, BEGUN("1") COMMITS("1"));
    assert_true(s->last.has_flight && s->last.is_unaligned);
    assert_counts(s, "a", 0, 0);
    urge(s, 2, 1);
    mark(s, 3, 1); /* one that stayed in its slot counts likewise */
    wire_put(&s->wire, 3, 12);
    settle(s);
    assert_log(s, "CAPTURED 1\n");
    assert_flight(s, "0:1 0:2 2:3 2:4");
    const char *got = out(s, 0);
    assert_string_equal(got, "U1 B1 3 4 1 11 2 10 12"); /* the barrier has overtaken all of it */
    stage_close(s);
}

/* It goes on until the last barrier is there, behind the trigger. */
static void
t_T060_the_gauge_of_one_that_does_not_wait(void **state)
{
    (void)state;
    struct stage *s = unaligned(0);
    s->now_ns = 10;
    urge(s, 1, 1);
    settle(s);
    assert_log(s, BEGUN("1") COMMITS("1"));
    s->now_ns = 40;
    settle(s);
    assert_align(s, 30);
    for (uint32_t c = 0; c < IN_CNT; c++) {
        if (c != 1) {
            urge(s, c, 1);
        }
    }
    settle(s);
    assert_log(s, "CAPTURED 1\n");
    s->now_ns = 90;
    settle(s);
    assert_align(s, 30);
    stage_close(s);
}

/* Whatever of the look ahead and of the taking comes first. */
static void
t_T069_captured_before_it_is_worked_on(void **state)
{
    (void)state;
    for (uint32_t polls = 0; polls < 6; polls++) {
        struct stage *s = unaligned(0);
        urge(s, 3, 1);
        assert_int_equal(poll_once(s), WEIR_POLL_BUSY);
        for (int64_t n = 0; n < 6; n++) {
            wire_put(&s->wire, 0, n);
            if (n == 2) {
                wire_event(&s->wire, 0, WEIR_SLOT_WATERMARK, 77);
            }
            if (n < (int64_t)polls) {
                (void)poll_once(s);
            }
        }
        urge(s, 0, 1);
        wire_put(&s->wire, 0, 100);
        urge(s, 1, 1);
        urge(s, 2, 1);
        settle(s);
        assert_log(s, BEGUN("1") COMMITS("1") "CAPTURED 1\n");
        assert_flight(s, "0:0 0:1 0:2 0:W77 0:3 0:4 0:5");
        stage_close(s);
    }
}

static void
t_T065_the_end_of_the_missing_channel_counts(void **state)
{
    (void)state;
    struct stage *s = unaligned(0);
    wire_put(&s->wire, 0, 1);
    wire_event(&s->wire, 0, WEIR_SLOT_END, 0);
    urge(s, 1, 1);
    urge(s, 2, 1);
    urge(s, 3, 1);
    settle(s);
    assert_log(s, BEGUN("1") COMMITS("1") "CAPTURED 1\n");
    assert_flight(s, "0:1");
    assert_int_equal(weir_task_state(s->task), WEIR_TASK_RUNNING);
    stage_close(s);
}

/* There so many at once may be written; here one, and the next replaces it. */
static void
t_T066_one_capture_at_a_time(void **state)
{
    (void)state;
    struct stage *s = unaligned(0);
    urge(s, 0, 1);
    settle(s);
    assert_log(s, BEGUN("1") COMMITS("1"));
    wire_put(&s->wire, 1, 5);
    urge(s, 0, 2);
    settle(s);
    assert_log(s, "DECLINED subsumed 1\n" BEGUN("2") COMMITS("2"));
    urge(s, 1, 1); /* late */
    wire_put(&s->wire, 1, 6);
    for (uint32_t c = 1; c < IN_CNT; c++) {
        urge(s, c, 2);
    }
    settle(s);
    assert_log(s, "CAPTURED 2\n");
    assert_flight(s, "1:5 1:6");
    stage_close(s);
}

static void
t_T067_more_than_there_is_room_for_declines(void **state)
{
    (void)state;
    struct stage *s = unaligned(0);
    s->flight_cap = 256;
    urge(s, 0, 1);
    settle(s);
    assert_log(s, BEGUN("1") COMMITS("1"));
    for (int64_t n = 0; n < 8; n++) {
        wire_put(&s->wire, 1, n);
    }
    settle(s);
    assert_log(s, "DECLINED too many rows under way 1\n");
    s->flight_cap = sizeof s->flight;
    for (uint32_t c = 0; c < IN_CNT; c++) {
        urge(s, c, 2);
    }
    settle(s);
    assert_log(s, BEGUN("2") COMMITS("2") "CAPTURED 2\n");
    assert_flight(s, "");
    stage_close(s);
}

/* The word of the coordinator comes while rows are being copied: nobody is told of them. */
static void
t_T064_given_up_while_it_is_copied(void **state)
{
    (void)state;
    struct stage *s = unaligned(0);
    urge(s, 0, 1);
    settle(s);
    assert_log(s, BEGUN("1") COMMITS("1"));
    post(s, WEIR_TASK_ABORT, 1);
    wire_put(&s->wire, 1, 5);
    settle(s);
    assert_log(s, "aborted b 1\naborted a 1\n");
    for (uint32_t c = 1; c < IN_CNT; c++) {
        urge(s, c, 1);
    }
    settle(s);
    assert_log(s, "");
    for (uint32_t c = 0; c < IN_CNT; c++) {
        urge(s, c, 2);
    }
    settle(s);
    assert_log(s, BEGUN("2") COMMITS("2") "CAPTURED 2\n");
    stage_close(s);
}

static void
t_storage_refuses_what_did_not_wait(void **state)
{
    (void)state;
    struct stage *s = unaligned(0);
    s->refuses = true;
    urge(s, 0, 1);
    settle(s);
    assert_log(s, "barrier a 1\nbarrier b 1\nDECLINED storage 1\n");
    s->refuses = false;
    for (uint32_t c = 1; c < IN_CNT; c++) {
        urge(s, c, 1);
    }
    settle(s);
    assert_log(s, "");
    stage_close(s);
}

/* ---- pieces ---- */

#define BATCH_CNT 16

/* The numbers from 0 on, as one batch of channel 0. */
static void
put_batch(struct stage *s)
{
    struct number rows[BATCH_CNT];
    uint16_t all[BATCH_CNT];
    struct weir_view view = {.schema = number_schema(),
        .rows = (char *)rows,
        .stride = sizeof rows[0],
        .cnt = BATCH_CNT,
        .row_cnt = BATCH_CNT};
    for (uint32_t i = 0; i < BATCH_CNT; i++) {
        rows[i].n = i;
        all[i] = (uint16_t)i;
    }
    assert_int_equal(weir_channel_append(&s->wire.out[0], &view, all, BATCH_CNT), BATCH_CNT);
    assert_int_equal(weir_channel_flush(&s->wire.out[0]), 1);
}

static void
poll_for(struct stage *s, int64_t elapsed_ns)
{
    (void)poll_once(s);
    weir_task_settle(s->task, s->now_ns + elapsed_ns);
}

/* Rows of one batch that take long: the barrier comes between two pieces of it. */
static void
t_a_barrier_does_not_wait_for_a_batch_of_slow_rows(void **state)
{
    (void)state;
    struct stage *s = unaligned(0);
    put_batch(s);
    for (uint32_t i = 0; i < 5; i++) { /* 1, 2, 4, 8 of them, and the last */
        poll_for(s, 0);
    }
    for (uint32_t i = 0; i < 4; i++) { /* each poll takes too long: fewer rows, and fewer */
        if (i < 2) {
            put_batch(s);
        }
        poll_for(s, 2 * WEIR_TASK_PIECE_NS);
    }
    urge(s, 0, 1);
    (void)poll_once(s);
    assert_log(s, BEGUN("1") COMMITS("1"));
    assert_counts(s, "a", 46, 120 + 120 + 91);
    for (uint32_t c = 1; c < IN_CNT; c++) {
        urge(s, c, 1);
    }
    settle(s);
    assert_log(s, "CAPTURED 1\n");
    assert_flight(s, "0:14 0:15");
    stage_close(s);
}

/* How slow rows are is not known before the first. */
static void
t_a_barrier_does_not_wait_for_the_first_batch(void **state)
{
    (void)state;
    struct stage *s = unaligned(0);
    put_batch(s);
    poll_for(s, 2 * WEIR_TASK_PIECE_NS);
    urge(s, 0, 1);
    (void)poll_once(s);
    assert_log(s, BEGUN("1") COMMITS("1"));
    assert_counts(s, "a", 1, 0);
    stage_close(s);
}

/* ---- what comes back ---- */

/* A section with the rows first .. first + cnt of one old subtask's channel, before a watermark. */
static void
put_flight(
    struct weir_flight_writer *writer, uint32_t edge, uint32_t subtask, int64_t first, uint32_t cnt)
{
    struct number rows[64];
    struct weir_channel_format format;
    const struct weir_flight_place place = {.uid = "a", .edge = edge, .subtask = subtask};
    const struct weir_view view = {.schema = number_schema(),
        .rows = (char *)rows,
        .stride = sizeof rows[0],
        .cnt = cnt,
        .row_cnt = cnt,
        .watermark = 5};
    const struct weir_flight_run run = {&format, &view, 0, cnt};
    assert_true(cnt <= WEIR_ARRAY_CNT(rows));
    weir_channel_format_init(&format, number_schema(), false, false);
    for (uint32_t i = 0; i < cnt; i++) {
        rows[i].n = first + i;
    }
    weir_flight_rows(writer, &place, &run);
    weir_flight_event(writer, &place, WEIR_SLOT_WATERMARK, 9);
}

static void
edges_of(struct weir_task_edge *edges, enum weir_partitioner partitioner, uint32_t subtask_cnt)
{
    static uint16_t owner[128];
    weir_keygroup_owners(subtask_cnt, 128, owner);
    for (uint32_t e = 0; e < 2; e++) {
        edges[e] = (struct weir_task_edge){.node = 0,
            .channel = e,
            .partitioner = partitioner,
            .schema = number_schema(),
            .key = WEIR_KEY(number, n),
            .keygroup_owner = owner};
        assert_int_equal(weir_key_resolve(&edges[e].key, number_schema()), 0);
    }
}

/* What has come out of a subtask that starts from the section, as numbers. */
static void
regained_by(const struct weir_task_edge *edges, const struct weir_flight_writer *writer,
    uint32_t idx, uint32_t cnt, char *ret_got)
{
    const struct weir_task_flight_bytes flight = {writer->buf, writer->bytes};
    const struct weir_task_restore restore = {.is_on = true, .flights = &flight, .flight_cnt = 1};
    const struct stage_conf conf = {.is_unaligned = true,
        .restore = &restore,
        .edges = edges,
        .subtask_idx = idx,
        .subtask_cnt = cnt};
    struct stage *s = stage_open(&conf);
    wire_put(&s->wire, 0, 9999); /* behind them, whatever there is */
    settle(s);
    (void)strcpy(ret_got, out(s, 0));
    char *end = strstr(ret_got, "9999");
    assert_non_null(end);
    assert_string_equal(end, "9999");
    *end = 0;
    stage_close(s);
}

/* Each row of `old_cnt` subtasks comes back once, in its order, at its key's owner among `cnt`. */
static void
deal_out(const struct weir_flight_writer *writer, enum weir_partitioner partitioner,
    uint32_t old_cnt, uint32_t cnt)
{
    struct weir_task_edge edges[2];
    uint32_t seen[100 * PAIR_CNT] = {0};
    edges_of(edges, partitioner, cnt);
    for (uint32_t idx = 0; idx < cnt; idx++) {
        char got[256];
        int64_t last[PAIR_CNT];
        memset(last, -1, sizeof last);
        regained_by(edges, writer, idx, cnt, got);
        for (char *at = strtok(got, " "); at != NULL; at = strtok(NULL, " ")) {
            int64_t n = atoll(at);
            const uint32_t group = weir_hash_key_group(weir_hash_u64((uint64_t)n), 128);
            const bool is_own = partitioner == WEIR_PARTITION_KEYED
                                    ? edges[0].keygroup_owner[group] == idx
                                : partitioner == WEIR_PARTITION_GLOBAL ? idx == 0
                                                                       : n / 100 % cnt == idx;
            assert_true(is_own && n > last[n / 100]);
            last[n / 100] = n;
            seen[n]++;
        }
    }
    for (uint32_t n = 0; n < WEIR_ARRAY_CNT(seen); n++) {
        assert_int_equal(seen[n], n % 100 < PAIR_ROW_CNT && n / 100 < old_cnt ? 1 : 0);
    }
}

/* There assignments are computed and mapping tables made; here each subtask picks its own. All
 * pairs of one to eight subtasks, of each kind of edge. */
static void
t_T310_T315_rows_go_to_the_subtasks_that_there_are(void **state)
{
    (void)state;
    static _Alignas(8) char buf[FLIGHT_BYTES];
    static const enum weir_partitioner partitioners[] = {
        WEIR_PARTITION_KEYED, WEIR_PARTITION_REBALANCE, WEIR_PARTITION_GLOBAL};
    for (uint32_t old_cnt = 1; old_cnt <= PAIR_CNT; old_cnt++) {
        struct weir_flight_writer writer;
        size_t bytes;
        weir_flight_begin(&writer, buf, sizeof buf);
        for (uint32_t i = 0; i < old_cnt; i++) {
            put_flight(&writer, i % 2, i, 100 * i, PAIR_ROW_CNT);
        }
        assert_int_equal(weir_flight_finish(&writer, &bytes), 0);
        for (uint32_t cnt = 1; cnt <= PAIR_CNT; cnt++) {
            for (size_t p = 0; p < WEIR_ARRAY_CNT(partitioners); p++) {
                deal_out(&writer, partitioners[p], old_cnt, cnt);
            }
        }
    }
}

/* The same tasks: what the channels had said comes again too, and only one's own. */
static void
t_T311_the_same_tasks_get_all_of_it(void **state)
{
    (void)state;
    static _Alignas(8) char buf[FLIGHT_BYTES];
    struct weir_flight_writer writer;
    struct weir_parts_reader parts[2];
    size_t bytes;
    struct stage *old = unaligned(0);
    for (uint32_t c = 0; c < IN_CNT; c++) {
        wire_event(&old->wire, c, WEIR_SLOT_WATERMARK, 7);
    }
    settle(old);
    for (uint32_t c = 0; c < IN_CNT; c++) {
        urge(old, c, 1);
    }
    settle(old);
    assert_int_equal(weir_parts_reader_init(&parts[0], old->parts, old->parts_bytes), 0);
    parts[1] = parts[0];
    weir_flight_begin(&writer, buf, sizeof buf);
    put_flight(&writer, 0, 0, 10, 2);
    put_flight(&writer, 0, 1, 20, 2);
    put_flight(&writer, 1, 1, 30, 2);
    assert_int_equal(weir_flight_finish(&writer, &bytes), 0);
    const struct weir_task_flight_bytes flight = {buf, bytes};
    const struct weir_task_restore restore = {.is_on = true,
        .is_same = true,
        .parts = parts,
        .parts_cnt = 2,
        .flights = &flight,
        .flight_cnt = 1};
    struct weir_task_edge edges[2];
    edges_of(edges, WEIR_PARTITION_REBALANCE, 2);
    const struct stage_conf conf = {.is_unaligned = true,
        .restore = &restore,
        .edges = edges,
        .subtask_idx = 1,
        .subtask_cnt = 2};
    struct stage *s = stage_open(&conf);
    settle(s);
    assert_string_equal(out(s, 0), "20 21 30 31");
    assert_int_equal(s->gates[0].gate.channels[0].watermark, 9); /* said again */
    assert_int_equal(s->gates[0].gate.channels[1].watermark, 7);
    stage_close(s);
    stage_close(old);
}

static void
t_T259_no_checkpoint_before_they_are_worked_off(void **state)
{
    (void)state;
    static _Alignas(8) char buf[FLIGHT_BYTES];
    struct weir_flight_writer writer;
    size_t bytes;
    weir_flight_begin(&writer, buf, sizeof buf);
    put_flight(&writer, 0, 0, 1, 3);
    put_flight(&writer, 0, 0, 4, 3);
    assert_int_equal(weir_flight_finish(&writer, &bytes), 0);
    const struct weir_task_flight_bytes flight = {buf, bytes};
    const struct weir_task_restore restore = {.is_on = true, .flights = &flight, .flight_cnt = 1};
    struct weir_task_edge edges[2];
    edges_of(edges, WEIR_PARTITION_REBALANCE, 1);
    const struct stage_conf conf = {.is_unaligned = true, .restore = &restore, .edges = edges};
    struct stage *s = stage_open(&conf);
    assert_int_equal(weir_task_poll(s->task, 1, 0), WEIR_POLL_BUSY);
    urge(s, 1, 8);
    urge(s, 2, 8);
    (void)weir_task_poll(s->task, 1, 0);
    assert_log(s, "DECLINED not ready 8\n"); /* once */
    settle(s);
    assert_string_equal(out(s, 0), "1 2 3 4 5 6 C8");
    s->log_bytes = 0;
    s->log[0] = 0;
    for (uint32_t c = 0; c < IN_CNT; c++) {
        urge(s, c, 9);
    }
    settle(s);
    assert_non_null(strstr(s->log, "SNAPSHOT 9"));
    assert_non_null(strstr(s->log, "CAPTURED 9"));
    stage_close(s);
}

/* ---- the producer's side ---- */

/* Rows until the output is full, and one batch in the chain that waits for room. */
static int64_t
fill_output(struct stage *s)
{
    int64_t n = 0;
    for (; n < 60; n++) {
        wire_put(&s->wire, 0, n);
        (void)poll_once(s);
        (void)poll_once(s);
    }
    assert_int_equal(poll_once(s), WEIR_POLL_BACKPRESSURED);
    return n;
}

static void
t_T227_T228_a_barrier_overtakes_rows(void **state)
{
    (void)state;
    const struct stage_conf conf = {.is_unaligned = true, .slot_cnt = 8};
    struct stage *s = unaligned_with(&conf);
    int64_t cnt = fill_output(s);
    for (uint32_t c = 0; c < IN_CNT; c++) {
        urge(s, c, 1);
    }
    settle(s);
    assert_log(s, BEGUN("1") COMMITS("1") "CAPTURED 1\n");
    /* What is in the ring is the consumer's to capture, up to the barrier; the rest is in ours. */
    uint64_t two[2];
    wire_part(s->parts, s->parts_bytes, "a", two);
    struct weir_gate_item item;
    assert_true(weir_gate_ahead(&s->out_gate[0], 0, &item) && item.mark.is_urgent);
    assert_int_equal(item.mark.id, 1);
    assert_false(weir_gate_ahead(&s->out_gate[0], 0, &item));
    uint64_t kept[OUT_CNT] = {0};
    const struct weir_flight_entry *entry;
    size_t offset = 0;
    int64_t next[OUT_CNT] = {-1, -1};
    while ((entry = weir_flight_next(s->flight, s->flight_bytes, &offset)) != NULL) {
        struct weir_view view;
        uint32_t c = entry->channel_id - IN_CNT;
        if (entry->side == WEIR_FLIGHT_KEPT) {
            assert_int_equal(weir_flight_view(entry, number_schema(), &view), 0);
            for (uint32_t i = 0; i < view.cnt; i++) {
                assert_true(next[c] == -1 || wire_number(&view, i) == next[c]); /* in order */
                next[c] = wire_number(&view, i) + 1;
            }
            kept[c] += view.cnt;
        }
    }
    assert_true(kept[0] > 0);
    assert_int_equal(next[0], two[0]); /* up to the last that was worked on */
    assert_int_equal(s->wire.in[IN_CNT].urgent_seq + kept[0], two[0]); /* a row a slot */
    /* All come out, in order, the barrier where it was put. */
    char got[1024] = "";
    for (uint32_t turn = 0; turn < 100; turn++) {
        for (uint32_t o = 0; o < OUT_CNT; o++) {
            const char *more = out(s, o);
            if (o == 0 && *more != 0) {
                (void)strcat(strcat(got, more), " ");
            }
        }
        settle(s);
    }
    char want[1024] = "";
    char *at = want;
    for (int64_t n = 0; n < cnt; n++) {
        if (n == (int64_t)(two[0] - kept[0])) {
            at += sprintf(at, "B1 ");
        }
        at += sprintf(at, "%lld ", (long long)n);
    }
    assert_string_equal(got, want);
    stage_close(s);
}

/* Without room for what is kept the batch waits after all, and so does the barrier. */
static void
t_T210_what_is_kept_is_bounded(void **state)
{
    (void)state;
    const struct stage_conf conf = {.is_unaligned = true, .slot_cnt = 8};
    struct stage *s = unaligned_with(&conf);
    weir_keep_init(&s->keep, s->kept, 64);
    (void)fill_output(s);
    for (uint32_t c = 0; c < IN_CNT; c++) {
        urge(s, c, 1);
    }
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(poll_once(s), WEIR_POLL_BACKPRESSURED);
    }
    assert_log(s, "");
    for (uint32_t turn = 0; turn < 10; turn++) {
        (void)out(s, 0);
        (void)out(s, 1);
        settle(s);
    }
    assert_non_null(strstr(s->log, "SNAPSHOT 1"));
    stage_close(s);
}

/* ---- aligned for so long ---- */

static void
t_T078_a_barrier_in_time_overtakes_nothing(void **state)
{
    (void)state;
    struct stage *s = unaligned(1000);
    s->now_ns = 10;
    for (uint32_t c = 0; c < IN_CNT; c++) {
        wire_put(&s->wire, c, c);
        mark(s, c, 1);
        wire_put(&s->wire, c, 10 + c);
    }
    settle(s);
    assert_out(s, "A1 0 2 1 3 B1 10 12 11 13");
    assert_log(s, WHOLE("1"));
    assert_false(s->last.has_flight || s->last.is_unaligned);
    stage_close(s);
}

static void
t_T079_a_late_barrier_overtakes_the_rows_before_it(void **state)
{
    (void)state;
    struct stage *s = unaligned(1000);
    s->now_ns = 10;
    mark(s, 0, 1);
    wire_put(&s->wire, 0, 10);
    settle(s);
    assert_out(s, ""); /* it aligns */
    assert_int_equal(weir_task_due_ns(s->task), 1000);
    for (int64_t n = 0; n < 3; n++) {
        wire_put(&s->wire, 1, n);
    }
    mark(s, 1, 1);
    mark(s, 2, 1);
    mark(s, 3, 1);
    s->now_ns = 1000;
    settle(s);
    assert_log(s, BEGUN("1") COMMITS("1") "CAPTURED 1\n");
    assert_flight(s, "1:0 1:1 1:2");
    const char *got = out(s, 1);
    assert_string_equal(got, "U1 B1 0 10 1 2");
    assert_int_equal(weir_task_due_ns(s->task), INT64_MAX);
    stage_close(s);
}

static void
t_T079d_a_savepoint_overtakes_nothing(void **state)
{
    (void)state;
    struct stage *s = unaligned(0);
    for (uint32_t c = 0; c < IN_CNT; c++) {
        wire_put(&s->wire, c, c);
        wire_mark(&s->wire, c, WEIR_SLOT_BARRIER, 1);
        wire_put(&s->wire, c, 10 + c);
    }
    settle(s);
    assert_out(s, "A1 0 2 1 3 B1 10 12 11 13");
    assert_false(s->last.has_flight);
    stage_close(s);
}

/* A gate whose rows cannot be dealt out anew is waited for. */
static void
t_T079d_a_forced_gate_overtakes_nothing(void **state)
{
    (void)state;
    const struct stage_conf conf = {.is_unaligned = true, .forced_gate = 1};
    struct stage *s = unaligned_with(&conf);
    wire_put(&s->wire, 0, 1);
    urge(s, 0, 1);
    urge(s, 1, 1);
    wire_put(&s->wire, 1, 2); /* behind its barrier, at which the channel waits */
    wire_put(&s->wire, 2, 3);
    settle(s);
    assert_out(s, "1 3");
    assert_log(s, "");
    wire_put(&s->wire, 3, 4);
    mark(s, 2, 1);
    mark(s, 3, 1);
    settle(s);
    assert_out(s, "U1 4 B1 2");
    assert_log(s, BEGUN("1") COMMITS("1"));
    stage_close(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T060_the_gauge_of_one_that_does_not_wait),
        cmocka_unit_test(t_T261_rows_before_the_missing_barriers_and_none_behind),
        cmocka_unit_test(t_T069_captured_before_it_is_worked_on),
        cmocka_unit_test(t_T065_the_end_of_the_missing_channel_counts),
        cmocka_unit_test(t_T066_one_capture_at_a_time),
        cmocka_unit_test(t_T067_more_than_there_is_room_for_declines),
        cmocka_unit_test(t_T064_given_up_while_it_is_copied),
        cmocka_unit_test(t_storage_refuses_what_did_not_wait),
        cmocka_unit_test(t_a_barrier_does_not_wait_for_a_batch_of_slow_rows),
        cmocka_unit_test(t_a_barrier_does_not_wait_for_the_first_batch),
        cmocka_unit_test(t_T310_T315_rows_go_to_the_subtasks_that_there_are),
        cmocka_unit_test(t_T311_the_same_tasks_get_all_of_it),
        cmocka_unit_test(t_T259_no_checkpoint_before_they_are_worked_off),
        cmocka_unit_test(t_T227_T228_a_barrier_overtakes_rows),
        cmocka_unit_test(t_T210_what_is_kept_is_bounded),
        cmocka_unit_test(t_T078_a_barrier_in_time_overtakes_nothing),
        cmocka_unit_test(t_T079_a_late_barrier_overtakes_the_rows_before_it),
        cmocka_unit_test(t_T079d_a_savepoint_overtakes_nothing),
        cmocka_unit_test(t_T079d_a_forced_gate_overtakes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
