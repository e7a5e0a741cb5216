/* SPDX-License-Identifier: Apache-2.0 */
/* Operators cut at random places and started again from what they kept, with as many subtasks or
 * others: what comes out is that of a run without a cut. And what restore refuses. */
#include "dataplane/operators/discard.h"
#include "dataplane/operators/join.h"
#include "dataplane/operators/process.h"
#include "dataplane/operators/reduce.h"
#include "dataplane/operators/top.h"
#include "dataplane/operators/watermark.h"
#include "dataplane/kindset_spill.h"
#include "dataplane/state.h"
#include "tests/unit/kv_place.h"
#include "tests/unit/restart_rows.h"

#define SEED_CNT 12
#define TRIAL_CNT 8

#define TOLD(F) F(time, at) F(i64, key) F(i64, value)
WEIR_SCHEMA(told, TOLD)
#define MEAN(F) F(time, at) F(i64, key) F(f64, mean)
WEIR_SCHEMA(mean, MEAN)
#define PAIRED(F) F(time, at) F(i64, key) F(i64, left) F(i64, right) F(str, name) F(str, other)
WEIR_SCHEMA(paired, PAIRED)

static struct restart_play
play_of(const struct weir_operator_type *type, const void *conf, const struct facts *facts)
{
    struct restart_play play;
    memset(&play, 0, sizeof play);
    play.conf.type = type;
    play.conf.conf = conf;
    play.conf.arena_bytes = 16 * WEIR_MIB;
    play.conf.table_cnt_max = 512;
    for (uint32_t i = 0; i < type->input_cnt; i++) {
        play.conf.in_schema[i] = fact_schema();
        play.conf.channel_input[i] = (uint16_t)i;
    }
    play.conf.channel_cnt = type->input_cnt;
    play.key[0] = WEIR_KEY(fact, key);
    play.key[1] = WEIR_KEY(fact, key);
    play.steps = facts->steps;
    play.step_cnt = facts->cnt;
    return play;
}

/* ---- reduce ---- */

static void
t_reduce_goes_on(void **unused)
{
    (void)unused;
    uint64_t seed = seed_of_run();
    const struct facts_opts opts = {
        .step_cnt = 40, .channel_cnt = 1, .rows_max = 300, .keys = 500, .spread_ms = 50};
    struct weir_reduce_conf conf;
    memset(&conf, 0, sizeof conf);
    conf.key = WEIR_KEY(fact, key);
    conf.aggregate = weir_aggregate_sum("value");
    for (uint32_t s = 0; s < SEED_CNT; s++) {
        struct facts facts = facts_make(seed + s, &opts);
        struct restart_play play = play_of(&weir_reduce_type, &conf, &facts);
        play.conf.out_schema[0] = told_schema();
        check_restarts(&play, seed + s, TRIAL_CNT, false);
        check_restarts(&play, seed + s, TRIAL_CNT, true);
        facts_free(&facts);
    }
}

/* ---- process ---- */

#define GAP 60
struct session {
    int64_t last;
    int64_t cnt;
};

WEIR_PROCESS_TIMED(session, fact, struct session, told)
{
    if (state->cnt > 0 && in->at <= state->last) {
        state->cnt++;
        return WEIR_DONE;
    }
    if (state->cnt > 0) {
        (void)weir_process_timer_delete(p, state->last + GAP, 0);
    }
    state->cnt++;
    state->last = in->at;
    return weir_process_timer_set(p, in->at + GAP, 0);
}

WEIR_ON_TIMER(session, struct session)
{
    if (!weir_out_room(p->out, 1, 0)) {
        return WEIR_AGAIN;
    }
    struct told *out = told_emit(p->out);
    out->key = weir_process_key(p, 0);
    out->value = state->cnt;
    out->at = time;
    weir_process_clear(p, state);
    return WEIR_DONE;
}

static void
t_process_goes_on(void **unused)
{
    (void)unused;
    uint64_t seed = seed_of_run();
    const struct facts_opts opts = {.step_cnt = 60,
        .channel_cnt = 1,
        .rows_max = 100,
        .keys = 200,
        .spread_ms = 50,
        .lag_ms = 40,
        .watermark_every = 3};
    const struct weir_process_conf conf = {WEIR_KEY(fact, key), &session_process};
    for (uint32_t s = 0; s < SEED_CNT; s++) {
        struct facts facts = facts_make(seed + s, &opts);
        struct restart_play play = play_of(&weir_process_type, &conf, &facts);
        play.conf.out_schema[0] = told_schema();
        play.conf.out_schema[1] = told_schema();
        check_restarts(&play, seed + s, TRIAL_CNT, false);
        check_restarts(&play, seed + s, TRIAL_CNT, true);
        facts_free(&facts);
    }
}

/* ---- joins ---- */

WEIR_JOIN(pair, fact, fact, paired)
{
    row->at = at->time;
    row->key = left->key;
    row->left = left->value;
    row->right = right != NULL ? right->value : 0;
    weir_join_text(out, &row->name, &left->name, at->left_heap);
    row->other = weir_str_inline("", 0);
    if (right != NULL) {
        weir_join_text(out, &row->other, &right->name, at->right_heap);
    }
    return true;
}

/* Rows that go into blobs, too, and as many as fill several chunks. */
static const struct facts_opts join_opts = {.step_cnt = 60,
    .channel_cnt = 2,
    .rows_max = 30,
    .keys = 40,
    .spread_ms = 60,
    .lag_ms = 40,
    .watermark_every = 4,
    .name_bytes = 1500};

static void
join_trials(const struct weir_operator_type *type, const struct weir_join_conf *conf, bool sorts)
{
    uint64_t seed = seed_of_run();
    for (uint32_t s = 0; s < SEED_CNT / 3; s++) {
        struct facts facts = facts_make(seed + s, &join_opts);
        struct restart_play play = play_of(type, conf, &facts);
        play.conf.out_schema[0] = paired_schema();
        play.conf.out_schema[1] = fact_schema();
        play.conf.out_schema[2] = fact_schema();
        play.conf.max_parallelism = 8;
        play.is_sorted = sorts;
        play.ends_empty = type == &weir_window_join_type;
        check_restarts(&play, seed + s, TRIAL_CNT, false);
        check_restarts(&play, seed + s, TRIAL_CNT, true);
        facts_free(&facts);
    }
}

static struct weir_join_conf
join_conf(struct weir_window_span span, bool semi)
{
    struct weir_join_conf conf;
    memset(&conf, 0, sizeof conf);
    conf.join = &pair_join;
    conf.left_key = WEIR_KEY(fact, key);
    conf.right_key = WEIR_KEY(fact, key);
    conf.span = span;
    conf.semi = semi;
    return conf;
}

static void
t_join_goes_on(void **unused)
{
    (void)unused;
    struct weir_join_conf conf = join_conf(WEIR_TUMBLE(100), false);
    join_trials(&weir_join_type, &conf, false);
}

static void
t_window_join_goes_on(void **unused)
{
    (void)unused;
    struct weir_join_conf tumbling = join_conf(WEIR_TUMBLE(100), false);
    struct weir_join_conf sliding = join_conf(WEIR_SLIDE(100, 30), false);
    struct weir_join_conf semi = join_conf(WEIR_SLIDE(90, 30), true);
    join_trials(&weir_window_join_type, &tumbling, true);
    join_trials(&weir_window_join_type, &sliding, true);
    join_trials(&weir_window_join_type, &semi, true);
}

/* ---- top ---- */

static const struct facts_opts top_opts = {.step_cnt = 60,
    .channel_cnt = 1,
    .rows_max = 60,
    .keys = 1000,
    .spread_ms = 200,
    .lag_ms = 150,
    .watermark_every = 5,
    .name_bytes = 60,
    .is_end_at = true};

static void
t_top_goes_on(void **unused)
{
    (void)unused;
    uint64_t seed = seed_of_run();
    for (uint32_t s = 0; s < SEED_CNT; s++) {
        const struct weir_top_conf conf = {"at", "value", 1 + s % 5, s % 2 == 0, s % 3 == 0};
        struct facts facts = facts_make(seed + s, &top_opts);
        struct restart_play play = play_of(&weir_top_type, &conf, &facts);
        play.ends_empty = true;
        play.ends_tables = 1;
        check_restarts(&play, seed + s, TRIAL_CNT, false);
        facts_free(&facts);
    }
}

/* Each subtask has the best of its own rows; one that takes over all has the best of all. */
static void
t_tops_become_one(void **unused)
{
    (void)unused;
    uint64_t seed = seed_of_run();
    struct facts_opts opts = top_opts;
    opts.watermark_every = 0;
    for (uint32_t s = 0; s < SEED_CNT; s++) {
        const struct weir_top_conf conf = {"at", "value", 1 + s % 5, true, false};
        struct facts facts = facts_make(seed + s, &opts);
        struct restart_play play = play_of(&weir_top_type, &conf, &facts);
        play.ends_empty = true;
        play.ends_tables = 1;
        play.is_sorted = true;
        play.key[0].field_cnt = 0;
        char *want = restart_text(&play, 1);
        for (uint32_t p = 2; p <= 4; p++) {
            const uint32_t cut[2] = {20, 40};
            const uint32_t cnt[3] = {p, 1, 1};
            char *is = restart_run(&play, cut, cnt, 2);
            if (strcmp(is, want) != 0) {
                first_difference(is, want);
            }
            assert_true(strcmp(is, want) == 0);
            free(is);
        }
        free(want);
        facts_free(&facts);
    }
}

/* ---- watermarks ---- */

static void
t_watermark_goes_on(void **unused)
{
    (void)unused;
    const struct weir_watermark_conf conf = {.lag_ms = 10};
    struct harness_conf h;
    memset(&h, 0, sizeof h);
    h.type = &weir_watermark_type;
    h.conf = &conf;
    h.in_schema[0] = fact_schema();
    for (uint32_t old_cnt = 1; old_cnt <= 3; old_cnt++) {
        struct restart_left left[3];
        h.subtask_cnt = old_cnt;
        for (uint32_t i = 0; i < old_cnt; i++) {
            struct fact row = {.at = 500 - 100 * i};
            h.subtask_idx = i;
            struct harness *old = harness_new(&h);
            harness_push(old, 0, &row, 1);
            restart_leave(old, &left[i]);
            harness_free(old);
        }
        for (uint32_t cnt = 1; cnt <= 3; cnt++) {
            for (uint32_t i = 0; i < cnt; i++) {
                struct harness *now;
                h.subtask_cnt = cnt;
                h.subtask_idx = i;
                assert_int_equal(restart_come(&h, left, old_cnt, cnt != old_cnt, &now), 0);
                const struct weir_watermarker *self = harness_operator(now)->self;
                int64_t want = 500 - 100 * (cnt == old_cnt ? i : old_cnt - 1);
                assert_int_equal(self->max_ms, want);
                assert_int_equal(self->told_ms, want - 10);
                harness_free(now);
            }
        }
        for (uint32_t i = 0; i < old_cnt; i++) {
            restart_left_free(&left[i]);
        }
    }
}

/* ---- discard ---- */

static void
t_sums_are_added_up(void **unused)
{
    (void)unused;
    struct weir_discard_result result[4];
    const struct weir_discard_conf conf = {result};
    struct harness_conf h;
    memset(&h, 0, sizeof h);
    h.type = &weir_discard_type;
    h.conf = &conf;
    h.in_schema[0] = fact_schema();
    for (uint32_t cnt = 1; cnt <= 4; cnt++) {
        struct restart_left left[3];
        struct weir_discard_result all = {0, 0};
        struct weir_discard_result want = {0, 0};
        h.subtask_cnt = 3;
        for (uint32_t i = 0; i < 3; i++) {
            struct fact rows[3] = {{.at = 500}, {.key = i}, {.value = 7}};
            h.subtask_idx = i;
            struct harness *old = harness_new(&h);
            harness_push(old, 0, rows, i + 1);
            restart_leave(old, &left[i]);
            harness_end(old, 0);
            want.rows += result[i].rows;
            want.checksum += result[i].checksum;
            harness_free(old);
        }
        for (uint32_t i = 0; i < cnt; i++) {
            struct harness *now;
            h.subtask_cnt = cnt;
            h.subtask_idx = i;
            assert_int_equal(restart_come(&h, left, 3, cnt != 3, &now), 0);
            harness_end(now, 0);
            all.rows += result[i].rows;
            all.checksum += result[i].checksum;
            harness_free(now);
        }
        assert_int_equal(all.rows, 6);
        assert_memory_equal(&all, &want, sizeof all);
        for (uint32_t i = 0; i < 3; i++) {
            restart_left_free(&left[i]);
        }
    }
}

/* ---- what is refused ---- */

struct refusal {
    struct harness_conf conf;
    struct restart_left left;
};

static void
refusal_open(struct refusal *r, const struct weir_top_conf *conf)
{
    memset(r, 0, sizeof *r);
    r->conf.type = &weir_top_type;
    r->conf.conf = conf;
    r->conf.in_schema[0] = fact_schema();
    struct harness *h = harness_new(&r->conf);
    struct fact row = {.at = 500, .value = 3};
    harness_push(h, 0, &row, 1);
    restart_leave(h, &r->left);
    harness_free(h);
}

static void
refused(const struct refusal *r, const struct harness_conf *conf, int want, const char *words)
{
    struct harness *h;
    char text[1024] = "";
    int rc = restart_come(conf, &r->left, 1, false, &h);
    assert_int_equal(rc, want);
    FILE *file = fmemopen(text, sizeof text, "w");
    weir_err_print(file, rc);
    assert_int_equal(fclose(file), 0);
    if (strstr(text, words) == NULL) {
        print_message("%s\n", text);
    }
    assert_non_null(strstr(text, words));
    weir_err_clear();
}

/* The parts written anew, all but one, or that one with another version or a byte more. */
static void
parts_change(struct refusal *r, const char *name, uint32_t version, bool longer)
{
    struct weir_parts_reader reader;
    struct weir_parts_writer writer;
    struct weir_part part;
    size_t at = 0;
    char *to = calloc(1, RESTART_PARTS_BYTES);
    assert_int_equal(weir_parts_reader_init(&reader, r->left.parts, r->left.parts_bytes), 0);
    weir_parts_writer_init(&writer, to, RESTART_PARTS_BYTES);
    weir_parts_writer_of(&writer, "top");
    while (weir_parts_next(&reader, &at, &part) == 1) {
        char part_name[64] = "";
        memcpy(part_name, part.name, part.name_bytes);
        bool is_it = strcmp(part_name, name) == 0;
        if (is_it && version == 0) {
            continue;
        }
        weir_parts_begin(&writer, part_name, is_it ? version : part.version);
        weir_parts_put(&writer, part.data, part.bytes);
        if (is_it && longer) {
            weir_parts_put(&writer, "x", 1);
        }
        weir_parts_end(&writer);
    }
    assert_int_equal(weir_parts_finish(&writer, &r->left.parts_bytes), 0);
    free(r->left.parts);
    r->left.parts = to;
}

static void
t_bad_parts_are_refused(void **unused)
{
    (void)unused;
    const struct weir_top_conf conf = {"at", "value", 1, false, false};
    struct refusal r;
    refusal_open(&r, &conf);
    parts_change(&r, "frontier", 0, false);
    refused(&r, &r.conf, WEIR_EDATA, "no part frontier of operator top");
    restart_left_free(&r.left);
    refusal_open(&r, &conf);
    parts_change(&r, "frontier", 99, false);
    refused(&r, &r.conf, WEIR_EFORMAT, "version 99");
    restart_left_free(&r.left);
    refusal_open(&r, &conf);
    parts_change(&r, "frontier", 1, true);
    refused(&r, &r.conf, WEIR_EDATA, "9 bytes, 8 were expected");
    r.left.parts[40] ^= 4;
    refused(&r, &r.conf, WEIR_EDATA, "checksum");
    restart_left_free(&r.left);
}

/* The state is named where its values are no longer what they were. */
static void
t_T301_state_of_another_kind_is_refused(void **unused)
{
    (void)unused;
    struct weir_reduce_conf conf;
    memset(&conf, 0, sizeof conf);
    conf.key = WEIR_KEY(fact, key);
    conf.aggregate = weir_aggregate_sum("value");
    struct refusal r;
    memset(&r, 0, sizeof r);
    r.conf.type = &weir_reduce_type;
    r.conf.conf = &conf;
    r.conf.in_schema[0] = fact_schema();
    r.conf.out_schema[0] = told_schema();
    struct harness *h = harness_new(&r.conf);
    struct fact row = {.at = 500, .value = 3};
    harness_push(h, 0, &row, 1);
    restart_leave(h, &r.left);
    harness_free(h);
    struct weir_reduce_conf other = conf;
    other.aggregate = weir_aggregate_avg("value");
    struct harness_conf with = r.conf;
    with.conf = &other;
    with.out_schema[0] = mean_schema();
    refused(&r, &with, WEIR_ESTATE, "state result of operator reduce");
    restart_left_free(&r.left);
}

/* ---- names and lists ---- */

static void
t_state_numbers_are_told_apart(void **unused)
{
    (void)unused;
    const struct weir_state_owner same[] = {
        {"a", &weir_reduce_type, NULL}, {"a", &weir_reduce_type, NULL}};
    const struct weir_state_owner other[] = {{"a", &weir_reduce_type, NULL},
        {"b", &weir_reduce_type, NULL}, {"c", &weir_process_type, NULL}};
    assert_int_equal(weir_state_check_ids(other, 3), 0);
    assert_int_equal(weir_state_check_ids(same, 2), WEIR_EPLAN);
    weir_err_clear();
    assert_int_not_equal(weir_state_id("a", "result"), weir_state_id("b", "result"));
    assert_int_not_equal(weir_state_id("a", "b"), weir_state_id("b", "a"));
    /* Part of the format: it must not change. */
    assert_int_equal(weir_state_id("count", "panes"), weir_state_id("count", "panes"));
}

/* Items of old subtasks 0.. as numbers 100 * old + i. */
static void
list_parts(uint32_t old, uint64_t cnt, char *buf, size_t cap, struct weir_parts_reader *ret)
{
    struct weir_parts_writer writer;
    size_t bytes;
    weir_parts_writer_init(&writer, buf, cap);
    weir_parts_writer_of(&writer, "op");
    weir_state_list_begin(&writer, "items", 2, cnt);
    for (uint64_t i = 0; i < cnt; i++) {
        weir_state_item(&writer, 8 + i);
        weir_parts_put_u64(&writer, 100 * old + i);
        weir_parts_put(&writer, "pad of any length, cut as the item says", i);
    }
    weir_state_list_end(&writer);
    assert_int_equal(weir_parts_finish(&writer, &bytes), 0);
    assert_int_equal(weir_parts_reader_init(ret, buf, bytes), 0);
    weir_parts_reader_of(ret, "op");
}

/* List items are dealt out, each to one; union items go to all; own ones where the
 * number of subtasks is the same; a subtask that had none is no harm. */
static void
t_T307_T309_lists_are_dealt_out(void **unused)
{
    (void)unused;
    static uint64_t buf[3][256];
    static const uint64_t cnts[3] = {4, 0, 7};
    struct weir_parts_reader old[3];
    for (uint32_t i = 0; i < 3; i++) {
        list_parts(i, cnts[i], (char *)buf[i], sizeof buf[i], &old[i]);
    }
    for (uint32_t cnt = 1; cnt <= 5; cnt++) {
        uint32_t seen[300] = {0};
        for (uint32_t idx = 0; idx < 2 * cnt; idx++) {
            struct weir_operator_env env = {.subtask_idx = idx % cnt, .subtask_cnt = cnt};
            struct weir_operator op = {.env = &env, .uid = "op"};
            struct weir_state_list list;
            struct weir_part item;
            uint32_t item_cnt = 0;
            int got;
            weir_state_list_init(&list, &op, old, 3);
            list.name = "items";
            list.version_max = 2;
            list.is_union = idx >= cnt;
            while ((got = weir_state_list_next(&list, &item)) == 1) {
                uint64_t number;
                assert_int_equal(weir_part_get_u64(&item, &number), 0);
                assert_int_equal(item.bytes, 8 + number % 100);
                seen[number] += idx < cnt;
                assert_true(idx >= cnt || cnt != 3 || number / 100 == idx);
                item_cnt++;
            }
            assert_int_equal(got, 0);
            assert_true(idx < cnt || item_cnt == 11);
        }
        for (uint32_t n = 0; n < 300; n++) {
            assert_int_equal(seen[n], n % 100 < cnts[n / 100] ? 1 : 0);
        }
    }
}

/* Each subtask reads exactly one whole copy of a broadcast list, whatever the number of
 * subtasks was, also where an old one has left an empty list, or no part at all. */
static void
t_T309_a_broadcast_list_is_read_once(void **unused)
{
    (void)unused;
    static uint64_t buf[4][256];
    static const uint64_t cnts[4] = {5, 0, 5, 5};
    struct weir_parts_reader old[4];
    size_t bytes;
    struct weir_parts_writer writer;
    for (uint32_t i = 0; i < 3; i++) {
        list_parts(i, cnts[i], (char *)buf[i], sizeof buf[i], &old[i]);
    }
    weir_parts_writer_init(&writer, buf[3], sizeof buf[3]);
    assert_int_equal(weir_parts_finish(&writer, &bytes), 0);
    assert_int_equal(weir_parts_reader_init(&old[3], buf[3], bytes), 0);
    weir_parts_reader_of(&old[3], "op");
    for (uint32_t cnt = 1; cnt <= 6; cnt++) {
        for (uint32_t idx = 0; idx < cnt; idx++) {
            struct weir_operator_env env = {.subtask_idx = idx, .subtask_cnt = cnt};
            struct weir_operator op = {.env = &env, .uid = "op"};
            struct weir_state_list list;
            struct weir_part item;
            uint64_t want = idx % 4 == 1 ? 2 : idx % 4 == 3 ? 0 : idx % 4;
            uint64_t item_cnt = 0;
            int got;
            weir_state_list_init(&list, &op, old, 4);
            list.name = "items";
            list.version_max = 2;
            list.is_broadcast = true;
            while ((got = weir_state_list_next(&list, &item)) == 1) {
                uint64_t number;
                assert_int_equal(weir_part_get_u64(&item, &number), 0);
                assert_int_equal(number, 100 * want + item_cnt);
                item_cnt++;
            }
            assert_int_equal(got, 0);
            assert_int_equal(item_cnt, 5);
            assert_int_equal(weir_state_list_next(&list, &item), 0);
        }
    }
}

/* ---- declared states of a process function ---- */

/* By key: how often each value came (a map), the last names (a list that is cut), and a sum. */
struct nothing {
    int64_t unused;
};
struct cents {
    int64_t sum;
};
static const struct weir_kind ledger_kinds[] = {
    WEIR_KIND_MAP("counts", sizeof(int64_t), sizeof(int64_t), WEIR_NO_TTL),
    WEIR_KIND_LIST("names", 0, WEIR_TTL(WEIR_HOUR)),
    WEIR_KIND_REDUCING("cents", struct cents, WEIR_NO_TTL),
};

WEIR_REDUCING(cents, struct cents)
{
    to->sum += val->sum;
}

/* A number of all that the key has kept. */
static int64_t
ledger_digest(struct weir_process *p)
{
    struct weir_kind_cursor cursor;
    uint64_t sum = 0;
    for (uint32_t s = 0; s < 2; s++) {
        struct weir_slice key;
        uint32_t bytes;
        const void *val;
        weir_kind_begin(weir_process_state(p, s), &cursor);
        while ((val = weir_kind_next(&cursor, &key, &bytes)) != NULL) {
            sum = sum * 31 + weir_hash_bytes(val, bytes) + weir_hash_bytes(key.ptr, key.bytes);
        }
    }
    const struct cents *cents = weir_value_get(weir_process_state(p, 2), NULL);
    return (int64_t)(sum + (uint64_t)cents->sum);
}

WEIR_PROCESS_KINDS(ledger, fact, struct nothing, told, ledger_kinds)
{
    (void)state;
    if (!weir_out_room(p->out, 1, 0)) {
        return WEIR_AGAIN;
    }
    struct weir_keyed_state *counts = weir_process_state(p, 0);
    int64_t bucket = in->value % 10;
    const int64_t *was = weir_map_get(counts, WEIR_BYTES(&bucket), NULL);
    int64_t cnt = was != NULL ? *was + 1 : 1;
    int err = weir_map_put(counts, WEIR_BYTES(&bucket), WEIR_BYTES(&cnt));
    struct weir_slice name = weir_str_slice(&in->name, heap);
    struct weir_keyed_state *names = weir_process_state(p, 1);
    if (err == 0 && in->value % 17 == 0) {
        weir_state_clear(names);
    }
    err = err < 0 ? err : weir_list_add(names, weir_bytes(name.ptr, name.bytes));
    const struct cents one = {in->value};
    err = err < 0 ? err : cents_add(weir_process_state(p, 2), &one);
    if (err < 0) {
        return err;
    }
    struct told *out = told_emit(p->out);
    out->key = in->key;
    out->value = ledger_digest(p);
    out->at = p->time;
    return WEIR_DONE;
}

/* A restart with a store on disk takes some 20 ms. */
#define DISK_TRIAL_CNT 3

/* With spill, most keys are on disk: rows of a batch are waited for as a whole. */
static void
ledger_trials(const struct weir_spill_conf *spill, uint32_t seed_cnt)
{
    uint32_t trial_cnt = spill != NULL ? DISK_TRIAL_CNT : TRIAL_CNT;
    uint64_t seed = seed_of_run();
    const struct facts_opts opts = {.step_cnt = 40,
        .channel_cnt = 1,
        .rows_max = 60,
        .keys = 50,
        .spread_ms = 50,
        .name_bytes = 200};
    const struct weir_process_conf conf = {WEIR_KEY(fact, key), &ledger_process};
    for (uint32_t s = 0; s < seed_cnt; s++) {
        struct facts facts = facts_make(seed + s, &opts);
        struct restart_play play = play_of(&weir_process_type, &conf, &facts);
        play.conf.spill = spill;
        play.conf.out_schema[0] = told_schema();
        play.conf.out_schema[1] = told_schema();
        check_restarts(&play, seed + s, trial_cnt, false);
        check_restarts(&play, seed + s, trial_cnt, true);
        facts_free(&facts);
    }
}

static void
t_declared_states_go_on(void **unused)
{
    (void)unused;
    ledger_trials(NULL, SEED_CNT);
}

static void
t_states_on_disk_go_on(void **unused)
{
    (void)unused;
    const struct weir_spill_conf spill = {
        .dir = kv_place, .kept_cnt = 1, .key_max = 5, .is_inline = true};
    ledger_trials(&spill, 2);
}

/* Timers find the state of their keys, wherever it is. */
static void
t_sessions_on_disk_go_on(void **unused)
{
    (void)unused;
    uint64_t seed = seed_of_run();
    const struct facts_opts opts = {.step_cnt = 40,
        .channel_cnt = 1,
        .rows_max = 40,
        .keys = 80,
        .spread_ms = 50,
        .lag_ms = 40,
        .watermark_every = 3};
    const struct weir_process_conf conf = {WEIR_KEY(fact, key), &session_process};
    const struct weir_spill_conf spill = {
        .dir = kv_place, .kept_cnt = 1, .key_max = 5, .is_inline = true};
    for (uint32_t s = 0; s < 2; s++) {
        struct facts facts = facts_make(seed + s, &opts);
        struct restart_play play = play_of(&weir_process_type, &conf, &facts);
        play.conf.out_schema[0] = told_schema();
        play.conf.out_schema[1] = told_schema();
        play.conf.spill = &spill;
        check_restarts(&play, seed + s, DISK_TRIAL_CNT, false);
        check_restarts(&play, seed + s, DISK_TRIAL_CNT, true);
        facts_free(&facts);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_T309_a_broadcast_list_is_read_once),
        cmocka_unit_test(t_states_on_disk_go_on),
        cmocka_unit_test(t_sessions_on_disk_go_on),
        cmocka_unit_test(t_declared_states_go_on),
        cmocka_unit_test(t_reduce_goes_on),
        cmocka_unit_test(t_process_goes_on),
        cmocka_unit_test(t_join_goes_on),
        cmocka_unit_test(t_window_join_goes_on),
        cmocka_unit_test(t_top_goes_on),
        cmocka_unit_test(t_tops_become_one),
        cmocka_unit_test(t_watermark_goes_on),
        cmocka_unit_test(t_sums_are_added_up),
        cmocka_unit_test(t_bad_parts_are_refused),
        cmocka_unit_test(t_T301_state_of_another_kind_is_refused),
        cmocka_unit_test(t_state_numbers_are_told_apart),
        cmocka_unit_test(t_T307_T309_lists_are_dealt_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
