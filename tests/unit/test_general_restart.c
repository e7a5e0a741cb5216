/* SPDX-License-Identifier: Apache-2.0 */
/* Windows of each key for themselves cut at random places and started again from what they kept:
 * by checkpoints and savepoints, with another number of subtasks, each way of keeping rows. */
#include "dataplane/operators/general_priv.h"
#include "tests/unit/restart_rows.h"

#define SEED_CNT 4
#define TRIAL_CNT 6

#define FIRED(F) F(ts, window_start) F(ts, window_end) F(i64, key) F(i64, result)
WEIR_SCHEMA(fired, FIRED)
#define TOLD(F) F(ts, start) F(i64, key) F(i64, rows) F(i64, sum) F(str, longest) F(i64, fired)
WEIR_SCHEMA(told, TOLD)

static const struct facts_opts opts = {.step_cnt = 90,
    .channel_cnt = 1,
    .rows_max = 60,
    .keys = 60,
    .spread_ms = 150,
    .lag_ms = 60,
    .watermark_every = 3,
    .name_bytes = 40};

/* A function over the aggregate and the rows, with a state of the key's: how often it has fired. */
struct total {
    int64_t sum;
    int64_t cnt;
};
static inline void
total_init(struct total *acc)
{
    acc->sum = 1000;
    acc->cnt = 0;
}
static inline void
total_add(struct total *acc, const struct fact *in, const char *heap)
{
    (void)heap;
    acc->sum += in->value;
    acc->cnt++;
}
static inline void
total_merge(struct total *acc, const struct total *from)
{
    acc->sum += from->sum - 1000;
    acc->cnt += from->cnt;
}
static inline void
total_result(const struct total *acc, struct told *out)
{
    out->sum = acc->sum;
}
WEIR_AGGREGATE(total, fact, struct total, told)

static const struct weir_kind tell_kinds[] = {
    WEIR_KIND_REDUCING("fired", int64_t, WEIR_NO_TTL),
};
WEIR_REDUCING(times, int64_t)
{
    *to += *val;
}

static int
tell(struct weir_window_call *call)
{
    const struct total *acc = call->acc;
    struct weir_window_walk walk;
    struct weir_slice longest = {"", 0};
    char text[64];
    int64_t sum = 1000;
    int64_t cnt = 0;
    if (!weir_out_room(call->out, 1, sizeof text)) {
        return WEIR_AGAIN;
    }
    weir_window_call_rows(call, &walk);
    for (const struct fact *row; (row = weir_window_call_row(&walk)) != NULL;) {
        struct weir_slice name = weir_str_slice(&row->name, walk.heap);
        bool is_longer =
            name.bytes > longest.bytes || (name.bytes == longest.bytes && name.bytes > 0 &&
                                              memcmp(name.ptr, longest.ptr, name.bytes) > 0);
        if (is_longer) {
            memcpy(text, name.ptr, name.bytes);
            longest.ptr = text;
            longest.bytes = name.bytes;
        }
        assert_true(row->at == walk.time);
        sum += row->value;
        cnt++;
    }
    assert_int_equal(cnt, call->row_cnt);
    assert_true(sum == acc->sum && cnt == acc->cnt);
    const int64_t one = 1;
    struct weir_keyed_state *fired = weir_window_call_state(call, 0);
    int err = times_add(fired, &one);
    if (err < 0) {
        return err;
    }
    struct told *out = told_emit(call->out);
    out->start = call->start;
    out->key = weir_window_call_key(call, 0);
    out->rows = cnt;
    out->sum = acc->sum;
    weir_str_set_bytes(call->out, &out->longest, longest.ptr, longest.bytes);
    out->fired = *(const int64_t *)weir_value_get(fired, NULL);
    return WEIR_DONE;
}

static const struct weir_window_function teller = {.name = "tell",
    .out_schema = told_schema,
    .call = tell,
    .wants_rows = true,
    .kinds = tell_kinds,
    .kind_cnt = 1};

static void
run_conf(const struct weir_general_conf *given, uint32_t tables)
{
    uint64_t seed = seed_of_run();
    struct weir_general_conf conf = *given;
    conf.key = WEIR_KEY(fact, key);
    for (uint32_t s = 0; s < 2 * SEED_CNT; s++) {
        struct facts facts = facts_make(seed + s, &opts);
        struct restart_play play;
        memset(&play, 0, sizeof play);
        play.conf.type = &weir_general_type;
        play.conf.conf = &conf;
        play.conf.arena_bytes = 16 * WEIR_MIB;
        play.conf.in_schema[0] = fact_schema();
        play.conf.out_schema[0] = conf.function != NULL ? told_schema() : fired_schema();
        play.conf.out_schema[1] = fact_schema();
        play.key[0] = WEIR_KEY(fact, key);
        play.steps = facts.steps;
        play.step_cnt = facts.cnt;
        play.is_sorted = true; /* of one time, the order of keys is that of their hashes */
        play.ends_tables = tables;
        check_restarts(&play, seed + s, TRIAL_CNT, s % 2 == 1);
        facts_free(&facts);
    }
}

static void
t_sessions_go_on(void **unused)
{
    (void)unused;
    run_conf(&(struct weir_general_conf){.span = WEIR_SESSIONS(20),
                 .aggregate = weir_aggregate_sum("value")},
        3);
    run_conf(
        &(struct weir_general_conf){
            .span = WEIR_SESSIONS(40), .aggregate = weir_aggregate_max("value"), .lateness_ms = 30},
        3);
}

static void
t_sessions_go_on_with_their_rows(void **unused)
{
    (void)unused;
    run_conf(&(struct weir_general_conf){.span = WEIR_SESSIONS(30),
                 .aggregate = total_agg,
                 .function = &teller,
                 .lateness_ms = 20},
        5);
}

static void
t_counts_and_continuous_triggers_go_on(void **unused)
{
    (void)unused;
    run_conf(&(struct weir_general_conf){.span = WEIR_SLIDES(60, 20),
                 .aggregate = weir_aggregate_sum("value"),
                 .trigger = {.kind = WEIR_TRIGGER_COUNT, .every = 3, .purges = true}},
        2);
    run_conf(&(struct weir_general_conf){.span = WEIR_CUMULATES(80, 20),
                 .aggregate = weir_aggregate_min("value"),
                 .trigger = {.kind = WEIR_TRIGGER_CONTINUOUS, .every = 7}},
        2);
}

static void
t_evictors_go_on(void **unused)
{
    (void)unused;
    run_conf(&(struct weir_general_conf){.span = WEIR_TUMBLES(80),
                 .aggregate = total_agg,
                 .function = &teller,
                 .trigger = {.kind = WEIR_TRIGGER_DELTA, .every = 40, .field = "value"},
                 .evictor = {.kind = WEIR_EVICTOR_COUNT, .keep = 4}},
        4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_sessions_go_on),
        cmocka_unit_test(t_sessions_go_on_with_their_rows),
        cmocka_unit_test(t_counts_and_continuous_triggers_go_on),
        cmocka_unit_test(t_evictors_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
